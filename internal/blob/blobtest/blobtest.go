// Package blobtest is what every blob.Store must do. An adapter's test is one
// call of Run.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/blob"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

const space = "acme"

// Run checks the stores that open makes, each empty and with the given limits.
func Run(t *testing.T, open func(t *testing.T, limits blob.Limits) blob.Store) {
	t.Helper()
	tests := []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"Put_ThenOpenGivesTheBytes", testPut},
		{"Put_EmptyContent", testEmpty},
		{"Put_SameContentAgainIsOneBlobMadeYoung", testIdempotent},
		{"Put_ConcurrentSameContent", testConcurrentSame},
		{"Put_ConcurrentManyContents", testConcurrentMany},
		{"Put_FailingReaderLeavesNothing", testFailingReader},
		{"Put_EndsWithItsContext", testPutCancelled},
		{"Put_BigContentInConstantMemory", testBig},
		{"Space_SeparatesEqualBytes", testSpaces},
		{"Ref_MalformedIsInvalid", testMalformed},
		{"Missing_IsNotFound", testMissing},
		{"Open_SeekAndReadAt", testRanges},
		{"Delete_WhileOpen", testDeleteWhileOpen},
		{"Expire_OnlyWhatIsOld", testExpire},
		{"All_StopsWhenAsked", testAllStops},
		{"Writer_InvisibleUntilCommit", testInvisible},
		{"Writer_FollowersReadWhileItGrows", testFollow},
		{"Writer_HoldsBackTheEnd", testHoldBack},
		{"Writer_ReleaseShowsTheEndBeforeCommit", testRelease},
		{"Writer_AbortFailsFollowers", testAbort},
		{"Writer_AbortLeavesNothing", testAbortLeavesNothing},
		{"Writer_FollowerAfterCommit", testFollowAfterCommit},
		{"Writer_FollowerOfExistingContent", testFollowExisting},
		{"Writer_FollowerCancelled", testFollowerCancelled},
		{"Writer_FollowerClosedWhileItWaits", testFollowerClosed},
		{"Writer_EndsOnce", testEndsOnce},
		{"Writer_CommitAfterCancelLeavesNothing", testCommitCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t, blob.Limits{})) })
	}
	t.Run("Limits_TooLarge", func(t *testing.T) { testTooLarge(t, open(t, blob.Limits{MaxBytes: 1000})) })
	t.Run("Limits_HoldBackOfOwn", func(t *testing.T) { testOwnHoldBack(t, open(t, blob.Limits{HoldBack: 3})) })
}

func put(t *testing.T, s blob.Store, space, text string) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), space, strings.NewReader(text))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return info
}

func begin(t *testing.T, s blob.Store) *blob.Writer {
	t.Helper()
	w, err := s.Begin(t.Context(), space)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() { w.Abort(nil) })
	return w
}

