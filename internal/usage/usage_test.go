package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
)

// shop is a domain with a repository that holds one version.
type shop struct {
	db      *catalog.DB
	domain  catalog.Domain
	repo    catalog.Repository
	version catalog.Version
}

var hello = artifact.Coordinates{Format: artifact.NPM, Name: "hello"}

func newShop(t testing.TB, engine string) *shop {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
	if engine == "postgres" {
		dsn = pgtest.NewDatabase(t)
	}
	db, err := catalog.Open(t.Context(), dsn, catalog.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{db: db}
	err = db.Update(t.Context(), func(tx *catalog.Tx) (err error) {
		if s.domain, err = tx.InsertDomain(catalog.Domain{Owner: "123456789012", Name: "corp"}); err != nil {
			return err
		}
		if s.repo, err = tx.InsertRepository(catalog.Repository{DomainID: s.domain.ID, Name: "repo"}); err != nil {
			return err
		}
		p, _, err := tx.EnsurePackage(s.repo, hello, "hello", artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		s.version, err = tx.InsertVersion(p, artifact.Version{Number: "1.0.0", Status: artifact.Published})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) open(t testing.TB, o Options) *Ledger {
	t.Helper()
	o.DB, o.Logger = s.db, slog.New(slog.DiscardHandler)
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// download is a request for an asset of a version that came from outside.
func (s *shop) download(version string) *Request {
	return &Request{
		DomainID: s.domain.ID, RepositoryID: s.repo.ID, Owner: "123456789012", Domain: "corp", Repository: "repo",
		Package: hello, Version: version, Kind: Asset, External: true, Download: true, Status: 200, Out: 100,
	}
}

// sums reads what was counted of the repository, of all metrics.
func (s *shop) sums(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	err := s.db.View(t.Context(), func(tx *catalog.Tx) error {
		for _, m := range catalog.Metrics() {
			points, err := tx.Series(catalog.SeriesQuery{DomainID: s.domain.ID, RepositoryID: s.repo.ID, Metric: m, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)})
			if err != nil {
				return err
			}
			for _, p := range points {
				if m != catalog.MetricHitRatio && m != catalog.MetricStorage {
					out[m] += p.Sum
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLedger_CountsWhatRequestsWere(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			s := newShop(t, engine)
			l := s.open(t, Options{Every: time.Hour})
			with := func(change func(*Request)) {
				r := s.download("1.0.0")
				change(r)
				l.Count(r)
			}
			with(func(r *Request) { r.Fetched = true })                                            // miss, download
			with(func(*Request) {})                                                                // hit, download, saved
			with(func(r *Request) { r.External = false })                                          // hit, download
			with(func(r *Request) { r.Aborted = true; r.Out = 40 })                                // hit, saved in part
			with(func(r *Request) { r.Status, r.Out = 304, 0 })                                    // hit
			with(func(r *Request) { r.Kind, r.Download, r.Version = Document, false, "" })         // hit, saved
			with(func(r *Request) { r.Kind, r.Status, r.Download, r.Out = Other, 404, false, 10 }) // refused
			with(func(r *Request) {
				r.Kind, r.Status, r.Download, r.Out = Other, 500, false, 10
			}) // error
			with(func(r *Request) { r.RepositoryID = "" }) // nothing
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			want := map[string]int64{
				catalog.MetricRequests: 8, catalog.MetricDownloads: 3, catalog.MetricHits: 5, catalog.MetricMisses: 1,
				catalog.MetricBytes: 460, catalog.MetricSaved: 240, catalog.MetricErrors: 1, catalog.MetricRefused: 1,
			}
			if diff := cmp.Diff(want, s.sums(t)); diff != "" {
				t.Error(diff)
			}
			err := s.db.View(t.Context(), func(tx *catalog.Tx) error {
				n, last, err := tx.VersionUsage(s.version.ID)
				if n != 3 || time.Since(last) > time.Minute {
					t.Errorf("version: %d at %v", n, last)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Totals(); len(got) != 1 || got[0].Repository != "repo" || got[0].Downloads != 3 {
				t.Errorf("totals: %+v", got)
			}
		})
	}
}

// TestLedger_ConcurrentCountsAndFlushes loses nothing and counts nothing twice.
func TestLedger_ConcurrentCountsAndFlushes(t *testing.T) {
	s := newShop(t, "sqlite")
	l := s.open(t, Options{Every: time.Millisecond, MaxVersions: 8})
	const workers, each = 4, 2000
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				l.Count(s.download(fmt.Sprint(w, ".", i%50)))
			}
		})
	}
	group.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.sums(t)[catalog.MetricDownloads]; got != workers*each {
		t.Errorf("counted %d of %d", got, workers*each)
	}
	if st := l.Stats(); st.Waiting != 0 {
		t.Errorf("left: %+v", st)
	}
}

// TestLedger_BoundsMemory counts more versions than there is room for.
func TestLedger_BoundsMemory(t *testing.T) {
	s := newShop(t, "sqlite")
	l := s.open(t, Options{Every: time.Hour, MaxVersions: 100})
	l.flushing.Lock() // no flush may make room
	for i := range 1000 {
		l.Count(s.download(fmt.Sprint("1.0.", i)))
	}
	if st := l.Stats(); st.Waiting > 101 || st.Crowded != 900 {
		t.Errorf("%+v", st)
	}
	l.flushing.Unlock()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.sums(t)[catalog.MetricDownloads]; got != 1000 {
		t.Errorf("counted %d", got)
	}
}

// TestLedger_WaitsForTheDatabase flushes in vain for long, then once.
func TestLedger_WaitsForTheDatabase(t *testing.T) {
	s := newShop(t, "sqlite")
	l := s.open(t, Options{Every: time.Hour})
	away, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the database is away"))
	const rounds = 3 * maxWaiting
	for range rounds {
		l.Count(s.download("1.0.0"))
		if err := l.Flush(away); err == nil {
			t.Fatal("flushed without a database")
		}
	}
	if n := len(l.waiting); n > maxWaiting {
		t.Errorf("%d parts wait", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.sums(t)[catalog.MetricDownloads]; got != rounds {
		t.Errorf("counted %d of %d", got, rounds)
	}
}

// BenchmarkCount is what a request pays.
func BenchmarkCount(b *testing.B) {
	for _, distinct := range []int{1, 10_000} {
		b.Run(fmt.Sprint("versions=", distinct), func(b *testing.B) {
			s := newShop(b, "sqlite")
			l := s.open(b, Options{})
			defer l.Close()
			requests := make([]*Request, distinct)
			for i := range requests {
				requests[i] = s.download(fmt.Sprint("1.0.", i))
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					l.Count(requests[i%distinct])
				}
			})
		})
	}
}
