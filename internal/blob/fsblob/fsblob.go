// Package fsblob keeps blobs as files in a folder.
//
// A blob is DIR/<space>/<first two hex digits>/<sha256>. Names that begin with a
// dot are the store's own and no space can have one: .spool holds what is being
// written, .journal-0 and .journal-1 make small puts durable with one cheap
// flush (see journal.go), .lock tells who owns the journal.
//
// Bytes reach the disk, or the journal on it, before their name appears, and
// Open puts back what only the journal kept: a visible blob is whole whatever
// happened to the machine. One process should own a folder; a second
// one on the same folder works without journal, only slower.
package fsblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"packhouse/internal/blob"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

const (
	spoolFolder  = ".spool"
	lockFile     = ".lock"
	folderMode   = 0o700
	fileMode     = 0o600
	defaultGrace = time.Hour
	stripes      = 512
)

// Options are those of a store; the zero value is usable.
type Options struct {
	Limits blob.Limits
	// Grace is how old a spool left behind by a dead process must be for Open
	// to remove it; an hour if 0. A spool in use is touched by every write.
	Grace time.Duration
	// NoJournal makes every put flush its own file and folder.
	NoJournal bool
	// Log gets what no caller can be told; slog.Default if nil.
	Log *slog.Logger

	boot        string // names this run of the kernel; tests restart it
	segmentSize int64  // bytes of a journal segment; tests fill it
}

// Store is a blob.Store in a folder.
type Store struct {
	dir     string
	options Options
	lock    *os.File // nil when another process has it
	journal *journal // nil without lock or when switched off

	made    sync.Map            // folder of blobs -> struct{}: it exists
	durable sync.Map            // folder of blobs -> struct{}: it and its space outlive a crash
	flushed sync.Map            // blob.Ref -> struct{}: blobs made durable lately, see remember
	naming  [stripes]sync.Mutex // guards the name of a blob: renew, rename, remove
	spools  atomic.Uint64

	flushedCount atomic.Int32 // entries of flushed, about
	process      string
	// create makes spool files; tests put a full disk here.
	create func(path string) (*os.File, error)
}

