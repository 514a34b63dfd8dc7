package nuget

import (
	"slices"
	"strings"
	"testing"

	"packhouse/internal/artifact"
)

func TestNormalize_Versions(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1.0.0", "1.0": "1.0.0", "1.0.0": "1.0.0", "1.0.0.0": "1.0.0", "1.0.0.1": "1.0.0.1", "01.002.0": "1.2.0",
		"1.0.0-Beta": "1.0.0-beta", "1.0-RC.1+Build.7": "1.0.0-rc.1", "1.0.0+abc": "1.0.0", "1.0.0-01": "1.0.0-01",
		"2147483647.0.0": "2147483647.0.0", "1.0.0-a-b": "1.0.0-a-b", "1.0.0--": "1.0.0--",
		"1.2.3.0-x": "1.2.3-x",
	} {
		got, ok := normalize(in)
		if !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
		if again, ok := normalize(got); !ok || again != got {
			t.Errorf("%q again: %q, %v", got, again, ok)
		}
	}
	for _, in := range []string{
		"", "a", "v1.0", "1.", ".1", "1..0", "1.0.0.0.0", "-1.0", "1.0.0-", "1.0.0+", "1.0.0-a..b", "1.0.0-a_b", "1.0.0-ä", "1.0 .0", " 1.0",
		"2147483648.0.0", "99999999999999999999999.0", "1.0.0-" + strings.Repeat("a", 128), "1.0.0/x", "1.0.0\x00",
	} {
		if got, ok := normalize(in); ok {
			t.Errorf("%q is taken as %q", in, got)
		}
	}
}

func TestCompare(t *testing.T) {
	ordered := []string{
		"junk", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-Beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc", "1.0.0", "1.0.0.1", "1.0.1", "1.2", "1.10.0", "2.0.0-a", "2.0.0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if c := compare(a, b); (c < 0) != (i < j) || (c > 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, c)
			}
		}
	}
	if compare("1.0.0-A", "1.0.0-a") == 0 || compare("1.0.0-A", "1.0.0-b") > 0 {
		t.Error("case decides only between equals")
	}
}

func TestNormalRange(t *testing.T) {
	for in, want := range map[string]string{
		"": "(, )", "1.0": "[1.0.0, )", " 1.0-Beta ": "[1.0.0-Beta, )", "[1.0]": "[1.0.0]", "[1.0,2.0)": "[1.0.0, 2.0.0)", "(,1.0]": "(, 1.0.0]",
		"(1.0,)": "(1.0.0, )", "1.*": "1.*", "[junk, 2)": "[junk, 2)", "[": "[", "[]": "[]", "(, )": "(, )",
	} {
		if got := normalRange(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if again := normalRange(want); again != want {
			t.Errorf("%q again: %q", want, again)
		}
	}
}

func TestSemVer2(t *testing.T) {
	for in, want := range map[string]bool{"1.0.0": false, "1.0.0-beta": false, "1.0.0-beta.1": true, "1.0.0+x": true, "1.0.0.5-b": false, "junk+": false} {
		if semVer2(in) != want {
			t.Errorf("%q: %v", in, !want)
		}
	}
	for in, want := range map[string]bool{"[1.0.0, )": false, "[1.0.0-a.1, 2.0.0)": true, "(, 2.0.0-a.b]": true, "": false} {
		if rangeNeedsSemVer2(in) != want {
			t.Errorf("range %q: %v", in, !want)
		}
	}
}

func TestNormalize_IDs(t *testing.T) {
	for in, want := range map[string]string{
		"Newtonsoft.Json": "newtonsoft.json", "a": "a", "A_b-C.d": "a_b-c.d", "Größe": "größe", strings.Repeat("x", 100): strings.Repeat("x", 100), "_x": "_x",
	} {
		c, err := New().Normalize(artifact.Coordinates{Name: in})
		if err != nil || c.Name != want || c.Format != artifact.NuGet {
			t.Errorf("%q: %v, %v", in, c, err)
		}
	}
	for _, in := range []string{"", ".", "..", ".a", "a.", "a..b", "a.-b", "-a", "a b", "a/b", `a\b`, "a%b", "a+b", "a@b", "\xff", "a\u200b", strings.Repeat("x", 101)} {
		if c, err := New().Normalize(artifact.Coordinates{Name: in}); err == nil {
			t.Errorf("%q is taken as %v", in, c)
		}
	}
	if _, err := New().Normalize(artifact.Coordinates{Namespace: "x", Name: "a"}); err == nil {
		t.Error("a namespace is taken")
	}
}

func FuzzVersion(f *testing.F) {
	for _, seed := range []string{"1.0", "1.0.0-beta.1+b", "01.2.3.4-X", "1.0.0--", "junk"} {
		f.Add(seed, "1.0.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := compare(a, b), compare(b, a); (x < 0) != (y > 0) || (x == 0) != (a == b) {
			t.Errorf("%q and %q: %d, and %d the other way round", a, b, x, y)
		}
		n, ok := normalize(a)
		if !ok {
			return
		}
		if again, ok := normalize(n); !ok || again != n {
			t.Errorf("%q, normalised %q, again %q", a, n, again)
		}
		if artifact.CheckName("packageVersion", n) != nil || artifact.CheckAssetName("a."+n+symbolsExt) != nil {
			t.Errorf("%q makes no name", n)
		}
		r := normalRange(a)
		if normalRange(r) != r {
			t.Errorf("range %q, again %q", r, normalRange(r))
		}
	})
}

func FuzzCompareOrders(f *testing.F) {
	f.Add("1.0.0-a", "1.0.0-1", "1.0.0-A")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		all := []string{a, b, c}
		slices.SortFunc(all, compare)
		if compare(all[0], all[2]) > 0 {
			t.Errorf("no order among %q", all)
		}
	})
}
