package artifact

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func mustPattern(t testing.TB, text string) Pattern {
	t.Helper()
	p, err := ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// coords reads FORMAT/NAMESPACE/NAME.
func coords(path string) Coordinates {
	parts := strings.SplitN(path, "/", 3)
	return Coordinates{Format: Format(parts[0]), Namespace: parts[1], Name: parts[2]}
}

func TestParsePattern(t *testing.T) {
	for _, text := range []string{
		"/*", "/npm/*", "/maven/com.anycompany~", "/npm/space/*", "/npm/space/anycompany-ui~", "/npm//react$", "/npm//react~",
		"/maven/org.apache.logging.log4j/log4j-core$", "/pypi//requests$", "/pypi//requests-oauth~", "/nuget//newtonsoft.json$", "/npm//AsyncStorage$",
		"/cargo//serde_json$", "/ruby//rails~", "/swift/apple/swift-nio$", "/generic/tools/größe~", "/npm//a.b.c-$", "/npm//naïve~", "/npm//v2~", "/npm//x$y$", "/npm/*",
	} {
		p, err := ParsePattern(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if p.String() != text {
			t.Errorf("%s is read as %s", text, p)
		}
	}
}

func TestParsePattern_Refuses(t *testing.T) {
	long := strings.Repeat("a", 256)
	for text, why := range map[string]string{
		"":                         "want /*",
		"*":                        "want /*",
		"/":                        "a format is followed", // or nothing known
		"npm/*":                    "want /*",
		"/npm":                     "want /*",
		"/npm/":                    "a format is followed",
		"/npm/space":               "a format is followed",
		"/npm/space$":              "a format is followed",
		"/npm//":                   "must end with",
		"/npm//react":              "must end with",
		"/npm//react*":             "must end with",
		"/npm//*":                  "namespace is empty; /npm/* has",
		"/npm/~":                   "have a namespace",
		"/npm//$":                  "name is empty",
		"/npm//~":                  "name is empty",
		"/npm/*/react$":            "only at the end",
		"/npm//re*ct$":             "only at the end",
		"/npm/a/b/c$":              "want /*",
		"/npm/space/foo-~":         "~ follows",
		"/maven/com.~":             "~ follows",
		"/go//thing$":              `"go" is not a format`,
		"/NPM/*":                   `"NPM" is not a format`,
		"/python//requests$":       "pypi",
		"/pypi/ns/*":               "have no namespace",
		"/pypi/ns~":                "have no namespace",
		"/cargo/ns/name$":          "have no namespace",
		"/maven//artifact$":        "have a namespace",
		"/swift//name~":            "have a namespace",
		"/generic//name$":          "have a namespace",
		"/pypi//Requests$":         "write Requests as requests",
		"/pypi//zope.interface$":   "write zope.interface as zope-interface",
		"/nuget//Newtonsoft.Json$": "normalised",
		"/swift/Apple/nio$":        "normalised",
		"/npm//a b$":               "without #, white space",
		"/npm//a#b$":               "without #, white space",
		"/npm//a\u200bb$":          "control characters",
		"/npm//a\xffb$":            "",
		"/npm//" + long + "$":      "255",
	} {
		_, err := ParsePattern(text)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), why) {
			if text == "/" && fault.Is(err, fault.Invalid) {
				continue
			}
			t.Errorf("%q: got %v, want %q", text, err, why)
		}
	}
}

