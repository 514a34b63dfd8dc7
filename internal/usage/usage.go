// Package usage counts what is done with packages: downloads, cache hits and
// misses, bytes served and saved, errors, by repository and by version.
//
// Count is on the way of every request: it adds to numbers in memory under one
// short lock. One goroutine writes what has come together into the catalog,
// each second, in transactions that are not counted twice when they are tried
// again. What changes what is stored (publishes, deletes, bytes) is not counted
// here but in the transactions that change it; this goroutine folds it.
//
// The surprise: memory is bounded by forgetting detail, never totals. When more
// versions than MaxVersions are used between two flushes, further ones are
// counted for their repository alone, and Stats tells how many.
package usage

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
)

// Options are what a Ledger works with. DB is required.
type Options struct {
	DB          *catalog.DB
	Every       time.Duration    // between two flushes, default 1 s
	MaxVersions int              // versions counted apart between two flushes, default 65,536
	Now         func() time.Time // default time.Now
	Logger      *slog.Logger     // default slog.Default()
}

// Kind is what a request was answered with.
type Kind uint8

// The kinds.
const (
	Other    Kind = iota // neither of these: a search, a publish, an error
	Asset                // a file of a version
	Document             // what a client reads of a package
)

// Request is one answered request as far as it is counted. The zero value is
// one about no repository, which is not.
type Request struct {
	DomainID, RepositoryID    string
	Owner, Domain, Repository string // their names, for metrics
	Package                   artifact.Coordinates
	Version                   string
	Kind                      Kind
	Fetched                   bool // from outside, to be answered
	External                  bool // what it was answered with has come from outside, now or before
	Download                  bool // of the whole asset, should it end well

	// What the outermost handler knows.
	Status  int
	Out     int64 // bytes of the answer's body
	Aborted bool  // it was broken off
}

// counts says what a request counts for.
func (r *Request) counts() catalog.Counts {
	c := catalog.Counts{Requests: 1, Bytes: r.Out}
	switch {
	case r.Status >= 500:
		c.Errors = 1
	case r.Status >= 400:
		c.Refused = 1
	}
	if r.Kind == Other || r.Status >= 400 {
		return c
	}
	if r.Fetched {
		c.Misses = 1
	} else {
		c.Hits = 1
		if r.External {
			c.Saved = r.Out
		}
	}
	if r.Download && r.Status < 300 && !r.Aborted {
		c.Downloads = 1
	}
	return c
}

// versionKey names a version as asked for at a repository.
type versionKey struct {
	repository string
	c          artifact.Coordinates
	version    string
}

// Total is what a repository was counted since the start of the process.
type Total struct {
	Owner, Domain, Repository string
	catalog.Counts
}

// repository is what is counted of one.
type repository struct {
	id, domain string
	fresh      catalog.Counts // since the last flush
	total      *Total
}

// Ledger counts. It is safe for concurrent use.
type Ledger struct {
	opt  Options
	log  *slog.Logger
	node string

	mu           sync.Mutex
	repositories map[string]*repository
	touched      []*repository // those with something fresh
	versions     map[versionKey]*catalog.VersionUse
	spare        map[versionKey]*catalog.VersionUse
	totals       []*Total // of at most maxTotals repositories, the last one for all others

	crowded atomic.Int64 // requests not counted for their version
	full    chan struct{}

	flushing sync.Mutex // held while the fields below are used
	number   int64
	waiting  []catalog.UsageFlush // cut and not written yet
	failing  bool

	stop     chan struct{}
	finished chan struct{}
}

const (
	maxTotals  = 2000 // repositories that metrics show apart
	flushRows  = 256  // versions that one transaction writes: others wait for it
	foldRows   = 512  // deltas that one transaction folds
	maxWaiting = 256  // parts that wait for a database that fails; then they are joined without their versions
)

