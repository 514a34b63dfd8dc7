package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

func TestDescribe(t *testing.T) {
	for name, c := range map[string]struct {
		manifest string
		want     artifact.Details
	}{
		"typical": {
			`{"description":"greets","homepage":"https://home.test","repository":{"type":"git","url":"git+https://git.test/x.git"},"license":"MIT",
			"dependencies":{"@sc/util":"^1.0.0","fsevents":"*","left-pad":"1"},"optionalDependencies":{"fsevents":"*"},"devDependencies":{"tap":"x"},"peerDependencies":{"react":">=17"}}`,
			artifact.Details{
				Summary: "greets", HomePage: "https://home.test", Source: "git+https://git.test/x.git", Licenses: []artifact.License{{Name: "MIT"}},
				Dependencies: []artifact.Dependency{
					{Namespace: "sc", Package: "util", Type: "regular", Requirement: "^1.0.0"},
					{Package: "left-pad", Type: "regular", Requirement: "1"},
					{Package: "fsevents", Type: "optional", Requirement: "*"},
					{Package: "tap", Type: "dev", Requirement: "x"},
					{Package: "react", Type: "peer", Requirement: ">=17"},
				},
			},
		},
		"old spellings": {
			`{"repository":"git://git.test/x","licenses":[{"type":"MIT","url":"https://mit.test"},"BSD",[["x"]],7,{}],"dependencies":[]}`,
			artifact.Details{Source: "git://git.test/x", Licenses: []artifact.License{{Name: "MIT", URL: "https://mit.test"}, {Name: "BSD"}}},
		},
		"license object": {`{"license":{"name":"ISC"}}`, artifact.Details{Licenses: []artifact.License{{Name: "ISC"}}}},
		"odd kinds":      {`{"description":7,"homepage":[],"repository":[],"license":"","dependencies":"x","peerDependencies":null}`, artifact.Details{}},
	} {
		c.want.DisplayName = "@sc/hello"
		got, err := New().Describe(scoped, []byte(c.manifest))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if _, err := New().Describe(scoped, []byte("[]")); err == nil {
		t.Error("a manifest that is no object is described")
	}
}

func pack(files ...string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		_ = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[i+1]))
	}
	_, _ = w.Close(), z.Close()
	return b.Bytes()
}

func TestReadme(t *testing.T) {
	assets := []artifact.Asset{{Name: "package.tgz"}}
	for name, c := range map[string]struct {
		manifest string
		tarball  []byte
		want     string
	}{
		"manifest":       {`{"readme":"# hi"}`, nil, "# hi"},
		"npm's regret":   {`{"readme":"ERROR: No README data found!"}`, pack("package/README.md", "# hi"), "# hi"},
		"tarball":        {`{}`, pack("package/index.js", "x", "package/README.md", "# hi"), "# hi"},
		"any folder":     {`{}`, pack("node-hello/readme", "hi"), "hi"},
		"markdown first": {`{}`, pack("p/README", "plain", "p/readme.md", "# hi", "p/README.txt", "text"), "# hi"},
		"text":           {`{}`, pack("p/README.rst", "rst", "p/README", "plain"), "plain"},
		"not a nested":   {`{}`, pack("p/docs/README.md", "no", "README.md", "no"), ""},
		"none":           {`{}`, pack("p/index.js", "x"), ""},
		"not an archive": {`{}`, []byte("x"), ""},
		"cut archive":    {`{}`, pack("p/README.md", strings.Repeat("x", 9999))[:40], ""},
		"not text":       {`{}`, pack("p/README.md", "a\xffb"), "a\ufffdb"},
		"cut to size":    {`{}`, pack("p/README.md", strings.Repeat("x", maxReadme-1)+"\u00e9"), strings.Repeat("x", maxReadme-1)},
		"traversal":      {`{}`, pack("p/../../README.md", "no"), ""},
		"other kind":     {`{"readme":{}}`, pack("p/README.md", "# hi"), "# hi"},
	} {
		got, err := New().Readme([]byte(c.manifest), assets, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.tarball)), nil })
		if got != c.want || (c.want == "") != fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %.40q, %v", name, got, err)
		}
	}
	failed := errors.New("disk")
	if _, err := New().Readme([]byte(`{}`), assets, func(string) (io.ReadCloser, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if _, err := New().Readme([]byte(`{}`), nil, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("without asset: %v", err)
	}
}

func TestWriteError(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{fault.New(fault.NotFound, "no such thing"), 404, `{"error":"not_found"}`},
		{fault.New(fault.Conflict, `say "no"`), 409, `{"error":"say \"no\""}`},
		{fault.New(fault.Unauthenticated, "who?"), 401, `{"error":"who?"}`},
		{format.NotAllowed("PATCH", "GET"), 405, `{"error":"method PATCH is not allowed here"}`},
		{errors.New("secret"), 500, `{"error":"internal error; the server's log has the details under this request id"}`},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := httptest.NewRecorder()
			New().WriteError(w, &format.Request{Request: httptest.NewRequest(method, "/", nil)}, c.err)
			want := c.body
			if method == http.MethodHead {
				want = ""
			}
			if w.Code != c.status || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s %v: %d %s %v", method, c.err, w.Code, w.Body, w.Header())
			}
		}
	}
}

func TestSetup(t *testing.T) {
	got := New().Setup(format.Target{Endpoint: "http://127.0.0.1:8470/x/npm/app/", Token: "T", Scope: "sc"})
	want := []format.Snippet{
		{Tool: "npm", File: "~/.npmrc", Settings: "@sc:registry=http://127.0.0.1:8470/x/npm/app/\n//127.0.0.1:8470/x/npm/app/:_authToken=T\n", Commands: [][]string{
			{"npm", "config", "set", "@sc:registry", "http://127.0.0.1:8470/x/npm/app/"},
			{"npm", "config", "set", "//127.0.0.1:8470/x/npm/app/:_authToken", "T"},
		}},
		{Tool: "pnpm", File: "~/.npmrc", Settings: "@sc:registry=http://127.0.0.1:8470/x/npm/app/\n//127.0.0.1:8470/x/npm/app/:_authToken=T\n"},
		{Tool: "yarn", File: "~/.npmrc", Settings: "@sc:registry=http://127.0.0.1:8470/x/npm/app/\n//127.0.0.1:8470/x/npm/app/:_authToken=T\nalways-auth=true\n"},
		{Tool: "yarn", File: "~/.yarnrc.yml", Settings: "unsafeHttpWhitelist:\n  - \"127.0.0.1\"\nnpmScopes:\n  sc:\n" +
			"    npmRegistryServer: \"http://127.0.0.1:8470/x/npm/app/\"\n    npmPublishRegistry: \"http://127.0.0.1:8470/x/npm/app/\"\n" +
			"    npmAuthToken: \"T\"\n    npmAlwaysAuth: true\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with a scope (-want +got):\n%s", diff)
	}
	secure := New().Setup(format.Target{Endpoint: "https://packages.test/npm/app/", Token: "T"})
	if diff := cmp.Diff("npmRegistryServer: \"https://packages.test/npm/app/\"\nnpmAuthToken: \"T\"\nnpmAlwaysAuth: true\n", secure[3].Settings); diff != "" {
		t.Errorf("yarn over TLS (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"npm", "config", "set", "registry", "https://packages.test/npm/app/"}, secure[0].Commands[0]); diff != "" {
		t.Errorf("npm (-want +got):\n%s", diff)
	}
}
