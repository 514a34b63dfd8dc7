package pypi

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/upstream"
	"packhouse/internal/upstream/upstreamtest"
)

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"1.0": "1.0", "1.0.0": "1.0.0", " v1.0-RC.1 ": "1.0rc1", "1.0alpha": "1.0a0", "1.0c2": "1.0rc2", "1.0-preview_3": "1.0rc3", "1.0-1": "1.0.post1",
		"1.0.rev2": "1.0.post2", "1.0post": "1.0.post0", "1.0_dev-3": "1.0.dev3", "01.002": "1.2", "2!1.0": "2!1.0", "0!1": "1",
		"1.0+Ubuntu-01_x": "1.0+ubuntu.1.x", "1.0a1.post2.dev3+l": "1.0a1.post2.dev3+l", "99999999999999999999999.0": "99999999999999999999999.0",
	} {
		if v, ok := parseVersion(text); !ok || v.String() != want {
			t.Errorf("%q: %q, %v, want %q", text, v, ok, want)
		}
	}
	for _, text := range []string{"", "2004d", "1.0-", "1..0", "1.0+", "1.0+a..b", "1_0", "latest", "1.0 beta x", "१.०", "-1", "1!", strings.Repeat("1.", 200) + "1"} {
		if v, ok := parseVersion(text); ok {
			t.Errorf("%q is taken for %q", text, v)
		}
	}
}

// ordered is the order of PEP 440, with some of its spellings.
var ordered = []string{
	"junk", "1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0b2.post345.dev456", "1.0b2.post345",
	"1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1!0.1",
}

