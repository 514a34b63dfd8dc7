package catalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// sized adds a version with an asset of some bytes.
func sized(tx *Tx, p Package, number string, content string) error {
	v, err := tx.InsertVersion(p, artifact.Version{Number: number, Status: artifact.Published, Published: tx.Now()})
	if err != nil {
		return err
	}
	tx.CountPublished(p)
	return tx.InsertAsset(p, v.ID, artifact.Asset{Name: "file", Size: int64(len(content)), Digests: digest.Of([]byte(content))})
}

func checkTotals(t *testing.T, db *DB, domainID string, want int) {
	t.Helper()
	var got, counted []UsageTotal
	view(t, db, func(tx *Tx) (err error) {
		counted = nil
		if got, err = tx.UsageTotals(domainID); err != nil {
			return err
		}
		for _, u := range got {
			c, err := tx.CountUsage(u.DomainID, u.RepositoryID)
			if err != nil {
				return err
			}
			counted = append(counted, c)
		}
		return nil
	})
	if diff := cmp.Diff(counted, got); diff != "" || len(got) != want {
		t.Errorf("%d totals; counted and kept: %s", len(got), diff)
	}
}

// TestUsage_TotalsAreExact does what changes assets, at random and from several
// goroutines, folding meanwhile, and counts.
func TestUsage_TotalsAreExact(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two", "three")
		const workers, steps = 4, 40
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 7))
				for i := range steps {
					repo, name, n := repos[r.IntN(len(repos))], npmName(fmt.Sprint("p", r.IntN(3))), r.IntN(6)
					err := db.Update(t.Context(), func(tx *Tx) error {
						switch n {
						case 0:
							p, err := tx.Package(repo.ID, name)
							if err != nil {
								return err
							}
							return tx.DeletePackage(p)
						case 1, 2:
							p, err := tx.Package(repo.ID, name)
							if err != nil {
								return err
							}
							rows, err := tx.VersionPage(p.ID, VersionFilter{}, VersionCursor{}, 1)
							if err != nil || len(rows) == 0 {
								return err
							}
							if n == 1 {
								return tx.DeleteVersion(p, rows[0])
							}
							return tx.DeleteAssets(p, rows[0].ID)
						default:
							p, _, err := tx.EnsurePackage(repo, name, name.Name, artifact.DefaultRestrictions(true))
							if err != nil {
								return err
							}
							if err := sized(tx, p, fmt.Sprint(w, "-", i), fmt.Sprint("content ", r.IntN(20))); err != nil || n != 5 {
								return err
							}
							return errors.New("and this one comes to nothing")
						}
					})
					if n != 5 && err != nil && !fault.Is(err, fault.NotFound) {
						t.Error(err)
					}
					if i%5 == 0 {
						if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.FoldUsage(7); return err }); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		checkTotals(t, db, d.ID, 4)
		var blobs []StoredBlob
		update(t, db, func(tx *Tx) (err error) {
			blobs, err = tx.UnreferencedBlobs("", tx.Now().Add(time.Hour), StoredBlob{}, 0)
			for _, b := range blobs {
				if err == nil {
					err = tx.DeleteBlob(b.Space, b.SHA256)
				}
			}
			return err
		})
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[2]) })
		update(t, db, func(tx *Tx) error {
			for more := true; more; {
				var err error
				if more, err = tx.PurgeRepository(repos[2].ID, 10); err != nil {
					return err
				}
			}
			return nil
		})
		checkTotals(t, db, d.ID, 3)
		for left := true; left; {
			update(t, db, func(tx *Tx) error { n, err := tx.FoldUsage(100); left = n > 0; return err })
		}
		checkTotals(t, db, d.ID, 3)
	})
}

