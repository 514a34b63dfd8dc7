package registry

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// discard is a response writer that costs nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// BenchmarkDocument is a warm metadata request from the opened repository to
// the written body, permission check included.
func BenchmarkDocument(b *testing.B) {
	h := benchHouse(b)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	id, c, v := h.open("npm-internal").ID(), coords("widget"), Variant{Name: "numbers"}
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		repo, err := h.service.Open(b.Context(), h.admin, id)
		if err != nil {
			b.Fatal(err)
		}
		d, err := repo.Document(b.Context(), c, v, "text/plain", renderNumbers)
		if err != nil {
			b.Fatal(err)
		}
		d.ServeHTTP(w, r)
	}
}

// BenchmarkAsset is a warm download of a small file.
func BenchmarkAsset(b *testing.B) {
	h := benchHouse(b)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	id, c := h.open("npm-internal").ID(), coords("widget")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		repo, err := h.service.Open(b.Context(), h.admin, id)
		if err != nil {
			b.Fatal(err)
		}
		content, err := repo.Asset(b.Context(), c, "1.0.0", "file")
		if err != nil {
			b.Fatal(err)
		}
		if err := content.ServeHTTP(w, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnknown is a warm request for a name nobody has.
func BenchmarkUnknown(b *testing.B) {
	h := benchHouse(b)
	id, c, v := h.open("npm-internal").ID(), coords("nobody"), Variant{Name: "numbers"}
	b.ReportAllocs()
	for b.Loop() {
		repo, err := h.service.Open(b.Context(), h.admin, id)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := repo.Document(b.Context(), c, v, "text/plain", renderNumbers); err == nil {
			b.Fatal("found")
		}
	}
}

// BenchmarkPublish is one small publish into memory blobs: the share of the
// database.
func BenchmarkPublish(b *testing.B) {
	h := benchHouse(b)
	r := h.open("npm-internal")
	staged, err := r.Stage(b.Context(), coords("widget"), "file", strings.NewReader("bytes"))
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		p := Publication{Version: strconv.Itoa(n), Manifest: []byte("{}"), Assets: []Staged{staged}}
		if _, err := r.Publish(b.Context(), coords("bench-"+p.Version), p); err != nil {
			b.Fatal(err)
		}
	}
}

func benchHouse(b *testing.B) *house {
	b.Helper()
	h := newHouse(b, nil)
	h.repo("npm-internal")
	h.mustPublish("npm-internal", "widget", "1.0.0", "content of widget")
	return h
}
