package catalog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/retention"
)

// stock adds versions of one package, each with one asset of the given content.
func stock(t *testing.T, db *DB, repo Repository, name string, contents map[string]string) (p Package, versions map[string]Version) {
	t.Helper()
	update(t, db, func(tx *Tx) (err error) {
		versions = map[string]Version{}
		if p, _, err = tx.EnsurePackage(repo, npmName(name), name, artifact.DefaultRestrictions(true)); err != nil {
			return err
		}
		for number, content := range contents {
			v, err := tx.InsertVersion(p, artifact.Version{
				Number: number, Status: artifact.Published, Revision: "r" + number, Manifest: []byte("{}"),
				Origin: artifact.Origin{Type: artifact.Internal, Repository: repo.Name}, Published: tx.Now().Add(-time.Hour),
			})
			if err != nil {
				return err
			}
			if err := tx.InsertAsset(p, v.ID, artifact.Asset{Name: "a", Size: int64(len(content)), Digests: digest.Of([]byte(content))}); err != nil {
				return err
			}
			versions[number] = v
		}
		return nil
	})
	return p, versions
}

func TestMadeAt(t *testing.T) {
	for _, when := range []time.Time{time.UnixMilli(0).UTC(), time.Date(2026, 3, 1, 12, 30, 0, 987e6, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got := madeAt(newID(when)); !got.Equal(when) {
			t.Errorf("an id made at %v says %v", when, got)
		}
	}
	for _, id := range []string{"", "short", "ABCDEFGHIJKL", "wwwwwwwwwwww"} {
		if got := madeAt(id); !got.IsZero() {
			t.Errorf("%q says %v", id, got)
		}
	}
}

func TestTrash_TakesAndGivesBackEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		p, versions := stock(t, db, repos[0], "left", map[string]string{"1": "first", "2": "second"})
		sha := digest.Of([]byte("first")).Hex(digest.SHA256)
		before, purge := versions["1"], time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
		update(t, db, func(tx *Tx) error { return tx.TrashVersion(p, versions["1"], "old", purge) })
		view(t, db, func(tx *Tx) error {
			_, err := tx.Version(p.ID, "1")
			wantKind(t, err, fault.NotFound, "package-version")
			if used, err := tx.HasBlobReference(d.ID, sha); err != nil || !used {
				t.Errorf("the trash does not keep the bytes: %v, %v", used, err)
			}
			free, err := tx.UnreferencedBlobs(d.ID, time.Now().Add(time.Hour), StoredBlob{}, 0)
			if err != nil || len(free) > 0 {
				t.Errorf("to be swept: %v, %v", free, err)
			}
			got, err := tx.Trash(d.ID, TrashFilter{RepositoryID: repos[0].ID, Coordinates: npmName("left")}, "", 10)
			if err != nil {
				return err
			}
			want := []Trashed{{
				Version: before.Version, ID: before.ID, DomainID: d.ID, RepositoryID: repos[0].ID, Coordinates: npmName("left"), DisplayName: "left",
				PurgeAt: purge, Rule: "old", Bytes: int64(len("first")),
			}}
			want[0].Manifest = nil
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Trashed{}, "Removed")); diff != "" {
				t.Error(diff)
			}
			return nil
		})
		err := db.Update(t.Context(), func(tx *Tx) error { return tx.TrashVersion(p, versions["1"], "old", purge) })
		wantKind(t, err, fault.NotFound, "package-version")

		update(t, db, func(tx *Tx) error {
			found, err := tx.TrashedVersion(repos[0].ID, npmName("left"), "1")
			if err != nil {
				return err
			}
			return tx.RestoreVersion(p, found)
		})
		view(t, db, func(tx *Tx) error {
			back, err := tx.Version(p.ID, "1")
			if err != nil {
				return err
			}
			if diff := cmp.Diff(before, back); diff != "" {
				t.Error(diff)
			}
			assets, err := tx.Assets(back.ID, "", 0)
			if err != nil || len(assets) != 1 || assets[0].Digests.Hex(digest.SHA256) != sha {
				t.Errorf("assets %v, %v", assets, err)
			}
			left, err := tx.Trash(d.ID, TrashFilter{}, "", 0)
			if err != nil || len(left) > 0 {
				t.Errorf("still in the trash: %v, %v", left, err)
			}
			return nil
		})
	})
}

func TestRestoreVersion_NumberTaken(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		p, versions := stock(t, db, repos[0], "left", map[string]string{"1": "first"})
		update(t, db, func(tx *Tx) error { return tx.TrashVersion(p, versions["1"], "old", time.Now()) })
		stock(t, db, repos[0], "left", map[string]string{"1": "other"})
		err := db.Update(t.Context(), func(tx *Tx) error {
			found, err := tx.TrashedVersion(repos[0].ID, npmName("left"), "1")
			if err != nil {
				return err
			}
			return tx.RestoreVersion(p, found)
		})
		wantKind(t, err, fault.Conflict, "package-version")
	})
}

