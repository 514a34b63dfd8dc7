package app_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"packhouse/internal/upstream/upstreamtest"
)

const nobody = "http://127.0.0.1:9/" // a registry that is not asked

func TestToken_ExpiredOfAnotherDomainOrNone(t *testing.T) {
	s := newSite(t, nobody, nil)
	if a := s.publish(t, "hello", "1.0.0", []byte("x")); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := second(s.api.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("elsewhere")})); err != nil {
		t.Fatal(err)
	}
	foreign := s.newToken(t, "elsewhere")
	all := func(token, what string, status int, text string) {
		t.Helper()
		for _, path := range []string{"internal/hello", "internal/hello/-/hello-1.0.0.tgz", "app/nobody-has-this", "no-such-repository/hello"} {
			a := s.get(t, path, "Authorization", "Bearer "+token)
			if a.status != status || !strings.Contains(a.body, text) {
				t.Errorf("%s, %s: %d %s, want %d about %q", what, path, a.status, a.body, status, text)
			}
			if challenged := len(a.header.Values("WWW-Authenticate")) > 0; challenged != (status == http.StatusUnauthorized) {
				t.Errorf("%s, %s: challenged %v", what, path, challenged)
			}
		}
		if a := s.do(t, http.MethodPut, "internal/hello", bytes.NewReader(release("hello", "2.0.0", []byte("y"))), "Authorization", "Bearer "+token); a.status != status {
			t.Errorf("%s, publish: %d %s", what, a.status, a.body)
		}
	}
	all(foreign, "of another domain", http.StatusForbidden, "elsewhere")
	all(s.token[:len(s.token)-2]+"xx", "changed", http.StatusUnauthorized, "invalid")
	s.clock.advance(12*time.Hour + time.Second)
	all(s.token, "expired", http.StatusUnauthorized, "expired")
}

// TestSignature_ClockAndKey: a client whose clock is 20 minutes off, or that
// signs with another key, is refused in the envelope that the SDKs read.
func TestSignature_ClockAndKey(t *testing.T) {
	s := newSite(t, nobody, nil)
	cred, err := s.aws(t).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := cred
	other.SecretAccessKey = "another" + cred.SecretAccessKey
	for name, c := range map[string]struct {
		cred   aws.Credentials
		off    time.Duration
		status int
		text   string
	}{
		"right":           {cred, 0, http.StatusOK, ""},
		"four minutes":    {cred, -4 * time.Minute, http.StatusOK, ""},
		"20 minutes slow": {cred, -20 * time.Minute, http.StatusForbidden, "expired"},
		"20 minutes fast": {cred, 20 * time.Minute, http.StatusForbidden, "not yet current"},
		"another key":     {other, 0, http.StatusForbidden, "signature"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/v1/domain?domain=corp", nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(t, req, c.cred, time.Now().Add(c.off))
		res, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(text), c.text) || (res.Header.Get("X-Amzn-ErrorType") == "") != (c.status == 200) {
			t.Errorf("%s: %d %s %s, %v", name, res.StatusCode, res.Header.Get("X-Amzn-ErrorType"), text, err)
		}
		if strings.Contains(string(text), cred.SecretAccessKey) {
			t.Errorf("%s: the answer holds the secret", name)
		}
	}
}

// TestPaths_NoneLeadsOut sends addresses as no client library would let them
// through. None may be understood as a package, leave the repository it names,
// or reach the outside.
func TestPaths_NoneLeadsOut(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	for _, target := range []string{
		root + "app/../internal/hello", root + "app/%2e%2e/internal/hello", root + "app/..%2finternal%2fhello",
		root + "../../../../etc/passwd", root + "app/..%2f..%2f..%2fcredentials", root + "app/%2e%2e%2f%2e%2e%2fcredentials",
		"/repo/../data/credentials", "/repo/%2e%2e/%2e%2e/credentials", "/repo/123456789012/corp/npm/%2e%2e/credentials",
		"/repo/123456789012/..%2f..%2f/npm/app/hello", "/repo/123456789012/corp/..%2fnpm/app/hello", "//repo/123456789012/corp/npm/app/hello",
		"/repo//corp/npm/app/hello", "/repo/123456789012/corp/npm//hello", root + "app//hello", root + "app/hello//-//hello-1.0.0.tgz",
		root + "app/hello/-/../../internal/hello", root + "app/hello/-/..%5c..%5cx.tgz", root + "app/hello/-/hello-1.0.0.tgz%00.html",
		root + "app/@sc%2f..%2f..%2fhello", root + "app/@..%2fhello", root + "app/%2e%2e%2fhello", root + "app/.%2fhello", root + "app/hello%0d%0aX:%20y",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
			got := s.exchange(t, method+" "+target+" HTTP/1.1\r\nHost: packages.test\r\nAuthorization: Bearer "+s.token+"\r\nConnection: close\r\n\r\n")
			if status, _, _ := strings.Cut(strings.TrimPrefix(got, "HTTP/1.1 "), " "); len(status) != 3 || status[0] != '4' {
				t.Errorf("%s %s: %.200q", method, target, got)
			}
		}
	}
	if got := public.Requests(); len(got) > 0 {
		t.Errorf("the outside was asked: %v", got)
	}
}

