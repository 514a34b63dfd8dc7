package npm

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const base = "http://house.test/npm/app/"

func rendered(t *testing.T, l *registry.Listing, render registry.Render) string {
	t.Helper()
	var b bytes.Buffer
	if err := render(t.Context(), l, &b); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) {
		t.Fatalf("not JSON: %s", b.Bytes())
	}
	return b.String()
}

// TestRender_Golden renders testdata/*.txtar: the remote's document in, the two
// forms out.
func TestRender_Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			l := parse(t, scoped, strings.TrimSpace(string(a.Files[0].Data)))
			got := &txtar.Archive{Comment: a.Comment, Files: []txtar.File{
				a.Files[0],
				{Name: "full.json", Data: []byte(rendered(t, merged(scoped, l), renderFull(base)) + "\n")},
				{Name: "abbreviated.json", Data: []byte(rendered(t, merged(scoped, l), renderAbbreviated(base)) + "\n")},
			}}
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(a)), string(txtar.Format(got))); diff != "" {
				t.Errorf("(-want +got; -update rewrites):\n%s", diff)
			}
		})
	}
}

// ours is a version published here.
func ours(number, manifest string, published time.Time) registry.Listed {
	return registry.Listed{Version: artifact.Version{
		Number: number, Status: artifact.Published, Published: published, Manifest: []byte(manifest), Origin: artifact.Origin{Type: artifact.Internal},
	}}
}

var day = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRender_PublishedHere(t *testing.T) {
	l := &registry.Listing{
		Coordinates: hello, Tags: map[string]string{"next": "1.1.0-rc.1", "beta": "0.9.0"},
		Versions: []registry.Listed{
			ours("1.0.0", `{"name":"hello","version":"1.0.0","description":"old","readme":"old","dist":{"shasum":"x"}}`, day),
			ours("1.1.0-rc.1", `{"name":"hello","version":"1.1.0-rc.1","scripts":{"install":"node-gyp rebuild"},"dist":{}, "readme" : "new","description":"new","license":"MIT"}`, day.AddDate(0, 0, 1)),
		},
		Modified: day.AddDate(0, 0, 1),
	}
	hidden := ours("2.0.0", `{"name":"hello","version":"2.0.0","dist":{}}`, day.AddDate(0, 0, 2))
	hidden.Status = artifact.Unlisted
	l.Versions = append(l.Versions, hidden)
	full := rendered(t, l, renderFull(base))
	want := `{"_id":"hello","_rev":"` + revision(l) + `","name":"hello","dist-tags":{"latest":"1.0.0","next":"1.1.0-rc.1"},"versions":{` +
		`"1.0.0":{"name":"hello","version":"1.0.0","description":"old","dist":{"tarball":"http://house.test/npm/app/hello/-/hello-1.0.0.tgz","shasum":"x"}},` +
		`"1.1.0-rc.1":{"name":"hello","version":"1.1.0-rc.1","scripts":{"install":"node-gyp rebuild"},"dist":{"tarball":"http://house.test/npm/app/hello/-/hello-1.1.0-rc.1.tgz"},"description":"new","license":"MIT"}},` +
		`"time":{"created":"2024-01-01T00:00:00.000Z","modified":"2024-01-03T00:00:00.000Z","1.0.0":"2024-01-01T00:00:00.000Z","1.1.0-rc.1":"2024-01-02T00:00:00.000Z"},` +
		`"readme" : "new","description":"new","license":"MIT"}`
	if diff := cmp.Diff(want, full); diff != "" {
		t.Errorf("full (-want +got):\n%s", diff)
	}
	want = `{"name":"hello","dist-tags":{"latest":"1.0.0","next":"1.1.0-rc.1"},"versions":{` +
		`"1.0.0":{"name":"hello","version":"1.0.0","dist":{"tarball":"http://house.test/npm/app/hello/-/hello-1.0.0.tgz","shasum":"x"}},` +
		`"1.1.0-rc.1":{"name":"hello","version":"1.1.0-rc.1","dist":{"tarball":"http://house.test/npm/app/hello/-/hello-1.1.0-rc.1.tgz"},"hasInstallScript":true}},` +
		`"modified":"2024-01-03T00:00:00.000Z"}`
	if diff := cmp.Diff(want, rendered(t, l, renderAbbreviated(base))); diff != "" {
		t.Errorf("abbreviated (-want +got):\n%s", diff)
	}
}