// Open uses dir, creating it with mode 0700, restores what a crash of the
// machine kept only in the journal and removes spools older than the grace.
func Open(ctx context.Context, dir string, options Options) (*Store, error) {
	if options.Grace <= 0 {
		options.Grace = defaultGrace
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	if options.boot == "" {
		options.boot = bootID()
	}
	if options.segmentSize == 0 {
		options.segmentSize = journalSegment
	}
	s := &Store{dir: dir, options: options, process: fmt.Sprintf("%d-%x", os.Getpid(), time.Now().UnixNano())}
	s.create = func(path string) (*os.File, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	}
	if err := os.MkdirAll(filepath.Join(dir, spoolFolder), folderMode); err != nil {
		return nil, classify("create the blob folder", err)
	}
	if !options.NoJournal {
		if err := s.openJournal(); err != nil {
			return nil, err
		}
	}
	if _, err := s.SweepSpools(ctx, time.Now().Add(-options.Grace)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openJournal() error {
	var err error
	if s.lock, err = lockFolder(filepath.Join(s.dir, lockFile)); err != nil {
		s.options.Log.Warn("blob journal is off: the folder is in use by another process", slog.String("folder", s.dir), slog.Any("error", err))
		return nil
	}
	if s.lock == nil {
		return nil
	}
	if s.journal, err = openJournal(s.dir, s.options, s.restore); err != nil {
		return errors.Join(classify("restore blobs from the journal", err), s.lock.Close())
	}
	return nil
}

// Close flushes the journal and gives the folder free. Puts and open writers
// must have ended.
func (s *Store) Close() error {
	var err error
	if s.journal != nil {
		err = s.journal.close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Check tells whether the store can take bytes now, for readiness.
func (s *Store) Check(context.Context) error {
	path := s.spoolPath()
	f, err := s.create(path)
	if err != nil {
		return classify("create a spool", err)
	}
	_, err = f.WriteString("writable?")
	if err := errors.Join(err, f.Close(), os.Remove(path)); err != nil {
		return classify("write a spool", err)
	}
	return nil
}

// path is where a valid reference lives.
func (s *Store) path(ref blob.Ref) string {
	return filepath.Join(s.dir, ref.Space, ref.SHA256[:2], ref.SHA256)
}

func (s *Store) spoolPath() string {
	return filepath.Join(s.dir, spoolFolder, fmt.Sprintf("%s-%d", s.process, s.spools.Add(1)))
}

// name locks the name of ref: whether it is there must not change between
// looking and acting.
func (s *Store) name(ref blob.Ref) *sync.Mutex {
	var h uint32 = 2166136261 // FNV-1a
	for _, c := range []byte(ref.SHA256[:8]) {
		h = (h ^ uint32(c)) * 16777619
	}
	return &s.naming[h%stripes]
}

// Put implements blob.Store. A small content that is there already costs no
// file.
func (s *Store) Put(ctx context.Context, space string, r io.Reader) (blob.Info, error) {
	if err := blob.ValidateSpace(space); err != nil {
		return blob.Info{}, err
	}
	buf := smallPuts.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer smallPuts.Put(buf)
	head, err := readHead(blob.UntilDone(ctx, r), *buf)
	if err == io.EOF { //nolint:errorlint // a reader returns it bare
		if info, ok := s.again(space, head); ok {
			return info, ctx.Err()
		}
		r = bytes.NewReader(nil)
	} else if err != nil {
		return blob.Info{}, fmt.Errorf("put blob: %w", err)
	}
	w, err := s.Begin(ctx, space)
	if err != nil {
		return blob.Info{}, err
	}
	return blob.PutAll(ctx, w, io.MultiReader(bytes.NewReader(head), r))
}

// readHead fills buf as far as r goes; io.EOF says that this was all. Unlike
// io.ReadFull it does not mix that up with a body that was broken off, which
// readers of HTTP bodies and of their parts call io.ErrUnexpectedEOF.
func readHead(r io.Reader, buf []byte) (head []byte, err error) {
	n := 0
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return buf[:n], err
}

var smallPuts = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool is shared by nature
	b := make([]byte, journalBlobMost)
	return &b
}}

// again renews a content that is known to be here and durable.
func (s *Store) again(space string, content []byte) (blob.Info, bool) {
	digests := digest.Of(content)
	ref := blob.Ref{Space: space, SHA256: digests.Hex(digest.SHA256)}
	if _, ok := s.flushed.Load(ref); !ok || s.options.Limits.MaxBytes > 0 && int64(len(content)) > s.options.Limits.MaxBytes {
		return blob.Info{}, false
	}
	modified, ok := s.renew(ref, int64(len(content)))
	return blob.Info{Ref: ref, Size: int64(len(content)), Digests: digests, Modified: modified}, ok
}

// maxFlushed bounds the names remembered as durable, about 200 bytes each.
const maxFlushed = 4096

// remember notes that a blob and its name are durable.
func (s *Store) remember(ref blob.Ref) {
	if s.flushedCount.Add(1) > maxFlushed {
		s.flushed.Clear()
		s.flushedCount.Store(0)
	}
	s.flushed.Store(ref, struct{}{})
}

// Begin implements blob.Store.
func (s *Store) Begin(ctx context.Context, space string) (*blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := blob.ValidateSpace(space); err != nil {
		return nil, err
	}
	path := s.spoolPath()
	f, err := s.create(path)
	if err != nil {
		return nil, classify("create a spool", err)
	}
	return blob.NewWriter(space, &spool{store: s, file: f, path: path}, s.options.Limits), nil
}

// Open implements blob.Store. The Reader is an *os.File underneath: it is a
// blob.Filer and a syscall.Conn, so http.ServeContent sends it with sendfile.
func (s *Store) Open(ctx context.Context, ref blob.Ref) (blob.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(ref))
	if err != nil {
		return nil, missing("open blob", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(classify("open blob", err), f.Close())
	}
	return &file{osFile: f, size: info.Size()}, nil
}

// file is a blob that is open; the alias keeps the method File free.
type file struct {
	osFile
	size int64
}

type osFile = *os.File

func (f *file) Size() int64    { return f.size }
func (f *file) File() *os.File { return f.osFile }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, ref blob.Ref) (blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return blob.Info{}, context.Cause(ctx)
	}
	if err := ref.Validate(); err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(s.path(ref))
	if err != nil {
		return blob.Info{}, missing("stat blob", err)
	}
	return describe(ref, info)
}

func describe(ref blob.Ref, info fs.FileInfo) (blob.Info, error) {
	digests, err := digest.FromHex("", "", ref.SHA256, "")
	return blob.Info{Ref: ref, Size: info.Size(), Digests: digests, Modified: info.ModTime()}, err
}

// Delete implements blob.Store. It is not flushed: after a crash of the machine
// the blob may be back, and the sweep finds it again.
func (s *Store) Delete(ctx context.Context, ref blob.Ref) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := ref.Validate(); err != nil {
		return err
	}
	name := s.name(ref)
	name.Lock()
	defer name.Unlock()
	s.flushed.Delete(ref)
	return missing("delete blob", os.Remove(s.path(ref)))
}

