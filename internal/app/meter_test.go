package app

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/digest"
	"packhouse/internal/metric"
)

// tally is what a meter should know: the value of each minute of each metric.
type tally map[metric.ID]map[time.Time]int64

// add counts n more for a repository, its domain and the account.
func (y tally) add(at time.Time, name, domain, repository string, n int64) {
	for _, id := range []metric.ID{{Name: name, Domain: domain, Repository: repository}, {Name: name, Domain: domain}, {Name: name}} {
		y.at(at, id, n)
	}
}

func (y tally) at(at time.Time, id metric.ID, n int64) {
	if y[id] == nil {
		y[id] = map[time.Time]int64{}
	}
	y[id][at.Truncate(time.Minute)] += n
}

// periods are those of a metric from a time on.
func (y tally) periods(id metric.ID, from time.Time, length time.Duration) []metric.Point {
	at := map[time.Time]metric.Point{}
	take := func(name string, sample func(value int64) metric.Point) {
		of := id
		of.Name = name
		for minute, value := range y[of] {
			if since := minute.Sub(from); since >= 0 {
				begin := from.Add(since / length * length)
				p := sample(value)
				p.At = begin
				at[begin] = p.Add(at[begin])
			}
		}
	}
	if id.Name == catalog.MetricHitRatio {
		take(catalog.MetricHits, func(n int64) metric.Point {
			return metric.Point{Sum: 100 * float64(n), Count: float64(n), Min: 100, Max: 100}
		})
		take(catalog.MetricMisses, func(n int64) metric.Point { return metric.Point{Count: float64(n)} })
	} else {
		take(id.Name, func(n int64) metric.Point { return metric.Sample(time.Time{}, float64(n)) })
	}
	return slices.SortedFunc(maps.Values(at), func(a, b metric.Point) int { return a.At.Compare(b.At) })
}

// TestMeter_HasWhatWasCounted lets half a year pass in which things happen at
// random, and asks for every metric at every width that is kept of its time.
func TestMeter_HasWhatWasCounted(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
			if engine == "postgres" {
				dsn = pgtest.NewDatabase(t)
			}
			now := time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC)
			db, err := catalog.Open(t.Context(), dsn, catalog.Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			w := &world{t: t, db: db, rand: rand.New(rand.NewPCG(5, 9)), now: &now, tally: tally{}, held: map[[2]string]int64{}, kept: map[[2]string]int64{}}
			w.build()
			for step := range 400 {
				w.step()
				switch {
				case step%40 == 39:
					now = now.Add(time.Duration(w.rand.IntN(20*24)) * time.Hour)
				case step%5 == 4:
					now = now.Add(time.Duration(w.rand.IntN(150)) * time.Minute)
				default:
					now = now.Add(time.Duration(w.rand.IntN(70)) * time.Second)
				}
				if step%57 == 56 || step == 399 {
					w.check(meter{db})
				}
				if t.Failed() {
					t.Fatalf("after %d steps, at %v", step, now)
				}
			}
		})
	}
}

// world is what happens, on both sides.
type world struct {
	t     *testing.T
	db    *catalog.DB
	rand  *rand.Rand
	now   *time.Time
	tally tally

	repositories []catalog.Repository
	domains      map[string]catalog.Domain // by ID
	held         map[[2]string]int64       // bytes by names of domain and repository
	kept         map[[2]string]int64       // bytes of contents by name of domain and digest
	flushes      int64
	versions     int
}

const ours, others = "123456789012", "210987654321"

