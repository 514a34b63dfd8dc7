package fsblob

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFolder takes the exclusive lock that ends with the process.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// control runs a system call on the descriptor of f, which Fd would switch to
// blocking mode.
func control(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) {
		for {
			if result = call(int(fd)); !errors.Is(result, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return err
	}
	return result
}

// syncData flushes the bytes of f and what is needed to read them back.
func syncData(f *os.File) error { return control(f, unix.Fdatasync) }

// syncFileSystem flushes everything on the file system of f (Linux 5.8 and
// later report write errors here).
func syncFileSystem(f *os.File) error { return control(f, unix.Syncfs) }

// startWriteback asks the kernel to begin writing a range; a hint only.
func startWriteback(f *os.File, off, n int64) {
	_ = control(f, func(fd int) error { return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
}

// bootID names this run of the kernel; empty if it cannot be known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
