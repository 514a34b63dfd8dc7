package registry

import (
	"fmt"
	"io"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

func repoID(name string) artifact.RepositoryID {
	return artifact.RepositoryID{Owner: owner, Domain: "corp", Name: name}
}

// batch is about versions of the package "thing" in the repository "repo".
func batch(versions ...string) Batch {
	return Batch{Repository: repoID("repo"), Coordinates: coords("thing"), Versions: versions}
}

// row reads a stored version of "thing" with its assets.
func (h *house) row(repo, version string) (v catalog.Version, assets []catalog.Asset) {
	h.t.Helper()
	err := h.db.View(h.t.Context(), func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos[repo].ID, coords("thing"))
		if err != nil {
			return err
		}
		if v, err = tx.Version(p.ID, version); err != nil {
			return err
		}
		assets, err = tx.Assets(v.ID, "", 0)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return v, assets
}

// statuses gives the status of every stored version of "thing" in a repository.
func (h *house) statuses(repo string) map[string]artifact.Status {
	h.t.Helper()
	out := map[string]artifact.Status{}
	err := h.db.View(h.t.Context(), func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos[repo].ID, coords("thing"))
		if err != nil {
			return err
		}
		rows, err := tx.Versions(p.ID)
		for _, r := range rows {
			out[r.Number] = r.Status
		}
		return err
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		h.t.Fatal(err)
	}
	return out
}