// Open starts the writing goroutine; Close ends it.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	o.Every = cmp.Or(o.Every, time.Second)
	o.MaxVersions = cmp.Or(o.MaxVersions, 64<<10)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := o.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.BeginUsage() }); err != nil {
		return nil, err
	}
	l := &Ledger{
		opt: o, log: o.Logger, node: rand.Text(),
		repositories: map[string]*repository{}, versions: map[versionKey]*catalog.VersionUse{}, spare: map[versionKey]*catalog.VersionUse{},
		full: make(chan struct{}, 1), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	if err := Fold(ctx, o.DB); err != nil { // what the process before this one left
		return nil, err
	}
	go l.run(context.WithoutCancel(ctx))
	return l, nil
}

// Close writes what is in memory and ends the goroutine. Nothing may be counted
// afterwards.
func (l *Ledger) Close() error {
	close(l.stop)
	<-l.finished
	return l.Flush(context.Background())
}

// Count adds a request. It keeps neither r nor text of it.
func (l *Ledger) Count(r *Request) {
	if r.RepositoryID == "" {
		return
	}
	c := r.counts()
	named := r.Kind != Other && r.Status < 400 && r.Package.Name != ""
	l.mu.Lock()
	repo := l.repositories[r.RepositoryID]
	if repo == nil {
		repo = l.meet(r)
	}
	if repo.fresh.Requests == 0 {
		l.touched = append(l.touched, repo)
	}
	repo.fresh.Add(c)
	repo.total.Add(c)
	crowded := named && !l.countVersion(r, c)
	l.mu.Unlock()
	if crowded {
		l.crowded.Add(1)
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}

// countVersion tells whether there was room. l.mu is held.
func (l *Ledger) countVersion(r *Request, c catalog.Counts) bool {
	version := r.Version
	if r.Kind == Document { // of all versions
		version = ""
	}
	k := versionKey{r.RepositoryID, r.Package, version}
	v := l.versions[k]
	if v == nil {
		if len(l.versions) >= l.opt.MaxVersions {
			return false
		}
		k = k.clone()
		v = &catalog.VersionUse{RepositoryID: k.repository, Coordinates: k.c, Version: k.version}
		l.versions[k] = v
	}
	v.Downloads += c.Downloads
	v.Hits += c.Hits
	v.Misses += c.Misses
	v.Bytes += c.Bytes
	v.Saved += c.Saved
	if c.Downloads > 0 {
		v.Last = l.opt.Now()
	}
	return true
}

func (k versionKey) clone() versionKey {
	return versionKey{
		strings.Clone(k.repository),
		artifact.Coordinates{Format: artifact.Format(strings.Clone(string(k.c.Format))), Namespace: strings.Clone(k.c.Namespace), Name: strings.Clone(k.c.Name)},
		strings.Clone(k.version),
	}
}

// meet makes the counters of a repository. l.mu is held.
func (l *Ledger) meet(r *Request) *repository {
	repo := &repository{id: strings.Clone(r.RepositoryID), domain: strings.Clone(r.DomainID)}
	switch {
	case len(l.totals) < maxTotals:
		repo.total = &Total{Owner: strings.Clone(r.Owner), Domain: strings.Clone(r.Domain), Repository: strings.Clone(r.Repository)}
		l.totals = append(l.totals, repo.total)
	case len(l.totals) == maxTotals:
		repo.total = &Total{Owner: "other", Domain: "other", Repository: "other"}
		l.totals = append(l.totals, repo.total)
	default:
		repo.total = l.totals[maxTotals]
	}
	l.repositories[repo.id] = repo
	return repo
}

// Totals are what repositories were counted since the start: at most some
// thousand, the rest together under the name other.
func (l *Ledger) Totals() []Total {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Total, len(l.totals))
	for i, t := range l.totals {
		out[i] = *t
	}
	return out
}

// Stats are counted since the start.
type Stats struct {
	Waiting int64 // versions and repositories in memory with something that is not written
	Crowded int64 // requests that were counted for their repository, not for their version
}

// Stats tells how the ledger is.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Waiting: int64(len(l.touched) + len(l.versions)), Crowded: l.crowded.Load()}
}

// run is the writing goroutine.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.finished)
	tick := time.NewTicker(l.opt.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.full:
		case <-l.stop:
			return
		}
		_ = l.Flush(ctx) // it has told the log
	}
}

