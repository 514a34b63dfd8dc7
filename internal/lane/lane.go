// Package lane answers plain reads on keep-alive connections with less work per
// request than net/http, and leaves everything else to net/http.
//
// Most of what a package server is asked is a GET without a body, many on one
// connection, answered from memory. net/http spends more on such a request than
// the answer costs: a goroutine and two deadlines to watch for a client that
// leaves, a fresh header map, a write buffer that splits small answers in two.
//
// A Server reads the head of each request. A GET or HEAD in the plainest form
// of HTTP/1.1 is answered here. On anything else (a body, another version, an
// upgrade, a header out of the ordinary) the connection, with what has been
// read of it, goes to net/http for good. So this package decides only about
// requests it understands completely, and a fuzz test holds its reading of them
// against net/http's.
//
// Two differences a handler can see: the request's context ends with the
// connection, not when the client leaves during the request; and a Request is
// used again for the next one on the connection, so it must not be kept.
package lane

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves one listener. Set its fields before Serve.
type Server struct {
	// Rest serves what is not plain: its Handler serves plain reads too, and
	// its time-outs hold for both.
	Rest *http.Server
	Log  *slog.Logger // panics that no handler recovered
	// Patience is how long a client may take none of what is sent to it; 0 is
	// DefaultPatience.
	Patience time.Duration

	mu       sync.Mutex
	listener net.Listener
	conns    map[*conn]struct{}
	handed   *handedOver
	stopping atomic.Bool
	active   sync.WaitGroup // connections being served here
}

const (
	headSize        = 8 << 10 // a longer head goes to net/http
	defaultIdle     = 2 * time.Minute
	defaultHeadTime = 10 * time.Second
	// deadlineSlack is how much a deadline may be older than the request it
	// guards: renewing it on every request costs more than it is worth.
	deadlineSlack = 5 * time.Second
)

// Serve answers connections of l until Shutdown or Close; then it returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	s.listener, s.conns = l, map[*conn]struct{}{}
	s.handed = &handedOver{conns: make(chan net.Conn), done: make(chan struct{}), addr: l.Addr()}
	s.mu.Unlock()
	rest := make(chan error, 1)
	go func() { rest <- s.Rest.Serve(s.handed) }()
	for {
		c, err := l.Accept()
		if err != nil {
			if s.stopping.Load() {
				if err := <-rest; !errors.Is(err, net.ErrClosed) { // its listener may have ended before it was told to shut down
					return err
				}
				return http.ErrServerClosed
			}
			if temporary(err) {
				time.Sleep(5 * time.Millisecond) // out of file descriptors: some will be free soon
				continue
			}
			_ = s.handed.Close()
			return errors.Join(err, <-rest)
		}
		s.start(c)
	}
}

// temporary tells whether accepting may work again shortly.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func (s *Server) start(nc net.Conn) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), http.LocalAddrContextKey, nc.LocalAddr()))
	tcp, _ := nc.(*net.TCPConn)
	c := &conn{server: s, net: nc, out: &patient{Conn: nc, tcp: tcp, patience: s.Patience}, cancel: cancel}
	c.request = (&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, URL: &url.URL{}, RemoteAddr: nc.RemoteAddr().String(),
	}).WithContext(ctx)
	c.writer = writer{conn: c, header: make(http.Header, 8)}
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		cancel()
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.active.Add(1)
	s.mu.Unlock()
	go c.serve()
}

// Shutdown stops accepting, closes connections that wait for a request, and
// waits until the others have been answered, or ctx ends: then it closes them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.active.Wait()
		close(done)
	}()
	err := s.Rest.Shutdown(ctx)
	select {
	case <-done:
		return err
	case <-ctx.Done():
		s.closeAll(false)
		return errors.Join(err, context.Cause(ctx))
	}
}

// Close closes everything at once.
func (s *Server) Close() error {
	s.stop()
	s.closeAll(false)
	return s.Rest.Close()
}

func (s *Server) stop() {
	s.mu.Lock()
	s.stopping.Store(true)
	if s.listener != nil {
		_ = s.listener.Close()
	}
	handed := s.handed
	s.mu.Unlock()
	s.closeAll(true)
	if handed != nil {
		_ = handed.Close()
	}
}

