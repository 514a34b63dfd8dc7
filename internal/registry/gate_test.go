package registry

import (
	"strings"
	"testing"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
)

// group makes the package group of a pattern say what rules say: a way, "=" and
// a mode, or the names of the repositories that may. Ways left out are
// inherited, by the root allowed.
func (h *house) group(pattern string, rules ...string) {
	h.t.Helper()
	p, err := artifact.ParsePattern(pattern)
	if err != nil {
		h.t.Fatal(err)
	}
	g := catalog.PackageGroup{DomainID: h.domain.ID, Group: artifact.Group{Pattern: p, Rules: map[artifact.Way]artifact.WayRule{}}}
	for _, w := range artifact.Ways() {
		g.Rules[w] = artifact.WayRule{Mode: artifact.GroupInherit}
		if pattern == artifact.RootPattern {
			g.Rules[w] = artifact.WayRule{Mode: artifact.GroupAllow}
		}
	}
	listed := map[artifact.Way][]string{}
	for _, rule := range rules {
		way, mode, _ := strings.Cut(rule, "=")
		switch m := artifact.GroupMode(mode); m {
		case artifact.GroupAllow, artifact.GroupBlock, artifact.GroupInherit:
			g.Rules[artifact.Way(way)] = artifact.WayRule{Mode: m}
		default:
			g.Rules[artifact.Way(way)] = artifact.WayRule{Mode: artifact.GroupAllowSpecific}
			listed[artifact.Way(way)] = strings.Split(mode, ",")
		}
	}
	h.update(func(tx *catalog.Tx) error {
		if err := tx.DeletePackageGroup(g); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err := tx.InsertPackageGroup(g); err != nil {
			return err
		}
		for w, names := range listed {
			for _, name := range names {
				if _, err := tx.AllowRepository(g, w, h.repos[name].ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (h *house) ungroup(pattern string) {
	h.t.Helper()
	p, err := artifact.ParsePattern(pattern)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *catalog.Tx) error {
		return tx.DeletePackageGroup(catalog.PackageGroup{DomainID: h.domain.ID, Group: artifact.Group{Pattern: p}})
	})
}

func (h *house) wantRefused(repo, name, version, text string) {
	h.t.Helper()
	err := h.publish(repo, name, version, "refused")
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Message(err), text) {
		h.t.Errorf("publishing %s to %s: %v, want a refusal that says %q", name, repo, err, text)
	}
}

func (h *house) wantNowhere(repo, name, version string) {
	h.t.Helper()
	if got, err := h.fetch(repo, name, version); !fault.Is(err, fault.NotFound) {
		h.t.Errorf("fetching %s %s through %s: %q, %v", name, version, repo, got, err)
	}
	h.wantVersions(repo, name)
}

func TestGraph_RootThatAllowsAllCostsNothing(t *testing.T) {
	h, _ := org(t)
	for _, c := range []struct {
		change func()
		none   bool
	}{
		{func() {}, true},
		{func() { h.group("/*", "PUBLISH=BLOCK") }, false},
		{func() { h.group("/*") }, true},
		{func() { h.group("/npm//x$") }, false},
		{func() { h.ungroup("/npm//x$") }, true},
	} {
		c.change()
		g, err := h.service.graph(t.Context(), owner, "corp")
		if err != nil || (g.groups == nil) != c.none {
			t.Errorf("groups %v, %v; want none: %v", g.groups, err, c.none)
		}
	}
}

func TestGroup_Publish(t *testing.T) {
	h, _ := org(t)
	h.mustPublish("npm-internal", "corp-ui", "1.0.0", "before")
	h.group("/npm//corp~", "PUBLISH=npm-internal")
	h.mustPublish("npm-internal", "corp-ui", "1.1.0", "allowed")
	h.mustPublish("frontend-app", "other", "1.0.0", "of the root group")
	h.wantRefused("frontend-app", "corp-new", "1.0.0", "PUBLISH=ALLOW_SPECIFIC_REPOSITORIES of /npm//corp~")

	h.group("/npm//corp-ui$") // inherits
	h.wantRefused("frontend-app", "corp-ui", "2.0.0", "its package group is /npm//corp-ui$, and PUBLISH=ALLOW_SPECIFIC_REPOSITORIES of /npm//corp~")
	h.group("/npm//corp-ui$", "PUBLISH=BLOCK")
	h.wantRefused("npm-internal", "corp-ui", "2.0.0", "PUBLISH=BLOCK")
	h.mustPublish("npm-internal", "corp-x", "1.0.0", "not of that group")
	h.mustFetch("frontend-app", "corp-ui", "1.1.0", "allowed") // what is there is served
	h.wantVersions("npm-internal", "corp-ui", "1.0.0", "1.1.0")

	h.group("/npm//corp-ui$", "PUBLISH=ALLOW")
	h.restrict("npm-internal", "corp-ui", artifact.Block, artifact.Allow) // BLOCK wins
	h.wantRefused("npm-internal", "corp-ui", "2.0.0", "publish=BLOCK")

	h.ungroup("/npm//corp-ui$")
	h.restrict("npm-internal", "corp-ui", artifact.Allow, artifact.Allow)
	h.mustPublish("npm-internal", "corp-ui", "2.0.0", "by the parent again")
}

func TestGroup_PublishChecksAgainAfterTheUpload(t *testing.T) {
	h, _ := org(t)
	r := h.open("npm-internal")
	staged, err := r.Stage(t.Context(), coords("corp-ui"), "file", strings.NewReader("slow"))
	if err != nil {
		t.Fatal(err)
	}
	h.group("/npm//corp~", "PUBLISH=BLOCK")
	_, err = r.Publish(t.Context(), coords("corp-ui"), Publication{Version: "1.0.0", Manifest: []byte(`{}`), Assets: []Staged{staged}})
	if !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
	h.wantHeld("npm-internal", "corp-ui")
}

func TestGroup_Upstreams(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	h.mustPublish("npm-internal", "widget", "1.0.0", "ours")

	h.group("/npm//express$", "EXTERNAL_UPSTREAM=BLOCK")
	h.group("/npm//widget$", "INTERNAL_UPSTREAM=BLOCK")
	docs := o.docs.Load()
	h.wantNowhere("frontend-app", "express", "1.0.0")
	h.wantNowhere("npm-public", "express", "1.0.0")
	h.wantNowhere("frontend-app", "widget", "1.0.0")
	h.mustFetch("npm-internal", "widget", "1.0.0", "ours")
	if n := o.docs.Load(); n != docs {
		t.Errorf("the outside was asked %d times for what may not come in", n-docs)
	}

	// The chain of the guide: the one that looks into its upstream is in the
	// internal list, the one with the connection in the external one.
	h.group("/npm//express$", "EXTERNAL_UPSTREAM=npm-public", "INTERNAL_UPSTREAM=npm-internal")
	h.wantNowhere("frontend-app", "express", "1.0.0")
	h.wantVersions("npm-public", "express", "1.0.0")
	h.group("/npm//express$", "EXTERNAL_UPSTREAM=frontend-app", "INTERNAL_UPSTREAM=frontend-app")
	h.wantNowhere("frontend-app", "express", "1.0.0")
	h.group("/npm//express$", "EXTERNAL_UPSTREAM=npm-public", "INTERNAL_UPSTREAM=frontend-app")
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")

	// What has come in stays, whatever comes after.
	o.put("express", "2.0.0", "express two")
	h.group("/npm//express$", "EXTERNAL_UPSTREAM=BLOCK", "INTERNAL_UPSTREAM=BLOCK", "PUBLISH=BLOCK")
	h.mustFetch("frontend-app", "express", "1.0.0", "express one")
	h.wantVersions("frontend-app", "express", "1.0.0")
	h.wantVersions("npm-public", "express", "1.0.0")
	if _, err := h.fetch("frontend-app", "express", "2.0.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a new version comes in: %v", err)
	}
}

func TestGroup_EveryRepositoryOnTheWayMustPermit(t *testing.T) {
	h, o := org(t)
	h.repo("deep", "frontend-app")
	o.put("express", "1.0.0", "express one")
	h.group("/npm//express$", "INTERNAL_UPSTREAM=deep")
	h.wantNowhere("deep", "express", "1.0.0")
	h.group("/npm//express$", "INTERNAL_UPSTREAM=deep,frontend-app")
	h.mustFetch("deep", "express", "1.0.0", "express one")
}

func TestGroup_VariationsAreHeldBack(t *testing.T) {
	h, o := org(t)
	o.put("Core-Lib", "1.0.0", "public")
	o.put("core_lib", "1.0.0", "public")
	o.put("corelib", "1.0.0", "public")
	h.mustPublish("npm-internal", "core.lib", "1.0.0", "before")
	h.group("/npm//core-lib$")
	h.wantNowhere("frontend-app", "Core-Lib", "1.0.0")
	h.wantNowhere("frontend-app", "core_lib", "1.0.0")
	h.mustFetch("frontend-app", "corelib", "1.0.0", "public") // no variation
	h.wantRefused("npm-internal", "core_lib", "2.0.0", "variation of the pattern /npm//core-lib$")
	h.mustPublish("npm-internal", "core-lib", "2.0.0", "the name itself")
	h.mustFetch("npm-internal", "core.lib", "1.0.0", "before") // what is there is served
	h.wantRefused("npm-internal", "core.lib", "2.0.0", "create the package group /npm//core.lib$")
	h.group("/npm//core_lib$")
	h.mustFetch("frontend-app", "core_lib", "1.0.0", "public")
}

func TestCopy_OfVariationsIsRefused(t *testing.T) {
	h := shelf(t)
	h.repo("prod")
	h.group("/npm//thing$", "PUBLISH=BLOCK", "INTERNAL_UPSTREAM=BLOCK", "EXTERNAL_UPSTREAM=BLOCK")
	if out := h.mustCopy(copyOf("repo", "prod", "1.0.0")); len(out.Failed) > 0 {
		t.Errorf("a copy is not gated by modes: %v", out.Failed)
	}
	h.ungroup("/npm//thing$")
	h.group("/npm//Thing$")
	out := h.mustCopy(copyOf("repo", "prod", "1.0.0", "2.0.0")) // the first is there already
	if e := out.Failed["2.0.0"]; e.Code != NotAllowed || !strings.Contains(e.Message, "variation") {
		t.Errorf("got %+v", out)
	}
	h.wantHeld("prod", "thing", "1.0.0 INTERNAL")
}

// TestGroup_DocumentsFollow: finished documents are not served on after a change.
func TestGroup_DocumentsFollow(t *testing.T) {
	h, o := org(t)
	o.put("express", "1.0.0", "express one")
	for range 2 {
		if w, err := h.document("express"); err != nil || w.Code != 200 {
			t.Fatalf("%v, %v", w, err)
		}
	}
	h.group("/npm//express~", "EXTERNAL_UPSTREAM=BLOCK")
	if _, err := h.document("express"); !fault.Is(err, fault.NotFound) {
		t.Errorf("blocked, the document is served: %v", err)
	}
	h.ungroup("/npm//express~")
	if _, err := h.document("express"); err != nil {
		t.Errorf("allowed again: %v", err)
	}
}

func TestRepositoryFormat_KeepsOthersOut(t *testing.T) {
	h := newHouse(t, nil)
	h.update(func(tx *catalog.Tx) (err error) {
		for name, f := range map[string]artifact.Format{"py": artifact.PyPI, "js": artifact.NPM} {
			h.repos[name], err = tx.InsertRepository(catalog.Repository{DomainID: h.domain.ID, Name: name, Administrator: owner, Format: f})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := h.publish("py", "thing", "1.0.0", "x"); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "for pypi packages only") {
		t.Errorf("publish: %v", err)
	}
	h.mustPublish("js", "thing", "1.0.0", "x")
	h.mustFetch("js", "thing", "1.0.0", "x")
	if err := h.open("py").Holds(t.Context(), artifact.NPM); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Message(err), "for pypi packages only") {
		t.Errorf("an address of another format: %v", err)
	}
	if err := h.open("js").Holds(t.Context(), artifact.NPM); err != nil {
		t.Errorf("its own format: %v", err)
	}
	h.repo("all")
	if err := h.open("all").Holds(t.Context(), artifact.Maven); err != nil {
		t.Errorf("any format: %v", err)
	}
	// Whoever may not read the repository is told nothing of its format.
	stranger := *h.open("py")
	stranger.caller = identity.NewCaller(nil, identity.Facts{})
	if err := stranger.Holds(t.Context(), artifact.NPM); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without credentials: %v", err)
	}
	// Nor does a row of another format come in by any other way.
	h.update(func(tx *catalog.Tx) error {
		if _, _, err := tx.EnsurePackage(h.repos["py"], coords("thing"), "thing", artifact.DefaultRestrictions(false)); !fault.Is(err, fault.Invalid) {
			t.Errorf("a package row: %v", err)
		}
		return nil
	})
}
