//go:build !linux

package fsblob

import "os"

// Without syncfs there is no journal: nobody gets the lock it needs.
func lockFolder(string) (*os.File, error) { return nil, nil }

func syncData(f *os.File) error             { return f.Sync() }
func syncFileSystem(f *os.File) error       { return f.Sync() }
func startWriteback(*os.File, int64, int64) {}
func bootID() string                        { return "" }
