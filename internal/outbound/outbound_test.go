package outbound

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

// clock is a time that moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// waits records what a client slept instead of sleeping.
type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (w *waits) sleep(_ context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, d)
	return nil
}

func client(t *testing.T, options Options) (*Client, *waits) {
	t.Helper()
	c, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := &waits{}
	c.sleep, c.jitter = w.sleep, func() float64 { return 0.5 }
	return c, w
}

func remote(t *testing.T, c *Client, base string, options RemoteOptions) *Remote {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if options.Name == "" {
		options.Name = "npm.test"
	}
	r, err := c.Remote(u, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// get reads a whole answer.
func get(t *testing.T, r *Remote, address string) (string, error) {
	t.Helper()
	res, err := r.Get(t.Context(), address, 0)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// resolver answers every A question from a table, over a pipe.
func resolver(names map[string]string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerDNS(ours, names)
		return theirs, nil
	}}
}

// answerDNS speaks DNS over TCP (RFC 1035, 4.2.2), one question a message.
func answerDNS(conn net.Conn, names map[string]string) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		q := make([]byte, size)
		if _, err := io.ReadFull(conn, q); err != nil {
			return
		}
		var labels []string
		at := 12
		for q[at] != 0 {
			labels = append(labels, string(q[at+1:at+1+int(q[at])]))
			at += 1 + int(q[at])
		}
		question := q[12 : at+5]
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		ip, ok := names[strings.ToLower(strings.Join(labels, "."))]
		if kind := binary.BigEndian.Uint16(q[at+1:]); ok && kind == 1 {
			a[7] = 1
			a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
			a = append(a, netip.MustParseAddr(ip).AsSlice()...)
		}
		if binary.Write(conn, binary.BigEndian, uint16(len(a))) != nil {
			return
		}
		if _, err := conn.Write(a); err != nil {
			return
		}
	}
}

func portOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestRefusal(t *testing.T) {
	tests := map[string]bool{ // public?
		"1.1.1.1": true, "8.8.8.8": true, "100.63.255.255": true, "100.128.0.0": true, "172.32.0.1": true,
		"2606:4700::1111": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "2002:808:808::1": true,

		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "198.18.0.1": false,
		"224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false,
		"ff02::1": false, "fec0::1": false, "64:ff9b:1::1": false, "2001:0:1::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "2002:7f00:1::1": false, "2002:a00:1::": false,
		"::127.0.0.1": false, "::ffff:0:127.0.0.1": false,
	}
	for text, public := range tests {
		if got := refusal(netip.MustParseAddr(text)); (got == "") != public {
			t.Errorf("%s: %q, public should be %t", text, got, public)
		}
	}
	if refusal(netip.Addr{}) == "" {
		t.Error("no address is public")
	}
}

