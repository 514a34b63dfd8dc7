package catalog

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"sync/atomic"
	"time"
)

// turn is one Update waiting to take part in a group commit. Its function runs
// on the caller's own goroutine, so a panic unwinds there; the writing goroutine
// hands over the transaction and waits until it is given back.
type turn struct {
	ctx   context.Context //nolint:containedctx // lives as long as the Update it belongs to
	fn    func(*Tx) error
	state atomic.Int32
	start chan *Tx   // the transaction; closed without one when done says why
	ran   chan error // the outcome of fn
	done  chan error // the outcome of the Update
	tx    *Tx
}

const (
	turnWaiting int32 = iota
	turnTaken
	turnWithdrawn
)

var errAborted = errors.New("the function of an update did not return")

func (e *sqliteEngine) update(ctx context.Context, fn func(*Tx) error) error {
	t := &turn{ctx: ctx, fn: fn, start: make(chan *Tx, 1), ran: make(chan error, 1), done: make(chan error, 1)}
	select {
	case <-e.stop:
		return errClosed
	default:
	}
	select {
	case e.queue <- t:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.stop:
		return errClosed
	}
	var tx *Tx
	select {
	case tx = <-t.start:
	case <-ctx.Done():
		if t.state.CompareAndSwap(turnWaiting, turnWithdrawn) {
			return context.Cause(ctx)
		}
		tx = <-t.start
	case <-e.finished:
		if t.state.CompareAndSwap(turnWaiting, turnWithdrawn) {
			return errClosed
		}
		tx = <-t.start
	}
	if tx != nil {
		t.run(tx)
	}
	return <-t.done
}

// run calls the function; the writer hears of its end even if it panics.
func (t *turn) run(tx *Tx) {
	outcome := errAborted
	defer func() { t.ran <- outcome }()
	outcome = t.fn(tx)
}

const (
	maxGroup     = 128                    // transactions of one commit
	groupTime    = 5 * time.Millisecond   // after which a group takes no more
	stragglerGap = 150 * time.Microsecond // how long a group waits for callers of the last one to come again
)

// write is the writing goroutine: it lets every waiting Update take its turn
// inside one transaction, commits once, and only then tells them.
func (e *sqliteEngine) write(ctx context.Context) {
	defer close(e.finished)
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	last := 0 // size of the last group
	for {
		select {
		case <-e.stop:
			return
		case <-tidy.C:
			e.tidy(ctx)
		case t := <-e.queue:
			last = e.group(ctx, t, last)
		}
	}
}

// group runs one transaction for first and whoever else waits, and returns how
// many took part. expect is the number that took part in the last group.
func (e *sqliteEngine) group(ctx context.Context, first *turn, expect int) int {
	if err := e.writer.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		if first.state.CompareAndSwap(turnWaiting, turnTaken) {
			first.done <- err
			close(first.start)
		}
		return 0
	}
	begun := time.Now()
	var (
		taken   int
		ok      []*turn
		failed  []*turn
		reasons []error
		broken  error
	)
	for t := first; t != nil; t = e.next(taken, expect, begun) {
		if !t.state.CompareAndSwap(turnWaiting, turnTaken) {
			continue
		}
		taken++
		var err error
		if err, broken = e.take(ctx, t); err == nil && broken == nil {
			ok = append(ok, t)
		} else {
			failed = append(failed, t)
			reasons = append(reasons, errors.Join(err, broken))
		}
		if broken != nil {
			break
		}
	}
	switch {
	case broken != nil:
	case len(ok) > 0:
		broken = e.writer.run(ctx, "COMMIT")
	default:
		broken = e.writer.run(ctx, "ROLLBACK")
	}
	if broken != nil {
		_ = e.writer.run(ctx, "ROLLBACK") // fails when SQLite has rolled back already
	} else {
		e.announce(ok)
	}
	for _, t := range ok {
		t.done <- broken
	}
	for i, t := range failed {
		t.done <- reasons[i]
	}
	return taken
}

func (e *sqliteEngine) announce(ok []*turn) {
	for _, t := range ok {
		e.db.counted(t.tx)
	}
	if len(ok) == 1 {
		e.db.announce(ok[0].tx.changes)
		return
	}
	var changes []Change
	for _, t := range ok {
		changes = append(changes, t.tx.changes...)
	}
	e.db.announce(changes)
}

// next is the next waiting Update; nil when the group should commit. When the
// last group was larger, its callers are likely to be about to come again, and
// a fsync for them together costs less than one each.
func (e *sqliteEngine) next(taken, expect int, begun time.Time) *turn {
	age := time.Since(begun)
	if taken >= maxGroup || age > groupTime {
		return nil
	}
	select {
	case t := <-e.queue:
		return t
	default:
	}
	if taken >= expect {
		return nil
	}
	timer := time.NewTimer(stragglerGap)
	defer timer.Stop()
	select {
	case t := <-e.queue:
		return t
	case <-timer.C:
		return nil
	}
}

// take lets t run inside a savepoint. err is the outcome of its function;
// broken means the whole transaction is lost.
func (e *sqliteEngine) take(ctx context.Context, t *turn) (err, broken error) {
	if err := e.writer.run(ctx, "SAVEPOINT turn"); err != nil {
		close(t.start)
		return nil, err
	}
	t.tx = &Tx{ctx: t.ctx, q: e.writer, dialect: e.db.dialect, ring: e.db.ring, now: e.db.now}
	begun := time.Now()
	t.start <- t.tx
	err = <-t.ran
	if took := time.Since(begun); took > e.db.slow {
		e.db.log.Warn("catalog: an update kept the others waiting", slog.Duration("took", took),
			slog.String("function", runtime.FuncForPC(reflect.ValueOf(t.fn).Pointer()).Name()))
	}
	if err == nil {
		err = t.tx.settle("")
	}
	if err != nil {
		if broken := e.writer.run(ctx, "ROLLBACK TO turn"); broken != nil {
			return err, broken
		}
	}
	return err, e.writer.run(ctx, "RELEASE turn")
}
