package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/flight"
)

// Source is one remote as the cache sees it.
type Source struct {
	Key        string // names the remote in the store: changes when its address does
	Connection artifact.Connection
	Remote     Remote
	Get        Get
}

// Record is what the store keeps of a remote's document.
type Record struct {
	Source      string
	Coordinates artifact.Coordinates
	Validator
	Body    string // names the document's bytes: their SHA-256 in hex; empty: the remote has no such package
	Size    int64
	Checked time.Time // when the remote last confirmed it
}

// Found tells whether the remote has the package.
func (r Record) Found() bool { return r.Body != "" }

// Store keeps remote documents over restarts.
type Store interface {
	// Load gives the record of a document; found is false when there is none.
	Load(ctx context.Context, source string, c artifact.Coordinates) (rec Record, found bool, err error)
	// Save writes r. body is nil when only the validator or time changed;
	// otherwise Save stores it and answers with Body and Size set.
	Save(ctx context.Context, r Record, body []byte) (Record, error)
	// Drop forgets a document.
	Drop(ctx context.Context, source string, c artifact.Coordinates) error
	// Read gives a document's bytes.
	Read(ctx context.Context, r Record) ([]byte, error)
}

// State is what is known about one package at one remote, and for how long it
// needs no further question.
type State struct {
	Record
	FreshUntil time.Time
	// Stale is why the remote could not confirm the document; nil when it did.
	Stale error
	// Asked says that the remote was asked for this very answer.
	Asked bool

	listing *Listing // of a document that has just come, for who waited for it
}

// Lifetimes say how long answers are trusted. Zero values take the defaults.
type Lifetimes struct {
	Metadata   time.Duration // a document is fresh for this long, default 10 minutes
	Negative   time.Duration // so is the answer that a package does not exist, default 60 s
	Revalidate time.Duration // past Metadata, a document is served at once while it is refreshed behind, default 10 minutes
	Patience   time.Duration // past that too, a client waits this long for the refresh, default 500 ms
	Retry      time.Duration // after a failure the stale answer counts as fresh for this long, default 5 s
}

func (l Lifetimes) orDefaults() Lifetimes {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&l.Metadata, 10 * time.Minute},
		{&l.Negative, time.Minute},
		{&l.Revalidate, 10 * time.Minute},
		{&l.Patience, 500 * time.Millisecond},
		{&l.Retry, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return l
}

// Cache answers what remotes say about packages. It is safe for concurrent use.
type Cache struct {
	life   Lifetimes
	store  Store
	now    func() time.Time
	log    *slog.Logger
	states *otter.Cache[key, State]
	parsed *otter.Cache[string, *Listing]
	checks flight.Group[key, State]
	files  flight.Group[key, []byte]
}

type key struct {
	source string
	c      artifact.Coordinates
}

const (
	maxStates      = 20_000   // remembered packages, about 300 bytes each
	maxParsedBytes = 12 << 20 // raw bytes of documents kept parsed
	parsedFor      = 20 * time.Second
	refreshTimeout = 90 * time.Second
)

// NewCache makes a cache over store.
func NewCache(store Store, life Lifetimes, now func() time.Time, log *slog.Logger) *Cache {
	c := &Cache{life: life.orDefaults(), store: store, now: now, log: log}
	c.states = otter.Must(&otter.Options[key, State]{MaximumSize: maxStates})
	c.parsed = otter.Must(&otter.Options[string, *Listing]{
		MaximumWeight:    maxParsedBytes,
		Weigher:          func(_ string, l *Listing) uint32 { return uint32(min(l.size, maxParsedBytes+1)) },
		ExpiryCalculator: otter.ExpiryAccessing[string, *Listing](parsedFor),
	})
	c.checks.Timeout, c.files.Timeout = refreshTimeout, refreshTimeout
	return c
}

// Close cuts off refreshes under way.
func (c *Cache) Close() {
	c.checks.Close()
	c.files.Close()
	c.parsed.StopAllGoroutines()
}

