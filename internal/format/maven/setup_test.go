package maven_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"packhouse/internal/format"
	"packhouse/internal/format/maven"
)

// TestSetup_IsWhatTheStoriesUse: the settings that real clients were tried with
// are those that are given out.
func TestSetup_IsWhatTheStoriesUse(t *testing.T) {
	snippets := maven.New().Setup(format.Target{Endpoint: "${ENDPOINT}", Token: "${TOKEN}"})
	for _, s := range snippets {
		if s.Tool != "gradle" {
			continue
		}
		a, err := txtar.ParseFile("../../../test/e2e/testdata/maven/gradle.txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if f.Name == "packhouse.gradle" {
				if diff := cmp.Diff(s.Settings, string(f.Data)); diff != "" {
					t.Errorf("the story's init script (-given out +story's):\n%s", diff)
				}
				return
			}
		}
		t.Error("the story has no packhouse.gradle")
	}
}

func TestSetup_QuotesWhatItIsGiven(t *testing.T) {
	for _, s := range maven.New().Setup(format.Target{Endpoint: "http://h.test/a&b'c/", Token: "t<o>'k\\"}) {
		if strings.Contains(s.Settings, "t<o>") && s.Tool == "maven" || strings.Contains(s.Settings, "b'c") && s.Tool == "gradle" {
			t.Errorf("%s:\n%s", s.Tool, s.Settings)
		}
	}
}
