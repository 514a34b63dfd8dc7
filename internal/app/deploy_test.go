package app_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// deployed are the expressions of the alert rules and the dashboard in deploy/.
func deployed(t *testing.T) (expressions []string) {
	t.Helper()
	read := func(path string) []byte {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", path))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(read("prometheus/packhouse.rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Annotations["summary"] == "" {
				t.Errorf("a rule says nothing: %+v", r)
			}
			expressions = append(expressions, r.Expr)
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read("grafana/packhouse.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	if len(expressions) < 30 {
		t.Errorf("only %d expressions", len(expressions))
	}
	return expressions
}

var (
	seriesName = regexp.MustCompile(`packhouse_[a-z_]+`)
	sampleLine = regexp.MustCompile(`(?m)^(packhouse_[a-z_]+)(?:\{([^}]*)\})? `)
	labelName  = regexp.MustCompile(`([a-z_]+)="`)
	grouping   = regexp.MustCompile(`by \(([^)]*)\)`)
	selection  = regexp.MustCompile(`(packhouse_[a-z_]+)\{([^}]*)\}`)
	selected   = regexp.MustCompile(`([a-z_]+)=?[~=!]`)
)

// checkDeployed holds the expressions against what /metrics shows: each metric
// is there, with the labels that it is chosen and grouped by.
func checkDeployed(t *testing.T, text string) {
	t.Helper()
	labels := map[string]map[string]bool{}
	for _, m := range sampleLine.FindAllStringSubmatch(text, -1) {
		if labels[m[1]] == nil {
			labels[m[1]] = map[string]bool{"instance": true, "job": true} // of the scrape
		}
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			labels[m[1]][l[1]] = true
		}
	}
	for _, e := range deployed(t) {
		names := seriesName.FindAllString(e, -1)
		if len(names) == 0 {
			t.Errorf("%q has no metric of ours", e)
		}
		for _, n := range names {
			if labels[n] == nil {
				t.Errorf("%q: the server has no metric %s", e, n)
			}
			for _, g := range grouping.FindAllStringSubmatch(e, -1) {
				for l := range strings.SplitSeq(g[1], ",") {
					if l = strings.TrimSpace(l); labels[n] != nil && !labels[n][l] {
						t.Errorf("%q: %s has no label %s, only %v", e, n, l, slices.Sorted(maps.Keys(labels[n])))
					}
				}
			}
		}
		for _, s := range selection.FindAllStringSubmatch(e, -1) {
			for _, l := range selected.FindAllStringSubmatch(s[2], -1) {
				if labels[s[1]] != nil && !labels[s[1]][l[1]] {
					t.Errorf("%q: %s has no label %s", e, s[1], l[1])
				}
			}
		}
	}
}
