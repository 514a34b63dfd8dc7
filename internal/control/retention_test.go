package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/registry"
)

// does sends a request that must be answered, and reads the answer into out.
func (h *house) does(t *testing.T, out any, method, path, query, body string) {
	t.Helper()
	status, exception, text := h.send(t, method, path, query, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s?%s: %d %s %s", method, path, query, status, exception, text)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatal(err)
	}
}

// refuses sends a request that must be refused with an exception that says why.
func (h *house) refuses(t *testing.T, exception, why, method, path, query, body string) {
	t.Helper()
	status, got, text := h.send(t, method, path, query, body)
	if status < 400 || !strings.HasPrefix(got, exception) || !strings.Contains(text, why) {
		t.Errorf("%s %s?%s %s: %d %s %s, want %s about %q", method, path, query, body, status, got, text, exception, why)
	}
}

// aged stores versions of an npm package, the first published so many days ago,
// each later one a day after.
func (h *house) aged(t *testing.T, repository, name string, numbers ...string) {
	t.Helper()
	h.update(func(tx *catalog.Tx) error {
		d, err := tx.Domain(account, "corp")
		if err != nil {
			return err
		}
		r, err := tx.Repository(d.ID, repository)
		if err != nil {
			return err
		}
		p, _, err := tx.EnsurePackage(r, artifact.Coordinates{Format: artifact.NPM, Name: name}, name, artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		for i, number := range numbers {
			if _, err := tx.InsertVersion(p, artifact.Version{
				Number: number, Status: artifact.Published, Revision: "r" + number, Manifest: []byte("{}"),
				Origin: artifact.Origin{Type: artifact.Internal, Repository: repository}, Published: tx.Now().Add(time.Duration(i-len(numbers)) * 24 * time.Hour),
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	repositoryRetention = "/v1/repository/retention-configuration"
	domainRetention     = "/v1/domain/retention-configuration"
	onRepo              = "domain=corp&repository=repo"
)

func shops(t *testing.T, h *house) {
	t.Helper()
	h.does(t, nil, http.MethodPost, "/v1/domain", "domain=corp", "{}")
	for _, name := range []string{"repo", "other"} {
		h.does(t, nil, http.MethodPost, "/v1/repository", "domain=corp&repository="+name, "{}")
	}
}

func TestRetentionConfiguration_OfARepository(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.refuses(t, "ResourceNotFoundException", "of its own", http.MethodGet, repositoryRetention, onRepo, "")
		body := `{"retentionDays":30,"maxVersionsRetained":5,"rules":[{"name":"ours","format":"npm","packagePattern":"/npm/team/*","kind":"PRERELEASE","notDownloadedForDays":7,"retentionDays":3,"ageFrom":"INGESTION"},{"originType":"EXTERNAL","status":"Unlisted","keep":true}]}`
		want := `{"retentionConfiguration":{"retentionDays":30,"maxVersionsRetained":5,"rules":[` +
			`{"name":"ours","format":"npm","packagePattern":"/npm/team/*","kind":"PRERELEASE","notDownloadedForDays":7,"ageFrom":"INGESTION","retentionDays":3},` +
			`{"originType":"EXTERNAL","status":"Unlisted","keep":true}],"arn":"` + repositoryARN("repo") + `"}}`
		for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
			status, _, text := h.send(t, method, repositoryRetention, onRepo, map[string]string{http.MethodPut: body}[method])
			if status != http.StatusOK || strings.TrimSpace(text) != want {
				t.Errorf("%s: %d\n%s\n%s", method, status, text, want)
			}
		}
		h.refuses(t, "ResourceNotFoundException", "", http.MethodDelete, repositoryRetention, onRepo, "")
		for body, why := range map[string]string{
			`{}`: "give retentionDays", `{"retentionDays":0}`: "greater than or equal to 1", `{"retentionDays":-1}`: "greater than", `{"maxVersionsRetained":1.5}`: "",
			`{"retentionDays":99999}`: "less than or equal", `{"rules":[]}`: "give retentionDays", `{"rules":[{}]}`: "a rule says one of",
			`{"rules":[{"remove":true}]}`: "every version of everything", `{"rules":[{"keep":true,"remove":true}]}`: "one of",
			`{"rules":[{"keep":true,"packagePattern":"npm"}]}`: "is not a pattern", `{"rules":[{"keep":true,"kind":"BETA"}]}`: "enum", `{"rules":[null]}`: "",
			`{"retentionDays":9999999999999}`: "",
		} {
			h.refuses(t, "ValidationException", why, http.MethodPut, repositoryRetention, onRepo, body)
		}
		h.refuses(t, "ResourceNotFoundException", "", http.MethodPut, repositoryRetention, "domain=corp&repository=nothing", `{"retentionDays":1}`)
	})
}

func TestRetentionConfiguration_OfADomain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.refuses(t, "ResourceNotFoundException", "", http.MethodGet, domainRetention, "domain=corp", "")
		var all struct{ RetentionConfigurations []api.RetentionConfiguration }
		var one struct{ RetentionConfiguration api.RetentionConfiguration }
		h.does(t, &all, http.MethodPut, domainRetention, "domain=corp", `{"retentionDays":90,"maxVersionsRetained":20}`)
		if c := all.RetentionConfigurations; len(c) != 2 || c[0].OriginType != "INTERNAL" || c[1].OriginType != "EXTERNAL" || *c[1].RetentionDays != 90 ||
			c[0].Schedule != "0 3 * * *" || c[0].NextRunTime == nil || c[0].Arn != domainARN("corp") {
			t.Errorf("put %+v", all)
		}
		h.does(t, &one, http.MethodPut, domainRetention, "domain=corp&origin-type=EXTERNAL", `{"retentionDays":30}`)
		if c := one.RetentionConfiguration; c.OriginType != "EXTERNAL" || *c.RetentionDays != 30 || c.MaxVersionsRetained != nil {
			t.Errorf("put %+v", c)
		}
		h.does(t, nil, http.MethodPut, domainRetention, "domain=corp", `{"schedule":"30 4 * * SUN","trashDays":2}`)
		h.does(t, &one, http.MethodGet, domainRetention, "domain=corp&origin-type=INTERNAL", "")
		if c := one.RetentionConfiguration; *c.MaxVersionsRetained != 20 || c.Schedule != "30 4 * * SUN" || *c.TrashDays != 2 || c.NextRunTime.Weekday() != time.Sunday {
			t.Errorf("got %+v", c)
		}
		h.refuses(t, "ValidationException", "five fields", http.MethodPut, domainRetention, "domain=corp", `{"schedule":"daily"}`)
		h.refuses(t, "ValidationException", "enum", http.MethodPut, domainRetention, "domain=corp&origin-type=UNKNOWN", `{"retentionDays":1}`)
		h.does(t, &one, http.MethodDelete, domainRetention, "domain=corp&origin-type=EXTERNAL", "")
		h.refuses(t, "ResourceNotFoundException", "EXTERNAL", http.MethodGet, domainRetention, "domain=corp&origin-type=EXTERNAL", "")
		h.does(t, &all, http.MethodDelete, domainRetention, "domain=corp", "")
		if len(all.RetentionConfigurations) != 1 {
			t.Errorf("deleted %+v", all)
		}
		all.RetentionConfigurations = nil
		h.does(t, &all, http.MethodPut, domainRetention, "domain=corp", `{"retentionDays":90}`)
		if c := all.RetentionConfigurations[0]; c.Schedule != "0 3 * * *" || c.TrashDays != nil {
			t.Errorf("the schedule of before is there: %+v", c)
		}
	})
}

