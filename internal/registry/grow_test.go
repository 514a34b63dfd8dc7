package registry

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// files is a format whose versions are closed once they are Published, and that
// is never looked for in upstreams.
type files struct{ plain }

func (files) Name() artifact.Format         { return artifact.Generic }
func (files) Traits() Traits                { return Traits{Growth: GrowsUnfinished, Local: true} }
func (files) Remote(string) upstream.Remote { return nil }

// jars is a format whose versions are never closed.
type jars struct{ plain }

func (jars) Name() artifact.Format { return artifact.Maven }
func (jars) Traits() Traits        { return Traits{Growth: GrowsAlways} }

func thing(f artifact.Format) artifact.Coordinates {
	return artifact.Coordinates{Format: f, Namespace: "ns", Name: "thing"}
}

// add publishes one asset of the version 1.0 of a thing.
func (h *house) add(repo string, f artifact.Format, name, content string, status artifact.Status) (artifact.Version, error) {
	h.t.Helper()
	r := h.open(repo)
	staged, err := r.Stage(h.t.Context(), thing(f), name, strings.NewReader(content))
	if err != nil {
		return artifact.Version{}, err
	}
	return r.Publish(h.t.Context(), thing(f), Publication{Version: "1.0", Assets: []Staged{staged}, Status: status})
}

func (h *house) mustAdd(repo string, f artifact.Format, name, content string, status, want artifact.Status) artifact.Version {
	h.t.Helper()
	v, err := h.add(repo, f, name, content, status)
	if err != nil || v.Status != want {
		h.t.Fatalf("adding %s to %s: %s, %v; want %s", name, repo, v.Status, err, want)
	}
	return v
}

func (h *house) wantRefusedAsset(repo string, f artifact.Format, name, content string, kind fault.Kind, text string) {
	h.t.Helper()
	before := h.assets(repo, f)
	_, err := h.add(repo, f, name, content, "")
	if !fault.Is(err, kind) || !strings.Contains(fault.Message(err), text) {
		h.t.Errorf("adding %s to %s: %v; want kind %v that says %q", name, repo, err, kind, text)
	}
	if diff := gocmp.Diff(before, h.assets(repo, f)); diff != "" {
		h.t.Errorf("a refused asset changed the version (-before +after):\n%s", diff)
	}
}

// assets tells the status, revision and assets of the version 1.0 of a thing.
func (h *house) assets(repo string, f artifact.Format) (out []string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		out = nil
		p, err := tx.Package(h.repos[repo].ID, thing(f))
		if err == nil {
			var v catalog.Version
			if v, err = tx.Version(p.ID, "1.0"); err == nil {
				var rows []catalog.Asset
				rows, err = tx.Assets(v.ID, "", 0)
				out = append(out, string(v.Status), v.Revision)
				for _, a := range rows {
					out = append(out, fmt.Sprint(a.Name, " ", a.Size))
				}
			}
		}
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	return out
}

