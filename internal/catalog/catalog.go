// Package catalog is the metadata database of the house: accounts, domains,
// repositories, packages, versions, assets, and the outbox and job tables that
// must commit together with them. It runs on SQLite (embedded) or PostgreSQL
// (any number of replicas) with one SQL text.
//
// DB is concrete on purpose: a SQLite file in a temporary folder is the fake.
// Everything happens in View (a read snapshot) or Update (durable on return);
// rows are plain structs with methods on Tx, one file per resource.
//
// Two rules surprise. The function given to Update may run more than once, so
// what it assigns outside itself must be assigned, not added to. And a change
// is announced (Subscribe, Generation) before the Update that made it returns,
// so whoever wrote never reads an older answer from a cache.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/seal"
)

// Options tune Open; the zero value is right for a test, a server gives its keys.
type Options struct {
	Logger      *slog.Logger     // default slog.Default()
	Now         func() time.Time // default time.Now
	Connections int              // SQLite: readers, default 4. PostgreSQL: all connections, default 16.
	Poll        time.Duration    // PostgreSQL: how often other processes' changes are looked for; default 1 s
	Slow        time.Duration    // an Update's function that takes longer is logged; default 250 ms

	// Keys are the master keys that secrets are sealed with (package seal): the
	// first seals, all of them open. Without any, a key is made for a database
	// that has no sealed secrets yet, and given to KeepKey before it is used.
	// Without KeepKey too, the key is one of this process, right for a test.
	Keys []seal.Key
	// KeepKey keeps a new master key. It may be called again with the same key.
	KeepKey func(seal.Key) error
	Records bool // SQLite: a file of access records alone
}

// DB is an open catalog, safe for concurrent use.
type DB struct {
	engine  engine
	dialect *dialect
	log     *slog.Logger
	now     func() time.Time
	slow    time.Duration
	ring    seal.Ring

	generation  atomic.Uint64
	deltas      atomic.Bool // see UsageWaits
	turnover    turnover
	mu          sync.RWMutex
	subscribers map[int]func([]Change)
	nextID      int
}

// engine runs transactions on one kind of database.
type engine interface {
	view(ctx context.Context, fn func(*Tx) error) error
	update(ctx context.Context, fn func(*Tx) error) error
	check(ctx context.Context) error
	close() error
}

// Open connects to dsn, "sqlite:PATH" or "postgres://...", and migrates its
// schema to the newest, and sees to it that no secret in it is plain or sealed
// with another than the first master key. Without the key that its secrets are
// sealed with it is not opened; ErrOtherMasterKey is why. Several PostgreSQL
// replicas may open at once. A SQLite file belongs to one process at a time:
// caches are told only of its own writes.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	db := &DB{
		log: opts.Logger, now: opts.Now, slow: opts.Slow,
		subscribers: map[int]func([]Change){},
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.slow == 0 {
		db.slow = 250 * time.Millisecond
	}
	step := newSealing(opts)
	db.ring = step.ring
	var err error
	switch path, isSQLite := strings.CutPrefix(dsn, "sqlite:"); {
	case isSQLite:
		db.dialect = sqliteDialect()
		db.engine, err = openSQLite(ctx, db, path, opts)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		db.dialect = postgresDialect()
		db.engine, err = openPostgres(ctx, db, dsn, opts)
	default: // the DSN may hold a password: do not repeat it
		return nil, fault.New(fault.Invalid, "database: want sqlite:PATH or postgres://...")
	}
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	if opts.Records { // there are no secrets
		return db, nil
	}
	if err := db.sealSecrets(ctx, step); err != nil {
		return nil, errors.Join(fmt.Errorf("open the catalog: %w", err), db.Close())
	}
	return db, nil
}

// Close waits for running transactions and releases the database. Updates that
// wait their turn fail as Unavailable.
func (db *DB) Close() error { return db.engine.close() }

// Check tells whether the database answers.
func (db *DB) Check(ctx context.Context) error {
	return db.failed(db.engine.check(ctx))
}

// View runs fn in a read snapshot: all it reads is of one moment, no older than
// the last Update that returned before the call. Writing in fn fails. fn must
// not call View or Update.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.failed(db.engine.view(ctx, fn))
}

// Update runs fn in a transaction that is durable when Update returns nil and
// leaves no trace when it returns an error or fn panics. fn may be run again
// when it lost a race against another transaction, so it must not add to what
// lies outside itself. On SQLite all writers take turns: fn must not wait for
// anything but the transaction, and what is slow belongs before it. fn must not
// call View or Update.
//
// A ctx that ends before fn's turn came withdraws it; afterwards Update waits
// for the outcome.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.failed(db.engine.update(ctx, witnessed(ctx, fn)))
}

// failed classifies a driver's error; errors that have a kind already and those
// of a context pass through.
func (db *DB) failed(err error) error {
	if err == nil || fault.Of(err) != fault.Internal {
		return err
	}
	if kind := db.dialect.classify(err); kind != fault.Internal {
		return fault.Wrap(kind, err, "the database cannot serve this now")
	}
	return err
}

var errClosed = fault.New(fault.Unavailable, "the server is shutting down")
