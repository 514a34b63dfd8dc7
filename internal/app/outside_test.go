package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"packhouse/internal/upstream/upstreamtest"
)

// TestOutside_WarmInstallAsksNobody: what was installed once is installed again
// without a question to the public registry, by whatever repository and after a
// restart too.
func TestOutside_WarmInstallAsksNobody(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	install := func() {
		t.Helper()
		for _, path := range []string{"hello", "hello/-/hello-1.0.0.tgz", "hello/-/hello-1.1.0.tgz", "other", "other/-/other-1.0.0.tgz"} {
			for _, accept := range []string{"application/json", "application/vnd.npm.install-v1+json"} {
				if a := s.get(t, "app/"+path, "Accept", accept, "Accept-Encoding", "gzip"); a.status != http.StatusOK {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
			}
		}
	}
	install()
	if n := len(public.Requests()); n != 5 {
		t.Errorf("%d requests for 2 documents and 3 tarballs", n)
	}
	public.Forget()
	install()
	s.restart(t)
	install()
	s.want(t, http.StatusOK, "public/hello/-/hello-1.0.0.tgz")
	if got := public.Requests(); len(got) > 0 {
		t.Errorf("asked again: %v", got)
	}
}

// TestOutside_ManyClientsOneFetch: 64 clients at once cost one request for the
// document and one for the tarball, and see its bytes while they arrive.
func TestOutside_ManyClientsOneFetch(t *testing.T) {
	public := upstreamtest.NPM(t, &txtar.Archive{Files: []txtar.File{{Name: "big/1.0.0/noise.bin", Data: noise(2 << 20)}}})
	s := newSite(t, public.URL, nil)
	want := public.Bytes("big/-/big-1.0.0.tgz")
	gate := make(chan struct{})
	public.Fail("GET /big/-/*", upstreamtest.Fault{Gate: gate})
	const clients = 64
	first, all := make(chan error, clients), make(chan error, clients)
	for range clients {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+root+"app/big/-/big-1.0.0.tgz", nil)
			if err != nil {
				first <- err
				return
			}
			req.Header.Set("Authorization", "Bearer "+s.token)
			res, err := s.http.Do(req)
			if err != nil {
				first <- err
				return
			}
			defer res.Body.Close()
			var got bytes.Buffer
			if _, err = io.CopyN(&got, res.Body, 1000); err != nil {
				first <- fmt.Errorf("%s: %w", res.Status, err)
				return
			}
			first <- nil
			<-gate
			_, err = got.ReadFrom(res.Body)
			if err == nil && !bytes.Equal(got.Bytes(), want) {
				err = fmt.Errorf("%d other bytes", got.Len())
			}
			all <- err
		}()
	}
	for range clients { // the second half has not left the registry yet
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	for range clients {
		if err := <-all; err != nil {
			t.Error(err)
		}
	}
	if docs, files := public.Count("GET /big"), public.Count("GET /big/-/*"); docs != 1 || files != 1 {
		t.Errorf("%d requests for the document, %d for the tarball", docs, files)
	}
}

// noise is n bytes that do not compress, the same ones every time.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// TestOutside_UnknownNameIsAskedForOncePerLifetime counts what leaves the house
// for a name that nobody has, from one client and from many at once.
func TestOutside_UnknownNameIsAskedForOncePerLifetime(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	for round := 1; round <= 3; round++ {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { s.want(t, http.StatusNotFound, "app/nobody-has-this") })
		}
		wg.Wait()
		s.want(t, http.StatusNotFound, "app/nobody-has-this/-/nobody-has-this-1.0.0.tgz")
		if n := len(public.Requests()); n != round {
			t.Fatalf("%d requests in %d lifetimes", n, round)
		}
		s.clock.advance(61 * time.Second)
	}
	if err := public.Add(txtar.Parse([]byte("-- nobody-has-this/1.0.0/x.js --\nx\n"))); err != nil {
		t.Fatal(err)
	}
	s.want(t, http.StatusOK, "app/nobody-has-this")
}

