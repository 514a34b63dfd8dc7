package npm_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/npm"
	"packhouse/internal/upstream/upstreamtest"
)

// house has a repository "app" over "internal".
func house(t *testing.T) *formattest.House {
	t.Helper()
	h := formattest.NewHouse(t, npm.New(), formattest.Options{})
	h.Repository("internal")
	h.Repository("app", "internal")
	return h
}

func do(t *testing.T, h *formattest.House, want int, method, path string, body []byte) formattest.Answer {
	t.Helper()
	a := h.Do(formattest.Admin, "internal", formattest.Call{Method: method, Path: path, Body: body})
	if a.Status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, want)
	}
	return a
}

func publish(t *testing.T, h *formattest.House, name, version string) {
	t.Helper()
	do(t, h, http.StatusCreated, http.MethodPut, escaped(name), release(name, version))
}

func decode(t *testing.T, body []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return o
}

// at follows keys into nested objects.
func at(v any, keys ...string) any {
	for _, k := range keys {
		o, _ := v.(object)
		v = o[k]
	}
	return v
}

func message(t *testing.T, a formattest.Answer) string {
	t.Helper()
	text, _ := decode(t, a.Body)["error"].(string)
	return text
}

func TestPackument_BothFormsByAccept(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	const full, abbreviated = "application/json", "application/vnd.npm.install-v1+json"
	for accept, want := range map[string]string{
		"": full, "*/*": full, "application/json": full, abbreviated: abbreviated,
		abbreviated + "; q=1.0, application/json; q=0.8, */*": abbreviated,
		abbreviated + ";q=0.5, application/json":              full,
		abbreviated + ";q=0, */*":                             full,
		"text/html":                                           full,
	} {
		c := formattest.Call{Path: "hello", Header: http.Header{}}
		if accept != "" {
			c.Header.Set("Accept", accept)
		}
		a := h.Do(formattest.Admin, "internal", c)
		if a.Header.Get("Content-Type") != want || (decode(t, a.Body)["time"] != nil) != (want == full) {
			t.Errorf("Accept %q: %s %s", accept, a.Header.Get("Content-Type"), a.Body)
		}
		if !strings.Contains(a.Header.Get("Vary"), "Accept") {
			t.Errorf("Accept %q: Vary %q", accept, a.Header.Get("Vary"))
		}
	}
}

func TestPackument_EverySpellingOfAScopedName(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	for _, path := range []string{"@sc/hello", "@sc%2fhello", "@sc%2Fhello", "%40sc%2fhello", "%40sc/hello"} {
		a := do(t, h, http.StatusOK, http.MethodGet, path, nil)
		if got, want := at(decode(t, a.Body), "versions", "1.0.0", "dist", "tarball"), h.URL+"internal/@sc/hello/-/hello-1.0.0.tgz"; got != want {
			t.Errorf("%s: tarball %v, want %s", path, got, want)
		}
	}
}

func TestTarball_EverySpelling(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	want := tarball("@sc/hello", "1.0.0")
	for _, path := range []string{
		"@sc/hello/-/hello-1.0.0.tgz", "@sc%2fhello/-/hello-1.0.0.tgz", "@sc%2Fhello/-/hello-1.0.0.tgz",
		"@sc/hello/-/@sc/hello-1.0.0.tgz", "@sc/hello/-/@sc%2fhello-1.0.0.tgz",
	} {
		a := do(t, h, http.StatusOK, http.MethodGet, path, nil)
		if !bytes.Equal(a.Body, want) || a.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %d bytes of %s", path, len(a.Body), a.Header.Get("Content-Type"))
		}
	}
}

func TestManifest_ByVersionAndTag(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	for _, path := range []string{"@sc%2fhello/1.0.0", "@sc/hello/latest"} {
		o := decode(t, do(t, h, http.StatusOK, http.MethodGet, path, nil).Body)
		if o["version"] != "1.0.0" || at(o, "dist", "tarball") != h.URL+"internal/@sc/hello/-/hello-1.0.0.tgz" {
			t.Errorf("%s: %v", path, o)
		}
	}
	do(t, h, http.StatusNotFound, http.MethodGet, "@sc%2fhello/2.0.0", nil)
	do(t, h, http.StatusNotFound, http.MethodGet, "@sc%2fhello/next", nil)
	h.SetStatus("internal", coordinates("@sc/hello"), "1.0.0", artifact.Unlisted)
	do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello/1.0.0", nil)
	do(t, h, http.StatusNotFound, http.MethodGet, "@sc%2fhello/latest", nil)
}

