package fsblob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"packhouse/internal/blob"
)

// writebackStep is after how many bytes of a large spool the kernel is asked to
// begin writing them, so that the flush at the end finds little left to do.
const writebackStep = 8 << 20

// spool is the file of one blob.Writer.
type spool struct {
	store *Store
	file  *os.File
	size  int64
	begun int64 // up to where writeback was asked for

	mu   sync.Mutex
	path string // where the bytes are; changes when they are committed
}

func (p *spool) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	if p.size-p.begun >= writebackStep {
		startWriteback(p.file, p.begun, p.size-p.begun)
		p.begun = p.size
	}
	if err != nil {
		err = classify("write a spool", err)
	}
	return n, err
}

// Reader opens the file once more, for a position of its own and sendfile.
func (p *spool) Reader() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrAborted // not ErrNotFound: nobody has said that there is no such content
	}
	if err != nil {
		return nil, classify("read a spool", err)
	}
	return f, nil
}

func (p *spool) Discard() {
	_ = p.file.Close()
	_ = os.Remove(p.path)
}

func (p *spool) Commit(_ context.Context, info blob.Info) (blob.Info, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	modified, err := p.store.commit(p.file, p.path, info.Ref, info.Size)
	if err != nil {
		p.Discard()
		return blob.Info{}, classify("commit blob", err)
	}
	p.store.remember(info.Ref)
	_ = p.file.Close()
	p.path = p.store.path(info.Ref)
	info.Modified = modified
	return info, nil
}

// commit gives the spool f at path its name, durably, and tells its time.
func (s *Store) commit(f *os.File, path string, ref blob.Ref, size int64) (time.Time, error) {
	if modified, ok := s.renew(ref, size); ok {
		if _, ok := s.flushed.Load(ref); ok {
			return modified, os.Remove(path)
		}
		// The one who made it may still be flushing the folder, or have died before.
		return modified, errors.Join(os.Remove(path), s.flushFolder(ref))
	}
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	if s.journal != nil {
		if entry := s.journal.append(ref, f, size); entry != nil {
			defer entry.done()
			if entry.flush() == nil {
				return info.ModTime(), s.rename(path, ref)
			}
		}
	}
	if err := f.Sync(); err != nil {
		return time.Time{}, err
	}
	if err := s.rename(path, ref); err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), s.flushFolder(ref)
}

// renew tells whether the blob is there already and makes it young again. One
// of another size is damaged and gets replaced.
func (s *Store) renew(ref blob.Ref, size int64) (time.Time, bool) {
	name := s.name(ref)
	name.Lock()
	defer name.Unlock()
	path := s.path(ref)
	info, err := os.Lstat(path)
	if err != nil || info.Size() != size {
		return time.Time{}, false
	}
	now := time.Now()
	return now, os.Chtimes(path, now, now) == nil
}

func (s *Store) rename(path string, ref blob.Ref) error {
	if err := s.makeFolder(ref); err != nil {
		return err
	}
	name := s.name(ref)
	name.Lock()
	defer name.Unlock()
	err := os.Rename(path, s.path(ref))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Somebody tidied up an empty folder.
	folder := filepath.Dir(s.path(ref))
	s.made.Delete(folder)
	s.durable.Delete(folder)
	if err := s.makeFolder(ref); err != nil {
		return err
	}
	return os.Rename(path, s.path(ref))
}

// restore puts a blob from the journal in its place unless it is there and
// whole, and tells nobody of its age: it becomes new.
func (s *Store) restore(ref blob.Ref, data []byte) error {
	path := s.path(ref)
	if kept, err := os.ReadFile(path); err == nil && bytes.Equal(kept, data) {
		return nil
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != ref.SHA256 {
		return nil // never acknowledged like this
	}
	spoolPath := s.spoolPath()
	f, err := s.create(spoolPath)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close(), os.MkdirAll(filepath.Dir(path), folderMode)); err != nil {
		return errors.Join(err, os.Remove(spoolPath))
	}
	return os.Rename(spoolPath, path)
}
