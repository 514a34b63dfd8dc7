package npm

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

const integrity = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

var (
	hello  = artifact.Coordinates{Format: artifact.NPM, Name: "hello"}
	scoped = artifact.Coordinates{Format: artifact.NPM, Namespace: "sc", Name: "hello"}
)

func parse(t *testing.T, c artifact.Coordinates, doc string) *upstream.Listing {
	t.Helper()
	l, err := New().Remote("https://registry.test/").Parse(c, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParse(t *testing.T) {
	const first = `{ "name":"hello", "version":"1.0.0", "deprecated":"no \"good\"", "dist":{"shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709","tarball":"https:\/\/registry.test/hello/-/hello-1.0.0.tgz"} }`
	const second = `{"version":"1.1.0","dist":{"tarball":"http://registry.test/x","integrity":"` + integrity + `","shasum":"ignored"}}`
	l := parse(t, hello, `{"_id":"hello","_rev":"7-x","name":"hello",
		"time":{"modified":"2024-05-06T07:08:09.010Z","1.1.0":"2024-05-06T07:08:09Z","0.9.0":"2020-01-01T00:00:00.000Z","1.0.0":"2021-02-29T00:00:00.000Z"},
		"versions":{"1.0.0":`+first+`,"1.1.0":`+second+`},
		"dist-tags":{"latest":"1.1.0","odd":7}, "readme":"# hi\ud83d", "users":{"a":true}}`)
	doc := l.Doc.(*packument)
	l.Doc = nil
	want := &upstream.Listing{
		Versions: []upstream.ListedVersion{
			{Number: "1.0.0", Manifest: []byte(first), Assets: []upstream.ListedAsset{{
				Name: "package.tgz", URL: "https://registry.test/hello/-/hello-1.0.0.tgz", Integrity: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
			}}},
			{Number: "1.1.0", Manifest: []byte(second), Published: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), Assets: []upstream.ListedAsset{{
				Name: "package.tgz", URL: "http://registry.test/x", Integrity: integrity,
			}}},
		},
		Tags:     map[string]string{"latest": "1.1.0"},
		Modified: time.Date(2024, 5, 6, 7, 8, 9, 10e6, time.UTC),
	}
	if diff := cmp.Diff(want, l, cmpopts.IgnoreUnexported(upstream.Listing{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantDoc := &packument{members: []member{{"readme", []byte(`"# hi\ud83d"`)}, {"users", []byte(`{"a":true}`)}}}
	if diff := cmp.Diff(wantDoc, doc, cmp.AllowUnexported(packument{}, member{})); diff != "" {
		t.Errorf("doc (-want +got):\n%s", diff)
	}
}

func TestParse_ManifestsPointIntoTheDocument(t *testing.T) {
	doc := []byte(`{"name":"hello","versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":"https://registry.test/x"}}}}`)
	l, err := remote{}.Parse(hello, doc)
	if err != nil {
		t.Fatal(err)
	}
	m := l.Versions[0].Manifest
	if at := strings.Index(string(doc), string(m)); &m[0] != &doc[at] {
		t.Error("the manifest is a copy")
	}
	if cap(m) != len(m) {
		t.Error("an append to the manifest would write into the document")
	}
}

func TestParse_SkipsWhatCannotBeInstalled(t *testing.T) {
	const dist = `"dist":{"tarball":"https://registry.test/x"}`
	for name, version := range map[string]string{
		"not an object":            `"1.0.0":"text"`,
		"null":                     `"1.0.0":null`,
		"other version inside":     `"1.0.0":{"version":"1.0.1",` + dist + `}`,
		"no version inside":        `"1.0.0":{` + dist + `}`,
		"other name inside":        `"1.0.0":{"name":"evil","version":"1.0.0",` + dist + `}`,
		"no dist":                  `"1.0.0":{"version":"1.0.0"}`,
		"dist of another kind":     `"1.0.0":{"version":"1.0.0","dist":[]}`,
		"no tarball":               `"1.0.0":{"version":"1.0.0","dist":{}}`,
		"tarball of another kind":  `"1.0.0":{"version":"1.0.0","dist":{"tarball":1}}`,
		"tarball without host":     `"1.0.0":{"version":"1.0.0","dist":{"tarball":"/x"}}`,
		"tarball of other scheme":  `"1.0.0":{"version":"1.0.0","dist":{"tarball":"file:///etc/passwd"}}`,
		"two dists":                `"1.0.0":{"version":"1.0.0",` + dist + `,"d\u0069st":{"tarball":"https://evil.test/x"}}`,
		"two tarballs":             `"1.0.0":{"version":"1.0.0","dist":{"tarball":"https://registry.test/x","tarball":"https://evil.test/x"}}`,
		"two versions inside":      `"1.0.0":{"version":"1.0.0","version":"1.0.0",` + dist + `}`,
		"number with a slash":      `"1/0":{"version":"1/0",` + dist + `}`,
		"number with traversal":    `"../1":{"version":"../1",` + dist + `}`,
		"number with a quote":      `"1\"":{"version":"1\"",` + dist + `}`,
		"empty number":             `"":{"version":"",` + dist + `}`,
		"number of 300 characters": `"` + strings.Repeat("1", 300) + `":{"version":"` + strings.Repeat("1", 300) + `",` + dist + `}`,
	} {
		l := parse(t, hello, `{"name":"hello","versions":{`+version+`,"2.0.0":{"version":"2.0.0",`+dist+`}}}`)
		if len(l.Versions) != 1 || l.Versions[0].Number != "2.0.0" {
			t.Errorf("%s: %+v", name, l.Versions)
		}
	}
}

func TestParse_RefusesDocuments(t *testing.T) {
	const version = `"1.0.0":{"version":"1.0.0","dist":{"tarball":"https://registry.test/x"}}`
	for name, doc := range map[string]string{
		"empty":             ``,
		"html":              `<!DOCTYPE html><html></html>`,
		"array":             `[]`,
		"text":              `"hello"`,
		"cut off":           `{"name":"hello","versions":{"1.0.0":{`,
		"cut off in a name": `{"name":"hello","ver`,
		"trailing":          `{"name":"hello"} x`,
		"two documents":     `{"name":"hello"}{"name":"hello"}`,
		"other name":        `{"name":"goodbye","versions":{}}`,
		"other case":        `{"name":"Hello","versions":{}}`,
		"late other name":   `{"versions":{` + version + `},"name":"goodbye"}`,
		"name not a string": `{"name":7}`,
		"two names":         `{"name":"hello","name":"hello"}`,
		"two versions":      `{"versions":{},"versions":{}}`,
		"version twice":     `{"versions":{` + version + `,` + version + `}}`,
		"two tags":          `{"dist-tags":{},"dist-tags":{}}`,
		"two times":         `{"time":{},"time":{}}`,
		"control character": "{\"name\":\"hello\x01\"}",
		"too deep":          `{"readme":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"bad number":        `{"x":01}`,
	} {
		if _, err := (remote{}).Parse(hello, []byte(doc)); !fault.Is(err, fault.Upstream) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse_TakesSparseDocuments(t *testing.T) {
	for name, doc := range map[string]string{
		"unpublished":   `{"_id":"hello","name":"hello","time":{"unpublished":{"name":"x","time":"y"}}}`,
		"nothing":       `{}`,
		"odd versions":  `{"versions":[],"dist-tags":[],"time":"x"}`,
		"null versions": `{"versions":null}`,
		"odd times":     `{"time":{"modified":7,"created":null}}`,
	} {
		if l := parse(t, hello, doc); len(l.Versions) != 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2024-05-06T07:08:09.010Z":       time.Date(2024, 5, 6, 7, 8, 9, 10e6, time.UTC),
		"2024-02-29T23:59:59.999Z":       time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.UTC),
		"2024-05-06T07:08:09+02:00":      time.Date(2024, 5, 6, 5, 8, 9, 0, time.UTC),
		"2024-05-06T07:08:09.123456Z":    time.Date(2024, 5, 6, 7, 8, 9, 123456e3, time.UTC),
		"2023-02-29T00:00:00.000Z":       {},
		"2024-13-01T00:00:00.000Z":       {},
		"2024-01-01T24:00:00.000Z":       {},
		"2024-01-01Txx:00:00.000Z":       {},
		"":                               {},
		"yesterday":                      {},
		"2024-05-06 07:08:09.010Z extra": {},
	} {
		if got := parseTime([]byte(text)); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	l := parse(t, hello, `{"name":"hello","versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":"https://registry.test/x","integrity":"`+integrity+`"}}}}`)
	got, err := remote{}.Locate(hello, "1.0.0", "package.tgz", l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(upstream.ListedAsset{Name: "package.tgz", URL: "https://registry.test/x", Integrity: integrity}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range [][2]string{{"2.0.0", "package.tgz"}, {"1.0.0", "other.tgz"}} {
		if _, err := (remote{}).Locate(hello, c[0], c[1], l); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// FuzzParsePackument: whatever comes, Parse gives an error of a known kind or a
// listing every version of which is sound and points into the document.
func FuzzParsePackument(f *testing.F) {
	f.Add([]byte(`{"name":"hello","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"hello","version":"1.0.0","dist":{"tarball":"https://registry.test/x","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}},"time":{"1.0.0":"2024-05-06T07:08:09.010Z"}}`))
	f.Add([]byte(`{"versions":{"1":{"version":"1","dist":{"tarball":"http://a\u002fb"}}}}`))
	f.Add([]byte(`{"name":"hello","versions":{"1.0.0":{}`))
	f.Add(bigPackument("hello", 2))
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := remote{}.Parse(hello, doc)
		if err != nil {
			if !fault.Is(err, fault.Upstream) {
				t.Errorf("kind %v", fault.Of(err))
			}
			return
		}
		for _, v := range l.Versions {
			if !versionSafe(v.Number) || len(v.Assets) != 1 || stringMember(v.Manifest, "version") != v.Number {
				t.Errorf("unsound version %+v", v)
			}
			if !jsontext.Value(v.Manifest).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
				t.Errorf("manifest %q is not JSON", v.Manifest)
			}
		}
	})
}