func TestRemote_AsksItsTrustedHost(t *testing.T) {
	var got []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.RequestURI+" "+r.UserAgent()+" "+r.Header.Get("Accept-Encoding"))
		fmt.Fprint(w, "hello")
	})
	c, _ := client(t, Options{UserAgent: "packhouse/1"})
	r := remote(t, c, s.URL+"/npm", RemoteOptions{})
	for _, address := range []string{"left-pad", "@scope%2fname?write=true", s.URL + "/elsewhere"} {
		if body, err := get(t, r, address); err != nil || body != "hello" {
			t.Errorf("%s: %q, %v", address, body, err)
		}
	}
	want := []string{"/npm/left-pad packhouse/1 ", "/npm/@scope%2fname?write=true packhouse/1 ", "/elsewhere packhouse/1 "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGuard_WhereARemoteMayLead(t *testing.T) {
	var hits atomic.Int64
	inside := serve(t, func(w http.ResponseWriter, _ *http.Request) { hits.Add(1); fmt.Fprint(w, "secret") })
	port := portOf(t, inside)
	names := map[string]string{"files.test": "127.0.0.1", "meta.test": "169.254.169.254", "lan.test": "192.168.7.7"}
	tests := []struct {
		name    string
		to      string
		allow   []string
		trusted []string
		reached bool
	}{
		{name: "loopback address", to: "http://127.0.0.1:" + port},
		{name: "another loopback address", to: "http://127.1.2.3:" + port},
		{name: "localhost", to: "http://localhost:" + port},
		{name: "unspecified", to: "http://0.0.0.0:" + port},
		{name: "IPv6 loopback", to: "http://[::1]:" + port},
		{name: "IPv4-mapped", to: "http://[::ffff:127.0.0.1]:" + port},
		{name: "name of loopback", to: "http://files.test:" + port},
		{name: "name of link-local", to: "http://meta.test:" + port},
		{name: "name of private", to: "http://lan.test:" + port},
		{name: "decimal address", to: "http://2130706433:" + port},
		{name: "allowed prefix", to: "http://files.test:" + port, allow: []string{"10.0.0.0/8", "127.0.0.0/8"}, reached: true},
		{name: "allowed address", to: "http://127.0.0.1:" + port, allow: []string{"127.0.0.1"}, reached: true},
		{name: "other prefix allowed", to: "http://files.test:" + port, allow: []string{"10.0.0.0/8"}},
		{name: "allowed name", to: "http://FILES.test:" + port, allow: []string{"files.test"}, reached: true},
		{name: "allowed name and port", to: "http://files.test:" + port, allow: []string{"files.test:" + port}, reached: true},
		{name: "name allowed on another port", to: "http://files.test:" + port, allow: []string{"files.test:1"}},
		{name: "trusted by the remote", to: "http://files.test:" + port, trusted: []string{"files.test"}, reached: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			front := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, tt.to, http.StatusFound) })
			c, waited := client(t, Options{Allow: tt.allow, Resolver: resolver(names)})
			r := remote(t, c, front.URL, RemoteOptions{Trusted: tt.trusted})
			for how, address := range map[string]string{"document": tt.to, "redirect": "x"} {
				before := hits.Load()
				body, err := get(t, r, address)
				if tt.reached && (err != nil || body != "secret") {
					t.Errorf("%s: %q, %v", how, body, err)
				}
				if !tt.reached && (hits.Load() != before || err == nil) {
					t.Errorf("%s reached it: %q", how, body)
				}
				// A machine's resolver may not know odd spellings at all.
				if !tt.reached && !errors.Is(err, ErrForbidden) && tt.name != "decimal address" {
					t.Errorf("%s: %v, want ErrForbidden", how, err)
				}
				if !tt.reached && !fault.Is(err, fault.Upstream) {
					t.Errorf("%s: kind %s", how, fault.Of(err))
				}
			}
			if len(waited.all) > 0 && tt.name != "decimal address" {
				t.Errorf("retried after %v", waited.all)
			}
		})
	}
}

func TestGuard_TrustOfOneRemoteIsNotAnothers(t *testing.T) {
	var hits atomic.Int64
	inside := serve(t, func(w http.ResponseWriter, _ *http.Request) { hits.Add(1); fmt.Fprint(w, "inside") })
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") })
	c, _ := client(t, Options{})
	if _, err := get(t, remote(t, c, inside.URL, RemoteOptions{}), ""); err != nil {
		t.Fatal(err)
	}
	// The first remote's connection now idles in a pool.
	if _, err := get(t, remote(t, c, other.URL, RemoteOptions{}), inside.URL); !errors.Is(err, ErrForbidden) {
		t.Errorf("%v, want ErrForbidden", err)
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests arrived", hits.Load())
	}
}

