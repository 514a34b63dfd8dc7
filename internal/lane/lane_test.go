package lane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// start serves handler on loopback and gives the address.
func start(t testing.TB, handler http.HandlerFunc) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Rest: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_, _ = s.Close(), <-done
	})
	return s, l.Addr().String()
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

// read takes one answer off the connection.
func read(t testing.TB, r *bufio.Reader, method string) (answer, error) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	res.Header.Del("Date")
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// byLane tells a handler who serves it.
func byLane(w http.ResponseWriter) bool {
	_, ok := w.(*writer)
	return ok
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Lane", strconv.FormatBool(byLane(w)))
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.Host, body)
}

func TestServer_PlainReadsShareOneConnection(t *testing.T) {
	_, address := start(t, echo)
	c := dial(t, address)
	r := bufio.NewReader(c)
	for _, path := range []string{"/a", "/a", "/b%2fc?x=1", "/a"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h.test\r\nAccept: */*\r\n\r\n", path)
		got, err := read(t, r, "GET")
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(path)
		want := answer{200, http.Header{"X-Lane": {"true"}, "Content-Length": {strconv.Itoa(len("GET  h.test ") + len(u.Path))}}, "GET " + u.Path + " h.test "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestServer_AnythingElseGoesToNetHTTP(t *testing.T) {
	for name, head := range map[string]string{
		"body":       "POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody",
		"chunked":    "PUT /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"get body":   "GET /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody",
		"old":        "GET /a HTTP/1.0\r\nHost: h.test\r\n\r\n",
		"close":      "GET /a HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n",
		"absolute":   "GET http://h.test/a HTTP/1.1\r\nHost: h.test\r\n\r\n",
		"utf-8":      "GET /a HTTP/1.1\r\nHost: h.test\r\nUser-Agent: caf\xc3\xa9\r\n\r\n",
		"long":       "GET /a HTTP/1.1\r\nHost: h.test\r\nX-Long: " + strings.Repeat("x", headSize) + "\r\n\r\n",
		"bare lines": "GET /a HTTP/1.1\nHost: h.test\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, address := start(t, echo)
			c := dial(t, address)
			// A plain request first: the connection is handed over in the middle.
			if _, err := io.WriteString(c, "GET /first HTTP/1.1\r\nHost: h.test\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			if got, err := read(t, r, "GET"); err != nil || got.Header.Get("X-Lane") != "true" {
				t.Fatalf("first: %+v, %v", got, err)
			}
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			if name == "bare lines" { // no end of head that this package sees: send one
				if _, err := io.WriteString(c, "GET /b HTTP/1.1\r\nHost: h.test\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
			}
			got, err := read(t, r, "GET")
			if err != nil || got.Status != 200 || got.Header.Get("X-Lane") != "false" || !strings.Contains(got.Body, " /a h.test") {
				t.Fatalf("%+v, %v", got, err)
			}
			if strings.Contains(head, "body") && !strings.HasSuffix(got.Body, "body") {
				t.Errorf("the body was lost: %q", got.Body)
			}
		})
	}
}

// Addresses in answers are made of the Host: one that net/http refuses must not
// get past it.
func TestServer_HostThatNetHTTPRefuses(t *testing.T) {
	_, address := start(t, echo)
	for _, host := range []string{`h"<x>.test`, "h^.test", "h{}.test"} {
		c := dial(t, address)
		fmt.Fprintf(c, "GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		if got, err := read(t, bufio.NewReader(c), "GET"); err != nil || got.Status != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
}

func TestServer_PipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	_, address := start(t, echo)
	c := dial(t, address)
	if _, err := io.WriteString(c, strings.Repeat("GET /one HTTP/1.1\r\nHost: h.test\r\n\r\nHEAD /two HTTP/1.1\r\nHost: h.test\r\n\r\n", 20)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for range 20 {
		one, err := read(t, r, "GET")
		if err != nil || one.Body != "GET /one h.test " {
			t.Fatalf("%+v, %v", one, err)
		}
		two, err := read(t, r, "HEAD")
		if err != nil || two.Body != "" {
			t.Fatalf("%+v, %v", two, err)
		}
	}
}

func TestWriter_Framing(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 8<<10)
	file := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(file, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    answer
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, answer{200, http.Header{"Content-Length": {"0"}}, ""}},
		"small": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			_, _ = io.WriteString(w, "b")
		}, answer{200, http.Header{"Content-Length": {"2"}}, "ab"}},
		"big of unknown length": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "start")
			_, _ = io.WriteString(w, big)
		}, answer{200, http.Header{}, "start" + big}},
		"big of known length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(big)))
			_, _ = io.WriteString(w, big)
		}, answer{200, http.Header{"Content-Length": {strconv.Itoa(len(big))}}, big}},
		"in pieces of known length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(big)))
			for i := 0; i < len(big); i += 1 << 10 {
				_, _ = io.WriteString(w, big[i:i+1<<10])
			}
		}, answer{200, http.Header{"Content-Length": {strconv.Itoa(len(big))}}, big}},
		"file": {func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			w.Header().Set("Content-Length", strconv.Itoa(len(big)))
			_, _ = io.Copy(w, f)
		}, answer{200, http.Header{"Content-Length": {strconv.Itoa(len(big))}}, big}},
		"file of unknown length": {func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			_, _ = io.Copy(w, f)
		}, answer{200, http.Header{}, big}},
		"not modified": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		}, answer{304, http.Header{"Etag": {`"x"`}}, ""}},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "b")
		}, answer{200, http.Header{}, "ab"}},
		"error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) }, answer{404, http.Header{
			"Content-Length": {"3"}, "Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"},
		}, "no\n"}},
		"a value with line ends": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Split", "a\r\nX-Evil: 1") }, answer{200, http.Header{
			"Content-Length": {"0"}, "X-Split": {"a  X-Evil: 1"},
		}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := start(t, test.handler)
			c := dial(t, address)
			r := bufio.NewReader(c)
			for range 2 { // twice: the connection must be whole afterwards
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				got, err := read(t, r, "GET")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

func TestWriter_BrokenAnswersDoNotLookComplete(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"less than declared": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
		},
		"abort": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 2*holdLimit))
			panic(http.ErrAbortHandler)
		},
		"panic": func(http.ResponseWriter, *http.Request) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			_, address := start(t, handler)
			c := dial(t, address)
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if got, err := read(t, bufio.NewReader(c), "GET"); err == nil {
				t.Fatalf("the client took %+v for complete", got)
			}
		})
	}
}

func TestServer_ShutdownWaitsForAnswers(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	idle, busy := dial(t, address), dial(t, address)
	if _, err := io.WriteString(busy, "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // a plain end of the connection
		t.Errorf("the idle connection got %v, want EOF", err)
	}
	close(release)
	if got, err := read(t, bufio.NewReader(busy), "GET"); err != nil || got.Body != "done" {
		t.Errorf("the busy one got %+v, %v", got, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close()
		t.Error("it still accepts")
	}
}

// A connection that comes to rest just after the idle ones were closed must not
// hold the shutdown until its patience ends.
func TestServer_ConnectionThatComesToRestWhileStoppingEnds(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	s := &Server{Rest: &http.Server{}}
	s.stopping.Store(true)
	c := &conn{server: s, net: ours, buf: make([]byte, 0, headSize)}
	ended := make(chan bool, 1)
	go func() {
		_, ok := c.readHead(false)
		ended <- ok
	}()
	select {
	case ok := <-ended:
		if ok {
			t.Error("a head was read")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a request")
	}
}

// The time for a head that came with the request before it begins when that is
// answered.
func TestServer_HeadBehindASlowAnswerHasItsOwnTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const patience = time.Second
	slow := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(patience + 50*time.Millisecond)
		}
		echo(w, r)
	}
	s := &Server{Rest: &http.Server{Handler: http.HandlerFunc(slow), ReadHeaderTimeout: patience}, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	defer func() { _, _ = s.Close(), <-done }()
	c := dial(t, l.Addr().String())
	r := bufio.NewReader(c)
	fmt.Fprint(c, "GET /slow HTTP/1.1\r\nHost: h.test\r\n\r\nGET /next HTTP/1.1\r\nHo")
	if _, err := read(t, r, "GET"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "st: h.test\r\n\r\n")
	if got, err := read(t, r, "GET"); err != nil || got.Body != "GET /next h.test " {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestServer_SlowHeadIsCutOff(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Rest: &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 50 * time.Millisecond}, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	defer func() { _, _ = s.Close(), <-done }()
	c := dial(t, l.Addr().String())
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("the half request was answered")
	}
}

func TestServer_ClientThatDoesNotReadIsGivenUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 64 << 20 // more than the kernel takes in
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ method, send string }{
		"here":        {"GET", "memory"},
		"here, file":  {"GET", "file"},
		"by net/http": {"POST", "memory"},
		"its file":    {"POST", "file"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			handler := func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(size))
				src := io.Reader(io.NewSectionReader(f, 0, size))
				if test.send == "file" {
					g, err := os.Open(file)
					if err != nil {
						panic(err)
					}
					defer g.Close()
					src = g
				}
				_, err := io.Copy(w, src)
				ended <- err
			}
			s := &Server{Rest: &http.Server{Handler: http.HandlerFunc(handler)}, Log: slog.New(slog.DiscardHandler), Patience: 50 * time.Millisecond}
			done := make(chan error, 1)
			go func() { done <- s.Serve(l) }()
			defer func() { _, _ = s.Close(), <-done }()
			c := dial(t, l.Addr().String())
			if _, err := fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: h.test\r\n%s\r\n", test.method, map[string]string{"POST": "Content-Length: 0\r\n"}[test.method]); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Fatal("64 MiB were sent to a client that read nothing")
			}
		})
	}
}

// FuzzParse holds what this package makes of a head against net/http's reading
// of it: what it takes for plain, net/http must read in the same way, without a
// body.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD /@s%2fn?x=1&y HTTP/1.1\r\nHost: h:80\r\nAccept: a\r\nAccept: b\r\nIf-None-Match: \"x\"\r\n\r\n",
		"GET /a//b/../c HTTP/1.1\r\nhost: h\r\nConnection: Keep-Alive\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
		"GET /a;b=c:d!$&'()*+,=@~ HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		end := bytes.Index(head, crlf2)
		if end < 0 {
			return
		}
		head = head[:end+len(crlf2)]
		c := &conn{request: &http.Request{URL: &url.URL{}}}
		if !c.parse(head) {
			return
		}
		got := c.request
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", head, err)
		}
		type request struct {
			Method, Host, RequestURI string
			URL                      url.URL
			Header                   http.Header
		}
		if diff := cmp.Diff(
			request{want.Method, want.Host, want.RequestURI, *want.URL, want.Header},
			request{got.Method, got.Host, got.RequestURI, *got.URL, got.Header}, cmp.AllowUnexported(url.Userinfo{})); diff != "" {
			t.Errorf("%q is read in two ways:\n%s", head, diff)
		}
		if want.ContentLength != 0 || want.Close {
			t.Errorf("%q is not plain: length %d, close %v", head, want.ContentLength, want.Close)
		}
		// Reading it again must not depend on what was remembered.
		if !c.parse(head) {
			t.Errorf("%q is plain only the first time", head)
		}
	})
}

func BenchmarkServer(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 5000)
	length := []string{strconv.Itoa(len(body))}
	handler := func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = length
		_, _ = w.Write(body)
	}
	_, address := start(b, handler)
	c := dial(b, address)
	request := []byte("GET /package HTTP/1.1\r\nHost: h.test\r\nAuthorization: Bearer x\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < len(body)+70; {
			n, err := c.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			got += n
		}
	}
}

// TestServer_StoppingIsNoFailure: net/http behind the lane may learn of the end
// from its listener, which the lane closes, before it is told to shut down.
func TestServer_StoppingIsNoFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Rest: &http.Server{Handler: http.NotFoundHandler()}, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	dial(t, l.Addr().String()).Close()
	s.stop() // the first half of Shutdown and of Close
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve ended with %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
