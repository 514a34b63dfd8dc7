package npm

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// bigPackument is a document of n versions of the size and shape public ones
// have: some 4.3 kB a version.
func bigPackument(name string, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"_id":%q,"_rev":"1-0","name":%q,"dist-tags":{"latest":"0.%d.%d"},"versions":{`, name, name, (n-1)/50, (n-1)%50)
	for i := range n {
		version := fmt.Sprintf("0.%d.%d", i/50, i%50)
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%q:{"name":%q,"version":%q,"description":"a \"generated\" package","main":"index.js","engines":{"node":">= 18"},`, version, name, version)
		for _, kind := range []string{"dependencies", "devDependencies"} {
			fmt.Fprintf(&b, `%q:{`, kind)
			for d := range 30 {
				if d > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `"@generated/dependency-%d":"^%d.%d.0"`, d, d, i%20)
			}
			b.WriteString(`},`)
		}
		fmt.Fprintf(&b, `"scripts":{"test":"mocha --reporter spec","lint":"eslint ."},"repository":{"type":"git","url":"git+https://git.test/%s.git"},`, name)
		fmt.Fprintf(&b, `"maintainers":[{"name":"someone","email":"someone@mail.test"}],"contributors":[%s],`, strings.Repeat(`{"name":"somebody","email":"somebody@mail.test"},`, 20)+`{"name":"last"}`)
		fmt.Fprintf(&b, `"dist":{"integrity":"sha512-%s","shasum":"%040d","tarball":"https://registry.test/%s/-/%s-%s.tgz","fileCount":2,"unpackedSize":%d,`,
			base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, 64)), i, name, name, version, i)
		fmt.Fprintf(&b, `"signatures":[{"keyid":"SHA256:%043d","sig":"%s"}]}}`, i, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, 71)))
	}
	b.WriteString(`},"time":{"created":"2015-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`)
	for i := range n {
		fmt.Fprintf(&b, `,"0.%d.%d":%q`, i/50, i%50, time.Unix(1420070400+int64(i)*86400, 0).UTC().Format(timeFormat))
	}
	b.WriteString(`},"maintainers":[{"name":"someone","email":"someone@mail.test"}],"license":"MIT","readme":"# generated\n"}`)
	return b.Bytes()
}

// listingOf is what a repository with one connection would list.
func listingOf(tb testing.TB, c artifact.Coordinates, doc []byte) *registry.Listing {
	tb.Helper()
	l, err := New().Remote("https://registry.test/").Parse(c, doc)
	if err != nil {
		tb.Fatal(err)
	}
	return merged(c, l)
}

func merged(c artifact.Coordinates, l *upstream.Listing) *registry.Listing {
	all := &registry.Listing{Coordinates: c, Tags: l.Tags, Modified: l.Modified, Remotes: []*upstream.Listing{l}}
	for _, v := range l.Versions {
		all.Versions = append(all.Versions, registry.Listed{
			Version: artifact.Version{
				Number: v.Number, Status: artifact.Published, Published: v.Published, Manifest: v.Manifest,
				Origin: artifact.Origin{Type: artifact.External},
			},
			Remote: v.Assets,
		})
	}
	return all
}

var big = artifact.Coordinates{Format: artifact.NPM, Name: "big"}

func BenchmarkParse_8MB(b *testing.B) {
	doc := bigPackument("big", 1860)
	remote := New().Remote("https://registry.test/")
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := remote.Parse(big, doc); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRender(b *testing.B, render registry.Render) {
	b.Helper()
	doc := bigPackument("big", 1860)
	l := listingOf(b, big, doc)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := render(b.Context(), l, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderFull_8MB(b *testing.B) {
	benchmarkRender(b, renderFull("http://house.test/npm/r/"))
}

func BenchmarkRenderAbbreviated_8MB(b *testing.B) {
	benchmarkRender(b, renderAbbreviated("http://house.test/npm/r/"))
}

func BenchmarkAddress(b *testing.B) {
	for _, p := range []string{"express/-/express-4.18.2.tgz", "@types/node/-/node-20.1.0.tgz", "@types%2fnode/-/node-20.1.0.tgz"} {
		b.Run(p, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, rest, err := cutName(p)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := cutVersion(c, strings.TrimPrefix(rest, "-/")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplit_20MB(b *testing.B) {
	data := base64.StdEncoding.EncodeToString(make([]byte, 20<<20))
	body := `{"name":"big","_attachments":{"big-1.0.0.tgz":{"content_type":"application/octet-stream","data":"` + data + `","length":20971520}}}`
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := split(strings.NewReader(body), maxDocument, func(_ string, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
