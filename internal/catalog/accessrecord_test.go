package catalog

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog/pgtest"
)

// eachRecords runs a test on the tables of access records of each engine: in a
// file of their own, and in PostgreSQL.
func eachRecords(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "access.db"), Options{Records: true}))
	})
	t.Run("postgres", func(t *testing.T) { test(t, openTest(t, pgtest.NewDatabase(t), Options{})) })
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func accessBlock(minute int) AccessBlock {
	end := noon.Add(time.Duration(minute) * time.Minute)
	return AccessBlock{Node: "n", FirstAt: end.Add(-time.Minute), LastAt: end, Records: 3, Data: []byte{byte(minute)}}
}

func TestOpen_FileOfAccessRecordsHasNoOtherTables(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "access.db")
	for range 2 { // made, and opened again
		db := openTest(t, path, Options{Records: true})
		view(t, db, func(tx *Tx) error {
			rows, err := all(tx, scanString, newQuery("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"))
			if diff := cmp.Diff([]string{"access_block", "access_block_key", "access_pending", "access_raw", "schema_migration"}, rows); diff != "" {
				t.Error(diff)
			}
			return err
		})
	}
}

func TestRawAccess_ListsByTimeAndProcess(t *testing.T) {
	eachRecords(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error {
			other := accessBlock(2)
			other.Node = "m"
			return errors.Join(tx.InsertRawAccess(accessBlock(3)), tx.InsertRawAccess(other), tx.InsertRawAccess(accessBlock(1)))
		})
		var ids []int64
		view(t, db, func(tx *Tx) error {
			list := func(node string, from, to time.Time, limit int) (minutes []byte) {
				rows, err := tx.RawAccess(node, from, to, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					minutes = append(minutes, r.Data...)
					ids = append(ids, r.ID)
				}
				return minutes
			}
			for _, c := range []struct{ want, got []byte }{
				{[]byte{1, 2, 3}, list("", time.Time{}, time.Time{}, 0)},
				{[]byte{1, 3}, list("n", time.Time{}, time.Time{}, 0)},
				{[]byte{2}, list("", noon.Add(2*time.Minute), noon.Add(3*time.Minute), 0)},
				{[]byte{1}, list("", time.Time{}, time.Time{}, 1)},
			} {
				if diff := cmp.Diff(c.want, c.got); diff != "" {
					t.Error(diff)
				}
			}
			return nil
		})
		update(t, db, func(tx *Tx) error {
			n, err := tx.DeleteRawAccess(ids[:3])
			again, err2 := tx.DeleteRawAccess(ids[:3])
			if n != 3 || again != 0 {
				t.Errorf("deleted %d and %d", n, again)
			}
			return errors.Join(err, err2)
		})
	})
}

