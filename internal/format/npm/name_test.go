package npm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

func TestNormalize_TakesWhatTheRegistryHas(t *testing.T) {
	for _, c := range []artifact.Coordinates{
		{Name: "express"},
		{Name: "JSONStream"},
		{Name: "left.pad"},
		{Name: "a~b!c*d'(e)"},
		{Name: "0"},
		{Name: strings.Repeat("a", 214)},
		{Namespace: "types", Name: "node"},
		{Namespace: "S_c", Name: "_under"},
		{Namespace: "a", Name: "node_modules"},
	} {
		want := c
		want.Format = artifact.NPM
		got, err := New().Normalize(c)
		if err != nil {
			t.Errorf("%v: %v", c, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c, diff)
		}
	}
}

func TestNormalize_DropsTheAtSign(t *testing.T) {
	got, err := New().Normalize(artifact.Coordinates{Format: artifact.NPM, Namespace: "@types", Name: "node"})
	if err != nil || got.Namespace != "types" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNormalize_Refuses(t *testing.T) {
	for _, c := range []artifact.Coordinates{
		{},
		{Name: "."},
		{Name: ".."},
		{Name: ".x"},
		{Name: "_x"},
		{Name: "-x"},
		{Name: "node_modules"},
		{Name: "Favicon.ico"},
		{Name: "a b"},
		{Name: "a/b"},
		{Name: "a\\b"},
		{Name: "a%2fb"},
		{Name: "a\nb"},
		{Name: "caf\u00e9"},
		{Name: "a\xff"},
		{Name: "@s/n"},
		{Name: strings.Repeat("a", 215)},
		{Namespace: "@", Name: "x"},
		{Namespace: "..", Name: "x"},
		{Namespace: ".s", Name: "x"},
		{Namespace: "s", Name: ".x"},
		{Namespace: "s", Name: ""},
		{Namespace: "@@s", Name: "x"},
		{Namespace: "s", Name: strings.Repeat("a", 212)},
	} {
		if _, err := New().Normalize(c); c != (artifact.Coordinates{Namespace: "@", Name: "x"}) && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func TestCompare_IsTheOrderOfSemVer(t *testing.T) {
	order := []string{
		"", "junk", "1.0", // not strict
		"0.0.0-0", "0.0.1", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-99999999999999999999", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1", "1.0.0", "1.0.0+a", "1.0.0+b", "1.0.1", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0", "9007199254740991.0.0",
	}
	shuffled := slices.Clone(order)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, New().Compare)
	if diff := cmp.Diff(order, shuffled); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseStrict(t *testing.T) {
	for v, want := range map[string]bool{
		"1.2.3": true, "0.0.0": true, "1.2.3-a.b-c.0+x.01": true, "1.0.0--": true,
		"": false, "1": false, "1.2": false, "1.2.3.4": false, "v1.2.3": false, "=1.2.3": false, "01.2.3": false, "1.2.3-01": false, "1.2.3-": false,
		"1.2.3-a..b": false, "1.2.3+": false, "1.2.x": false, " 1.2.3": false, "1.2.3 ": false, "9007199254740992.0.0": false, "-1.0.0": false, "1.2.3-\u00e9": false,
	} {
		if _, got := parseStrict(v); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func TestCheckTag(t *testing.T) {
	for tag, want := range map[string]bool{
		"latest": true, "next": true, "next-11": true, "v1-lts": true, "beta.1": true, "release_2": true,
		"": false, "1": false, "1.0.0": false, "v1": false, "1.x": false, "x": false, "*": false, "^1": false, "a b": false, "a/b": false, "..": false, "caf\u00e9": false,
	} {
		if err := checkTag(tag); (err == nil) != want {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

func TestCutName(t *testing.T) {
	type result struct{ Scope, Name, Rest string }
	for path, want := range map[string]result{
		"express":                             {"", "express", ""},
		"express/4.18.2":                      {"", "express", "4.18.2"},
		"express/-/express-4.18.2.tgz":        {"", "express", "-/express-4.18.2.tgz"},
		"e%78press":                           {"", "express", ""},
		"@types/node":                         {"types", "node", ""},
		"@types%2fnode":                       {"types", "node", ""},
		"@types%2Fnode":                       {"types", "node", ""},
		"%40types%2fnode":                     {"types", "node", ""},
		"%40types/node":                       {"types", "node", ""},
		"@types%2Fnode/-/node-1.0.0.tgz":      {"types", "node", "-/node-1.0.0.tgz"},
		"@types/node/-/@types/node-1.0.0.tgz": {"types", "node", "-/@types/node-1.0.0.tgz"},
		"@types/node/latest":                  {"types", "node", "latest"},
	} {
		c, rest, err := cutName(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, result{c.Namespace, c.Name, rest}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, path := range []string{"", "@", "@/", "@s", "@s/", "@%2fx", "@s%2f", "@s%2f..", "@..%2fx", "%40%2fx", "@s%2fa%2fb", "a%2fb", "a%", "a%2", "a%zz", "..", "%2e%2e", "a%00", "a%5cb", "a%252fb", "%ff"} {
		if c, rest, err := cutName(path); err == nil {
			t.Errorf("%q gives %v and %q", path, c, rest)
		}
	}
}

func TestCutVersion(t *testing.T) {
	plain := artifact.Coordinates{Format: artifact.NPM, Name: "node"}
	scoped := artifact.Coordinates{Format: artifact.NPM, Namespace: "types", Name: "node"}
	for _, c := range []struct {
		coordinates artifact.Coordinates
		file, want  string
	}{
		{plain, "node-1.0.0.tgz", "1.0.0"},
		{plain, "node-1.0.0-beta.1.tgz", "1.0.0-beta.1"},
		{plain, "node-1.0.0+b.tgz", "1.0.0+b"},
		{plain, "node-1.0.0%2Bb.tgz", "1.0.0+b"},
		{scoped, "node-1.0.0.tgz", "1.0.0"},
		{scoped, "@types/node-1.0.0.tgz", "1.0.0"},
		{scoped, "@types%2fnode-1.0.0.tgz", "1.0.0"},
		{scoped, "%40types%2Fnode-1.0.0.tgz", "1.0.0"},
		{plain, "node-.tgz", ""},
		{plain, "node.tgz", ""},
		{plain, "other-1.0.0.tgz", ""},
		{plain, "node-1.0.0.zip", ""},
		{plain, "@types/node-1.0.0.tgz", ""},
		{scoped, "@other/node-1.0.0.tgz", ""},
		{plain, "node-..%2f1.tgz", ""},
		{plain, "node-1/2.tgz", ""},
		{plain, "node-1.0.0%00.tgz", ""},
		{plain, "", ""},
	} {
		got, err := cutVersion(c.coordinates, c.file)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.file, got, err, c.want)
		}
	}
}

// FuzzPath holds every address to one reading: what is taken is a valid name,
// and written out again it is the same.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"express", "@types%2fnode/-/node-1.0.0.tgz", "@s/n/-/@s/n-1.0.0-a.tgz", "%40s%2Fn", "a%2f..%2fb", "@%00/x", "a%", "x/-rev/1-a", "\xff", "a\\b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		c, rest, err := cutName(path)
		if err != nil {
			return
		}
		if normal, err := New().Normalize(c); err != nil || normal != c {
			t.Errorf("%q gives %v, which is not normal: %v", path, c, err)
		}
		again, _, err := cutName(fullName(c) + "/x")
		if err != nil || again != c {
			t.Errorf("%q gives %v, then %v, %v", path, c, again, err)
		}
		if version, err := cutVersion(c, strings.TrimPrefix(rest, "-/")); err == nil && strings.ContainsAny(version, "/\\%\x00") {
			t.Errorf("%q gives version %q", path, version)
		}
		New().Compare(path, rest)
	})
}
