package registry

import (
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
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
			if err := work.clear(t.Context(), f.repository, f.packages[0]); err != nil {
				t.Fatal(err)
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
			if work.run.Removed != 1 || work.run.Spared != 5 {
				t.Errorf("removed %d, spared %d", work.run.Removed, work.run.Spared)
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
