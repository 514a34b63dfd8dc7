package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"packhouse/internal/fault"
)

// sqliteEngine is one file with a pool of readers and one writer, whose
// transactions commit in groups (groupcommit.go). Write-ahead logging lets
// readers go on while the writer writes; synchronous=FULL makes a commit wait
// for the disk.
type sqliteEngine struct {
	db      *DB
	path    string
	pool    *sql.DB
	readers chan *sqliteConn // one entry per reader; nil stands for one not opened yet

	writePool *sql.DB
	writer    *sqliteConn // used by the writing goroutine alone
	queue     chan *turn
	stop      chan struct{}
	finished  chan struct{} // closed when the writing goroutine has ended
	stopped   atomic.Bool
}

const (
	readerPragmas = "busy_timeout(10000),query_only(1),cache_size(-2000),temp_store(memory)"
	// A checkpoint copies the log into the file, about every 16 MB: pages that
	// changed often are copied once. The log is cut to 32 MB afterwards.
	writerPragmas = "busy_timeout(10000),journal_mode(wal),synchronous(full),cache_size(-4000),temp_store(memory),wal_autocheckpoint(4000),journal_size_limit(33554432)"
)

func sqliteDSN(path, pragmas string) string {
	v := url.Values{"_pragma": strings.Split(pragmas, ",")}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

func openSQLite(ctx context.Context, db *DB, path string, opts Options) (_ engine, err error) {
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, fault.New(fault.Invalid, "database: sqlite needs the path of a file")
	}
	e := &sqliteEngine{
		db: db, path: path,
		queue: make(chan *turn, 1024), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	if e.writePool, err = sql.Open("sqlite", sqliteDSN(path, writerPragmas)); err != nil {
		return nil, err
	}
	if e.pool, err = sql.Open("sqlite", sqliteDSN(path, readerPragmas)); err != nil {
		return nil, errors.Join(err, e.writePool.Close())
	}
	if e.writer, err = openSQLiteConn(ctx, e.writePool); err == nil {
		err = migrate(ctx, e.writer.conn, db.dialect, migrations, "BEGIN IMMEDIATE", opts.keeps)
	}
	if err != nil {
		return nil, errors.Join(err, e.writer.close(), e.pool.Close(), e.writePool.Close())
	}
	n := opts.Connections
	if n <= 0 {
		n = 4
	}
	e.readers = make(chan *sqliteConn, n)
	for range n {
		e.readers <- nil
	}
	go e.write(context.WithoutCancel(ctx))
	return e, nil
}

func (e *sqliteEngine) view(ctx context.Context, fn func(*Tx) error) error {
	if e.stopped.Load() {
		return errClosed
	}
	var c *sqliteConn
	select {
	case c = <-e.readers:
	default:
		select {
		case c = <-e.readers:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.stop:
			return errClosed
		}
	}
	if c == nil {
		var err error
		if c, err = openSQLiteConn(ctx, e.pool); err != nil {
			e.readers <- nil
			return err
		}
	}
	healthy := false
	defer func() { // also when fn panics
		if !healthy {
			_ = c.close()
			c = nil
		}
		e.readers <- c
	}()
	if err := c.run(ctx, "BEGIN"); err != nil {
		return err
	}
	err := fn(&Tx{ctx: ctx, q: c, dialect: e.db.dialect, ring: e.db.ring, now: e.db.now})
	if end := c.run(ctx, "COMMIT"); end != nil {
		return errors.Join(err, end)
	}
	healthy = true
	return err
}

func (e *sqliteEngine) check(ctx context.Context) error {
	return e.view(ctx, func(tx *Tx) error {
		var n int64
		_, err := tx.one("SELECT count(*) FROM schema_migration", nil, &n)
		return err
	})
}

func (e *sqliteEngine) close() error {
	if e.stopped.Swap(true) {
		return nil
	}
	close(e.stop)
	<-e.finished
	var errs []error
	for range cap(e.readers) {
		errs = append(errs, (<-e.readers).close())
	}
	errs = append(errs, e.pool.Close(), e.writer.close(), e.writePool.Close())
	return errors.Join(errs...)
}

// logLimit is the size in bytes of the write-ahead log that has tidy cut it:
// readers that never pause keep an automatic checkpoint from starting over.
const logLimit = 64 << 20

// tidy cuts a large log when the writer has nothing else to do.
func (e *sqliteEngine) tidy(ctx context.Context) {
	info, err := os.Stat(e.path + "-wal")
	if err != nil || info.Size() < logLimit {
		return
	}
	err = errors.Join(
		e.writer.run(ctx, "PRAGMA busy_timeout = 200"), // writers wait meanwhile
		e.writer.run(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"),
		e.writer.run(ctx, "PRAGMA busy_timeout = 10000"),
	)
	if err != nil {
		e.db.log.Warn("catalog: cut the write-ahead log", slog.Any("error", err), slog.Int64("bytes", info.Size()))
	}
}

const tidyEvery = time.Minute

// sqliteConn is one connection with its prepared statements. A context's end does
// not interrupt a statement: that would roll back a whole group of transactions,
// and watching a context costs more than a small read. Tx looks at it instead.
type sqliteConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func openSQLiteConn(ctx context.Context, pool *sql.DB) (*sqliteConn, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *sqliteConn) close() error {
	if c == nil {
		return nil
	}
	for _, s := range c.stmts {
		_ = s.Close()
	}
	// The connection must not return to the pool: it may be inside a transaction.
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	if err := c.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return nil
}

// maxStatements bounds the prepared statements of one connection. Texts vary
// with the filters of a list, but not endlessly; if they do, start over.
const maxStatements = 192

func (c *sqliteConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStatements {
		for text, s := range c.stmts {
			_ = s.Close()
			delete(c.stmts, text)
		}
	}
	s, err := c.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// run executes a statement without arguments or answer.
func (c *sqliteConn) run(ctx context.Context, query string) error {
	if _, err := c.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// ExecContext runs a prepared statement to its end; see sqliteConn on ctx.
func (c *sqliteConn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept prepared, closed with the connection
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.WithoutCancel(ctx), args...)
}

// QueryContext runs a prepared query; see sqliteConn on ctx.
func (c *sqliteConn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept prepared, closed with the connection
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.WithoutCancel(ctx), args...)
}