func TestPattern_Matches(t *testing.T) {
	for _, c := range []struct {
		pattern   string
		yes, not_ []string
	}{
		{"/*", []string{"npm//react", "maven/a/b"}, nil},
		{"/npm/*", []string{"npm//react", "npm/space/ui"}, []string{"pypi//react"}},
		{"/npm/space/*", []string{"npm/space/ui"}, []string{"npm//space", "npm/spaces/ui", "npm/space.x/ui", "npm/Space/ui"}},
		{"/npm//react$", []string{"npm//react"}, []string{"npm//React", "npm//react-dom", "npm/x/react"}},
		{"/npm//foo~", []string{"npm//foo", "npm//foo-bar", "npm//foo.bar", "npm//foo_bar", "npm//foo-"}, []string{"npm//food", "npm//foo1", "npm//foó", "npm//foo\u0301", "npm//Foo", "npm/foo/bar", "npm//fooBar", "npm//foo\u200bbar", "npm//a-foo"}},
		{"/npm//foo-bar~", []string{"npm//foo-bar", "npm//foo-bar-baz"}, []string{"npm//foo", "npm//foo.bar", "npm//foo-bars"}},
		{"/maven/com.anycompany~", []string{"maven/com.anycompany/x", "maven/com.anycompany.a.b/y"}, []string{"maven/com.anycompanyx/x", "maven/org.com.anycompany/x", "maven/com/anycompany"}},
		{"/npm/space/ui~", []string{"npm/space/ui-kit"}, []string{"npm/other/ui-kit", "npm//ui-kit"}},
		{"/generic/t/日本~", []string{"generic/t/日本", "generic/t/日本-語"}, []string{"generic/t/日本語"}},
	} {
		p := mustPattern(t, c.pattern)
		for _, path := range c.yes {
			if !p.Matches(coords(path)) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for _, path := range c.not_ {
			if p.Matches(coords(path)) {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
	}
}

func TestPattern_WiderOnesFromTheMostSpecific(t *testing.T) {
	for text, want := range map[string][]string{
		"/npm/a.b/foo-bar.baz$": {"/npm/a.b/foo-bar.baz~", "/npm/a.b/foo-bar~", "/npm/a.b/foo~", "/npm/a.b/*", "/npm/a.b~", "/npm/a~", "/npm/*", "/*"},
		"/npm//foo-bar~":        {"/npm//foo~", "/npm/*", "/*"},
		"/npm//-foo-$":          {"/npm//-foo~", "/npm/*", "/*"},
		"/maven/com.a~":         {"/maven/com~", "/maven/*", "/*"},
		"/maven/com.a/*":        {"/maven/com.a~", "/maven/com~", "/maven/*", "/*"},
		"/npm/*":                {"/*"},
		"/*":                    nil,
	} {
		var got []string
		for p := range mustPattern(t, text).wider() {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// naive is matching as section 10.3 words it.
func naive(p Pattern, c Coordinates) bool {
	begins := func(s, prefix string) bool {
		rest, ok := strings.CutPrefix(s, prefix)
		next, _ := utf8.DecodeRuneInString(rest)
		return ok && (rest == "" || !unicode.In(next, unicode.L, unicode.N, unicode.M, unicode.Cf))
	}
	sameFormat := p.format == c.Format
	switch p.breadth {
	case allPackages:
		return true
	case ofFormat:
		return sameFormat
	case namespacePrefix:
		return sameFormat && begins(c.Namespace, p.namespace)
	case ofNamespace:
		return sameFormat && c.Namespace == p.namespace
	case namePrefix:
		return sameFormat && c.Namespace == p.namespace && begins(c.Name, p.name)
	default:
		return sameFormat && c.Namespace == p.namespace && c.Name == p.name
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range [][3]string{
		{"/*", "a", "b"},
		{"/npm/space/foo-bar~", "space", "foo-bar-baz"},
		{"/npm//foo~", "", "foo\u200bbar"},
		{"/maven/com.any~", "com.any.x", "y"},
		{"/npm//Kelvin$", "", "\u212aelvin"},
		{"/generic/a/ﬁx~", "a", "fix"},
		{"/npm//x$$", "", "x$"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, text, namespace, name string) {
		if v := variation(name); variation(v) != v {
			t.Errorf("the variation %q of %q has the variation %q", v, name, variation(v))
		}
		p, err := ParsePattern(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if p.String() != text {
			t.Fatalf("%q is read as %q", text, p)
		}
		if !utf8.ValidString(namespace) || !utf8.ValidString(name) {
			return
		}
		for _, c := range []Coordinates{{p.format, namespace, name}, {p.format, p.namespace, name}, {p.format, namespace, p.name}, {p.format, p.namespace, p.name + name}} {
			if got, want := p.Matches(c), naive(p, c); got != want {
				t.Fatalf("%s matches %+v: %v, want %v", p, c, got, want)
			}
		}
		wider := slices.Collect(p.wider())
		for i, w := range wider {
			if reread, err := ParsePattern(w.String()); err != nil || reread != w {
				t.Errorf("wider than %s: %s, %v", p, w, err)
			}
			for _, v := range wider[i+1:] {
				if w == v {
					t.Errorf("%s is wider than %s twice", w, p)
				}
			}
		}
	})
}
