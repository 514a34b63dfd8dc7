package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// house is a domain with repositories of the given names.
func house(t testing.TB, db *DB, names ...string) (d Domain, repos []Repository) {
	t.Helper()
	update(t, db, func(tx *Tx) (err error) {
		repos = nil
		if d, err = tx.InsertDomain(Domain{Owner: account, Name: "my-company-domain", CrossRepositoryBlock: true}); err != nil {
			return err
		}
		for _, name := range names {
			r, err := tx.InsertRepository(Repository{DomainID: d.ID, Name: name, Administrator: account})
			if err != nil {
				return err
			}
			repos = append(repos, r)
		}
		return nil
	})
	return d, repos
}

func TestDomain_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		var d Domain
		update(t, db, func(tx *Tx) (err error) {
			d, err = tx.InsertDomain(Domain{Owner: account, Name: "my-company-domain", EncryptionKey: "arn:key", CrossRepositoryBlock: true})
			return err
		})
		if d.ID == "" || d.Status != DomainActive || d.Created.IsZero() {
			t.Errorf("inserted %+v", d)
		}
		update(t, db, func(tx *Tx) error {
			_, err := tx.InsertDomain(Domain{Owner: account, Name: "my-company-domain"})
			wantKind(t, err, fault.Conflict, "domain")
			if _, err := tx.InsertDomain(Domain{Owner: "210987654321", Name: "my-company-domain"}); err != nil {
				return err
			}
			_, err = tx.InsertRepository(Repository{DomainID: d.ID, Name: "npm-public", Administrator: account})
			return err
		})
		update(t, db, func(tx *Tx) error {
			got, err := tx.Domain(account, "my-company-domain")
			if diff := cmp.Diff(d, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
			wantKind(t, tx.DeleteDomain(d), fault.Conflict, "domain")
			if err := tx.SetCrossRepositoryBlock(d.ID, false); err != nil {
				return err
			}
			got, err = tx.DomainByID(d.ID)
			if got.CrossRepositoryBlock {
				t.Error("the guard is still on")
			}
			return err
		})
		update(t, db, func(tx *Tx) error {
			r, err := tx.Repository(d.ID, "npm-public")
			if err != nil {
				return err
			}
			if err := tx.DeleteRepository(r); err != nil {
				return err
			}
			if err := tx.DeleteDomain(d); err != nil {
				return err
			}
			wantKind(t, tx.DeleteDomain(d), fault.NotFound, "domain")
			_, err = tx.Domain(account, "my-company-domain")
			wantKind(t, err, fault.NotFound, "domain")
			return nil
		})
	})
}

