package catalog

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
)

// Memo remembers what was derived from Config rows, by key, for as long as no
// Config change happens. The zero value is ready; Max may be set before first
// use. Safe for concurrent use.
//
// A hit takes no lock and allocates nothing: entries live in a map that is never
// written once readers see it. Whatever was loaded belongs to the Generation
// that held before the load began, so a load that raced with a commit is dropped
// with that generation.
type Memo[K comparable, V any] struct {
	Max   int // entries; default 4096. When they are reached all are forgotten.
	mu    sync.Mutex
	state atomic.Pointer[memoState[K, V]]
}

// memoState holds the entries of one generation.
type memoState[K comparable, V any] struct {
	generation uint64
	settled    atomic.Pointer[map[K]V] // read without lock, never written

	mu      sync.Mutex
	fresh   map[K]V // not settled yet
	late    int     // hits in fresh since entries settled last
	flights map[K]*memoFlight[V]
}

type memoFlight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

var errLoadAborted = errors.New("the load of a remembered value did not return")

// Get returns the value of key as of the current Generation, from memory or from
// load, which runs in a View of db. Callers that ask for one key at once share
// one load. Errors are not remembered. Values are shared: do not change them.
func (m *Memo[K, V]) Get(ctx context.Context, db *DB, key K, load func(*Tx) (V, error)) (V, error) {
	if s := m.state.Load(); s != nil && s.generation == db.Generation() {
		if v, ok := (*s.settled.Load())[key]; ok {
			return v, nil
		}
	}
	for {
		s := m.current(db)
		v, ok, flight, mine := s.lookup(key, m.limit())
		if ok {
			return v, nil
		}
		if mine {
			return m.fly(ctx, db, s, key, flight, load)
		}
		select {
		case <-flight.done:
		case <-ctx.Done():
			var zero V
			return zero, context.Cause(ctx)
		}
		if !abandoned(flight.err) {
			return flight.value, flight.err
		}
	}
}

// abandoned tells whether a load ended because of who ran it, not of what it found.
func abandoned(err error) bool {
	return errors.Is(err, errLoadAborted) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (m *Memo[K, V]) limit() int {
	if m.Max > 0 {
		return m.Max
	}
	return 4096
}

// current is the state of the current generation.
func (m *Memo[K, V]) current(db *DB) *memoState[K, V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := db.Generation()
	s := m.state.Load()
	if s == nil || s.generation != g {
		s = &memoState[K, V]{generation: g, fresh: map[K]V{}, flights: map[K]*memoFlight[V]{}}
		s.settled.Store(&map[K]V{})
		m.state.Store(s)
	}
	return s
}

// lookup finds the value, or the load that is under way, or begins one that is
// the caller's to run (mine).
func (s *memoState[K, V]) lookup(key K, limit int) (v V, ok bool, flight *memoFlight[V], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	settled := *s.settled.Load()
	if v, ok := settled[key]; ok {
		return v, true, nil, false
	}
	if v, ok := s.fresh[key]; ok {
		// Copying the map costs; do it when as many hits have paid for it.
		if s.late++; s.late >= (len(settled)+len(s.fresh))/4 {
			all := make(map[K]V, len(settled)+len(s.fresh))
			maps.Copy(all, settled)
			maps.Copy(all, s.fresh)
			s.settled.Store(&all)
			s.fresh, s.late = map[K]V{}, 0
		}
		return v, true, nil, false
	}
	if f, ok := s.flights[key]; ok {
		return v, false, f, false
	}
	if len(settled)+len(s.fresh) >= limit {
		s.settled.Store(&map[K]V{})
		s.fresh, s.late = map[K]V{}, 0
	}
	f := &memoFlight[V]{done: make(chan struct{}), err: errLoadAborted}
	s.flights[key] = f
	return v, false, f, true
}

// fly runs load and tells those who wait, even if it panics.
func (m *Memo[K, V]) fly(ctx context.Context, db *DB, s *memoState[K, V], key K, f *memoFlight[V], load func(*Tx) (V, error)) (V, error) {
	defer func() {
		s.mu.Lock()
		delete(s.flights, key)
		if f.err == nil {
			s.fresh[key] = f.value
		}
		s.mu.Unlock()
		close(f.done)
	}()
	var value V
	err := db.View(ctx, func(tx *Tx) (err error) {
		value, err = load(tx)
		return err
	})
	f.value, f.err = value, err
	return value, err
}
