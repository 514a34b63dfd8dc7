package generic_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/format/formattest"
	"packhouse/internal/format/generic"
)

func sha(text string) string { return digest.Of([]byte(text)).Hex(digest.SHA256) }

// list is what POST takes.
func list(parts ...string) string {
	var rows []string
	for _, p := range parts {
		rows = append(rows, fmt.Sprintf(`{"sha256":%q,"size":%d}`, sha(p), len(p)))
	}
	return fmt.Sprintf(`{"sha256":%q,"parts":[%s]}`, sha(strings.Join(parts, "")), strings.Join(rows, ","))
}

func post(h *formattest.House, path, body string) formattest.Answer {
	return h.Do(formattest.Admin, "repo", formattest.Call{Method: http.MethodPost, Path: path, Body: []byte(body)})
}

func wantMissing(t *testing.T, a formattest.Answer, parts ...string) {
	t.Helper()
	var got struct{ Missing []string }
	hashes := make([]string, len(parts))
	for i, p := range parts {
		hashes[i] = sha(p)
	}
	if err := json.Unmarshal(a.Body, &got); err != nil || a.Status != http.StatusAccepted || !slices.Equal(got.Missing, hashes) {
		t.Errorf("%d %s, want %q to be missing", a.Status, a.Body, parts)
	}
}

func TestParts_GoOnWhereTheyBrokeOff(t *testing.T) {
	h := house(t)
	const file = "tools/cli/1.0/app.zip"
	all := list("one", "two", "one", "three")
	wantMissing(t, post(h, file+"?parts", all), "one", "two", "three")
	wantNothing(t, h)
	want(t, "three", put(h, file+"?part="+sha("three"), "three"), http.StatusCreated, sha("three"))
	want(t, "one", put(h, file+"?part="+sha("one"), "one"), http.StatusCreated, `"size":3`)
	wantMissing(t, post(h, file+"?parts", all), "two")
	want(t, "two", put(h, file+"?part="+sha("two"), "two"), http.StatusCreated, "")
	want(t, "unfinished", post(h, file+"?parts&unfinished=true", all), http.StatusCreated, `"Unfinished"`)
	want(t, "again, without parts", post(h, file+"?parts", all), http.StatusCreated, `"Published"`)
	if a := h.Get("repo", file); string(a.Body) != "onetwoonethree" {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	want(t, "other content", post(h, file+"?parts", list("one")), http.StatusConflict, "other content")
	want(t, "closed", post(h, "tools/cli/1.0/b?parts", list("one")), http.StatusConflict, "takes no further assets")
	wantMissing(t, post(h, "tools/cli/2.0/app.zip?parts", all), "one", "two", "three")
}

// Knowing the hash of something is not enough to get at it.
func TestParts_BelongToTheirFile(t *testing.T) {
	h := house(t)
	want(t, "a secret", put(h, "secret/s/1/s", "secret"), http.StatusCreated, "")
	want(t, "a part of another", put(h, "secret/s/2/s?part="+sha("part"), "part"), http.StatusCreated, "")
	wantMissing(t, post(h, "tools/cli/1.0/a?parts", list("secret", "part")), "secret", "part")
}

func TestParts_OfAnotherContentAreForgotten(t *testing.T) {
	h := house(t)
	want(t, "old", put(h, "tools/cli/1.0/a?part="+sha("old"), "old"), http.StatusCreated, "")
	wantMissing(t, post(h, "tools/cli/1.0/a?parts", list("new")), "new")
	wantMissing(t, post(h, "tools/cli/1.0/a?parts", list("old")), "old")
}

func TestParts_RefuseWhatContradictsItself(t *testing.T) {
	h := house(t)
	const file = "tools/cli/1.0/a"
	part := "?part=" + sha("x")
	for name, a := range map[string]formattest.Answer{
		"another hash":       put(h, file+part, "y"),
		"no hash":            put(h, file+"?part=abc", "x"),
		"empty hash":         put(h, file+"?part=", "x"),
		"capitals":           put(h, file+"?part="+strings.ToUpper(sha("x")), "x"),
		"two hashes":         put(h, file+part, "x", "X-Amz-Content-Sha256", sha("y")),
		"encoded":            put(h, file+part, "x", "Content-Encoding", "gzip"),
		"name":               put(h, "tools/cli/1.0/a*b"+part, "x"),
		"version":            put(h, "tools/cli/1%200/a"+part, "x"),
		"query of part":      put(h, file+part+"&%zz", "x"),
		"no parts":           post(h, file+"?parts", `{"sha256":"`+sha("x")+`","parts":[]}`),
		"no list":            post(h, file, list("x")),
		"not JSON":           post(h, file+"?parts", "x"),
		"flag":               post(h, file+"?parts&unfinished=1", list("x")),
		"query":              post(h, file+"?parts&%zz", list("x")),
		"whole hash":         post(h, file+"?parts", `{"sha256":"x","parts":[{"sha256":"`+sha("x")+`","size":1}]}`),
		"part hash":          post(h, file+"?parts", `{"sha256":"`+sha("x")+`","parts":[{"sha256":"../..","size":1}]}`),
		"less than nothing":  post(h, file+"?parts", `{"sha256":"`+sha("x")+`","parts":[{"sha256":"`+sha("x")+`","size":-1}]}`),
		"more than anything": post(h, file+"?parts", `{"sha256":"`+sha("x")+`","parts":[{"sha256":"`+sha("x")+`","size":9223372036854775807}]}`),
	} {
		want(t, name, a, http.StatusBadRequest, `"error"`)
	}
	wantMissing(t, post(h, file+"?parts", `{"sha256":"`+sha("x")+`","parts":[{"sha256":"`+sha("x")+`","size":7}]}`), "x")
	want(t, "the part", put(h, file+part, "x"), http.StatusCreated, "")
	want(t, "of another whole", post(h, file+"?parts", `{"sha256":"`+sha("xx")+`","parts":[{"sha256":"`+sha("x")+`","size":1}]}`), http.StatusBadRequest, "together")
	want(t, "too long a list", post(h, file+"?parts", strings.Repeat(" ", 3<<20)), http.StatusRequestEntityTooLarge, "")
	wantNothing(t, h)
}

func TestParts_NeedThePermissionToPublish(t *testing.T) {
	h := house(t)
	h.Restrict("repo", coordinates("cli"), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Block})
	want(t, "part", put(h, "tools/cli/1.0/a?part="+sha("x"), "x"), http.StatusForbidden, "publish=BLOCK")
	want(t, "list", post(h, "tools/cli/1.0/a?parts", list("x")), http.StatusForbidden, "publish=BLOCK")
}

