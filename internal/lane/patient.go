package lane

import (
	"io"
	"net"
	"sync"
	"time"
)

// DefaultPatience is how long a client may take none of what is sent to it.
const DefaultPatience = time.Minute

// slice is how much of a file is sent under one deadline, in bytes: a client
// must take that much in a patience, or twice it.
const slice = 1 << 20

// patient is the sending side of a connection. A client that stops reading is
// given up after a while; one that reads slowly is not. The zero patience is
// DefaultPatience.
type patient struct {
	net.Conn
	tcp      *net.TCPConn // Conn when it is one
	patience time.Duration

	mu    sync.Mutex // net/http may write from two goroutines
	until time.Time
}

// renew makes sure that at least the patience is left. A deadline is set far
// enough ahead that most calls find it good.
func (p *patient) renew() error {
	d := p.patience
	if d <= 0 {
		d = DefaultPatience
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.Sub(now) >= d {
		return nil
	}
	p.until = now.Add(2 * d)
	return p.SetWriteDeadline(p.until)
}

// Write implements net.Conn.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.renew(); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// ReadFrom lets the kernel send files, a slice at a time.
func (p *patient) ReadFrom(src io.Reader) (n int64, err error) {
	if p.tcp == nil {
		return io.Copy(struct{ io.Writer }{p}, src)
	}
	left, file := int64(1)<<62, src
	if limited, ok := src.(*io.LimitedReader); ok { // sendfile looks through one limit, not two
		left, file = limited.N, limited.R
		defer func() { limited.N -= n }()
	}
	for left > 0 {
		if err := p.renew(); err != nil {
			return n, err
		}
		want := min(left, slice)
		sent, err := p.tcp.ReadFrom(&io.LimitedReader{R: file, N: want})
		n, left = n+sent, left-sent
		if err != nil || sent < want {
			return n, err
		}
	}
	return n, nil
}

// Patient makes a listener whose connections give up on clients that stop
// reading; for servers that do not stand behind a Server.
func Patient(l net.Listener, patience time.Duration) net.Listener {
	return patientListener{l, patience}
}

type patientListener struct {
	net.Listener
	patience time.Duration
}

// Accept implements net.Listener.
func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, _ := c.(*net.TCPConn)
	return &patient{Conn: c, tcp: tcp, patience: l.patience}, nil
}
