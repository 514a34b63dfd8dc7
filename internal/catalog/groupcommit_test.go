package catalog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/seal"
)

// hold occupies the writer of a SQLite catalog until release is called; done
// then gives the outcome of the Update that did it.
func hold(t *testing.T, db *DB) (release func(), done <-chan error) {
	t.Helper()
	entered, leave, outcome := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		outcome <- db.Update(context.WithoutCancel(t.Context()), func(*Tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return sync.OnceFunc(func() { close(leave) }), outcome
}

// queued waits until n updates wait for the writer.
func queued(t *testing.T, db *DB, n int) {
	t.Helper()
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		t.Fatalf("engine %T", db.engine)
	}
	for len(e.queue) < n {
		if t.Context().Err() != nil {
			t.Fatal("the updates never queued")
		}
		runtime.Gosched()
	}
}

func TestGroupCommit_FailuresDoNotHurtNeighbours(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	release, held := hold(t, db)
	boom := errors.New("boom")
	const n = 30
	outcomes := make([]error, n)
	panicked := make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() { panicked[i] = recover() != nil }()
			outcomes[i] = db.Update(t.Context(), func(tx *Tx) error {
				if err := tx.SetMeta(fmt.Sprint(i), "written"); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return boom
				case 2:
					if _, err := tx.exec("INSERT INTO meta (meta_key, meta_value) VALUES ($1, NULL)", "bad"); err == nil {
						t.Error("a NULL was stored")
					}
					panic("boom")
				}
				return nil
			})
		})
	}
	queued(t, db, n)
	release()
	wg.Wait()
	if err := <-held; err != nil {
		t.Error(err)
	}
	view(t, db, func(tx *Tx) error {
		for i := range n {
			_, found, err := tx.Meta(fmt.Sprint(i))
			if err != nil {
				return err
			}
			good := i%3 == 0
			if found != good || panicked[i] != (i%3 == 2) || (i%3 == 1) != errors.Is(outcomes[i], boom) || good && outcomes[i] != nil {
				t.Errorf("update %d: found %v, panicked %v, error %v", i, found, panicked[i], outcomes[i])
			}
		}
		return nil
	})
}

func TestGroupCommit_GoexitDoesNotStopTheWriter(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = db.Update(t.Context(), func(tx *Tx) error {
			_ = tx.SetMeta("fact", "lost")
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	update(t, db, func(tx *Tx) error {
		if _, found, err := tx.Meta("fact"); found || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
		return nil
	})
}

func TestGroupCommit_CancelWithdrawsAWaitingUpdate(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	release, held := hold(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() {
		outcome <- db.Update(ctx, func(*Tx) error {
			t.Error("a withdrawn update ran")
			return nil
		})
	}()
	queued(t, db, 1)
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	release()
	if err := <-held; err != nil {
		t.Error(err)
	}
}

func TestGroupCommit_CloseRefusesWaitingUpdates(t *testing.T) {
	db, err := Open(t.Context(), newDSN(t, "sqlite"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	release, held := hold(t, db)
	outcome := make(chan error, 1)
	go func() { outcome <- db.Update(t.Context(), func(tx *Tx) error { return tx.SetMeta("late", "x") }) }()
	queued(t, db, 1)
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		t.Fatalf("engine %T", db.engine)
	}
	<-e.stop
	release()
	if err := errors.Join(<-held, <-closed); err != nil {
		t.Error(err)
	}
	// It may have been taken into the group that was under way; if not, it is refused.
	if err := <-outcome; err != nil && !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestGroupCommit_SlowFunctionIsLogged(t *testing.T) {
	var out bytes.Buffer
	db := openTest(t, newDSN(t, "sqlite"), Options{Slow: time.Nanosecond, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	update(t, db, func(tx *Tx) error { return tx.SetMeta("a", "b") })
	if got := out.String(); !strings.Contains(got, "kept the others waiting") || !strings.Contains(got, "TestGroupCommit_SlowFunctionIsLogged") {
		t.Errorf("logged %q, want the function's name", got)
	}
}

// childCatalog makes this test binary the writer that
// TestCrash_AcknowledgedUpdatesSurvive kills.
const childCatalog = "PACKHOUSE_TEST_CRASH_CATALOG"

// crashKeys is the master key of both processes.
func crashKeys() []seal.Key {
	keys, err := seal.ParseKeys([]byte("bm90IGEgc2VjcmV0OiBvbmx5IGZvciB0aGUgdGVzdHM="))
	if err != nil {
		panic(err)
	}
	return keys
}

func TestMain(m *testing.M) {
	if path := os.Getenv(childCatalog); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints each key once its Update has returned.
func writeUntilKilled(path string) {
	db, err := Open(context.Background(), "sqlite:"+path, Options{Keys: crashKeys()})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d", caller, i)
				err := db.Update(context.Background(), func(tx *Tx) error {
					return errors.Join(tx.SetMeta(key, "half"), tx.SetMeta(key+"/other", "half"))
				})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(key) // one write call each
			}
		})
	}
	wg.Wait()
}

func TestCrash_AcknowledgedUpdatesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	total := 0
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childCatalog+"="+path)
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged []string
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			acknowledged = append(acknowledged, lines.Text())
			if len(acknowledged) == 200+137*round {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // killed
		db, err := Open(t.Context(), "sqlite:"+path, Options{Keys: crashKeys()})
		if err != nil {
			t.Fatal(err)
		}
		view(t, db, func(tx *Tx) error {
			for _, key := range acknowledged {
				if _, found, err := tx.Meta(key); !found || err != nil {
					t.Errorf("round %d: %s was acknowledged and is gone: %v", round, key, err)
				}
			}
			var whole, halves int
			if _, err := tx.one("SELECT count(*) FROM meta WHERE meta_key LIKE '%/other'", nil, &halves); err != nil {
				return err
			}
			_, err := tx.one("SELECT count(*) FROM meta WHERE meta_key <> $1", []any{MasterKeyFact}, &whole)
			if whole != 2*halves {
				t.Errorf("%d rows of which %d are second halves", whole, halves)
			}
			return err
		})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		total += len(acknowledged)
	}
	t.Logf("%d acknowledged updates survived", total)
}
