package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// ensure finds or creates packages of one repository.
func ensure(t testing.TB, db *DB, r Repository, coordinates ...artifact.Coordinates) (packages []Package) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		packages = nil
		for _, c := range coordinates {
			p, _, err := tx.EnsurePackage(r, c, c.Name, artifact.DefaultRestrictions(true))
			if err != nil {
				return err
			}
			packages = append(packages, p)
		}
		return nil
	})
	return packages
}

func TestPackage_EnsureKeepsTheFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one", "two")
		first := ensure(t, db, repos[0], npmName("left"))[0]
		second := ensure(t, db, repos[1], npmName("left"))[0]
		update(t, db, func(tx *Tx) error {
			p, created, err := tx.EnsurePackage(repos[0], npmName("left"), "LEFT", artifact.DefaultRestrictions(false))
			if created || err != nil {
				t.Errorf("created %v, %v", created, err)
			}
			if diff := cmp.Diff(first, p); diff != "" {
				t.Error(diff)
			}
			return tx.SetRestrictions(first, artifact.Restrictions{Publish: artifact.Allow, Upstream: artifact.Allow}, true)
		})
		first.Explicit, first.Restrictions.Upstream = true, artifact.Allow
		view(t, db, func(tx *Tx) error {
			got, err := tx.PackagesIn([]string{repos[1].ID, "absent", repos[0].ID}, npmName("left"))
			byID := func(a, b Package) int { return strings.Compare(a.ID, b.ID) }
			want := []Package{first, second}
			slices.SortFunc(got, byID)
			slices.SortFunc(want, byID)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
			_, err = tx.Package(repos[0].ID, npmName("Left"))
			wantKind(t, err, fault.NotFound, "package")
			none, err := tx.PackagesIn(nil, npmName("left"))
			if len(none) != 0 || err != nil {
				t.Errorf("in no repository: %v, %v", none, err)
			}
			return nil
		})
	})
}

func TestPackages_PageInByteOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		var sorted []artifact.Coordinates
		for _, ns := range []string{"", "B", "a", "é"} {
			for _, name := range []string{"-x", "A", "B_", "_", "a", "a-b", "aB", "b", "z", "Ä", "é", "日本", "🙂"} {
				sorted = append(sorted, artifact.Coordinates{Format: artifact.NPM, Namespace: ns, Name: name})
			}
		}
		sorted = append(sorted, artifact.Coordinates{Format: artifact.PyPI, Name: "A"})
		shuffled := slices.Clone(sorted)
		slices.Reverse(shuffled)
		ensure(t, db, repos[0], shuffled...)
		for _, size := range []int{1, 7, 1000} {
			var got []artifact.Coordinates
			view(t, db, func(tx *Tx) error {
				var after artifact.Coordinates
				for {
					page, err := tx.Packages(repos[0].ID, PackageFilter{}, after, size)
					if err != nil || len(page) == 0 {
						return err
					}
					for _, p := range page {
						got = append(got, p.Coordinates)
					}
					after = got[len(got)-1]
				}
			})
			if diff := cmp.Diff(sorted, got); diff != "" {
				t.Errorf("pages of %d: %s", size, diff)
			}
		}
	})
}

func TestPackages_Filter(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		packages := ensure(t, db, repos[0],
			artifact.Coordinates{Format: artifact.Maven, Namespace: "com.acme", Name: "core"},
			artifact.Coordinates{Format: artifact.Maven, Namespace: "com.acme.web", Name: "core-ui"},
			artifact.Coordinates{Format: artifact.Maven, Namespace: "org.acme", Name: "core"},
			artifact.Coordinates{Format: artifact.NPM, Name: "core"},
			artifact.Coordinates{Format: artifact.NPM, Name: "co%re"})
		update(t, db, func(tx *Tx) error {
			return tx.SetRestrictions(packages[2], artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Allow}, true)
		})
		for _, c := range []struct {
			name   string
			filter PackageFilter
			want   []int // indexes into packages, in listing order
		}{
			{"none", PackageFilter{}, []int{0, 1, 2, 4, 3}},
			{"format", PackageFilter{Format: artifact.NPM}, []int{4, 3}},
			{"namespace prefix", PackageFilter{Format: artifact.Maven, NamespacePrefix: "com.acme"}, []int{0, 1}},
			{"name prefix", PackageFilter{NamePrefix: "core"}, []int{0, 1, 2, 3}},
			{"name prefix is not a pattern", PackageFilter{NamePrefix: "co%"}, []int{4}},
			{"publish", PackageFilter{Publish: artifact.Block}, []int{2}},
			{"upstream", PackageFilter{Upstream: artifact.Block, NamePrefix: "core-"}, []int{1}},
		} {
			var got, want []string
			view(t, db, func(tx *Tx) error {
				page, err := tx.Packages(repos[0].ID, c.filter, artifact.Coordinates{}, 0)
				for _, p := range page {
					got = append(got, p.Coordinates.String())
				}
				return err
			})
			for _, i := range c.want {
				want = append(want, packages[i].Coordinates.String())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
	})
}