// TestOutside_ExpiredDocuments: within the time to live nobody is asked; after
// it the old answer is given at once and replaced behind, with a conditional
// request; a registry that is down or hangs changes nothing for who has been
// served before.
func TestOutside_ExpiredDocuments(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	shows := func(version string) bool {
		t.Helper()
		return strings.Contains(s.want(t, http.StatusOK, "app/hello").body, `"`+version+`"`)
	}
	asked := func() int { return public.Count("GET /hello") }
	shows("1.1.0")
	if err := public.Add(txtar.Parse([]byte("-- hello/1.2.0/index.js --\nthree\n"))); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(9 * time.Minute)
	if shows("1.2.0") || asked() != 1 {
		t.Fatalf("asked %d times before the document expired", asked())
	}
	s.clock.advance(2 * time.Minute)
	gate := make(chan struct{})
	public.Fail("GET /hello", upstreamtest.Fault{Gate: gate})
	if shows("1.2.0") {
		t.Error("the answer waited for the registry")
	}
	close(gate)
	s.clock.advance(2 * time.Second)
	eventually(t, "the document is replaced behind", func() bool { return shows("1.2.0") })
	public.Heal()
	if n := asked(); n != 2 {
		t.Errorf("asked %d times", n)
	}

	s.clock.advance(11 * time.Minute)
	shows("1.2.0")
	eventually(t, "a conditional request", func() bool { return asked() == 3 })
	if last := public.Requests()[len(public.Requests())-1]; last.Header.Get("If-None-Match") == "" {
		t.Errorf("not conditional: %v", last.Header)
	}
	for _, c := range []struct {
		name  string
		fault upstreamtest.Fault
	}{ // in this order: the first usually opens the breaker, which spares the second the wait
		{"500", upstreamtest.Fault{Status: http.StatusInternalServerError}},
		{"hangs", upstreamtest.Fault{Hang: true}},
		{"html", upstreamtest.Fault{HTML: true}},
		{"refuses", upstreamtest.Fault{Status: http.StatusForbidden}},
	} {
		public.Fail("*", c.fault)
		s.clock.advance(24 * time.Hour)
		s.token = s.tokenNow(t)
		if !shows("1.2.0") {
			t.Errorf("%s: the last good answer is gone", c.name)
		}
		// Never downloaded, so nobody has it. A time-out says so, unless the breaker spares the wait.
		if a := s.get(t, "app/hello/-/hello-1.0.0.tgz"); a.status != http.StatusBadGateway && (!c.fault.Hang || a.status != http.StatusGatewayTimeout) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		public.Heal()
	}
}

// TestOutside_BreakerIsVisible: a registry that fails again and again is left
// alone for a while, and /metrics says so.
func TestOutside_BreakerIsVisible(t *testing.T) {
	public := publicRegistry(t)
	s := newSite(t, public.URL, nil)
	const series = `packhouse_upstream_breaker_open{connection="public:npmjs"}`
	s.want(t, http.StatusOK, "app/hello")
	if n := s.metric(t, series); n != 0 {
		t.Fatalf("open from the start: %v", n)
	}
	public.Fail("*", upstreamtest.Fault{Status: http.StatusInternalServerError})
	for i := 0; s.metric(t, series) == 0; i++ {
		if i == 10 {
			t.Fatal("ten failures did not open the breaker")
		}
		s.want(t, http.StatusBadGateway, fmt.Sprintf("app/fails-%d", i))
	}
	if n := s.metric(t, `packhouse_upstream_errors_total{connection="public:npmjs",kind="upstream"}`); n < 5 {
		t.Errorf("%v errors are counted", n)
	}
	public.Forget()
	s.want(t, http.StatusBadGateway, "app/one-more")
	s.want(t, http.StatusOK, "app/hello")
	if got := public.Requests(); len(got) > 0 {
		t.Errorf("asked although the breaker is open: %v", got)
	}
	public.Heal()
	s.clock.advance(16 * time.Second)
	s.want(t, http.StatusOK, "app/other")
	if n := s.metric(t, series); n != 0 {
		t.Error("the breaker did not close again")
	}
}