func TestPublish_StoresWhatArrived(t *testing.T) {
	h := house(t)
	data := []byte("not an archive at all")
	q := request("hello", "1.0.0", data)
	q["readme"] = "# hello"
	v := at(q, "versions", "1.0.0").(object)
	v["_resolved"], v["unknown"] = "/home/someone/hello.tgz", object{"kept": true}
	delete(v["dist"].(object), "shasum")
	q["whatever"] = []any{1, "x"}
	do(t, h, http.StatusCreated, http.MethodPut, "hello", encode(q))
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello", nil).Body)
	sums := digest.Of(data)
	want := object{
		"_id": "hello@1.0.0", "name": "hello", "version": "1.0.0", "description": "a test", "unknown": object{"kept": true},
		"dist": object{"integrity": sums.Integrity(), "shasum": sums.Shasum(), "tarball": h.URL + "internal/hello/-/hello-1.0.0.tgz"},
	}
	if diff := cmp.Diff(any(want), at(doc, "versions", "1.0.0")); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if doc["readme"] != "# hello" || at(doc, "dist-tags", "latest") != "1.0.0" || at(doc, "time", "1.0.0") == nil {
		t.Errorf("document %v", doc)
	}
	if doc["_rev"] == nil {
		t.Error("no _rev: npm unpublish would ask for -rev/undefined")
	}
}

