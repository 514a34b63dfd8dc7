package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/fault"
)

// eachEngine runs a test on an empty catalog of each engine.
func eachEngine(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) { test(t, openTest(t, newDSN(t, name), Options{})) })
	}
}

// newDSN names an empty database.
func newDSN(t testing.TB, engine string) string {
	t.Helper()
	if engine == "postgres" {
		return pgtest.NewDatabase(t)
	}
	return "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
}

func openTest(t testing.TB, dsn string, opts Options) *DB {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := Open(t.Context(), dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// update and view run fn and fail the test on its error.
func update(t testing.TB, db *DB, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, db *DB, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// wantKind checks the fault kind of an error, and the resource it is about.
func wantKind(t testing.TB, err error, kind fault.Kind, resource string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Resource != resource {
		t.Errorf("got error %v, want %s about a %q", err, kind, resource)
	}
}

func npmName(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.NPM, Name: name}
}

func TestOpen_MigratesOnceAndOpensAgain(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			dsn := newDSN(t, name)
			first, err := Open(t.Context(), dsn, Options{})
			if err != nil {
				t.Fatal(err)
			}
			update(t, first, func(tx *Tx) error { return tx.SetMeta("fact", "kept") })
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			second := openTest(t, dsn, Options{})
			view(t, second, func(tx *Tx) error {
				value, ok, err := tx.Meta("fact")
				if !ok || value != "kept" {
					t.Errorf("got %q, %v, want what was stored before", value, ok)
				}
				return err
			})
		})
	}
}

func TestOpen_ReplicasStartAtOnce(t *testing.T) {
	dsn := pgtest.NewDatabase(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := Open(t.Context(), dsn, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_RefusesNewerSchema(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			dsn := newDSN(t, name)
			db := openTest(t, dsn, Options{})
			update(t, db, func(tx *Tx) error {
				_, err := tx.exec("INSERT INTO schema_migration (number, name, at) VALUES (9999, 'future', 0)")
				return err
			})
			if _, err := Open(t.Context(), dsn, Options{}); err == nil || !strings.Contains(err.Error(), "schema 9999") {
				t.Errorf("got %v, want a refusal that names the schema", err)
			}
		})
	}
}

func TestOpen_RefusesOtherDSN(t *testing.T) {
	for _, dsn := range []string{"", "mysql://secret@host.test/x", "sqlite:", "sqlite::memory:", "catalog.db", "postgres://%zz"} {
		_, err := Open(t.Context(), dsn, Options{})
		if err == nil {
			t.Errorf("%q: opened", dsn)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats the DSN: %v", dsn, err)
		}
	}
}

func TestUpdate_ErrorLeavesNoTrace(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		boom := errors.New("boom")
		err := db.Update(t.Context(), func(tx *Tx) error {
			if err := tx.SetMeta("fact", "lost"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v, want the function's error", err)
		}
		view(t, db, func(tx *Tx) error {
			if _, ok, err := tx.Meta("fact"); ok || err != nil {
				t.Errorf("found %v, %v, want nothing", ok, err)
			}
			return nil
		})
	})
}

func TestUpdate_PanicUnwindsInCallerAndLeavesNoTrace(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want the panic's value", got)
				}
			}()
			_ = db.Update(t.Context(), func(tx *Tx) error {
				_ = tx.SetMeta("fact", "lost")
				panic("boom")
			})
		}()
		func() {
			defer func() { _ = recover() }()
			_ = db.View(t.Context(), func(*Tx) error { panic("boom") })
		}()
		update(t, db, func(tx *Tx) error { // the database is not stuck
			if _, ok, err := tx.Meta("fact"); ok || err != nil {
				t.Errorf("found %v, %v, want nothing", ok, err)
			}
			return nil
		})
	})
}

func TestView_RefusesWrites(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		if err := db.View(t.Context(), func(tx *Tx) error { return tx.SetMeta("fact", "x") }); err == nil {
			t.Error("a View wrote")
		}
		update(t, db, func(tx *Tx) error { return tx.SetMeta("fact", "x") })
	})
}

func TestView_IsOneSnapshot(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		read := func(tx *Tx) string {
			value, _, err := tx.Meta("fact")
			if err != nil {
				t.Error(err)
			}
			return value
		}
		update(t, db, func(tx *Tx) error { return tx.SetMeta("fact", "one") })
		view(t, db, func(tx *Tx) error {
			before := read(tx)
			update(t, db, func(tx *Tx) error { return tx.SetMeta("fact", "two") })
			if after := read(tx); before != "one" || after != "one" {
				t.Errorf("read %q and then %q in one View, want one twice", before, after)
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			if got := read(tx); got != "two" {
				t.Errorf("a later View read %q", got)
			}
			return nil
		})
	})
}

func TestTransactions_EndWithTheirContext(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *Tx) error {
			if err := tx.SetMeta("fact", "x"); err != nil {
				return err
			}
			cancel()
			_, _, err := tx.Meta("fact")
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("update: got %v, want canceled", err)
		}
		if err := db.View(ctx, func(tx *Tx) error { _, _, err := tx.Meta("fact"); return err }); !errors.Is(err, context.Canceled) {
			t.Errorf("view: got %v, want canceled", err)
		}
		view(t, db, func(tx *Tx) error {
			if _, ok, err := tx.Meta("fact"); ok || err != nil {
				t.Errorf("found %v, %v, want nothing", ok, err)
			}
			return nil
		})
	})
}

func TestClose_RefusesLaterUse(t *testing.T) {
	db, err := Open(t.Context(), newDSN(t, "sqlite"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Check(t.Context()), db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	nothing := func(*Tx) error { return nil }
	for name, err := range map[string]error{"view": db.View(t.Context(), nothing), "update": db.Update(t.Context(), nothing), "check": db.Check(t.Context())} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: got %v, want unavailable", name, err)
		}
	}
}

func TestUpdate_RacingReadersAndWritersLoseNothing(t *testing.T) {
	const callers, each = 6, 20
	eachEngine(t, func(t *testing.T, db *DB) {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					err := db.Update(t.Context(), func(tx *Tx) error {
						value, _, err := tx.Meta("sum")
						if err != nil {
							return err
						}
						n := 0
						if value != "" {
							if _, err := fmt.Sscan(value, &n); err != nil {
								return err
							}
						}
						return tx.SetMeta("sum", fmt.Sprint(n+1))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		view(t, db, func(tx *Tx) error {
			value, _, err := tx.Meta("sum")
			if diff := cmp.Diff(fmt.Sprint(callers*each), value); diff != "" {
				t.Error(diff)
			}
			return err
		})
	})
}

func TestNewID_SortsByTime(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	earlier, later := newID(at), newID(at.Add(time.Millisecond))
	if len(earlier) != 20 || earlier >= later || newID(at) == earlier {
		t.Errorf("ids %q then %q", earlier, later)
	}
}

// ignoreMissing drops a NotFound.
func ignoreMissing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func TestClose_LeavesNoGoroutine(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			dsn := newDSN(t, name)
			before := goleak.IgnoreCurrent()
			db, err := Open(t.Context(), dsn, Options{})
			if err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx *Tx) error { return tx.SetMeta("a", "b") })
			view(t, db, func(tx *Tx) error { _, _, err := tx.Meta("a"); return err })
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			goleak.VerifyNone(t, before)
		})
	}
}
