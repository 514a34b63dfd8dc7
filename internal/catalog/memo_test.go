package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"packhouse/internal/fault"
)

func TestMemo_LoadsOncePerGeneration(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		var memo Memo[string, string]
		loads := 0
		get := func() string {
			t.Helper()
			got, err := memo.Get(t.Context(), db, repos[0].ID, func(tx *Tx) (string, error) {
				loads++
				found, err := tx.RepositoriesByID(repos[0].ID)
				if err != nil || len(found) == 0 {
					return "", errors.Join(err, errors.New("no repository"))
				}
				return found[0].Description, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for i := range 3 {
			want := fmt.Sprint("description ", i)
			update(t, db, func(tx *Tx) error { return tx.SetDescription(repos[0].ID, want) })
			for range 5 {
				if got := get(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if loads != i+1 {
				t.Errorf("%d loads in %d generations", loads, i+1)
			}
		}
	})
}

func TestMemo_ErrorsAreNotKept(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	var memo Memo[int, int]
	boom := errors.New("boom")
	if _, err := memo.Get(t.Context(), db, 1, func(*Tx) (int, error) { return 7, boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = memo.Get(t.Context(), db, 1, func(*Tx) (int, error) { panic("boom") })
	}()
	got, err := memo.Get(t.Context(), db, 1, func(*Tx) (int, error) { return 8, nil })
	if got != 8 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestMemo_StaysBelowMax(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	memo := Memo[int, int]{Max: 16}
	for i := range 1000 {
		for range i%3 + 1 {
			got, err := memo.Get(t.Context(), db, i, func(*Tx) (int, error) { return -i, nil })
			if got != -i || err != nil {
				t.Fatalf("%d: got %v, %v", i, got, err)
			}
		}
		s := memo.state.Load()
		if n := len(*s.settled.Load()) + len(s.fresh); n > 16 {
			t.Fatalf("%d entries", n)
		}
	}
}

func TestMemo_ConcurrentCallersShareOneLoad(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	var memo Memo[string, int]
	var loads atomic.Int64
	entered, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	get := func() {
		got, err := memo.Get(t.Context(), db, "key", func(*Tx) (int, error) {
			if loads.Add(1) == 1 {
				close(entered)
			}
			<-leave
			return 42, nil
		})
		if got != 42 || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	wg.Go(get)
	<-entered
	for range 20 {
		wg.Go(get)
	}
	close(leave)
	wg.Wait()
	if loads.Load() != 1 {
		t.Errorf("%d loads", loads.Load())
	}
}

func TestMemo_WaitersSurviveACancelledLeader(t *testing.T) {
	db := openTest(t, newDSN(t, "sqlite"), Options{})
	var memo Memo[string, int]
	leaderCtx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	leader := make(chan error, 1)
	go func() {
		_, err := memo.Get(leaderCtx, db, "key", func(tx *Tx) (int, error) {
			close(entered)
			<-leave
			_, _, err := tx.Meta("x") // notices the context
			return 1, err
		})
		leader <- err
	}()
	<-entered
	type result struct {
		value int
		err   error
	}
	waiter := make(chan result, 1)
	go func() {
		v, err := memo.Get(t.Context(), db, "key", func(*Tx) (int, error) { return 2, nil })
		waiter <- result{v, err}
	}()
	impatient, give := context.WithCancel(t.Context())
	give()
	if _, err := memo.Get(impatient, db, "key", func(*Tx) (int, error) { return 3, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("impatient: %v", err)
	}
	cancel()
	close(leave)
	if err := <-leader; !errors.Is(err, context.Canceled) {
		t.Errorf("leader: %v", err)
	}
	if got := <-waiter; got.value != 2 || got.err != nil {
		t.Errorf("waiter: %+v", got)
	}
}

// A writer that has seen its Update return must never read the older value,
// however its commit raced with loads.
func TestMemo_NeverStaleAfterAWrite(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		var memo Memo[string, int]
		var committed atomic.Int64 // the newest value whose Update has returned
		load := func(tx *Tx) (n int, err error) {
			found, err := tx.RepositoriesByID(repos[0].ID)
			if err == nil && found[0].Description != "" {
				_, err = fmt.Sscan(found[0].Description, &n)
			}
			return n, err
		}
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					least := committed.Load()
					got, err := memo.Get(t.Context(), db, "x", load)
					if err != nil || int64(got) < least {
						t.Errorf("got %d, %v after %d was committed", got, err, least)
						return
					}
				}
			})
		}
		for i := range 150 {
			update(t, db, func(tx *Tx) error { return tx.SetDescription(repos[0].ID, fmt.Sprint(i+1)) })
			committed.Store(int64(i + 1))
		}
		close(stop)
		readers.Wait()
	})
}

func TestFailed_ClassifiesDriverErrors(t *testing.T) {
	path := newDSN(t, "sqlite")
	one := openTest(t, path, Options{})
	if _, ok := one.engine.(*sqliteEngine); !ok {
		t.Fatalf("engine %T", one.engine)
	}
	err := one.Update(t.Context(), func(tx *Tx) error {
		if _, err := tx.exec("CREATE TABLE filler (x TEXT)"); err != nil {
			return err
		}
		var pages int
		if _, err := tx.one("PRAGMA page_count", nil, &pages); err != nil {
			return err
		}
		var got int
		if _, err := tx.one(fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil, &got); err != nil {
			return err
		}
		for range 100 {
			if _, err := tx.exec("INSERT INTO filler (x) VALUES ($1)", string(make([]byte, 4000))); err != nil {
				return err
			}
		}
		return nil
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a full disk: got %v, want unavailable", err)
	}
	update(t, one, func(tx *Tx) error {
		var got int
		_, err := tx.one("PRAGMA max_page_count = 1000000", nil, &got)
		return err
	})
	update(t, one, func(tx *Tx) error { return tx.SetMeta("works", "again") })
}