func (s *Server) closeAll(idleOnly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if idleOnly && !c.idle.Load() {
			continue
		}
		_ = c.net.Close()
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.active.Done()
}

// conn is one connection as long as it is served here.
type conn struct {
	server *Server
	net    net.Conn
	out    *patient // net, for writing
	cancel context.CancelFunc
	idle   atomic.Bool // waits for a request

	buf     []byte // what has been read; head of the next request first
	request *http.Request
	header  []byte // the header lines that request.Header was read from
	target  string // the request target that request.URL was read from
	writer  writer

	deadline time.Time // of reading, as set
}

var buffers = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool is shared by nature
	b := make([]byte, 0, headSize)
	return &b
}}

func (c *conn) serve() {
	handedOver := false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			c.server.Log.Error("panic while serving a connection", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
		c.server.forget(c)
		if !handedOver {
			c.cancel()
			_ = c.net.Close()
		}
	}()
	pooled := buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer buffers.Put(pooled)
	c.buf = (*pooled)[:0]
	for first := true; ; first = false {
		n, ok := c.readHead(first)
		if n == 0 && !ok {
			return // closed, timed out, or broken
		}
		if !ok || !c.parse(c.buf[:n]) {
			handedOver = c.handOver()
			return
		}
		keep := c.answer()
		c.buf = c.buf[:copy(c.buf, c.buf[n:])]
		if !keep || c.server.stopping.Load() {
			return
		}
		if len(c.buf) > 0 {
			c.deadline = time.Time{} // a head has begun; what is set was for the one before
		}
	}
}

// readHead reads until the blank line that ends a head and gives its length. A
// head that does not fit comes back as not ok with n > 0.
func (c *conn) readHead(first bool) (n int, ok bool) {
	scanned := 0
	for {
		if i := bytes.Index(c.buf[scanned:], crlf2); i >= 0 {
			return scanned + i + len(crlf2), true
		}
		if len(c.buf) == cap(c.buf) {
			return len(c.buf), false
		}
		scanned = max(len(c.buf)-len(crlf2)+1, 0)
		if !c.patience(first || len(c.buf) > 0) {
			return 0, false
		}
		c.idle.Store(len(c.buf) == 0)
		if len(c.buf) == 0 && c.server.stopping.Load() {
			return 0, false // stop may have looked just before this connection was idle
		}
		m, err := c.net.Read(c.buf[len(c.buf):cap(c.buf)])
		c.idle.Store(false)
		c.buf = c.buf[:len(c.buf)+m]
		if m == 0 && err != nil {
			return 0, false
		}
	}
}

var crlf2 = []byte("\r\n\r\n") //nolint:gochecknoglobals // a constant

// patience sets the deadline of the next read: that of a head that has begun
// or is due, or that of a connection at rest.
func (c *conn) patience(head bool) bool {
	limit, def := c.server.Rest.IdleTimeout, defaultIdle
	if head {
		limit, def = c.server.Rest.ReadHeaderTimeout, defaultHeadTime
	}
	if limit <= 0 {
		limit = def
	}
	want := time.Now().Add(limit)
	slack := min(deadlineSlack, limit/2)
	if !head && want.Sub(c.deadline) < slack && c.deadline.Before(want) {
		return true
	}
	if head && !c.deadline.IsZero() && len(c.buf) > 0 && c.deadline.Before(want) {
		return true // set when the head began
	}
	c.deadline = want
	return c.net.SetReadDeadline(want) == nil
}

// answer runs the handler and tells whether the connection may go on.
func (c *conn) answer() (keep bool) {
	out := outs.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer outs.Put(out)
	w := &c.writer
	w.reset(c.request.Method == http.MethodHead, (*out)[:0])
	c.server.Rest.Handler.ServeHTTP(w, c.request)
	return w.finish()
}

// handOver gives the connection to net/http, as if nothing had been read.
func (c *conn) handOver() bool {
	if c.net.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	return c.server.handed.take(&replayed{patient: c.out, head: bytes.Clone(c.buf), cancel: c.cancel})
}

// handedOver is the listener net/http accepts from.
type handedOver struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func (h *handedOver) take(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

// Accept implements net.Listener.
func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handedOver) Addr() net.Addr { return h.addr }
