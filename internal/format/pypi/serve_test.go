package pypi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/format"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/pypi"
	"packhouse/internal/upstream/upstreamtest"
)

func house(t testing.TB) *formattest.House {
	t.Helper()
	h := formattest.NewHouse(t, pypi.New(), formattest.Options{})
	h.Repository("internal")
	return h
}

func post(t testing.TB, h *formattest.House, want int, c formattest.Call) formattest.Answer {
	t.Helper()
	a := h.Do(formattest.Admin, "internal", c)
	if a.Status != want {
		t.Errorf("%d %s, want %d", a.Status, a.Body, want)
	}
	return a
}

// with replaces a field of a form, or leaves it out for nil.
func with(parts []part, name string, value []byte) []part {
	var out []part
	for _, p := range parts {
		if p.name == name {
			if value == nil {
				continue
			}
			p.value = value
		}
		out = append(out, p)
	}
	return out
}

func TestUpload(t *testing.T) {
	h := house(t)
	file, data := wheelName("hello", "1.0"), wheelOf("hello", "1.0", "")
	content := part{"content", file, data}
	fields := fieldsOf("hello", "1.0", file, data)
	good := append(fields, content)
	for name, c := range map[string]struct {
		parts []part
		want  int
	}{
		"no action":         {with(good, ":action", nil), 400},
		"another action":    {with(good, ":action", []byte("submit")), 400},
		"protocol":          {with(good, "protocol_version", []byte("2")), 400},
		"no name":           {with(good, "name", nil), 400},
		"bad name":          {with(good, "name", []byte("../x")), 400},
		"another name":      {with(good, "name", []byte("goodbye")), 400},
		"bad version":       {with(good, "version", []byte("latest")), 400},
		"another version":   {with(good, "version", []byte("1.1")), 400},
		"another type":      {with(good, "filetype", []byte("sdist")), 400},
		"md5":               {with(good, "md5_digest", []byte(strings.Repeat("0", 32))), 400},
		"sha256":            {with(good, "sha256_digest", []byte("junk")), 400},
		"blake2":            {append(good, part{"blake2_256_digest", "", []byte(strings.Repeat("0", 64))}), 400},
		"no file":           {fields, 400},
		"two files":         {append(good, content), 400},
		"path":              {append(fields, part{"content", "../" + file, data}), 400},
		"no distribution":   {append(fields, part{"content", "hello.txt", data}), 400},
		"egg":               {append(fields, part{"content", "hello-1.0-py3.8.egg", data}), 400},
		"no archive":        {append(with(with(fields, "md5_digest", nil), "sha256_digest", nil), part{"content", file, []byte("junk")}), 400},
		"lies inside":       {append(fieldsOf("hello", "1.0", file, wheelOf("other", "1.0", "")), part{"content", file, wheelOf("other", "1.0", "")}), 400},
		"version inside":    {append(fieldsOf("hello", "1.0", file, wheelOf("hello", "1.1", "")), part{"content", file, wheelOf("hello", "1.1", "")}), 400},
		"too long a field":  {append([]part{{"description", "", bytes.Repeat([]byte("x"), 17<<20)}}, good...), 413},
		"too many fields":   {append(make([]part, 10_001), good...), 413},
		"a huge signature":  {append([]part{{"gpg_signature", "x.asc", bytes.Repeat([]byte("x"), 2<<20)}}, good...), 413},
		"not what is named": {append(fieldsOf("hello", "1.0", "hello-1.0.zip", data), part{"content", "hello-1.0.zip", data}), 400},
	} {
		t.Run(name, func(t *testing.T) { post(t, h, c.want, call(c.parts)) })
	}
	half := call(good)
	half.Body = half.Body[:len(half.Body)-100]
	post(t, h, 400, half)
	if a := h.Get("internal", "simple/hello/"); a.Status != http.StatusNotFound {
		t.Fatalf("something refused was published: %d %s", a.Status, a.Body)
	}
	// The file first, and what is tolerated.
	post(t, h, 200, call(append(append([]part{content, {"gpg_signature", file + ".asc", []byte("x")}, {"attestations", "", []byte("[]")}}, fields...),
		part{"blake2_256_digest", "", []byte("")})))
	post(t, h, 200, call(good))
	a := post(t, h, 409, upload("hello", "1.0", file, wheelOf("hello", "1.0", "other")))
	if !strings.Contains(string(a.Body), "already exists") {
		t.Errorf("conflict says %s", a.Body)
	}
	// Another spelling of the release is the same version.
	post(t, h, 200, upload("Hello", "1.0.0", "hello-1.0.0.tar.gz", sdistOf("Hello", "1.0.0")))
	post(t, h, 409, upload("hello", "1.0.0", wheelName("Hello", "1.0.0"), wheelOf("Hello", "1.0.0", "")))
	if got := h.Get("internal", "simple/hello/1.0.0/"+file); got.Status != http.StatusOK {
		t.Errorf("file under another spelling of its version: %d", got.Status)
	}
	if got := string(h.Get("internal", "simple/hello/").Body); !strings.Contains(got, `href="1.0/hello-1.0.0.tar.gz#sha256=`) {
		t.Errorf("index:\n%s", got)
	}
}