// tags gives the stored tags of "thing" in a repository.
func (h *house) tags(repo string) map[string]string {
	h.t.Helper()
	out := map[string]string{}
	err := h.db.View(h.t.Context(), func(tx *catalog.Tx) error {
		p, err := tx.Package(h.repos[repo].ID, coords("thing"))
		if err != nil {
			return err
		}
		tags, err := tx.DistTags(p.ID)
		for _, t := range tags {
			out[t.Tag] = t.Version
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// since gives what events say that came after the first n: the operation, the
// repository, the version, its status and what happened to assets.
func (h *house) since(n int) []string {
	h.t.Helper()
	var out []string
	err := h.db.View(h.t.Context(), func(tx *catalog.Tx) error {
		events, err := tx.Undelivered(0, 1000)
		if err != nil {
			return err
		}
		for _, e := range events[n:] {
			out = append(out, fmt.Sprintf("%s %s %s %s +%d-%d~%d", e.Event.Operation, e.Event.Repository, e.Event.Version, e.Event.Status,
				e.Event.AssetsAdded, e.Event.AssetsRemoved, e.Event.AssetsUpdated))
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) events() int { return len(h.since(0)) }

func wantFault(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("got error %v, want kind %v", err, kind)
	}
}

// shelf is a house with thing 1.0.0 and 2.0.0 in repo, the latter latest.
func shelf(t *testing.T) *house {
	h := newHouse(t, nil)
	h.repo("repo")
	h.mustPublish("repo", "thing", "1.0.0", "one")
	h.mustPublish("repo", "thing", "2.0.0", "two")
	return h
}

func TestUpdateStatus_ChangesAllAndTells(t *testing.T) {
	h := shelf(t)
	revision := func(number string) string { v, _ := h.row("repo", number); return v.Revision }
	one, two, before := revision("1.0.0"), revision("2.0.0"), h.events()
	out, err := h.service.UpdateStatus(t.Context(), batch("2.0.0", "1.0.0", "2.0.0"), artifact.Archived)
	if err != nil {
		t.Fatal(err)
	}
	want := Outcome{
		Done:   map[string]VersionState{"1.0.0": {one, artifact.Archived}, "2.0.0": {two, artifact.Archived}},
		Failed: map[string]VersionError{},
	}
	if diff := gocmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff([]string{"Updated repo 1.0.0 Archived +0-0~0", "Updated repo 2.0.0 Archived +0-0~0"}, h.since(before)); diff != "" {
		t.Error(diff)
	}
	if _, err := h.versions("repo", "thing"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an archived package is listed: %v", err)
	}
	if v, _ := h.row("repo", "1.0.0"); string(v.Manifest) != `{"note":"ours"}` {
		t.Errorf("the manifest became %q", v.Manifest)
	}
}

func TestUpdateStatus_SameStatusIsNoChange(t *testing.T) {
	h := shelf(t)
	before := h.events()
	out, err := h.service.UpdateStatus(t.Context(), batch("1.0.0"), artifact.Published)
	if err != nil || len(out.Done) != 1 {
		t.Fatal(out, err)
	}
	if got := h.since(before); len(got) > 0 {
		t.Errorf("there were events: %v", got)
	}
}

func TestUpdateStatus_OneFailureLeavesAllAlone(t *testing.T) {
	skipped := func(n string) VersionError { return VersionError{Skipped, "version " + n + " is skipped"} }
	for _, c := range []struct {
		name   string
		change func(h *house, b *Batch)
		want   map[string]VersionError
	}{
		{"missing", func(_ *house, b *Batch) { b.Versions = append(b.Versions, "9") }, map[string]VersionError{
			"1.0.0": skipped("1.0.0"), "2.0.0": skipped("2.0.0"), "9": {VersionNotFound, "Could not find version 9"},
		}},
		{"other status", func(h *house, b *Batch) {
			if _, err := h.service.UpdateStatus(h.t.Context(), batch("1.0.0"), artifact.Unlisted); err != nil {
				h.t.Fatal(err)
			}
			b.Expected = artifact.Unlisted
		}, map[string]VersionError{
			"1.0.0": skipped("1.0.0"), "2.0.0": {MismatchedStatus, "current status: Published, expected status: Unlisted"},
		}},
		{"disposed", func(h *house, _ *Batch) {
			if _, err := h.service.Dispose(h.t.Context(), batch("2.0.0")); err != nil {
				h.t.Fatal(err)
			}
		}, map[string]VersionError{
			"1.0.0": skipped("1.0.0"), "2.0.0": {NotAllowed, "version 2.0.0 is Disposed and can only be deleted"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := shelf(t)
			h.t = t
			b := batch("1.0.0", "2.0.0")
			c.change(h, &b)
			before, statuses := h.events(), h.statuses("repo")
			out, err := h.service.UpdateStatus(t.Context(), b, artifact.Archived)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(Outcome{Done: map[string]VersionState{}, Failed: c.want}, out); diff != "" {
				t.Error(diff)
			}
			if diff := gocmp.Diff(statuses, h.statuses("repo")); diff != "" {
				t.Error(diff)
			}
			if got := h.since(before); len(got) > 0 {
				t.Errorf("there were events: %v", got)
			}
		})
	}
}

func TestUpdateStatus_OtherRevision(t *testing.T) {
	h := shelf(t)
	one, _ := h.row("repo", "1.0.0")
	b := batch("1.0.0", "2.0.0")
	b.Revisions = map[string]string{"1.0.0": one.Revision, "2.0.0": "x"}
	two, _ := h.row("repo", "2.0.0")
	out, err := h.service.UpdateStatus(t.Context(), b, artifact.Archived)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]VersionError{
		"1.0.0": {Skipped, "version 1.0.0 is skipped"},
		"2.0.0": {MismatchedRevision, "current revision: " + two.Revision + ", expected revision: x"},
	}
	if diff := gocmp.Diff(want, out.Failed); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateStatus_Refuses(t *testing.T) {
	h := shelf(t)
	for _, c := range []struct {
		name   string
		change func(*Batch)
		target artifact.Status
		kind   fault.Kind
	}{
		{"target Disposed", func(*Batch) {}, artifact.Disposed, fault.Invalid},
		{"target Unfinished", func(*Batch) {}, artifact.Unfinished, fault.Invalid},
		{"target Deleted", func(*Batch) {}, artifact.Deleted, fault.Invalid},
		{"no versions", func(b *Batch) { b.Versions = nil }, artifact.Archived, fault.Invalid},
		{"revision of another version", func(b *Batch) { b.Revisions = map[string]string{"2.0.0": "x"} }, artifact.Archived, fault.Invalid},
		{"revisions of more versions", func(b *Batch) { b.Revisions = map[string]string{"1.0.0": "x", "2.0.0": "x"} }, artifact.Archived, fault.Invalid},
		{"no such package", func(b *Batch) { b.Coordinates.Name = "other" }, artifact.Archived, fault.NotFound},
		{"no such repository", func(b *Batch) { b.Repository.Name = "other" }, artifact.Archived, fault.NotFound},
		{"no such domain", func(b *Batch) { b.Repository.Domain = "other" }, artifact.Archived, fault.NotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := batch("1.0.0")
			c.change(&b)
			_, err := h.service.UpdateStatus(t.Context(), b, c.target)
			wantFault(t, err, c.kind)
		})
	}
}

func TestUpdateStatus_UnfinishedCannotBeUnlisted(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	if _, err := h.open("repo").Publish(t.Context(), coords("thing"), Publication{Version: "1", Status: artifact.Unfinished, Manifest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	out, err := h.service.UpdateStatus(t.Context(), batch("1"), artifact.Unlisted)
	if err != nil || out.Failed["1"].Code != NotAllowed {
		t.Fatal(out, err)
	}
	if out, err = h.service.UpdateStatus(t.Context(), batch("1"), artifact.Published); err != nil || out.Done["1"].Status != artifact.Published {
		t.Fatal(out, err)
	}
}

func TestDispose_TakesBytesAndKeepsTheNumber(t *testing.T) {
	h := shelf(t)
	before := h.events()
	out, err := h.service.Dispose(t.Context(), batch("2.0.0"))
	if err != nil || out.Done["2.0.0"].Status != artifact.Disposed {
		t.Fatal(out, err)
	}
	if _, assets := h.row("repo", "2.0.0"); len(assets) > 0 {
		t.Errorf("the assets are there still: %v", assets)
	}
	if diff := gocmp.Diff([]string{"Updated repo 2.0.0 Disposed +0-1~0"}, h.since(before)); diff != "" {
		t.Error(diff)
	}
	if got := h.tags("repo"); len(got) > 0 {
		t.Errorf("tags point at it still: %v", got)
	}
	_, err = h.fetch("repo", "thing", "2.0.0")
	wantFault(t, err, fault.NotFound)
	wantFault(t, h.publish("repo", "thing", "2.0.0", "again"), fault.Conflict)
	if out, err = h.service.Dispose(t.Context(), batch("2.0.0")); err != nil || len(out.Done) != 1 {
		t.Errorf("disposing again: %v, %v", out, err)
	}
}

func TestDeleteVersions_DeletesWhatItCan(t *testing.T) {
	h := shelf(t)
	two, _ := h.row("repo", "2.0.0")
	before := h.events()
	b := batch("1.0.0", "2.0.0", "9")
	if _, err := h.service.UpdateStatus(t.Context(), batch("1.0.0"), artifact.Archived); err != nil {
		t.Fatal(err)
	}
	b.Expected = artifact.Published
	out, err := h.service.DeleteVersions(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	want := Outcome{
		Done: map[string]VersionState{"2.0.0": {two.Revision, artifact.Deleted}},
		Failed: map[string]VersionError{
			"1.0.0": {MismatchedStatus, "current status: Archived, expected status: Published"},
			"9":     {VersionNotFound, "Could not find version 9"},
		},
	}
	if diff := gocmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff("Deleted repo 2.0.0 Published +0-1~0", h.since(before)[1]); diff != "" {
		t.Error(diff)
	}
	h.mustPublish("repo", "thing", "2.0.0", "another two") // the number is free again
	h.mustFetch("repo", "thing", "2.0.0", "another two")
}

func TestDeleteVersions_LastOneLeavesThePackage(t *testing.T) {
	h := shelf(t)
	if err := h.service.SetRestrictions(t.Context(), repoID("repo"), coords("thing"), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Block}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.service.DeleteVersions(t.Context(), batch("1.0.0", "2.0.0")); err != nil {
		t.Fatal(err)
	}
	wantFault(t, h.publish("repo", "thing", "1.0.0", "x"), fault.Denied)
}

func TestDeletePackage_TakesItsConfigurationToo(t *testing.T) {
	h := shelf(t)
	id := repoID("repo")
	if err := h.service.SetRestrictions(t.Context(), id, coords("thing"), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Allow}); err != nil {
		t.Fatal(err)
	}
	before := h.events()
	p, err := h.service.DeletePackage(t.Context(), id, coords("thing"))
	if err != nil || p.Restrictions.Publish != artifact.Block {
		t.Fatal(p, err)
	}
	if got := h.since(before); len(got) != 2 {
		t.Errorf("got events %v, want one for each version", got)
	}
	_, err = h.service.DeletePackage(t.Context(), id, coords("thing"))
	wantFault(t, err, fault.NotFound)
	h.mustPublish("repo", "thing", "1.0.0", "afresh")
}

func TestSetRestrictions_BeforeAnyVersion(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	id := repoID("repo")
	if err := h.service.SetRestrictions(t.Context(), id, coords("thing"), artifact.Restrictions{Publish: artifact.Block, Upstream: artifact.Block}); err != nil {
		t.Fatal(err)
	}
	wantFault(t, h.publish("repo", "thing", "1", "x"), fault.Denied)
	if err := h.service.SetRestrictions(t.Context(), id, coords("thing"), artifact.Restrictions{Publish: artifact.Allow, Upstream: artifact.Block}); err != nil {
		t.Fatal(err)
	}
	h.mustPublish("repo", "thing", "1", "x")
	id.Name = "other"
	wantFault(t, h.service.SetRestrictions(t.Context(), id, coords("thing"), artifact.Restrictions{}), fault.NotFound)
}

func TestOpenStored(t *testing.T) {
	h := shelf(t)
	_, assets := h.row("repo", "1.0.0")
	r, err := h.service.OpenStored(t.Context(), assets[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "one" {
		t.Errorf("got %q, %v", got, err)
	}
	assets[0].Digests = digest.Of([]byte("nobody has this"))
	_, err = h.service.OpenStored(t.Context(), assets[0])
	wantFault(t, err, fault.Unavailable)
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
