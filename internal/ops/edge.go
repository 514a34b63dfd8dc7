package ops

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"packhouse/internal/audit"
	"packhouse/internal/identity"
	"packhouse/internal/usage"
)

// Edge is the outermost handler.
type Edge struct {
	Next    http.Handler
	Metrics *Metrics
	Log     *RequestLog   // nil: requests are not logged
	Audit   *audit.Trail  // nil: no access records
	Usage   *usage.Ledger // nil: nothing is counted
	Errors  *slog.Logger  // panics
	Now     func() time.Time
	// Trusted says whose X-Forwarded-For is believed.
	Trusted []netip.Prefix
	// BodyPatience is how long a client may take between two pieces of its
	// request's body; 0 is for ever. There is no bound on the whole.
	BodyPatience time.Duration

	pool sync.Pool
}

// Exchange is the response writer handlers below Edge get. They may set what
// they know in its Request; Edge fills in the rest. It is used again after the
// handler has returned, so nobody may keep it.
type Exchange struct {
	http.ResponseWriter
	Request Request

	wrote bool
	hex   [32]byte
	body  countingBody
	entry audit.Entry
	usage usage.Request
}

// Describe says which format, operation and repository a request was about and
// who made it, as far as known.
func (x *Exchange) Describe(format, operation, repository, principal string) {
	x.Request.Format, x.Request.Operation = format, operation
	x.Request.Repository, x.Request.Principal = repository, principal
}

// Failed notes the kind of the error a request ended with.
func (x *Exchange) Failed(kind string) { x.Request.Error = kind }

// RequestID is shown to the client and names the request in the log.
func (x *Exchange) RequestID() string { return x.Request.ID }

// ClientIP is the address of the client behind trusted proxies.
func (x *Exchange) ClientIP() netip.Addr { return x.Request.Client }

// Entry is the access record of the request, for those who know what it is
// about: Edge fills in the rest. It records nothing unless Event is set.
func (x *Exchange) Entry() *audit.Entry { return &x.entry }

// Usage is what is counted of the request, for those who know what it is about.
// Nothing is unless RepositoryID is set.
func (x *Exchange) Usage() *usage.Request { return &x.usage }

// ServeHTTP answers through Next.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, _ := e.pool.Get().(*Exchange)
	if x == nil {
		x = &Exchange{}
	}
	start := e.now()
	x.ResponseWriter, x.wrote = w, false
	x.entry, x.usage = audit.Entry{}, usage.Request{}
	x.body = countingBody{ReadCloser: r.Body, w: w, patience: e.BodyPatience}
	if r.Body != nil && r.Body != http.NoBody {
		// A request of its own: by the body of the other one net/http tells, once
		// an answer is there, whether the client still waits to be asked for it.
		counted := *r
		counted.Body = &x.body
		r = &counted
	}
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.EscapedPath()
	}
	x.Request = Request{Start: start, ID: x.newID(), Method: r.Method, Path: path, UserAgent: r.UserAgent(), Client: identity.SourceIP(r, e.Trusted)}
	e.Metrics.inFlight.Inc()
	defer func() {
		p := recover()
		e.finish(x, p)
		if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			panic(p)
		}
	}()
	e.Next.ServeHTTP(x, r)
}

func (e *Edge) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// finish counts and logs, and answers for a handler that panicked.
func (e *Edge) finish(x *Exchange, panicked any) {
	req := &x.Request
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // see above
		e.Metrics.panics.Inc()
		req.Error = "internal"
		e.Errors.Error("panic in a request", slog.String("id", req.ID), slog.String("method", req.Method), slog.String("path", req.Path),
			slog.String("panic", fmt.Sprint(panicked)), slog.String("stack", string(debug.Stack())))
		if !x.wrote {
			x.Header().Set("X-Amzn-RequestId", req.ID)
			http.Error(x, "internal error; the server's log has the details under this request id: "+req.ID, http.StatusInternalServerError)
		}
	}
	if req.Status == 0 {
		req.Status = http.StatusOK
	}
	req.In = x.body.n
	req.Duration = e.now().Sub(req.Start)
	e.Metrics.inFlight.Dec()
	e.Metrics.Request(req)
	if e.Log != nil {
		e.Log.Write(req)
	}
	if e.Audit != nil && x.entry.Event != "" {
		a := &x.entry
		a.Time, a.Method, a.Status, a.Client, a.Agent = req.Start.Add(req.Duration), req.Method, req.Status, req.Client, req.UserAgent
		e.Audit.Add(a)
	}
	if e.Usage != nil && x.usage.RepositoryID != "" {
		x.usage.Status, x.usage.Out, x.usage.Aborted = req.Status, req.Out, panicked != nil
		e.Usage.Count(&x.usage)
	}
	x.ResponseWriter, x.body.ReadCloser, x.body.w = nil, nil, nil
	// After a panic something may still hold x: let it go instead.
	if panicked == nil {
		e.pool.Put(x)
	}
}

// newID makes a request id, in the shape AWS has: a random UUID.
func (x *Exchange) newID() string {
	raw := &x.entry.ID
	a, b := rand.Uint64(), rand.Uint64() //nolint:gosec // a name for the log, no secret
	for i := range 8 {
		raw[i], raw[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	hex.Encode(x.hex[:], raw[:])
	var text [36]byte
	copy(text[:8], x.hex[:8])
	copy(text[9:13], x.hex[8:12])
	copy(text[14:18], x.hex[12:16])
	copy(text[19:23], x.hex[16:20])
	copy(text[24:], x.hex[20:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// WriteHeader notes the status.
func (x *Exchange) WriteHeader(status int) {
	if !x.wrote && status >= 200 {
		x.wrote = true
		x.Request.Status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (x *Exchange) Write(p []byte) (int, error) {
	x.begin()
	n, err := x.ResponseWriter.Write(p)
	x.Request.Out += int64(n)
	return n, err
}

// ReadFrom lets the connection use sendfile.
func (x *Exchange) ReadFrom(src io.Reader) (int64, error) {
	x.begin()
	n, err := io.Copy(x.ResponseWriter, src)
	x.Request.Out += n
	return n, err
}

func (x *Exchange) begin() {
	if !x.wrote {
		x.wrote = true
		x.Request.Status = http.StatusOK
	}
}

// Flush sends what is buffered.
func (x *Exchange) Flush() {
	x.begin()
	if err := http.NewResponseController(x.ResponseWriter).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) && !errors.Is(err, net.ErrClosed) {
		return // the next Write tells the handler
	}
}

// Unwrap is for http.ResponseController.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

type countingBody struct {
	io.ReadCloser
	n        int64
	w        http.ResponseWriter
	patience time.Duration
}

// Read counts, and gives the client some more time to send.
func (b *countingBody) Read(p []byte) (int, error) {
	if b.patience > 0 {
		// A writer without deadlines, as in tests, waits as long as it likes.
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Now().Add(b.patience))
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil && b.patience > 0 {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{}) // the handler may take long now
	}
	return n, err
}