func TestRetentionConfiguration_ThatLeavesNothingIsRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.aged(t, "repo", "thing", "1.0.0", "1.1.0")
		for _, call := range [][3]string{
			{repositoryRetention, onRepo, `{"rules":[{"format":"npm","remove":true}]%s}`},
			{domainRetention, "domain=corp&origin-type=INTERNAL", `{"rules":[{"format":"npm","remove":true}]%s}`},
		} {
			h.refuses(t, "ConflictException", "all 2 versions of repository repo would be removed", http.MethodPut, call[0], call[1], fmt.Sprintf(call[2], ""))
			h.does(t, nil, http.MethodPut, call[0], call[1], fmt.Sprintf(call[2], `,"force":true`))
			h.does(t, nil, http.MethodDelete, call[0], call[1], "")
		}
		h.refuses(t, "ResourceNotFoundException", "no retention configuration", http.MethodPost, "/v1/retention/runs", "domain=corp", "{}")
	})
}

// previews pages through a preview, as lines.
func (h *house) previews(t *testing.T, query, body string, pageSize int) (lines []string) {
	t.Helper()
	for token := ""; ; {
		var out api.PreviewRetentionOutput
		h.does(t, &out, http.MethodPost, "/v1/retention/preview", fmt.Sprintf("%s&max-results=%d&next-token=%s", query, pageSize, token), body)
		for _, v := range out.Versions {
			lines = append(lines, strings.Join([]string{v.Repository, v.Format, v.Namespace, v.Package, v.Version, v.Decision, v.Rule}, " "))
		}
		if len(out.Versions) > pageSize {
			t.Errorf("a page of %d has %d", pageSize, len(out.Versions))
		}
		if token = out.NextToken; token == "" {
			return lines
		}
	}
}

