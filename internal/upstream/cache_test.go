package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// memStore is a Store in memory.
type memStore struct {
	mu      sync.Mutex
	records map[string]Record
	bodies  map[string][]byte
	slow    time.Duration // how long after it looked Load answers
}

func newMemStore() *memStore {
	return &memStore{records: map[string]Record{}, bodies: map[string][]byte{}}
}

func (m *memStore) Load(_ context.Context, source string, c artifact.Coordinates) (Record, bool, error) {
	m.mu.Lock()
	r, ok := m.records[source+c.String()]
	slow := m.slow
	m.slow = 0
	m.mu.Unlock()
	time.Sleep(slow)
	return r, ok, nil
}

func (m *memStore) Save(_ context.Context, r Record, body []byte) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if body != nil {
		sum := sha256.Sum256(body)
		r.Body, r.Size = hex.EncodeToString(sum[:]), int64(len(body))
		m.bodies[r.Body] = body
	}
	m.records[r.Source+r.Coordinates.String()] = r
	return r, nil
}

func (m *memStore) Drop(_ context.Context, source string, c artifact.Coordinates) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, source+c.String())
	return nil
}

func (m *memStore) Read(_ context.Context, r Record) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.bodies[r.Body]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such body")
	}
	return b, nil
}

// fakeRemote answers List with whatever answer says.
type fakeRemote struct {
	asked  atomic.Int32
	answer func(prev Validator) (Document, error)
}

func (f *fakeRemote) List(_ context.Context, _ Get, _ artifact.Coordinates, prev Validator) (Document, error) {
	f.asked.Add(1)
	return f.answer(prev)
}

func (*fakeRemote) Parse(_ artifact.Coordinates, doc []byte) (*Listing, error) {
	if string(doc) == "<html>" {
		return nil, errors.New("not a document")
	}
	return &Listing{Versions: []ListedVersion{{Number: string(doc)}}}, nil
}

func (*fakeRemote) Locate(artifact.Coordinates, string, string, *Listing) (ListedAsset, error) {
	return ListedAsset{}, fault.New(fault.NotFound, "none")
}

var pkg = artifact.Coordinates{Format: artifact.NPM, Name: "left-pad"}

func newTest(t *testing.T, answer func(prev Validator) (Document, error)) (*Cache, *Source, *fakeRemote, *memStore) {
	t.Helper()
	store := newMemStore()
	remote := &fakeRemote{answer: answer}
	s := &Source{Key: "public:npmjs@1", Connection: artifact.Connection{Name: "public:npmjs", Format: artifact.NPM}, Remote: remote}
	c := NewCache(store, Lifetimes{}, time.Now, slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	return c, s, remote, store
}

func version(t *testing.T, c *Cache, s *Source, st State) string {
	t.Helper()
	l, err := c.Listing(t.Context(), s, st)
	if err != nil {
		t.Fatal(err)
	}
	return l.Versions[0].Number
}

func TestCache_FreshAnswerAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, remote, _ := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte("1.0.0")}, nil })
		for range 5 {
			st, err := c.Check(t.Context(), s, pkg)
			if err != nil || version(t, c, s, st) != "1.0.0" {
				t.Fatalf("got %+v, %v", st, err)
			}
		}
		if n := remote.asked.Load(); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
	})
}

func TestCache_ManyCallersShareOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, remote, _ := newTest(t, func(Validator) (Document, error) {
			time.Sleep(time.Second)
			return Document{Body: []byte("1.0.0")}, nil
		})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := c.Check(t.Context(), s, pkg); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := remote.asked.Load(); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
	})
}

// TestCache_LookThatOutlastsTheQuestion: who looked before the answer came and
// acts after it does not ask again.
func TestCache_LookThatOutlastsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, remote, store := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte("1.0.0")}, nil })
		store.slow = time.Second
		var wg sync.WaitGroup
		wg.Go(func() {
			if st, err := c.Check(t.Context(), s, pkg); err != nil || version(t, c, s, st) != "1.0.0" {
				t.Errorf("got %+v, %v", st, err)
			}
		})
		synctest.Wait()
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if n := remote.asked.Load(); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
	})
}

func TestCache_ExpiredAnswerIsServedWhileItIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "1.0.0"
		c, s, remote, _ := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte(body)}, nil })
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		body = "2.0.0"
		time.Sleep(11 * time.Minute)
		st, err := c.Check(t.Context(), s, pkg)
		if err != nil || version(t, c, s, st) != "1.0.0" {
			t.Fatalf("the expired answer was not served at once: %+v, %v", st, err)
		}
		synctest.Wait()
		st, err = c.Check(t.Context(), s, pkg)
		if err != nil || version(t, c, s, st) != "2.0.0" {
			t.Fatalf("the refreshed answer was not served: %+v, %v", st, err)
		}
		if n := remote.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

