package app

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stalledFor is how long bytes may wait for a client to take them before the
// kernel ends the connection. It costs no request anything, and a download may
// last as long as it likes while it moves.
const stalledFor = 2 * time.Minute

func listenConfig() *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { // accepted connections inherit it
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stalledFor.Milliseconds()))
		})
		if err == nil {
			err = failed
		}
		return err
	}}
}
