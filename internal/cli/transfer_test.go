package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// line is a connection to the server on which things go wrong.
type line struct {
	mu     sync.Mutex
	calls  []string                                 // method and what follows the repository
	before func(n int, r *http.Request) error       // the request is not sent
	answer func(n int, r *http.Request) (int, bool) // the server is not asked
	cut    func(n int, r *http.Request) int64       // so many bytes of the answer come; below 0: all
	paused int
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/generic/") {
		return http.DefaultTransport.RoundTrip(r)
	}
	l.mu.Lock()
	_, path, _ := strings.Cut(r.URL.Path, "/generic/")
	n := len(l.calls)
	l.calls = append(l.calls, r.Method+" "+path+" "+r.Header.Get("Range"))
	l.mu.Unlock()
	if l.before != nil {
		if err := l.before(n, r); err != nil {
			if r.Body != nil {
				_, _ = io.CopyN(io.Discard, r.Body, 10)
				r.Body.Close()
			}
			return nil, err
		}
	}
	if l.answer != nil {
		if status, ok := l.answer(n, r); ok {
			if r.Body != nil {
				r.Body.Close()
			}
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(`{"error":"said so"}`)), Header: http.Header{}, Request: r}, nil
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.cut != nil && r.Method == http.MethodGet {
		if most := l.cut(n, r); most >= 0 {
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(resp.Body, most), resetReader{}), resp.Body}
		}
	}
	return resp, err
}

type resetReader struct{}

func (resetReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by test") }

func (l *line) count(method string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if strings.HasPrefix(c, method+" ") {
			n++
		}
	}
	return n
}

// over runs a command over a line.
func (h *house) over(ctx context.Context, l *line, stdin io.Reader, args ...string) result {
	h.t.Helper()
	var out, errs bytes.Buffer
	code := Main(ctx, Env{
		Args: args, Stdin: stdin, Stdout: &out, Stderr: &errs, Services: Services(), LookupEnv: os.LookupEnv, Home: h.home, Version: "test",
		HTTP: &http.Client{Transport: l},
		pause: func(ctx context.Context, _ time.Duration) error {
			l.mu.Lock()
			l.paused++
			l.mu.Unlock()
			return context.Cause(ctx)
		},
	})
	return result{code, out.String(), errs.String()}
}

func version(command, number string, more ...string) []string {
	return append([]string{
		command, "--domain", "my-domain", "--repository", "files", "--namespace", "tools", "--package", "cli", "--package-version", number, "--part-size", "64KiB",
	}, more...)
}

// bulk writes a file of random bytes that are the same every time.
func bulk(t *testing.T, dir, name string, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)})
	_, _ = r.Read(content)
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func wantFile(t *testing.T, path string, content []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s: %v, %d bytes, want %d", filepath.Base(path), err, len(got), len(content))
	}
}

// wantOnly checks what a folder holds.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("the folder holds %q, want %q", got, names)
	}
}

func (r result) want(t *testing.T, code int, text string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stdout+r.stderr, text) {
		t.Fatalf("exit %d, want %d and %q\n%s%s", r.code, code, text, r.stdout, r.stderr)
	}
}

func files(t *testing.T) *house {
	t.Helper()
	h := open(t)
	h.domainWith("files")
	return h
}

func TestUploadAndDownload_AFolder(t *testing.T) {
	h := files(t)
	in, out := t.TempDir(), t.TempDir()
	_, large := bulk(t, in, "large.bin", 1500<<10)
	_, small := bulk(t, in, "small (1).txt", 10)
	_, empty := bulk(t, in, "empty", 0)
	l := &line{}
	r := h.over(t.Context(), l, nil, version("upload", "1.0", in)...)
	r.want(t, exitOK, "tools/cli 1.0 is Published in repository files")
	if strings.Contains(r.stdout+r.stderr, "\x1b") || r.stderr != "" {
		t.Errorf("control codes in a pipe: %q %q", r.stdout, r.stderr)
	}
	r = h.over(t.Context(), l, nil, version("download", "1.0", "--output-dir", filepath.Join(out, "new", "folder"))...)
	r.want(t, exitOK, "large.bin")
	for name, content := range map[string][]byte{"large.bin": large, "small (1).txt": small, "empty": empty} {
		wantFile(t, filepath.Join(out, "new", "folder", name), content)
	}
	wantOnly(t, filepath.Join(out, "new", "folder"), "empty", "large.bin", "small (1).txt")

	l = &line{}
	h.over(t.Context(), l, nil, version("upload", "1.0", in)...).want(t, exitOK, "there already")
	if n := l.count(http.MethodPut); n != 2 {
		t.Errorf("%d files were sent again, only the two small ones should: %q", n, l.calls)
	}
	l = &line{}
	h.over(t.Context(), l, nil, version("download", "1.0", "--output-dir", filepath.Join(out, "new", "folder"))...).want(t, exitOK, "there already")
	if n := l.count(http.MethodGet); n != 0 {
		t.Errorf("got again: %q", l.calls)
	}
	h.over(t.Context(), l, nil, version("upload", "1.0", bulkPath(t, "late", 5))...).want(t, exitFailed, "takes no further assets")
	h.over(t.Context(), l, nil, version("download", "1.0", "--asset", "none", "--output-dir", out)...).want(t, exitFailed, "file none of tools/cli 1.0 is not in repository files")
	h.over(t.Context(), l, nil, version("download", "7.0", "--output-dir", out)...).want(t, exitFailed, "ResourceNotFoundException")
}