func TestCompare(t *testing.T) {
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareVersions(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, pair := range [][2]string{{"1.0", "1.0.0"}, {"1", "1.0.0.0"}, {"1.0-RC1", "1rc1"}, {"1.0+A_1", "1.0.0+a.1"}} {
		if compareVersions(pair[0], pair[1]) != 0 || !sameRelease(pair[0], pair[1]) {
			t.Errorf("%v are not the same release", pair)
		}
	}
}

// TestCompare_AsPython holds order and normal form against packaging, the
// library that installers use, where some pip has it.
func TestCompare_AsPython(t *testing.T) {
	required := os.Getenv("PACKHOUSE_TEST_REQUIRE") != ""
	python, err := exec.LookPath("python3")
	if err != nil && !required {
		t.Skip("python3 is not here, so there is no packaging to compare with")
	}
	if err != nil {
		t.Fatal(err)
	}
	script := "import sys\ntry:\n from pip._vendor.packaging.version import Version\nexcept ImportError: sys.exit(3)\n" +
		"v=[Version(x) for x in sys.argv[1:]]\nassert v==sorted(v)\nprint(*v)\n"
	out, err := exec.CommandContext(t.Context(), python, append([]string{"-c", script}, ordered[1:]...)...).Output()
	exit, _ := errors.AsType[*exec.ExitError](err)
	if exit != nil && exit.ExitCode() == 3 && !required {
		t.Skip("pip of this python3 brings no packaging to compare with")
	}
	if exit != nil {
		t.Fatalf("packaging orders these versions otherwise, or was not there: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, text := range ordered[1:] {
		v, _ := parseVersion(text)
		want = append(want, v.String())
	}
	if diff := cmp.Diff(want, strings.Fields(string(out))); diff != "" {
		t.Errorf("normal forms (-ours +packaging):\n%s", diff)
	}
}

func FuzzVersion(f *testing.F) {
	for _, seed := range append(ordered, "", "v1.0-1", "1.0+a.b", "\xff") {
		f.Add(seed, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if v, ok := parseVersion(a); ok {
			again, ok := parseVersion(v.String())
			if !ok || again.String() != v.String() || compareVersions(a, v.String()) != 0 {
				t.Errorf("%q is %q, which is %q", a, v, again)
			}
		}
		if x, y := compareVersions(a, b), compareVersions(b, a); (x < 0) != (y > 0) || (x == 0) != (y == 0) {
			t.Errorf("%q and %q: %d, %d", a, b, x, y)
		}
	})
}

func TestFileName(t *testing.T) {
	for _, c := range []struct {
		file, project, version string
		kind                   kind
	}{
		{"Foo_Bar-1.0-py3-none-any.whl", "foo-bar", "1.0", wheel},
		{"foo-1.0-1-cp311-abi3-manylinux_2_17_x86_64.whl", "foo", "1.0", wheel},
		{"foo-1.0_1-py3-none-any.whl", "foo", "1.0.post1", wheel},
		{"foo-bar-1.0.tar.gz", "foo-bar", "1.0", sdist},
		{"foo-bar-1.0-1.tar.gz", "foo-bar", "1.0.post1", sdist},
		{"Foo.bar-2!1.0+x.1.zip", "foo-bar", "2!1.0+x.1", sdist},
		{"foo-1.0.tar.bz2", "foo", "1.0", sdist},
		{"foo-1.0-py2.7.egg", "foo", "1.0", other},
		{"foo-1.0.win32-py2.7.exe", "foo", "1.0", other},
		{"foo-1.0.win-amd64.msi", "foo", "1.0", other},
		{"foo-1.0.tar.gz", "", "1.0", sdist},
		{"foo-1.0.rpm", "foo", "", ""},
		{"foo-2004d.tar.gz", "foo", "", ""},
		{"bar-1.0.tar.gz", "foo", "", ""},
		{"foo-1.0-py3-none.whl", "foo", "", ""},
		{"foo-1.0-x-py3-none-any.whl", "foo", "", ""},
		{"foo/../foo-1.0.tar.gz", "foo", "", ""},
		{"foo-1.0\x00.tar.gz", "foo", "", ""},
		{".tar.gz", "foo", "", ""},
		{"", "", "", ""},
	} {
		d, ok := parseFileName(c.file, c.project)
		if ok != (c.kind != "") || ok && (d.kind != c.kind || d.version.String() != c.version) {
			t.Errorf("%q: %s %s, %v", c.file, d.kind, d.version, ok)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl", "foo-1.0-py2.7.egg", "foo-1.0.win32.exe", ".exe", "--.whl", "-.zip"} {
		f.Add(seed, "foo")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, file, project string) {
		d, ok := parseFileName(file, project)
		if ok && (!validName(d.name) || project != "" && normal(d.name) != project || strings.ContainsAny(file, "/\\\x00\n")) {
			t.Errorf("%q of %q: %+v", file, project, d)
		}
	})
}

func TestMetadata(t *testing.T) {
	m, ok := parseMetadata([]byte("Metadata-Version: 2.4\r\nName: Foo\r\nVersion: 1.0\r\nsummary:  short \nLicense: UNKNOWN\nLicense-Expression: MIT OR Apache-2.0\n" +
		"Requires-Dist: a>=1\nRequires-Dist: b\nDescription: one\n        two\n       |three\nno field\nClassifier: X\n\n"))
	want := &metadata{
		MetadataVersion: "2.4", Name: "Foo", Version: "1.0", Summary: "short", LicenseExpression: "MIT OR Apache-2.0",
		RequiresDist: []string{"a>=1", "b"}, Description: "one\ntwo\nthree", Classifiers: []string{"X"},
	}
	if diff := cmp.Diff(want, m); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
	if m, _ := parseMetadata([]byte("Name: x\nVersion: 1\n\n# Body\nText\xff\n")); m.Description != "# Body\nText\uFFFD\n" {
		t.Errorf("body is %q", m.Description)
	}
	if _, ok := parseMetadata([]byte("Name: x\nVersion: 1\nAuthor: " + strings.Repeat("x", maxFacts) + "\n")); ok {
		t.Error("any amount of facts is taken")
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte("Name: x\nVersion: 1\nRequires-Dist: y[z] (>=1) ; a == \"b\"\n\nbody"))
	f.Add([]byte("Name: x\n folded\n\tmore\nVersion: 1\nLicense: a\n       |b"))
	f.Add([]byte(":\n: \n\xff: \xfe\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, ok := parseMetadata(text)
		if !ok {
			return
		}
		all := manifest{}
		all.describe("x-1.tar.gz", m.facts())
		b, err := all.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New().Describe(artifact.Coordinates{Name: "x"}, b); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestRequirement(t *testing.T) {
	for text, want := range map[string]requirement{
		"Foo.Bar":                              {name: "foo-bar"},
		"foo (>=1,<2)":                         {name: "foo", rest: ">=1,<2"},
		"foo[a, b]>=1 ; extra == 'x'":          {name: "foo", rest: "[a, b]>=1", marker: "extra == 'x'"},
		"foo @ https://x.test/a;b ; os == 'x'": {name: "foo", rest: "@ https://x.test/a;b", marker: "os == 'x'"},
	} {
		if got, ok := parseRequirement(text); !ok || got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", ">=1", "(x)", "é", "-x"} {
		if got, ok := parseRequirement(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestDescribe(t *testing.T) {
	m := manifest{Name: "Foo", Metadata: &metadata{
		Summary: "s", License: "Permission is", Classifiers: []string{"License :: OSI Approved", "License :: OSI Approved :: MIT License"},
		ProjectURLs: []string{"Home-Page, http://home.test", "Source Code, http://git.test"}, RequiresDist: []string{"a-B>=1; extra == 'x'", "!"},
	}}
	m.Metadata.License = ""
	b, _ := m.encode()
	got, err := New().Describe(artifact.Coordinates{Name: "foo"}, b)
	want := artifact.Details{
		DisplayName: "Foo", Summary: "s", Source: "http://git.test", Licenses: []artifact.License{{Name: "MIT License"}},
		Dependencies: []artifact.Dependency{{Package: "a-b", Type: "Requires-Dist", Requirement: ">=1; extra == 'x'"}}, HomePage: "http://home.test",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

const bare = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n"

// TestDistribution_License: a package that names no licence and ships the text
// of one.
func TestDistribution_License(t *testing.T) {
	text := "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\n"
	for name, pack := range map[string]func(string, []byte, []txtar.File) ([]byte, error){"foo-1.0-py3-none-any.whl": upstreamtest.PackWheel, "foo-1.0.tar.gz": upstreamtest.PackSdist} {
		file := "LICENSE"
		if isWheel(name) {
			file = "foo-1.0.dist-info/licenses/LICENSE"
		}
		data, err := pack("foo-1.0", []byte(bare), []txtar.File{{Name: file, Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		d, _ := parseFileName(name, "foo")
		c, err := readDistribution(d, bytes.NewReader(data), int64(len(data)))
		if err != nil || c.metadata == nil || !slices.Equal(c.metadata.Recognized, []string{"MIT"}) {
			t.Errorf("%s: %+v, %v", name, c.metadata, err)
		}
	}
	if got := format.RecognizeLicenses([]byte("all rights reserved")); got != nil {
		t.Errorf("recognised %v", got)
	}
}

func zipOf(tb testing.TB, files ...string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// TestDistribution_Unsound: what is no sound wheel says nothing, at a known cost.
func TestDistribution_Unsound(t *testing.T) {
	many := make([]string, 0, 2*(format.MaxEntries+1))
	for range format.MaxEntries + 1 {
		many = append(many, "x", "")
	}
	whole := zipOf(t, "foo-1.0.dist-info/METADATA", bare)
	d, _ := parseFileName("foo-1.0-py3-none-any.whl", "foo")
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("hello, this is no archive"), "cut": whole[:len(whole)/2], "no metadata": zipOf(t, "foo.py", ""),
		"bomb": zipOf(t, "foo-1.0.dist-info/METADATA", bare+"\n"+strings.Repeat("x", maxMetadata)), "many": zipOf(t, many...),
		"twice":   zipOf(t, "foo-1.0.dist-info/METADATA", bare, "Foo-1.0.dist-info/METADATA", bare),
		"another": zipOf(t, "bar-1.0.dist-info/METADATA", bare), "nested": zipOf(t, "x/foo-1.0.dist-info/METADATA", bare),
	} {
		c, err := readDistribution(d, bytes.NewReader(data), int64(len(data)))
		if err != nil || c.metadata != nil {
			t.Errorf("%s: %+v, %v", name, c.metadata, err)
		}
	}
}

func FuzzDistribution(f *testing.F) {
	f.Add(zipOf(f, "foo-1.0.dist-info/METADATA", bare), "foo-1.0-py3-none-any.whl")
	f.Add(zipOf(f, "foo-1.0/PKG-INFO", bare), "foo-1.0.zip")
	tgz, err := upstreamtest.PackSdist("foo-1.0", []byte(bare), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tgz, "foo-1.0.tar.gz")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		_, err := New().Inspect(artifact.Coordinates{Format: artifact.PyPI, Name: "foo"}, "1.0", name, bytes.NewReader(data), int64(len(data)))
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	})
}

var foo = artifact.Coordinates{Format: artifact.PyPI, Name: "foo"}

const page1 = `html http://index.test/simple/foo/
<!DOCTYPE html><html><head><base href="../files/"><meta content="1.4" name="pypi:repository-version"><META name=pypi:project-status content='archived'></head><body>
<!-- <a href="foo-9.tar.gz">no</a> -->
<a href="foo-1.0.tar.gz#sha256=` + sum1 + `" data-requires-python="&gt;=3.8">foo-1.0.tar.gz</a>
<A data-yanked HREF='//cdn.test/x/foo-1.0.0-py3-none-any.whl#md5=d41d8cd98f00b204e9800998ecf8427e' data-core-metadata=true>other text</a>
<a href=foo-1.1.zip data-yanked="a &amp; b">x</a><a href="foo-1.0.tar.gz">again</a>
<a href="javascript:foo-2.0.zip">no</a><a href="foo-2004d.zip">no</a><a href="README">no</a></body></html>`

const sum1 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func parse(tb testing.TB, doc string) *upstream.Listing {
	tb.Helper()
	l, err := New().Remote("http://index.test/simple/").Parse(foo, []byte(doc))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func shape(l *upstream.Listing) (all []string) {
	for _, v := range l.Versions {
		for _, a := range v.Assets {
			all = append(all, v.Number+" "+a.URL+" "+a.Integrity)
		}
	}
	return all
}

func TestParse(t *testing.T) {
	l := parse(t, page1)
	want := []string{
		"1.0 http://index.test/simple/files/foo-1.0.tar.gz sha256-ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=",
		"1.0 http://cdn.test/x/foo-1.0.0-py3-none-any.whl md5-1B2M2Y8AsgTpgAmY7PhCfg==",
		"1.1 http://index.test/simple/files/foo-1.1.zip ",
	}
	if diff := cmp.Diff(want, shape(l)); diff != "" {
		t.Errorf("html (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(`{"files":[{"filename":"foo-1.1.zip","yanked":"a & b"}]}`, string(l.Versions[1].Manifest)); diff != "" {
		t.Error(diff)
	}
	if s := l.Doc.(*project).status.Status; s != "archived" {
		t.Errorf("status %q", s)
	}
	a, err := remote{}.Locate(foo, "1.0", "foo-1.0.0-py3-none-any.whl.metadata", l)
	if err != nil || a.URL != "http://cdn.test/x/foo-1.0.0-py3-none-any.whl.metadata" {
		t.Errorf("metadata: %+v, %v", a, err)
	}
	if _, err := (remote{}).Locate(foo, "1.0", "foo-1.0.tar.gz.metadata", l); !fault.Is(err, fault.NotFound) {
		t.Errorf("metadata of an sdist: %v", err)
	}

	l = parse(t, "json http://index.test/simple/foo/\n"+`{"meta":{"api-version":"1.4","x":1},"name":"Foo","versions":["1"],"project-status":{"status":"quarantined","reason":"r"},"files":[
{"filename":"foo-1.tar.gz","url":"../../p/foo-1.tar.gz","hashes":{"sha256":"`+strings.ToUpper(sum1)+`","blake2b":"x"},"requires-python":null,"size":7,"upload-time":"2024-01-02T03:04:05.678901Z","yanked":"","provenance":null,"dist-info-metadata":true},
{"filename":"foo-2.tar.gz","url":"ftp://x.test/foo-2.tar.gz","hashes":{}}]}`)
	want = []string{"1 http://index.test/p/foo-1.tar.gz sha256-ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8="}
	if diff := cmp.Diff(want, shape(l)); diff != "" {
		t.Errorf("json (-want +got):\n%s", diff)
	}
	wantManifest := `{"files":[{"filename":"foo-1.tar.gz","hashes":{"sha256":"` + sum1 + `"},"yanked":true,"size":7,"upload-time":"2024-01-02T03:04:05.678901Z"}]}`
	if diff := cmp.Diff(wantManifest, string(l.Versions[0].Manifest)); diff != "" {
		t.Error(diff)
	}
}

func TestParse_NoIndex(t *testing.T) {
	for _, doc := range []string{
		"", "json http://i.test/\n", "json http://i.test/\n{}", "json http://i.test/\n[]", "xml http://i.test/\n<a/>",
		"json http://i.test/\n" + `{"meta":{"api-version":"2.0"},"name":"foo","files":[]}`,
		"json http://i.test/\n" + `{"meta":{"api-version":"1.0"},"name":"bar","files":[]}`,
		"json http://i.test/\n" + `{"meta":{"api-version":"1.0"},"name":"foo","files":[`,
		"json http://i.test/\n" + `{"meta":{"api-version":"1.0"},"name":"foo","files":{}}`,
		"html http://i.test/\n<html><body>Please <a href=\"/login\">sign in</a></body></html>",
		"html http://i.test/\n<meta name=\"pypi:repository-version\" content=\"2.0\"><a href=\"foo-1.0.zip\">x</a>",
	} {
		if _, err := New().Remote("http://i.test/").Parse(foo, []byte(doc)); !fault.Is(err, fault.Upstream) {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

// TestParse_Many: entries of a few bytes do not fill the memory, and what lists
// more files than any project has is refused.
func TestParse_Many(t *testing.T) {
	head := "json http://i.test/\n" + `{"meta":{"api-version":"1.0"},"name":"foo","files":[`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	doc := []byte(head + strings.Repeat("{},", 1<<18) + `{"filename":"foo-1.zip","url":"x"}]}`)
	_, err := New().Remote("http://i.test/").Parse(foo, doc)
	if runtime.ReadMemStats(&after); !fault.Is(err, fault.Upstream) || !strings.Contains(err.Error(), fmt.Sprintf("more than %d files", maxFiles)) {
		t.Errorf("a quarter of a million files: %v", err)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
		t.Errorf("a document of %d MiB took %d MiB", len(doc)>>20, used)
	}
}

// TestParse_Provenance: where it is may be said relative to the page, as here.
func TestParse_Provenance(t *testing.T) {
	for _, doc := range []string{
		"json http://i.test/foo/\n" + `{"meta":{"api-version":"1.4"},"name":"foo","files":[{"filename":"foo-1.zip","url":"1/foo-1.zip","provenance":"1/foo-1.zip.provenance"}]}`,
		"html http://i.test/foo/\n" + `<a href="1/foo-1.zip" data-provenance="1/foo-1.zip.provenance">`,
	} {
		a, err := remote{}.Locate(foo, "1", "foo-1.zip.provenance", parse(t, doc))
		if err != nil || a.URL != "http://i.test/foo/1/foo-1.zip.provenance" {
			t.Errorf("%s: %+v, %v", doc, a, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(page1))
	f.Add([]byte("json http://i.test/\n" + `{"meta":{"api-version":"1.0"},"name":"foo","files":[{"filename":"foo-1.zip","url":"x","hashes":{},"yanked":true,"core-metadata":{"sha256":"x"}}]}`))
	f.Add([]byte("html http://i.test/\n<a href=foo-1.zip#= x='<"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := New().Remote("http://i.test/").Parse(foo, doc)
		if err != nil {
			if !fault.Is(err, fault.Upstream) {
				t.Error(err)
			}
			return
		}
		for _, v := range l.Versions {
			if artifact.CheckName("version", v.Number) != nil {
				t.Errorf("version %q", v.Number)
			}
			for _, a := range v.Assets {
				if artifact.CheckAssetName(a.Name) != nil {
					t.Errorf("asset %q", a.Name)
				}
			}
		}
		all := merged(foo, l)
		if err := renderHTML(t.Context(), all, discard{}); err != nil {
			t.Error(err)
		}
		if err := renderJSON(t.Context(), all, discard{}); err != nil {
			t.Error(err)
		}
	})
}