func TestGrow_AssetByAssetUntilPublished(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	first := h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	second := h.mustAdd("repo", artifact.Generic, "b", "BB", artifact.Unfinished, artifact.Unfinished)
	if first.Revision == second.Revision || first.Published != second.Published {
		t.Errorf("the second asset left revision %s and moved the time from %v to %v", second.Revision, first.Published, second.Published)
	}
	again := h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	if diff := gocmp.Diff(second, again); diff != "" {
		t.Errorf("the same asset again changed the version (-before +after):\n%s", diff)
	}
	h.wantRefusedAsset("repo", artifact.Generic, "a", "other", fault.Conflict, "already has an asset a with other content")
	last := h.mustAdd("repo", artifact.Generic, "c", "CCC", "", artifact.Published)
	if diff := gocmp.Diff([]string{"Published", last.Revision, "a 1", "b 2", "c 3"}, h.assets("repo", artifact.Generic)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if last.Origin != (artifact.Origin{Type: artifact.Internal, Repository: "repo"}) {
		t.Errorf("origin %+v", last.Origin)
	}
	want := []string{
		"Created repo 1.0 Unfinished +1-0~0",
		"Updated repo 1.0 Unfinished +1-0~0",
		"Updated repo 1.0 Published +1-0~0",
	}
	if diff := gocmp.Diff(want, h.since(0)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	h.wantRefusedAsset("repo", artifact.Generic, "d", "D", fault.Conflict, "is Published and takes no further assets")
	h.wantRefusedAsset("repo", artifact.Generic, "a", "other", fault.Conflict, "other content")
	closed := h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Published) // never Unfinished again
	if diff := gocmp.Diff(last, closed); diff != "" || len(h.since(0)) != 3 {
		t.Errorf("publishing what is there again changed it (-before +after):\n%s", diff)
	}
}

func TestGrow_StatusAloneIsAnEventToo(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	open := h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	out := h.mustAdd("repo", artifact.Generic, "a", "A", "", artifact.Published)
	if open.Revision != out.Revision {
		t.Error("the status changed the revision")
	}
	if diff := gocmp.Diff([]string{"Updated repo 1.0 Published +0-0~0"}, h.since(1)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestGrow_AlsoAfterPublishingWhereTheFormatLets(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	first := h.mustAdd("repo", artifact.Maven, "a.jar", "A", "", artifact.Published)
	second := h.mustAdd("repo", artifact.Maven, "b.jar", "B", artifact.Unfinished, artifact.Published)
	if first.Revision == second.Revision {
		t.Error("the revision stayed")
	}
	h.wantRefusedAsset("repo", artifact.Maven, "a.jar", "other", fault.Conflict, "other content")
	r := h.open("repo")
	for _, manifest := range []string{"<one/>", "<one/>", "<two/>"} {
		v, err := r.Publish(t.Context(), thing(artifact.Maven), Publication{Version: "1.0", Manifest: []byte(manifest)})
		if err != nil || string(v.Manifest) != manifest || v.Revision == second.Revision {
			t.Errorf("manifest %s: %+v, %v", manifest, v, err)
		}
	}
	third := h.mustAdd("repo", artifact.Maven, "c.jar", "C", "", artifact.Published)
	if string(third.Manifest) != "<two/>" {
		t.Errorf("an asset made the manifest %q", third.Manifest)
	}
	if n := len(h.since(0)); n != 5 { // two assets, two manifests, one more asset
		t.Errorf("%d events: %v", n, h.since(0))
	}
}

func TestGrow_ByStatus(t *testing.T) {
	for _, c := range []struct {
		format       artifact.Format
		status       artifact.Status
		same, fresh  fault.Kind
		sameWant, ok artifact.Status
	}{
		{artifact.Generic, artifact.Unlisted, 0, fault.Conflict, artifact.Unlisted, ""},
		{artifact.Generic, artifact.Archived, fault.Conflict, fault.Conflict, "", ""},
		{artifact.Generic, artifact.Disposed, fault.Conflict, fault.Conflict, "", ""},
		{artifact.Maven, artifact.Unlisted, 0, 0, artifact.Unlisted, artifact.Unlisted},
		{artifact.Maven, artifact.Archived, fault.Conflict, fault.Conflict, "", ""},
		{artifact.Maven, artifact.Disposed, fault.Conflict, fault.Conflict, "", ""},
	} {
		t.Run(string(c.format)+" "+string(c.status), func(t *testing.T) {
			h := newHouse(t, nil)
			h.repo("repo")
			h.mustAdd("repo", c.format, "a", "A", "", artifact.Published)
			b := Batch{Repository: repoID("repo"), Coordinates: thing(c.format), Versions: []string{"1.0"}}
			var err error
			if c.status == artifact.Disposed {
				_, err = h.service.Dispose(t.Context(), b)
			} else {
				_, err = h.service.UpdateStatus(t.Context(), b, c.status)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, try := range []struct {
				name string
				kind fault.Kind
				want artifact.Status
			}{{"a", c.same, c.sameWant}, {"b", c.fresh, c.ok}} {
				if try.kind != 0 {
					h.wantRefusedAsset("repo", c.format, try.name, "A", try.kind, string(c.status))
				} else {
					h.mustAdd("repo", c.format, try.name, "A", "", try.want)
				}
			}
		})
	}
}

func TestGrow_NotWhatCameFromOutside(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	h.update(func(tx *catalog.Tx) error {
		p, _, err := tx.EnsurePackage(h.repos["repo"], thing(artifact.Maven), "thing", artifact.Restrictions{Publish: artifact.Allow, Upstream: artifact.Allow})
		if err != nil {
			return err
		}
		_, err = tx.InsertVersion(p, artifact.Version{Number: "1.0", Status: artifact.Published, Origin: artifact.Origin{Type: artifact.External, Connection: public}})
		return err
	})
	h.wantRefusedAsset("repo", artifact.Maven, "a.jar", "A", fault.Conflict, "already exists")
}

func TestGrow_NoMoreAssetsThanTheQuota(t *testing.T) {
	h := newHouse(t, nil)
	h.service.opt.MaxAssets = 2
	h.repo("repo")
	h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	h.mustAdd("repo", artifact.Generic, "b", "B", artifact.Unfinished, artifact.Unfinished)
	h.wantRefusedAsset("repo", artifact.Generic, "c", "C", fault.Quota, "would have 3 assets, 2 is the most")
	h.mustAdd("repo", artifact.Generic, "b", "B", "", artifact.Published) // one that is there does not count twice
}

func TestGrow_GatesHoldForEachAsset(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	restrict := func(publish artifact.Permission) {
		h.update(func(tx *catalog.Tx) error {
			p, err := tx.Package(h.repos["repo"].ID, thing(artifact.Generic))
			if err != nil {
				return err
			}
			return tx.SetRestrictions(p, artifact.Restrictions{Publish: publish, Upstream: artifact.Block}, true)
		})
	}
	restrict(artifact.Block)
	h.wantRefusedAsset("repo", artifact.Generic, "b", "B", fault.Denied, "publish=BLOCK")
	restrict(artifact.Allow)
	h.group("/generic/ns/*", "PUBLISH=BLOCK")
	h.wantRefusedAsset("repo", artifact.Generic, "b", "B", fault.Denied, "PUBLISH=BLOCK of /generic/ns/*")
	h.group("/generic/ns/thing$", "PUBLISH=ALLOW")
	h.mustAdd("repo", artifact.Generic, "b", "B", artifact.Unfinished, artifact.Unfinished)
	h.ungroup("/generic/ns/thing$")
	h.ungroup("/generic/ns/*")
	h.group("/generic/ns/Thing$")
	h.wantRefusedAsset("repo", artifact.Generic, "c", "C", fault.Denied, "is a variation of the pattern /generic/ns/Thing$")
}

func TestGrow_LocalFormatsNeverLookIntoUpstreams(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("up")
	h.repo("down", "up")
	h.mustAdd("up", artifact.Generic, "a", "A", "", artifact.Published)
	r := h.open("down")
	if _, err := r.Asset(t.Context(), thing(artifact.Generic), "1.0", "a"); !fault.Is(err, fault.NotFound) {
		t.Errorf("fetched through an upstream: %v", err)
	}
	if _, err := r.Listing(t.Context(), thing(artifact.Generic)); !fault.Is(err, fault.NotFound) {
		t.Errorf("listed through an upstream: %v", err)
	}
	if found, _, err := r.Search(t.Context(), artifact.Generic, "thing", 0, 10); err != nil || len(found) > 0 {
		t.Errorf("found in an upstream: %v, %v", found, err)
	}
	if found, _, err := h.open("up").Search(t.Context(), artifact.Generic, "thing", 0, 10); err != nil || len(found) != 1 || found[0].Version != "1.0" {
		t.Errorf("a package without tags: %v, %v", found, err)
	}
	if l, err := h.open("up").Stored(t.Context(), thing(artifact.Generic)); err != nil || len(l.Versions) != 1 || len(l.Versions[0].Assets) != 1 {
		t.Errorf("stored: %v, %v", l, err)
	}
	if _, err := r.Stored(t.Context(), thing(artifact.Generic)); !fault.Is(err, fault.NotFound) {
		t.Errorf("stored in an upstream: %v", err)
	}
	h.repo("copies")
	_, err := h.service.Copy(t.Context(), CopyRequest{
		Source: repoID("down"), Destination: repoID("copies"), Coordinates: thing(artifact.Generic), Versions: []string{"1.0"}, FromUpstream: true,
	})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("copied through an upstream: %v", err)
	}
	h.mustAdd("down", artifact.Generic, "a", "another", "", artifact.Published) // nor is what they have in the way
}

func TestGrow_CopiesKeepRevisionAndTakeNoMore(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	h.repo("copies")
	v := h.mustAdd("repo", artifact.Generic, "a", "A", artifact.Unfinished, artifact.Unfinished)
	request := CopyRequest{Source: repoID("repo"), Destination: repoID("copies"), Coordinates: thing(artifact.Generic), Versions: []string{"1.0"}}
	out, err := h.service.Copy(t.Context(), request)
	if err != nil || out.Failed["1.0"].Code != NotAllowed {
		t.Errorf("an Unfinished version was copied: %+v, %v", out, err)
	}
	h.mustAdd("repo", artifact.Generic, "a", "A", "", artifact.Published)
	if out, err = h.service.Copy(t.Context(), request); err != nil || out.Done["1.0"].Revision != v.Revision {
		t.Errorf("copy: %+v, %v", out, err)
	}
	h.wantRefusedAsset("copies", artifact.Generic, "b", "B", fault.Conflict, "takes no further assets")
	c, err := h.open("copies").Asset(t.Context(), thing(artifact.Generic), "1.0", "a")
	if err != nil || c.Asset.Size != 1 {
		t.Errorf("asset of the copy: %+v, %v", c, err)
	}
}

func TestGrow_BadNamesAndBrokenUploads(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	for _, name := range []string{"", "..", "a/b", "a\x00", strings.Repeat("a", 256)} {
		h.wantRefusedAsset("repo", artifact.Generic, name, "A", fault.Invalid, "asset: ")
	}
	r := h.open("repo")
	staged, err := r.Stage(t.Context(), thing(artifact.Generic), "a", strings.NewReader("A"))
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"", "..", "1/2", "1 0", strings.Repeat("1", 256)} {
		if _, err := r.Publish(t.Context(), thing(artifact.Generic), Publication{Version: number, Assets: []Staged{staged}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("version %q: %v", number, err)
		}
	}
	if _, err := r.Publish(t.Context(), thing(artifact.Generic), Publication{Version: "1.0", Assets: []Staged{staged, staged}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("one name twice: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("half"), failing{errors.New("connection reset")})
	if _, err := r.Stage(t.Context(), thing(artifact.Generic), "a", broken); !fault.Is(err, fault.Invalid) {
		t.Errorf("a broken upload: %v", err)
	}
	full := failing{fault.New(fault.Quota, "full")}
	if _, err := r.Stage(t.Context(), thing(artifact.Generic), "a", full); !fault.Is(err, fault.Quota) {
		t.Errorf("an error that has a kind: %v", err)
	}
	if got := h.assets("repo", artifact.Generic); got != nil {
		t.Errorf("stored: %v", got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestGrow_AllAtOnce adds many assets concurrently, some twice and some with
// contents that contradict each other: each name ends up there once.
func TestGrow_AllAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("repo")
	const names, tries = 8, 3
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := map[string]int{}
	for i := range names * tries {
		r := h.open("repo")
		wg.Go(func() {
			name, content := fmt.Sprintf("f%d", i%names), fmt.Sprintf("content %d", i/names%2)
			staged, err := r.Stage(t.Context(), thing(artifact.Generic), name, strings.NewReader(content))
			if err == nil {
				_, err = r.Publish(t.Context(), thing(artifact.Generic), Publication{Version: "1.0", Assets: []Staged{staged}, Status: artifact.Unfinished})
			}
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				mu.Lock()
				won[name]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stored := h.assets("repo", artifact.Generic)
	if len(stored) != 2+names {
		t.Errorf("stored: %v", stored)
	}
	for name, n := range won {
		if n == tries {
			t.Errorf("%s: contents that contradict each other were all taken", name)
		}
	}
	if n := len(h.since(0)); n != names {
		t.Errorf("%d events for %d assets", n, names)
	}
}
