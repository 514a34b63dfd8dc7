package npm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

func TestList_AsksForTheFullDocumentConditionally(t *testing.T) {
	var asked string
	var sent http.Header
	get := func(_ context.Context, url string, h http.Header) (*http.Response, error) {
		asked, sent = url, h
		return &http.Response{StatusCode: http.StatusNotModified, Body: http.NoBody}, nil
	}
	_, err := New().Remote("https://registry.test/").List(t.Context(), get, scoped, upstream.Validator{ETag: `W/"1"`, LastModified: "Mon"})
	if !errors.Is(err, upstream.ErrNotModified) {
		t.Errorf("got %v", err)
	}
	if asked != "https://registry.test/@sc%2fhello" {
		t.Errorf("asked %s", asked)
	}
	want := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "If-None-Match": {`W/"1"`}, "If-Modified-Since": {"Mon"}}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestList_Answers(t *testing.T) {
	answer := func(body io.Reader, length int64) upstream.Get {
		return func(context.Context, string, http.Header) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Body: io.NopCloser(body), ContentLength: length,
				Header: http.Header{"Etag": {`"2"`}, "Last-Modified": {"Tue"}, "Content-Type": {"text/html; charset=utf-8"}},
			}, nil
		}
	}
	r := New().Remote("https://registry.test/")
	for _, length := range []int64{-1, 3} {
		got, err := r.List(t.Context(), answer(strings.NewReader(" {}"), length), hello, upstream.Validator{})
		want := upstream.Document{Body: []byte(" {}"), Validator: upstream.Validator{ETag: `"2"`, LastModified: "Tue"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	gone := fault.New(fault.NotFound, "gone")
	for name, c := range map[string]struct {
		get  upstream.Get
		kind fault.Kind
	}{
		"page":       {answer(strings.NewReader("<html>"), -1), fault.Upstream},
		"nothing":    {answer(strings.NewReader("  "), -1), fault.Upstream},
		"broken off": {answer(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF)), -1), fault.Upstream},
		"too large":  {answer(io.MultiReader(strings.NewReader("{"), zeros{}), -1), fault.Upstream},
		"not found":  {func(context.Context, string, http.Header) (*http.Response, error) { return nil, gone }, fault.NotFound},
	} {
		if _, err := r.List(t.Context(), c.get, hello, upstream.Validator{}); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestList_CompressedAnswer(t *testing.T) {
	answer := func(body []byte) upstream.Get {
		return func(context.Context, string, http.Header) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
				Header: http.Header{"Content-Encoding": {"gzip"}},
			}, nil
		}
	}
	pack := func(content io.Reader) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := io.Copy(w, content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := pack(strings.NewReader(`{"name":"hello"}`))
	r := New().Remote("https://registry.test/")
	got, err := r.List(t.Context(), answer(good), hello, upstream.Validator{})
	if err != nil || string(got.Body) != `{"name":"hello"}` {
		t.Errorf("got %s, %v", got.Body, err)
	}
	for name, body := range map[string][]byte{
		"not gzip":   []byte("{}"),
		"broken off": good[:len(good)-6],
		"bomb":       pack(io.MultiReader(strings.NewReader("{"), io.LimitReader(zeros{}, maxPackument+10))),
	} {
		if _, err := r.List(t.Context(), answer(body), hello, upstream.Validator{}); !fault.Is(err, fault.Upstream) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestReadDocument_IsBoundedAfterDecoding: few bytes may unfold to many.
func TestReadDocument_IsBoundedAfterDecoding(t *testing.T) {
	const limit = 1 << 20
	document := func(size int) []byte {
		return []byte(`{"padding":"` + strings.Repeat("x", size-len(`{"padding":""}`)) + `"}`)
	}
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	for name, c := range map[string]struct {
		body     []byte
		encoding string
		taken    bool
	}{
		"as large as may be":           {document(limit), "", true},
		"as large as may be, unfolded": {zipped(document(limit)), "gzip", true},
		"larger":                       {document(limit + 1), "", false},
		"larger when unfolded":         {zipped(document(limit + 1)), "gzip", false},
		"far larger when unfolded":     {zipped(document(64 * limit)), "gzip", false},
	} {
		res := &http.Response{
			Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Header: http.Header{"Content-Encoding": {c.encoding}},
		}
		b, err := readDocument(res, limit)
		if (err == nil) != c.taken || c.taken && len(b) != limit || !c.taken && (!fault.Is(err, fault.Upstream) || !strings.Contains(fault.Message(err), "larger")) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}
