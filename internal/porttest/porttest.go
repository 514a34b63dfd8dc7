// Package porttest gives tests ports that stay theirs.
//
// A port that the kernel chooses (":0") comes from the range it also takes
// the ports of outgoing connections from. Whoever closes such a listener to
// open the same port again, as a server does that is started, stopped and
// started in a test, now and then finds it taken by a client.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// The ports given out lie below what Linux (32768 on), BSD, macOS and
// Windows (49152 on) take for outgoing connections.
const first, last = 10000, 32767

var (
	next   atomic.Uint32                    // counted on by every call
	offset = rand.Uint32N(last - first + 1) // so that processes seldom meet
)

// Listen opens a port of 127.0.0.1 that this process has not been given
// before (until the range is through). The error is the last of many tries.
func Listen() (net.Listener, error) {
	var err error
	for range 200 {
		port := first + (offset+next.Add(1))%(last-first+1)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no free port on the loopback interface: %w", err)
}

// Port is a port of 127.0.0.1 that nobody listens on, as Listen finds them.
func Port() (int, error) {
	l, err := Listen()
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