func TestNew_RefusesMalformedAllow(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/99", "http://host/", "*.corp.test", "user@host"} {
		if _, err := New(Options{Allow: []string{bad}}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestRemote_RefusesOtherSchemes(t *testing.T) {
	c, _ := client(t, Options{})
	for _, bad := range []string{"ftp://host/", "file:///etc/passwd", "//host", "http://"} {
		u, err := url.Parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Remote(u, RemoteOptions{}); err == nil {
			t.Errorf("remote at %q", bad)
		}
	}
	r := remote(t, c, "http://127.0.0.1:1/", RemoteOptions{})
	for _, bad := range []string{"file:///etc/passwd", "ftp://host/x", "http://", "gopher://x", "http://[::1"} {
		if _, err := get(t, r, bad); !errors.Is(err, ErrAddress) || !fault.Is(err, fault.Upstream) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRedirect_Limit(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		if n == 0 {
			fmt.Fprint(w, "arrived")
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
	})
	c, _ := client(t, Options{})
	r := remote(t, c, s.URL, RemoteOptions{})
	if body, err := get(t, r, "5"); err != nil || body != "arrived" {
		t.Errorf("five: %q, %v", body, err)
	}
	if _, err := get(t, r, "6"); !errors.Is(err, ErrRedirect) || !fault.Is(err, fault.Upstream) {
		t.Errorf("six: %v", err)
	}
}

func TestRedirect_CredentialsStayHome(t *testing.T) {
	seen := map[string]http.Header{}
	record := func(name string, w http.ResponseWriter, r *http.Request) {
		seen[name] = r.Header.Clone()
		fmt.Fprint(w, "ok")
	}
	files := serve(t, func(w http.ResponseWriter, r *http.Request) { record("files", w, r) })
	var home *httptest.Server
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, strings.Replace(files.URL, "http://", "http://u:p@", 1), http.StatusTemporaryRedirect)
		case "/around":
			http.Redirect(w, r, home.URL+"/stay", http.StatusTemporaryRedirect)
		default:
			record("home", w, r)
		}
	})
	tests := []struct {
		name, base string
		options    RemoteOptions
		want       string
	}{
		{"of the address", strings.Replace(home.URL, "http://", "http://user:pw@", 1), RemoteOptions{}, "Basic dXNlcjpwdw=="},
		{"of the options", home.URL, RemoteOptions{Authorize: func(r *http.Request) { r.Header.Set("Authorization", "Bearer t") }}, "Bearer t"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := client(t, Options{Allow: []string{"127.0.0.1"}})
			r := remote(t, c, tt.base, tt.options)
			header := http.Header{"Accept": {"x/y"}, "X-Api-Key": {"secret"}, "Cookie": {"a=b"}}
			for _, path := range []string{"/away", "/around", files.URL} {
				q := Request{URL: path}
				if path != files.URL {
					q.Header = header
				}
				res, err := r.Do(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
			}
			if got := seen["home"]; got.Get("Authorization") != tt.want || got.Get("X-Api-Key") != "secret" {
				t.Errorf("home saw %v", got)
			}
			for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Referer"} {
				if got := seen["files"].Get(name); got != "" {
					t.Errorf("another host saw %s: %q", name, got)
				}
			}
		})
	}
}

func TestRedirect_Downgrade(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer secure.Close()
	for _, allowed := range []bool{false, true} {
		tls := secure.Client().Transport.(*http.Transport).TLSClientConfig
		c, _ := client(t, Options{AllowDowngrade: allowed, TLS: tls, Allow: []string{"127.0.0.1"}})
		_, err := get(t, remote(t, c, secure.URL, RemoteOptions{}), "x")
		if allowed && err != nil || !allowed && !errors.Is(err, ErrRedirect) {
			t.Errorf("allowed %t: %v", allowed, err)
		}
	}
}

func TestDo_ClassifiesStatus(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	})
	tests := []struct {
		status int
		is     error
		kind   fault.Kind
	}{
		{404, ErrNotFound, fault.NotFound},
		{410, ErrNotFound, fault.NotFound},
		{401, ErrRefused, fault.Upstream},
		{403, ErrRefused, fault.Upstream},
		{451, ErrRefused, fault.Upstream},
		{429, ErrThrottled, fault.Upstream},
		{400, nil, fault.Upstream},
		{500, nil, fault.Upstream},
		{503, nil, fault.Upstream},
	}
	classes := []error{ErrNotFound, ErrRefused, ErrThrottled, ErrOpen, ErrForbidden, ErrTimeout}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			c, _ := client(t, Options{})
			_, err := get(t, remote(t, c, s.URL, RemoteOptions{}), fmt.Sprint(tt.status))
			if got := fault.Of(err); got != tt.kind {
				t.Errorf("kind %s, want %s", got, tt.kind)
			}
			if got, want := fault.Message(err), fmt.Sprintf("remote npm.test answered %d", tt.status); got != want {
				t.Errorf("message %q, want %q", got, want)
			}
			for _, class := range classes {
				if got, want := errors.Is(err, class), errors.Is(tt.is, class); got != want {
					t.Errorf("is %v: %t, want %t", class, got, want)
				}
			}
			if status, ok := errors.AsType[*StatusError](err); !ok || status.Status != tt.status {
				t.Errorf("status error %+v", status)
			}
		})
	}
	for _, good := range []int{200, 204, 206, 304} {
		c, _ := client(t, Options{})
		if _, err := get(t, remote(t, c, s.URL, RemoteOptions{}), fmt.Sprint(good)); err != nil {
			t.Errorf("%d: %v", good, err)
		}
	}
}

