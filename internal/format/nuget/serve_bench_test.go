package nuget_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"packhouse/internal/format"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/nuget"
	"packhouse/internal/registry"
)

// discard is a ResponseWriter that keeps its header map between requests.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

var warmPaths = map[string]string{
	"registration": "v3/registrations-gz-semver2/company.lib/index.json",
	"versions":     "v3/flatcontainer/company.lib/index.json",
	"package":      "v3/flatcontainer/company.lib/1.0.0/company.lib.1.0.0.nupkg",
}

func warmRequest(h *formattest.House, repo *registry.Repo, path string) (*discard, *format.Request) {
	r := &format.Request{Request: httptest.NewRequest(http.MethodGet, "/", nil), Repo: repo, Path: path, Base: h.URL + "internal/"}
	r.Header.Set("Accept-Encoding", "gzip, deflate")
	return &discard{header: http.Header{}}, r
}

// BenchmarkServe is the warm path: from the located request to the written
// answer.
func BenchmarkServe(b *testing.B) {
	h := house(b)
	push(b, h, nupkg("Company.Lib", "1.0.0"))
	repo, err := h.Open(b.Context(), formattest.Admin, "internal")
	if err != nil {
		b.Fatal(err)
	}
	for name, path := range warmPaths {
		b.Run(name, func(b *testing.B) {
			w, r := warmRequest(h, repo, path)
			b.ReportAllocs()
			for b.Loop() {
				if err := nuget.New().Serve(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestServe_WarmAnswersAllocateNextToNothing: what is in memory costs no garbage
// but what a renderer that does not run is passed as.
func TestServe_WarmAnswersAllocateNextToNothing(t *testing.T) {
	h := house(t)
	push(t, h, nupkg("Company.Lib", "1.0.0"))
	repo, err := h.Open(t.Context(), formattest.Admin, "internal")
	if err != nil {
		t.Fatal(err)
	}
	f := nuget.New()
	for name, path := range warmPaths {
		w, r := warmRequest(h, repo, path)
		serve := func() {
			if err := f.Serve(w, r); err != nil {
				t.Fatal(err)
			}
		}
		serve()
		if n := testing.AllocsPerRun(200, serve); n > 2 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
