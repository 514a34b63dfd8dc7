// Package memblob keeps blobs in memory, for tests of everything above the
// store and for a server that shall leave nothing behind.
package memblob

import (
	"bytes"
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"packhouse/internal/blob"
	"packhouse/internal/digest"
)

// Store is a blob.Store in memory.
type Store struct {
	// Now tells the time; time.Now if nil. Set before first use.
	Now func() time.Time

	limits blob.Limits
	mu     sync.RWMutex
	blobs  map[blob.Ref]content
	aside  []content // nobody asks for them
}

type content struct {
	data     []byte
	modified time.Time
}

// New makes an empty store.
func New(limits blob.Limits) *Store {
	return &Store{limits: limits, blobs: map[blob.Ref]content{}}
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, space string, r io.Reader) (blob.Info, error) {
	w, err := s.Begin(ctx, space)
	if err != nil {
		return blob.Info{}, err
	}
	return blob.PutAll(ctx, w, r)
}

// Begin implements blob.Store.
func (s *Store) Begin(ctx context.Context, space string) (*blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := blob.ValidateSpace(space); err != nil {
		return nil, err
	}
	return blob.NewWriter(space, &spool{store: s}, s.limits), nil
}

func (s *Store) find(ctx context.Context, ref blob.Ref) (content, error) {
	if err := ctx.Err(); err != nil {
		return content{}, err
	}
	if err := ref.Validate(); err != nil {
		return content{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.blobs[ref]
	if !ok {
		return content{}, blob.ErrNotFound
	}
	return c, nil
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, ref blob.Ref) (blob.Reader, error) {
	c, err := s.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(c.data)}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, ref blob.Ref) (blob.Info, error) {
	c, err := s.find(ctx, ref)
	if err != nil {
		return blob.Info{}, err
	}
	return c.info(ref)
}

func (c content) info(ref blob.Ref) (blob.Info, error) {
	digests, err := digest.FromHex("", "", ref.SHA256, "")
	return blob.Info{Ref: ref, Size: int64(len(c.data)), Digests: digests, Modified: c.modified}, err
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, ref blob.Ref) error {
	if _, err := s.find(ctx, ref); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, ref)
	return nil
}

// Expire implements blob.Store.
func (s *Store) Expire(ctx context.Context, ref blob.Ref, before time.Time) (bool, error) {
	if _, err := s.find(ctx, ref); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.blobs[ref]
	if !ok || !c.modified.Before(before) {
		return false, nil
	}
	delete(s.blobs, ref)
	return true, nil
}

// Quarantine implements blob.Store.
func (s *Store) Quarantine(ctx context.Context, ref blob.Ref, seen time.Time) (bool, error) {
	if _, err := s.find(ctx, ref); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.blobs[ref]
	if !ok || !c.modified.Equal(seen) {
		return false, nil
	}
	s.aside = append(s.aside, c)
	delete(s.blobs, ref)
	return true, nil
}

// All implements blob.Store.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		s.mu.RLock()
		infos := make([]blob.Info, 0, len(s.blobs))
		for ref, c := range s.blobs {
			if info, err := c.info(ref); err == nil {
				infos = append(infos, info)
			}
		}
		s.mu.RUnlock()
		for _, info := range infos {
			if err := ctx.Err(); err != nil {
				yield(blob.Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// spool grows one slice; what a reader was given of it never changes.
type spool struct {
	store *Store
	mu    sync.Mutex
	data  []byte
}

func (p *spool) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, b...)
	return len(b), nil
}

func (p *spool) Reader() (io.ReadCloser, error) { return &spoolReader{spool: p}, nil }

func (p *spool) Commit(_ context.Context, info blob.Info) (blob.Info, error) {
	info.Modified = p.store.now()
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	kept, ok := p.store.blobs[info.Ref]
	if !ok {
		kept.data = p.data
	}
	kept.modified = info.Modified
	p.store.blobs[info.Ref] = kept
	return info, nil
}

func (p *spool) Discard() {}

type spoolReader struct {
	spool *spool
	off   int
}

func (r *spoolReader) Read(b []byte) (int, error) {
	r.spool.mu.Lock()
	data := r.spool.data
	r.spool.mu.Unlock()
	n := copy(b, data[r.off:])
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	r.off += n
	return n, nil
}

func (r *spoolReader) Close() error { return nil }
