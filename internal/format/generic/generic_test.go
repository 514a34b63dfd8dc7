package generic_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/generic"
)

// house has one repository, "repo".
func house(t *testing.T) *formattest.House {
	t.Helper()
	h := formattest.NewHouse(t, generic.New(), formattest.Options{})
	h.Repository("repo")
	return h
}

func put(h *formattest.House, path, content string, header ...string) formattest.Answer {
	c := formattest.Call{Method: http.MethodPut, Path: path, Body: []byte(content), Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		c.Header.Set(header[i], header[i+1])
	}
	return h.Do(formattest.Admin, "repo", c)
}

func want(t *testing.T, what string, a formattest.Answer, status int, text string) {
	t.Helper()
	if a.Status != status || !strings.Contains(string(a.Body), text) {
		t.Errorf("%s: %d %s, want %d with %q", what, a.Status, a.Body, status, text)
	}
}

func TestPut_TellsWhatWasPublished(t *testing.T) {
	h := house(t)
	a := put(h, "tools/cli/1.0/app%20x.zip", "bytes")
	want(t, "put", a, http.StatusCreated, "")
	var got map[string]any
	if err := json.Unmarshal(a.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got["versionRevision"] == "" {
		t.Error("no revision")
	}
	delete(got, "versionRevision")
	d := digest.Of([]byte("bytes"))
	expected := map[string]any{
		"format": "generic", "namespace": "tools", "package": "cli", "version": "1.0", "status": "Published",
		"asset": map[string]any{"name": "app x.zip", "size": 5.0, "hashes": map[string]any{
			"MD5": d.Hex(digest.MD5), "SHA-1": d.Hex(digest.SHA1), "SHA-256": d.Hex(digest.SHA256), "SHA-512": d.Hex(digest.SHA512),
		}},
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestPut_UnfinishedUntilAFileComesWithout(t *testing.T) {
	h := house(t)
	want(t, "first", put(h, "tools/cli/1.0/a?unfinished=true", "A"), http.StatusCreated, `"Unfinished"`)
	want(t, "second", put(h, "tools/cli/1.0/b?unfinished=true", "B"), http.StatusCreated, `"Unfinished"`)
	want(t, "get while unfinished", h.Get("repo", "tools/cli/1.0/a"), http.StatusNotFound, "Unfinished")
	want(t, "list while unfinished", h.Get("repo", "tools/cli"), http.StatusNotFound, "")
	want(t, "other bytes", put(h, "tools/cli/1.0/a", "X"), http.StatusConflict, "other content")
	want(t, "last", put(h, "tools/cli/1.0/c", "C"), http.StatusCreated, `"Published"`)
	for name, content := range map[string]string{"a": "A", "b": "B", "c": "C"} {
		a := h.Get("repo", "tools/cli/1.0/"+name)
		if a.Status != http.StatusOK || string(a.Body) != content {
			t.Errorf("%s: %d %q", name, a.Status, a.Body)
		}
		if got := a.Header.Get("X-Content-Type-Options") + " " + a.Header.Get("Content-Type"); got != "nosniff application/octet-stream" {
			t.Errorf("%s is sent as %q", name, got)
		}
	}
	want(t, "a file more", put(h, "tools/cli/1.0/d", "D"), http.StatusConflict, "is Published and takes no further assets")
	want(t, "the same again, unfinished", put(h, "tools/cli/1.0/a?unfinished=true", "A"), http.StatusCreated, `"Published"`)
	var l struct {
		Versions []struct{ Assets []struct{ Name string } }
	}
	if err := json.Unmarshal(h.Get("repo", "tools/cli").Body, &l); err != nil || len(l.Versions) != 1 || len(l.Versions[0].Assets) != 3 {
		t.Errorf("listed: %+v, %v", l, err)
	}
}

// A download that broke off goes on, if the file is still the one it was.
func TestGet_InRanges(t *testing.T) {
	h := house(t)
	content := strings.Repeat("0123456789", 5000) // more than is kept in memory
	for name, content := range map[string]string{"large": content, "small": "0123456789"} {
		want(t, "put", put(h, "tools/cli/"+name+"/a", content), http.StatusCreated, "")
		etag := `"` + sha(content) + `"`
		for _, c := range []struct {
			header []string
			status int
			body   string
		}{
			{[]string{"Range", "bytes=4-6"}, http.StatusPartialContent, "456"},
			{[]string{"Range", "bytes=4-", "If-Range", etag}, http.StatusPartialContent, content[4:]},
			{[]string{"Range", "bytes=4-", "If-Range", `"another"`}, http.StatusOK, content},
			{[]string{"Range", "bytes=-2"}, http.StatusPartialContent, "89"},
			{[]string{"Range", "bytes=50000-"}, http.StatusRequestedRangeNotSatisfiable, ""},
			{[]string{"If-None-Match", etag}, http.StatusNotModified, ""},
		} {
			call := formattest.Call{Method: http.MethodGet, Path: "tools/cli/" + name + "/a", Header: http.Header{}}
			for i := 0; i < len(c.header); i += 2 {
				call.Header.Set(c.header[i], c.header[i+1])
			}
			a := h.Do(formattest.Admin, "repo", call)
			if a.Status != c.status || c.body != "" && string(a.Body) != c.body {
				t.Errorf("%s %q: %d, %d bytes", name, c.header, a.Status, len(a.Body))
			}
		}
	}
}

func TestPut_TheSameFileAgainFinishes(t *testing.T) {
	h := house(t)
	put(h, "tools/cli/1.0/a?unfinished=true", "A")
	want(t, "again", put(h, "tools/cli/1.0/a", "A"), http.StatusCreated, `"Published"`)
}

func TestPut_RefusesWhatContradictsItself(t *testing.T) {
	h := house(t)
	sum := digest.Of([]byte("bytes")).Hex(digest.SHA256)
	for name, c := range map[string]struct {
		path   string
		header []string
		text   string
	}{
		"another hash":    {"tools/cli/1.0/a", []string{"X-Amz-Content-Sha256", strings.Repeat("0", 64)}, "does not have the hash"},
		"no hash":         {"tools/cli/1.0/a", []string{"X-Amz-Content-Sha256", "abc"}, "64 hexadecimal digits"},
		"a flag":          {"tools/cli/1.0/a?unfinished=yes", nil, "unfinished: must be true or false"},
		"a bare flag":     {"tools/cli/1.0/a?unfinished", nil, "unfinished: must be true or false"},
		"a query":         {"tools/cli/1.0/a?unfinished=%zz", nil, "query"},
		"compressed":      {"tools/cli/1.0/a", []string{"Content-Encoding", "gzip"}, "kept as they are sent"},
		"a part":          {"tools/cli/1.0/a", []string{"Content-Range", "bytes 0-4/10"}, "whole"},
		"name of a file":  {"tools/cli/1.0/a*b", nil, "asset: may hold"},
		"name of version": {"tools/cli/1%200/a", nil, "version: must not hold"},
	} {
		want(t, name, put(h, c.path, "bytes", c.header...), http.StatusBadRequest, c.text)
	}
	want(t, "nothing is there", h.Get("repo", "tools/cli/1.0/a"), http.StatusNotFound, "")
	wantNothing(t, h)
	want(t, "the right hash", put(h, "tools/cli/1.0/a", "bytes", "X-Amz-Content-Sha256", strings.ToUpper(sum)), http.StatusCreated, "")
	want(t, "unsigned", put(h, "tools/cli/1.0/a", "bytes", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), http.StatusCreated, "")
}

// wantNothing checks that no row of a package has come about.
func wantNothing(t *testing.T, h *formattest.House) {
	t.Helper()
	h.Update(func(tx *catalog.Tx) error {
		d, err := tx.Domain(formattest.Owner, formattest.Domain)
		if err != nil {
			return err
		}
		r, err := tx.Repository(d.ID, "repo")
		if err != nil {
			return err
		}
		packages, err := tx.Packages(r.ID, catalog.PackageFilter{}, artifact.Coordinates{}, 0)
		if len(packages) > 0 {
			t.Errorf("packages have come about: %v", packages)
		}
		return err
	})
}

// TestPut_BrokenOffLeavesNothing sends half of what was promised and leaves.
func TestPut_BrokenOffLeavesNothing(t *testing.T) {
	h := house(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(h.URL, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /repo/tools/cli/1.0/a HTTP/1.1\r\nHost: house.test\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\n%s",
		formattest.Admin, strings.Repeat("x", 1000))
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest {
		t.Errorf("%d %s, want 400", res.StatusCode, body)
	}
	wantNothing(t, h)
}

// TestPut_DeniedBeforeTheBodyIsAskedFor waits for 100 Continue as curl does.
func TestPut_DeniedBeforeTheBodyIsAskedFor(t *testing.T) {
	h := house(t)
	h.Restrict("repo", coordinates("cli"), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Block})
	body := &untouched{}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, h.URL+"repo/tools/cli/1.0/a", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1 << 40
	r.Header.Set("Authorization", "Bearer "+formattest.Admin)
	r.Header.Set("Expect", "100-continue")
	// The usual transport sends the body after a second without an answer.
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "publish=BLOCK") {
		t.Errorf("%d %s, %v; want 403 naming the setting", res.StatusCode, text, err)
	}
	if body.read {
		t.Error("the body was asked for")
	}
}

type untouched struct{ read bool }

func (u *untouched) Read([]byte) (int, error) { u.read = true; return 0, io.EOF }
func (u *untouched) Close() error             { return nil }

func TestNormalize_NamesAreExactAndHaveANamespace(t *testing.T) {
	f := generic.New()
	for _, c := range []artifact.Coordinates{coordinates("CLI_x.Y"), coordinates("构"), coordinates("@a:b")} {
		if got, err := f.Normalize(c); err != nil || got != c {
			t.Errorf("%v became %v, %v", c, got, err)
		}
	}
	for _, namespace := range []string{"", ".", "..", "a/b", "a b"} {
		if _, err := f.Normalize(artifact.Coordinates{Namespace: namespace, Name: "cli"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("namespace %q: %v", namespace, err)
		}
	}
}

func TestCompare_NumbersByTheirValue(t *testing.T) {
	ordered := []string{"", "1", "1.0", "1.0-a", "1.2", "1.010", "1.10", "2", "10", "99999999999999999999", "100000000000000000000", "a", "a1", "a2b", "a10", "b"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := generic.New().Compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %q and %q: %d", a, b, got)
			}
		}
	}
}

func TestReadmeAndDetails_AreNotThere(t *testing.T) {
	f := generic.New()
	if _, err := f.Readme(nil, nil, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("readme: %v", err)
	}
	if d, err := f.Describe(coordinates("cli"), nil); err != nil || len(d.Dependencies) > 0 {
		t.Errorf("details: %+v, %v", d, err)
	}
}

// FuzzServe sends any path and method: nothing may fail, and what is stored has
// names that can be told apart.
func FuzzServe(f *testing.F) {
	for _, path := range []string{"a/b/c/d", "a/b", "a/b/c/%2e%2e", "a/../c/d", "%00/b", "a/b/c/d?unfinished=true", "a//c/d"} {
		f.Add(path, "x")
	}
	h := formattest.NewHouse(f, generic.New(), formattest.Options{})
	h.Repository("repo")
	f.Fuzz(func(t *testing.T, path, body string) {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			r, err := http.NewRequestWithContext(context.Background(), method, h.URL+"repo/"+path, strings.NewReader(body))
			if err != nil || strings.ContainsAny(path, "#") {
				return
			}
			r.Header.Set("Authorization", "Bearer "+formattest.Admin)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return // not a request that can be sent
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode >= http.StatusInternalServerError {
				t.Errorf("%s %q: %d", method, path, res.StatusCode)
			}
		}
	})
}