func TestDo_Retries(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name     string
		method   string
		answers  []int // 0 breaks the connection
		after    string
		want     int // status in the end, 0 for an error without
		requests int
		waited   []time.Duration
	}{
		{"success at once", "GET", []int{200}, "", 200, 1, nil},
		{"server errors then success", "GET", []int{503, 502, 200}, "", 200, 3, []time.Duration{100 * ms, 200 * ms}},
		{"HEAD too", "HEAD", []int{500, 200}, "", 200, 2, []time.Duration{100 * ms}},
		{"gives up", "GET", []int{500, 500, 504, 200}, "", 504, 3, []time.Duration{100 * ms, 200 * ms}},
		{"broken connection", "GET", []int{0, 200}, "", 200, 2, []time.Duration{100 * ms}},
		{"throttled, as long as asked", "GET", []int{429, 200}, "2", 200, 2, []time.Duration{2000 * ms}},
		{"a date", "GET", []int{429, 200}, "Fri, 02 Jan 2026 03:04:08 GMT", 200, 2, []time.Duration{3000 * ms}},
		{"asked for too long", "GET", []int{429, 200}, "3600", 429, 1, nil},
		{"not found is final", "GET", []int{404, 200}, "", 404, 1, nil},
		{"not implemented is final", "GET", []int{501, 200}, "", 501, 1, nil},
		{"POST never", "POST", []int{503, 200}, "", 503, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int64
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				status := tt.answers[requests.Add(1)-1]
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				w.WriteHeader(status)
			})
			c, waited := client(t, Options{Now: newClock().Now})
			res, err := remote(t, c, s.URL, RemoteOptions{}).Do(t.Context(), Request{Method: tt.method, URL: "x"})
			status := 0
			if failed, ok := errors.AsType[*StatusError](err); ok {
				status = failed.Status
			} else if err == nil {
				status = res.StatusCode
				res.Body.Close()
			}
			if status != tt.want || requests.Load() != int64(tt.requests) {
				t.Errorf("status %d after %d requests (%v), want %d after %d", status, requests.Load(), err, tt.want, tt.requests)
			}
			if diff := cmp.Diff(tt.waited, waited.all); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDo_RefusedConnectionIsUpstream(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	s.Close()
	c, waited := client(t, Options{})
	_, err := get(t, remote(t, c, s.URL, RemoteOptions{}), "x")
	if !fault.Is(err, fault.Upstream) || fault.Message(err) != "remote npm.test cannot be reached" || len(waited.all) != 2 {
		t.Errorf("%v after %v", err, waited.all)
	}
}

func TestBreaker_OpensAndCloses(t *testing.T) {
	var down atomic.Bool
	var requests atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	now := newClock()
	c, _ := client(t, Options{Now: now.Now, Attempts: 1, BreakAfter: 3, BreakFor: time.Minute})
	r := remote(t, c, s.URL, RemoteOptions{})
	ask := func() error {
		_, err := get(t, r, "x")
		return err
	}
	want := func(what string, err error, is error, asked int64) {
		t.Helper()
		if is == nil && err != nil || is != nil && !errors.Is(err, is) || requests.Swap(0) != asked {
			t.Fatalf("%s: %v", what, err)
		}
	}
	down.Store(true)
	for range 2 {
		if err := ask(); errors.Is(err, ErrOpen) || err == nil {
			t.Fatal(err)
		}
	}
	down.Store(false)
	if err := ask(); err != nil {
		t.Fatalf("a success between: %v", err)
	}
	down.Store(true)
	for range 3 {
		if err := ask(); errors.Is(err, ErrOpen) || err == nil {
			t.Fatal(err)
		}
	}
	requests.Store(0)
	err := ask()
	want("open", err, ErrOpen, 0)
	if !fault.Is(err, fault.Upstream) || fault.Message(err) != "remote npm.test failed 3 times in a row and is not asked before 2026-01-02T03:05:05Z" {
		t.Errorf("%v", err)
	}
	if !r.Open() {
		t.Error("not reported as open")
	}
	now.add(59 * time.Second)
	want("still open", ask(), ErrOpen, 0)
	now.add(time.Second)
	if err := ask(); errors.Is(err, ErrOpen) || err == nil || requests.Swap(0) != 1 {
		t.Fatalf("failing probe: %v", err)
	}
	want("open again", ask(), ErrOpen, 0)
	now.add(time.Minute)
	down.Store(false)
	want("good probe", ask(), nil, 1)
	want("closed", ask(), nil, 1)
}

