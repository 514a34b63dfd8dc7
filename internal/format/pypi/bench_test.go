package pypi

import (
	"fmt"
	"strings"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func merged(c artifact.Coordinates, l *upstream.Listing) *registry.Listing {
	all := &registry.Listing{Coordinates: c, Modified: l.Modified, Remotes: []*upstream.Listing{l}}
	for _, v := range l.Versions {
		all.Versions = append(all.Versions, registry.Listed{
			Version: artifact.Version{Number: v.Number, Status: artifact.Published, Published: v.Published, Manifest: v.Manifest, Origin: artifact.Origin{Type: artifact.External}},
			Remote:  v.Assets,
		})
	}
	return all
}

// bigProject is a document of n files, ten a version, as public ones are.
func bigProject(n int) string {
	var b strings.Builder
	b.WriteString("json http://index.test/simple/foo/\n" + `{"meta":{"api-version":"1.4"},"name":"foo","files":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		name := fmt.Sprintf("foo-1.%d-cp3%d-cp3%d-manylinux_2_17_x86_64.whl", i/10, i%10, i%10)
		fmt.Fprintf(&b, `{"filename":%q,"url":"http://files.test/packages/ab/cd/%064x/%s","hashes":{"sha256":"%064x"},"requires-python":">=3.8",`+
			`"core-metadata":{"sha256":"%064x"},"size":%d,"upload-time":"2024-01-02T03:04:05.678901Z","yanked":false}`, name, i, name, i, i, i+1)
	}
	b.WriteString("]}")
	return b.String()
}

func BenchmarkParse_5000(b *testing.B) {
	doc := bigProject(5000)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		parse(b, doc)
	}
}

func BenchmarkRender_5000(b *testing.B) {
	l := merged(foo, parse(b, bigProject(5000)))
	for name, render := range map[string]registry.Render{"html": renderHTML, "json": renderJSON} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render(b.Context(), l, discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
