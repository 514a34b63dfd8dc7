// Package upstreamtest plays the outside registries: servers on loopback whose
// packages are written down as a txtar archive, which count what they are
// asked and misbehave on demand.
//
//	r := upstreamtest.NPM(t, txtar.Parse([]byte(`
//	-- left-pad/1.0.0/index.js --
//	module.exports = 1
//	`)))
//	r.Fail("GET /left-pad/-/*", upstreamtest.Fault{Corrupt: true})
//	... r.URL ...
//	r.Count("GET /left-pad") // 1
//
// A pattern is "METHOD /path" or "/path", where * stands for any characters,
// slashes too; it is held against the decoded path without its query.
package upstreamtest

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"packhouse/internal/porttest"
)

// Request is one request as the registry saw it.
type Request struct {
	Method string
	Path   string // decoded
	URI    string // as sent, with escapes and query
	Header http.Header
}

// Fault is one way to misbehave. Several fields may be set together: first the
// waiting, then the answer, then what happens to its bytes.
type Fault struct {
	Delay time.Duration   // wait before answering
	Hang  bool            // never answer; ends when the client leaves or the registry stops
	Gate  <-chan struct{} // send the first half of the body, the rest once this is closed

	Status   int         // answer with this status in place of the true answer
	Redirect string      // answer 302 to this address; a "*" in it becomes the path asked for
	HTML     bool        // answer 200 with an HTML page
	Body     []byte      // answer 200 with this body
	Header   http.Header // added to whatever is answered (Retry-After, ...)

	Corrupt  bool          // change the last byte of the body: the digest lies
	Truncate bool          // promise the whole length, send half, drop the connection
	Pace     time.Duration // wait this long after each 16 KiB of the body

	Times int // how many requests it hits; 0 = until Heal
}

// Registry is a running fake. All methods are safe for concurrent use.
type Registry struct {
	URL string // the root, ending in "/"

	addr   string
	format format

	mu       sync.Mutex
	server   *http.Server
	requests []Request
	faults   []*activeFault
}

// format knows one protocol.
type format interface {
	http.Handler
	add(a *txtar.Archive) error
}

type activeFault struct {
	pattern string
	left    int // -1 = unlimited
	Fault
}

// kinds are the protocols the fakes speak, by the API's word for the format.
func kinds() map[string]func() (format, error) {
	return map[string]func() (format, error){
		"npm":   func() (format, error) { return newNPM() },
		"nuget": func() (format, error) { return newNuGet(), nil },
		"maven": func() (format, error) { return newMaven(), nil },
		"pypi":  func() (format, error) { return newPyPI(), nil },
	}
}

// Open starts a registry of a format, by the API's word for it, with the
// packages of a; the caller calls Stop. What the files of the archive mean is
// said by the function of that name (NPM for npm).
func Open(kind string, a *txtar.Archive) (*Registry, error) {
	newFormat, ok := kinds()[kind]
	if !ok {
		return nil, fmt.Errorf("there is no fake registry for %q", kind)
	}
	f, err := newFormat()
	if err != nil {
		return nil, err
	}
	return open(f, a)
}

// running is Open for a test, which ends the registry.
func running(t testing.TB, kind string, a *txtar.Archive) *Registry {
	t.Helper()
	r, err := Open(kind, a)
	if err != nil {
		t.Fatalf("starting the fake %s registry: %v", kind, err)
	}
	t.Cleanup(r.Stop)
	return r
}

// Kind tells whether there is a fake for a format.
func Kind(name string) bool { _, ok := kinds()[name]; return ok }

// open starts a registry of a format with the packages of a.
func open(f format, a *txtar.Archive) (*Registry, error) {
	if a != nil {
		if err := f.add(a); err != nil {
			return nil, err
		}
	}
	r := &Registry{format: f}
	if err := r.Start(); err != nil {
		return nil, err
	}
	return r, nil
}

// Add publishes the packages of a as well; versions that exist are replaced.
func (r *Registry) Add(a *txtar.Archive) error { return r.format.add(a) }

func (r *Registry) listen() (net.Listener, error) {
	if r.addr == "" {
		return porttest.Listen()
	}
	return net.Listen("tcp", r.addr)
}

// Start serves again, at the same address, after Stop.
func (r *Registry) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return nil
	}
	l, err := r.listen()
	if err != nil {
		return err
	}
	r.addr = l.Addr().String()
	r.URL = "http://" + r.addr + "/"
	r.server = &http.Server{Handler: r}
	go r.server.Serve(l) //nolint:errcheck // it says only that Stop was called
	return nil
}

