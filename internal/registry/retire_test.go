package registry

import (
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/retention"
)

// TestRetire_WhatIsWantedMeanwhileStays changes the catalog between the look at a
// package and the transaction that would take its versions.
func TestRetire_WhatIsWantedMeanwhileStays(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			driver, file := "sqlite", filepath.Join(t.TempDir(), "catalog.db")
			dsn := "sqlite:" + file
			if engine == "postgres" {
				dsn = pgtest.NewDatabase(t)
				driver, file = "pgx", dsn
			}
			db, err := catalog.Open(t.Context(), dsn, catalog.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s, err := New(db, memblob.New(blob.Limits{}), access.New(db), nil, Options{RenderDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			update := func(fn func(tx *catalog.Tx) error) {
				t.Helper()
				if err := db.Update(t.Context(), fn); err != nil {
					t.Fatal(err)
				}
			}
			c := artifact.Coordinates{Format: artifact.NPM, Name: "left"}
			var d catalog.Domain
			var p catalog.Package
			var downloaded, repo string
			var asOf time.Time
			update(func(tx *catalog.Tx) error {
				if d, err = tx.InsertDomain(catalog.Domain{Owner: "123456789012", Name: "corp"}); err != nil {
					return err
				}
				var r catalog.Repository
				if r, err = tx.InsertRepository(catalog.Repository{DomainID: d.ID, Name: "repo", Administrator: d.Owner}); err != nil {
					return err
				}
				repo = r.ID
				if p, _, err = tx.EnsurePackage(r, c, "left", artifact.DefaultRestrictions(true)); err != nil {
					return err
				}
				for i := range 8 {
					v, err := tx.InsertVersion(p, artifact.Version{
						Number: fmt.Sprint(i), Status: artifact.Published, Origin: artifact.Origin{Type: artifact.Internal}, Published: tx.Now().Add(time.Duration(i-10) * time.Hour),
					})
					if err != nil {
						return err
					}
					if i == 3 {
						downloaded = v.ID
					}
				}
				return tx.PutRetentionConfiguration(catalog.RetentionConfiguration{DomainID: d.ID, Origin: artifact.Internal, Configuration: retention.Configuration{Versions: 1}})
			})
			run, err := s.StartRetention(t.Context(), d.Owner, d.Name, "", false)
			if err != nil {
				t.Fatal(err)
			}
			asOf = run.AsOf
			work := &retiring{service: s, how: Retirement{Grace: time.Hour, Worker: "me"}}
			if taken, err := work.take(t.Context(), d.ID); err != nil || !taken {
				t.Fatal(taken, err)
			}
			if more, err := work.step(t.Context()); err != nil || !more { // enters the repository
				t.Fatal(more, err)
			}
			f, err := work.look(t.Context())
			if err != nil || len(f.packages) != 1 {
				t.Fatalf("%+v, %v", f, err)
			}
			// 7 is the newest; 0 to 6 are to go.
			update(func(tx *catalog.Tx) error {
				if err := tx.SetDistTag(p, "beta", "1"); err != nil {
					return err
				}
				if err := tx.PutHold(catalog.Hold{RepositoryID: repo, Coordinates: c, Version: "2", Kind: catalog.HoldPin}); err != nil {
					return err
				}
				if err := tx.PutHold(catalog.Hold{RepositoryID: repo, Coordinates: c, Version: "4", Kind: catalog.HoldLegal}); err != nil {
					return err
				}
				for _, number := range []string{"7", "5"} { // 6 is the newest now, and 5 is gone
					row, err := tx.Version(p.ID, number)
					if err != nil {
						return err
					}
					if err := tx.DeleteVersion(p, row); err != nil {
						return err
					}
				}
				return nil
			})
			raw, err := sql.Open(driver, file)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if _, err := raw.ExecContext(t.Context(), "INSERT INTO version_usage (version_id, last_download, downloads) VALUES ($1, $2, 1)", downloaded, asOf.Add(time.Second).UnixMicro()); err != nil {
				t.Fatal(err)
			}
			spared, all, err := work.clear(t.Context(), f.repository, f.packages[0])
			if err != nil || !all {
				t.Fatal(all, err)
			}
			var left []string
			update(func(tx *catalog.Tx) error {
				left = nil
				rows, err := tx.Versions(p.ID)
				for _, v := range rows {
					left = append(left, v.Number)
				}
				return err
			})
			if diff := gocmp.Diff([]string{"1", "2", "3", "4", "6"}, left); diff != "" {
				t.Error(diff)
			}
			if work.run.Removed != 1 || spared != 5 {
				t.Errorf("removed %d, spared %d", work.run.Removed, spared)
			}

			// Somebody takes the configuration back: the run removes nothing more.
			update(func(tx *catalog.Tx) error {
				_, err := tx.DeleteRetentionConfiguration(d.ID, "", artifact.Internal)
				return err
			})
			if more, err := work.step(t.Context()); err != nil || more {
				t.Errorf("goes on without a configuration: %v, %v", more, err)
			}
			if work.run.Status != catalog.RunSucceeded {
				t.Errorf("ended as %s", work.run.Status)
			}
		})
	}
}

