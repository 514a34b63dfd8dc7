package audit

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"packhouse/internal/catalog"
)

// foldOwn folds what this process has written.
func (t *Trail) foldOwn(ctx context.Context) error {
	for {
		more, err := t.fold(ctx, t.node, time.Time{})
		if err != nil {
			return err
		}
		if !more {
			t.unfolded, t.raw = 0, 0
			return nil
		}
	}
}

// fold makes folded blocks of raw ones that end before a time; more says that
// there are others. node "" is every process.
func (t *Trail) fold(ctx context.Context, node string, before time.Time) (more bool, err error) {
	var raw []catalog.AccessBlock
	err = t.opt.Records.View(ctx, func(tx *catalog.Tx) (err error) {
		raw, err = tx.RawAccess(node, time.Time{}, before, foldBlocks)
		return err
	})
	if err != nil || len(raw) == 0 {
		return false, err
	}
	more = len(raw) == foldBlocks
	ids := make([]int64, 0, len(raw))
	var m merger
	for _, r := range raw {
		if len(m.events) >= foldRecords || m.size >= maxTables {
			more = true
			break
		}
		ids = append(ids, r.ID)
		o, err := open(r.Data)
		if err != nil { // nothing can be done with it; what else there is must not wait for it
			t.log.ErrorContext(ctx, "a block of access records is lost", slog.Int64("id", r.ID), slog.Int("records", r.Records), slog.Any("error", err))
			continue
		}
		m.take(o)
	}
	folded, keys := m.blocks()
	err = t.opt.Records.Update(ctx, func(tx *catalog.Tx) error {
		deleted, err := tx.DeleteRawAccess(ids)
		if err != nil {
			return err
		}
		if deleted != int64(len(ids)) {
			return errChanged
		}
		for i, b := range folded {
			if err := tx.InsertAccessBlock(b, keys[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// foldBlocks bounds the raw blocks folded at a time: ten minutes of them, and more.
const foldBlocks = 1024

// merger puts the records of many blocks together.
type merger struct {
	tables [3]struct {
		rows []string // of their own: a row does not keep its block in memory
		of   map[string]int32
	}
	size   int // of the rows, bytes
	events []event
}

func (m *merger) take(o *opened) {
	var moved [3][]int32
	for i, rows := range [...][][]byte{o.whos, o.whats, o.outcomes} {
		t := &m.tables[i]
		if t.of == nil {
			t.of = map[string]int32{}
		}
		moved[i] = make([]int32, len(rows))
		for j, row := range rows {
			at, ok := t.of[string(row)]
			if !ok {
				at = int32(len(t.rows))
				own := string(row)
				t.rows = append(t.rows, own)
				t.of[own] = at
				m.size += len(own)
			}
			moved[i][j] = at
		}
	}
	for _, e := range o.events {
		m.events = append(m.events, event{e.at, moved[0][e.who], moved[1][e.what], moved[2][e.outcome], e.id})
	}
}

// compare orders records by time, those of one time by id.
func (e event) compare(o event) int {
	if c := cmp.Compare(e.at, o.at); c != 0 {
		return c
	}
	return bytes.Compare(e.id[:], o.id[:])
}

// blocks gives the records, in order of time, in blocks of a bounded span and
// size, with the keys of each.
func (m *merger) blocks() (blocks []catalog.AccessBlock, keys [][]int64) {
	if !slices.IsSortedFunc(m.events, event.compare) {
		slices.SortFunc(m.events, event.compare)
	}
	for len(m.events) > 0 {
		end, limit := 0, m.events[0].at+maxSpan.Microseconds()
		for end < len(m.events) && end < 2*foldRecords && m.events[end].at <= limit {
			end++
		}
		b, some := m.block(m.events[:end])
		blocks, keys = append(blocks, b.row()), append(keys, some)
		m.events = m.events[b.n:]
	}
	return blocks, keys
}

// block is one block of the first of some records, one at least and as many as
// fit in it, with the rows that these have, and its keys.
func (m *merger) block(events []event) (*block, []int64) {
	b := &block{ids: make([]byte, 0, 16*len(events)), records: make([]byte, 0, 8*len(events))}
	tables := [...]*table{&b.whos, &b.whats, &b.outcomes}
	var moved [3][]int // one more than the row in the block; 0: not there yet
	for i := range tables {
		moved[i] = make([]int, len(m.tables[i].rows))
	}
	for _, e := range events {
		if b.size() >= maxTables {
			break
		}
		var at [3]int
		for i, row := range [...]int32{e.who, e.what, e.outcome} {
			if moved[i][row] == 0 {
				text := m.tables[i].rows[row]
				moved[i][row] = 1 + tables[i].add(func(data []byte) []byte { return append(data, text...) })
			}
			at[i] = moved[i][row] - 1
		}
		b.append(e.at, at[0], at[1], at[2], e.id)
	}
	return b, keysOf(b.whos.rows(), b.whats.rows())
}

const maxTidied = 16 // blocks deleted in one Tidy, so that nothing else waits long

// Tidy folds what dead processes have left, takes up their pending records and
// deletes what is too old or too much, a little at a time: more says that it
// should be called again.
func (t *Trail) Tidy(ctx context.Context) (more bool, err error) {
	now := t.opt.Now()
	if more, err = t.fold(ctx, "", now.Add(-orphanAge)); err != nil || more {
		return more, err
	}
	if err := t.recover(ctx, now.Add(-pendingAge)); err != nil {
		return false, err
	}
	for range maxTidied {
		deleted, err := t.trim(ctx, now)
		if err != nil || !deleted {
			return false, err
		}
	}
	return true, nil
}

// trim deletes the oldest folded block, if it is to go.
func (t *Trail) trim(ctx context.Context, now time.Time) (deleted bool, err error) {
	var (
		oldest catalog.AccessPlace
		found  bool
		b      catalog.AccessBlock
	)
	err = t.opt.Records.View(ctx, func(tx *catalog.Tx) error {
		size, _, err := tx.AccessUsage()
		if err != nil {
			return err
		}
		t.bytes.Store(size)
		if oldest, found, err = tx.OldestAccessBlock(); err != nil || !found {
			return err
		}
		if old := t.opt.Keep > 0 && oldest.LastAt.Before(now.Add(-t.opt.Keep)); !old && size <= t.opt.MaxBytes {
			found = false
			return nil
		}
		b, found, err = tx.AccessBlock(oldest.ID)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	var keys []int64
	if o, err := open(b.Data); err == nil {
		keys = o.keys()
	} else { // its keys stay, and lead nowhere
		t.log.ErrorContext(ctx, "a block of access records is broken and deleted", slog.Int64("id", b.ID), slog.Any("error", err))
	}
	return true, t.opt.Records.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteAccessBlock(oldest, keys) })
}