func TestRender_AddressesLeadHere(t *testing.T) {
	const tarball, attested = `"http://house.test/npm/app/hello/-/hello-1.0.0.tgz"`, `"http://house.test/npm/app/-/npm/v1/attestations/hello@1.0.0"`
	for _, c := range []struct{ dist, want string }{
		{`{}`, `{"tarball":` + tarball + `}`},
		{`{"shasum":"x"}`, `{"tarball":` + tarball + `,"shasum":"x"}`},
		{`{"tarball":"t","attestations":{"p":1,"url":"u"},"shasum":"x"}`, `{"tarball":` + tarball + `,"attestations":{"p":1,"url":` + attested + `},"shasum":"x"}`},
		{`{"attestations":{"url":"u","p":{"url":"v"}}, "tarball":"t"}`, `{"attestations":{"url":` + attested + `,"p":{"url":"v"}}, "tarball":` + tarball + `}`},
		{`{"attestations":{"url":"u"}}`, `{"tarball":` + tarball + `,"attestations":{"url":` + attested + `}}`},
		{`{"attestations":{},"tarball":"t"}`, `{"attestations":{},"tarball":` + tarball + `}`},
		{`{"attestations":["url"],"tarball":"t"}`, `{"attestations":["url"],"tarball":` + tarball + `}`},
	} {
		v := ours("1.0.0", `{"name":"hello","version":"1.0.0","dist":`+c.dist+`,"x":1}`, day)
		got, err := appendManifest(nil, base, hello, &v)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(`{"name":"hello","version":"1.0.0","dist":`+c.want+`,"x":1}`, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.dist, diff)
		}
	}
}