func TestCache_LongExpiredAnswerWaitsForTheRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "1.0.0"
		c, s, _, _ := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte(body)}, nil })
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		body = "2.0.0"
		time.Sleep(time.Hour)
		st, err := c.Check(t.Context(), s, pkg)
		if err != nil || version(t, c, s, st) != "2.0.0" {
			t.Fatalf("got %+v, %v; want the new document", st, err)
		}
	})
}

func TestCache_HangingRemoteGivesTheStaleAnswerWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := false
		c, s, _, _ := newTest(t, func(Validator) (Document, error) {
			if hang {
				time.Sleep(time.Minute)
				return Document{}, fault.New(fault.Upstream, "timed out")
			}
			return Document{Body: []byte("1.0.0")}, nil
		})
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		hang = true
		time.Sleep(24 * time.Hour)
		before := time.Now()
		st, err := c.Check(t.Context(), s, pkg)
		if err != nil || version(t, c, s, st) != "1.0.0" {
			t.Fatalf("got %+v, %v", st, err)
		}
		if waited := time.Since(before); waited > time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestCache_DownRemoteKeepsTheStaleAnswerAndIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		c, s, remote, _ := newTest(t, func(Validator) (Document, error) {
			if down {
				return Document{}, fault.New(fault.Upstream, "refused")
			}
			return Document{Body: []byte("1.0.0")}, nil
		})
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		down = true
		time.Sleep(24 * time.Hour)
		for range 10 {
			st, err := c.Check(t.Context(), s, pkg)
			if err != nil || version(t, c, s, st) != "1.0.0" || st.Stale == nil {
				t.Fatalf("got %+v, %v", st, err)
			}
		}
		if n := remote.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2: one failure covers the next seconds", n)
		}
	})
}

func TestCache_ConfirmedDocumentIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _, _ := newTest(t, func(prev Validator) (Document, error) {
			if prev.ETag == `"a"` {
				return Document{}, ErrNotModified
			}
			return Document{Body: []byte("1.0.0"), Validator: Validator{ETag: `"a"`}}, nil
		})
		first, err := c.Check(t.Context(), s, pkg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		second, err := c.Check(t.Context(), s, pkg)
		if err != nil || second.Body != first.Body || !second.FreshUntil.After(time.Now()) {
			t.Fatalf("got %+v, %v", second, err)
		}
	})
}

func TestCache_UnknownPackageIsAskedForOncePerLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, remote, _ := newTest(t, func(Validator) (Document, error) { return Document{}, fault.New(fault.NotFound, "no such package") })
		for range 3 {
			st, err := c.Check(t.Context(), s, pkg)
			if err != nil || st.Found() {
				t.Fatalf("got %+v, %v", st, err)
			}
		}
		time.Sleep(61 * time.Second)
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		if n := remote.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want once per minute", n)
		}
	})
}

func TestCache_UnreadableDocumentDoesNotReplaceAGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "1.0.0"
		c, s, _, store := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte(body)}, nil })
		if _, err := c.Check(t.Context(), s, pkg); err != nil {
			t.Fatal(err)
		}
		body = "<html>"
		time.Sleep(time.Hour)
		st, err := c.Check(t.Context(), s, pkg)
		if err != nil || version(t, c, s, st) != "1.0.0" {
			t.Fatalf("got %+v, %v", st, err)
		}
		if rec, _, _ := store.Load(t.Context(), s.Key, pkg); rec.Body != st.Body {
			t.Error("the unreadable document was stored")
		}
	})
}

func TestCache_UnreadableFirstDocumentIsTheRemotesFault(t *testing.T) {
	c, s, _, _ := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte("<html>")}, nil })
	if _, err := c.Check(t.Context(), s, pkg); !fault.Is(err, fault.Upstream) {
		t.Fatalf("got %v", err)
	}
}

func TestCache_RefusedCredentialsAreNotTheClients(t *testing.T) {
	c, s, _, _ := newTest(t, func(Validator) (Document, error) { return Document{}, fault.New(fault.Unauthenticated, "401") })
	if _, err := c.Check(t.Context(), s, pkg); !fault.Is(err, fault.Upstream) {
		t.Fatalf("got %v", err)
	}
}

func TestCache_AnswersSurviveARestart(t *testing.T) {
	c, s, remote, store := newTest(t, func(Validator) (Document, error) { return Document{Body: []byte("1.0.0")}, nil })
	if _, err := c.Check(t.Context(), s, pkg); err != nil {
		t.Fatal(err)
	}
	again := NewCache(store, Lifetimes{}, time.Now, slog.New(slog.DiscardHandler))
	defer again.Close()
	st, err := again.Check(t.Context(), s, pkg)
	if err != nil || version(t, again, s, st) != "1.0.0" {
		t.Fatalf("got %+v, %v", st, err)
	}
	if n := remote.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}