func TestUsage_AFlushThatIsTriedAgainCountsOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		p := ensure(t, db, repos[0], npmName("left"))[0]
		update(t, db, func(tx *Tx) error { return sized(tx, p, "1.0.0", "some bytes") })
		now := time.Now()
		flush := UsageFlush{
			Node: "a", Number: 1, At: now,
			Repositories: []RepositoryUse{{d.ID, repos[0].ID, Counts{Requests: 3, Downloads: 2, Hits: 2, Misses: 1, Bytes: 40, Saved: 20, Errors: 1}}},
			Versions: []VersionUse{
				{RepositoryID: repos[0].ID, Coordinates: npmName("left"), Version: "1.0.0", Downloads: 2, Hits: 1, Misses: 1, Bytes: 30, Last: now},
				{RepositoryID: repos[0].ID, Coordinates: npmName("left"), Hits: 1, Bytes: 10},
				{RepositoryID: repos[0].ID, Coordinates: npmName("gone"), Version: "1.0.0", Downloads: 1, Last: now},
				{RepositoryID: repos[0].ID, Coordinates: npmName("left"), Version: "9.9.9", Downloads: 1, Last: now},
			},
		}
		record := func(f UsageFlush) { update(t, db, func(tx *Tx) error { return tx.RecordUsage(f) }) }
		record(flush)
		record(flush) // as after an answer that was lost
		other := flush
		other.Node = "b"
		record(other)
		flush.Number = 2
		record(flush)

		view(t, db, func(tx *Tx) error {
			for _, repository := range []string{repos[0].ID, ""} {
				points, err := tx.Series(SeriesQuery{DomainID: d.ID, RepositoryID: repository, Metric: MetricDownloads, From: now.Add(-time.Hour), To: now.Add(time.Hour)})
				if err != nil || len(points) != 1 || points[0].Sum != 6 || points[0].Count != 1 || points[0].Max != 6 {
					t.Errorf("%q: downloads %+v, %v", repository, points, err)
				}
				points, err = tx.Series(SeriesQuery{DomainID: d.ID, RepositoryID: repository, Metric: MetricHitRatio, From: now.Add(-time.Hour), To: now.Add(time.Hour)})
				if err != nil || len(points) != 1 || points[0] != (SeriesPoint{points[0].Time, 600, 9, 0, 100}) {
					t.Errorf("%q: ratio %+v, %v", repository, points, err)
				}
			}
			v, err := tx.Version(p.ID, "1.0.0")
			if err != nil {
				return err
			}
			n, last, err := tx.VersionUsage(v.ID)
			if n != 6 || !last.Equal(now.Truncate(time.Microsecond)) {
				t.Errorf("version: %d at %v", n, last)
			}
			popular, err2 := tx.PopularPackages(d.ID, "", now, now, 10)
			if len(popular) != 1 || popular[0].Downloads != 9 || popular[0].Bytes != 120 {
				t.Errorf("popular: %+v", popular)
			}
			return errors.Join(err, err2)
		})
	})
}

