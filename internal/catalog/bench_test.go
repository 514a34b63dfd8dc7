package catalog

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
)

// eachEngineBench is eachEngine for benchmarks.
func eachEngineBench(b *testing.B, bench func(b *testing.B, db *DB)) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) { bench(b, openTest(b, newDSN(b, name), Options{})) })
	}
}

// fill makes a domain with n repositories that each hold packages p0..p(packages-1).
func fill(b *testing.B, db *DB, n, packages int) (ids []string) {
	b.Helper()
	update(b, db, func(tx *Tx) error {
		ids = nil
		d, err := tx.InsertDomain(Domain{Owner: "123456789012", Name: "bench"})
		for i := 0; err == nil && i < n; i++ {
			var r Repository
			if r, err = tx.InsertRepository(Repository{DomainID: d.ID, Name: fmt.Sprintf("repo-%d", i), Administrator: d.Owner}); err != nil {
				break
			}
			ids = append(ids, r.ID)
			for j := 0; err == nil && j < packages; j++ {
				_, _, err = tx.EnsurePackage(r, npmName(fmt.Sprintf("p%d", j)), "", artifact.DefaultRestrictions(true))
			}
		}
		return err
	})
	return ids
}

func BenchmarkView_OnePackage(b *testing.B) {
	eachEngineBench(b, func(b *testing.B, db *DB) {
		ids := fill(b, db, 1, 1000)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			view(b, db, func(tx *Tx) error {
				_, err := tx.Package(ids[0], npmName(fmt.Sprintf("p%d", i%1000)))
				return err
			})
		}
	})
}

func BenchmarkView_PackagesIn25(b *testing.B) {
	eachEngineBench(b, func(b *testing.B, db *DB) {
		ids := fill(b, db, 25, 100)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			view(b, db, func(tx *Tx) error {
				_, err := tx.PackagesIn(ids, npmName(fmt.Sprintf("p%d", i%100)))
				return err
			})
		}
	})
}

func BenchmarkView_Versions2000(b *testing.B) {
	eachEngineBench(b, func(b *testing.B, db *DB) {
		ids := fill(b, db, 1, 1)
		var p Package
		update(b, db, func(tx *Tx) (err error) {
			p, err = tx.Package(ids[0], npmName("p0"))
			for i := 0; err == nil && i < 2000; i++ {
				_, err = tx.InsertVersion(p, artifact.Version{Number: fmt.Sprintf("1.0.%d", i), Status: artifact.Published, Manifest: make([]byte, 2000)})
			}
			return err
		})
		b.ReportAllocs()
		for b.Loop() {
			view(b, db, func(tx *Tx) error {
				_, err := tx.Versions(p.ID)
				return err
			})
		}
	})
}

// publish writes what publishing one small version writes.
func publish(tx *Tx, p Package, n int64) error {
	v, err := tx.InsertVersion(p, artifact.Version{
		Number: fmt.Sprintf("1.0.%d", n), Status: artifact.Published, Revision: "r", Published: tx.Now(),
		Origin: artifact.Origin{Type: artifact.Internal, Repository: "repo-0"}, Manifest: []byte(`{"name":"p","version":"1.0.0"}`),
	})
	if err != nil {
		return err
	}
	digests := digest.Of([]byte(v.ID))
	if err := tx.InsertAsset(p, v.ID, artifact.Asset{Name: "package.tgz", Size: 10, Digests: digests}); err != nil {
		return err
	}
	if err := tx.SetDistTag(p, "latest", v.Number); err != nil {
		return err
	}
	return tx.Emit(artifact.Event{Owner: "123456789012", Domain: "bench", Repository: "repo-0", Coordinates: p.Coordinates, Version: v.Number, Operation: "Created"})
}

// benchmarkUpdate runs fn in Updates of several callers; packages are those of
// one repository.
func benchmarkUpdate(b *testing.B, callers int, fn func(tx *Tx, packages []Package, i int64) error) {
	eachEngineBench(b, func(b *testing.B, db *DB) {
		ids := fill(b, db, 1, 64)
		var packages []Package
		view(b, db, func(tx *Tx) (err error) {
			packages, err = tx.Packages(ids[0], PackageFilter{}, artifact.Coordinates{}, 0)
			return err
		})
		var n atomic.Int64
		var wg sync.WaitGroup
		b.ResetTimer()
		for range callers {
			wg.Go(func() {
				for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
					if err := db.Update(b.Context(), func(tx *Tx) error { return fn(tx, packages, i) }); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	})
}

func small(tx *Tx, _ []Package, i int64) error {
	return tx.SetMeta(fmt.Sprintf("k%d", i%1000), fmt.Sprint(i))
}

func publishOne(tx *Tx, packages []Package, i int64) error {
	return publish(tx, packages[i%int64(len(packages))], i)
}

func BenchmarkUpdate_1Caller(b *testing.B)   { benchmarkUpdate(b, 1, small) }
func BenchmarkUpdate_8Callers(b *testing.B)  { benchmarkUpdate(b, 8, small) }
func BenchmarkPublish_1Caller(b *testing.B)  { benchmarkUpdate(b, 1, publishOne) }
func BenchmarkPublish_8Callers(b *testing.B) { benchmarkUpdate(b, 8, publishOne) }

func BenchmarkMemo_Hit(b *testing.B) {
	type key struct{ domain, name string }
	db := openTest(b, newDSN(b, "sqlite"), Options{})
	var memo Memo[key, int]
	load := func(*Tx) (int, error) { return 1, nil }
	ctx := b.Context()
	for i := range 1000 {
		for range 2 {
			if _, err := memo.Get(ctx, db, key{"my-company-domain", fmt.Sprintf("repository-%d", i)}, load); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 1000 {
		_, _ = memo.Get(ctx, db, key{"my-company-domain", "repository-7"}, load)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = memo.Get(ctx, db, key{"my-company-domain", "repository-7"}, load)
		}
	})
}
