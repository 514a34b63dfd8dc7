package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/seal"
)

// Tx is one transaction, valid until the function it was given to returns. Not
// for concurrent use. Rows must be read to their end before the next call, so
// callbacks of Tx methods must not use the Tx.
type Tx struct {
	ctx     context.Context //nolint:containedctx // a transaction lives in one call, as database/sql's own does
	q       querier
	dialect *dialect
	ring    seal.Ring
	now     func() time.Time
	changes []Change
	seen    map[Change]struct{}
	quiet   bool // changes of packages are not announced
	deltas  []usageDelta
	quotas  map[string]*Quota  // by scope, as they were when first looked at; nil: it has none
	holds   map[string]Holding // by scope, what this transaction adds
}

// querier is a connection or a transaction, with or without cached statements.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Now is the time to be stored: the catalog's clock at microsecond precision, UTC.
func (tx *Tx) Now() time.Time { return fromMicros(tx.now().UnixMicro()) }

// NewID makes a row id: 20 letters and digits that sort by the time they were
// made (48 bits of milliseconds, 52 of chance).
func (tx *Tx) NewID() string { return newID(tx.now()) }

var idEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

func newID(now time.Time) string {
	var b [14]byte // 8 bytes of which 2 are cut, then 48+52 bits in 20 characters
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:]) // never fails
	return strings.ToLower(idEncoding.EncodeToString(b[:13])[:20])
}

// madeAt is when an id was made, at the precision of milliseconds; zero for what
// is no id.
func madeAt(id string) time.Time {
	const chars = 10 // hold the first 50 bits, of which 48 are the time
	if len(id) < chars {
		return time.Time{}
	}
	var bits int64
	for i := range chars {
		switch c := id[i]; {
		case '0' <= c && c <= '9':
			bits = bits<<5 | int64(c-'0')
		case 'a' <= c && c <= 'v':
			bits = bits<<5 | int64(c-'a'+10)
		default:
			return time.Time{}
		}
	}
	return time.UnixMilli(bits >> 2).UTC()
}

// exec runs a statement and tells how many rows it touched.
func (tx *Tx) exec(query string, args ...any) (int64, error) {
	res, err := tx.q.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", gist(query), err)
	}
	return res.RowsAffected()
}

// each runs a query and calls row for every row of its answer.
func (tx *Tx) each(row func(scan func(...any) error) error, query string, args ...any) (err error) {
	if err := tx.ctx.Err(); err != nil {
		return context.Cause(tx.ctx)
	}
	rows, err := tx.q.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", gist(query), err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for n := 1; rows.Next(); n++ {
		if err := row(rows.Scan); err != nil {
			return err
		}
		if n%256 == 0 && tx.ctx.Err() != nil { // SQLite does not look at the context itself
			return context.Cause(tx.ctx)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", gist(query), err)
	}
	return nil
}

// one runs a query of at most one row and tells whether there was one.
func (tx *Tx) one(query string, args []any, dest ...any) (found bool, err error) {
	err = tx.each(func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	}, query, args...)
	return found, err
}

// gist is the beginning of a statement, enough to find it.
func gist(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	return query[:min(len(query), 60)]
}

// query builds a statement whose conditions depend on the input.
type query struct {
	text strings.Builder
	args []any
}

func newQuery(text string) *query {
	q := &query{}
	q.text.WriteString(text)
	return q
}

// add appends text; each ? in it becomes the placeholder of the next argument.
func (q *query) add(text string, args ...any) *query {
	for {
		before, after, ok := strings.Cut(text, "?")
		q.text.WriteString(before)
		if !ok {
			break
		}
		text = after
		q.placeholder(args[0])
		args = args[1:]
	}
	return q
}

func (q *query) placeholder(arg any) {
	q.args = append(q.args, arg)
	q.text.WriteByte('$')
	q.text.WriteString(strconv.Itoa(len(q.args)))
}

// in appends "column IN (...)". The list is filled up to a power of two with
// its last value, so that few different texts arise and stay prepared.
func (q *query) in(column string, values []string) *query {
	n := 1
	for n < len(values) {
		n *= 2
	}
	q.text.WriteString(column)
	q.text.WriteString(" IN (")
	for i := range n {
		if i > 0 {
			q.text.WriteByte(',')
		}
		q.placeholder(values[min(i, len(values)-1)])
	}
	q.text.WriteByte(')')
	return q
}

// prefix appends a condition that column starts with p, as a range that an
// index can serve. An empty p adds nothing.
func (q *query) prefix(column, p string) *query {
	if p == "" {
		return q
	}
	return q.add(" AND "+column+" >= ? AND "+column+" < ?", p, p+"\U0010FFFF")
}

// limit appends LIMIT; 0 or less means all.
func (q *query) limit(n int) *query {
	return q.add(" LIMIT ?", limitOf(n))
}

func limitOf(n int) int64 {
	if n <= 0 {
		return math.MaxInt64
	}
	return int64(n)
}

// maxIn bounds the values of one IN list; longer lists go in several queries.
const maxIn = 64

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// list is a []string kept as a JSON array.
type list []string

func (l list) text() string {
	if len(l) == 0 {
		return "[]"
	}
	b, _ := json.Marshal([]string(l)) // strings always marshal
	return string(b)
}

func parseList(text string) ([]string, error) {
	if text == "[]" {
		return nil, nil
	}
	var l []string
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return nil, fmt.Errorf("stored list: %w", err)
	}
	return l, nil
}

// intern makes equal strings of one answer share their memory.
type intern map[string]string

func (in intern) of(s string) string {
	if kept, ok := in[s]; ok {
		return kept
	}
	in[s] = s
	return s
}

// first reads the one row of a query; missing when there is none.
func first[T any](tx *Tx, read func(func(...any) error) (T, error), missing error, text string, args ...any) (T, error) {
	var row T
	found := false
	err := tx.each(func(scan func(...any) error) (err error) {
		found = true
		row, err = read(scan)
		return err
	}, text, args...)
	if err == nil && !found {
		err = missing
	}
	return row, err
}

// all reads every row of a query.
func all[T any](tx *Tx, read func(func(...any) error) (T, error), q *query) ([]T, error) {
	var rows []T
	err := tx.each(func(scan func(...any) error) error {
		row, err := read(scan)
		rows = append(rows, row)
		return err
	}, q.text.String(), q.args...)
	return rows, err
}

func scanString(scan func(...any) error) (s string, err error) {
	err = scan(&s)
	return s, err
}

// deleteIn deletes the rows of a table whose column has one of up to maxIn values.
func (tx *Tx) deleteIn(table, column string, values []string) error {
	q := newQuery("DELETE FROM "+table+" WHERE ").in(column, values)
	_, err := tx.exec(q.text.String(), q.args...)
	return err
}