// Check gives the current state of a package at a remote, asking the remote
// only when the last answer has expired, once for any number of callers. When
// the remote fails and an older document is known, that is the answer, with
// Stale saying why. Errors are fault.Upstream; that the remote has no such
// package is not an error but a State that is not Found.
func (c *Cache) Check(ctx context.Context, s *Source, coords artifact.Coordinates) (State, error) {
	k := key{s.Key, coords}
	st, known := c.states.GetIfPresent(k)
	if !known {
		rec, found, err := c.store.Load(ctx, s.Key, coords)
		if err != nil {
			return State{}, fmt.Errorf("load remote document: %w", err)
		}
		if found {
			st, known = State{Record: rec, FreshUntil: rec.Checked.Add(c.life.Metadata)}, true
			c.states.Set(k, st)
		}
	}
	now := c.now()
	if known && now.Before(st.FreshUntil) {
		return st, nil
	}
	refresh := func(ctx context.Context) (State, error) {
		// Another check may have ended between the look above and this one's start.
		if cur, ok := c.states.GetIfPresent(k); ok {
			if c.now().Before(cur.FreshUntil) {
				return cur, nil
			}
			return c.refresh(ctx, s, coords, cur)
		}
		return c.refresh(ctx, s, coords, st)
	}
	if !known || !st.Found() {
		return c.checks.Do(ctx, k, refresh)
	}
	stale := st
	if now.Sub(st.Checked) < c.life.Metadata+c.life.Revalidate {
		c.checks.Start(ctx, k, refresh)
	} else if fresh, done, err := c.checks.DoFor(ctx, c.life.Patience, k, refresh); done && err == nil {
		return fresh, nil
	}
	// Let the next callers look again soon, when the refresh has ended.
	stale.FreshUntil = now.Add(min(time.Second, c.life.Metadata))
	return stale, nil
}

// Refresh asks the remote now, however fresh the last answer is.
func (c *Cache) Refresh(ctx context.Context, s *Source, coords artifact.Coordinates) (State, error) {
	k := key{s.Key, coords}
	st, _ := c.states.GetIfPresent(k)
	return c.checks.Do(ctx, k, func(ctx context.Context) (State, error) { return c.refresh(ctx, s, coords, st) })
}

func (c *Cache) refresh(ctx context.Context, s *Source, coords artifact.Coordinates, prev State) (State, error) {
	k := key{s.Key, coords}
	st, err := c.ask(ctx, s, coords, prev)
	if err == nil {
		kept := st
		kept.listing = nil // a large document stays no longer than its first readers need it
		c.states.Set(k, kept)
		st.Asked = true
		return st, nil
	}
	if !errors.Is(context.Cause(ctx), flight.ErrClosed) {
		c.log.WarnContext(ctx, "remote did not answer", slog.String("connection", s.Connection.Name), slog.String("package", coords.String()),
			slog.Bool("stale", prev.Found()), slog.Any("error", err))
	}
	err = outside(s, err)
	if !prev.Found() {
		return State{}, err
	}
	prev.Stale = err
	prev.FreshUntil = c.now().Add(c.life.Retry)
	c.states.Set(k, prev)
	return prev, nil
}

func (c *Cache) ask(ctx context.Context, s *Source, coords artifact.Coordinates, prev State) (State, error) {
	doc, err := s.Remote.List(ctx, s.Get, coords, prev.Validator)
	now := c.now()
	rec := Record{Source: s.Key, Coordinates: coords, Validator: doc.Validator, Checked: now}
	switch {
	case errors.Is(err, ErrNotModified) && prev.Found():
		rec = prev.Record
		rec.Checked = now
		rec, err = c.store.Save(ctx, rec, nil)
		return State{Record: rec, FreshUntil: now.Add(c.life.Metadata)}, err
	case fault.Is(err, fault.NotFound):
		if prev.Found() {
			if err := c.store.Drop(ctx, s.Key, coords); err != nil {
				return State{}, err
			}
		}
		return State{Record: rec, FreshUntil: now.Add(c.life.Negative)}, nil
	case err != nil:
		return State{}, err
	}
	// A document that cannot be read must not replace one that can.
	l, err := c.parse(s, coords, doc.Body)
	if err != nil {
		return State{}, err
	}
	rec, err = c.store.Save(ctx, rec, doc.Body)
	if err != nil {
		return State{}, fmt.Errorf("keep remote document: %w", err)
	}
	c.keep(rec, l)
	return State{Record: rec, FreshUntil: now.Add(c.life.Metadata), listing: l}, nil
}