// Expire implements blob.Store.
func (s *Store) Expire(ctx context.Context, ref blob.Ref, before time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	if err := ref.Validate(); err != nil {
		return false, err
	}
	name := s.name(ref)
	name.Lock()
	defer name.Unlock()
	info, err := os.Lstat(s.path(ref))
	if err != nil {
		return false, missing("stat blob", err)
	}
	if !info.ModTime().Before(before) {
		return false, nil
	}
	s.flushed.Delete(ref)
	if err := os.Remove(s.path(ref)); err != nil {
		return false, missing("delete blob", err)
	}
	return true, nil
}

// All implements blob.Store.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		spaces, err := os.ReadDir(s.dir)
		if err != nil {
			yield(blob.Info{}, classify("list spaces", err))
			return
		}
		for _, space := range spaces {
			if space.IsDir() && blob.ValidateSpace(space.Name()) == nil && !s.allOf(ctx, space.Name(), yield) {
				return
			}
		}
	}
}

// allOf lists one space and tells whether to go on.
func (s *Store) allOf(ctx context.Context, space string, yield func(blob.Info, error) bool) bool {
	for i := range 256 {
		if ctx.Err() != nil {
			yield(blob.Info{}, context.Cause(ctx))
			return false
		}
		entries, err := os.ReadDir(filepath.Join(s.dir, space, fmt.Sprintf("%02x", i)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(blob.Info{}, classify("list blobs", err))
			return false
		}
		for _, entry := range entries {
			ref := blob.Ref{Space: space, SHA256: entry.Name()}
			if ref.Validate() != nil {
				continue
			}
			stat, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				yield(blob.Info{}, classify("list blobs", err))
				return false
			}
			info, err := describe(ref, stat)
			if !yield(info, err) || err != nil {
				return false
			}
		}
	}
	return true
}

// SweepSpools removes spools not written to since before, left by processes
// that died, and tells how many.
func (s *Store) SweepSpools(ctx context.Context, before time.Time) (int, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, spoolFolder))
	if err != nil {
		return 0, classify("list spools", err)
	}
	removed := 0
	for _, entry := range entries {
		if ctx.Err() != nil {
			return removed, context.Cause(ctx)
		}
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue // gone meanwhile, or young
		}
		if err := os.Remove(filepath.Join(s.dir, spoolFolder, entry.Name())); err == nil {
			removed++
		}
	}
	return removed, nil
}

// makeFolder makes the folder of a blob on first use; flushFolder makes it
// durable.
func (s *Store) makeFolder(ref blob.Ref) error {
	folder := filepath.Dir(s.path(ref))
	if _, ok := s.made.Load(folder); ok {
		return nil
	}
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return err
	}
	s.made.Store(folder, struct{}{})
	return nil
}

// flushFolder makes the names in the folder of a blob durable, and once in the
// life of the process its own name and that of its space.
func (s *Store) flushFolder(ref blob.Ref) error {
	folder := filepath.Dir(s.path(ref))
	if err := syncFolder(folder); err != nil {
		return err
	}
	if _, ok := s.durable.Load(folder); ok {
		return nil
	}
	if err := errors.Join(syncFolder(filepath.Dir(folder)), syncFolder(s.dir)); err != nil {
		return err
	}
	s.durable.Store(folder, struct{}{})
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// missing classifies the error of an operation on one blob.
func missing(doing string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return blob.ErrNotFound
	}
	return classify(doing, err)
}

// classify says what a client may know of an error of the disk.
func classify(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", doing, err), "the disk of the package store is full")
	case errors.Is(err, syscall.EROFS):
		return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", doing, err), "the disk of the package store is read-only")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", doing, err), "too many files are open")
	}
	return fmt.Errorf("%s: %w", doing, err)
}