// TestUsage_ManyReplicasAddUp flushes from several processes at once.
func TestUsage_ManyReplicasAddUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		var group sync.WaitGroup
		for node := range 4 {
			group.Go(func() {
				for n := range 10 {
					err := db.Update(t.Context(), func(tx *Tx) error {
						return tx.RecordUsage(UsageFlush{Node: fmt.Sprint(node), Number: int64(n + 1), At: time.Now(), Repositories: []RepositoryUse{{d.ID, repos[0].ID, Counts{Requests: 1}}}})
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		view(t, db, func(tx *Tx) error {
			points, err := tx.Series(SeriesQuery{DomainID: d.ID, Metric: MetricRequests, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour), Period: 24 * time.Hour})
			sum := int64(0)
			for _, p := range points {
				sum += p.Sum
			}
			if sum != 40 {
				t.Errorf("counted %d requests of 40", sum)
			}
			return err
		})
	})
}

// TestUsage_SeriesKeepTheirSums lets years pass and asks at every width.
func TestUsage_SeriesKeepTheirSums(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	db := openClock(t, func() time.Time { return now })
	d, repos := house(t, db, "one")
	flushes, total := int64(0), int64(0)
	count := func(n int64) {
		flushes++
		total += n
		update(t, db, func(tx *Tx) error {
			return tx.RecordUsage(UsageFlush{Node: "n", Number: flushes, At: now, Repositories: []RepositoryUse{{d.ID, repos[0].ID, Counts{Requests: n}}}})
		})
	}
	roll := func() {
		update(t, db, func(tx *Tx) error { _, err := tx.SampleStorage(); return err })
		var step UsageRollUp
		for more := true; more; {
			update(t, db, func(tx *Tx) (err error) { step, more, err = tx.RollUpUsage(step); return err })
		}
	}
	sum := func(from time.Time, period time.Duration) (n int64, points []SeriesPoint) {
		view(t, db, func(tx *Tx) (err error) {
			points, err = tx.Series(SeriesQuery{DomainID: d.ID, RepositoryID: repos[0].ID, Metric: MetricRequests, From: from, To: now.Add(time.Minute), Period: period})
			return err
		})
		for _, p := range points {
			n += p.Sum
		}
		return n, points
	}
	for hour := range 24 * 100 { // 100 days
		now = begin.Add(time.Duration(hour)*time.Hour + 7*time.Minute)
		count(1)
		now = now.Add(20 * time.Minute)
		count(2)
		if hour%5 == 0 || hour > 24*98 { // it may come late
			roll()
		}
		if hour%500 == 17 {
			for _, period := range []time.Duration{0, time.Minute, 5 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
				if n, _ := sum(begin, period); n != total {
					t.Fatalf("after %d hours, by %v: %d of %d", hour, period, n, total)
				}
			}
		}
	}
	_, points := sum(now.Add(-20*time.Hour), time.Minute)
	if len(points) != 41 && len(points) != 40 {
		t.Errorf("%d points of the last 20 hours", len(points))
	}
	_, points = sum(begin, 24*time.Hour)
	if want := (SeriesPoint{Time: begin, Sum: 72, Count: 48, Min: 1, Max: 2}); len(points) != 100 || points[0] != want {
		t.Errorf("%d days, the first %+v", len(points), points[0])
	}
	kept := func(span int64) (n int64) {
		view(t, db, func(tx *Tx) error {
			_, err := tx.one("SELECT count(*) FROM usage_point p JOIN usage_series s ON s.id = p.series WHERE s.metric = $1 AND s.repository_id <> '' AND p.span = $2", []any{MetricRequests, span}, &n)
			return err
		})
		return n
	}
	if minutes, hours, days := kept(1), kept(60), kept(1440); minutes > 2*26 || hours > 92*24 || days < 99 {
		t.Errorf("kept %d minutes, %d hours, %d days", minutes, hours, days)
	}
	late := total
	update(t, db, func(tx *Tx) error { // of a process that could not write for days
		return tx.RecordUsage(UsageFlush{Node: "late", Number: 1, At: now.Add(-72 * time.Hour), Repositories: []RepositoryUse{{d.ID, repos[0].ID, Counts{Requests: 5}}}})
	})
	if n, _ := sum(begin, 24*time.Hour); n != late+5 {
		t.Errorf("with what came late %d of %d", n, late+5)
	}
	now = now.Add(6 * 365 * 24 * time.Hour)
	roll()
	update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[0]) })
	now = now.Add(6 * 365 * 24 * time.Hour)
	roll()
	if n := kept(1) + kept(60) + kept(1440); n != 0 {
		t.Errorf("%d points outlive their years", n)
	}
}