func TestBreaker_OneProbeAtATime(t *testing.T) {
	now := newClock()
	b := &breaker{now: now.Now, after: 1, openFor: time.Minute}
	first, err := b.enter()
	if err != nil {
		t.Fatal(err)
	}
	first.failed()
	now.add(time.Minute)
	probe, err := b.enter()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.enter(); !errors.Is(err, ErrOpen) {
		t.Errorf("second probe: %v", err)
	}
	// The caller of the probe left: the next one may try.
	probe.gone()
	probe, err = b.enter()
	if err != nil {
		t.Fatal(err)
	}
	probe.answered()
	for range 2 {
		if _, err := b.enter(); err != nil {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestBreaker_IsPerHost(t *testing.T) {
	front := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") })
	dead := serve(t, func(http.ResponseWriter, *http.Request) {})
	dead.Close()
	c, _ := client(t, Options{Attempts: 1, BreakAfter: 1, Allow: []string{"127.0.0.1"}})
	r := remote(t, c, front.URL, RemoteOptions{})
	if _, err := get(t, r, dead.URL); err == nil {
		t.Fatal("the dead host answered")
	}
	if _, err := get(t, r, dead.URL); !errors.Is(err, ErrOpen) {
		t.Errorf("dead host: %v", err)
	}
	if _, err := get(t, r, "x"); err != nil {
		t.Errorf("own host: %v", err)
	}
	for i := range 3 * breakersMost {
		r.breaker(&url.URL{Scheme: "http", Host: fmt.Sprintf("host%d.test", i)})
	}
	if len(r.breakers) > breakersMost {
		t.Errorf("%d breakers", len(r.breakers))
	}
}

func TestBreaker_IgnoresCallersWhoLeave(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, _ := client(t, Options{BreakAfter: 1})
	r := remote(t, c, s.URL, RemoteOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := r.Get(ctx, "x", 0); !errors.Is(err, context.Canceled) || fault.Of(err) == fault.Upstream {
		t.Errorf("%v", err)
	}
	if r.Open() {
		t.Error("the breaker opened")
	}
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Get(deadline, "x", 0); !errors.Is(err, ErrTimeout) || !fault.Is(err, fault.Upstream) {
		t.Errorf("%v", err)
	}
	if !r.Open() {
		t.Error("a remote that hangs past the deadline did not count")
	}
}

func TestDo_HeaderTimeout(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, waited := client(t, Options{HeaderTimeout: 20 * time.Millisecond})
	_, err := get(t, remote(t, c, s.URL, RemoteOptions{}), "x")
	if !errors.Is(err, ErrTimeout) || fault.Message(err) != "remote npm.test took too long" || len(waited.all) != 0 {
		t.Errorf("%v after %v", err, waited.all)
	}
}

func TestBody_Stalled(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "some")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c, _ := client(t, Options{IdleTimeout: 30 * time.Millisecond, BreakAfter: 1})
	r := remote(t, c, s.URL, RemoteOptions{})
	body, err := get(t, r, "x")
	if body != "some" || !errors.Is(err, ErrStalled) || fault.Message(err) != "remote npm.test stopped sending" {
		t.Errorf("%q, %v", body, err)
	}
	if !r.Open() {
		t.Error("a stalled body did not count")
	}
}

func TestDo_HangingBodyThatNobodyReadsIsNotWaitedFor(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusNotFound} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			c, _ := client(t, Options{Attempts: 1})
			done := make(chan struct{})
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/there" {
					_, _ = io.WriteString(w, "found")
					return
				}
				w.Header().Set("Location", "/there")
				w.Header().Set("Content-Length", "1000")
				w.WriteHeader(status)
				w.(http.Flusher).Flush()
				<-done
			})
			t.Cleanup(func() { close(done) })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			res, err := remote(t, c, s.URL, RemoteOptions{}).Get(ctx, "a", 0)
			if err == nil {
				_ = res.Body.Close()
			}
			if wantErr := status == http.StatusNotFound; (err != nil) != wantErr || ctx.Err() != nil {
				t.Errorf("got %v, %v", err, ctx.Err())
			}
		})
	}
}

