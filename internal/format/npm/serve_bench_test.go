package npm_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"packhouse/internal/format"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/npm"
	"packhouse/internal/registry"
)

// discard is a ResponseWriter that keeps its header map between requests.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkServe is the warm path of a format: from the located request to the
// written answer.
func BenchmarkServe(b *testing.B) {
	h := formattest.NewHouse(b, npm.New(), formattest.Options{})
	h.Repository("internal")
	if a := h.Do(formattest.Admin, "internal", formattest.Call{Method: http.MethodPut, Path: "@sc%2fhello", Body: release("@sc/hello", "1.0.0")}); a.Status != http.StatusCreated {
		b.Fatalf("%d %s", a.Status, a.Body)
	}
	repo, err := h.Open(b.Context(), formattest.Admin, "internal")
	if err != nil {
		b.Fatal(err)
	}
	for name, path := range warmPaths {
		b.Run(name, func(b *testing.B) {
			w, r := warmRequest(h, repo, path)
			b.ReportAllocs()
			for b.Loop() {
				if err := npm.New().Serve(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var warmPaths = map[string]string{"packument": "@sc%2fhello", "tarball": "@sc/hello/-/hello-1.0.0.tgz"}

func warmRequest(h *formattest.House, repo *registry.Repo, path string) (*discard, *format.Request) {
	r := &format.Request{Request: httptest.NewRequest(http.MethodGet, "/", nil), Repo: repo, Path: path, Base: h.URL + "internal/"}
	r.Header.Set("Accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*")
	r.Header.Set("Accept-Encoding", "gzip")
	return &discard{header: http.Header{}}, r
}

// TestServe_WarmAnswersAllocateNextToNothing: a document and a tarball that are
// in memory cost no garbage, whatever the machine. One allocation is let pass:
// the race detector empties pools now and then.
func TestServe_WarmAnswersAllocateNextToNothing(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	repo, err := h.Open(t.Context(), formattest.Admin, "internal")
	if err != nil {
		t.Fatal(err)
	}
	f := npm.New()
	for name, path := range warmPaths {
		w, r := warmRequest(h, repo, path)
		serve := func() {
			if err := f.Serve(w, r); err != nil {
				t.Fatal(err)
			}
		}
		serve()
		if n := testing.AllocsPerRun(200, serve); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
