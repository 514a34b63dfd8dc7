package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresEngine is a pool of connections to a PostgreSQL that other replicas
// use too.
type postgresEngine struct {
	db       *DB
	pool     *sql.DB
	node     string // marks our own rows in the change table
	stop     context.CancelFunc
	finished chan struct{} // closed when the poll has ended
}

// migrationLock is the advisory lock that replicas starting together wait for.
const migrationLock = 0x7061636b // "pack"

func openPostgres(ctx context.Context, db *DB, dsn string, opts Options) (_ engine, err error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("postgres: the connection string cannot be parsed") // err may show the password
	}
	cfg.StatementCacheCapacity = maxStatements
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "packhouse"
	}
	pool := stdlib.OpenDB(*cfg)
	n := opts.Connections
	if n <= 0 {
		n = 16
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(min(n, 8))
	pool.SetConnMaxIdleTime(5 * time.Minute)

	e := &postgresEngine{db: db, pool: pool, node: newID(db.now()), finished: make(chan struct{})}
	feed := &feed{e: e, missing: map[int64]time.Time{}}
	if err = e.migrate(ctx); err == nil {
		feed.last, err = e.lastChange(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	poll := opts.Poll
	if poll <= 0 {
		poll = time.Second
	}
	feedCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = cancel
	go feed.run(feedCtx, poll)
	return e, nil
}

func (e *postgresEngine) migrate(ctx context.Context) (err error) {
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	err = migrate(ctx, conn, e.db.dialect, migrations, "BEGIN", Options{}.keeps)
	_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
	return errors.Join(err, unlock)
}

func (e *postgresEngine) view(ctx context.Context, fn func(*Tx) error) error {
	tx, err := e.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // ends a snapshot as well as a commit does
	return fn(&Tx{ctx: ctx, q: tx, dialect: e.db.dialect, ring: e.db.ring, now: e.db.now})
}

const maxTries = 30 // of an update; the waits between them sum up to some seconds

func (e *postgresEngine) update(ctx context.Context, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		again, err := e.try(ctx, fn)
		if !again || try == maxTries {
			return err
		}
		wait := rand.N(min(time.Millisecond<<min(try, 10), 200*time.Millisecond)) //nolint:gosec // spreads retries
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// try runs fn once; again says that it lost a race.
func (e *postgresEngine) try(ctx context.Context, fn func(*Tx) error) (again bool, err error) {
	sqlTx, err := e.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return false, err
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	q := &raceWatch{querier: sqlTx, lost: e.db.dialect.retry}
	tx := &Tx{ctx: ctx, q: q, dialect: e.db.dialect, ring: e.db.ring, now: e.db.now}
	begun := time.Now()
	err = fn(tx)
	if took := time.Since(begun); took > e.db.slow {
		e.db.log.Warn("catalog: an update took long", slog.Duration("took", took))
	}
	if err == nil {
		err = tx.settle(e.node)
	}
	if err != nil {
		return q.raced || e.db.dialect.retry(err), err
	}
	if err = sqlTx.Commit(); err != nil {
		if q.raced || e.db.dialect.retry(err) {
			return true, err
		}
		// The answer may have been lost on the way, the changes not.
		e.db.announce(tx.changes)
		e.db.counted(tx)
		return false, err
	}
	e.db.counted(tx)
	e.db.announce(tx.changes)
	return false, nil
}

// raceWatch remembers that a statement failed because of a lost race, whatever
// the function makes of the error.
type raceWatch struct {
	querier
	lost  func(error) bool
	raced bool
}

func (w *raceWatch) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := w.querier.ExecContext(ctx, query, args...)
	w.raced = w.raced || err != nil && w.lost(err)
	return res, err
}

func (w *raceWatch) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := w.querier.QueryContext(ctx, query, args...)
	w.raced = w.raced || err != nil && w.lost(err)
	return rows, err
}

func (e *postgresEngine) check(ctx context.Context) error { return e.pool.PingContext(ctx) }

func (e *postgresEngine) close() error {
	e.stop()
	<-e.finished
	return e.pool.Close()
}

// feed follows the change table. Rows get their seq before they commit, so a
// lower one may appear after a higher one: gaps are asked for again until they
// fill or are given up, as they are when a transaction was rolled back.
type feed struct {
	e       *postgresEngine
	last    int64               // the highest seq seen
	missing map[int64]time.Time // seqs below last that were not there, and since when
}

const (
	gapPatience = 30 * time.Second // a change row is written last in its transaction, so gaps fill at once or never
	maxMissing  = 4096
	changeKept  = time.Hour
	trimEvery   = 10 * time.Minute
)

func (e *postgresEngine) lastChange(ctx context.Context) (last int64, err error) {
	err = e.pool.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM change").Scan(&last)
	return last, err
}

func (f *feed) run(ctx context.Context, poll time.Duration) {
	defer close(f.e.finished)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var trimmed, warned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changes, err := f.read(ctx)
		f.e.db.announce(changes)
		now := time.Now()
		if err == nil && now.Sub(trimmed) > trimEvery {
			trimmed = now
			err = f.trim(ctx)
		}
		if err != nil && ctx.Err() == nil && now.Sub(warned) > time.Minute {
			warned = now
			f.e.db.log.Warn("catalog: follow other replicas' changes", slog.Any("error", err))
		}
	}
}

