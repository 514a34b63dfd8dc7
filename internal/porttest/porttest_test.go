package porttest

import (
	"fmt"
	"net"
	"testing"
)

func TestPort_IsFreeAndOnlyOurs(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		port, err := Port()
		if err != nil {
			t.Fatal(err)
		}
		if port < first || port > last || seen[port] {
			t.Errorf("port %d is out of the range, or was given before", port)
		}
		seen[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

func TestListen_PassesTakenPorts(t *testing.T) {
	a, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	next.Add(^uint32(0)) // the next call begins at the same port
	b, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.Addr().String() == b.Addr().String() {
		t.Errorf("both at %v", a.Addr())
	}
}
