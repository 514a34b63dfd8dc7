package blob

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// Hooks are told of every finished operation; a nil one is skipped. They run on
// the caller's goroutine and must be quick.
type Hooks struct {
	// Done gets the operation (put, write, open, stat, delete, expire, quarantine), how
	// long it took and how it ended. A write lasts from Begin to Commit or
	// Abort.
	Done func(op string, took time.Duration, err error)
}

// Stats are counts since the start.
type Stats struct {
	Puts        int64 // contents stored, by Put or Commit, new or not
	PutBytes    int64 // their bytes
	PutFailures int64 // puts and writers that failed or were aborted
	Opens       int64
	OpenBytes   int64 // sizes of what was opened; a reader need not read all of it
	Misses      int64 // opens of what is not there
	Failures    int64 // other failed opens, stats and deletes
	Deletes     int64 // blobs deleted or expired
	Writing     int64 // puts and writers begun and not yet ended
}

// Metered counts what passes to a Store.
type Metered struct {
	Store
	hooks Hooks

	puts, putBytes, putFailures, opens, openBytes, misses, failures, deletes, writing atomic.Int64
}

// Meter decorates a store.
func Meter(s Store, hooks Hooks) *Metered { return &Metered{Store: s, hooks: hooks} }

// Unwrap gives the store below.
func (m *Metered) Unwrap() Store { return m.Store }

// Stats reads the counters; they are not one consistent snapshot.
func (m *Metered) Stats() Stats {
	return Stats{
		Puts: m.puts.Load(), PutBytes: m.putBytes.Load(), PutFailures: m.putFailures.Load(),
		Opens: m.opens.Load(), OpenBytes: m.openBytes.Load(), Misses: m.misses.Load(),
		Failures: m.failures.Load(), Deletes: m.deletes.Load(), Writing: m.writing.Load(),
	}
}

func (m *Metered) done(op string, start time.Time, err error) {
	if m.hooks.Done != nil {
		m.hooks.Done(op, time.Since(start), err)
	}
}

func (m *Metered) stored(info Info, err error) {
	if err != nil {
		m.putFailures.Add(1)
		return
	}
	m.puts.Add(1)
	m.putBytes.Add(info.Size)
}

// Put counts a put and its bytes.
func (m *Metered) Put(ctx context.Context, space string, r io.Reader) (Info, error) {
	start := time.Now()
	m.writing.Add(1)
	defer m.writing.Add(-1)
	info, err := m.Store.Put(ctx, space, r)
	m.stored(info, err)
	m.done("put", start, err)
	return info, err
}

// Begin counts the writer when it ends.
func (m *Metered) Begin(ctx context.Context, space string) (*Writer, error) {
	start := time.Now()
	w, err := m.Store.Begin(ctx, space)
	if err != nil {
		m.putFailures.Add(1)
		m.done("write", start, err)
		return nil, err
	}
	m.writing.Add(1)
	w.observer = func(info Info, err error) {
		m.writing.Add(-1)
		m.stored(info, err)
		m.done("write", start, err)
	}
	return w, nil
}

// Open counts an open, or a miss.
func (m *Metered) Open(ctx context.Context, ref Ref) (Reader, error) {
	start := time.Now()
	r, err := m.Store.Open(ctx, ref)
	switch {
	case err == nil:
		m.opens.Add(1)
		m.openBytes.Add(r.Size())
	case errors.Is(err, ErrNotFound):
		m.misses.Add(1)
	default:
		m.failures.Add(1)
	}
	m.done("open", start, err)
	return r, err
}

// Stat counts failures other than a miss.
func (m *Metered) Stat(ctx context.Context, ref Ref) (Info, error) {
	start := time.Now()
	info, err := m.Store.Stat(ctx, ref)
	m.failed(err)
	m.done("stat", start, err)
	return info, err
}

// Delete counts a deletion.
func (m *Metered) Delete(ctx context.Context, ref Ref) error {
	start := time.Now()
	err := m.Store.Delete(ctx, ref)
	if err == nil {
		m.deletes.Add(1)
	}
	m.failed(err)
	m.done("delete", start, err)
	return err
}

// Expire counts a deletion if there was one.
func (m *Metered) Expire(ctx context.Context, ref Ref, before time.Time) (bool, error) {
	start := time.Now()
	gone, err := m.Store.Expire(ctx, ref, before)
	if gone {
		m.deletes.Add(1)
	}
	m.failed(err)
	m.done("expire", start, err)
	return gone, err
}

// Quarantine counts failures.
func (m *Metered) Quarantine(ctx context.Context, ref Ref, seen time.Time) (bool, error) {
	start := time.Now()
	moved, err := m.Store.Quarantine(ctx, ref, seen)
	m.failed(err)
	m.done("quarantine", start, err)
	return moved, err
}

func (m *Metered) failed(err error) {
	if err != nil && !errors.Is(err, ErrNotFound) {
		m.failures.Add(1)
	}
}
