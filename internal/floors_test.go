// Package internal_test holds the law of the tree: an import goes down only.
//
// Each line of floors is one floor, highest first. What stands left of "<" may
// be imported by what stands right of it; siblings between commas are
// strangers. A package below a name (blob/fsblob, format/npm) lives on the
// floor of that name and is a stranger to its own siblings. Test files are
// free; packages that exist for tests (blobtest, pgtest, ...: the last element
// ends in "test") may look sideways but not up, and nothing else imports them.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const floors = `
cmd, test, bench
organisation, config < app < cli
format < control, eventsapi, iamapi, monitoringapi, snsapi, dataplane, ops < web
identity, access, topic < registry, audit, alarm, usage < upkeep
blob, event, job, upstream, restjson < awscbor, awsjson, awsquery, catalog
artifact, metric, policy, sigv4 < retention
fault < arn, digest, flight, lane, mail, page, outbound, porttest, seal
`

// forbidden narrows the floors: packages below the key never see the values.
var forbidden = map[string][]string{
	"format/": {"catalog", "blob", "policy", "event", "job"}, // a format acts through registry.Repo, which has been authorised
}

// place is where a top-level name stands; less is further down.
type place struct{ floor, rank int }

type goPackage struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
	Module     struct{ Path string }
}

func TestImports_GoDownOnly(t *testing.T) {
	places := parseFloors(floors)
	for _, p := range listPackages(t) {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		from := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path+"/"), "internal/")
		if _, ok := places[top(from)]; !ok {
			t.Errorf("%s stands on no floor: give %q a place in the table of internal/floors_test.go and in docs/architecture.md", p.ImportPath, top(from))
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, p.Module.Path+"/")
			to = strings.TrimPrefix(to, "internal/")
			switch {
			case !ours:
				if places[top(from)].floor == 0 && !testOnly(from) && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
					t.Errorf("%s imports %s: the lowest floor has the standard library only", p.ImportPath, imp)
				}
			default:
				if reason := refuse(places, from, to); reason != "" {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, reason)
				}
			}
		}
	}
}

func TestRefuse(t *testing.T) {
	places := parseFloors(floors)
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"registry", "catalog", true},
		{"catalog", "registry", false},
		{"registry", "access", true},
		{"access", "registry", false},
		{"access", "identity", false},
		{"blob/fsblob", "blob", true},
		{"blob/fsblob", "blob/s3blob", false},
		{"control", "control/api", true},
		{"format/npm", "registry", true},
		{"format/npm", "catalog", false},
		{"format/npm", "format/pypi", false},
		{"format/all", "format/npm", true},
		{"cli", "app", true},
		{"app", "cli", false},
		{"blob/blobtest", "event", true},
		{"blob/blobtest", "registry", false},
		{"registry", "blob/blobtest", false},
		{"catalog", "artifact", true},
		{"fault", "page", false},
	} {
		if got := refuse(places, c.from, c.to); (got == "") != c.allowed {
			t.Errorf("%s -> %s: allowed %v, refused because %q", c.from, c.to, c.allowed, got)
		}
	}
}

// refuse says why from may not import to (paths below internal/), or "".
func refuse(places map[string]place, from, to string) string {
	a, b := places[top(from)], places[top(to)]
	if testOnly(to) && !testOnly(from) {
		return "it exists for tests"
	}
	for prefix, names := range forbidden {
		if strings.HasPrefix(from, prefix) && slices.Contains(names, top(to)) && !testOnly(from) {
			return prefix + "<name> does not see " + top(to)
		}
	}
	switch {
	case a.floor > b.floor:
		return ""
	case a.floor < b.floor:
		return "it lives on a higher floor"
	case testOnly(from):
		return ""
	case top(from) == top(to):
		related := strings.HasPrefix(from, to+"/") || strings.HasPrefix(to, from+"/")
		if related || strings.HasSuffix(from, "/all") {
			return ""
		}
		return "siblings are strangers"
	case a.rank <= b.rank:
		return "it stands beside or right of the importer on the same floor"
	}
	return ""
}

func parseFloors(table string) map[string]place {
	places := map[string]place{}
	lines := strings.Split(strings.TrimSpace(table), "\n")
	for i, line := range lines {
		for rank, group := range strings.Split(line, "<") {
			for name := range strings.SplitSeq(group, ",") {
				places[strings.TrimSpace(name)] = place{floor: len(lines) - 1 - i, rank: rank}
			}
		}
	}
	return places
}

func top(path string) string { return strings.SplitN(path, "/", 2)[0] }

func testOnly(path string) bool {
	return strings.HasSuffix(path, "test") || top(path) == "test"
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,GoFiles,Imports,Module", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("go list output: %v", err)
		}
		all = append(all, p)
	}
}
