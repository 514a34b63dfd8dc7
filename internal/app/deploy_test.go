package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What deploy/ shows and alerts on are metrics that the server has: those of
// docs/operations.md, which another test compares with /metrics.
func TestDeploy_MetricsExist(t *testing.T) {
	root := filepath.Join("..", "..")
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("`(packhouse_[a-z_]+)`").FindAllStringSubmatch(read("docs/operations.md"), -1) {
		known[m[1]] = true
	}
	var expressions []string
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read("deploy/prometheus/packhouse.rules.yml")), &rules); err != nil {
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
	if err := json.Unmarshal([]byte(read("deploy/grafana/packhouse.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	if len(expressions) < 20 {
		t.Errorf("only %d expressions", len(expressions))
	}
	name := regexp.MustCompile(`packhouse_[a-z_]+`)
	for _, e := range expressions {
		found := name.FindAllString(e, -1)
		if len(found) == 0 {
			t.Errorf("%q has no metric of ours", e)
		}
		for _, n := range found {
			plain := n
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				plain = strings.TrimSuffix(plain, suffix)
			}
			if !known[n] && !known[plain] {
				t.Errorf("%q: the server has no metric %s", e, n)
			}
		}
	}
}