// TestUpload_BrokenOffHalfway leaves nothing: no version, no bytes, no name
// that is taken.
func TestUpload_BrokenOffHalfway(t *testing.T) {
	s := newSite(t, nobody, nil)
	data := bytes.Repeat([]byte("half a tarball "), 100_000)
	body := release("hello", "1.0.0", data)
	for _, encoding := range []string{"length", "chunked"} {
		conn := s.dial(t)
		framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
		half := string(body[:len(body)/2])
		if encoding == "chunked" {
			framing, half = "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s", len(body), half)
		}
		before := s.metric(t, `packhouse_failures_total{kind="invalid"}`)
		if _, err := io.WriteString(conn, "PUT "+root+"internal/hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.token+"\r\n"+framing+half); err != nil {
			t.Fatal(err)
		}
		eventually(t, "bytes arrive on the disk", func() bool { return s.metric(t, "packhouse_blob_writing") == 1 })
		conn.Close()
		eventually(t, "the request ends", func() bool { return s.metric(t, `packhouse_failures_total{kind="invalid"}`) > before })
		s.want(t, http.StatusNotFound, "internal/hello")
		s.want(t, http.StatusNotFound, "internal/hello/-/hello-1.0.0.tgz")
		if n := s.metric(t, "packhouse_stored_bytes"); n != 0 {
			t.Errorf("%s: %v bytes are stored", encoding, n)
		}
	}
	if a := s.publish(t, "hello", "1.0.0", data); a.status != http.StatusCreated {
		t.Errorf("then whole: %d %s", a.status, a.body)
	}
	if a := s.get(t, "internal/hello/-/hello-1.0.0.tgz"); a.body != string(data) {
		t.Errorf("%d: %d other bytes", a.status, len(a.body))
	}
}