// TestUpload_AtOnce: uploads of files of one version do not lose each other.
func TestUpload_AtOnce(t *testing.T) {
	h := house(t)
	const n = 12
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			file := fmt.Sprintf("hello-1.0-%d-py3-none-any.whl", i)
			post(t, h, 200, upload("hello", "1.0", file, wheelOf("hello", "1.0", fmt.Sprint(i))))
		})
	}
	wait.Wait()
	if got := strings.Count(string(h.Get("internal", "simple/hello/").Body), `data-core-metadata="sha256=`); got != n {
		t.Errorf("%d of %d files are described", got, n)
	}
}

func TestYank(t *testing.T) {
	h := house(t)
	file := wheelName("hello", "1.0")
	post(t, h, 200, upload("hello", "1.0", file, wheelOf("hello", "1.0", "")))
	post(t, h, 200, upload("hello", "1.0", sdistName("hello", "1.0"), sdistOf("hello", "1.0")))
	yanks := func() int { return strings.Count(string(h.Get("internal", "simple/hello/").Body), "data-yanked=") }
	for i, c := range []struct {
		method, path, body string
		status, yanks      int
	}{
		{"PUT", "1.0/yanked", "bad\nidea", 204, 2},
		{"PUT", "1.0/yanked", "bad idea", 204, 2},
		{"DELETE", "1.0/" + file + "/yanked", "", 204, 1},
		{"DELETE", "1.0.0/yanked", "", 204, 0},
		{"PUT", "1.0/" + file + "/yanked", "", 204, 1},
		{"PUT", "1.0/other.whl/yanked", "", 404, 1},
		{"PUT", "2.0/yanked", "", 404, 1},
		{"PUT", "1.0/yanked", strings.Repeat("x", 5<<10), 413, 1},
		{"POST", "1.0/yanked", "", 405, 1},
	} {
		post(t, h, c.status, formattest.Call{Method: c.method, Path: "simple/hello/" + c.path, Body: []byte(c.body)})
		if got := yanks(); got != c.yanks {
			t.Errorf("%d: %d files are yanked, want %d", i, got, c.yanks)
		}
	}
	h.User("reader", "codeartifact:ReadFromRepository")
	for _, method := range []string{"PUT", "DELETE"} {
		if a := h.Do("reader", "internal", formattest.Call{Method: method, Path: "simple/hello/1.0/yanked"}); a.Status != http.StatusForbidden {
			t.Errorf("%s by a reader: %d", method, a.Status)
		}
	}
	h.SetStatus("internal", coordinates("hello"), "1.0", artifact.Unlisted)
	if got := yanks(); got != 2 {
		t.Errorf("%d files of an Unlisted version are yanked", got)
	}
}