func TestAccessPlaces_FindBlocksWithAllKeysNewestFirst(t *testing.T) {
	eachRecords(t, func(t *testing.T, db *DB) {
		const end = 100 * time.Minute
		many := make([]int64, 150) // more than one statement takes
		for i := range many {
			many[i] = int64(1000 + i)
		}
		update(t, db, func(tx *Tx) error {
			for i := range 5 {
				keys := append([]int64{1, int64(10 + i%2)}, many...)
				if err := tx.InsertAccessBlock(accessBlock(i), keys); err != nil {
					return err
				}
			}
			return nil
		})
		var all []AccessPlace
		view(t, db, func(tx *Tx) error {
			minutes := func(from, until time.Time, after AccessPlace, limit int, keys ...int64) (found []byte) {
				places, err := tx.AccessPlaces(keys, from, until, until, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range places {
					b, ok, err := tx.AccessBlock(p.ID)
					if err != nil || !ok || !b.LastAt.Equal(p.LastAt) {
						t.Fatalf("%+v, %v, %v", b, ok, err)
					}
					found = append(found, b.Data...)
				}
				all = places
				return found
			}
			for _, c := range []struct{ want, got []byte }{
				{[]byte{4, 2, 0}, minutes(time.Time{}, noon.Add(end), AccessPlace{}, 0, 1149, 10)},
				{nil, minutes(time.Time{}, noon.Add(end), AccessPlace{}, 0, 1, 99)},
				{[]byte{3, 2}, minutes(noon.Add(2*time.Minute), noon.Add(3*time.Minute), AccessPlace{}, 0, 1)},
				{[]byte{4, 3, 2, 1, 0}, minutes(time.Time{}, noon.Add(end), AccessPlace{}, 0, 1)},
			} {
				if diff := cmp.Diff(c.want, c.got); diff != "" {
					t.Error(diff)
				}
			}
			whole := all
			if diff := cmp.Diff([]byte{2, 1}, minutes(time.Time{}, noon.Add(end), whole[1], 2, 1)); diff != "" {
				t.Error(diff)
			}
			all = whole
			return nil
		})
		update(t, db, func(tx *Tx) error {
			oldest, found, err := tx.OldestAccessBlock()
			if !found || oldest != all[4] {
				t.Errorf("oldest %+v, want %+v", oldest, all[4])
			}
			return errors.Join(err, tx.DeleteAccessBlock(oldest, append([]int64{1, 10}, many...)))
		})
		view(t, db, func(tx *Tx) error {
			var keys int64
			_, err := tx.one("SELECT count(*) FROM access_block_key", nil, &keys)
			size, records, err2 := tx.AccessUsage()
			if keys != 4*152 || records != 4*3 || size != 4*(1+152*keyBytes) {
				t.Errorf("%d keys, %d records, %d bytes are left", keys, records, size)
			}
			_, found, err3 := tx.AccessBlock(all[4].ID)
			if found {
				t.Error("the block is still there")
			}
			return errors.Join(err, err2, err3)
		})
	})
}

func TestWitness_CommitsWithTheChangeOrNotAtAll(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		ctx := WithWitness(t.Context(), func(tx *Tx) error {
			return tx.PutPendingAccess(PendingAccess{ID: "request", At: noon, Data: []byte("x")})
		})
		pending := func() (n int) {
			view(t, db, func(tx *Tx) error {
				list, err := tx.PendingAccess(noon.Add(time.Second), 0)
				n = len(list)
				return err
			})
			return n
		}
		boom := errors.New("boom")
		if err := db.Update(ctx, func(*Tx) error { return boom }); !errors.Is(err, boom) || pending() != 0 {
			t.Errorf("%v, %d pending after a change that failed", err, pending())
		}
		for range 2 {
			if err := db.Update(ctx, func(tx *Tx) error { return tx.SetMeta("a", "b") }); err != nil || pending() != 1 {
				t.Errorf("%v, %d pending after a change", err, pending())
			}
		}
		broken := WithWitness(t.Context(), func(*Tx) error { return boom })
		if err := db.Update(broken, func(tx *Tx) error { return tx.SetMeta("a", "lost") }); !errors.Is(err, boom) {
			t.Errorf("%v", err)
		}
		update(t, db, func(tx *Tx) error {
			value, _, err := tx.Meta("a")
			if value != "b" {
				t.Errorf("the change stands at %q without its record", value)
			}
			return errors.Join(err, tx.DeletePendingAccess([]string{"request", "other"}))
		})
		if pending() != 0 {
			t.Error("it is still pending")
		}
	})
}

// TestPlans_AccessRecords: queries for records use an index whatever is asked
// for, and so does tidying up.
func TestPlans_AccessRecords(t *testing.T) {
	eachRecords(t, func(t *testing.T, db *DB) {
		update(t, db, func(tx *Tx) error { return tx.InsertAccessBlock(accessBlock(1), []int64{1, 2}) })
		place := AccessPlace{LastAt: noon, ID: 1}
		for name, call := range map[string]func(tx *Tx) error{
			"principal": func(tx *Tx) error {
				_, err := tx.AccessPlaces([]int64{1}, time.Time{}, noon, noon, AccessPlace{}, 10)
				return err
			},
			"version by principal, next page": func(tx *Tx) error {
				_, err := tx.AccessPlaces([]int64{1, 2}, noon, noon, noon, place, 10)
				return err
			},
			"block":   func(tx *Tx) error { _, _, err := tx.AccessBlock(1); return err },
			"between": func(tx *Tx) error { _, err := tx.AccessBlocksBetween(noon, noon); return err },
			"oldest":  func(tx *Tx) error { _, _, err := tx.OldestAccessBlock(); return err },
			"delete":  func(tx *Tx) error { return tx.DeleteAccessBlock(place, []int64{1, 2}) },
			"raw":     func(tx *Tx) error { _, err := tx.RawAccess("", noon, noon, 10); return err },
			"fold":    func(tx *Tx) error { _, err := tx.DeleteRawAccess([]int64{1, 2}); return err },
			"pending": func(tx *Tx) error { _, err := tx.PendingAccess(noon, 10); return err },
			"settle":  func(tx *Tx) error { return tx.DeletePendingAccess([]string{"a", "b"}) },
		} {
			update(t, db, func(tx *Tx) error {
				rec := &recorder{querier: tx.q}
				plain := tx.q
				tx.q = rec
				if err := call(tx); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				tx.q = plain
				for i, text := range rec.texts {
					plan, err := explain(tx, text, rec.args[i])
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					for _, line := range plan {
						scan := strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "access_block_age") // the oldest is the first of its index
						if strings.Contains(line, "Seq Scan") || scan || strings.Contains(line, "USE TEMP B-TREE") {
							t.Errorf("%s: %s\n%s", name, text, strings.Join(plan, "\n"))
						}
					}
				}
				return nil
			})
		}
	})
}