// TestSurvey_LooksForWhatStaysInPieces: the look may be broken off after any
// batch of packages.
func TestSurvey_LooksForWhatStaysInPieces(t *testing.T) {
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := &Service{db: db}
	if err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		d, err := tx.InsertDomain(catalog.Domain{Owner: "123456789012", Name: "corp"})
		if err != nil {
			return err
		}
		r, err := tx.InsertRepository(catalog.Repository{DomainID: d.ID, Name: "repo", Administrator: d.Owner})
		if err != nil {
			return err
		}
		for i := range 3*surveyBatch + 1 {
			p, _, err := tx.EnsurePackage(r, artifact.Coordinates{Format: artifact.NPM, Name: fmt.Sprintf("p%03d", i)}, "", artifact.DefaultRestrictions(true))
			if err != nil {
				return err
			}
			if _, err := tx.InsertVersion(p, artifact.Version{Number: "1", Status: artifact.Published, Origin: artifact.Origin{Type: artifact.Internal}}); err != nil {
				return err
			}
		}
		if err := tx.PutRetentionConfiguration(catalog.RetentionConfiguration{DomainID: d.ID, RepositoryID: r.ID, Configuration: retention.Configuration{Rules: []retention.Rule{{Remove: true}}}}); err != nil {
			return err
		}
		look := func(batches int) (e emptying, pieces int) {
			for !e.done {
				v, err := s.survey(tx, d, "")
				if err != nil {
					t.Fatal(err)
				}
				if e, err = v.empties(&v.repos[0], tx.Now(), e, batches); err != nil {
					t.Fatal(err)
				}
				pieces++
			}
			return e, pieces
		}
		for batches, pieces := range map[int]int{0: 1, 1: 4, 2: 2, 100: 1} {
			if e, n := look(batches); e.stays || e.gone != 3*surveyBatch+1 || n != pieces {
				t.Errorf("by %d: %+v in %d pieces", batches, e, n)
			}
		}
		if err := tx.PutHold(catalog.Hold{RepositoryID: r.ID, Coordinates: artifact.Coordinates{Format: artifact.NPM, Name: "p096"}, Version: "1", Kind: catalog.HoldPin}); err != nil {
			return err
		}
		if e, _ := look(1); !e.stays {
			t.Errorf("the last one stays: %+v", e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// changeable is plain with versions that change, and builds of them.
type changeable struct{ plain }

func (changeable) Traits() Traits {
	return Traits{Changing: func(v string) bool { return strings.Contains(v, "SNAPSHOT") }}
}

// TestPreview_CurrentContentOfASnapshotStays: the builds that it was before are
// for the configuration to keep.
func TestPreview_CurrentContentOfASnapshotStays(t *testing.T) {
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(db, memblob.New(blob.Limits{}), access.New(db), []Ecosystem{changeable{}}, Options{RenderDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		d, err := tx.InsertDomain(catalog.Domain{Owner: "123456789012", Name: "corp"})
		if err != nil {
			return err
		}
		r, err := tx.InsertRepository(catalog.Repository{DomainID: d.ID, Name: "repo", Administrator: d.Owner})
		if err != nil {
			return err
		}
		p, _, err := tx.EnsurePackage(r, artifact.Coordinates{Format: artifact.NPM, Name: "left"}, "", artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		for i, v := range []artifact.Version{
			{Number: "1-SNAPSHOT", Status: artifact.Published},
			{Number: "1-SNAPSHOT-1", Status: artifact.Unlisted},
			{Number: "1-SNAPSHOT-2", Status: artifact.Unlisted},
			{Number: "1-SNAPSHOT-3", Status: artifact.Unlisted},
			{Number: "0", Status: artifact.Published},
		} {
			v.Published, v.Origin.Type = tx.Now().Add(time.Duration(i-50)*time.Hour), artifact.Internal
			if _, err := tx.InsertVersion(p, v); err != nil {
				return err
			}
		}
		return tx.PutRetentionConfiguration(catalog.RetentionConfiguration{DomainID: d.ID, RepositoryID: r.ID, Configuration: retention.Configuration{
			Versions: 10, Rules: []retention.Rule{{Kind: artifact.BuildKind, Versions: 2}},
		}})
	}); err != nil {
		t.Fatal(err)
	}
	rows, _, _, err := s.PreviewRetention(t.Context(), PreviewQuery{Owner: "123456789012", Domain: "corp", AsOf: time.Now(), Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.Number, " ", r.Remove, " ", r.Rule))
	}
	want := []string{
		"0 false repository: among the newest 10", "1-SNAPSHOT-3 false repository rule 1: among the newest 2", "1-SNAPSHOT-2 false repository rule 1: among the newest 2",
		"1-SNAPSHOT-1 true repository rule 1: not among the newest 2", "1-SNAPSHOT false current content of a snapshot",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
