package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestMergeLines(t *testing.T) {
	for _, c := range []struct{ name, old, settings, want string }{
		{"empty", "", "a=1\nb=2\n", "a=1\nb=2\n"},
		{"keeps the rest", "# mine\nsave-exact=true\n", "registry=x\n", "# mine\nsave-exact=true\nregistry=x\n"},
		{"replaces in place", "registry=old\nz=1\n", "registry=new\n", "registry=new\nz=1\n"},
		{"once for each key", "registry=old\nregistry = older\n", "registry=new\n", "registry=new\n"},
		{"no final newline", "a=1", "b=2", "a=1\nb=2\n"},
		{"keys with colons", "//h:1/p/:_authToken=old\n", "//h:1/p/:_authToken=new\n", "//h:1/p/:_authToken=new\n"},
		{"a comment is not a key", "#registry=x\n", "registry=new\n", "#registry=x\nregistry=new\n"},
	} {
		if diff := cmp.Diff(c.want, mergeLines(c.old, c.settings)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestMergeYAML(t *testing.T) {
	for _, c := range []struct{ name, old, settings, want string }{
		{"empty", "", "a: 1\n", "a: 1\n"},
		{"keeps comments and order", "# mine\nz: 1 # here\ny: 2\n", "y: 3\nx: 4\n", "# mine\nz: 1 # here\ny: 3\nx: 4\n"},
		{"adds to lists", "hosts:\n  - a\n", "hosts:\n  - a\n  - b\n", "hosts:\n  - a\n  - b\n"},
		{"deep", "scopes:\n  one:\n    token: 1\n", "scopes:\n  two:\n    token: 2\n", "scopes:\n  one:\n    token: 1\n  two:\n    token: 2\n"},
	} {
		got, err := mergeYAML(c.old, c.settings)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
	if _, err := mergeYAML("a: [\n", "b: 1\n"); err == nil {
		t.Error("a broken file was overwritten")
	}
}

func TestMergeFile_PrivateAndThroughLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real"), filepath.Join(dir, ".npmrc")
	if err := os.WriteFile(target, []byte("a=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := mergeFile("~/.npmrc", link, "b=2"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err = os.Stat(target); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "a=1\nb=2\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzMergeYAML(f *testing.F) {
	f.Add("a: 1\nb: [x]\n", "b: [y]\nc: {d: 1}\n")
	f.Add("- a\n", "a: 1\n")
	f.Add("a: &x 1\nb: *x\n", "b: 2\n")
	f.Fuzz(func(t *testing.T, old, settings string) {
		got, err := mergeYAML(old, settings)
		if err != nil {
			return
		}
		var v any
		if err := yaml.Unmarshal([]byte(got), &v); err != nil && !strings.Contains(err.Error(), "already defined") && !strings.Contains(err.Error(), "excessive aliasing") {
			t.Errorf("%q + %q = %q: %v", old, settings, got, err)
		}
	})
}
