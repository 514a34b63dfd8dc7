package control_test

import (
	"database/sql"
	"encoding/json"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/digest"
)

// reported makes two repositories with something in them and counts some uses.
func reported(h *house) {
	h.domain("corp")
	for _, name := range []string{"repo", "other"} {
		h.repo(name)
		h.update(func(tx *catalog.Tx) error {
			d, err := tx.Domain(account, "corp")
			if err != nil {
				return err
			}
			r, err := tx.Repository(d.ID, name)
			if err != nil {
				return err
			}
			for j, of := range []string{"hello", "left"} {
				p, _, err := tx.EnsurePackage(r, artifact.Coordinates{Format: artifact.NPM, Name: of}, of, artifact.DefaultRestrictions(true))
				if err != nil {
					return err
				}
				v, err := tx.InsertVersion(p, artifact.Version{Number: "1.0.0", Status: artifact.Published, Published: time.Now().Add(-200 * 24 * time.Hour)})
				if err != nil {
					return err
				}
				tx.CountPublished(p)
				content := []byte("the same bytes" + of)
				if err := tx.InsertAsset(p, v.ID, artifact.Asset{Name: "file", Size: int64(len(content)), Digests: digest.Of(content)}); err != nil {
					return err
				}
				if j > 0 {
					continue
				}
				if err := tx.RecordUsage(catalog.UsageFlush{
					Node: name, Number: 1, At: time.Now(),
					Repositories: []catalog.RepositoryUse{{DomainID: d.ID, RepositoryID: r.ID, Counts: catalog.Counts{Requests: 5, Downloads: 3, Hits: 3, Misses: 1, Bytes: 50, Saved: 30, Errors: 1}}},
					Versions:     []catalog.VersionUse{{RepositoryID: r.ID, Coordinates: p.Coordinates, Version: "1.0.0", Downloads: 3, Hits: 3, Misses: 1, Bytes: 50, Saved: 30, Last: time.Now()}},
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	h.update(func(tx *catalog.Tx) error { _, err := tx.FoldUsage(100); return err })
}

func answer[T any](t *testing.T, h *house, method, path string, query url.Values, body string) (out T) {
	t.Helper()
	query.Set("domain", "corp")
	status, _, text := h.send(t, method, path, query.Encode(), body)
	if status != 200 {
		t.Fatalf("%s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReports(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		reported(h)
		storage := answer[api.GetStorageReportOutput](t, h, "GET", "/v1/reports/storage", url.Values{}, "")
		if storage.Bytes != 19+18 || storage.LogicalBytes != 2*37 || len(storage.Repositories) != 2 || storage.Repositories[0].Assets != 2 {
			t.Errorf("storage: %+v", storage)
		}
		one := answer[api.GetStorageReportOutput](t, h, "GET", "/v1/reports/storage", url.Values{"repository": {"repo"}}, "")
		if one.Bytes != 37 || len(one.Repositories) != 1 || one.Repositories[0].Repository != "repo" || one.Growth != nil {
			t.Errorf("storage of one: %+v", one)
		}
		used := answer[api.GetUsageReportOutput](t, h, "POST", "/v1/reports/usage", url.Values{}, `{"period":"HOUR"}`)
		if u := used.Total; u.Downloads != 6 || u.CacheHitPercent != 75 || u.BytesSaved != 60 || u.Requests != 10 || u.Errors != 2 || u.Publishes != 4 {
			t.Errorf("usage: %+v", u)
		}
		of := answer[api.GetUsageReportOutput](t, h, "POST", "/v1/reports/usage", url.Values{"repository": {"repo"}, "format": {"npm"}, "package": {"hello"}}, "{}")
		if len(of.Points) != 1 || of.Total.Downloads != 3 || of.Total.Publishes != 1 {
			t.Errorf("usage of a package: %+v", of)
		}
		popular := answer[api.GetPopularPackagesOutput](t, h, "GET", "/v1/reports/popular-packages", url.Values{}, "")
		if len(popular.Packages) != 1 || popular.Packages[0].Package != "hello" || popular.Packages[0].Downloads != 6 {
			t.Errorf("popular: %+v", popular)
		}
	})
}

func TestStalePackages_Pages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	h := newHouse(t, "sqlite:"+file)
	reported(h)
	raw, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), "UPDATE package SET created = 1"); err != nil {
		t.Fatal(err)
	}
	var got []string
	token := ""
	for range 5 {
		q := url.Values{"max-results": {"1"}}
		if token != "" {
			q.Set("next-token", token)
		}
		out := answer[api.GetStalePackagesOutput](t, h, "GET", "/v1/reports/stale-packages", q, "")
		for _, p := range out.Packages {
			got = append(got, p.Repository+" "+p.Package)
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
	if len(got) != 2 || got[0] != "other left" || got[1] != "repo left" {
		t.Errorf("stale: %v", got)
	}
}

func TestReports_NeedPermissionOfWhatTheyAreAbout(t *testing.T) {
	h := lite(t)
	reported(h)
	h.user("clerk", statement("Allow", "codeartifact:Get*", repositoryARN("repo")))
	clerk := *h
	clerk.key.ID, clerk.key.Secret = "AKIA00000000000clerk", "secret"
	for repository, want := range map[string]int{"repo": 200, "other": 403, "": 403} {
		q := url.Values{"domain": {"corp"}}
		if repository != "" {
			q.Set("repository", repository)
		}
		if status, _, text := clerk.send(t, "GET", "/v1/reports/storage", q.Encode(), ""); status != want {
			t.Errorf("%q: %d %s", repository, status, text)
		}
	}
}
