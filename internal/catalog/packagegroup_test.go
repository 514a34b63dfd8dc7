package catalog

import (
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

func groupOf(t testing.TB, domainID, pattern string, mode artifact.GroupMode) PackageGroup {
	t.Helper()
	p, err := artifact.ParsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	g := PackageGroup{DomainID: domainID, Group: artifact.Group{Pattern: p, Rules: map[artifact.Way]artifact.WayRule{}}}
	for _, w := range artifact.Ways() {
		g.Rules[w] = artifact.WayRule{Mode: mode}
	}
	return g
}

// shown is a group in one line for each way.
func shown(groups []PackageGroup) (lines []string) {
	for _, g := range groups {
		line := g.Pattern.String() + " " + g.ContactInfo + "|" + g.Description
		for _, w := range artifact.Ways() {
			line += " " + string(g.Rules[w].Mode) + "(" + strings.Join(g.Rules[w].Repositories, ",") + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestPackageGroups(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "two", "one")
		check := func(want ...string) {
			t.Helper()
			view(t, db, func(tx *Tx) error {
				groups, err := tx.PackageGroups(d.ID)
				if diff := cmp.Diff(want, shown(groups)); diff != "" {
					t.Error(diff)
				}
				return err
			})
		}
		check("/* | ALLOW() ALLOW() ALLOW()")
		g := groupOf(t, d.ID, "/npm/corp/*", artifact.GroupInherit)
		g.ContactInfo, g.Description = "me", "ours"
		update(t, db, func(tx *Tx) error {
			if _, err := tx.InsertPackageGroup(groupOf(t, d.ID, "/npm/Corp/*", artifact.GroupBlock)); err != nil {
				return err
			}
			stored, err := tx.InsertPackageGroup(g)
			if stored.Created.IsZero() {
				t.Error("no creation time")
			}
			return err
		})
		wantKind(t, db.Update(t.Context(), func(tx *Tx) error { _, err := tx.InsertPackageGroup(g); return err }), fault.Conflict, "")
		check("/* | ALLOW() ALLOW() ALLOW()", "/npm/Corp/* | BLOCK() BLOCK() BLOCK()", "/npm/corp/* me|ours INHERIT() INHERIT() INHERIT()")

		before := db.Generation()
		g.ContactInfo = ""
		g.Rules[artifact.ByPublishing] = artifact.WayRule{Mode: artifact.GroupAllowSpecific}
		g.Rules[artifact.ByExternalUpstream] = artifact.WayRule{Mode: artifact.GroupAllowSpecific}
		update(t, db, func(tx *Tx) error {
			if err := tx.UpdatePackageGroup(g); err != nil {
				return err
			}
			var added []bool
			for _, id := range []string{repos[0].ID, repos[1].ID, repos[0].ID} {
				fresh, err := tx.AllowRepository(g, artifact.ByPublishing, id)
				if err != nil {
					return err
				}
				added = append(added, fresh)
			}
			if diff := cmp.Diff([]bool{true, true, false}, added); diff != "" {
				t.Error(diff)
			}
			_, err := tx.AllowRepository(g, artifact.ByExternalUpstream, repos[0].ID)
			return err
		})
		if db.Generation() == before {
			t.Error("the change is not announced")
		}
		check("/* | ALLOW() ALLOW() ALLOW()", "/npm/Corp/* | BLOCK() BLOCK() BLOCK()",
			"/npm/corp/* |ours ALLOW_SPECIFIC_REPOSITORIES(two) INHERIT() ALLOW_SPECIFIC_REPOSITORIES(one,two)")

		g.Rules[artifact.ByExternalUpstream] = artifact.WayRule{Mode: artifact.GroupAllow}
		update(t, db, func(tx *Tx) error {
			removed, err := tx.DisallowRepository(g, artifact.ByPublishing, repos[0].ID)
			again, err2 := tx.DisallowRepository(g, artifact.ByPublishing, repos[0].ID)
			if !removed || again {
				t.Errorf("removed: %v, then %v", removed, again)
			}
			return errors.Join(err, err2, tx.UpdatePackageGroup(g))
		})
		g.Rules[artifact.ByExternalUpstream] = artifact.WayRule{Mode: artifact.GroupAllowSpecific}
		update(t, db, func(tx *Tx) error { return tx.UpdatePackageGroup(g) })
		check("/* | ALLOW() ALLOW() ALLOW()", "/npm/Corp/* | BLOCK() BLOCK() BLOCK()",
			"/npm/corp/* |ours ALLOW_SPECIFIC_REPOSITORIES() INHERIT() ALLOW_SPECIFIC_REPOSITORIES(one)")

		// A repository leaves the lists with its end.
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[1]) })
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[0]) })
		update(t, db, func(tx *Tx) error {
			return tx.DeletePackageGroup(groupOf(t, d.ID, "/npm/Corp/*", artifact.GroupBlock))
		})
		check("/* | ALLOW() ALLOW() ALLOW()", "/npm/corp/* |ours ALLOW_SPECIFIC_REPOSITORIES() INHERIT() ALLOW_SPECIFIC_REPOSITORIES()")
		gone := groupOf(t, d.ID, "/npm/Corp/*", artifact.GroupBlock)
		wantKind(t, db.Update(t.Context(), func(tx *Tx) error { return tx.DeletePackageGroup(gone) }), fault.NotFound, "")
		wantKind(t, db.Update(t.Context(), func(tx *Tx) error { return tx.UpdatePackageGroup(gone) }), fault.NotFound, "")

		update(t, db, func(tx *Tx) error { return tx.DeleteDomain(d) })
		check()
	})
}

