package catalog

import (
	"context"
	"slices"
	"strings"
	"time"
)

// recordsStep is in the names of the migrations that a file of access records
// is made with; it has no others (Options.Records).
const recordsStep = "_access_records"

// AccessBlock is a piece of the audit trail: records in the form that package
// audit gives them.
type AccessBlock struct {
	ID              int64
	Node            string // of a raw block: the process that wrote it
	FirstAt, LastAt time.Time
	Records         int
	Data            []byte // left out of listings of folded blocks
}

// AccessPlace is where a folded block stands; blocks are listed from the newest
// to the oldest. The zero value is before all of them.
type AccessPlace struct {
	LastAt time.Time
	ID     int64
}

// PendingAccess is the record of a call that has changed something and may not
// have been answered.
type PendingAccess struct {
	ID   string // of the request
	At   time.Time
	Data []byte
}

// InsertRawAccess appends a block that no query finds by key.
func (tx *Tx) InsertRawAccess(b AccessBlock) error {
	_, err := tx.exec("INSERT INTO access_raw (node, first_at, last_at, records, data) VALUES ($1, $2, $3, $4, $5)",
		b.Node, micros(b.FirstAt), micros(b.LastAt), b.Records, b.Data)
	return err
}

func scanAccessBlock(scan func(...any) error) (b AccessBlock, err error) {
	var begin, end int64
	err = scan(&b.ID, &b.Node, &begin, &end, &b.Records, &b.Data)
	b.FirstAt, b.LastAt = fromMicros(begin), fromMicros(end)
	return b, err
}

// RawAccess lists raw blocks that end in [from, to), oldest first. A zero to is
// no bound; node "" is every process.
func (tx *Tx) RawAccess(node string, from, to time.Time, limit int) ([]AccessBlock, error) {
	q := newQuery("SELECT id, node, first_at, last_at, records, data FROM access_raw WHERE ").add("last_at >= ?", micros(from))
	if !to.IsZero() {
		q.add(" AND last_at < ?", micros(to))
	}
	if node != "" {
		q.add(" AND node = ?", node)
	}
	return all(tx, scanAccessBlock, q.add(" ORDER BY last_at, id").limit(limit))
}

// DeleteRawAccess deletes raw blocks and tells how many there were.
func (tx *Tx) DeleteRawAccess(ids []int64) (deleted int64, err error) {
	for part := range slices.Chunk(ids, maxIn) {
		q := newQuery("DELETE FROM access_raw WHERE id IN (")
		for i, id := range part {
			if i > 0 {
				q.text.WriteByte(',')
			}
			q.placeholder(id)
		}
		n, err := tx.exec(q.add(")").text.String(), q.args...)
		if err != nil {
			return deleted, err
		}
		deleted += n
	}
	return deleted, nil
}

// keyBytes is what a key of a folded block takes on disk, about.
const keyBytes = 40

