package catalog

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// file is an asset whose content is told by its size.
func file(name string, size int64) artifact.Asset {
	var s digest.Set
	if err := s.SetHex(digest.SHA256, fmt.Sprintf("%064x", size)); err != nil {
		panic(err)
	}
	return artifact.Asset{Name: name, Size: size, Digests: s}
}

func wantCounts(t *testing.T, db *DB, d Domain) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		wrong, err := tx.CheckHoldings(d.ID)
		if len(wrong) > 0 {
			rows, _ := tx.Quotas(d.ID)
			t.Fatalf("counted %+v, really %+v", rows, wrong)
		}
		return err
	})
}

func TestQuota_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two")
		p := ensure(t, db, repos[0], npmName("hello"))[0]
		update(t, db, func(tx *Tx) error {
			v, err := tx.InsertVersion(p, artifact.Version{Number: "1", Status: artifact.Published})
			if err != nil {
				return err
			}
			return tx.InsertAsset(p, v.ID, file("a", 10))
		})
		update(t, db, func(tx *Tx) error {
			_, err := tx.DeleteQuota(d.ID)
			wantKind(t, err, fault.NotFound, "")
			q, err := tx.PutQuota(d.ID, d.ID, Limits{Bytes: new(int64(100))})
			if diff := cmp.Diff(Quota{Limits: Limits{Bytes: new(int64(100))}, Scope: d.ID, DomainID: d.ID, Held: Holding{10, 1}}, q); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			q, err := tx.PutQuota(d.ID, d.ID, Limits{AssetBytes: new(int64(0)), Versions: new(int64(1))})
			if err != nil {
				return err
			}
			again, err := tx.Quota(d.ID)
			if diff := cmp.Diff(q, again); err != nil || diff != "" || q.Held != (Holding{10, 1}) {
				t.Error(diff, q.Held)
			}
			if _, err := tx.PutQuota(d.ID, repos[1].ID, Limits{Versions: new(int64(5))}); err != nil {
				return err
			}
			all, err := tx.Quotas(d.ID)
			if len(all) != 2 {
				t.Errorf("%+v", all)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.DeleteRepository(repos[1]); err != nil {
				return err
			}
			_, err := tx.Quota(repos[1].ID)
			wantKind(t, err, fault.NotFound, "")
			return nil
		})
	})
}

// Whatever is done, what is counted is what adding up gives.
func TestQuota_CountsExactly(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two", "three")
		names := []artifact.Coordinates{npmName("a"), npmName("b")}
		var packages []Package
		for _, r := range repos {
			packages = append(packages, ensure(t, db, r, names...)...)
		}
		random, restored := rand.New(rand.NewPCG(1, 2)), 0
		for step := range 200 {
			if step == 20 || step == 60 {
				update(t, db, func(tx *Tx) error {
					scope := d.ID
					if step == 60 {
						scope = repos[0].ID
					}
					_, err := tx.PutQuota(d.ID, scope, Limits{Bytes: new(int64(1))})
					return err
				})
			}
			p := packages[random.IntN(len(packages))]
			number, size, what := strconv.Itoa(random.IntN(4)), int64(random.IntN(5)+1), random.IntN(8)
			err := db.Update(t.Context(), func(tx *Tx) error {
				v, err := tx.Version(p.ID, number)
				if fault.Is(err, fault.NotFound) {
					if v, err = tx.InsertVersion(p, artifact.Version{Number: number, Status: artifact.Published}); err != nil {
						return err
					}
				}
				switch what {
				case 0:
					return tx.DeleteVersion(p, v)
				case 1:
					return tx.DeleteAssets(p, v.ID)
				case 2:
					return tx.DeleteAsset(p, v.ID, "x")
				case 3:
					return tx.InsertAsset(p, v.ID, file("x", size))
				case 4:
					return tx.TrashVersion(p, v, "too old", tx.Now().Add(time.Hour))
				case 5:
					t, err := tx.TrashedVersion(p.RepositoryID, p.Coordinates, number)
					if err != nil {
						return err // with what was inserted above
					}
					if err := tx.DeleteVersion(p, v); err != nil {
						return err
					}
					restored++
					return tx.RestoreVersion(p, t)
				default:
					return tx.InsertAsset(p, v.ID, file(fmt.Sprint("y", size), size))
				}
			})
			if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
				t.Fatal(err)
			}
			wantCounts(t, db, d)
		}
		if restored < 5 {
			t.Errorf("only %d versions came back from the trash", restored)
		}
		update(t, db, func(tx *Tx) error { return tx.DeletePackage(packages[0]) })
		wantCounts(t, db, d)
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[1]) })
		for more := true; more; {
			update(t, db, func(tx *Tx) (err error) {
				more, err = tx.PurgeRepository(repos[1].ID, 2)
				return err
			})
			wantCounts(t, db, d)
		}
	})
}

func TestQuota_HoldsWhenManyComeAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two")
		update(t, db, func(tx *Tx) error {
			if _, err := tx.PutQuota(d.ID, d.ID, Limits{Versions: new(int64(7))}); err != nil {
				return err
			}
			_, err := tx.PutQuota(d.ID, repos[0].ID, Limits{Bytes: new(int64(50))})
			return err
		})
		var taken [2]atomic.Int64
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				r := repos[i%2]
				err := db.Update(t.Context(), func(tx *Tx) error {
					asset := file("f", int64(10))
					if err := tx.Admit("d", r, 1, []artifact.Asset{asset}); err != nil {
						return err
					}
					p, _, err := tx.EnsurePackage(r, npmName(fmt.Sprint("p", i)), "p", artifact.DefaultRestrictions(true))
					if err != nil {
						return err
					}
					v, err := tx.InsertVersion(p, artifact.Version{Number: "1", Status: artifact.Published})
					if err != nil {
						return err
					}
					return tx.InsertAsset(p, v.ID, asset)
				})
				switch {
				case err == nil:
					taken[i%2].Add(1)
				case !fault.Is(err, fault.Quota):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if a, b := taken[0].Load(), taken[1].Load(); a+b != 7 || a > 5 {
			t.Errorf("taken %d and %d", a, b)
		}
		wantCounts(t, db, d)
		view(t, db, func(tx *Tx) error {
			q, err := tx.Quota(d.ID)
			if q.Held != (Holding{10, 7}) { // the same content twenty times
				t.Errorf("%+v", q.Held)
			}
			return err
		})
	})
}