func TestSearchPackages_DistinctNames(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one", "two", "hidden")
		scoped := artifact.Coordinates{Format: artifact.NPM, Namespace: "Express-Org", Name: "thing"}
		ensure(t, db, repos[0], npmName("express"), npmName("exp_ress"), scoped)
		ensure(t, db, repos[1], npmName("express"), npmName("my-EXPRESS-app"), artifact.Coordinates{Format: artifact.PyPI, Name: "express"})
		ensure(t, db, repos[2], npmName("express-hidden"))
		search := func(text string, size int) (got []string) {
			view(t, db, func(tx *Tx) error {
				var after artifact.Coordinates
				for {
					page, err := tx.SearchPackages([]string{repos[0].ID, repos[1].ID}, artifact.NPM, text, after, size)
					if err != nil || len(page) == 0 {
						return err
					}
					for _, p := range page {
						got = append(got, p.Coordinates.String())
					}
					after = page[len(page)-1].Coordinates
				}
			})
			return got
		}
		for _, size := range []int{1, 10} {
			if diff := cmp.Diff([]string{"npm/express", "npm/my-EXPRESS-app", "npm/Express-Org/thing"}, search("Express", size)); diff != "" {
				t.Errorf("pages of %d: %s", size, diff)
			}
		}
		if diff := cmp.Diff([]string{"npm/exp_ress"}, search("p_r", 10)); diff != "" {
			t.Errorf("an underscore is no wildcard: %s", diff)
		}
		if got := search("", 10); len(got) != 4 {
			t.Errorf("everything: %v", got)
		}
	})
}

func TestDeletePackage_TakesEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		packages := ensure(t, db, repos[0], npmName("left"), npmName("right"))
		update(t, db, func(tx *Tx) error {
			for _, p := range packages {
				if err := publish(tx, p, 1); err != nil {
					return err
				}
			}
			return nil
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.DeletePackage(packages[0]); err != nil {
				return err
			}
			wantKind(t, tx.DeletePackage(packages[0]), fault.NotFound, "package")
			wantKind(t, tx.SetRestrictions(packages[0], artifact.Restrictions{}, true), fault.NotFound, "package")
			for _, table := range []string{"package", "version", "manifest", "asset", "dist_tag"} {
				var n int
				if _, err := tx.one("SELECT count(*) FROM "+table, nil, &n); err != nil || n != 1 {
					t.Errorf("%s: %d rows are left, %v; want the other package's", table, n, err)
				}
			}
			return nil
		})
	})
}