// InsertAccessBlock stores a folded block under its keys.
func (tx *Tx) InsertAccessBlock(b AccessBlock, keys []int64) error {
	last := micros(b.LastAt)
	var id int64
	_, err := tx.one("INSERT INTO access_block (first_at, last_at, records, size, data) VALUES ($1, $2, $3, $4, $5) RETURNING id",
		[]any{micros(b.FirstAt), last, b.Records, len(b.Data) + keyBytes*len(keys), b.Data}, &id)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(keys, maxIn) {
		n := 1 // few different texts, as in query.in
		for n < len(part) {
			n *= 2
		}
		q := newQuery("INSERT INTO access_block_key (hash, last_at, block) VALUES ")
		for i := range n {
			if i > 0 {
				q.text.WriteByte(',')
			}
			q.add("(?, ?, ?)", part[min(i, len(part)-1)], last, id)
		}
		if _, err := tx.exec(q.add(" ON CONFLICT DO NOTHING").text.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// AccessPlaces lists the folded blocks that have all keys (one at least), newest
// first after a place, that begin before until and end in [from, to].
func (tx *Tx) AccessPlaces(keys []int64, from, until, to time.Time, after AccessPlace, limit int) ([]AccessPlace, error) {
	q := newQuery("SELECT k.last_at, k.block FROM access_block_key k JOIN access_block b ON b.id = k.block WHERE ").
		add("k.hash = ? AND k.last_at >= ? AND k.last_at <= ? AND b.first_at <= ?", keys[0], micros(from), micros(to), micros(until))
	if after != (AccessPlace{}) {
		q.add(" AND (k.last_at, k.block) < (?, ?)", micros(after.LastAt), after.ID)
	}
	for _, key := range keys[1:] {
		q.add(" AND EXISTS (SELECT 1 FROM access_block_key o WHERE o.hash = ? AND o.last_at = k.last_at AND o.block = k.block)", key)
	}
	return all(tx, scanAccessPlace, q.add(" ORDER BY k.last_at DESC, k.block DESC").limit(limit))
}

func scanAccessPlace(scan func(...any) error) (p AccessPlace, err error) {
	var last int64
	err = scan(&last, &p.ID)
	p.LastAt = fromMicros(last)
	return p, err
}

// AccessBlocksBetween lists all folded blocks that end in [from, to], oldest
// first.
func (tx *Tx) AccessBlocksBetween(from, to time.Time) ([]AccessPlace, error) {
	q := newQuery("SELECT last_at, id FROM access_block WHERE ").add("last_at >= ? AND last_at <= ?", micros(from), micros(to))
	return all(tx, scanAccessPlace, q.add(" ORDER BY last_at, id"))
}

// AccessBlock reads a folded block; found is false when it has been deleted.
func (tx *Tx) AccessBlock(id int64) (b AccessBlock, found bool, err error) {
	var begin, end int64
	found, err = tx.one("SELECT first_at, last_at, records, data FROM access_block WHERE id = $1", []any{id}, &begin, &end, &b.Records, &b.Data)
	b.ID, b.FirstAt, b.LastAt = id, fromMicros(begin), fromMicros(end)
	return b, found, err
}

// OldestAccessBlock is the folded block that ended first; found is false when
// there is none.
func (tx *Tx) OldestAccessBlock() (p AccessPlace, found bool, err error) {
	var last int64
	found, err = tx.one("SELECT last_at, id FROM access_block ORDER BY last_at, id LIMIT 1", nil, &last, &p.ID)
	p.LastAt = fromMicros(last)
	return p, found, err
}

// DeleteAccessBlock deletes a folded block; keys are those it was stored under.
func (tx *Tx) DeleteAccessBlock(p AccessPlace, keys []int64) error {
	for part := range slices.Chunk(keys, maxIn) {
		n := 1
		for n < len(part) {
			n *= 2
		}
		q := newQuery("DELETE FROM access_block_key WHERE ").add("last_at = ? AND block = ? AND hash IN (", micros(p.LastAt), p.ID)
		for i := range n {
			if i > 0 {
				q.text.WriteByte(',')
			}
			q.placeholder(part[min(i, len(part)-1)])
		}
		if _, err := tx.exec(q.add(")").text.String(), q.args...); err != nil {
			return err
		}
	}
	_, err := tx.exec("DELETE FROM access_block WHERE id = $1", p.ID)
	return err
}

// AccessUsage counts the bytes and the records of the folded blocks.
func (tx *Tx) AccessUsage() (bytes, records int64, err error) {
	_, err = tx.one("SELECT CAST(coalesce(sum(size), 0) AS BIGINT), CAST(coalesce(sum(records), 0) AS BIGINT) FROM access_block", nil, &bytes, &records)
	return bytes, records, err
}

// PutPendingAccess keeps the record of a call in the transaction of what it
// changes; of several transactions of one call the last one's stays.
func (tx *Tx) PutPendingAccess(p PendingAccess) error {
	_, err := tx.exec(`INSERT INTO access_pending (id, at, data) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET at = excluded.at, data = excluded.data`, p.ID, micros(p.At), p.Data)
	return err
}

// PendingAccess lists records kept before t, oldest first.
func (tx *Tx) PendingAccess(t time.Time, limit int) ([]PendingAccess, error) {
	q := newQuery("SELECT id, at, data FROM access_pending WHERE ").add("at < ?", micros(t))
	return all(tx, func(scan func(...any) error) (p PendingAccess, err error) {
		var at int64
		err = scan(&p.ID, &at, &p.Data)
		p.At = fromMicros(at)
		return p, err
	}, q.add(" ORDER BY at, id").limit(limit))
}

// DeletePendingAccess forgets records that are in a block now.
func (tx *Tx) DeletePendingAccess(ids []string) error {
	for part := range slices.Chunk(ids, maxIn) {
		if err := tx.deleteIn("access_pending", "id", part); err != nil {
			return err
		}
	}
	return nil
}

type witnessKey struct{}

// WithWitness has fn take part in every Update under the context returned: it
// runs after the Update's own function, and its error undoes both. Like that
// function it may run more than once.
func WithWitness(ctx context.Context, fn func(*Tx) error) context.Context {
	return context.WithValue(ctx, witnessKey{}, fn)
}

// witnessed adds the witness of ctx, if there is one, to fn.
func witnessed(ctx context.Context, fn func(*Tx) error) func(*Tx) error {
	witness, ok := ctx.Value(witnessKey{}).(func(*Tx) error)
	if !ok {
		return fn
	}
	return func(tx *Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return witness(tx)
	}
}

// keeps tells whether a migration belongs to this database: a file of access
// records has only those of its own.
func (o Options) keeps(m migration) bool {
	return !o.Records || strings.Contains(m.name, recordsStep)
}