func TestDomainPackages_DistinctAndInOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *DB) {
		d, repos := house(t, db, "one", "two", "gone")
		scoped := artifact.Coordinates{Format: artifact.NPM, Namespace: "corp", Name: "a"}
		python := artifact.Coordinates{Format: artifact.PyPI, Name: "a"}
		ensure(t, db, repos[0], npmName("b"), npmName("a"), python)
		ensure(t, db, repos[1], npmName("b"), scoped)
		ensure(t, db, repos[2], npmName("c"))
		update(t, db, func(tx *Tx) error { return tx.DeleteRepository(repos[2]) })
		view(t, db, func(tx *Tx) error {
			for _, c := range []struct {
				format artifact.Format
				after  artifact.Coordinates
				limit  int
				want   []artifact.Coordinates
			}{
				{"", artifact.Coordinates{}, 0, []artifact.Coordinates{npmName("a"), npmName("b"), scoped, python}},
				{"", artifact.Coordinates{}, 2, []artifact.Coordinates{npmName("a"), npmName("b")}},
				{"", npmName("b"), 2, []artifact.Coordinates{scoped, python}},
				{artifact.NPM, npmName("a"), 0, []artifact.Coordinates{npmName("b"), scoped}},
				{artifact.Maven, artifact.Coordinates{}, 0, nil},
			} {
				got, err := tx.DomainPackages(d.ID, c.format, c.after, c.limit)
				if err != nil {
					return err
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%+v: %s", c, diff)
				}
			}
			return nil
		})
	})
}

// TestMigrate_OldDomainsGetTheRootGroup begins with a database as the first
// release made it.
func TestMigrate_OldDomainsGetTheRootGroup(t *testing.T) {
	first, err := fs.ReadFile(migrations, "migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"migrations/0001_first.sql": {Data: first}}
	for engine, c := range map[string]struct {
		driver  string
		dialect *dialect
	}{"sqlite": {"sqlite", sqliteDialect()}, "postgres": {"pgx", postgresDialect()}} {
		t.Run(engine, func(t *testing.T) {
			dsn := newDSN(t, engine)
			pool, err := sql.Open(c.driver, strings.TrimPrefix(dsn, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pool.Conn(t.Context())
			if err == nil {
				err = migrate(t.Context(), conn, c.dialect, files, "BEGIN", Options{}.keeps)
			}
			if err == nil {
				_, err = conn.ExecContext(t.Context(), `INSERT INTO domain (id, owner, name, status, encryption_key, created, cross_block) VALUES ('d1', '123456789012', 'old', 'Active', '', 7, 1)`)
			}
			if err := errors.Join(err, conn.Close(), pool.Close()); err != nil {
				t.Fatal(err)
			}
			db := openTest(t, dsn, Options{})
			view(t, db, func(tx *Tx) error {
				groups, err := tx.PackageGroups("d1")
				if diff := cmp.Diff([]string{"/* | ALLOW() ALLOW() ALLOW()"}, shown(groups)); diff != "" {
					t.Error(diff)
				}
				return err
			})
		})
	}
}
