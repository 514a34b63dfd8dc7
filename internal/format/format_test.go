package format_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

func TestAccept(t *testing.T) {
	offers := []string{"application/json", "application/vnd.x+json"}
	for header, want := range map[string]int{
		"":                                          0,
		"*/*":                                       0,
		"application/*":                             0,
		"text/html":                                 0,
		"application/vnd.x+json":                    1,
		"APPLICATION/VND.X+JSON":                    1,
		"application/vnd.x+json, */*;q=0.1":         1,
		"application/vnd.x+json;q=0.9, */*":         0,
		"application/json;q=0.2, */*;q=0.5":         1,
		"application/json;q=0, */*":                 1,
		"application/vnd.x+json;v=1;q=1.0":          1,
		"application/vnd.x+json;q=junk":             0,
		"application/vnd.x+json;q=0.001":            1,
		"application/vnd.x+json , application/json": 0,
	} {
		var lines []string
		if header != "" {
			lines = []string{header}
		}
		if got := format.Accept(lines, offers...); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	if got := format.Accept([]string{"application/json;q=0.1", "application/vnd.x+json"}, offers...); got != 1 {
		t.Errorf("two lines: %d", got)
	}
}

func TestUnescape(t *testing.T) {
	for path, want := range map[string]string{"a": "a", "a/b": "a/b", "a%2Fb": "a/b", "%61%c3%a9": "a\u00e9", "a+b": "a+b", "...": "...", "a b": "a b"} {
		if got, err := format.Unescape(path); err != nil || got != want {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/%2e%2E/b", "%", "a%2", "%zz", "%00", "a\x00", "\n", "%0a", "\x7f", "a\\b", "%5c", "%ff", "\xff"} {
		if got, err := format.Unescape(path); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
	if got, err := format.Segment("a%2fb"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a segment with a slash: %q, %v", got, err)
	}
}

func FuzzUnescape(f *testing.F) {
	for _, seed := range []string{"a/b", "%2e%2e/x", "a%00", "%c3%a9", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := format.Unescape(path)
		if err != nil {
			return
		}
		for segment := range strings.SplitSeq(got, "/") {
			if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\x00\n\r") {
				t.Errorf("%q became %q", path, got)
			}
		}
	})
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), 500},
		{fault.New(fault.Invalid, "x"), 400},
		{fault.New(fault.Unauthenticated, "x"), 401},
		{fault.New(fault.Quota, "x"), 402},
		{fault.New(fault.Denied, "x"), 403},
		{fmt.Errorf("more: %w", fault.New(fault.NotFound, "x")), 404},
		{format.NotAllowed("PATCH", "GET"), 405},
		{fault.New(fault.Conflict, "x"), 409},
		{fault.New(fault.TooLarge, "x"), 413},
		{fault.New(fault.Throttled, "x"), 429},
		{fault.New(fault.Upstream, "x"), 502},
		{fault.New(fault.Unavailable, "x"), 503},
		{fault.Wrap(fault.Upstream, context.DeadlineExceeded, "x"), 504},
	} {
		if got := format.Status(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestSetErrorHeader(t *testing.T) {
	header := func(err error) http.Header {
		h := http.Header{"Etag": {`"x"`}, "Content-Length": {"7"}, "Content-Encoding": {"gzip"}, "Cache-Control": {"immutable"}, "Accept-Ranges": {"bytes"}, "X-Request-Id": {"1"}}
		format.SetErrorHeader(h, err)
		return h
	}
	for name, c := range map[string]struct {
		err  error
		want http.Header
	}{
		"challenge": {
			fault.New(fault.Unauthenticated, "x"),
			http.Header{"Www-Authenticate": {`Bearer realm="codeartifact"`, `Basic realm="codeartifact"`}},
		},
		"later":     {&fault.Error{Kind: fault.Throttled, RetryAfter: 1500 * time.Millisecond}, http.Header{"Retry-After": {"2"}}},
		"allow":     {format.NotAllowed("PATCH", "GET, HEAD"), http.Header{"Allow": {"GET, HEAD"}}},
		"nothing":   {fault.New(fault.NotFound, "x"), http.Header{}},
		"some time": {fault.New(fault.Unavailable, "x"), http.Header{}},
	} {
		c.want["X-Request-Id"] = []string{"1"}
		if diff := cmp.Diff(c.want, header(c.err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBody(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("hello"))
	_ = z.Close()
	for _, c := range []struct {
		encoding, body string
		kind           fault.Kind
	}{{"", "hello", 0}, {"identity", "hello", 0}, {"gzip", zipped.String(), 0}, {"gzip", "hello", fault.Invalid}, {"br", "hello", fault.Invalid}} {
		r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(c.body))
		r.Header.Set("Content-Encoding", c.encoding)
		body, err := format.Body(r)
		if c.kind != 0 {
			if !fault.Is(err, c.kind) {
				t.Errorf("%s: %v", c.encoding, err)
			}
			continue
		}
		got, err := format.ReadBody(body, 5)
		if err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", c.encoding, got, err)
		}
	}
	if _, err := format.ReadBody(strings.NewReader("hello"), 4); !fault.Is(err, fault.TooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("hello")), 2)
	if _, err := format.ReadBody(limited, 100); !fault.Is(err, fault.TooLarge) {
		t.Errorf("over the server's limit: %v", err)
	}
}

func TestWalkTarGz(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir},
		{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "dir/a", Typeflag: tar.TypeReg, Size: 2},
		{Name: "dir/b", Typeflag: tar.TypeReg, Size: 2},
	} {
		_ = w.WriteHeader(&h)
		if h.Size > 0 {
			_, _ = w.Write([]byte("hi"))
		}
	}
	_, _ = w.Close(), z.Close()
	walk := func(data []byte, stop int) (seen []string, err error) {
		err = format.WalkTarGz(bytes.NewReader(data), func(name string, content io.Reader) (bool, error) {
			text, err := io.ReadAll(content)
			seen = append(seen, name+"="+string(text))
			return len(seen) < stop, err
		})
		return seen, err
	}
	for stop, want := range map[int][]string{1: {"dir/a=hi"}, 9: {"dir/a=hi", "dir/b=hi"}} {
		seen, err := walk(b.Bytes(), stop)
		if diff := cmp.Diff(want, seen); diff != "" || err != nil {
			t.Errorf("stop at %d: %v (-want +got):\n%s", stop, err, diff)
		}
	}
	for name, data := range map[string][]byte{"nothing": nil, "text": []byte("hello, this is no archive"), "cut": b.Bytes()[:b.Len()/2]} {
		if _, err := walk(data, 9); !errors.Is(err, format.ErrNotArchive) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	failed := errors.New("enough")
	if err := format.WalkTarGz(bytes.NewReader(b.Bytes()), func(string, io.Reader) (bool, error) { return false, failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

// TestWalkTarGz_Bounds: of a bomb only what is within the bounds is unpacked.
func TestWalkTarGz_Bounds(t *testing.T) {
	pack := func(sizes ...int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for i, size := range sizes {
			_ = w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeReg, Size: int64(size)})
			_, _ = w.Write(make([]byte, size))
		}
		_, _ = w.Close(), z.Close()
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"large file":      {pack(10, 1<<20, 10), []string{"0", "1"}},
		"many files":      {pack(0, 0, 0, 0, 0, 0, 0), []string{"0", "1", "2", "3", "4"}},
		"within, exactly": {pack(10, 10), []string{"0", "1"}},
	} {
		var seen []string
		err := format.WalkTarGzWithin(bytes.NewReader(c.data), 64<<10, 5, func(name string, _ io.Reader) (bool, error) {
			seen = append(seen, name)
			return true, nil
		})
		if diff := cmp.Diff(c.want, seen); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if beyond := name != "within, exactly"; errors.Is(err, format.ErrArchiveBounds) != beyond {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAtLeast_NeverMoreThanTheFileHas(t *testing.T) {
	for _, c := range []struct {
		length, besides, want int64
		encoding              string
	}{
		{1000, 100, 900, ""},
		{1000, 100, 900, "identity"},
		{1000, 100, 0, "gzip"},
		{50, 100, 0, ""},
		{-1, 100, 0, ""},
	} {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.ContentLength = c.length
		r.Header.Set("Content-Encoding", c.encoding)
		if got := format.AtLeast(r, c.besides); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