// TestYank_Upstream: files that a version took over from an upstream later, or
// may take over still, are yanked with it where that is done.
func TestYank_Upstream(t *testing.T) {
	h := house(t)
	h.Repository("app", "internal")
	wheel, sdist := wheelName("hello", "1.0"), sdistName("hello", "1.0")
	tagged := strings.Replace(wheel, "py3-none", "1-py3-none", 1)
	get := func(file string) {
		if a := h.Get("app", filePath("hello", "1.0", file)); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", file, a.Status, a.Body)
		}
	}
	yanks := func() int { return strings.Count(string(h.Get("app", "simple/hello/").Body), "data-yanked=") }
	yank := func(method, path string, want int) {
		a := h.Do(formattest.Admin, "app", formattest.Call{Method: method, Path: "simple/hello/1.0/" + path})
		if got := yanks(); a.Status != http.StatusNoContent || got != want {
			t.Errorf("%s %s: %d %s; %d files are yanked, want %d", method, path, a.Status, a.Body, got, want)
		}
	}
	post(t, h, 200, upload("hello", "1.0", wheel, wheelOf("hello", "1.0", "")))
	get(wheel)
	post(t, h, 200, upload("hello", "1.0", sdist, sdistOf("hello", "1.0")))
	get(sdist)
	yank(http.MethodPut, sdist+"/yanked", 1)
	yank(http.MethodPut, "yanked", 2)
	post(t, h, 200, upload("hello", "1.0", tagged, wheelOf("hello", "1.0", "tagged")))
	if got := yanks(); got != 3 {
		t.Errorf("with a file that is new in the upstream %d are yanked, want 3", got)
	}
	get(tagged)
	yank(http.MethodDelete, tagged+"/yanked", 2)
	yank(http.MethodDelete, "yanked", 0)

	post(t, h, 204, formattest.Call{Method: http.MethodPut, Path: "simple/hello/1.0/yanked"})
	post(t, h, 200, upload("hello", "1.0", "hello-1.0.zip", zipSdistOf("hello", "1.0")))
	if got := strings.Count(string(h.Get("internal", "simple/hello/").Body), "data-yanked="); got != 4 {
		t.Errorf("with a file published to a yanked version %d are yanked, want 4", got)
	}
}

// TestLook: to be asked what a version says of itself is no download.
func TestLook(t *testing.T) {
	outside := upstreamtest.PyPI(t, txtar.Parse([]byte("-- far/1.0/METADATA --\nSummary: far away\nRequires-Dist: left-pad\n\nAll of it.\n-- far/1.0/far.py --\n")))
	h := formattest.NewHouse(t, pypi.New(), formattest.Options{Outside: outside.URL + "simple/"})
	h.Repository("internal")
	h.Repository("public", formattest.Connection)
	h.Repository("app", "internal", "public")
	h.Quota("app", catalog.Limits{Versions: new(int64(9))})
	post(t, h, 200, upload("hello", "1.0", wheelName("hello", "1.0"), wheelOf("hello", "1.0", "")))
	for path, want := range map[string][]string{
		"pypi/hello/json": {`"summary":"says hello"`, `"requires_dist":["left-pad`, `# Hello`, `"classifiers":[]`, `"author":""`},
		"pypi/far/json":   {`"summary":"far away"`, `"requires_dist":["left-pad"]`, `All of it.`},
		filePath("hello", "1.0", wheelName("hello", "1.0")) + ".metadata": {"Summary: says hello"},
		filePath("far", "1.0", wheelName("far", "1.0")) + ".metadata":     {"Summary: far away"},
	} {
		a := h.Get("app", path)
		for _, text := range want {
			if a.Status != http.StatusOK || !strings.Contains(string(a.Body), text) {
				t.Errorf("%s: %d without %s: %s", path, a.Status, text, a.Body)
			}
		}
	}
	if held := h.Held("app"); held.Versions != 0 {
		t.Errorf("asked what versions say of themselves it has taken %d over", held.Versions)
	}
	if n := outside.Count("GET *.whl") + outside.Count("GET *.tar.gz"); n != 0 {
		t.Errorf("%d files were fetched", n)
	}
	h.Get("app", filePath("hello", "1.0", wheelName("hello", "1.0")))
	if held := h.Held("app"); held.Versions != 1 {
		t.Errorf("after a download it has %d versions, want 1", held.Versions)
	}
}