func TestDistTag_SetListDelete(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		packages := ensure(t, db, repos[0], npmName("left"), npmName("right"))
		update(t, db, func(tx *Tx) error {
			for _, err := range []error{
				tx.SetDistTag(packages[0], "next", "2.0.0"), tx.SetDistTag(packages[0], "latest", "1.0.0"),
				tx.SetDistTag(packages[0], "latest", "1.0.1"), tx.SetDistTag(packages[1], "latest", "3.0.0"),
				tx.DeleteDistTag(packages[0], "next"),
			} {
				if err != nil {
					return err
				}
			}
			wantKind(t, tx.DeleteDistTag(packages[0], "next"), fault.NotFound, "package")
			return nil
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.DistTags(packages[0].ID, packages[1].ID)
			want := []DistTag{{packages[0].ID, "latest", "1.0.1"}, {packages[1].ID, "latest", "3.0.0"}}
			slices.SortFunc(want, func(a, b DistTag) int { return strings.Compare(a.PackageID, b.PackageID) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
	})
}

func TestVersion_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one")
		p := ensure(t, db, repos[0], npmName("left"))[0]
		v := artifact.Version{
			Number: "1.0.0", Status: artifact.Published, Revision: "r1", Published: moment(0), Manifest: []byte("{\"a\":\"\xff\"}"),
			Origin: artifact.Origin{Type: artifact.External, Connection: "public:npmjs"},
		}
		var row Version
		update(t, db, func(tx *Tx) (err error) {
			row, err = tx.InsertVersion(p, v)
			return err
		})
		get := func() (got Version) {
			view(t, db, func(tx *Tx) (err error) { got, err = tx.Version(p.ID, "1.0.0"); return err })
			return got
		}
		if diff := cmp.Diff(Version{Version: v, ID: row.ID, PackageID: p.ID}, get()); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error {
			_, err := tx.InsertVersion(p, v)
			wantKind(t, err, fault.Conflict, "package-version")
			row.Status, row.Revision, row.Published, row.Manifest = artifact.Unlisted, "r2", moment(9), nil
			return tx.UpdateVersion(p, row)
		})
		row.Manifest = v.Manifest // nil left it
		if diff := cmp.Diff(row, get()); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error {
			row.Manifest = []byte("{}")
			return tx.UpdateVersion(p, row)
		})
		if diff := cmp.Diff(row, get()); diff != "" {
			t.Error(diff)
		}
		update(t, db, func(tx *Tx) error {
			if err := tx.DeleteVersion(p, row); err != nil {
				return err
			}
			wantKind(t, tx.DeleteVersion(p, row), fault.NotFound, "package-version")
			wantKind(t, tx.UpdateVersion(p, row), fault.NotFound, "package-version")
			_, err := tx.Version(p.ID, "1.0.0")
			wantKind(t, err, fault.NotFound, "package-version")
			_, err = tx.InsertVersion(p, v) // the number is free again
			return err
		})
	})
}

