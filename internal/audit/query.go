package audit

import (
	"bytes"
	"context"
	"slices"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/policy"
)

// Record is one record as it is shown.
type Record struct {
	ID   ID
	Time time.Time

	Kind       policy.PrincipalType
	ARN        string
	Account    string
	UserID     string
	UserName   string
	RoleARN    string
	KeyID      string
	Began      time.Time // of the session; zero without one
	Token      bool      // the caller had a token for packages
	Client     string
	Agent      string
	Source     string
	Event      string
	Method     string
	ReadOnly   bool
	Repository artifact.RepositoryID // parts may be empty
	// Administrator is the account of the repository, or of the role that was to
	// be assumed, where known.
	Administrator string
	Package       artifact.Coordinates
	Version       string
	Path          string
	Parameters    string // JSON
	Response      string // JSON
	Status        int    // 0: unknown, the server stopped before it answered
	Code, Message string
}

// Query says which records are asked for: those about a domain, or those that an
// account receives, and of them those that are like every field that is set.
type Query struct {
	Account    string // the domain's owner, or the receiver
	Domain     string // empty: all that the account receives
	Principal  string // ARN of a user, a role's session, or a role for all its sessions
	Package    artifact.Coordinates
	Version    string // needs Package
	Repository string // needs Domain
	Event      string
	From, To   time.Time // zero: no bound; [From, To)
	After      Cursor
	Limit      int // of records, at least 1
}

// Cursor is a place in the order of a listing, from the newest record to the
// oldest. The zero value is the beginning.
type Cursor struct {
	At int64 // microseconds
	ID ID
}

const (
	placesAtOnce = 16
	maxRead      = 48      // folded blocks read for one page
	endOfTime    = 1 << 52 // in microseconds: the year 144680
)

// List gives a page of records, newest first, and where the next one begins;
// more is false at the end. A page may be short, or empty, before the end: what
// is asked for may be rare.
func (t *Trail) List(ctx context.Context, q Query) (records []Record, next Cursor, more bool, err error) {
	if t.mayHold(&q) {
		if err := t.Flush(ctx); err != nil {
			return nil, Cursor{}, false, err
		}
	}
	l := lister{query: q, until: event{at: endOfTime}}
	if !q.To.IsZero() {
		l.until = event{at: q.To.UnixMicro()}
	}
	if after := (event{at: q.After.At, id: q.After.ID}); q.After != (Cursor{}) && after.compare(l.until) < 0 {
		l.until = after
	}
	until := time.UnixMicro(l.until.at)
	// Raw blocks before places: one that is folded in between is met twice, and not missed.
	var raw []catalog.AccessBlock
	err = t.opt.Records.View(ctx, func(tx *catalog.Tx) (err error) {
		raw, err = tx.RawAccess("", q.From, time.Time{}, 0)
		return err
	})
	if err != nil {
		return nil, Cursor{}, false, err
	}
	for _, r := range raw {
		if r.FirstAt.After(until) {
			continue
		}
		if o, err := open(r.Data); err == nil {
			l.take(o)
		}
	}
	var after catalog.AccessPlace
	for read := 0; ; {
		var places []catalog.AccessPlace
		err = t.opt.Records.View(ctx, func(tx *catalog.Tx) (err error) {
			places, err = tx.AccessPlaces(q.keys(), q.From, until, until.Add(maxSpan), after, placesAtOnce)
			return err
		})
		if err != nil {
			return nil, Cursor{}, false, err
		}
		for _, p := range places {
			if l.full(p.LastAt.UnixMicro()) {
				return l.page(false)
			}
			if read == maxRead {
				// Nothing newer than the end of this block has been left out.
				l.stop = min(p.LastAt.UnixMicro()+1, l.until.at)
				return l.page(true)
			}
			o, err := t.open(ctx, p)
			if err != nil {
				return nil, Cursor{}, false, err
			}
			if o != nil {
				l.take(o)
			}
			read++
			after = p
		}
		if len(places) < placesAtOnce {
			return l.page(false)
		}
	}
}

// maxWriting is how old a record gets while it is being written.
const maxWriting = time.Minute

// mayHold tells whether a page may have records that are not in the database
// yet. The first page has written them for those that follow: written again
// with each, the record of the page before would be a block of its own.
func (t *Trail) mayHold(q *Query) bool {
	if q.After != (Cursor{}) {
		return false
	}
	if q.To.IsZero() || q.To.After(t.opt.Now().Add(-maxWriting)) {
		return true
	}
	to := q.To.UnixMicro()
	t.mu.Lock()
	defer t.mu.Unlock()
	before := func(b *block) bool { return b.n > 0 && b.first < to }
	return before(t.current) || slices.ContainsFunc(t.full, before)
}