// A quota is asked before a part is sent, of each part, and of the whole when it
// is put together.
func TestParts_HoldToTheQuota(t *testing.T) {
	h := house(t)
	const file = "tools/cli/1.0/a"
	h.Quota("repo", catalog.Limits{AssetBytes: new(int64(8))})
	want(t, "the whole", post(h, file+"?parts", list("12345", "6789")), http.StatusPaymentRequired, "larger than the 8 bytes")
	want(t, "one part", put(h, file+"?part="+sha("123456789"), "123456789"), http.StatusPaymentRequired, "larger than the 8 bytes")
	want(t, "the first part", put(h, file+"?part="+sha("12345"), "12345"), http.StatusCreated, "")
	want(t, "parts together", put(h, file+"?part="+sha("6789"), "6789"), http.StatusPaymentRequired, "larger than the 8 bytes")
	wantNothing(t, h)
	wantMissing(t, post(h, file+"?parts", list("12345", "678")), "678") // to the last byte
	want(t, "the rest", put(h, file+"?part="+sha("678"), "678"), http.StatusCreated, "")
	want(t, "the whole that fits", post(h, file+"?parts&unfinished=true", list("12345", "678")), http.StatusCreated, "")

	h.Quota("repo", catalog.Limits{Bytes: new(int64(10)), Versions: new(int64(1))})
	want(t, "more than is left", post(h, "tools/cli/1.0/b?parts", list("123")), http.StatusPaymentRequired, "may hold 10 bytes")
	want(t, "another version", post(h, "tools/cli/2.0/b?parts", list("1")), http.StatusPaymentRequired, "may hold 1 versions")
	want(t, "what is there", post(h, file+"?parts&unfinished=true", list("12345", "678")), http.StatusCreated, "")
	want(t, "a part while there is room", put(h, "tools/cli/1.0/b?part="+sha("12"), "12"), http.StatusCreated, "")
	h.Quota("repo", catalog.Limits{Bytes: new(int64(9))})
	want(t, "when there is none any more", post(h, "tools/cli/1.0/b?parts&unfinished=true", list("12")), http.StatusPaymentRequired, "may hold 9 bytes")
	h.Quota("repo", catalog.Limits{Bytes: new(int64(10))})
	want(t, "when there is again", post(h, "tools/cli/1.0/b?parts&unfinished=true", list("12")), http.StatusCreated, "")
}

// FuzzAssemble sends any list of parts: no answer is a failure of the server.
func FuzzAssemble(f *testing.F) {
	for _, s := range []string{list("x"), list("x", "y"), `{}`, `[]`, `{"sha256":1}`, `{"parts":[{}]}`, "\xff"} {
		f.Add(s)
	}
	h := formattest.NewHouse(f, generic.New(), formattest.Options{})
	h.Repository("repo")
	put(h, "tools/cli/1.0/a?part="+sha("x"), "x")
	f.Fuzz(func(t *testing.T, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+"repo/tools/cli/1.0/a?parts&unfinished=true", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+formattest.Admin)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%q: %d", body, res.StatusCode)
		}
	})
}