// TestUpload_RefusedBytesDoNotOutliveTheSweep: a publish that is refused once
// its tarball has arrived leaves bytes nobody refers to; they go with the
// sweep, and what is referred to stays.
func TestUpload_RefusedBytesDoNotOutliveTheSweep(t *testing.T) {
	s := newSite(t, nobody, nil)
	kept, refused := bytes.Repeat([]byte("k"), 300_001), bytes.Repeat([]byte("r"), 300_007)
	if a := s.publish(t, "hello", "1.0.0", kept); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.publish(t, "hello", "1.0.0", refused); a.status != http.StatusConflict {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := len(s.contents(t, len(refused))); n != 1 {
		t.Fatalf("%d files of the refused content: this test needs another way to make an orphan", n)
	}
	s.clock.advance(26 * time.Hour)
	s.restart(t)
	eventually(t, "the sweep takes the orphan", func() bool { return len(s.contents(t, len(refused))) == 0 })
	if n := len(s.contents(t, len(kept))); n != 1 {
		t.Errorf("%d files of the published content", n)
	}
}

// TestPublish_Huge: what is not the tarball is bounded, whatever its encoding.
func TestPublish_Huge(t *testing.T) {
	s := newSite(t, nobody, nil)
	const head = `{"name":"hello","versions":{"1.0.0":{"name":"hello","version":"1.0.0","padding":"`
	before := heap()
	for name, c := range map[string]struct {
		body     io.Reader
		encoding string
	}{
		"100 MB of manifest":        {io.MultiReader(strings.NewReader(head), endless(100<<20), strings.NewReader(`"}}}`)), "identity"},
		"a small body that unfolds": {bytes.NewReader(bomb(head, 1<<30)), "gzip"},
	} {
		a := s.do(t, http.MethodPut, "internal/hello", c.body, "Content-Encoding", c.encoding)
		// Whoever still sends when the answer comes may find the connection gone.
		if a.status != http.StatusRequestEntityTooLarge && !a.broken {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if grown := heap() - before; grown > 160<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	s.want(t, http.StatusNotFound, "internal/hello")
}

// TestPublish_ZipBomb: what a tarball unpacks to is never held, neither when it
// is published nor when its readme is asked for; it is kept as the bytes it is.
func TestPublish_ZipBomb(t *testing.T) {
	s := newSite(t, nobody, nil)
	before := heap()
	if a := s.publish(t, "hello", "1.0.0", bomb("", 48<<20)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	_, err := s.api.GetPackageVersionReadme(t.Context(), &codeartifact.GetPackageVersionReadmeInput{
		Domain: aws.String("corp"), Repository: aws.String("internal"), Format: types.PackageFormatNpm, Package: aws.String("hello"), PackageVersion: aws.String("1.0.0"),
	})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("readme: %v", err)
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// bomb is gzip (RFC 1952) that unfolds to head and size times the letter x, to
// the next mebibyte. It is made of members, of which the large one repeats.
func bomb(head string, size int) []byte {
	member := func(r io.Reader) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.Copy(z, r)
		_ = z.Close()
		return b.Bytes()
	}
	return slices.Concat(member(strings.NewReader(head)), bytes.Repeat(member(endless(1<<20)), (size+(1<<20)-1)>>20))
}

// heap is how much memory the process has taken for its heap.
func heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() + sample[1].Value.Uint64())
}

// endless is n bytes of the letter x.
func endless(n int64) io.Reader { return io.LimitReader(letters{}, n) }

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestOutside_HugePackument: 100 MB come through, shortened as ever.
func TestOutside_HugePackument(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	public.Fail("/hello", upstreamtest.Fault{
		Body: slices.Concat([]byte(`{"padding":"`), bytes.Repeat([]byte("x"), 100<<20), []byte(`",`), public.Bytes("hello")[1:]),
	})
	a := s.get(t, "app/hello", "Accept", "application/vnd.npm.install-v1+json")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"1.1.0"`) || len(a.body) > 10_000 {
		t.Errorf("%d, %d bytes: %.300s", a.status, len(a.body), a.body)
	}
	if a := s.get(t, "app/hello/-/hello-1.1.0.tgz"); a.body != string(public.Bytes("hello/-/hello-1.1.0.tgz")) {
		t.Errorf("tarball: %d %.300s", a.status, a.body)
	}
}

// TestOutside_EveryFailure holds each way a public registry can fail against
// what a client of the whole server hears: a failure of the registry, never a
// refusal of the client and never that there is no such package.
func TestOutside_EveryFailure(t *testing.T) {
	longer := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"name\":\"hello\"}")
			_ = rw.Flush()
			_ = conn.Close()
		}
	}
	var mu sync.Mutex
	var fail http.HandlerFunc
	var leads string
	public := publicRegistry(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		f, to := fail, leads
		mu.Unlock()
		if f != nil && (to == "" || strings.HasSuffix(r.URL.Path, to)) {
			f(w, r)
			return
		}
		public.ServeHTTP(w, r)
	}))
	defer front.Close()
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a private address was reached")
		w.WriteHeader(http.StatusTeapot)
	}))
	defer inside.Close()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	// One server for each: the breaker of the one before would answer.
	for name, f := range map[string]http.HandlerFunc{
		"401": status(401), "403": status(403), "429": status(429), "500": status(500), "503": status(503), "418": status(418), "204": status(204),
		"shorter than promised": longer,
		"closed at once":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"private": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL+"/secret", http.StatusFound)
		},
		"link-local": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		},
		"round and round": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, front.URL, nil)
			set := func(f http.HandlerFunc, suffix string) {
				mu.Lock()
				defer mu.Unlock()
				fail, leads = f, suffix
			}
			defer set(nil, "")
			check := func(what string, a answer) {
				t.Helper()
				if a.status != http.StatusBadGateway && a.status != http.StatusGatewayTimeout && !a.broken {
					t.Errorf("%s: %d %.300s", what, a.status, a.body)
				}
				if strings.Contains(a.body, "meta-data") || strings.Contains(a.body, "secret") || strings.Contains(a.body, "127.0.0.1") {
					t.Errorf("%s: the answer tells where the registry led: %s", what, a.body)
				}
			}
			set(f, ".tgz")
			s.want(t, http.StatusOK, "app/hello")
			check("tarball", s.get(t, "app/hello/-/hello-1.0.0.tgz"))
			if n := s.metric(t, "packhouse_stored_bytes"); n != 0 {
				t.Errorf("%v bytes are stored", n)
			}
			set(f, "")
			check("document", s.get(t, "app/other"))
			check("document again", s.get(t, "app/other"))
			s.want(t, http.StatusOK, "app/hello") // known, and still shown
		})
	}
}

// TestOutside_ListedButNotThere: a document that lists a file which its
// registry does not have is the registry's fault: clients must not conclude
// that the version is gone.
func TestOutside_ListedButNotThere(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	public.Fail("GET /hello/-/*", upstreamtest.Fault{Status: http.StatusNotFound})
	s.want(t, http.StatusBadGateway, "app/hello/-/hello-1.0.0.tgz")
	public.Heal()
	s.want(t, http.StatusOK, "app/hello/-/hello-1.0.0.tgz")
}

// TestOutside_AllowListOpensPrivateAddresses: beyond the connection's own host
// a document leads to private addresses only where the configuration says so.
func TestOutside_AllowListOpensPrivateAddresses(t *testing.T) {
	public := publicRegistry(t)
	files := httptest.NewServer(public)
	defer files.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			http.Redirect(w, r, files.URL+r.URL.Path, http.StatusFound)
			return
		}
		public.ServeHTTP(w, r)
	}))
	defer front.Close()
	for allowed, want := range map[string]int{"": http.StatusBadGateway, "10.0.0.0/8": http.StatusBadGateway, "127.0.0.0/8": http.StatusOK} {
		flags := map[string]string{}
		if allowed != "" {
			flags["allow-outbound"] = allowed
		}
		s := newSite(t, front.URL, flags)
		if a := s.get(t, "app/hello/-/hello-1.0.0.tgz"); a.status != want {
			t.Errorf("allow %q: %d %s, want %d", allowed, a.status, a.body, want)
		}
		s.stop()
	}
}