func bulkPath(t *testing.T, name string, size int) string {
	t.Helper()
	path, _ := bulk(t, t.TempDir(), name, size)
	return path
}

func TestUpload_GoesOnWithWhatIsMissing(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "large.bin", 2<<20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &line{}
	l.before = func(n int, r *http.Request) error {
		if n > 12 { // the client is killed in the middle
			cancel()
			return context.Canceled
		}
		return nil
	}
	h.over(ctx, l, nil, version("upload", "1.0", path, "--parallel", "1")...).want(t, exitFailed, "the same command goes on")
	l = &line{}
	h.over(t.Context(), l, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	if n := l.count(http.MethodPut); n != 32-12 {
		t.Errorf("%d of 32 parts were sent again, 12 were there", n)
	}
	h.over(t.Context(), &line{}, nil, version("download", "1.0", "--output", filepath.Join(t.TempDir(), "x"), "--asset", "large.bin")...).want(t, exitOK, "")
	out := t.TempDir()
	h.over(t.Context(), &line{}, nil, version("download", "1.0", "--output-dir", out)...).want(t, exitOK, "")
	wantFile(t, filepath.Join(out, "large.bin"), content)
}

func TestUpload_TriesAgain(t *testing.T) {
	h := files(t)
	path, _ := bulk(t, t.TempDir(), "large.bin", 2<<20)
	l := &line{}
	l.before = func(n int, _ *http.Request) error {
		if n%3 == 1 {
			return errors.New("connection reset by test")
		}
		return nil
	}
	l.answer = func(n int, _ *http.Request) (int, bool) { return http.StatusServiceUnavailable, n%7 == 3 }
	h.over(t.Context(), l, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	if l.paused == 0 {
		t.Error("there was no pause between attempts")
	}
	l = &line{answer: func(int, *http.Request) (int, bool) { return http.StatusBadGateway, true }}
	h.over(t.Context(), l, nil, version("upload", "2.0", path, "--retries", "3")...).want(t, exitFailed, "large.bin: gave up after 4 attempts: the server answers 502: said so")
	l = &line{answer: func(int, *http.Request) (int, bool) { return http.StatusForbidden, true }}
	h.over(t.Context(), l, nil, version("upload", "2.0", path)...).want(t, exitFailed, "large.bin: the server answers 403: said so")
	if l.paused != 0 {
		t.Error("what is forbidden was tried again")
	}
}

func TestUpload_OneOfManyFails(t *testing.T) {
	h := files(t)
	in := t.TempDir()
	bulk(t, in, "a", 10)
	bulk(t, in, "b", 11)
	bulk(t, in, "c", 12)
	l := &line{}
	l.answer = func(_ int, r *http.Request) (int, bool) {
		return http.StatusForbidden, strings.HasSuffix(r.URL.Path, "/b")
	}
	h.over(t.Context(), l, nil, version("upload", "1.0", in)...).want(t, exitFailed, "2 of 3 files are there and version tools/cli 1.0 is not finished")
	h.must("list-package-version-assets", "--domain", "my-domain", "--repository", "files", "--format", "generic", "--namespace", "tools", "--package", "cli", "--package-version", "1.0")
	h.over(t.Context(), &line{}, nil, version("download", "1.0", "--asset", "a", "--output-dir", t.TempDir())...).want(t, exitFailed, "not Published")
	h.over(t.Context(), &line{}, nil, version("upload", "1.0", in)...).want(t, exitOK, "is Published")
	h.over(t.Context(), &line{}, nil, version("upload", "2.0", "--unfinished", in)...).want(t, exitOK, "is Unfinished")
}

func TestUpload_StandardInput(t *testing.T) {
	h := files(t)
	for name, size := range map[string]int{"none": 0, "small": 7, "one part": 64 << 10, "parts": 1<<20 + 5} {
		_, content := bulk(t, t.TempDir(), "x", size)
		number := strconv.Itoa(size)
		h.over(t.Context(), &line{}, bytes.NewReader(content), version("upload", number, "-", "--asset-name", "x.bin")...).want(t, exitOK, "Published")
		r := h.over(t.Context(), &line{}, nil, version("download", number, "--asset", "x.bin", "--output", "-")...)
		if r.code != exitOK || r.stdout != string(content) {
			t.Errorf("%s: exit %d, %d bytes %s", name, r.code, len(r.stdout), r.stderr)
		}
	}
	h.over(t.Context(), &line{}, resetReader{}, version("upload", "9", "-", "--asset-name", "x.bin")...).want(t, exitFailed, "read standard input")
}

func TestDownload_GoesOnWhereItWas(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "large.bin", 2<<20)
	h.over(t.Context(), &line{}, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	out := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &line{}
	l.before = func(n int, _ *http.Request) error {
		if n > 10 {
			cancel()
			return context.Canceled
		}
		return nil
	}
	h.over(ctx, l, nil, version("download", "1.0", "--asset", "large.bin", "--output-dir", out, "--parallel", "1")...).want(t, exitFailed, "the same command goes on")
	sum := sha256.Sum256(content)
	part := "large.bin." + hex.EncodeToString(sum[:6]) + ".part"
	wantOnly(t, out, part, part+".json")
	l = &line{}
	h.over(t.Context(), l, nil, version("download", "1.0", "--asset", "large.bin", "--output-dir", out, "--part-size", "1MiB")...).want(t, exitOK, "went on")
	if n := l.count(http.MethodGet); n != 32-10 {
		t.Errorf("%d of 32 parts were got, 10 were there", n)
	}
	wantFile(t, filepath.Join(out, "large.bin"), content)
	wantOnly(t, out, "large.bin")
}

// A power cut can take bytes that the journal tells of.
func TestDownload_DoesNotTrustWhatIsThere(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "x", 300<<10)
	h.over(t.Context(), &line{}, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	for name, journal := range map[string]string{
		"lies":       `{"sha256":"` + hash + `","size":307200,"partSize":65536,"parts":[0,2]}`,
		"twice":      `{"sha256":"` + hash + `","size":307200,"partSize":65536,"parts":[0,0]}`,
		"outside":    `{"sha256":"` + hash + `","size":307200,"partSize":65536,"parts":[77]}`,
		"no size":    `{"sha256":"` + hash + `","size":307200,"partSize":0,"parts":[0]}`,
		"of another": `{"sha256":"` + strings.Repeat("0", 64) + `","size":307200,"partSize":65536,"parts":[0,1,2,3,4]}`,
		"no journal": `{"sha`,
	} {
		out := t.TempDir()
		part := filepath.Join(out, "x."+hash[:12]+".part")
		for p, text := range map[string]string{part: strings.Repeat("\x00", 300<<10), part + ".json": journal} {
			if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := h.over(t.Context(), &line{}, nil, version("download", "1.0", "--output-dir", out)...)
		if r.code != exitOK {
			t.Errorf("%s: %+v", name, r)
		}
		wantFile(t, filepath.Join(out, "x"), content)
		wantOnly(t, out, "x")
	}
}

func TestDownload_ConnectionsBreak(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "x", 1<<20)
	h.over(t.Context(), &line{}, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	cut := func(n int, _ *http.Request) int64 { return []int64{-1, 0, 40000, 1}[n%4] }
	out := t.TempDir()
	h.over(t.Context(), &line{cut: cut}, nil, version("download", "1.0", "--output-dir", out)...).want(t, exitOK, "x")
	wantFile(t, filepath.Join(out, "x"), content)
	r := h.over(t.Context(), &line{cut: cut}, nil, version("download", "1.0", "--output", "-", "--asset", "x")...)
	if r.code != exitOK || r.stdout != string(content) {
		t.Errorf("to a pipe: exit %d, %d bytes %s", r.code, len(r.stdout), r.stderr)
	}
}

// A token that runs out in the middle is replaced.
func TestTransfer_TokenExpires(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "x", 1<<20)
	refuse := func(n int, _ *http.Request) (int, bool) { return http.StatusUnauthorized, n == 2 || n == 9 }
	l := &line{answer: refuse}
	h.over(t.Context(), l, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	out := t.TempDir()
	h.over(t.Context(), &line{answer: refuse}, nil, version("download", "1.0", "--output-dir", out)...).want(t, exitOK, "x")
	wantFile(t, filepath.Join(out, "x"), content)
	l = &line{answer: func(int, *http.Request) (int, bool) { return http.StatusUnauthorized, true }}
	h.over(t.Context(), l, nil, version("upload", "2.0", path)...).want(t, exitFailed, "401")
}

func TestDownload_ReplacedMeanwhile(t *testing.T) {
	h := files(t)
	path, content := bulk(t, t.TempDir(), "x", 1<<20)
	h.over(t.Context(), &line{}, nil, version("upload", "1.0", path)...).want(t, exitOK, "Published")
	other, _ := bulk(t, t.TempDir(), "x", 1<<20+1)
	l := &line{}
	l.before = func(n int, _ *http.Request) error {
		if n == 5 {
			h.must("delete-package-versions", "--domain", "my-domain", "--repository", "files", "--format", "generic", "--namespace", "tools", "--package", "cli", "--versions", "1.0")
			h.over(t.Context(), &line{}, nil, version("upload", "1.0", other)...).want(t, exitOK, "Published")
		}
		return nil
	}
	out := t.TempDir()
	h.over(t.Context(), l, nil, version("download", "1.0", "--asset", "x", "--output-dir", out, "--parallel", "1")...).want(t, exitFailed, "replaced on the server")
	if _, err := os.Stat(filepath.Join(out, "x")); err == nil {
		t.Error("a half file is there")
	}
	_ = content
}

func TestDownload_OtherFormats(t *testing.T) {
	h := files(t)
	h.publish("files", "hello", "1.0.0")
	out := t.TempDir()
	args := []string{"download", "--domain", "my-domain", "--repository", "files", "--format", "npm", "--package", "hello", "--package-version", "1.0.0"}
	h.over(t.Context(), &line{}, nil, append(args, "--output-dir", out)...).want(t, exitOK, "package.tgz")
	wantFile(t, filepath.Join(out, "package.tgz"), tarball(t, "hello", "1.0.0"))
	r := h.over(t.Context(), &line{}, nil, append(args, "--asset", "package.tgz", "--output", "-")...)
	if r.stdout != string(tarball(t, "hello", "1.0.0")) {
		t.Errorf("%d bytes %s", len(r.stdout), r.stderr)
	}
	h.over(t.Context(), &line{}, nil, append(args, "--asset", "other", "--output-dir", out)...).want(t, exitFailed, "has no file other")
}

func TestTransfer_WrongUsage(t *testing.T) {
	home := isolate(t)
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := bulkPath(t, "x", 1)
	for _, c := range []struct {
		text string
		args []string
	}{
		{"no such file", version("upload", "1", filepath.Join(folder, "none"))},
		{"is not a file", version("upload", "1", folder)},
		{"no file to send", version("upload", "1", t.TempDir())},
		{"two files are called x", version("upload", "1", file, file)},
		{"--asset-name is for one file", version("upload", "1", file, "-", "--asset-name", "y")},
		{"standard input needs one", version("upload", "1", "-")},
		{"--part-size", version("upload", "1", file, "--part-size", "1")},
		{"--parallel", version("upload", "1", file, "--parallel", "0")},
		{"--output is for one file", version("download", "1", "--output", "x")},
		{"--namespace", []string{"download", "--domain", "d", "--repository", "r", "--package", "p", "--package-version", "1"}},
	} {
		r := runCommand(t.Context(), home, c.args...)
		if r.code != exitUsage || !strings.Contains(r.stderr, c.text) {
			t.Errorf("%s: %+v", c.text, r)
		}
	}
}

// FuzzJournal: whatever stands in the journal, the file is either right or
// begun anew, and nothing outside it is written.
func FuzzJournal(f *testing.F) {
	f.Add(`{"sha256":"`+strings.Repeat("a", 64)+`","size":100000,"partSize":65536,"parts":[0]}`, 70000)
	f.Add(`{"parts":[-1]}`, 0)
	f.Add(``, 1)
	f.Fuzz(func(t *testing.T, journal string, size int) {
		path := filepath.Join(t.TempDir(), "x")
		in := incoming{name: "x", size: 100000, sha256: strings.Repeat("a", 64)}
		part := path + "." + in.sha256[:12] + ".part"
		if err := os.WriteFile(part, make([]byte, min(max(size, 0), 1<<20)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(part+".json", []byte(journal), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := openPartial(path, in, minPart)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var have int64
		for i, has := range p.has {
			if from, to := p.span(i); has {
				have += to - from
			}
		}
		if len(p.has) != p.count() || have != p.have || have > in.size {
			t.Errorf("%+v", p)
		}
	})
}