func TestPurgeTrash_WhenItsTimeIsOverUnlessHeld(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		p, versions := stock(t, db, repos[0], "left", map[string]string{"1": "a", "2": "b", "3": "c"})
		q, others := stock(t, db, repos[0], "held", map[string]string{"1": "d"})
		now := time.Now()
		update(t, db, func(tx *Tx) error {
			for number, at := range map[string]time.Time{"1": now.Add(-time.Minute), "2": now.Add(time.Hour), "3": now.Add(-time.Minute)} {
				if err := tx.TrashVersion(p, versions[number], "old", at); err != nil {
					return err
				}
			}
			if err := tx.TrashVersion(q, others["1"], "old", now.Add(-time.Minute)); err != nil {
				return err
			}
			if err := tx.PutHold(Hold{RepositoryID: repos[0].ID, Coordinates: npmName("left"), Version: "3", Kind: HoldLegal}); err != nil {
				return err
			}
			return tx.PutHold(Hold{RepositoryID: repos[0].ID, Coordinates: npmName("held"), Kind: HoldLegal})
		})
		update(t, db, func(tx *Tx) error {
			n, err := tx.PurgeTrash(now, 10)
			if n != 1 {
				t.Errorf("%d went", n)
			}
			return err
		})
		view(t, db, func(tx *Tx) error {
			rest, err := tx.Trash(d.ID, TrashFilter{}, "", 0)
			if len(rest) != 3 {
				t.Errorf("left: %v", rest)
			}
			if used, _ := tx.HasBlobReference(d.ID, digest.Of([]byte("a")).Hex(digest.SHA256)); used {
				t.Error("the bytes of what is purged are kept")
			}
			return err
		})
	})
}

func TestAging_ReadsWhatIsKnown(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one", "two")
		p, versions := stock(t, db, repos[0], "left", map[string]string{"1": "a", "2": "b"})
		q, _ := stock(t, db, repos[1], "left", map[string]string{"1": "a"})
		at := time.Now().Truncate(time.Microsecond).UTC()
		update(t, db, func(tx *Tx) error {
			if err := tx.SetDistTag(q, "beta", "2"); err != nil {
				return err
			}
			_, err := tx.exec("INSERT INTO version_usage (version_id, last_download, downloads) VALUES ($1, $2, 1)", versions["2"].ID, at.UnixMicro())
			return err
		})
		view(t, db, func(tx *Tx) error {
			found, err := tx.Aging(p.ID, "nothing")
			if err != nil {
				return err
			}
			if len(found) != 1 || len(found[p.ID]) != 2 {
				t.Fatalf("got %v", found)
			}
			for _, v := range found[p.ID] {
				if age := time.Since(v.Created); age < -time.Second || age > time.Minute {
					t.Errorf("%s was made %v", v.Number, v.Created)
				}
				if want := map[string]time.Time{"2": at}[v.Number]; !v.LastDownload.Equal(want) {
					t.Errorf("%s was downloaded %v", v.Number, v.LastDownload)
				}
			}
			tags, err := tx.TagsInDomain(p.ID)
			if diff := cmp.Diff([]DistTag{{PackageID: p.ID, Tag: "beta", Version: "2"}}, tags); diff != "" {
				t.Error(diff)
			}
			shared := map[string]bool{}
			if err := tx.BlobsOf([]string{versions["1"].ID, versions["2"].ID}, func(b HeldBlob) error {
				shared[b.VersionID] = b.Shared
				return nil
			}); err != nil {
				return err
			}
			if !shared[versions["1"].ID] || shared[versions["2"].ID] {
				t.Errorf("shared: %v", shared)
			}
			return err
		})
	})
}

func TestRetentionConfigurations(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		own := RetentionConfiguration{DomainID: d.ID, RepositoryID: repos[0].ID, Configuration: retention.Configuration{Versions: 3, Rules: []retention.Rule{{Format: artifact.NPM, Keep: true}}}}
		external := RetentionConfiguration{DomainID: d.ID, Origin: artifact.External, Configuration: retention.Configuration{Days: 30, Forced: true}}
		update(t, db, func(tx *Tx) error {
			for _, c := range []RetentionConfiguration{own, {DomainID: d.ID, Origin: artifact.External, Configuration: retention.Configuration{Days: 1}}, external} {
				if err := tx.PutRetentionConfiguration(c); err != nil {
					return err
				}
			}
			return tx.PutHold(Hold{RepositoryID: repos[0].ID, Kind: HoldLegal})
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.RetentionConfigurations(d.ID)
			if diff := cmp.Diff([]RetentionConfiguration{external, own}, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[0]) })
		view(t, db, func(tx *Tx) error {
			got, err := tx.RetentionConfigurations(d.ID)
			if len(got) != 1 {
				t.Errorf("after the repository is gone: %v", got)
			}
			if _, held, _ := tx.LegalHold(repos[0].ID, artifact.Coordinates{}, ""); held {
				t.Error("the hold of a repository that is gone is there")
			}
			return err
		})
	})
}