func (w *world) update(fn func(*catalog.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) build() {
	w.domains = map[string]catalog.Domain{}
	for _, d := range [][2]string{{ours, "acme"}, {ours, "corp"}, {others, "acme"}} {
		w.update(func(tx *catalog.Tx) error {
			domain, err := tx.InsertDomain(catalog.Domain{Owner: d[0], Name: d[1]})
			w.domains[domain.ID] = domain
			for _, name := range []string{"one", "two"} {
				r, failed := tx.InsertRepository(catalog.Repository{DomainID: domain.ID, Name: name})
				w.repositories, err = append(w.repositories, r), errors.Join(err, failed)
			}
			return err
		})
	}
}

func (w *world) step() {
	r := w.repositories[w.rand.IntN(len(w.repositories))]
	d := w.domains[r.DomainID]
	count := func(name string, n int64) {
		if n != 0 && d.Owner == ours {
			w.tally.add(*w.now, name, d.Name, r.Name, n)
		}
	}
	switch w.rand.IntN(4) {
	case 0: // a publication
		content := []byte(fmt.Sprint("content ", w.rand.IntN(30)))
		digests := digest.Of(content)
		w.versions++
		w.update(func(tx *catalog.Tx) error {
			p, _, err := tx.EnsurePackage(r, artifact.Coordinates{Format: artifact.NPM, Name: "p"}, "p", artifact.DefaultRestrictions(true))
			if err != nil {
				return err
			}
			v, err := tx.InsertVersion(p, artifact.Version{Number: fmt.Sprint(w.versions), Status: artifact.Published})
			if err != nil {
				return err
			}
			tx.CountPublished(p)
			return tx.InsertAsset(p, v.ID, artifact.Asset{Name: "file", Size: int64(len(content)), Digests: digests})
		})
		w.update(func(tx *catalog.Tx) error { _, err := tx.FoldUsage(100); return err })
		count(catalog.MetricPublished, 1)
		if d.Owner == ours {
			w.held[[2]string{d.Name, r.Name}] += int64(len(content))
			w.kept[[2]string{d.Name, string(content)}] = int64(len(content))
		}
	case 1: // upkeep
		w.sample()
	default:
		c := catalog.Counts{Requests: 9, Downloads: w.rand.Int64N(5), Hits: w.rand.Int64N(3), Misses: w.rand.Int64N(3), Saved: w.rand.Int64N(1000), Errors: w.rand.Int64N(2)}
		w.flushes++
		w.update(func(tx *catalog.Tx) error {
			return tx.RecordUsage(catalog.UsageFlush{
				Node: "n", Number: w.flushes, At: *w.now,
				Repositories: []catalog.RepositoryUse{{DomainID: r.DomainID, RepositoryID: r.ID, Counts: c}},
			})
		})
		count(catalog.MetricDownloads, c.Downloads)
		count(catalog.MetricHits, c.Hits)
		count(catalog.MetricMisses, c.Misses)
		count(catalog.MetricSaved, c.Saved)
		count(catalog.MetricErrors, c.Errors)
	}
}

func (w *world) sample() {
	sampled := false
	w.update(func(tx *catalog.Tx) (err error) { sampled, err = tx.SampleStorage(); return err })
	var step catalog.UsageRollUp
	for more := true; more; {
		w.update(func(tx *catalog.Tx) (err error) { step, more, err = tx.RollUpUsage(step); return err })
	}
	if !sampled {
		return
	}
	at := w.now.Add(-time.Minute)
	for _, r := range w.repositories {
		if d := w.domains[r.DomainID]; d.Owner == ours {
			w.tally.add(at, catalog.MetricStorage, d.Name, r.Name, w.held[[2]string{d.Name, r.Name}])
		}
	}
	for _, domain := range []string{"acme", "corp"} {
		sum := int64(0)
		for k, n := range w.kept {
			if k[0] == domain {
				sum += n
			}
		}
		w.tally.at(at, metric.ID{Name: catalog.MetricDomainStorage, Domain: domain}, sum)
		w.tally.at(at, metric.ID{Name: catalog.MetricDomainStorage}, sum)
	}
}

func (w *world) check(m meter) {
	w.t.Helper()
	listed, err := m.Metrics(w.t.Context(), ours)
	if err != nil {
		w.t.Fatal(err)
	}
	want := maps.Clone(w.tally)
	for id := range w.tally {
		if id.Name == catalog.MetricHits || id.Name == catalog.MetricMisses {
			id.Name = catalog.MetricHitRatio
			want[id] = nil
		}
	}
	if diff := cmp.Diff(slices.SortedFunc(maps.Keys(want), metric.ID.Compare), listed); diff != "" {
		w.t.Errorf("listed: %s", diff)
	}
	const day = 24 * time.Hour
	for _, id := range listed {
		for _, c := range []struct{ period, align, ago time.Duration }{
			{time.Minute, time.Minute, day - time.Minute},
			{7 * time.Minute, time.Minute, day - time.Minute},
			{time.Hour, time.Hour, 89 * day},
			{time.Hour, time.Minute, day - time.Minute}, // as alarms ask
			{day, day, 400 * day},
			{7 * day, day, 400 * day},
		} {
			from := w.now.Add(-c.ago).Truncate(c.align)
			points, err := m.Points(w.t.Context(), ours, id, from, w.now.Add(time.Minute), c.period)
			if err != nil {
				w.t.Fatal(err)
			}
			if diff := cmp.Diff(w.tally.periods(id, from, c.period), metric.Periods(points, from, c.period)); diff != "" {
				w.t.Errorf("%v by %v: %s", id, c.period, diff)
			}
		}
	}
	w.sample() // what is kept by the hour from here on is no figure of a minute
	for _, id := range listed {
		old, err := m.Points(w.t.Context(), ours, id, w.now.Add(-400*day), w.now.Add(-2*day), time.Minute)
		if err != nil || len(old) > 0 {
			w.t.Errorf("%v of long ago: %v, %v", id, old, err)
		}
	}
}

func TestMeter_KnowsNothingOfWhatIsNot(t *testing.T) {
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, id := range []metric.ID{{Name: catalog.MetricDownloads, Domain: "gone"}, {Name: catalog.MetricDownloads, Domain: "gone", Repository: "r"}, {Name: catalog.MetricRequests}, {Name: "x"}} {
		points, err := meter{db}.Points(t.Context(), ours, id, time.Unix(0, 0), time.Now(), time.Hour)
		if err != nil || points != nil {
			t.Errorf("%v: %v, %v", id, points, err)
		}
	}
}
