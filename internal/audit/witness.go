package audit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"packhouse/internal/catalog"
)

// Witness keeps the record of one call that changes something: it is committed
// with every change the call makes.
type Witness struct {
	trail *Trail
	entry func() Entry
	kept  atomic.Bool
	over  atomic.Bool
}

// Witness makes one. entry gives what is known of the call so far; it is asked
// in transactions, on whatever goroutine they run.
func (t *Trail) Witness(entry func() Entry) *Witness { return &Witness{trail: t, entry: entry} }

// Context has changes made under it witnessed.
func (w *Witness) Context(ctx context.Context) context.Context {
	return catalog.WithWitness(ctx, w.keep)
}

// Kept ends the witness, before the call's own record is added: it tells
// whether that record settles a kept one (Entry.Witnessed).
func (w *Witness) Kept() bool {
	if w == nil {
		return false
	}
	w.over.Store(true)
	return w.kept.Load()
}

func (w *Witness) keep(tx *catalog.Tx) error {
	if w.over.Load() { // something the call has started goes on by itself
		return nil
	}
	e := w.entry()
	if e.Event == "" {
		return nil
	}
	e.Time = tx.Now()
	var b block // other writers wait for this transaction: as little as can be
	b.append(e.Time.UnixMicro(), b.whos.add(newWho(&e).append), b.whats.add(newWhat(&e).append), b.outcomes.add(outcome{unknown: true}.append), e.ID)
	row := b.quickRow()
	w.kept.Store(true)
	return tx.PutPendingAccess(catalog.PendingAccess{ID: e.ID.String(), At: e.Time, Data: row.Data})
}

// recover puts the pending records older than a time into blocks, but those
// that are in one already: their process died before or after it wrote them.
func (t *Trail) recover(ctx context.Context, before time.Time) error {
	const batch = 256
	for {
		var pending []catalog.PendingAccess
		err := t.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
			pending, err = tx.PendingAccess(before, batch)
			return err
		})
		if err != nil || len(pending) == 0 {
			return err
		}
		known := map[ID]bool{}
		from, to := pending[0].At.Add(-time.Minute), pending[len(pending)-1].At.Add(pendingAge)
		if err := t.each(ctx, from, to, func(o *opened) {
			for _, e := range o.events {
				known[e.id] = true
			}
		}); err != nil {
			return err
		}
		ids := make([]string, len(pending))
		var m merger
		for i, p := range pending {
			ids[i] = p.ID
			o, err := open(p.Data)
			if err != nil {
				t.log.ErrorContext(ctx, "a pending access record is lost", slog.String("request", p.ID), slog.Any("error", err))
				continue
			}
			if len(o.events) > 0 && !known[o.events[0].id] {
				m.take(o)
			}
		}
		for len(m.events) > 0 {
			b, _ := m.block(m.events)
			m.events = m.events[b.n:]
			row := b.row()
			row.Node = t.node
			if err := t.opt.Records.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertRawAccess(row) }); err != nil {
				return err
			}
		}
		if err := t.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.DeletePendingAccess(ids) }); err != nil {
			return err
		}
		if len(pending) < batch {
			return nil
		}
	}
}

// each reads every block that may have records of [from, to].
func (t *Trail) each(ctx context.Context, from, to time.Time, fn func(*opened)) error {
	var raw []catalog.AccessBlock
	var places []catalog.AccessPlace
	err := t.opt.Records.View(ctx, func(tx *catalog.Tx) (err error) {
		if raw, err = tx.RawAccess("", from, time.Time{}, 0); err != nil {
			return err
		}
		places, err = tx.AccessBlocksBetween(from, to.Add(maxSpan))
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range raw {
		if o, err := open(r.Data); err == nil {
			fn(o)
		}
	}
	for _, p := range places {
		o, err := t.open(ctx, p)
		if err != nil {
			return err
		}
		if o != nil {
			fn(o)
		}
	}
	return nil
}

// open reads a folded block; nil when it has been deleted, or is broken.
func (t *Trail) open(ctx context.Context, p catalog.AccessPlace) (*opened, error) {
	var b catalog.AccessBlock
	var found bool
	err := t.opt.Records.View(ctx, func(tx *catalog.Tx) (err error) {
		b, found, err = tx.AccessBlock(p.ID)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	o, err := open(b.Data)
	if err != nil {
		t.log.ErrorContext(ctx, "a block of access records is broken", slog.Int64("id", p.ID), slog.Any("error", err))
		return nil, nil
	}
	return o, nil
}