func TestDomain_UsageCountsDistinctBytes(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two")
		update(t, db, func(tx *Tx) error {
			for i, r := range repos {
				p, _, err := tx.EnsurePackage(r, npmName("left"), "left", artifact.DefaultRestrictions(true))
				if err != nil {
					return err
				}
				v, err := tx.InsertVersion(p, artifact.Version{Number: "1.0.0", Status: artifact.Published})
				if err != nil {
					return err
				}
				for name, content := range map[string]string{"package.tgz": "same in both", "extra": strings.Repeat("x", i+1)} {
					if err := tx.InsertAsset(p, v.ID, artifact.Asset{Name: name, Size: int64(len(content)), Digests: digest.Of([]byte(content))}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.DomainUsage(d.ID)
			if diff := cmp.Diff(DomainUsage{Repositories: 2, Bytes: int64(len("same in both")) + 1 + 2}, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
	})
}

func TestRepository_Lifecycle(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "npm-public", "npm-internal", "frontend-app")
		app := repos[2]
		app.Upstreams, app.Connections, app.Description = []string{repos[1].ID, repos[0].ID}, []string{"public:npmjs", "custom:more"}, "the app"
		update(t, db, func(tx *Tx) error {
			_, err := tx.InsertRepository(Repository{DomainID: d.ID, Name: "npm-public"})
			wantKind(t, err, fault.Conflict, "repository")
			for _, err := range []error{
				tx.SetUpstreams(app.ID, app.Upstreams), tx.SetDescription(app.ID, "the app"),
				tx.AddConnection(app.ID, "public:npmjs"), tx.AddConnection(app.ID, "custom:more"), tx.AddConnection(app.ID, "public:npmjs"),
			} {
				if err != nil {
					return err
				}
			}
			for _, err := range []error{tx.SetUpstreams("absent", nil), tx.SetDescription("absent", ""), tx.AddConnection("absent", "x"), tx.RemoveConnection("absent", "x"), tx.RemoveConnection(app.ID, "x")} {
				wantKind(t, err, fault.NotFound, "repository")
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.Repository(d.ID, "frontend-app")
			if diff := cmp.Diff(app, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
			some, err := tx.RepositoriesByID(repos[0].ID, "absent", app.ID)
			if err != nil {
				return err
			}
			want := []Repository{repos[0], app}
			slices.SortFunc(want, func(a, b Repository) int { return strings.Compare(a.ID, b.ID) })
			if diff := cmp.Diff(want, some); diff != "" {
				t.Error(diff)
			}
			return nil
		})
		update(t, db, func(tx *Tx) error {
			if err := tx.RemoveConnection(app.ID, "public:npmjs"); err != nil {
				return err
			}
			return tx.DeleteRepository(repos[1])
		})
		view(t, db, func(tx *Tx) error {
			got, err := tx.Repository(d.ID, "frontend-app")
			app.Upstreams, app.Connections = []string{repos[0].ID}, []string{"custom:more"}
			if diff := cmp.Diff(app, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
	})
}

func TestRepositories_FilterAndPage(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		names := []string{"Zoo", "app-1", "app-2", "app_3", "apq", "b.c"}
		d, _ := house(t, db, names...)
		other := "999999999999"
		update(t, db, func(tx *Tx) error {
			second, err := tx.InsertDomain(Domain{Owner: other, Name: "second"})
			if err != nil {
				return err
			}
			if _, err = tx.InsertRepository(Repository{DomainID: second.ID, Name: "app-1", Administrator: account}); err != nil {
				return err
			}
			_, err = tx.InsertRepository(Repository{DomainID: d.ID, Name: "app-9", Administrator: other})
			return err
		})
		paged := func(f RepositoryFilter) (got []string) {
			view(t, db, func(tx *Tx) error {
				after := ""
				for {
					page, err := tx.Repositories(d.ID, f, after, 2)
					if err != nil || len(page) == 0 {
						return err
					}
					for _, r := range page {
						got = append(got, r.Name)
					}
					after = got[len(got)-1]
				}
			})
			return got
		}
		for _, c := range []struct {
			filter RepositoryFilter
			want   []string
		}{
			{RepositoryFilter{}, []string{"Zoo", "app-1", "app-2", "app-9", "app_3", "apq", "b.c"}},
			{RepositoryFilter{Prefix: "app"}, []string{"app-1", "app-2", "app-9", "app_3"}},
			{RepositoryFilter{Prefix: "app-", Administrator: account}, []string{"app-1", "app-2"}},
			{RepositoryFilter{Administrator: other}, []string{"app-9"}},
		} {
			if diff := cmp.Diff(c.want, paged(c.filter)); diff != "" {
				t.Errorf("%+v: %s", c.filter, diff)
			}
		}
		var mine []string
		view(t, db, func(tx *Tx) error {
			var after RepositoryCursor
			for {
				page, err := tx.AdministeredRepositories(account, "app", after, 1)
				if err != nil || len(page) == 0 {
					return err
				}
				mine = append(mine, page[0].Name)
				after = RepositoryCursor{page[0].Name, page[0].DomainID}
			}
		})
		if diff := cmp.Diff([]string{"app-1", "app-1", "app-2", "app_3"}, mine); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeleteRepository_IsInvisibleAtOnceAndPurgedInSteps(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "big", "small")
		update(t, db, func(tx *Tx) error {
			for _, r := range repos {
				for i := range 70 {
					p, _, err := tx.EnsurePackage(r, npmName(fmt.Sprintf("p%d", i)), "", artifact.DefaultRestrictions(true))
					if err != nil {
						return err
					}
					if i < 3 {
						for n := range int64(5) {
							if err := publish(tx, p, n); err != nil {
								return err
							}
						}
					}
				}
			}
			return nil
		})
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[0]) })
		var again Repository
		update(t, db, func(tx *Tx) (err error) {
			_, err = tx.Repository(d.ID, "big")
			wantKind(t, err, fault.NotFound, "repository")
			again, err = tx.InsertRepository(Repository{DomainID: d.ID, Name: "big"})
			return err
		})
		view(t, db, func(tx *Tx) error {
			packages, err := tx.Packages(again.ID, PackageFilter{}, artifact.Coordinates{}, 0)
			if len(packages) != 0 {
				t.Errorf("the new repository shows %d packages of the old one", len(packages))
			}
			return err
		})
		var jobs []Job
		update(t, db, func(tx *Tx) (err error) {
			jobs, err = tx.LeaseJobs(1, moment(60).Sub(moment(0)), JobPurgeRepository)
			_, live := tx.PurgeRepository(repos[1].ID, 1)
			wantKind(t, live, fault.Conflict, "repository")
			return err
		})
		if len(jobs) != 1 || jobs[0].Key != repos[0].ID {
			t.Fatalf("jobs %+v", jobs)
		}
		steps := 0
		for more := true; more; steps++ {
			update(t, db, func(tx *Tx) (err error) {
				more, err = tx.PurgeRepository(jobs[0].Key, 4)
				return err
			})
		}
		if steps < 4 || steps > 6 {
			t.Errorf("purged 70 packages with 15 versions in %d steps of 4 versions", steps)
		}
		rows := map[string]int{}
		view(t, db, func(tx *Tx) error {
			for _, table := range []string{"package", "version", "manifest", "asset", "dist_tag"} {
				var n int
				if _, err := tx.one("SELECT count(*) FROM "+table, nil, &n); err != nil {
					return err
				}
				rows[table] = n
			}
			return nil
		})
		if diff := cmp.Diff(map[string]int{"package": 70, "version": 15, "manifest": 15, "asset": 15, "dist_tag": 3}, rows); diff != "" {
			t.Errorf("rows left, those of the other repository: %s", diff)
		}
	})
}