func write(t *testing.T, w *blob.Writer, b []byte) {
	t.Helper()
	if n, err := w.Write(b); err != nil || n != len(b) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func commit(t *testing.T, w *blob.Writer) blob.Info {
	t.Helper()
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return info
}

func follow(ctx context.Context, t *testing.T, w *blob.Writer) *blob.Follower {
	t.Helper()
	f, err := w.NewReader(ctx)
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func read(t *testing.T, s blob.Store, ref blob.Ref) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatalf("open %s: %v", ref, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if r.Size() != int64(len(b)) {
		t.Errorf("size %d, read %d", r.Size(), len(b))
	}
	return b
}

// names lists what All yields, as a set.
func names(t *testing.T, s blob.Store) map[blob.Ref]int64 {
	t.Helper()
	all := map[blob.Ref]int64{}
	for info, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatalf("all: %v", err)
		}
		if _, twice := all[info.Ref]; twice {
			t.Errorf("%s is listed twice", info.Ref)
		}
		all[info.Ref] = info.Size
	}
	return all
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func testPut(t *testing.T, s blob.Store) {
	info := put(t, s, space, "hello")
	want := blob.Info{
		Ref:      blob.Ref{Space: space, SHA256: digest.Of([]byte("hello")).Hex(digest.SHA256)},
		Size:     5,
		Digests:  digest.Of([]byte("hello")),
		Modified: info.Modified,
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Error(diff)
	}
	if info.Modified.IsZero() {
		t.Error("no time")
	}
	if got := read(t, s, info.Ref); string(got) != "hello" {
		t.Errorf("read %q", got)
	}
	stat, err := s.Stat(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	want.Digests = digest.Set{SHA256: want.Digests.SHA256}
	if diff := cmp.Diff(want, stat); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[blob.Ref]int64{info.Ref: 5}, names(t, s)); diff != "" {
		t.Error(diff)
	}
}

func testEmpty(t *testing.T, s blob.Store) {
	info := put(t, s, space, "")
	if got := read(t, s, info.Ref); len(got) != 0 || info.Size != 0 {
		t.Errorf("read %q, size %d", got, info.Size)
	}
}

func testIdempotent(t *testing.T, s blob.Store) {
	first := put(t, s, space, "twice")
	second := put(t, s, space, "twice")
	if first.Ref != second.Ref || first.Digests != second.Digests {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if second.Modified.Before(first.Modified) {
		t.Errorf("put again at %v, before %v", second.Modified, first.Modified)
	}
	if got := names(t, s); len(got) != 1 {
		t.Errorf("%d blobs", len(got))
	}
}

func testConcurrentSame(t *testing.T, s blob.Store) {
	content := random(t, 300_000)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			info, err := s.Put(t.Context(), space, bytes.NewReader(content))
			if err != nil {
				t.Errorf("put: %v", err)
				return
			}
			r, err := s.Open(t.Context(), info.Ref)
			if err != nil {
				t.Errorf("open right after put: %v", err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
	if got := names(t, s); len(got) != 1 {
		t.Errorf("%d blobs", len(got))
	}
}

func testConcurrentMany(t *testing.T, s blob.Store) {
	const writers, each = 8, 40
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				text := fmt.Sprintf("content %d of writer %d", i, w)
				info, err := s.Put(t.Context(), space, strings.NewReader(text))
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if want := digest.Of([]byte(text)); info.Digests != want {
					t.Errorf("digests of %q are others", text)
				}
			}
		})
	}
	group.Wait()
	all := names(t, s)
	if len(all) != writers*each {
		t.Errorf("%d blobs, want %d", len(all), writers*each)
	}
	for ref := range all {
		if got := digest.Of(read(t, s, ref)).Hex(digest.SHA256); got != ref.SHA256 {
			t.Errorf("%s holds %s", ref, got)
		}
	}
}

var errBroken = errors.New("broken pipe of the test")

func testFailingReader(t *testing.T, s blob.Store) {
	// The second is how the body of a request ends whose client has left.
	for _, broken := range []error{errBroken, io.ErrUnexpectedEOF, fmt.Errorf("more: %w", io.ErrUnexpectedEOF), fmt.Errorf("more: %w", io.EOF)} {
		r := io.MultiReader(strings.NewReader("half of it"), errReader{broken})
		if _, err := s.Put(t.Context(), space, r); !errors.Is(err, broken) {
			t.Errorf("put: %v, want the reader's error %v", err, broken)
		}
	}
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func testPutCancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("first"), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), strings.NewReader("never"))
	if _, err := s.Put(ctx, space, r); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want canceled", err)
	}
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testBig(t *testing.T, s blob.Store) {
	const size = 24 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	info, err := s.Put(t.Context(), space, io.LimitReader(pattern{}, size))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	r, err := s.Open(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := digest.NewHasher(digest.SHA256)
	if _, err := io.Copy(h, r); err != nil || h.Sum().Hex(digest.SHA256) != info.Ref.SHA256 || info.Size != size {
		t.Errorf("read back %d bytes, %v", h.Written(), err)
	}
	if _, onDisk := r.(blob.Filer); onDisk {
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("allocated %d bytes for %d", grown, size)
		}
	}
}

// pattern is an endless stream that differs in every block.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