// TestUsage_AfterAWrongClock: what is counted when a clock that was ahead is set
// right stands where it belongs, and storage is sampled again.
func TestUsage_AfterAWrongClock(t *testing.T) {
	begin := time.Date(2026, 1, 1, 5, 7, 0, 0, time.UTC)
	now := begin
	db := openClock(t, func() time.Time { return now })
	d, repos := house(t, db, "one")
	flushes := int64(0)
	minute := func() {
		flushes++
		update(t, db, func(tx *Tx) error {
			return tx.RecordUsage(UsageFlush{Node: "n", Number: flushes, At: now, Repositories: []RepositoryUse{{d.ID, repos[0].ID, Counts{Requests: 1}}}})
		})
		var step UsageRollUp
		update(t, db, func(tx *Tx) error { _, err := tx.SampleStorage(); return err })
		for more := true; more; {
			update(t, db, func(tx *Tx) (err error) { step, more, err = tx.RollUpUsage(step); return err })
		}
		now = now.Add(time.Minute)
	}
	minute()
	now = now.AddDate(1, 0, 0)
	minute()
	now = now.AddDate(-1, 0, 0)
	minute() // sets it right
	again := now
	for range 120 {
		minute()
	}
	for metric, want := range map[string]int64{MetricRequests: 120, MetricStorage: 120} {
		var points []SeriesPoint
		view(t, db, func(tx *Tx) (err error) {
			points, err = tx.Series(SeriesQuery{DomainID: d.ID, RepositoryID: repos[0].ID, Metric: metric, From: again.Add(-time.Minute), To: now, Period: time.Minute})
			return err
		})
		n := int64(0)
		for _, p := range points {
			n += p.Count
		}
		if n < want || n > want+1 {
			t.Errorf("%s: %d samples of %d minutes", metric, n, want)
		}
	}
	var points []SeriesPoint
	view(t, db, func(tx *Tx) (err error) {
		points, err = tx.Series(SeriesQuery{DomainID: d.ID, RepositoryID: repos[0].ID, Metric: MetricRequests, From: again, To: now, Period: time.Hour})
		return err
	})
	if len(points) != 3 || points[1].Sum != 60 {
		t.Errorf("by the hour: %+v", points)
	}
}

func TestUsage_StaleAndStorageSamples(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	db := openClock(t, func() time.Time { return now })
	d, repos := house(t, db, "one")
	ps := ensure(t, db, repos[0], npmName("old"), npmName("used"), npmName("new"), npmName("empty"))
	update(t, db, func(tx *Tx) error { return errors.Join(sized(tx, ps[0], "1", "aaa"), sized(tx, ps[1], "1", "bbbb")) })
	update(t, db, func(tx *Tx) error {
		_, err := tx.FoldUsage(10)
		first, err1 := tx.SampleStorage()
		again, err2 := tx.SampleStorage()
		if !first || again {
			t.Error("a minute is sampled once")
		}
		return errors.Join(err, err1, err2)
	})
	now = begin.Add(40 * 24 * time.Hour)
	update(t, db, func(tx *Tx) error {
		return errors.Join(sized(tx, ps[2], "1", "cc"), tx.RecordUsage(UsageFlush{Node: "n", Number: 1, At: now, Versions: []VersionUse{
			{RepositoryID: repos[0].ID, Coordinates: npmName("used"), Version: "1", Downloads: 1, Last: now},
		}}))
	})
	var stale []StalePackage
	var points []SeriesPoint
	view(t, db, func(tx *Tx) (err error) {
		if stale, err = tx.StalePackages(repos[0].ID, now.Add(-30*24*time.Hour), artifact.Coordinates{}, 10); err != nil {
			return err
		}
		points, err = tx.Series(SeriesQuery{DomainID: d.ID, Metric: MetricDomainStorage, From: begin.Add(-time.Minute), To: now})
		return err
	})
	if len(stale) != 1 || stale[0].Coordinates.Name != "old" || stale[0].Bytes != 3 || stale[0].Versions != 1 || !stale[0].LastDownload.IsZero() {
		t.Errorf("stale: %+v", stale)
	}
	if diff := cmp.Diff([]SeriesPoint{{Time: begin.Add(-time.Minute), Sum: 7, Count: 1, Min: 7, Max: 7}}, points); diff != "" {
		t.Error(diff)
	}
}

func openClock(t *testing.T, now func() time.Time) *DB {
	t.Helper()
	return openTest(t, newDSN(t, "sqlite"), Options{Now: now})
}