// TestMetadata_OfOutside: what a remote gives in place of core metadata without a
// digest is not passed on, least of all for good.
func TestMetadata_OfOutside(t *testing.T) {
	outside := upstreamtest.PyPI(t, txtar.Parse([]byte("-- hello/1.0/METADATA --\nSummary: one\n-- hello/1.0/hello.py --\n-- hello/1.0/release.json --\n{\"core-metadata\":\"true\"}\n")))
	h := formattest.NewHouse(t, pypi.New(), formattest.Options{Outside: outside.URL + "simple/"})
	h.Repository("public", formattest.Connection)
	outside.Fail("GET *.whl.metadata", upstreamtest.Fault{HTML: true})
	for range 2 {
		a := h.Get("public", filePath("hello", "1.0", wheelName("hello", "1.0"))+".metadata")
		if a.Status != http.StatusOK || !strings.Contains(string(a.Body), "Summary: one") {
			t.Errorf("metadata: %d %s", a.Status, a.Body)
		}
		outside.Heal()
	}
}

func TestIndex_Forms(t *testing.T) {
	h := house(t)
	post(t, h, 200, upload("hello", "1.0", wheelName("hello", "1.0"), wheelOf("hello", "1.0", "")))
	for accept, want := range map[string]string{
		"": "text/html; charset=utf-8", "*/*": "text/html; charset=utf-8", "text/html": "text/html; charset=utf-8", "application/json": "text/html; charset=utf-8",
		simpleJSON: simpleJSON, "application/vnd.pypi.simple.latest+json": simpleJSON,
		simpleJSON + ", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01": simpleJSON,
		"application/vnd.pypi.simple.v1+html, text/html;q=0.1":                         "application/vnd.pypi.simple.v1+html",
	} {
		for _, path := range []string{"simple/hello/", "simple/"} {
			a := h.Do(formattest.Admin, "internal", formattest.Call{Path: path, Header: http.Header{"Accept": {accept}}})
			if a.Header.Get("Content-Type") != want || !strings.Contains(strings.Join(a.Header.Values("Vary"), ","), "Accept") || a.Header.Get("ETag") == "" {
				t.Errorf("%s of %s: %d %v, want %s", accept, path, a.Status, a.Header, want)
			}
		}
	}
	// PEP 714 leaves the older name to the HTML form: pip 22.3 to 23.1 fails on it.
	file := string(h.Do(formattest.Admin, "internal", formattest.Call{Path: "simple/hello/", Header: http.Header{"Accept": {simpleJSON}}}).Body)
	if !strings.Contains(file, `"core-metadata":{"sha256":`) || strings.Contains(file, "dist-info-metadata") {
		t.Errorf("json: %s", file)
	}
	for path, want := range map[string]string{"simple": "simple/", "simple/Hello/": "../hello/", "simple/hello": "hello/", "simple/HeL.lo": "hel-lo/"} {
		if a := h.Get("internal", path); a.Status != http.StatusMovedPermanently || a.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, a.Status, a.Header.Get("Location"), want)
		}
	}
}

