//go:build !unix

package app

import "os"

// lockFolder opens the file only: this system has no lock that ends with its
// process. The database still refuses a second writer.
func lockFolder(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