func TestRetentionRuns_OneAtATime(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, _ := house(t, db, "one")
		var run RetentionRun
		update(t, db, func(tx *Tx) (err error) {
			run, err = tx.InsertRetentionRun(RetentionRun{DomainID: d.ID, Origin: RunRequested, AsOf: tx.Now()})
			return err
		})
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.InsertRetentionRun(RetentionRun{DomainID: d.ID, Origin: RunScheduled})
			return err
		})
		wantKind(t, err, fault.Conflict, "")
		time.Sleep(2 * time.Millisecond) // runs are listed by the millisecond they were made in
		run.Status, run.Finished, run.Removed, run.After = RunSucceeded, time.Now().Truncate(time.Microsecond).UTC(), 3, npmName("left")
		update(t, db, func(tx *Tx) error {
			for _, id := range []string{"a", "b", "a"} {
				if err := tx.InsertRemoval(run.ID, Removal{VersionID: id, Repository: "one", Coordinates: npmName("left"), Number: "1", Rule: "old", Freed: 5}); err != nil {
					return err
				}
			}
			if err := tx.UpdateRetentionRun(run); err != nil {
				return err
			}
			_, err := tx.InsertRetentionRun(RetentionRun{DomainID: d.ID, Origin: RunScheduled})
			return err
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.RetentionRun(d.ID, run.ID)
			if diff := cmp.Diff(run, got); diff != "" {
				t.Error(diff)
			}
			gone, err2 := tx.Removals(run.ID, "a", 10)
			if err2 != nil || len(gone) != 1 || gone[0].VersionID != "b" {
				t.Errorf("removals %v, %v", gone, err2)
			}
			list, err2 := tx.RetentionRuns(d.ID, "", 10)
			if err2 != nil || len(list) != 2 || list[1].ID != run.ID {
				t.Errorf("runs %v, %v", list, err2)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			for {
				n, err := tx.ForgetRetentionRuns(time.Now().Add(time.Hour), 1)
				if err != nil || n == 0 {
					return err
				}
			}
		})
		view(t, db, func(tx *Tx) error {
			list, err := tx.RetentionRuns(d.ID, "", 10)
			if len(list) != 1 || list[0].ID == run.ID {
				t.Errorf("runs %v", list)
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			repo, err := tx.Repository(d.ID, "one")
			if err != nil {
				return err
			}
			if err := tx.DeleteRepository(repo); err != nil {
				return err
			}
			return tx.DeleteDomain(d)
		})
	})
}

func TestDeleteRepository_TakesItsTrash(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		p, versions := stock(t, db, repos[0], "left", map[string]string{"1": "a", "2": "b"})
		update(t, db, func(tx *Tx) error {
			for number, v := range versions {
				if err := tx.RecordUsage(UsageFlush{Node: "n" + number, Number: 1, Versions: []VersionUse{
					{RepositoryID: repos[0].ID, Coordinates: npmName("left"), Version: number, Downloads: 1, Last: time.Now()},
				}}); err != nil {
					return err
				}
				if err := tx.TrashVersion(p, v, "old", time.Now().Add(time.Hour)); err != nil {
					return err
				}
			}
			return tx.DeletePackage(p)
		})
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[0]) })
		update(t, db, func(tx *Tx) error {
			waiting, err := tx.Jobs(JobPurgeRepository, "", 0)
			if len(waiting) != 1 {
				t.Errorf("jobs %v", waiting)
			}
			return err
		})
		for more := true; more; {
			update(t, db, func(tx *Tx) (err error) {
				more, err = tx.PurgeRepository(repos[0].ID, 1)
				return err
			})
		}
		view(t, db, func(tx *Tx) error {
			rest, err := tx.Trash(d.ID, TrashFilter{}, "", 0)
			if len(rest) > 0 {
				t.Errorf("left: %v", rest)
			}
			for number, v := range versions {
				if n, _, err := tx.VersionUsage(v.ID); err != nil || n > 0 {
					t.Errorf("what was counted of %s is left: %d, %v", number, n, err)
				}
			}
			return err
		})
	})
}