// Stop refuses connections from now on and cuts those that are open.
func (r *Registry) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		return
	}
	r.server.Close()
	r.server = nil
}

// Fail makes requests that match pattern fail. The newest fault that matches
// decides.
func (r *Registry) Fail(pattern string, f Fault) {
	left := -1
	if f.Times > 0 {
		left = f.Times
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, &activeFault{pattern, left, f})
}

// Heal ends all faults.
func (r *Registry) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Count tells how many requests so far match pattern.
func (r *Registry) Count(pattern string) int {
	n := 0
	for _, q := range r.Requests() {
		if matches(pattern, q.Method, q.Path) {
			n++
		}
	}
	return n
}

// Requests are all requests so far, oldest first.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Forget empties the list of requests.
func (r *Registry) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// Bytes is the true answer to a GET of path (below the root, without the
// leading slash), outside of faults and of the list of requests; nil when
// there is none.
func (r *Registry) Bytes(path string) []byte {
	w := httptest.NewRecorder()
	q := httptest.NewRequest(http.MethodGet, r.URL+path, nil)
	r.format.ServeHTTP(w, q)
	if w.Code != http.StatusOK {
		return nil
	}
	return w.Body.Bytes()
}

// ServeHTTP notes the request and answers it, well or badly.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f := r.note(q)
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-q.Context().Done():
			return
		}
	}
	if f.Hang {
		<-q.Context().Done()
		panic(http.ErrAbortHandler)
	}
	answer := httptest.NewRecorder()
	switch {
	case f.Status != 0:
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(f.Status)
		fmt.Fprintf(answer, `{"error":"made to fail with %d"}`, f.Status)
	case f.Redirect != "":
		http.Redirect(answer, q, strings.Replace(f.Redirect, "*", strings.TrimPrefix(q.URL.EscapedPath(), "/"), 1), http.StatusFound)
	case f.HTML:
		answer.Header().Set("Content-Type", "text/html")
		fmt.Fprint(answer, "<!DOCTYPE html><html><body>Please sign in to the network</body></html>")
	case f.Body != nil:
		answer.Header().Set("Content-Type", "application/json")
		answer.Write(f.Body) //nolint:errcheck // memory
	default:
		r.format.ServeHTTP(answer, q)
	}
	maps.Copy(answer.Header(), f.Header)
	f.send(w, q, answer)
}

// send copies the answer, damaged as the fault says.
func (f *Fault) send(w http.ResponseWriter, q *http.Request, answer *httptest.ResponseRecorder) {
	body := answer.Body.Bytes()
	if f.Corrupt && len(body) > 0 {
		body[len(body)-1] ^= 0xff
	}
	maps.Copy(w.Header(), answer.Header())
	if q.Method != http.MethodHead && answer.Code != http.StatusNotModified {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(answer.Code)
	flush := func() {
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	half := len(body) / 2
	switch {
	case f.Truncate:
		w.Write(body[:half])
		flush()
		panic(http.ErrAbortHandler)
	case f.Gate != nil:
		w.Write(body[:half])
		flush()
		select {
		case <-f.Gate:
		case <-q.Context().Done():
			return
		}
		w.Write(body[half:])
	case f.Pace > 0:
		tick := time.NewTicker(f.Pace)
		defer tick.Stop()
		for piece := range slices.Chunk(body, 16<<10) {
			w.Write(piece)
			flush()
			select {
			case <-tick.C:
			case <-q.Context().Done():
				return
			}
		}
	default:
		w.Write(body)
	}
}

// note records the request and picks the fault that hits it.
func (r *Registry) note(q *http.Request) Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, Request{Method: q.Method, Path: q.URL.Path, URI: q.RequestURI, Header: q.Header.Clone()})
	for _, f := range slices.Backward(r.faults) {
		if f.left != 0 && matches(f.pattern, q.Method, q.URL.Path) {
			if f.left > 0 {
				f.left--
			}
			return f.Fault
		}
	}
	return Fault{}
}

// matches holds a pattern (see the package comment) against a request.
func matches(pattern, method, path string) bool {
	if m, rest, ok := strings.Cut(pattern, " "); ok {
		if m != method && m != "*" {
			return false
		}
		pattern = rest
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return path == pattern
	}
	last := len(parts) - 1
	path, ok := strings.CutPrefix(path, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1:last] {
		i := strings.Index(path, part)
		if i < 0 {
			return false
		}
		path = path[i+len(part):]
	}
	return strings.HasSuffix(path, parts[last])
}