func TestPreviewRetention(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.aged(t, "repo", "thing", "1.0.0", "1.1.0", "2.0.0-rc.1", "2.0.0")
		h.aged(t, "repo", "also", "1.0.0")
		h.aged(t, "other", "thing", "1.0.0")
		h.does(t, nil, http.MethodPut, repositoryRetention, onRepo, `{"maxVersionsRetained":1,"rules":[{"name":"candidates","kind":"PRERELEASE","retentionDays":10}]}`)
		want := []string{
			"other npm  thing 1.0.0 KEEP no retention configuration",
			"repo npm  also 1.0.0 KEEP repository: among the newest 1",
			"repo npm  thing 2.0.0 KEEP repository: among the newest 1",
			"repo npm  thing 2.0.0-rc.1 KEEP repository rule 1 (candidates): younger than 10 days",
			"repo npm  thing 1.1.0 REMOVE repository: not among the newest 1",
			"repo npm  thing 1.0.0 REMOVE repository: not among the newest 1",
		}
		for _, size := range []int{1, 2, 4, 1000} {
			if diff := gocmp.Diff(want, h.previews(t, "domain=corp", "{}", size)); diff != "" {
				t.Errorf("pages of %d: %s", size, diff)
			}
		}
		if got := h.previews(t, onRepo, fmt.Sprintf(`{"asOf":%d}`, time.Now().Add(20*24*time.Hour).Unix()), 3); got[2] != "repo npm  thing 2.0.0-rc.1 REMOVE repository rule 1 (candidates): older than 10 days" {
			t.Errorf("in three weeks: %v", got)
		}
		_, _, text := h.send(t, http.MethodPost, "/v1/retention/preview", "domain=corp&repository=other", "{}")
		if want := `{"versions":[{"repository":"other","format":"npm","namespace":"","package":"thing","version":"1.0.0","decision":"KEEP","rule":"no retention configuration","bytes":0}]}`; strings.TrimSpace(text) != want {
			t.Errorf("got %s", text)
		}
		h.refuses(t, "ResourceNotFoundException", "", http.MethodPost, "/v1/retention/preview", "domain=corp&repository=nothing", "{}")
		h.refuses(t, "ValidationException", "next token", http.MethodPost, "/v1/retention/preview", "domain=corp&next-token=x", "{}")
		h.refuses(t, "ValidationException", "", http.MethodPost, "/v1/retention/preview", "domain=corp", `{"asOf":"tomorrow"}`)
	})
}

// retires does what upkeep would.
func (h *house) retires(t *testing.T) {
	t.Helper()
	var d catalog.Domain
	h.update(func(tx *catalog.Tx) (err error) {
		d, err = tx.Domain(account, "corp")
		return err
	})
	through, err := h.registry.Retire(t.Context(), d.ID, registry.Retirement{Grace: time.Hour, Worker: "test"})
	if err != nil || !through {
		t.Fatal(through, err)
	}
}