func testSpaces(t *testing.T, s blob.Store) {
	one, two := put(t, s, "one", "same"), put(t, s, "two-2", "same")
	if len(names(t, s)) != 2 {
		t.Errorf("%v", names(t, s))
	}
	if err := s.Delete(t.Context(), one.Ref); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), one.Ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat of the deleted one: %v", err)
	}
	if got := read(t, s, two.Ref); string(got) != "same" {
		t.Errorf("the other space reads %q", got)
	}
}

func testMalformed(t *testing.T, s blob.Store) {
	good := put(t, s, space, "good").Ref
	for _, bad := range []string{"", ".", "..", "a/b", "../" + space, "A", "a_b", ".spool", "a\x00", strings.Repeat("a", 65), "ä"} {
		if _, err := s.Put(t.Context(), bad, strings.NewReader("x")); !fault.Is(err, fault.Invalid) {
			t.Errorf("put into space %q: %v", bad, err)
		}
		if _, err := s.Open(t.Context(), blob.Ref{Space: bad, SHA256: good.SHA256}); !fault.Is(err, fault.Invalid) {
			t.Errorf("open in space %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "..", strings.ToUpper(good.SHA256), good.SHA256[1:], good.SHA256 + "0", strings.Repeat("../", 21) + "0", strings.Repeat("g", 64)} {
		ref := blob.Ref{Space: space, SHA256: bad}
		_, openErr := s.Open(t.Context(), ref)
		_, statErr := s.Stat(t.Context(), ref)
		_, expireErr := s.Expire(t.Context(), ref, time.Now())
		for _, err := range []error{openErr, statErr, expireErr, s.Delete(t.Context(), ref)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("name %q: %v", bad, err)
			}
		}
	}
}

func testMissing(t *testing.T, s blob.Store) {
	ref := blob.Ref{Space: space, SHA256: strings.Repeat("0", 64)}
	_, openErr := s.Open(t.Context(), ref)
	_, statErr := s.Stat(t.Context(), ref)
	_, expireErr := s.Expire(t.Context(), ref, time.Now())
	for _, err := range []error{openErr, statErr, expireErr, s.Delete(t.Context(), ref)} {
		if !errors.Is(err, blob.ErrNotFound) || !fault.Is(err, fault.NotFound) {
			t.Errorf("missing blob: %v", err)
		}
	}
}

func testRanges(t *testing.T, s blob.Store) {
	r, err := s.Open(t.Context(), put(t, s, space, "0123456789").Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if end, err := r.Seek(-3, io.SeekEnd); err != nil || end != 7 {
		t.Fatalf("seek: %d, %v", end, err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "789" {
		t.Errorf("tail %q, %v", got, err)
	}
	b := make([]byte, 4)
	if _, err := r.ReadAt(b, 2); err != nil || string(b) != "2345" {
		t.Errorf("middle %q, %v", b, err)
	}
	if n, err := r.ReadAt(b, 8); n != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %d, %v", n, err)
	}
}

func testDeleteWhileOpen(t *testing.T, s blob.Store) {
	info := put(t, s, space, "still readable")
	r, err := s.Open(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Delete(t.Context(), info.Ref); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "still readable" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := s.Open(t.Context(), info.Ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	put(t, s, space, "still readable")
	if got := read(t, s, info.Ref); string(got) != "still readable" {
		t.Errorf("put again reads %q", got)
	}
}

func testExpire(t *testing.T, s blob.Store) {
	info := put(t, s, space, "old")
	gone, err := s.Expire(t.Context(), info.Ref, info.Modified.Add(-time.Hour))
	if err != nil || gone {
		t.Errorf("young blob: %v, %v", gone, err)
	}
	// Put again after the sweep looked: what the sweep saw is no longer true.
	seen := info.Modified
	again := put(t, s, space, "old")
	if again.Modified.After(seen) {
		if gone, err := s.Expire(t.Context(), info.Ref, again.Modified); err != nil || gone {
			t.Errorf("blob put again: %v, %v", gone, err)
		}
	}
	if gone, err := s.Expire(t.Context(), info.Ref, again.Modified.Add(time.Hour)); err != nil || !gone {
		t.Errorf("old blob: %v, %v", gone, err)
	}
	if len(names(t, s)) != 0 {
		t.Error("it is still there")
	}
}

func testAllStops(t *testing.T, s blob.Store) {
	for i := range 20 {
		put(t, s, fmt.Sprintf("space-%d", i%3), fmt.Sprint(i))
	}
	if got := names(t, s); len(got) != 20 {
		t.Errorf("%d blobs", len(got))
	}
	seen := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 5 {
			break
		}
	}
	if seen != 5 {
		t.Errorf("saw %d", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.All(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("all under a cancelled context: %v", err)
		}
	}
}

func testInvisible(t *testing.T, s blob.Store) {
	w := begin(t, s)
	write(t, w, []byte("not yet"))
	if got := names(t, s); len(got) != 0 {
		t.Errorf("visible: %v", got)
	}
	ref := blob.Ref{Space: space, SHA256: w.Digests().Hex(digest.SHA256)}
	if _, err := s.Open(t.Context(), ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	if info := commit(t, w); info.Ref != ref || info.Digests != digest.Of([]byte("not yet")) {
		t.Errorf("committed %+v", info)
	}
	if got := read(t, s, ref); string(got) != "not yet" {
		t.Errorf("read %q", got)
	}
}

func testFollow(t *testing.T, s blob.Store) {
	content := random(t, 1<<20)
	w := begin(t, s)
	var group sync.WaitGroup
	for i := range 8 {
		// Half of them begin before the first byte, half in the middle; half
		// read, half are written out.
		if i == 4 {
			write(t, w, content[:500_000])
		}
		f := follow(t.Context(), t, w)
		group.Go(func() {
			var got bytes.Buffer
			var err error
			if i%2 == 0 {
				_, err = f.WriteTo(&got)
			} else {
				_, err = io.Copy(&got, struct{ io.Reader }{f})
			}
			if err != nil || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("follower %d got %d bytes, %v", i, got.Len(), err)
			}
		})
	}
	for off := 500_000; off < len(content); off += 10_000 {
		write(t, w, content[off:min(off+10_000, len(content))])
	}
	commit(t, w)
	group.Wait()
}

// readExactly reads n bytes, which must come without a commit.
func readExactly(t *testing.T, f *blob.Follower, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(f, b); err != nil {
		t.Fatalf("read %d of %d: %v", got, n, err)
	}
	return b
}

func testHoldBack(t *testing.T, s blob.Store) {
	content := random(t, blob.DefaultHoldBack+100)
	w := begin(t, s)
	f := follow(t.Context(), t, w)
	write(t, w, content)
	if got := readExactly(t, f, 100); !bytes.Equal(got, content[:100]) {
		t.Error("the first bytes are others")
	}
	more := make(chan []byte)
	go func() {
		b, err := io.ReadAll(f)
		if err != nil {
			t.Errorf("read the rest: %v", err)
		}
		more <- b
	}()
	select {
	case <-more:
		t.Fatal("the end came before the commit")
	case <-time.After(20 * time.Millisecond): // a blocked reader can only be seen by waiting
	}
	commit(t, w)
	if got := <-more; !bytes.Equal(got, content[100:]) {
		t.Errorf("the rest has %d bytes", len(got))
	}
}

func testOwnHoldBack(t *testing.T, s blob.Store) {
	w := begin(t, s)
	f := follow(t.Context(), t, w)
	write(t, w, []byte("abcdef"))
	if got := readExactly(t, f, 3); string(got) != "abc" {
		t.Errorf("read %q", got)
	}
	write(t, w, []byte("g"))
	write(t, w, []byte("h"))
	if got := readExactly(t, f, 2); string(got) != "de" {
		t.Errorf("read %q", got)
	}
	w.Abort(errBroken)
	if b, err := io.ReadAll(f); len(b) != 0 || !errors.Is(err, errBroken) {
		t.Errorf("after the abort %q, %v", b, err)
	}
}

func testRelease(t *testing.T, s blob.Store) {
	w := begin(t, s)
	f := follow(t.Context(), t, w)
	write(t, w, []byte("verified"))
	w.Release()
	if got, err := io.ReadAll(f); err != nil || string(got) != "verified" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("a released content took more bytes")
	}
	if got := names(t, s); len(got) != 0 {
		t.Errorf("visible before commit: %v", got)
	}
	if got := read(t, s, commit(t, w).Ref); string(got) != "verified" {
		t.Errorf("read %q", got)
	}
}

func testAbort(t *testing.T, s blob.Store) {
	content := random(t, 200_000)
	w := begin(t, s)
	waiting, reading := follow(t.Context(), t, w), follow(t.Context(), t, w)
	write(t, w, content)
	readExactly(t, reading, 10)
	done := make(chan error)
	go func() {
		n, err := io.Copy(io.Discard, waiting)
		if n > int64(len(content)-blob.DefaultHoldBack) {
			t.Errorf("a follower got %d of %d bytes", n, len(content))
		}
		done <- err
	}()
	w.Abort(errBroken)
	if err := <-done; !errors.Is(err, errBroken) {
		t.Errorf("waiting follower: %v", err)
	}
	if _, err := reading.Read(make([]byte, 10)); !errors.Is(err, errBroken) {
		t.Errorf("reading follower: %v", err)
	}
	if _, err := w.NewReader(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("new follower: %v", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, errBroken) {
		t.Errorf("write: %v", err)
	}
	if _, err := w.Commit(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("commit: %v", err)
	}
}

func testAbortLeavesNothing(t *testing.T, s blob.Store) {
	w := begin(t, s)
	write(t, w, []byte("never seen"))
	w.Abort(nil)
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left %v", got)
	}
	if _, err := w.Commit(t.Context()); !errors.Is(err, blob.ErrAborted) {
		t.Errorf("commit: %v", err)
	}
}

func testFollowAfterCommit(t *testing.T, s blob.Store) {
	w := begin(t, s)
	write(t, w, []byte("whole"))
	early := follow(t.Context(), t, w)
	commit(t, w)
	late := follow(t.Context(), t, w)
	for _, f := range []*blob.Follower{early, late} {
		if got, err := io.ReadAll(f); err != nil || string(got) != "whole" {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

func testFollowExisting(t *testing.T, s blob.Store) {
	put(t, s, space, "there already")
	w := begin(t, s)
	early := follow(t.Context(), t, w)
	write(t, w, []byte("there already"))
	commit(t, w)
	late := follow(t.Context(), t, w)
	for _, f := range []*blob.Follower{early, late} {
		if got, err := io.ReadAll(f); err != nil || string(got) != "there already" {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

func testFollowerCancelled(t *testing.T, s blob.Store) {
	w := begin(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	leaving, staying := follow(ctx, t, w), follow(t.Context(), t, w)
	done := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, leaving)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled follower: %v", err)
	}
	write(t, w, []byte("goes on"))
	commit(t, w)
	if got, err := io.ReadAll(staying); err != nil || string(got) != "goes on" {
		t.Errorf("the other one: %q, %v", got, err)
	}
}

func testFollowerClosed(t *testing.T, s blob.Store) {
	w := begin(t, s)
	f := follow(t.Context(), t, w)
	done := make(chan error)
	go func() {
		_, err := f.Read(make([]byte, 1))
		done <- err
	}()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("closed follower: %v", err)
	}
}

func testEndsOnce(t *testing.T, s blob.Store) {
	w := begin(t, s)
	write(t, w, []byte("once"))
	info := commit(t, w)
	w.Abort(errBroken)
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("wrote after the commit")
	}
	if got := read(t, s, info.Ref); string(got) != "once" {
		t.Errorf("read %q", got)
	}
}

func testCommitCancelled(t *testing.T, s blob.Store) {
	w := begin(t, s)
	f := follow(t.Context(), t, w)
	write(t, w, []byte("too late"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if _, err := io.ReadAll(f); !errors.Is(err, context.Canceled) {
		t.Errorf("follower: %v", err)
	}
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

func testTooLarge(t *testing.T, s blob.Store) {
	put(t, s, space, strings.Repeat("x", 1000))
	_, err := s.Put(t.Context(), space, strings.NewReader(strings.Repeat("y", 1001)))
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("put: %v", err)
	}
	if got := names(t, s); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}