func TestBody_SlowReaderIsNotAStall(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all") })
	c, _ := client(t, Options{IdleTimeout: 20 * time.Millisecond})
	res, err := remote(t, c, s.URL, RemoteOptions{}).Get(t.Context(), "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	one := make([]byte, 1)
	if _, err := res.Body.Read(one); err != nil {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond) // what is tested is that passing time does nothing
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "ll" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestBody_DeadlineOfTheCaller(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c, _ := client(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // within which the header comes on a busy machine too
	defer cancel()
	res, err := remote(t, c, s.URL, RemoteOptions{}).Get(ctx, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, ErrTimeout) || !fault.Is(err, fault.Upstream) {
		t.Errorf("%v", err)
	}
}

func TestBody_Limit(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, "0123456789")
	})
	c, _ := client(t, Options{})
	r := remote(t, c, s.URL, RemoteOptions{})
	for _, path := range []string{"told", "chunked"} {
		res, err := r.Get(t.Context(), path, 10)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || len(b) != 10 {
			t.Errorf("%s at the limit: %q, %v", path, b, err)
		}
		res.Body.Close()
	}
	if _, err := r.Get(t.Context(), "told", 9); !errors.Is(err, ErrTooLarge) {
		t.Errorf("told: %v", err)
	}
	res, err := r.Get(t.Context(), "chunked", 9)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if len(b) != 9 || !errors.Is(err, ErrTooLarge) || fault.Message(err) != "remote npm.test sends more than the limit" {
		t.Errorf("chunked: %q, %v", b, err)
	}
}

func TestBody_Truncated(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		fmt.Fprint(w, "short")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c, _ := client(t, Options{})
	for _, path := range []string{"length", "chunked"} {
		body, err := get(t, remote(t, c, s.URL, RemoteOptions{}), path)
		if body != "short" || !errors.Is(err, ErrTruncated) || !fault.Is(err, fault.Upstream) {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}
}

func TestBody_BytesAsSent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "text")
		z.Close()
	})
	c, _ := client(t, Options{})
	body, err := get(t, remote(t, c, s.URL, RemoteOptions{}), "x")
	if err != nil || !strings.HasPrefix(body, "\x1f\x8b") {
		t.Errorf("%q, %v", body, err)
	}
}

func TestDo_HeadHasNoBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000") })
	c, _ := client(t, Options{})
	res, err := remote(t, c, s.URL, RemoteOptions{}).Do(t.Context(), Request{Method: http.MethodHead, URL: "x", MaxBytes: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || len(b) != 0 || res.ContentLength != 1000 {
		t.Errorf("%q, %v, length %d", b, err, res.ContentLength)
	}
}

func TestProxy_OnlyByOption(t *testing.T) {
	var asked []string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		fmt.Fprint(w, "by proxy")
	})
	direct := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "direct") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	c, _ := client(t, Options{})
	if body, err := get(t, remote(t, c, direct.URL, RemoteOptions{}), "x"); err != nil || body != "direct" {
		t.Errorf("%q, %v", body, err)
	}
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, _ = client(t, Options{Proxy: http.ProxyURL(to)})
	r := remote(t, c, "http://npm.test/", RemoteOptions{})
	for _, address := range []string{"x", "http://files.test/y"} {
		if body, err := get(t, r, address); err != nil || body != "by proxy" {
			t.Errorf("%q, %v", body, err)
		}
	}
	for _, address := range []string{"http://10.0.0.1/", "http://localhost/", "http://a.localhost./"} {
		if _, err := get(t, r, address); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if diff := cmp.Diff([]string{"http://npm.test/x", "http://files.test/y"}, asked); diff != "" {
		t.Error(diff)
	}
}

func TestObserve_EveryTry(t *testing.T) {
	var requests atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	var seen []string
	c, _ := client(t, Options{Observe: func(remote string, status int, _ time.Duration, err error) {
		seen = append(seen, fmt.Sprint(remote, " ", status, " ", err == nil))
	}})
	if _, err := get(t, remote(t, c, s.URL, RemoteOptions{Name: "public:npm"}), "x"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"public:npm 502 false", "public:npm 200 true"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestConnections_AreKeptAndBounded(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, _ := client(t, Options{ConnsPerHost: 2})
	r := remote(t, c, s.URL, RemoteOptions{})
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 5 {
				res, err := r.Get(t.Context(), "x", 0)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	group.Wait()
	if got := opened.Load(); got > 2 {
		t.Errorf("%d connections", got)
	}
}

func BenchmarkBreaker_Open(b *testing.B) {
	c, err := New(Options{BreakAfter: 1, Attempts: 1})
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.Remote(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, RemoteOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Get(b.Context(), "x", 0); err == nil {
			b.Fatal("answered")
		}
	}
}