// TestOutside: an index in each of its forms, its metadata kept apart or not,
// right or wrong.
func TestOutside(t *testing.T) {
	for name, project := range map[string]string{"json": `{"status":"archived"}`, "html": `{"status":"archived","html":true}`, "absolute": `{"status":"archived","absolute":true}`} {
		t.Run(name, func(t *testing.T) {
			outside := upstreamtest.PyPI(t, txtar.Parse([]byte("-- hello/project.json --\n"+project+
				"\n-- hello/1.0/METADATA --\nRequires-Python: <4\nSummary: one\n-- hello/1.0/hello.py --\n-- hello/1.0/release.json --\n{\"yanked\":\"why\"}\n"+
				"-- hello/1.1/release.json --\n{\"core-metadata\":false}\n-- hello/1.1/dist/hello-1.1-py3.8.egg --\negg\n-- hello/1.1/dist/junk.txt --\njunk\n")))
			h := formattest.NewHouse(t, pypi.New(), formattest.Options{Outside: outside.URL + "simple/"})
			h.Repository("public", formattest.Connection)
			page := string(h.Get("public", "simple/hello/").Body)
			for _, want := range []string{
				`href="1.0/hello-1.0-py3-none-any.whl#sha256=`, `data-requires-python="&lt;4"`, `data-yanked="why"`, `content="archived"`,
				`href="1.1/hello-1.1-py3.8.egg#sha256=`, `data-core-metadata="true"`, `data-core-metadata="sha256=`,
			} {
				if !strings.Contains(page, want) {
					t.Errorf("the index lacks %s:\n%s", want, page)
				}
			}
			if strings.Contains(page, "junk") || strings.Contains(page, outside.URL) {
				t.Errorf("the index has what is no file here:\n%s", page)
			}
			outside.Fail("GET *.whl.metadata", upstreamtest.Fault{Corrupt: true, Times: 1})
			for _, version := range []string{"1.0", "1.1", "1.0"} { // wrong beside, none beside, right: the same each time
				a := h.Get("public", "simple/hello/"+version+"/"+wheelName("hello", version)+".metadata")
				if a.Status != http.StatusOK || !strings.Contains(string(a.Body), "Version: "+version) {
					t.Errorf("metadata of %s: %d %s", version, a.Status, a.Body)
				}
			}
			if a := h.Get("public", "simple/hello/1.1/hello-1.1.tar.gz.metadata"); a.Status != http.StatusNotFound {
				t.Errorf("metadata of an sdist: %d", a.Status)
			}
			if a := h.Get("public", "pypi/hello/json"); a.Status != http.StatusOK || !strings.Contains(string(a.Body), `"version":"1.1"`) {
				t.Errorf("json: %d %s", a.Status, a.Body)
			}
			if a := h.Get("public", "pypi/hello/1.0.0/json"); a.Status != http.StatusOK || !strings.Contains(string(a.Body), `"yanked_reason":"why"`) {
				t.Errorf("json of a version: %d %s", a.Status, a.Body)
			}
		})
	}
}

func FuzzUpload(f *testing.F) {
	h := house(f)
	f.Add(upload("hello", "1.0", wheelName("hello", "1.0"), wheelOf("hello", "1.0", "")).Body)
	f.Add([]byte("--------------------------boundary\r\n\r\n"))
	f.Add([]byte("--------------------------boundary\r\nContent-Disposition: form-data; name=\"content\"; filename=\"a-1.zip\"\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, body []byte) {
		repo, err := h.Open(t.Context(), formattest.Admin, "internal")
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=------------------------boundary")
		if err := pypi.New().Serve(httptest.NewRecorder(), &format.Request{Request: r, Repo: repo}); err != nil && format.Status(err) >= 500 {
			t.Error(err)
		}
	})
}

// nowhere is a ResponseWriter that keeps its header map between requests.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

// BenchmarkServe is the warm path: from the located request to the answer.
func BenchmarkServe(b *testing.B) {
	h := house(b)
	post(b, h, 200, upload("hello", "1.0", wheelName("hello", "1.0"), wheelOf("hello", "1.0", "")))
	repo, err := h.Open(b.Context(), formattest.Admin, "internal")
	if err != nil {
		b.Fatal(err)
	}
	for name, path := range map[string]string{"index": "simple/hello/", "304": "simple/hello/", "file": filePath("hello", "1.0", wheelName("hello", "1.0"))} {
		b.Run(name, func(b *testing.B) {
			r := &format.Request{Request: httptest.NewRequest(http.MethodGet, "/", nil), Repo: repo, Path: path}
			r.Header.Set("Accept", simpleJSON+", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01")
			w := &nowhere{http.Header{}}
			if err := pypi.New().Serve(w, r); err != nil {
				b.Fatal(err)
			}
			if name == "304" {
				r.Header.Set("If-None-Match", w.header.Get("Etag"))
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := pypi.New().Serve(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
