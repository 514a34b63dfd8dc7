package catalog

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// clock is a settable time for Options.Now.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(moment(0).UnixMicro())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// eachEngineAt is eachEngine with a clock that the test moves.
func eachEngineAt(t *testing.T, test func(t *testing.T, db *DB, c *clock)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			test(t, openTest(t, newDSN(t, name), Options{Now: c.Now}), c)
		})
	}
}

func TestBlobs_SweepFindsOnlyOldUnreferencedOnes(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		d, repos := house(t, db, "one")
		p := ensure(t, db, repos[0], npmName("left"))[0]
		sum := func(s string) string { return digest.Of([]byte(s)).Hex(digest.SHA256) }
		doc := RemoteDocument{Connection: "public:npmjs", Coordinates: npmName("left"), Status: 200, BlobSHA256: sum("doc"), Size: 5, CheckedAt: moment(0)}
		var v Version
		update(t, db, func(tx *Tx) (err error) {
			if v, err = tx.InsertVersion(p, artifact.Version{Number: "1.0.0"}); err != nil {
				return err
			}
			for _, err := range []error{
				tx.InsertAsset(p, v.ID, artifact.Asset{Name: "used", Size: 1, Digests: digest.Of([]byte("used"))}),
				tx.StoreBlob(d.ID, sum("old"), 2),
				tx.StoreBlob("other", sum("used"), 1), // the same bytes in another space
				tx.StoreBlob(RemoteSpace, sum("used"), 1),
				tx.StoreBlob(d.ID, sum("doc"), 5), // a document refers to bytes of RemoteSpace alone
				tx.PutRemoteDocument(doc),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		c.advance(time.Hour)
		update(t, db, func(tx *Tx) error { return tx.StoreBlob(d.ID, sum("young"), 3) })
		unreferenced := func(space string, before time.Time) map[string]bool {
			got := map[string]bool{}
			view(t, db, func(tx *Tx) error {
				var after StoredBlob
				for {
					page, err := tx.UnreferencedBlobs(space, before, after, 1)
					if err != nil || len(page) == 0 {
						return err
					}
					after = page[0]
					got[after.Space+"/"+after.SHA256] = true
					if used, err := tx.HasBlobReference(after.Space, after.SHA256); used || err != nil {
						t.Errorf("%v is used: %v, %v", after, used, err)
					}
				}
			})
			return got
		}
		key := func(space, s string) string { return space + "/" + sum(s) }
		all := map[string]bool{key(d.ID, "old"): true, key("other", "used"): true, key(RemoteSpace, "used"): true, key(d.ID, "doc"): true}
		if diff := cmp.Diff(all, unreferenced("", moment(60))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]bool{key(d.ID, "old"): true, key(d.ID, "doc"): true, key(d.ID, "young"): true}, unreferenced(d.ID, moment(7200))); diff != "" {
			t.Error(diff)
		}
		view(t, db, func(tx *Tx) error {
			for _, k := range [][2]string{{d.ID, sum("used")}, {RemoteSpace, sum("doc")}} {
				used, err := tx.HasBlobReference(k[0], k[1])
				if !used || err != nil {
					t.Errorf("%v: used %v, %v", k, used, err)
				}
			}
			return nil
		})
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{tx.DeleteVersion(p, v), tx.DeleteRemoteDocument(doc.Connection, doc.Coordinates), tx.DeleteBlob(d.ID, sum("old"))} {
				if err != nil {
					return err
				}
			}
			has, err := tx.HasBlob(d.ID, sum("old"))
			if has {
				t.Error("the deleted row is there")
			}
			return err
		})
		delete(all, key(d.ID, "old"))
		all[key(RemoteSpace, "doc")] = true
		if diff := cmp.Diff(all, unreferenced("", moment(60))); diff != "" {
			t.Error(diff)
		}
		all[key(d.ID, "used")], all[key(d.ID, "young")] = true, true // the time of the one began when the version went
		if diff := cmp.Diff(all, unreferenced("", moment(7200))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRemoteDocument_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		scoped := artifact.Coordinates{Format: artifact.NPM, Namespace: "s", Name: "a"}
		doc := RemoteDocument{
			Connection: "public:npmjs#1", Coordinates: npmName("left"), Status: 200, ETag: `W/"1"`, LastModified: "Mon",
			SourceURL: "http://registry.test/left", CheckedAt: moment(1), ChangedAt: moment(0), BlobSHA256: "00ff", Size: 10,
		}
		update(t, db, func(tx *Tx) error {
			missing := doc
			missing.Coordinates, missing.Status, missing.BlobSHA256, missing.Size = scoped, 404, "", 0
			for _, d := range []RemoteDocument{{Connection: "other", Coordinates: npmName("left")}, missing, doc} {
				if err := tx.PutRemoteDocument(d); err != nil {
					return err
				}
			}
			doc.ETag, doc.ChangedAt = `W/"2"`, moment(3)
			return tx.PutRemoteDocument(doc)
		})
		update(t, db, func(tx *Tx) error {
			wantKind(t, tx.TouchRemoteDocument("absent", doc.Coordinates, moment(5)), fault.NotFound, "package")
			return tx.TouchRemoteDocument(doc.Connection, doc.Coordinates, moment(5))
		})
		doc.CheckedAt = moment(5)
		view(t, db, func(tx *Tx) error {
			got, err := tx.RemoteDocument(doc.Connection, doc.Coordinates)
			if diff := cmp.Diff(doc, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
			first, err := tx.RemoteDocuments(doc.Connection, artifact.Coordinates{}, 1)
			if err != nil {
				return err
			}
			rest, err := tx.RemoteDocuments(doc.Connection, first[0].Coordinates, 0)
			if len(first) != 1 || len(rest) != 1 || rest[0].Coordinates != scoped || rest[0].Status != 404 {
				t.Errorf("listed %+v and %+v", first, rest)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.DeleteRemoteDocument(doc.Connection, doc.Coordinates); err != nil {
				return err
			}
			_, err := tx.RemoteDocument(doc.Connection, doc.Coordinates)
			wantKind(t, err, fault.NotFound, "package")
			return nil
		})
	})
}

func TestOutbox_SequencePerPackageAndTakenOnce(t *testing.T) {
	eachEngineAt(t, func(t *testing.T, db *DB, c *clock) {
		event := func(name, version string) artifact.Event {
			return artifact.Event{
				Owner: account, Domain: "d", Repository: "r", Coordinates: npmName(name), Version: version,
				Status: artifact.Published, Operation: "Created", AssetsAdded: 1, Metadata: true,
			}
		}
		update(t, db, func(tx *Tx) error {
			for _, e := range []artifact.Event{event("left", "1"), event("right", "1"), event("left", "2")} {
				if err := tx.Emit(e); err != nil {
					return err
				}
			}
			return nil
		})
		var events []OutboxEvent
		view(t, db, func(tx *Tx) (err error) { events, err = tx.Undelivered(0, 10); return err })
		var got []any
		for _, e := range events {
			got = append(got, e.Sequence, e.Event, e.At)
		}
		at := c.Now()
		if diff := cmp.Diff([]any{int64(1), event("left", "1"), at, int64(1), event("right", "1"), at, int64(2), event("left", "2"), at}, got); diff != "" {
			t.Fatal(diff)
		}
		var taken []bool
		update(t, db, func(tx *Tx) error {
			taken = nil
			for _, i := range []int{0, 1, 0} {
				ok, err := tx.TakeEvent(events[i].Seq)
				if err != nil {
					return err
				}
				taken = append(taken, ok)
			}
			return nil
		})
		if diff := cmp.Diff([]bool{true, true, false}, taken); diff != "" {
			t.Error(diff)
		}
		view(t, db, func(tx *Tx) error {
			left, err := tx.Undelivered(0, 10)
			if len(left) != 1 || left[0].Seq != events[2].Seq {
				t.Errorf("left %+v", left)
			}
			none, err2 := tx.Undelivered(events[2].Seq, 10)
			if len(none) != 0 || err2 != nil {
				t.Errorf("after the last: %v, %v", none, err2)
			}
			return err
		})
	})
}