func TestRetentionRun_FromStartToRestore(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.aged(t, "repo", "thing", "1.0.0", "1.1.0", "1.2.0", "2.0.0")
		h.does(t, nil, http.MethodPut, repositoryRetention, onRepo, `{"maxVersionsRetained":1}`)
		thing := onRepo + "&format=npm&package=thing"
		h.does(t, nil, http.MethodPost, "/v1/package/versions/pin", thing, `{"versions":["1.1.0"],"reason":"the appliance has it"}`)
		var started struct{ Run api.RetentionRun }
		h.does(t, &started, http.MethodPost, "/v1/retention/runs", "domain=corp", "{}")
		if r := started.Run; r.Status != "QUEUED" || r.StartedBy != "REQUEST" || r.RunId == "" {
			t.Errorf("%+v", r)
		}
		h.refuses(t, "ConflictException", "under way", http.MethodPost, "/v1/retention/runs", "domain=corp", "{}")
		h.retires(t)
		var described api.DescribeRetentionRunOutput
		h.does(t, &described, http.MethodGet, "/v1/retention/run", "domain=corp&run-id="+started.Run.RunId, "")
		if r := described.Run; r.Status != "SUCCEEDED" || r.Removed != 2 || len(described.Versions) != 2 || described.Versions[0].Rule != "repository: not among the newest 1" || r.FinishedTime == nil {
			t.Errorf("%+v", described)
		}
		var runs api.ListRetentionRunsOutput
		h.does(t, &runs, http.MethodGet, "/v1/retention/runs", "domain=corp", "")
		if len(runs.Runs) != 1 || runs.Runs[0].RunId != started.Run.RunId {
			t.Errorf("%+v", runs)
		}
		var trash api.ListTrashOutput
		h.does(t, &trash, http.MethodGet, "/v1/trash", thing, "")
		if len(trash.Versions) != 2 || trash.Versions[0].Version != "1.0.0" && trash.Versions[1].Version != "1.0.0" || !trash.Versions[0].PurgeTime.After(time.Now()) {
			t.Errorf("%+v", trash)
		}
		h.refuses(t, "ResourceNotFoundException", "not in the trash", http.MethodPost, "/v1/package/versions/restore", thing, `{"versions":["2.0.0"]}`)
		h.does(t, nil, http.MethodPost, "/v1/package/versions/restore", thing, `{"versions":["1.0.0"]}`)
		h.aged(t, "repo", "thing", "1.2.0")
		h.update(func(tx *catalog.Tx) error { // other content under the number
			d, err := tx.Domain(account, "corp")
			if err != nil {
				return err
			}
			r, err := tx.Repository(d.ID, "repo")
			if err != nil {
				return err
			}
			p, err := tx.Package(r.ID, artifact.Coordinates{Format: artifact.NPM, Name: "thing"})
			if err != nil {
				return err
			}
			v, err := tx.Version(p.ID, "1.2.0")
			if err != nil {
				return err
			}
			v.Revision = "other"
			return tx.UpdateVersion(p, v)
		})
		h.refuses(t, "ConflictException", "published again with other content", http.MethodPost, "/v1/package/versions/restore", thing, `{"versions":["1.2.0"]}`)

		var holds api.ListRetentionHoldsOutput
		h.does(t, &holds, http.MethodGet, "/v1/retention/holds", onRepo+"&max-results=1", "")
		if len(holds.Holds) != 1 || holds.Holds[0].Version != "1.0.0" || holds.Holds[0].Kind != "PIN" || holds.NextToken == "" {
			t.Errorf("%+v", holds)
		}
		h.does(t, &holds, http.MethodGet, "/v1/retention/holds", onRepo+"&next-token="+url.QueryEscape(holds.NextToken), "")
		if len(holds.Holds) != 1 || holds.Holds[0].Version != "1.1.0" || holds.Holds[0].Reason != "the appliance has it" || !strings.HasPrefix(holds.Holds[0].PlacedBy, "arn:aws:iam::"+account) {
			t.Errorf("%+v", holds)
		}
		var unpinned api.UnpinPackageVersionsOutput
		h.does(t, &unpinned, http.MethodPost, "/v1/package/versions/unpin", thing, `{"versions":["1.0.0","1.2.0"]}`)
		if len(unpinned.SuccessfulVersions) != 1 || unpinned.FailedVersions["1.2.0"].ErrorCode != "NOT_FOUND" {
			t.Errorf("%+v", unpinned)
		}
		var pinned api.PinPackageVersionsOutput
		h.does(t, &pinned, http.MethodPost, "/v1/package/versions/pin", thing, `{"versions":["9.9.9"]}`)
		if pinned.FailedVersions["9.9.9"].ErrorCode != "NOT_FOUND" {
			t.Errorf("%+v", pinned)
		}

		h.does(t, &started, http.MethodPost, "/v1/retention/runs", onRepo, "{}")
		h.does(t, nil, http.MethodPost, "/v1/retention/run/stop", "domain=corp&run-id="+started.Run.RunId, "{}")
		h.retires(t)
		h.does(t, &described, http.MethodGet, "/v1/retention/run", "domain=corp&run-id="+started.Run.RunId, "")
		if r := described.Run; r.Status != "STOPPED" || r.Removed != 0 {
			t.Errorf("%+v", r)
		}
		h.refuses(t, "ConflictException", "has ended already", http.MethodPost, "/v1/retention/run/stop", "domain=corp&run-id="+started.Run.RunId, "{}")
		h.refuses(t, "ResourceNotFoundException", "no retention run", http.MethodGet, "/v1/retention/run", "domain=corp&run-id=abc", "")
	})
}