// keys are what a folded block must have, the rarest first.
func (q *Query) keys() []int64 {
	var keys []int64
	if q.Package.Name != "" && q.Domain != "" {
		if q.Version != "" {
			keys = append(keys, versionKey(q.Account, q.Domain, q.Package, q.Version))
		} else {
			keys = append(keys, packageKey(q.Account, q.Domain, q.Package))
		}
	}
	if q.Principal != "" {
		keys = append(keys, principalKey(q.Principal))
	}
	if q.Event != "" && q.Domain != "" {
		keys = append(keys, eventKey(q.Account, q.Domain, q.Event))
	}
	if q.Repository != "" {
		keys = append(keys, repositoryKey(q.Account, q.Domain, q.Repository))
	}
	if len(keys) > 0 {
		return keys
	}
	if q.Domain != "" {
		return []int64{domainKey(q.Account, q.Domain)}
	}
	return []int64{accountKey(q.Account)}
}

// lister collects the newest records that match.
type lister struct {
	query Query
	until event // records from here on are for other pages
	stop  int64 // microseconds; records before are for the next page
	// found is in order, each once and one more than a page at most, when it is
	// more than a page.
	found []found
}

type found struct {
	event
	who, what, outcome []byte
	own                bool // the rows do not keep their block in memory
}

// newer orders found records from the newest.
func newer(a, b found) int { return b.compare(a.event) }

// take adds the matching records of a block.
func (l *lister) take(o *opened) {
	q := &l.query
	whos := make([]bool, len(o.whos))
	mine := make([]bool, len(o.whos)) // called by the account that asks
	for i, row := range o.whos {
		w := readWho(row)
		whos[i] = q.Principal == "" || w.arn == q.Principal || w.roleARN == q.Principal
		mine[i] = w.account == q.Account
	}
	whats := make([]bool, len(o.whats))
	ours := make([]bool, len(o.whats)) // about what is the account's
	for i, row := range o.whats {
		w := readWhat(row)
		whats[i] = q.matches(&w)
		ours[i] = w.administrator == q.Account || w.domain != "" && w.owner == q.Account
	}
	from := int64(0)
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	before := len(l.found)
	for _, e := range o.events {
		if !whats[e.what] || !whos[e.who] || e.at < from || e.compare(l.until) >= 0 || q.Domain == "" && !mine[e.who] && !ours[e.what] {
			continue
		}
		l.found = append(l.found, found{event: e, who: o.whos[e.who], what: o.whats[e.what], outcome: o.outcomes[e.outcome]})
	}
	if len(l.found) == before {
		return
	}
	if len(l.found) > l.query.Limit {
		l.sort()
		clear(l.found[min(len(l.found), l.query.Limit+1):])
		l.found = l.found[:min(len(l.found), l.query.Limit+1)]
	}
	for i := range l.found {
		if f := &l.found[i]; !f.own {
			f.who, f.what, f.outcome, f.own = bytes.Clone(f.who), bytes.Clone(f.what), bytes.Clone(f.outcome), true
		}
	}
}

// sort has what was found in order, each record once.
func (l *lister) sort() {
	slices.SortFunc(l.found, newer)
	l.found = slices.CompactFunc(l.found, func(a, b found) bool { return a.compare(b.event) == 0 })
}

func (q *Query) matches(w *what) bool {
	if q.Domain != "" && (w.owner != q.Account || w.domain != q.Domain) || q.Event != "" && w.event != q.Event || q.Repository != "" && w.repository != q.Repository {
		return false
	}
	if q.Package.Name != "" && w.c != q.Package {
		return false
	}
	return q.Version == "" || w.version == q.Version || slices.Contains(w.versions, q.Version)
}

// full tells whether blocks that end at a time, or before, have nothing for
// this page.
func (l *lister) full(at int64) bool {
	return len(l.found) > l.query.Limit && l.found[l.query.Limit].at > at
}

// page gives what was found. stopped says that older blocks have not been read.
func (l *lister) page(stopped bool) ([]Record, Cursor, bool, error) {
	l.sort()
	l.found = slices.DeleteFunc(l.found, func(f found) bool { return f.at < l.stop })
	more, next := stopped, Cursor{At: l.stop}
	if len(l.found) > l.query.Limit {
		l.found = l.found[:l.query.Limit]
		last := l.found[len(l.found)-1]
		more, next = true, Cursor{last.at, last.id}
	}
	records := make([]Record, len(l.found))
	for i, f := range l.found {
		records[i] = f.record()
	}
	return records, next, more, nil
}

func (f found) record() Record {
	w, a, o := readWho(f.who), readWhat(f.what), readOutcome(f.outcome)
	r := Record{
		ID: f.id, Time: time.UnixMicro(f.at).UTC(),
		Kind: w.kind, ARN: w.arn, Account: w.account, UserID: w.userID, UserName: w.userName, RoleARN: w.roleARN, KeyID: w.key, Token: w.token,
		Client: w.client, Agent: w.agent, Source: a.source, Event: a.event, Method: a.method, ReadOnly: a.readOnly,
		Repository: artifact.RepositoryID{Owner: a.owner, Domain: a.domain, Name: a.repository}, Administrator: a.administrator,
		Package: a.c, Version: a.version, Path: a.path, Parameters: a.parameters,
		Response: o.response, Status: o.status, Code: o.code, Message: o.message,
	}
	if w.began != 0 {
		r.Began = time.UnixMicro(w.began).UTC()
	}
	return r
}