// Flush writes what was counted before it was called, and folds what
// transactions have done to the totals.
func (l *Ledger) Flush(ctx context.Context) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	err := l.flush(ctx)
	if failing := err != nil; failing != l.failing {
		l.failing = failing
		if failing {
			l.log.ErrorContext(ctx, "write usage; it waits in memory", slog.Any("error", err))
		} else {
			l.log.InfoContext(ctx, "usage is written again")
		}
	}
	return err
}

func (l *Ledger) flush(ctx context.Context) error {
	l.cut()
	for len(l.waiting) > 0 {
		if err := l.opt.DB.Update(ctx, func(tx *catalog.Tx) error { return tx.RecordUsage(l.waiting[0]) }); err != nil {
			return err
		}
		l.waiting = l.waiting[1:]
	}
	l.waiting = nil
	if !l.opt.DB.UsageWaits() {
		return nil
	}
	return Fold(ctx, l.opt.DB)
}

// Fold takes all that transactions have done to the totals into them.
func Fold(ctx context.Context, db *catalog.DB) error {
	for {
		n := 0
		err := db.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.FoldUsage(foldRows)
			return err
		})
		if err != nil || n < foldRows {
			return err
		}
	}
}

// cut moves what has been counted to what waits, in parts that one transaction
// writes. l.flushing is held.
func (l *Ledger) cut() {
	l.mu.Lock()
	repositories := make([]catalog.RepositoryUse, 0, len(l.touched))
	for _, repo := range l.touched {
		repositories = append(repositories, catalog.RepositoryUse{DomainID: repo.domain, RepositoryID: repo.id, Counts: repo.fresh})
		repo.fresh = catalog.Counts{}
	}
	l.touched = l.touched[:0]
	used := l.versions
	l.versions, l.spare = l.spare, nil
	if l.versions == nil {
		l.versions = map[versionKey]*catalog.VersionUse{}
	}
	l.mu.Unlock()
	if len(repositories) == 0 {
		l.spare = used
		return
	}
	versions := make([]catalog.VersionUse, 0, len(used))
	for _, v := range used {
		versions = append(versions, *v)
	}
	if len(used) < 4096 { // a map keeps the room of its largest day
		clear(used)
		l.mu.Lock()
		l.spare = used
		l.mu.Unlock()
	}
	// In one order, so that replicas that write the same rows wait for each other.
	slices.SortFunc(repositories, func(a, b catalog.RepositoryUse) int { return cmp.Compare(a.RepositoryID, b.RepositoryID) })
	slices.SortFunc(versions, func(a, b catalog.VersionUse) int {
		return cmp.Or(cmp.Compare(a.RepositoryID, b.RepositoryID), cmp.Compare(a.Coordinates.Namespace, b.Coordinates.Namespace),
			cmp.Compare(a.Coordinates.Name, b.Coordinates.Name), cmp.Compare(a.Version, b.Version))
	})
	if len(l.waiting) >= maxWaiting { // the database has been away for minutes
		l.crowd(repositories)
		return
	}
	at := l.opt.Now()
	for first := true; first || len(versions) > 0; first = false {
		n := min(len(versions), flushRows)
		l.number++
		f := catalog.UsageFlush{Node: l.node, Number: l.number, At: at, Versions: versions[:n]}
		versions = versions[n:]
		if first {
			f.Repositories = repositories
		}
		l.waiting = append(l.waiting, f)
	}
}

// crowd keeps the totals of a flush there is no room for, with those of the
// last one. The first of those that wait is not touched: it may have been
// written.
func (l *Ledger) crowd(repositories []catalog.RepositoryUse) {
	last := &l.waiting[len(l.waiting)-1]
	for _, r := range repositories {
		l.crowded.Add(r.Requests)
		at := slices.IndexFunc(last.Repositories, func(o catalog.RepositoryUse) bool { return o.RepositoryID == r.RepositoryID })
		if at < 0 {
			last.Repositories = append(last.Repositories, r)
			continue
		}
		last.Repositories[at].Add(r.Counts)
	}
}