func TestRender_LatestIsTheHighestPublishedWhenItsVersionIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		versions []string
		tags     map[string]string
		want     string
	}{
		"tagged":                {[]string{"1.0.0", "2.0.0"}, map[string]string{"latest": "1.0.0"}, "1.0.0"},
		"gone":                  {[]string{"1.0.0", "1.10.0", "1.9.0"}, map[string]string{"latest": "3.0.0"}, "1.10.0"},
		"untagged":              {[]string{"1.0.0", "0.1.0"}, nil, "1.0.0"},
		"release before beta":   {[]string{"1.0.0", "2.0.0-beta"}, nil, "1.0.0"},
		"only betas":            {[]string{"2.0.0-alpha", "2.0.0-beta"}, nil, "2.0.0-beta"},
		"build with a hyphen":   {[]string{"1.0.0+a-b", "0.1.0"}, nil, "1.0.0+a-b"},
		"others are not chosen": {[]string{"1.0.0"}, map[string]string{"next": "1.0.0"}, "1.0.0"},
	} {
		l := &registry.Listing{Coordinates: hello, Tags: c.tags}
		for _, v := range c.versions {
			l.Versions = append(l.Versions, ours(v, `{}`, day))
		}
		if got := distTags(l)["latest"]; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRender_NothingPublishedIsNotFound(t *testing.T) {
	v := ours("1.0.0", `{"name":"hello","version":"1.0.0","dist":{}}`, day)
	v.Status = artifact.Unlisted
	l := &registry.Listing{Coordinates: hello, Versions: []registry.Listed{v}}
	for _, render := range []registry.Render{renderFull(base), renderAbbreviated(base)} {
		if err := render(t.Context(), l, &bytes.Buffer{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
	}
}

func TestRender_IsTheSameEveryTime(t *testing.T) {
	l := listingOf(t, big, bigPackument("big", 20))
	l.Tags = map[string]string{"a": "0.0.1", "b": "0.0.2", "c": "0.0.3", "d": "0.0.4", "latest": "0.0.5"}
	first := rendered(t, l, renderFull(base))
	for range 5 {
		if rendered(t, l, renderFull(base)) != first {
			t.Fatal("two renderings differ")
		}
	}
}

func TestRevision_FollowsEveryChange(t *testing.T) {
	listing := func() *registry.Listing {
		return &registry.Listing{Coordinates: hello, Tags: map[string]string{"latest": "1.0.0"}, Versions: []registry.Listed{
			ours("1.0.0", `{"a":1}`, day), ours("1.1.0", `{"a":2}`, day),
		}}
	}
	same := revision(listing())
	if revision(listing()) != same {
		t.Error("the same listing has two revisions")
	}
	for name, change := range map[string]func(*registry.Listing){
		"manifest": func(l *registry.Listing) { l.Versions[0].Manifest = []byte(`{"a":3}`) },
		"status":   func(l *registry.Listing) { l.Versions[1].Status = artifact.Unlisted },
		"version":  func(l *registry.Listing) { l.Versions = l.Versions[:1] },
		"tag":      func(l *registry.Listing) { l.Tags["latest"] = "1.1.0" },
		"new tag":  func(l *registry.Listing) { l.Tags["next"] = "1.1.0" },
	} {
		l := listing()
		change(l)
		if revision(l) == same {
			t.Errorf("%s: the revision stays", name)
		}
	}
}

// FuzzRenderRoundTrip: what Parse takes, both forms say again, and reading
// them gives the same versions with their bytes, but for the address.
func FuzzRenderRoundTrip(f *testing.F) {
	f.Add([]byte(`{"name":"hello","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"hello","version":"1.0.0","scripts":{"postinstall":"x"},"dist":{"x":[],"tarball":"https://registry.test/x","integrity":"sha512-x"},"y":{}}},"time":{"1.0.0":"2024-05-06T07:08:09.010Z"},"readme":"\u2028"}`))
	f.Add([]byte(`{"versions":{"1":{"version":"1","dist":{ "tarball" : "http://a\u002fb" } , "a" : 1e5 }}}`))
	f.Add(bigPackument("hello", 2))
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := remote{}.Parse(hello, doc)
		if err != nil || len(l.Versions) == 0 {
			return
		}
		seen := map[string]bool{}
		for _, m := range l.Doc.(*packument).members {
			if seen[m.name] || m.name == "time" || strings.ContainsRune(m.name, '\ufffd') {
				return // names that collide once rendered; no registry sends them
			}
			seen[m.name] = true
		}
		for _, render := range []registry.Render{renderFull(base), renderAbbreviated(base)} {
			var b bytes.Buffer
			if err := render(t.Context(), merged(hello, l), &b); err != nil {
				t.Fatal(err)
			}
			again, err := remote{}.Parse(hello, b.Bytes())
			if err != nil {
				t.Fatalf("%v: %s", err, b.Bytes())
			}
			compareListings(t, l, again)
		}
	})
}

func compareListings(t *testing.T, want, got *upstream.Listing) {
	t.Helper()
	if len(got.Versions) != len(want.Versions) {
		t.Fatalf("%d versions, want %d", len(got.Versions), len(want.Versions))
	}
	for i, v := range got.Versions {
		w := want.Versions[i]
		if v.Number != w.Number || v.Assets[0].Integrity != w.Assets[0].Integrity {
			t.Errorf("version %+v, want %+v", v, w)
		}
		if url := base + "hello/-/hello-" + v.Number + ".tgz"; v.Assets[0].URL != url {
			t.Errorf("tarball %s, want %s", v.Assets[0].URL, url)
		}
	}
}
