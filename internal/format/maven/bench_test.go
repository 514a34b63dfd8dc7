package maven_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"packhouse/internal/format"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/maven"
)

// BenchmarkServe measures warm answers, without the network: the metadata of a
// package with many versions, its checksum, a file, and the checksum of that.
func BenchmarkServe(b *testing.B) {
	h := house(b)
	var versions []string
	for i := range 200 {
		version := fmt.Sprintf("1.%d", i)
		versions = append(versions, version)
		h.Do(formattest.Admin, "repo", upload(path(lib, version, ".jar"), []byte(strings.Repeat("x", 20_000))))
	}
	if a := h.Do(formattest.Admin, "repo", upload(folder(lib)+"maven-metadata.xml", metadataOf(lib, versions...))); a.Status != http.StatusCreated {
		b.Fatalf("%d %s", a.Status, a.Body)
	}
	for name, at := range map[string]string{
		"metadata":     folder(lib) + "maven-metadata.xml",
		"metadata.sha": folder(lib) + "maven-metadata.xml.sha1",
		"file":         path(lib, "1.7", ".jar"),
		"file.sha":     path(lib, "1.7", ".jar.sha1"),
		"unknown":      path(lib, "1.7", "-tests.jar"),
	} {
		b.Run(name, func(b *testing.B) {
			f := maven.New()
			for b.Loop() {
				repo, err := h.Open(b.Context(), formattest.Admin, "repo")
				if err != nil {
					b.Fatal(err)
				}
				r := httptest.NewRequest(http.MethodGet, "/"+at, nil)
				q := &format.Request{Request: r, Repo: repo, Path: at}
				w := httptest.NewRecorder()
				if err := f.Serve(w, q); err != nil {
					f.WriteError(w, q, err)
				}
			}
		})
	}
}