// trim deletes old rows but the newest, which shows that nothing was missed.
func (f *feed) trim(ctx context.Context) error {
	const text = "DELETE FROM change WHERE at < $1 AND seq < (SELECT max(seq) FROM change)"
	_, err := f.e.pool.ExecContext(ctx, text, f.e.db.now().Add(-changeKept).UnixMicro())
	return err
}

// read fetches what was committed since the last read.
func (f *feed) read(ctx context.Context) ([]Change, error) {
	var oldest sql.NullInt64
	if err := f.e.pool.QueryRowContext(ctx, "SELECT min(seq) FROM change").Scan(&oldest); err != nil {
		return nil, err
	}
	var changes []Change
	if oldest.Valid && f.last > 0 && oldest.Int64 > f.last+1 {
		// Rows we never saw have been trimmed: this process slept through them.
		changes = append(changes, Change{Config: true, Lost: true})
		f.last, f.missing = oldest.Int64-1, map[int64]time.Time{}
	}
	q := newQuery("SELECT seq, node, scope FROM change WHERE ").add("seq > ?", f.last)
	fresh, err := f.collect(ctx, q.add(" ORDER BY seq"))
	changes = append(changes, fresh...)
	if err != nil {
		return changes, err
	}
	for seq, since := range f.missing {
		if time.Since(since) > gapPatience {
			delete(f.missing, seq)
		}
	}
	gaps := make([]int64, 0, len(f.missing))
	for seq := range f.missing {
		gaps = append(gaps, seq)
	}
	for part := range slices.Chunk(gaps, maxIn) {
		q := newQuery("SELECT seq, node, scope FROM change WHERE seq IN (")
		for i, seq := range part {
			if i > 0 {
				q.text.WriteByte(',')
			}
			q.placeholder(seq)
		}
		late, err := f.collect(ctx, q.add(")"))
		changes = append(changes, late...)
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}

func (f *feed) collect(ctx context.Context, q *query) (changes []Change, err error) {
	rows, err := f.e.pool.QueryContext(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	now := time.Now()
	for rows.Next() {
		var seq int64
		var node, scope string
		if err := rows.Scan(&seq, &node, &scope); err != nil {
			return changes, err
		}
		if seq-f.last > maxMissing {
			changes = append(changes, Change{Config: true, Lost: true})
			f.last = seq - 1
		}
		for gap := f.last + 1; gap < seq; gap++ {
			f.missing[gap] = now
		}
		f.last = max(f.last, seq)
		delete(f.missing, seq)
		if node == f.e.node {
			continue // announced when it committed
		}
		var some []Change
		if err := json.Unmarshal([]byte(scope), &some); err != nil {
			return changes, fmt.Errorf("change %d: %w", seq, err)
		}
		changes = append(changes, some...)
	}
	return changes, rows.Err()
}
