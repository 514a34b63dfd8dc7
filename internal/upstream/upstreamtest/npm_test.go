package upstreamtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

const packages = `
-- hello/1.0.0/index.js --
module.exports = 'one'
-- hello/1.1.0/package.json --
{"dependencies": {"@sc/util": "^2.0.0"}, "description": "greets", "scripts": {"postinstall": "true"}}
-- hello/1.1.0/README.md --
# hello
-- hello/packument.json --
{"dist-tags": {"old": "1.0.0"}, "versions": {"1.0.0": {"deprecated": "too old"}}}
-- @sc/util/2.0.0/index.js --
module.exports = 2
-- -/npm/v1/security/advisories/bulk --
{"hello": [{"id": 1, "vulnerable_versions": "<1.1.0"}], "other": []}
`

func start(t *testing.T) *Registry {
	t.Helper()
	return NPM(t, txtar.Parse([]byte(packages)))
}

// get asks r without following redirects and gives the answer with its body.
func get(t *testing.T, r *Registry, path string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	resp, err := new(http.Transport).RoundTrip(q)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func decode(t *testing.T, body []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// at walks nested objects.
func at(v any, path ...string) any {
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func TestNPM_FullDocument(t *testing.T) {
	r := start(t)
	_, body, err := get(t, r, "hello")
	if err != nil {
		t.Fatal(err)
	}
	doc := decode(t, body)
	for _, c := range []struct {
		path []string
		want any
	}{
		{[]string{"dist-tags"}, map[string]any{"latest": "1.1.0", "old": "1.0.0"}},
		{[]string{"time", "1.1.0"}, "2020-01-02T00:00:00.000Z"},
		{[]string{"time", "modified"}, "2020-01-02T00:00:00.000Z"},
		{[]string{"description"}, "greets"},
		{[]string{"readme"}, "# hello\n"},
		{[]string{"versions", "1.0.0", "deprecated"}, "too old"},
		{[]string{"versions", "1.1.0", "dependencies", "@sc/util"}, "^2.0.0"},
		{[]string{"versions", "1.1.0", "dist", "tarball"}, r.URL + "hello/-/hello-1.1.0.tgz"},
	} {
		if diff := cmp.Diff(c.want, at(doc, c.path...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.path, diff)
		}
	}
	if one, two := bytes.Index(body, []byte(`"1.0.0":{`)), bytes.Index(body, []byte(`"1.1.0":{`)); one > two {
		t.Error("versions are not in the order of publication")
	}
}

func TestNPM_AbbreviatedDocument(t *testing.T) {
	resp, body, err := get(t, start(t), "hello", "Accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8")
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/vnd.npm.install-v1+json" {
		t.Errorf("content type %q", got)
	}
	doc := decode(t, body)
	if doc["modified"] != "2020-01-02T00:00:00.000Z" || doc["time"] != nil || doc["readme"] != nil {
		t.Errorf("not abbreviated: %s", body)
	}
	if at(doc, "versions", "1.1.0", "hasInstallScript") != true {
		t.Error("hasInstallScript is missing")
	}
}

func TestNPM_TarballMatchesItsDigestAndSignature(t *testing.T) {
	r := start(t)
	doc := decode(t, r.Bytes("@sc%2futil"))
	tgz := r.Bytes("@sc/util/-/util-2.0.0.tgz")
	sum := sha512.Sum512(tgz)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	dist := at(doc, "versions", "2.0.0", "dist")
	if at(dist, "integrity") != integrity {
		t.Errorf("integrity %v, want %s", at(dist, "integrity"), integrity)
	}

	zr, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([]string{"package/package.json", "package/index.js"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	var keys struct{ Keys []struct{ Key []byte } }
	if err := json.Unmarshal(r.Bytes("-/npm/v1/keys"), &keys); err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(keys.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	signatures, _ := at(dist, "signatures").([]any)
	sig, err := base64.StdEncoding.DecodeString(at(signatures[0], "sig").(string))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("@sc/util@2.0.0:" + integrity))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], sig) {
		t.Error("the signature does not verify")
	}
}

func TestNPM_Conditional(t *testing.T) {
	r := start(t)
	for _, path := range []string{"hello", "hello/-/hello-1.0.0.tgz"} {
		first, _, err := get(t, r, path)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := get(t, r, path, "If-None-Match", first.Header.Get("ETag"))
		if err != nil {
			t.Fatal(err)
		}
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: status %d with its own ETag", path, again.StatusCode)
		}
	}
}

func TestNPM_UnknownNamesAreNotFound(t *testing.T) {
	r := start(t)
	for _, path := range []string{"nope", "@sc/nope", "hello/9.9.9", "hello/-/hello-9.9.9.tgz", "-/nope"} {
		resp, _, err := get(t, r, path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}

func TestNPM_AdvisoriesForWhatWasAsked(t *testing.T) {
	r := start(t)
	resp, err := http.Post(r.URL+"-/npm/v1/security/advisories/bulk", "application/json", strings.NewReader(`{"hello":["1.0.0"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"hello": []any{map[string]any{"id": 1.0, "vulnerable_versions": "<1.1.0"}}}
	if diff := cmp.Diff(want, decode(t, body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRegistry_AddShowsNewVersions(t *testing.T) {
	r := start(t)
	if err := r.Add(txtar.Parse([]byte("-- hello/2.0.0/index.js --\n"))); err != nil {
		t.Fatal(err)
	}
	if got := at(decode(t, r.Bytes("hello")), "dist-tags", "latest"); got != "2.0.0" {
		t.Errorf("latest is %v", got)
	}
}

func TestRegistry_Count(t *testing.T) {
	r := start(t)
	for _, path := range []string{"hello", "@sc%2futil", "@sc/util", "hello/-/hello-1.0.0.tgz"} {
		if _, _, err := get(t, r, path); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]int{
		"*": 4, "GET /hello": 1, "/@sc/util": 2, "/hello*": 2, "GET /*/-/*.tgz": 1, "POST *": 0, "/hell": 0,
	} {
		if got := r.Count(pattern); got != want {
			t.Errorf("Count(%q) = %d, want %d", pattern, got, want)
		}
	}
	r.Forget()
	if got := r.Count("*"); got != 0 {
		t.Errorf("%d requests after Forget", got)
	}
}

func TestRegistry_Faults(t *testing.T) {
	const tarball = "hello/-/hello-1.0.0.tgz"
	for name, c := range map[string]struct {
		fault  Fault
		status int
		broken bool // the body ends early
		same   bool // the body is the true one
	}{
		"status":   {fault: Fault{Status: 503, Header: http.Header{"Retry-After": {"1"}}}, status: 503},
		"html":     {fault: Fault{HTML: true}, status: 200},
		"body":     {fault: Fault{Body: []byte("{")}, status: 200},
		"redirect": {fault: Fault{Redirect: "http://elsewhere.test/*"}, status: 302},
		"corrupt":  {fault: Fault{Corrupt: true}, status: 200},
		"truncate": {fault: Fault{Truncate: true}, status: 200, broken: true},
		"pace":     {fault: Fault{Pace: time.Millisecond}, status: 200, same: true},
		"delay":    {fault: Fault{Delay: time.Millisecond}, status: 200, same: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			c.fault.Times = 1
			r.Fail("/hello/-/*", c.fault)
			resp, body, err := get(t, r, tarball)
			if (err != nil) != c.broken {
				t.Fatalf("error %v, want one: %v", err, c.broken)
			}
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			if same := bytes.Equal(body, r.Bytes(tarball)); same != c.same {
				t.Errorf("true body: %v, want %v", same, c.same)
			}
			if _, body, err = get(t, r, tarball); err != nil || !bytes.Equal(body, r.Bytes(tarball)) {
				t.Errorf("still failing after Times requests: %v", err)
			}
		})
	}
}

func TestRegistry_GateHoldsTheSecondHalf(t *testing.T) {
	r := start(t)
	gate := make(chan struct{})
	r.Fail("/hello/-/*", Fault{Gate: gate})
	resp, err := http.Get(r.URL + "hello/-/hello-1.0.0.tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want := r.Bytes("hello/-/hello-1.0.0.tgz")
	half := make([]byte, len(want)/2)
	if _, err := io.ReadFull(resp.Body, half); err != nil {
		t.Fatal(err)
	}
	close(gate)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(half, rest...), want) {
		t.Error("the halves do not make the whole")
	}
}

func TestRegistry_HangEndsWithStop(t *testing.T) {
	r := start(t)
	r.Fail("*", Fault{Hang: true})
	failed := make(chan error)
	go func() {
		resp, err := http.Get(r.URL + "hello")
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	for r.Count("*") == 0 {
		select {
		case err := <-failed:
			t.Fatalf("answered: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	r.Stop()
	if err := <-failed; err == nil {
		t.Error("a hanging request was answered")
	}
	if _, _, err := get(t, r, "hello"); err == nil {
		t.Error("a stopped registry answers")
	}
	r.Heal()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t, r, "hello"); err != nil {
		t.Errorf("started again: %v", err)
	}
}