func TestLegalHold_NobodyRemovesWhatIsOnIt(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		shops(t, h)
		h.aged(t, "repo", "thing", "1.0.0", "2.0.0")
		thing := onRepo + "&format=npm&package=thing"
		h.refuses(t, "ResourceNotFoundException", "", http.MethodPut, "/v1/legal-hold", thing+"&version=3.0.0", "{}")
		h.refuses(t, "ValidationException", "needed with a version", http.MethodPut, "/v1/legal-hold", onRepo+"&version=3.0.0", "{}")
		h.refuses(t, "ValidationException", "needed with a package", http.MethodPut, "/v1/legal-hold", onRepo+"&package=thing", "{}")
		h.refuses(t, "ValidationException", "needed with a format", http.MethodPut, "/v1/legal-hold", onRepo+"&format=npm", "{}")
		h.does(t, nil, http.MethodPut, "/v1/legal-hold", thing+"&version=1.0.0", `{"reason":"case 7"}`)
		var out api.DeletePackageVersionsOutput
		h.does(t, &out, http.MethodPost, "/v1/package/versions/delete", thing, `{"versions":["1.0.0"]}`)
		if e := out.FailedVersions["1.0.0"]; e.ErrorCode != "NOT_ALLOWED" || !strings.Contains(e.ErrorMessage, "on legal hold") {
			t.Errorf("%+v", out)
		}
		h.refuses(t, "ConflictException", "on legal hold", http.MethodPost, "/v1/package/versions/dispose", thing, `{"versions":["1.0.0"]}`)
		h.refuses(t, "ConflictException", "on legal hold", http.MethodDelete, "/v1/package", thing, "")
		h.refuses(t, "ConflictException", "on legal hold", http.MethodDelete, "/v1/repository", onRepo, "")
		h.does(t, nil, http.MethodPut, repositoryRetention, onRepo, `{"maxVersionsRetained":1}`)
		if got := h.previews(t, onRepo, "{}", 10); got[1] != "repo npm  thing 1.0.0 KEEP legal hold" {
			t.Errorf("%v", got)
		}
		h.refuses(t, "ResourceNotFoundException", "list-retention-holds", http.MethodDelete, "/v1/legal-hold", thing, "")
		h.does(t, nil, http.MethodDelete, "/v1/legal-hold", thing+"&version=1.0.0", "")
		h.does(t, nil, http.MethodPut, "/v1/legal-hold", onRepo, `{}`)
		h.refuses(t, "ConflictException", "repository of npm/thing is on legal hold", http.MethodDelete, "/v1/package", thing, "")
		h.does(t, nil, http.MethodDelete, "/v1/legal-hold", onRepo, "")
		h.does(t, nil, http.MethodDelete, "/v1/repository", onRepo, "")
	})
}

// TestRetention_NeedsItsPermissions: on a repository where one is named, on a
// package where one is, else on the domain.
func TestRetention_NeedsItsPermissions(t *testing.T) {
	h := lite(t)
	shops(t, h)
	h.aged(t, "repo", "thing", "1.0.0")
	h.user("some",
		statement("Allow", "codeartifact:PreviewRetention", repositoryARN("repo")),
		statement("Allow", "codeartifact:PinPackageVersions", strings.Replace(repositoryARN("repo"), ":repository/", ":package/", 1)+"/npm//thing"),
		statement("Allow", "codeartifact:ListRetentionRuns", domainARN("corp")))
	some := *h
	some.key.ID, some.key.Secret = fmt.Sprintf("AKIA%016s", "some"), "secret"
	for _, c := range []struct {
		method, path, query, body string
		status                    int
	}{
		{http.MethodPost, "/v1/retention/preview", onRepo, "{}", 200},
		{http.MethodPost, "/v1/retention/preview", "domain=corp&repository=other", "{}", 403},
		{http.MethodPost, "/v1/retention/preview", "domain=corp", "{}", 403},
		{http.MethodPost, "/v1/package/versions/pin", onRepo + "&format=npm&package=thing", `{"versions":["1.0.0"]}`, 200},
		{http.MethodPost, "/v1/package/versions/pin", onRepo + "&format=npm&package=else", `{"versions":["1.0.0"]}`, 403},
		{http.MethodPost, "/v1/package/versions/unpin", onRepo + "&format=npm&package=thing", `{"versions":["1.0.0"]}`, 403},
		{http.MethodGet, "/v1/retention/runs", "domain=corp", "", 200},
		{http.MethodPost, "/v1/retention/runs", "domain=corp", "{}", 403},
		{http.MethodPut, "/v1/legal-hold", onRepo, "{}", 403},
	} {
		if status, exception, text := some.send(t, c.method, c.path, c.query, c.body); status != c.status {
			t.Errorf("%s %s?%s: %d %s %s, want %d", c.method, c.path, c.query, status, exception, text, c.status)
		}
	}
}
