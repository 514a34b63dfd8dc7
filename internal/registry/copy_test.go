package registry

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// copyOf asks for versions of "thing" to go from one repository to another.
func copyOf(from, to string, versions ...string) CopyRequest {
	return CopyRequest{Source: repoID(from), Destination: repoID(to), Coordinates: coords("thing"), Versions: versions}
}

func (h *house) mustCopy(q CopyRequest) Outcome {
	h.t.Helper()
	out, err := h.service.Copy(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestCopy_MovesReferencesAlone(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	before := h.events()
	out := h.mustCopy(copyOf("repo", "prod", "1.0.0", "2.0.0"))
	from, _ := h.row("repo", "2.0.0")
	if diff := gocmp.Diff(VersionState{from.Revision, artifact.Published}, out.Done["2.0.0"]); diff != "" || len(out.Done) != 2 || len(out.Failed) != 0 {
		t.Error(out, diff)
	}
	to, assets := h.row("prod", "2.0.0")
	if diff := gocmp.Diff(from.Version, to.Version); diff != "" || len(assets) != 1 {
		t.Error(diff, assets)
	}
	h.mustFetch("prod", "thing", "2.0.0", "two")
	if diff := gocmp.Diff([]string{"Created prod 1.0.0 Published +1-0~0", "Created prod 2.0.0 Published +1-0~0"}, h.since(before)); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff(map[string]string{"latest": "2.0.0"}, h.tags("prod")); diff != "" {
		t.Error(diff)
	}
	if got := h.restrictions("prod"); got != artifact.DefaultRestrictions(true) {
		t.Errorf("the copied package has %v", got)
	}
}

func (h *house) restrictions(repo string) artifact.Restrictions {
	h.t.Helper()
	var p catalog.Package
	err := h.db.View(h.t.Context(), func(tx *catalog.Tx) (err error) {
		p, err = tx.Package(h.repos[repo].ID, coords("thing"))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return p.Restrictions
}

func TestCopy_TagsOfOtherVersionsStay(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.mustPublish("prod", "thing", "0.9.0", "old")
	h.mustCopy(copyOf("repo", "prod", "1.0.0")) // latest of repo is 2.0.0
	if diff := gocmp.Diff(map[string]string{"latest": "0.9.0"}, h.tags("prod")); diff != "" {
		t.Error(diff)
	}
	h.mustCopy(copyOf("repo", "prod", "2.0.0"))
	if diff := gocmp.Diff(map[string]string{"latest": "2.0.0"}, h.tags("prod")); diff != "" {
		t.Error(diff)
	}
}

func TestCopy_IdenticalIsInNeitherMap(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.mustCopy(copyOf("repo", "prod", "1.0.0"))
	before := h.events()
	for _, overwrite := range []bool{false, true} {
		q := copyOf("repo", "prod", "1.0.0", "2.0.0")
		q.Overwrite = overwrite
		out := h.mustCopy(q)
		if _, ok := out.Done["1.0.0"]; ok || len(out.Failed) > 0 {
			t.Errorf("overwrite %v: %v", overwrite, out)
		}
	}
	if got := h.since(before); len(got) != 1 {
		t.Errorf("got events %v, want one for 2.0.0", got)
	}
}

func TestCopy_OneFailureCopiesNothing(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.mustPublish("prod", "thing", "1.0.0", "different")
	out := h.mustCopy(copyOf("repo", "prod", "1.0.0", "2.0.0", "9"))
	want := Outcome{Done: map[string]VersionState{}, Failed: map[string]VersionError{
		"1.0.0": {AlreadyExists, "Version 1.0.0 already exists"},
		"2.0.0": {Skipped, "Version 2.0.0 was skipped"},
		"9":     {VersionNotFound, "Could not find version 9"},
	}}
	if diff := gocmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff([]string{"1.0.0"}, sortedKeys(h.statuses("prod"))); diff != "" {
		t.Error(diff)
	}
}

func TestCopy_Overwrites(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.mustPublish("prod", "thing", "1.0.0", "different")
	before := h.events()
	q := copyOf("repo", "prod", "1.0.0")
	q.Overwrite = true
	if out := h.mustCopy(q); len(out.Done) != 1 {
		t.Fatal(out)
	}
	h.mustFetch("prod", "thing", "1.0.0", "one")
	if diff := gocmp.Diff([]string{"Updated prod 1.0.0 Published +0-0~1"}, h.since(before)); diff != "" {
		t.Error(diff)
	}
}

// TestCopy_LegalHold: overwriting takes away what was there.
func TestCopy_LegalHold(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.mustPublish("prod", "thing", "1.0.0", "different")
	h.hold("prod", coords("thing"), "1.0.0")
	q := copyOf("repo", "prod", "1.0.0")
	q.Overwrite = true
	out := h.mustCopy(q)
	want := Outcome{Done: map[string]VersionState{}, Failed: map[string]VersionError{
		"1.0.0": {NotAllowed, "version 1.0.0 of npm/thing is on legal hold; delete-legal-hold ends that"},
	}}
	if diff := gocmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	h.mustFetch("prod", "thing", "1.0.0", "different")
}

// hold puts a version on legal hold.
func (h *house) hold(repo string, c artifact.Coordinates, version string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		return tx.PutHold(catalog.Hold{RepositoryID: h.repos[repo].ID, Coordinates: c, Version: version, Kind: catalog.HoldLegal})
	})
}

func TestCopy_Revisions(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	one, _ := h.row("repo", "1.0.0")
	q := copyOf("repo", "prod")
	q.Revisions = map[string]string{"1.0.0": "x"}
	out := h.mustCopy(q)
	if diff := gocmp.Diff(map[string]VersionError{"1.0.0": {MismatchedRevision, "current revision: " + one.Revision + ", expected revision: x"}}, out.Failed); diff != "" {
		t.Error(diff)
	}
	q.Revisions["1.0.0"] = one.Revision
	if out = h.mustCopy(q); len(out.Done) != 1 {
		t.Error(out)
	}
}

func TestCopy_StatusComesAlongAndBytesMustBeThere(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	if _, err := h.service.UpdateStatus(t.Context(), batch("1.0.0"), artifact.Archived); err != nil {
		t.Fatal(err)
	}
	if _, err := h.service.Dispose(t.Context(), batch("2.0.0")); err != nil {
		t.Fatal(err)
	}
	out := h.mustCopy(copyOf("repo", "prod", "1.0.0"))
	if out.Done["1.0.0"].Status != artifact.Archived {
		t.Errorf("an archived version came back to life: %v", out)
	}
	out = h.mustCopy(copyOf("repo", "prod", "2.0.0"))
	if out.Failed["2.0.0"].Code != NotAllowed {
		t.Error(out)
	}
	// What is disposed at the destination cannot be put back by a copy.
	h.repo("other")
	h.mustPublish("other", "thing", "1.0.0", "one")
	if _, err := h.service.Dispose(t.Context(), Batch{Repository: repoID("prod"), Coordinates: coords("thing"), Versions: []string{"1.0.0"}}); err != nil {
		t.Fatal(err)
	}
	q := copyOf("other", "prod", "1.0.0")
	if out = h.mustCopy(q); out.Failed["1.0.0"].Code != AlreadyExists {
		t.Error(out)
	}
	q.Overwrite = true
	if out = h.mustCopy(q); out.Failed["1.0.0"].Code != NotAllowed {
		t.Error(out)
	}
}

func TestCopy_Refuses(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	many := make([]string, 101)
	for i := range many {
		many[i] = string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	for _, c := range []struct {
		name string
		q    CopyRequest
		kind fault.Kind
	}{
		{"to itself", copyOf("repo", "repo", "1.0.0"), fault.Invalid},
		{"neither versions nor revisions", copyOf("repo", "prod"), fault.Invalid},
		{"both", CopyRequest{Source: repoID("repo"), Destination: repoID("prod"), Versions: []string{"1"}, Revisions: map[string]string{"1": "x"}}, fault.Invalid},
		{"too many", copyOf("repo", "prod", many...), fault.Invalid},
		{"no such source", copyOf("nowhere", "prod", "1.0.0"), fault.NotFound},
		{"no such destination", copyOf("repo", "nowhere", "1.0.0"), fault.NotFound},
		{"no such package", CopyRequest{Source: repoID("repo"), Destination: repoID("prod"), Coordinates: coords("other"), Versions: []string{"1"}}, fault.NotFound},
	} {
		for _, upstream := range []bool{false, true} {
			c.q.FromUpstream = upstream
			_, err := h.service.Copy(t.Context(), c.q)
			if !fault.Is(err, c.kind) {
				t.Errorf("%s, from upstream %v: got %v, want %v", c.name, upstream, err, c.kind)
			}
		}
	}
}

func TestCopy_FromUpstreamAndKeepsNothingAtTheSource(t *testing.T) {
	h := shelf(t)
	h.repo("view", "repo")
	h.repo("prod")
	_, err := h.service.Copy(t.Context(), copyOf("view", "prod", "1.0.0"))
	wantFault(t, err, fault.NotFound) // the source alone has nothing
	q := copyOf("view", "prod", "2.0.0")
	q.FromUpstream = true
	if out := h.mustCopy(q); len(out.Done) != 1 {
		t.Fatal(out)
	}
	h.mustFetch("prod", "thing", "2.0.0", "two")
	if got := h.statuses("view"); len(got) > 0 {
		t.Errorf("the source kept %v", got)
	}
	if diff := gocmp.Diff(map[string]string{"latest": "2.0.0"}, h.tags("prod")); diff != "" {
		t.Error(diff)
	}
}

func TestCopy_FromUpstreamRespectsArchived(t *testing.T) {
	h := shelf(t)
	h.repo("view", "repo")
	h.repo("prod")
	if _, err := h.service.UpdateStatus(t.Context(), batch("1.0.0"), artifact.Archived); err != nil {
		t.Fatal(err)
	}
	q := copyOf("view", "prod", "1.0.0", "2.0.0")
	q.FromUpstream = true
	out := h.mustCopy(q)
	want := map[string]VersionError{
		"1.0.0": {VersionNotFound, "Could not find version 1.0.0"}, "2.0.0": {Skipped, "Version 2.0.0 was skipped"},
	}
	if diff := gocmp.Diff(want, out.Failed); diff != "" {
		t.Error(diff)
	}
}

func TestCopy_FromOutside(t *testing.T) {
	remote := newOutside(t)
	remote.put("thing", "1.0.0", "public one")
	remote.put("thing", "2.0.0", "public two")
	h := newHouse(t, remote)
	h.repo("public", "@")
	h.repo("view", "public")
	h.repo("prod")
	q := copyOf("view", "prod", "1.0.0", "2.0.0")
	q.FromUpstream = true
	if out := h.mustCopy(q); len(out.Done) != 2 || len(out.Failed) > 0 {
		t.Fatal(out)
	}
	h.mustFetch("prod", "thing", "2.0.0", "public two")
	if got := remote.gets.Load(); got != 2 {
		t.Errorf("%d files were fetched, want 2", got)
	}
	v, _ := h.row("prod", "1.0.0")
	if diff := gocmp.Diff(artifact.Origin{Type: artifact.External, Connection: public}, v.Origin); diff != "" {
		t.Error(diff)
	}
	if got := h.restrictions("prod"); got != artifact.DefaultRestrictions(false) {
		t.Errorf("the copied package has %v", got)
	}
	if got := h.statuses("view"); len(got) > 0 {
		t.Errorf("the source kept %v", got)
	}
	if got := h.statuses("public"); len(got) != 2 {
		t.Errorf("the repository with the connection kept %v", got)
	}
	if diff := gocmp.Diff(map[string]string{"latest": "2.0.0"}, h.tags("prod")); diff != "" {
		t.Error(diff)
	}
}

func TestCopy_FromOutsideFailsWhole(t *testing.T) {
	remote := newOutside(t)
	remote.put("thing", "1.0.0", "public one")
	h := newHouse(t, remote)
	h.repo("public", "@")
	h.repo("prod")
	q := copyOf("public", "prod", "1.0.0", "9")
	q.FromUpstream = true
	out := h.mustCopy(q)
	if out.Failed["9"].Code != VersionNotFound || out.Failed["1.0.0"].Code != Skipped {
		t.Error(out)
	}
	if got := remote.gets.Load(); got != 0 {
		t.Errorf("%d files were fetched for nothing", got)
	}
	remote.lie = true
	_, err := h.service.Copy(t.Context(), CopyRequest{
		Source: q.Source, Destination: q.Destination, Coordinates: q.Coordinates, Versions: []string{"1.0.0"}, FromUpstream: true,
	})
	wantFault(t, err, fault.Upstream)
	if got := h.statuses("prod"); len(got) > 0 {
		t.Errorf("a lie was copied: %v", got)
	}
}

func TestCopy_InternalNameIsNotTakenFromOutside(t *testing.T) {
	remote := newOutside(t)
	remote.put("thing", "9.9.9", "an attack")
	h := newHouse(t, remote)
	h.repo("internal")
	h.repo("public", "@")
	h.repo("view", "internal", "public")
	h.repo("prod")
	h.mustPublish("internal", "thing", "1.0.0", "ours")
	q := copyOf("view", "prod", "9.9.9")
	q.FromUpstream = true
	if out := h.mustCopy(q); out.Failed["9.9.9"].Code != VersionNotFound {
		t.Error(out)
	}
}
