package fsblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/blob"
	"packhouse/internal/blob/blobtest"
	"packhouse/internal/fault"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, dir string, options Options) *Store {
	t.Helper()
	options.Log = quiet()
	s, err := Open(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T, limits blob.Limits) blob.Store {
		t.Helper()
		return open(t, t.TempDir(), Options{Limits: limits})
	})
}

func TestStore_WithoutJournal(t *testing.T) {
	blobtest.Run(t, func(t *testing.T, limits blob.Limits) blob.Store {
		t.Helper()
		return open(t, t.TempDir(), Options{Limits: limits, NoJournal: true})
	})
}

func TestOpen_RemovesOldSpoolsOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	w, err := s.Begin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort(nil)
	old := filepath.Join(dir, spoolFolder, "left-by-a-dead-process")
	if err := os.WriteFile(old, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
	entries, err := os.ReadDir(filepath.Join(dir, spoolFolder))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() == filepath.Base(old) {
		t.Errorf("spools left: %v", entries)
	}
}

func TestStore_KeepsFilesPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s := open(t, dir, Options{})
	info, err := s.Put(t.Context(), "acme", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, s.path(info.Ref): 0o600} {
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := stat.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
}

// A follower that comes just when a transfer is given up must not take that for
// the absence of the content.
func TestSpool_GoneIsNotNotFound(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	path := s.spoolPath()
	f, err := s.create(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &spool{store: s, file: f, path: path}
	p.Discard()
	if _, err := p.Reader(); !errors.Is(err, blob.ErrAborted) {
		t.Errorf("got %v", err)
	}
}

func TestPut_ReplacesADamagedBlob(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	info, err := s.Put(t.Context(), "acme", strings.NewReader("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.path(info.Ref), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "acme", strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(s.path(info.Ref)); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestPut_SurvivesARemovedFolder(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if _, err := s.Put(t.Context(), "acme", strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "acme")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "acme", strings.NewReader("two")); err != nil {
		t.Error(err)
	}
}

func TestPut_FullDiskIsUnavailable(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full to stand for a full disk")
	}
	s := open(t, t.TempDir(), Options{})
	s.create = func(string) (*os.File, error) { return os.OpenFile("/dev/full", os.O_RDWR, 0) }
	_, err := s.Put(t.Context(), "acme", strings.NewReader("no room"))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), "full") {
		t.Errorf("put: %v", err)
	}
	if got := refs(t, s); len(got) != 0 {
		t.Errorf("visible: %v", got)
	}
	if err := s.Check(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("check: %v", err)
	}
}

func TestCheck_WritableStore(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Join(s.dir, spoolFolder)); err != nil || len(entries) != 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}

// countingConn tells whether the server's connection was handed plain files.
type countingConn struct {
	http.ResponseWriter
	files *atomic.Int64
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	inner := r
	if limited, ok := r.(*io.LimitedReader); ok {
		inner = limited.R
	}
	if _, ok := inner.(syscall.Conn); ok {
		c.files.Add(1)
	}
	return c.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
}

func TestReadersAreSentAsFiles(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	w, err := s.Begin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	follower, err := w.NewReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		serve func(w http.ResponseWriter, r *http.Request)
	}{
		{"stored blob", func(w http.ResponseWriter, r *http.Request) {
			b, err := s.Open(r.Context(), info.Ref)
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			if b.(blob.Filer).File() == nil {
				t.Error("no file")
			}
			http.ServeContent(w, r, "x.tgz", info.Modified, b)
		}},
		{"follower", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			if _, err := io.Copy(w, follower); err != nil {
				t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var files atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tt.serve(countingConn{w, &files}, r)
			}))
			defer server.Close()
			res, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if files.Load() == 0 {
				t.Error("no file was handed to the connection")
			}
		})
	}
}

func TestMetered_Counts(t *testing.T) {
	var mu sync.Mutex
	var ops []string
	m := blob.Meter(open(t, t.TempDir(), Options{}), blob.Hooks{Done: func(op string, _ time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, fmt.Sprint(op, " ", err == nil))
	}})
	info, err := m.Put(t.Context(), "acme", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Begin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Stats().Writing; got != 1 {
		t.Errorf("writing %d", got)
	}
	if _, err := w.Write([]byte("123")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	given, err := m.Begin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	given.Abort(nil)
	r, err := m.Open(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(t.Context(), info.Ref); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), info.Ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	want := blob.Stats{Puts: 2, PutBytes: 8, PutFailures: 1, Opens: 1, OpenBytes: 5, Misses: 1, Deletes: 1}
	if diff := cmp.Diff(want, m.Stats()); diff != "" {
		t.Error(diff)
	}
	wantOps := []string{"put true", "write true", "write false", "open true", "delete true", "open false"}
	if diff := cmp.Diff(wantOps, ops); diff != "" {
		t.Error(diff)
	}
}

// refs lists the names in s, sorted.
func refs(t testing.TB, s *Store) []string {
	t.Helper()
	found := map[string]bool{}
	for info, err := range s.All(context.WithoutCancel(t.Context())) {
		if err != nil {
			t.Fatal(err)
		}
		found[info.Ref.SHA256] = true
	}
	return slices.Sorted(maps.Keys(found))
}
