//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the exclusive lock that ends with the process, at once or not.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