func TestVersions_ListPageAndManifests(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		_, repos := house(t, db, "one", "two")
		p, other := ensure(t, db, repos[0], npmName("left"))[0], ensure(t, db, repos[1], npmName("left"))[0]
		const n = 150 // more than one IN list
		update(t, db, func(tx *Tx) error {
			for i := range n {
				v := artifact.Version{
					Number: fmt.Sprintf("1.0.%03d", i), Status: artifact.Published, Published: moment(int64(i / 3)), // three share a time
					Origin: artifact.Origin{Type: artifact.Internal, Repository: "one"}, Manifest: fmt.Appendf(nil, "m%d", i),
				}
				if i%10 == 0 {
					v.Status, v.Origin.Type = artifact.Unlisted, artifact.External
				}
				if _, err := tx.InsertVersion(p, v); err != nil {
					return err
				}
			}
			_, err := tx.InsertVersion(other, artifact.Version{Number: "9.0.0", Status: artifact.Unfinished})
			return err
		})
		var versions []Version
		view(t, db, func(tx *Tx) (err error) {
			versions, err = tx.Versions(p.ID, other.ID)
			return err
		})
		if len(versions) != n+1 || !slices.IsSortedFunc(versions, func(a, b Version) int {
			return strings.Compare(a.PackageID+a.Number, b.PackageID+b.Number)
		}) {
			t.Errorf("%d versions, sorted?", len(versions))
		}
		manifests := map[string]string{}
		view(t, db, func(tx *Tx) error {
			var ids []string
			for _, v := range versions {
				ids = append(ids, v.ID)
				if v.Manifest != nil {
					t.Error("a listing loaded a manifest")
				}
			}
			return tx.Manifests(ids, func(id string, m []byte) error { manifests[id] = string(m); return nil })
		})
		if len(manifests) != n {
			t.Errorf("%d manifests, want %d", len(manifests), n)
		}
		for _, v := range versions {
			var i int
			if _, err := fmt.Sscanf(v.Number, "1.0.%d", &i); err == nil && manifests[v.ID] != fmt.Sprintf("m%d", i) {
				t.Errorf("%s has manifest %q", v.Number, manifests[v.ID])
			}
		}
		paged := func(f VersionFilter) (got []string) {
			view(t, db, func(tx *Tx) error {
				var after VersionCursor
				for {
					page, err := tx.VersionPage(p.ID, f, after, 7)
					if err != nil || len(page) == 0 {
						return err
					}
					for _, v := range page {
						got = append(got, v.Number)
					}
					after = page[len(page)-1].Cursor()
				}
			})
			return got
		}
		var byNumber, byTime, unlisted, internal []string
		for i := range n {
			byNumber = append(byNumber, fmt.Sprintf("1.0.%03d", i))
			group := (n-1-i)/3*3 + i%3
			byTime = append(byTime, fmt.Sprintf("1.0.%03d", group))
			if i%10 == 0 {
				unlisted = append(unlisted, fmt.Sprintf("1.0.%03d", i))
			} else {
				internal = append(internal, fmt.Sprintf("1.0.%03d", i))
			}
		}
		for _, c := range []struct {
			name   string
			filter VersionFilter
			want   []string
		}{
			{"by number", VersionFilter{}, byNumber},
			{"by time", VersionFilter{ByPublished: true}, byTime},
			{"status", VersionFilter{Status: artifact.Unlisted}, unlisted},
			{"origin", VersionFilter{Origin: artifact.Internal}, internal},
			{"nothing", VersionFilter{Origin: artifact.Internal, Status: artifact.Unlisted, ByPublished: true}, nil},
		} {
			if diff := cmp.Diff(c.want, paged(c.filter)); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		view(t, db, func(tx *Tx) error {
			latest, err := tx.LatestVersion(p.ID)
			if diff := cmp.Diff("1.0.147", latest); diff != "" || err != nil {
				t.Error(diff, err)
			}
			none, err := tx.LatestVersion(other.ID)
			if none != "" || err != nil {
				t.Errorf("latest of an unfinished version: %q, %v", none, err)
			}
			stop := errors.New("stop")
			if err := tx.Manifests([]string{versions[0].ID, versions[1].ID, versions[2].ID}, func(string, []byte) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("got %v, want the callback's error", err)
			}
			return nil
		})
	})
}

func TestAsset_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one")
		p := ensure(t, db, repos[0], npmName("left"))[0]
		var v Version
		var want []Asset
		update(t, db, func(tx *Tx) (err error) {
			if v, err = tx.InsertVersion(p, artifact.Version{Number: "1.0.0", Status: artifact.Published}); err != nil {
				return err
			}
			want = nil
			for _, name := range []string{"b.jar", "a.jar", "A.jar"} {
				a := artifact.Asset{Name: name, Size: 3, Digests: digest.Of([]byte(name))}
				if name == "a.jar" {
					a.Digests = digest.Set{SHA256: a.Digests.SHA256} // the others are not known
				}
				if err := tx.InsertAsset(p, v.ID, a); err != nil {
					return err
				}
				wantKind(t, tx.InsertAsset(p, v.ID, a), fault.Conflict, "asset")
				want = append(want, Asset{Asset: a, VersionID: v.ID, Space: d.ID})
			}
			return nil
		})
		slices.Reverse(want) // by name, bytes
		view(t, db, func(tx *Tx) error {
			var paged []Asset
			for after := ""; ; after = paged[len(paged)-1].Name {
				page, err := tx.Assets(v.ID, after, 2)
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				paged = append(paged, page...)
			}
			one, err := tx.Asset(v.ID, "a.jar")
			if err != nil {
				return err
			}
			var streamed []Asset
			if err := tx.AssetsOf([]string{"absent", v.ID}, func(a Asset) error { streamed = append(streamed, a); return nil }); err != nil {
				return err
			}
			if diff := cmp.Diff([]any{want, want, want[1]}, []any{paged, streamed, one}); diff != "" {
				t.Error(diff)
			}
			_, err = tx.Asset(v.ID, "c.jar")
			wantKind(t, err, fault.NotFound, "asset")
			return nil
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.DeleteAssets(p, v.ID); err != nil {
				return err
			}
			left, err := tx.Assets(v.ID, "", 0)
			if len(left) != 0 {
				t.Errorf("assets %v are left", left)
			}
			return err
		})
	})
}