func TestPublish_MemberOrderDoesNotMatter(t *testing.T) {
	h := house(t)
	q := request("hello", "1.0.0", tarball("hello", "1.0.0"))
	body := []byte(`{"_attachments":` + string(encode(q["_attachments"])) + `,"dist-tags":{"next":"1.0.0"},"versions":` + string(encode(q["versions"])) + `,"name":"hello"}`)
	do(t, h, http.StatusCreated, http.MethodPut, "hello", body)
	got := decode(t, do(t, h, http.StatusOK, http.MethodGet, "-/package/hello/dist-tags", nil).Body)
	if diff := cmp.Diff(object{"latest": "1.0.0", "next": "1.0.0"}, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestPublish_AttachmentOfAScopedPackageMayBeNamedEitherWay(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	q := request("@sc/hello", "1.1.0", tarball("@sc/hello", "1.1.0"))
	files := q["_attachments"].(object)
	files["hello-1.1.0.tgz"] = files["@sc/hello-1.1.0.tgz"]
	delete(files, "@sc/hello-1.1.0.tgz")
	do(t, h, http.StatusCreated, http.MethodPut, "@sc%2Fhello", encode(q))
}

func TestPublish_Refuses(t *testing.T) {
	data := tarball("hello", "1.0.0")
	version := func(q object) object { return at(q, "versions", "1.0.0").(object) }
	attachment := func(q object) object { return at(q, "_attachments", "hello-1.0.0.tgz").(object) }
	for name, bend := range map[string]func(q object){
		"another name":              func(q object) { q["name"] = "goodbye" },
		"no name":                   func(q object) { delete(q, "name") },
		"another name inside":       func(q object) { version(q)["name"] = "goodbye" },
		"another version inside":    func(q object) { version(q)["version"] = "1.0.1" },
		"no versions":               func(q object) { delete(q, "versions") },
		"two versions":              func(q object) { q["versions"].(object)["1.0.1"] = version(q) },
		"version not an object":     func(q object) { q["versions"] = object{"1.0.0": "x"} },
		"versions not an object":    func(q object) { q["versions"] = "x" },
		"not SemVer":                func(q object) { q["versions"] = object{"1.0": object{"name": "hello", "version": "1.0"}} },
		"no attachments":            func(q object) { delete(q, "_attachments") },
		"two attachments":           func(q object) { q["_attachments"].(object)["hello-1.0.0.sigstore"] = object{"data": "aGk="} },
		"attachment without data":   func(q object) { delete(attachment(q), "data") },
		"attachment of other name":  func(q object) { q["_attachments"] = object{"evil.tgz": attachment(q)} },
		"attachment with traversal": func(q object) { q["_attachments"] = object{"../../hello-1.0.0.tgz": attachment(q)} },
		"wrong length":              func(q object) { attachment(q)["length"] = 7 },
		"length not a number":       func(q object) { attachment(q)["length"] = "many" },
		"not base64":                func(q object) { attachment(q)["data"] = "****" },
		"lying integrity":           func(q object) { version(q)["dist"].(object)["integrity"] = digest.Of([]byte("other")).Integrity() },
		"lying shasum":              func(q object) { version(q)["dist"].(object)["shasum"] = strings.Repeat("0", 39) + "1" },
		"unreadable integrity":      func(q object) { version(q)["dist"].(object)["integrity"] = "sha512-x" },
		"unreadable shasum":         func(q object) { version(q)["dist"].(object)["shasum"] = "x" },
		"tag that is a range":       func(q object) { q["dist-tags"] = object{"1.x": "1.0.0"} },
		"tag of another version":    func(q object) { q["dist-tags"] = object{"latest": "0.9.0"} },
		"tags of another kind":      func(q object) { q["dist-tags"] = object{"latest": 1} },
		"many tags":                 func(q object) { q["dist-tags"] = manyTags("1.0.0") },
	} {
		t.Run(name, func(t *testing.T) {
			h := house(t)
			q := request("hello", "1.0.0", data)
			bend(q)
			do(t, h, http.StatusBadRequest, http.MethodPut, "hello", encode(q))
			do(t, h, http.StatusNotFound, http.MethodGet, "hello", nil)
		})
	}
}

func manyTags(version string) object {
	tags := object{}
	for i := range 101 {
		tags["tag"+strconv.Itoa(i)] = version
	}
	return tags
}

func TestPublish_RefusesBrokenBodies(t *testing.T) {
	h := house(t)
	whole := release("hello", "1.0.0")
	for name, body := range map[string][]byte{
		"empty":       nil,
		"not JSON":    []byte("hello"),
		"an array":    []byte("[]"),
		"cut":         whole[:len(whole)-20],
		"cut earlier": whole[:100],
		"name twice":  []byte(`{"name":"hello",` + string(whole[1:])),
		"more after":  append(slices.Clone(whole), '{'),
	} {
		if a := h.Do(formattest.Admin, "internal", formattest.Call{Method: http.MethodPut, Path: "hello", Body: body}); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	large := append([]byte(`{"name":"hello","readme":"`), bytes.Repeat([]byte("x"), 17<<20)...)
	do(t, h, http.StatusRequestEntityTooLarge, http.MethodPut, "hello", append(large, `"}`...))
	do(t, h, http.StatusNotFound, http.MethodGet, "hello", nil)
}

func TestPublish_AcceptsGzippedBodies(t *testing.T) {
	h := house(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(release("hello", "1.0.0"))
	_ = z.Close()
	c := formattest.Call{Method: http.MethodPut, Path: "hello", Header: http.Header{"Content-Encoding": {"gzip"}}, Body: b.Bytes()}
	if a := h.Do(formattest.Admin, "internal", c); a.Status != http.StatusCreated {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestPublish_ConflictSaysItAsNPMDoes(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	a := do(t, h, http.StatusConflict, http.MethodPut, "hello", release("hello", "1.0.0"))
	if got, want := message(t, a), "You cannot publish over the previously published versions: 1.0.0."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPublish_PermissionIsAskedBeforeTheAttachmentIsRead(t *testing.T) {
	h := house(t)
	h.User("reader", "codeartifact:ReadFromRepository")
	repo, err := h.Open(t.Context(), "reader", "internal")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	endless := readerFunc(func(p []byte) (int, error) {
		read += len(p)
		for i := range p {
			p[i] = 'A'
		}
		return len(p), nil
	})
	r := httptest.NewRequest(http.MethodPut, "/", io.MultiReader(strings.NewReader(`{"_attachments":{"hello-1.0.0.tgz":{"data":"`), endless))
	err = npm.New().Serve(httptest.NewRecorder(), &format.Request{Request: r, Repo: repo, Path: "hello"})
	if !fault.Is(err, fault.Denied) || read > 1<<20 {
		t.Errorf("%v after %d bytes", err, read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPublish_ManifestConfusion(t *testing.T) {
	const manifest = "package/package.json"
	good := `{"name":"hello","version":"1.0.0"}`
	for name, c := range map[string]struct {
		data []byte
		want int
	}{
		"agrees":                    {tarball("hello", "1.0.0"), http.StatusCreated},
		"other folder":              {tarball("", "", manifest, good, "other/readme.md", "x"), http.StatusCreated},
		"v and build":               {tarball("", "", manifest, `{"name":"hello","version":" v1.0.0+build"}`), http.StatusCreated},
		"byte order mark":           {tarball("", "", manifest, "\ufeff"+good), http.StatusCreated},
		"says nothing":              {tarball("", "", manifest, `{}`), http.StatusCreated},
		"unreadable":                {tarball("", "", manifest, `{`), http.StatusCreated},
		"nested one is not it":      {tarball("", "", manifest, good, "package/test/package.json", `{"name":"x"}`), http.StatusCreated},
		"cut archive":               {tarball("hello", "1.0.0")[:60], http.StatusCreated},
		"gzip of something":         {gzipped(bytes.Repeat([]byte("x"), 5000)), http.StatusCreated},
		"other name":                {tarball("", "", manifest, `{"name":"evil","version":"1.0.0"}`), http.StatusBadRequest},
		"other version":             {tarball("", "", manifest, `{"name":"hello","version":"6.6.6"}`), http.StatusBadRequest},
		"second one wins unpacking": {tarball("", "", manifest, good, manifest, `{"name":"evil","version":"1.0.0"}`), http.StatusBadRequest},
		"in another top folder":     {tarball("", "", manifest, good, "x/package.json", `{"name":"evil"}`), http.StatusBadRequest},
		"other case":                {tarball("", "", manifest, good, "package/Package.JSON", `{"name":"evil"}`), http.StatusBadRequest},
		"roundabout path":           {tarball("", "", manifest, good, "package/a/../package.json", `{"name":"evil"}`), http.StatusBadRequest},
		"name said twice":           {tarball("", "", manifest, `{"name":"hello","name":"evil"}`), http.StatusBadRequest},
		"very many":                 {tarball("", "", slices.Repeat([]string{manifest, good}, 65)...), http.StatusBadRequest},
		"padded out of sight":       {tarball("", "", manifest, `{"name":"evil"`+strings.Repeat(" ", 5<<20)+`}`), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			h := house(t)
			do(t, h, c.want, http.MethodPut, "hello", encode(request("hello", "1.0.0", c.data)))
		})
	}
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func TestDeprecate(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	publish(t, h, "@sc/hello", "1.1.0")
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello?write=true", nil).Body)
	old := at(doc, "versions", "1.0.0").(object)
	old["deprecated"], old["description"] = `broken, "really"`, "not honoured"
	doc["dist-tags"] = object{"latest": "1.0.0"}
	do(t, h, http.StatusOK, http.MethodPut, "@sc%2fhello", encode(doc))

	got := decode(t, do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello", nil).Body)
	if at(got, "versions", "1.0.0", "deprecated") != `broken, "really"` || at(got, "versions", "1.1.0", "deprecated") != nil {
		t.Errorf("%v", got["versions"])
	}
	if at(got, "versions", "1.0.0", "description") != "a test" || at(got, "dist-tags", "latest") != "1.1.0" {
		t.Errorf("something else changed: %v", got)
	}
	if slices.Contains(h.Operations(), "deprecate") == false {
		t.Errorf("operations %v", h.Operations())
	}

	at(got, "versions", "1.0.0").(object)["deprecated"] = ""
	do(t, h, http.StatusOK, http.MethodPut, "@sc%2fhello", encode(got))
	got = decode(t, do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello", nil).Body)
	if _, still := at(got, "versions", "1.0.0").(object)["deprecated"]; still {
		t.Error("an empty message does not lift the deprecation")
	}
	do(t, h, http.StatusOK, http.MethodPut, "@sc%2fhello", encode(got)) // nothing changed is fine
}

func TestDeprecate_Refuses(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello", nil).Body)
	at(doc, "versions", "1.0.0").(object)["deprecated"] = object{}
	do(t, h, http.StatusBadRequest, http.MethodPut, "hello", encode(doc))
	at(doc, "versions", "1.0.0").(object)["deprecated"] = "x"
	if a := h.Do(formattest.Admin, "app", formattest.Call{Method: http.MethodPut, Path: "hello", Body: encode(doc)}); a.Status/100 != 4 {
		t.Errorf("through an upstream: %d %s", a.Status, a.Body)
	}
	doc["versions"].(object)["3.0.0"] = object{"name": "hello", "version": "3.0.0"}
	do(t, h, http.StatusBadRequest, http.MethodPut, "hello", encode(doc))
}

func TestDeprecate_NeedsOnlyItsOwnPermission(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	h.User("keeper", "codeartifact:ReadFromRepository", "codeartifact:PutPackageMetadata")
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello", nil).Body)
	at(doc, "versions", "1.0.0").(object)["deprecated"] = "x"
	if a := h.Do("keeper", "internal", formattest.Call{Method: http.MethodPut, Path: "hello", Body: encode(doc)}); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Do("keeper", "internal", formattest.Call{Method: http.MethodPut, Path: "hello", Body: release("hello", "2.0.0")}); a.Status != http.StatusForbidden {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestDistTags(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	publish(t, h, "@sc/hello", "1.1.0")
	const path = "-/package/@sc%2fhello/dist-tags"
	tags := func(want object) {
		t.Helper()
		if diff := cmp.Diff(want, decode(t, do(t, h, http.StatusOK, http.MethodGet, path, nil).Body)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	tags(object{"latest": "1.1.0"})
	do(t, h, http.StatusOK, http.MethodPut, path+"/stable", []byte(`"1.0.0"`))
	do(t, h, http.StatusOK, http.MethodPost, path+"/next", []byte(`"1.1.0"`))
	tags(object{"latest": "1.1.0", "stable": "1.0.0", "next": "1.1.0"})
	do(t, h, http.StatusOK, http.MethodDelete, path+"/next", nil)
	do(t, h, http.StatusOK, http.MethodPut, path+"/latest", []byte(`"1.0.0"`))
	tags(object{"latest": "1.0.0", "stable": "1.0.0"})
	do(t, h, http.StatusOK, http.MethodPost, path, []byte(`{"beta":"1.1.0"}`))
	tags(object{"latest": "1.0.0", "stable": "1.0.0", "beta": "1.1.0"})
	do(t, h, http.StatusOK, http.MethodPut, path, []byte(`{"stable":"1.1.0"}`))
	tags(object{"latest": "1.0.0", "stable": "1.1.0"})

	do(t, h, http.StatusBadRequest, http.MethodDelete, path+"/latest", nil)
	do(t, h, http.StatusBadRequest, http.MethodPut, path+"/1.x", []byte(`"1.0.0"`))
	do(t, h, http.StatusBadRequest, http.MethodPut, path+"/x", []byte(`{}`))
	do(t, h, http.StatusBadRequest, http.MethodPost, path, encode(manyTags("1.0.0")))
	do(t, h, http.StatusBadRequest, http.MethodPut, path+"/next", []byte(`7`))
	do(t, h, http.StatusBadRequest, http.MethodPut, path+"/next", []byte(`"../1"`))
	do(t, h, http.StatusNotFound, http.MethodPut, path+"/next", []byte(`"9.9.9"`))
	do(t, h, http.StatusNotFound, http.MethodDelete, path+"/no-such", nil)
	do(t, h, http.StatusNotFound, http.MethodGet, "-/package/no-such/dist-tags", nil)
	do(t, h, http.StatusMethodNotAllowed, http.MethodDelete, path, nil)
}

func TestUnpublish_OneVersion(t *testing.T) {
	h := house(t)
	publish(t, h, "@sc/hello", "1.0.0")
	publish(t, h, "@sc/hello", "1.1.0")
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello?write=true", nil).Body)
	delete(doc["versions"].(object), "1.1.0")
	do(t, h, http.StatusOK, http.MethodPut, "@sc%2fhello/-rev/"+doc["_rev"].(string), encode(doc))
	doc = decode(t, do(t, h, http.StatusOK, http.MethodGet, "@sc%2fhello?write=true", nil).Body)
	do(t, h, http.StatusOK, http.MethodDelete, "@sc/hello/-/hello-1.1.0.tgz/-rev/"+doc["_rev"].(string), nil)
	if got := slices.Sorted(keys(doc["versions"])); !slices.Equal(got, []string{"1.0.0"}) || at(doc, "dist-tags", "latest") != "1.0.0" {
		t.Errorf("left: %v", doc)
	}
	do(t, h, http.StatusNotFound, http.MethodGet, "@sc/hello/-/hello-1.1.0.tgz", nil)
	publish(t, h, "@sc/hello", "1.1.0")
}

func keys(v any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range v.(object) {
			if !yield(k) {
				return
			}
		}
	}
}

func TestUnpublish_Package(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello?write=true", nil).Body)
	do(t, h, http.StatusOK, http.MethodDelete, "hello/-rev/"+doc["_rev"].(string), nil)
	do(t, h, http.StatusNotFound, http.MethodGet, "hello", nil)
}

func TestUnpublish_Refuses(t *testing.T) {
	h := house(t)
	publish(t, h, "hello", "1.0.0")
	seen := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello?write=true", nil).Body)
	publish(t, h, "hello", "1.1.0")
	rev := func() string {
		return decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello?write=true", nil).Body)["_rev"].(string)
	}
	do(t, h, http.StatusConflict, http.MethodPut, "hello/-rev/"+seen["_rev"].(string), encode(seen))
	do(t, h, http.StatusConflict, http.MethodDelete, "hello/-rev/"+seen["_rev"].(string), nil)
	do(t, h, http.StatusConflict, http.MethodDelete, "hello/-rev/undefined", nil)
	do(t, h, http.StatusBadRequest, http.MethodPut, "hello/-rev/"+rev(), []byte(`{"_id":"hello","maintainers":[]}`))
	do(t, h, http.StatusBadRequest, http.MethodPut, "hello/-rev/"+rev(), []byte(`{"name":"other","versions":{}}`))
	do(t, h, http.StatusBadRequest, http.MethodPut, "hello/-rev/"+rev(), []byte(`{`))
	do(t, h, http.StatusNotFound, http.MethodDelete, "no-such/-rev/1", nil)
	do(t, h, http.StatusNotFound, http.MethodDelete, "hello/-/hello-1.1.0.tgz", nil)
	h.User("writer", "codeartifact:ReadFromRepository", "codeartifact:PublishPackageVersion")
	for _, path := range []string{"hello/-rev/" + rev(), "hello/-/hello-1.1.0.tgz/-rev/x"} {
		if a := h.Do("writer", "internal", formattest.Call{Method: http.MethodDelete, Path: path}); a.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if got := slices.Sorted(keys(decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello", nil).Body)["versions"])); len(got) != 2 {
		t.Errorf("left: %v", got)
	}
}

func TestSpecials(t *testing.T) {
	h := house(t)
	h.User("eve")
	for _, c := range []struct {
		user, method, path string
		status             int
		body               string
	}{
		{formattest.Admin, http.MethodGet, "-/ping?write=true", 200, `{}`},
		{"eve", http.MethodGet, "-/ping", 403, ""},
		{formattest.Nobody, http.MethodGet, "-/ping", 401, ""},
		{formattest.Admin, http.MethodGet, "-/whoami", 200, `{"username":"admin"}`},
		{"eve", http.MethodGet, "-/whoami", 200, `{"username":"eve"}`},
		{formattest.Nobody, http.MethodGet, "-/whoami", 401, ""},
		{formattest.Admin, http.MethodPut, "-/whoami", 405, ""},
		{formattest.Admin, http.MethodPost, "-/npm/v1/security/advisories/bulk", 200, `{}`},
		{formattest.Nobody, http.MethodPost, "-/npm/v1/security/advisories/bulk", 401, ""},
		{formattest.Admin, http.MethodGet, "-/npm/v1/security/advisories/bulk", 405, ""},
		{formattest.Admin, http.MethodPut, "-/user/org.couchdb.user:x", 404, `{"error":"not_found"}`},
		{formattest.Admin, http.MethodPost, "-/v1/login", 404, `{"error":"not_found"}`},
		{formattest.Admin, http.MethodGet, "-/all", 404, `{"error":"not_found"}`},
		{formattest.Admin, http.MethodGet, "-/package/hello/access", 404, `{"error":"not_found"}`},
	} {
		a := h.Do(c.user, "internal", formattest.Call{Method: c.method, Path: c.path, Body: []byte("{}")})
		if a.Status != c.status || c.body != "" && string(a.Body) != c.body {
			t.Errorf("%s %s by %q: %d %s", c.method, c.path, c.user, a.Status, a.Body)
		}
		if a.Status >= 400 && message(t, a) == "" {
			t.Errorf("%s %s by %q: no error text: %s", c.method, c.path, c.user, a.Body)
		}
	}
}

func TestAudit_ReportsNothing(t *testing.T) {
	h := house(t)
	for _, path := range []string{"-/npm/v1/security/audits", "-/npm/v1/security/audits/quick"} {
		a := h.Do(formattest.Admin, "internal", formattest.Call{
			Method: http.MethodPost, Path: path, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: gzipped([]byte(`{}`)),
		})
		o := decode(t, a.Body)
		if a.Status != http.StatusOK || at(o, "metadata", "vulnerabilities", "critical") != 0.0 || len(at(o, "advisories").(object)) != 0 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

func TestSearch(t *testing.T) {
	h := house(t)
	for i := range 3 {
		publish(t, h, fmt.Sprintf("widget-%d", i), "1.0.0")
	}
	q := request("@sc/gadget", "1.0.0", tarball("@sc/gadget", "1.0.0"))
	v := at(q, "versions", "1.0.0").(object)
	v["keywords"], v["maintainers"], v["license"] = []string{"a"}, []object{{"name": "me", "email": "me@mail.test"}}, "MIT"
	v["homepage"], v["repository"] = "https://home.test", object{"url": "git+https://git.test/x.git"}
	do(t, h, http.StatusCreated, http.MethodPut, "@sc%2fgadget", encode(q))

	o := decode(t, do(t, h, http.StatusOK, http.MethodGet, "-/v1/search?text=widget&size=2&from=0&quality=1", nil).Body)
	if o["total"] != 3.0 || len(o["objects"].([]any)) != 2 {
		t.Errorf("first page: %v", o)
	}
	o = decode(t, do(t, h, http.StatusOK, http.MethodGet, "-/v1/search?text=widget&size=2&from=2", nil).Body)
	if len(o["objects"].([]any)) != 1 {
		t.Errorf("second page: %v", o)
	}
	o = decode(t, do(t, h, http.StatusOK, http.MethodGet, "-/v1/search?text=gadget", nil).Body)
	got := at(o["objects"].([]any)[0], "package").(object)
	delete(got, "date")
	want := object{
		"name": "@sc/gadget", "scope": "sc", "version": "1.0.0", "description": "a test", "keywords": []any{"a"}, "license": "MIT",
		"links":     object{"homepage": "https://home.test", "repository": "git+https://git.test/x.git"},
		"publisher": object{}, "maintainers": []any{object{"username": "me", "email": "me@mail.test"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o := decode(t, do(t, h, http.StatusOK, http.MethodGet, "-/v1/search?text=nothing", nil).Body); len(o["objects"].([]any)) != 0 {
		t.Errorf("%v", o)
	}
	do(t, h, http.StatusBadRequest, http.MethodGet, "-/v1/search?text=x&size=-1", nil)
	do(t, h, http.StatusBadRequest, http.MethodGet, "-/v1/search?text=x&from=x", nil)
}

// TestOutside_EverythingOfTheRemoteSurvives: signatures, attestations,
// deprecation and publish times of an outside package are as its registry says.
func TestOutside_EverythingOfTheRemoteSurvives(t *testing.T) {
	outside := upstreamtest.NPM(t, txtar.Parse([]byte(`
-- @sc/util/1.0.0/index.js --
one
-- @sc/util/1.1.0/index.js --
two
-- @sc/util/packument.json --
{"versions": {"1.0.0": {"deprecated": "too old", "dist": {"attestations": {"url": "https://registry.test/-/npm/v1/attestations/x"}}}}, "dist-tags": {"old": "1.0.0"}}
`)))
	h := formattest.NewHouse(t, npm.New(), formattest.Options{Outside: outside.URL})
	h.Repository("public", formattest.Connection)
	h.Repository("app", "public")
	want := decode(t, outside.Bytes("@sc%2futil"))
	for range 2 {
		got := decode(t, h.Get("app", "@sc%2futil").Body)
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if at(got, "time", version) != at(want, "time", version) {
				t.Errorf("time of %s: %v, want %v", version, at(got, "time", version), at(want, "time", version))
			}
			g, w := at(got, "versions", version).(object), at(want, "versions", version).(object)
			tarball := h.URL + "app/@sc/util/-/util-" + version + ".tgz"
			w["dist"].(object)["tarball"] = tarball
			if a, ok := at(w, "dist", "attestations").(object); ok {
				a["url"] = h.URL + "app/-/npm/v1/attestations/@sc%2futil@" + version
			}
			if diff := cmp.Diff(w, g); diff != "" {
				t.Errorf("manifest of %s (-want +got):\n%s", version, diff)
			}
			if a := h.Do(formattest.Admin, "app", formattest.Call{Path: tarball}); !bytes.Equal(a.Body, outside.Bytes(tarballPath("@sc/util", version))) {
				t.Errorf("tarball of %s: %d", version, a.Status)
			}
		}
		if diff := cmp.Diff(want["dist-tags"], got["dist-tags"]); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(decode(t, outside.Bytes("@sc%2futil"))["readme"], decode(t, h.Get("app", "@sc%2futil").Body)["readme"]); diff != "" {
		t.Errorf("readme (-want +got):\n%s", diff)
	}
}

func TestPublish_LargeTarballStreams(t *testing.T) {
	h := house(t)
	data := make([]byte, 24<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	do(t, h, http.StatusCreated, http.MethodPut, "hello", encode(request("hello", "1.0.0", data)))
	if a := do(t, h, http.StatusOK, http.MethodGet, "hello/-/hello-1.0.0.tgz", nil); !bytes.Equal(a.Body, data) {
		t.Error("other bytes came back")
	}
}

func TestOutside_AttestationsAndKeysArePassedOn(t *testing.T) {
	outside := upstreamtest.NPM(t, txtar.Parse([]byte(`
-- @sc/util/1.0.0/index.js --
one
-- @sc/util/1.1.0/index.js --
two
-- @sc/util/packument.json --
{"versions": {"1.0.0": {"dist": {"attestations": {"url": "https://registry.test/-/npm/v1/attestations/x"}}}}}
-- -/npm/v1/attestations/@sc/util@1.0.0 --
{"attestations":[{"predicateType":"x","bundle":{}}]}
-- -/npm/v1/attestations/@sc/util@1.1.0 --
{"attestations":["not named by the manifest"]}
-- -/npm/v1/attestations/@sc/mine@1.0.0 --
{"attestations":["of another package of that name"]}
`)))
	h := formattest.NewHouse(t, npm.New(), formattest.Options{Outside: outside.URL})
	h.Repository("internal")
	h.Repository("public", formattest.Connection)
	h.Repository("app", "internal", "public")
	publish(t, h, "@sc/mine", "1.0.0")
	const path = "-/npm/v1/attestations/"
	if a := h.Get("app", path+"@sc%2futil@1.0.0"); a.Status != http.StatusOK || !strings.Contains(string(a.Body), "predicateType") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Get("app", "-/npm/v1/keys"); a.Status != http.StatusOK || len(decode(t, a.Body)["keys"].([]any)) != 1 {
		t.Errorf("keys: %d %s", a.Status, a.Body)
	}
	// npm up to 10 asks for the path of dist.attestations.url below the registry's.
	if a := h.Get("app", "app/"+path+"@sc%2futil@1.0.0"); a.Status != http.StatusOK || !strings.Contains(string(a.Body), "predicateType") {
		t.Errorf("the repository's path twice: %d %s", a.Status, a.Body)
	}
	if a := h.Get("app", "other/"+path+"@sc%2futil@1.0.0"); a.Status != http.StatusNotFound {
		t.Errorf("another path before it: %d %s", a.Status, a.Body)
	}
	outside.Forget()
	for repo, spec := range map[string]string{"app": "@sc%2fmine@1.0.0", "internal": "@sc%2futil@1.0.0", "public": "@sc%2futil@9.9.9"} {
		if a := h.Get(repo, path+spec); a.Status != http.StatusNotFound {
			t.Errorf("%s in %s: %d %s", spec, repo, a.Status, a.Body)
		}
	}
	for _, spec := range []string{"@sc%2futil@1.1.0", "@sc%2futil", "util", "@", "..%2f..%2fx@1", "x@y@../1"} {
		if a := h.Get("app", path+spec); a.Status/100 != 4 {
			t.Errorf("%s: %d %s", spec, a.Status, a.Body)
		}
	}
	if n := outside.Count("/-/npm/*"); n != 0 {
		t.Errorf("the outside was asked for %d of them", n)
	}
	if a := h.Get("internal", "-/npm/v1/keys"); a.Status != http.StatusNotFound {
		t.Errorf("keys without a connection: %d %s", a.Status, a.Body)
	}
	outside.Fail("/-/npm/*", upstreamtest.Fault{HTML: true})
	if a := h.Get("app", "-/npm/v1/keys"); a.Status != http.StatusBadGateway {
		t.Errorf("keys that are a page: %d %s", a.Status, a.Body)
	}
}

// mit is the text of a licence.
const mit = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\n"

// TestPublish_LicenseText: a package that names no licence and ships the texts of
// known ones has these.
func TestPublish_LicenseText(t *testing.T) {
	h := house(t)
	other := "All rights reserved, and nothing may be done with it."
	for number, c := range map[string]struct {
		says  any
		files []string
		want  any
	}{
		"1.0.0": {nil, []string{"package/LICENSE", mit}, "MIT"},
		"1.0.1": {nil, []string{"node-hello/Licence.md", mit, "node-hello/COPYING", mit}, "MIT"},
		"1.1.0": {"ISC", []string{"package/LICENSE", mit}, "ISC"},
		"1.1.1": {"", []string{"package/LICENSE", mit}, ""},
		"1.2.0": {nil, []string{"package/LICENSE", other}, nil},
		"1.2.1": {nil, []string{"package/LICENSE", mit, "package/LICENSE-data", other}, nil},
		"1.2.2": {nil, []string{"package/LICENSE", mit + strings.Repeat(" ", 128<<10)}, nil},
		"1.2.3": {nil, []string{"package/node_modules/x/LICENSE", mit, "package/../LICENSE", mit}, nil},
		"1.2.4": {nil, []string{"p/LICENSE", mit, "p/LICENSE.1", mit, "p/LICENSE.2", mit, "p/LICENSE.3", mit, "p/LICENSE.4", mit}, nil},
		"1.3.0": {nil, nil, nil},
	} {
		q := request("hello", number, tarball("hello", number, c.files...))
		if c.says != nil {
			at(q, "versions", number).(object)["license"] = c.says
		}
		do(t, h, http.StatusCreated, http.MethodPut, "hello", encode(q))
		doc := decode(t, do(t, h, http.StatusOK, http.MethodGet, "hello", nil).Body)
		if got := at(doc, "versions", number, "license"); got != c.want {
			t.Errorf("%s: %v, want %v", number, got, c.want)
		}
	}
}
