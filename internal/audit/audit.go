// Package audit is the trail of who did what: a record of every API call and
// every package request, in the shape of CloudTrail (section 12.2).
//
// Add is on the way of every request and does as little as can be: who, what
// and how it ended are looked up in tables of the block being filled, and the
// record is three small numbers, a time and the request's id. One goroutine
// writes the blocks, about one a second. Later many of them are folded into
// one, under keys for what occurs in it, so that a query for a package or a
// principal reads the blocks that have it and no others.
//
// What changes something is never lost: its record is committed with the
// change (Witness) before anybody is answered. Records of reads wait in memory
// for a second at most, and when the database is away, or fails, so long that
// the memory for them is full, they are dropped and counted: requests never wait.
//
// The surprise: nothing in a record may be secret, and nobody looks at it again
// before it is stored. What callers put into an Entry comes from Redact or is a
// name.
package audit

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"packhouse/internal/catalog"
)

// Options are what a Trail works with. DB is required.
type Options struct {
	DB *catalog.DB // holds the records of changes until they are in a block
	// Records is where blocks go: a file of its own (catalog.Options.Records),
	// or DB itself.
	Records *catalog.DB
	Keep    time.Duration // how long records are kept; 0: until MaxBytes
	// MaxBytes bounds the stored blocks, default 10 GiB; the oldest go first.
	MaxBytes int64
	Every    time.Duration    // between two writes, default 1 s
	Now      func() time.Time // default time.Now
	Logger   *slog.Logger     // default slog.Default()
}

const (
	blockRecords = 32 << 10         // of a block being filled
	maxWaiting   = 8                // full blocks that wait for the database or are being written; more are dropped
	bigBlock     = 16 << 10         // records of a block that is not worth folding
	foldRecords  = 64 << 10         // of a folded block
	foldEvery    = 10 * time.Minute // raw blocks get no older
	maxSpan      = 15 * time.Minute // of the times in a folded block
	orphanAge    = 30 * time.Minute // raw blocks older than this belong to nobody alive
	pendingAge   = 10 * time.Minute // after which a call that changed something is not under way any more
)

// Trail takes records and answers questions about them. It is safe for
// concurrent use.
type Trail struct {
	opt  Options
	log  *slog.Logger
	node string

	mu      sync.Mutex
	current *block
	full    []*block // wait for the writer, or are being written
	spare   *block

	added, written, dropped atomic.Int64
	bytes                   atomic.Int64 // as counted by the last Tidy

	wake     chan struct{}
	flushes  chan chan error
	stop     chan struct{}
	finished chan struct{}
	began    time.Time // of the oldest raw block that is not folded; the writer's
	unfolded int       // records in them; the writer's
	raw      int       // how many they are; the writer's
	failing  bool      // the last write failed; the writer's
	settled  []string  // ids of requests whose records are written: their pending rows may go; the writer's
}

