package fsblob

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/blob"
	"packhouse/internal/digest"
)

// journaled opens a store whose journal is in use.
func journaled(t testing.TB, dir string, options Options) *Store {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the journal needs syncfs, which only Linux has")
	}
	s := open(t, dir, options)
	for i := range journalAfter + 1 {
		if _, err := s.Put(t.Context(), "acme", strings.NewReader(fmt.Sprint("before the journal ", i))); err != nil {
			t.Fatal(err)
		}
		s.journal.background.Wait()
	}
	if s.journal.active == nil {
		t.Fatal("the journal is not in use")
	}
	return s
}

// crash copies what a machine that lost its power would find: the journal, and
// of the blobs only what keep says.
func crash(t *testing.T, s *Store, keep func(path string) bool) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(rel, ".journal") && !keep(rel) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func putAll(t testing.TB, s *Store, from, to int) []blob.Ref {
	t.Helper()
	var refs []blob.Ref
	for i := from; i < to; i++ {
		info, err := s.Put(t.Context(), "acme", strings.NewReader(fmt.Sprint("journaled ", i)))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, info.Ref)
	}
	return refs
}

func TestJournal_RestoresAfterPowerLoss(t *testing.T) {
	s := journaled(t, t.TempDir(), Options{})
	acknowledged := putAll(t, s, 0, 30)
	// One lost, one empty, one whole: what delayed allocation leaves behind.
	dir := crash(t, s, func(path string) bool { return strings.HasSuffix(path, acknowledged[0].SHA256) })
	torn := filepath.Join(dir, "acme", acknowledged[1].SHA256[:2], acknowledged[1].SHA256)
	if err := os.MkdirAll(filepath.Dir(torn), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(torn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	after := open(t, dir, Options{boot: "another run of the kernel"})
	for i, ref := range acknowledged {
		b, err := os.ReadFile(after.path(ref))
		if err != nil || string(b) != fmt.Sprint("journaled ", i) {
			t.Errorf("blob %d: %q, %v", i, b, err)
		}
	}
	if after.journal.active == nil {
		t.Error("the journal is not in use after the restore")
	}
	putAll(t, after, 30, 40)
}

func TestJournal_IgnoresATornRecord(t *testing.T) {
	s := journaled(t, t.TempDir(), Options{})
	acknowledged := putAll(t, s, 0, 3)
	end := s.journal.active.written
	putAll(t, s, 3, 4)
	dir := crash(t, s, func(string) bool { return false })
	for i := range 2 {
		path := filepath.Join(dir, fmt.Sprintf(".journal-%d", i))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("torn"), end+recordHeader+4); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	after := open(t, dir, Options{boot: "another run of the kernel"})
	got := refs(t, after)
	for _, ref := range acknowledged {
		if _, err := after.Stat(t.Context(), ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	torn := digest.Of([]byte("journaled 3")).Hex(digest.SHA256)
	for _, name := range got {
		if name == torn {
			t.Error("the torn record was restored")
		}
	}
}

func TestJournal_NothingToRestoreAfterClose(t *testing.T) {
	dir := t.TempDir()
	s := journaled(t, dir, Options{})
	ref := putAll(t, s, 0, 1)[0]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.journal, s.lock = nil, nil
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	after := open(t, dir, Options{boot: "another run of the kernel"})
	if _, err := after.Stat(t.Context(), ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a deleted blob came back: %v", err)
	}
}

func TestJournal_SameBootRestoresNothingAndGoesOn(t *testing.T) {
	s := journaled(t, t.TempDir(), Options{})
	putAll(t, s, 0, 5)
	dir := crash(t, s, func(string) bool { return false })
	after := open(t, dir, Options{})
	if got := refs(t, after); len(got) != 0 {
		t.Errorf("restored %d blobs the kernel still has", len(got))
	}
	after.journal.background.Wait()
	putAll(t, after, 0, 5)
	if after.journal.active == nil || after.journal.active.written == segmentHeader {
		t.Error("the journal is not in use")
	}
}

func TestJournal_TurnsSegments(t *testing.T) {
	dir := t.TempDir()
	s := journaled(t, dir, Options{segmentSize: segmentHeader + 2048})
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 50 {
				if _, err := s.Put(t.Context(), "acme", strings.NewReader(fmt.Sprintf("%d of %d %s", i, w, strings.Repeat("x", 200)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s.journal.background.Wait()
	if got := len(refs(t, s)); got != 400+journalAfter+1 {
		t.Errorf("%d blobs", got)
	}
	if s.journal.generation < 6 {
		t.Errorf("only %d generations", s.journal.generation)
	}
	after := open(t, crash(t, s, func(path string) bool { return strings.HasPrefix(path, "acme") }), Options{boot: "another", segmentSize: segmentHeader + 2048})
	if diff := cmp.Diff(refs(t, s), refs(t, after)); diff != "" {
		t.Error(diff)
	}
}

func TestJournal_FailureFallsBackToFlushingFiles(t *testing.T) {
	s := journaled(t, t.TempDir(), Options{})
	broken := s.journal.active
	if err := broken.file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ref := range putAll(t, s, 0, 3) {
		if _, err := s.Stat(t.Context(), ref); err != nil {
			t.Error(err)
		}
	}
	if s.journal.active != nil {
		t.Error("the journal is still in use")
	}
	s.journal.segments = nil // its file is closed already
}

func TestJournal_SecondOwnerGoesWithout(t *testing.T) {
	dir := t.TempDir()
	journaled(t, dir, Options{})
	second := open(t, dir, Options{})
	if second.journal != nil {
		t.Error("two stores share one journal")
	}
	putAll(t, second, 0, 2)
}

func FuzzParseRecord(f *testing.F) {
	for _, text := range []string{"", "a", strings.Repeat("content", 100)} {
		ref := blob.Ref{Space: "acme", SHA256: digest.Of([]byte(text)).Hex(digest.SHA256)}
		record, err := makeRecord(nil, ref, strings.NewReader(text), int64(len(text)))
		if err != nil {
			f.Fatal(err)
		}
		seal(record, 7, recordHeader+4+int64(len(text)))
		f.Add(record, uint64(7))
	}
	f.Add([]byte("PHBR"), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, generation uint64) {
		ref, data, size := parseRecord(b, generation)
		if size == 0 {
			return
		}
		if size > int64(len(b)) || ref.Validate() != nil {
			t.Fatalf("record of %d bytes in %d for %s", size, len(b), ref)
		}
		again, err := makeRecord(nil, ref, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		seal(again, generation, recordHeader+int64(len(ref.Space)+len(data)))
		if !bytes.HasPrefix(again, b[:min(size, recordHeader+int64(len(ref.Space)+len(data)))]) {
			t.Fatal("record differs when encoded again")
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, mode := range []struct {
		name    string
		options Options
		size    int
	}{
		{"3KB/journal", Options{}, 3000},
		{"3KB/direct", Options{NoJournal: true}, 3000},
		{"50KB/journal", Options{}, 50_000},
		{"1MB", Options{}, 1 << 20},
	} {
		var s *Store
		if mode.options.NoJournal {
			s = open(b, b.TempDir(), mode.options)
		} else {
			s = journaled(b, b.TempDir(), mode.options)
		}
		var n atomic.Int64
		one := func(b *testing.B) {
			b.Helper()
			content := make([]byte, mode.size)
			copy(content, fmt.Sprint(n.Add(1)))
			if _, err := s.Put(b.Context(), "acme", bytes.NewReader(content)); err != nil {
				b.Error(err)
			}
		}
		b.Run(mode.name+"/1", func(b *testing.B) {
			b.SetBytes(int64(mode.size))
			for b.Loop() {
				one(b)
			}
		})
		b.Run(mode.name+"/8", func(b *testing.B) {
			b.SetBytes(int64(mode.size))
			b.SetParallelism(8 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one(b)
				}
			})
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	info, err := s.Put(b.Context(), "acme", strings.NewReader("x"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := s.Open(b.Context(), info.Ref)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