// Listing reads the document of a state that is Found.
func (c *Cache) Listing(ctx context.Context, s *Source, st State) (*Listing, error) {
	if st.listing != nil {
		return st.listing, nil
	}
	if l, ok := c.parsed.GetIfPresent(parsedKey(st.Record)); ok {
		return l, nil
	}
	body, err := c.store.Read(ctx, st.Record)
	if err != nil {
		return nil, fmt.Errorf("read remote document: %w", err)
	}
	l, err := c.parse(s, st.Coordinates, body)
	if err != nil {
		return nil, err
	}
	c.keep(st.Record, l)
	return l, nil
}

// Forget drops what is remembered in memory about a state whose bytes turned
// out to be gone, so that the next Check asks the remote.
func (c *Cache) Forget(ctx context.Context, s *Source, coords artifact.Coordinates) error {
	c.states.Invalidate(key{s.Key, coords})
	return c.store.Drop(ctx, s.Key, coords)
}

// maxFile bounds what File keeps, in bytes.
const maxFile = 16 << 20

// File gives a small file that belongs to an asset of a package and never
// changes, such as the metadata of a wheel. It is asked for once and kept.
// NotFound when the remote has none, else fault.Upstream.
func (c *Cache) File(ctx context.Context, s *Source, coords artifact.Coordinates, a ListedAsset) ([]byte, error) {
	coords.Name += "/" + a.Name // no name of a package has a slash
	return c.files.Do(ctx, key{s.Key, coords}, func(ctx context.Context) ([]byte, error) {
		rec, found, err := c.store.Load(ctx, s.Key, coords)
		if err != nil {
			return nil, fmt.Errorf("load remote file: %w", err)
		}
		if found {
			if body, err := c.store.Read(ctx, rec); err == nil {
				return body, nil
			} // swept away: it is asked for again
		}
		body, err := fetchFile(ctx, s, a)
		if err != nil {
			if a.Guessed && fault.Is(err, fault.NotFound) {
				return nil, err
			}
			return nil, outside(s, err)
		}
		rec = Record{Source: s.Key, Coordinates: coords, Checked: c.now()}
		if _, err := c.store.Save(ctx, rec, body); err != nil {
			return nil, fmt.Errorf("keep remote file: %w", err)
		}
		return body, nil
	})
}

func fetchFile(ctx context.Context, s *Source, a ListedAsset) ([]byte, error) {
	want, err := digest.ParseSRI(a.Integrity)
	if a.Integrity != "" && err != nil {
		return nil, fmt.Errorf("integrity of %s: %w", a.Name, err)
	}
	res, err := s.Get(ctx, a.URL, http.Header{"Accept": {"*/*"}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Upstream, "%s answered %d where %s belongs", s.Connection.Name, res.StatusCode, a.Name)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxFile {
		return nil, fault.New(fault.Upstream, "%s is larger than %d bytes", a.Name, maxFile)
	}
	if a.Integrity != "" {
		if err := want.Verify(digest.Of(body)); err != nil {
			return nil, fault.Wrap(fault.Upstream, err, "%s sent %s with other bytes than it lists", s.Connection.Name, a.Name)
		}
	}
	return body, nil
}

func (c *Cache) parse(s *Source, coords artifact.Coordinates, body []byte) (*Listing, error) {
	l, err := s.Remote.Parse(coords, body)
	if err != nil {
		return nil, fault.Wrap(fault.Upstream, err, "%s sent a document about %s that cannot be read", s.Connection.Name, coords)
	}
	l.size = int64(len(body))
	return l, nil
}

func (c *Cache) keep(rec Record, l *Listing) {
	if l.size <= maxParsedBytes/4 {
		c.parsed.Set(parsedKey(rec), l)
	}
}

// parsedKey: equal bytes read for different packages are different listings.
func parsedKey(r Record) string { return r.Coordinates.String() + " " + r.Body }

// outside makes any failure of a remote one that the client reads as the
// remote's, not its own: a remote refusing our credentials is not a 401 here.
func outside(s *Source, err error) error {
	switch fault.Of(err) {
	case fault.Upstream, fault.Unavailable, fault.Throttled:
		return err
	case fault.Internal:
		return fault.Wrap(fault.Upstream, err, "%s did not answer; try again later", s.Connection.Name)
	default:
		return fault.Wrap(fault.Upstream, err, "%s: %s", s.Connection.Name, fault.Message(err))
	}
}