// Open starts the writing goroutine; Close ends it. What a process before this
// one left behind is taken up when no other can be alive (SQLite), else by Tidy.
func Open(ctx context.Context, o Options) (*Trail, error) {
	if o.Records == nil {
		o.Records = o.DB
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, 10<<30)
	o.Every = cmp.Or(o.Every, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	t := &Trail{
		opt: o, log: o.Logger, node: newNode(), current: newBlock(),
		wake: make(chan struct{}, 1), flushes: make(chan chan error), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	if o.Records != o.DB {
		if err := t.recover(ctx, o.Now().Add(time.Hour)); err != nil {
			return nil, err
		}
	}
	go t.run(context.WithoutCancel(ctx))
	return t, nil
}

// Close writes what is in memory and ends the goroutine. Nothing may be added
// afterwards.
func (t *Trail) Close() error {
	close(t.stop)
	<-t.finished
	return t.flush(context.Background())
}

// Add takes the record of an answered request; one without an Event is none.
// It does not keep e, nor text of it. When there is no room the record is
// dropped and counted; a witnessed one is not lost, for its pending row stays.
func (t *Trail) Add(e *Entry) {
	if e.Event == "" {
		return
	}
	wake := false
	t.mu.Lock()
	if t.current.isFull() {
		if len(t.full) >= maxWaiting {
			t.mu.Unlock()
			if !e.Witnessed {
				t.dropped.Add(1)
			}
			return
		}
		t.cut()
		wake = true
	}
	t.current.add(e)
	t.mu.Unlock()
	t.added.Add(1)
	if wake {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// cut ends the block being filled. t.mu is held.
func (t *Trail) cut() {
	t.full = append(t.full, t.current)
	t.current, t.spare = t.spare, nil
	if t.current == nil {
		t.current = newBlock()
	}
}

// Stats are counted since the start.
type Stats struct {
	Added, Written, Dropped int64
	Waiting                 int64 // records in memory
	Bytes                   int64 // of the folded blocks in the database, as of the last Tidy
}

// Stats tells what became of the records.
func (t *Trail) Stats() Stats {
	s := Stats{Added: t.added.Load(), Written: t.written.Load(), Dropped: t.dropped.Load(), Bytes: t.bytes.Load()}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Waiting = int64(t.current.n)
	for _, b := range t.full {
		s.Waiting += int64(b.n)
	}
	return s
}

// Flush writes what was added before it was called.
func (t *Trail) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case t.flushes <- done:
	case <-t.finished:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is the writing goroutine.
func (t *Trail) run(ctx context.Context) {
	defer close(t.finished)
	tick := time.NewTicker(t.opt.Every)
	defer tick.Stop()
	for {
		var done chan error
		select {
		case <-tick.C:
		case <-t.wake:
		case done = <-t.flushes:
		case <-t.stop:
			return
		}
		err := t.flush(ctx)
		if done != nil {
			done <- err
		}
		if failing := err != nil; failing != t.failing {
			t.failing = failing
			if failing {
				t.log.ErrorContext(ctx, "write access records; they wait in memory", slog.Any("error", err))
			} else {
				t.log.InfoContext(ctx, "access records are written again")
			}
		}
		if err == nil && (t.unfolded >= foldRecords || t.raw >= foldBlocks || t.unfolded > 0 && time.Since(t.began) > foldEvery) {
			if err := t.foldOwn(ctx); err != nil {
				t.log.ErrorContext(ctx, "fold access records; this is tried again", slog.Any("error", err))
			}
		}
	}
}

// flush writes what is in memory. The block being filled is cut only when
// nothing waits: while the database fails it fills up, and Add sees the limit.
func (t *Trail) flush(ctx context.Context) error {
	if err := t.writeFull(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	if t.current.n > 0 {
		t.cut()
	}
	t.mu.Unlock()
	if err := t.writeFull(ctx); err != nil {
		return err
	}
	if len(t.settled) == 0 {
		return nil
	}
	err := t.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.DeletePendingAccess(t.settled) })
	if err == nil || len(t.settled) > blockRecords { // Tidy deletes the rows of what is in a block
		t.settled = nil
	}
	return err
}

// writeFull writes the full blocks up to the first that cannot be written. It
// and the rest wait on; one being written counts as waiting.
func (t *Trail) writeFull(ctx context.Context) error {
	t.mu.Lock()
	waiting := slices.Clone(t.full)
	t.mu.Unlock()
	for _, b := range waiting {
		if err := t.write(ctx, b); err != nil {
			return err
		}
		for _, id := range b.settled {
			t.settled = append(t.settled, id.String())
		}
		t.mu.Lock()
		t.full = slices.Delete(t.full, 0, 1)
		if t.spare == nil {
			t.spare = b.reset()
		}
		t.mu.Unlock()
	}
	return nil
}

// write stores a block: raw, to be folded with others, or at once for good when
// it is big, as it is when there is much to do.
func (t *Trail) write(ctx context.Context, b *block) error {
	parts := b.parts()
	if row := parts[0]; len(parts) == 1 && b.n >= bigBlock && row.LastAt.Sub(row.FirstAt) <= maxSpan {
		row.Node = t.node
		keys := keysOf(b.whos.rows(), b.whats.rows())
		if err := t.opt.Records.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertAccessBlock(row, keys) }); err != nil {
			return err
		}
		t.written.Add(int64(row.Records))
		return nil
	}
	err := t.opt.Records.Update(ctx, func(tx *catalog.Tx) error {
		for _, row := range parts {
			row.Node = t.node
			if err := tx.InsertRawAccess(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.written.Add(int64(b.n))
	if t.unfolded == 0 {
		t.began = time.Now()
	}
	t.unfolded += b.n
	t.raw += len(parts)
	return nil
}

var errChanged = errors.New("another process has folded these blocks")
