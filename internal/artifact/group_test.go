package artifact

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var inherit = map[Way]WayRule{ByPublishing: {Mode: GroupInherit}, ByInternalUpstream: {Mode: GroupInherit}, ByExternalUpstream: {Mode: GroupInherit}}

func allow(mode GroupMode, repositories ...string) map[Way]WayRule {
	return map[Way]WayRule{
		ByPublishing: {mode, repositories}, ByInternalUpstream: {Mode: GroupAllow}, ByExternalUpstream: {Mode: GroupAllow},
	}
}

// arrange makes groups that inherit from a root that allows all.
func arrange(t testing.TB, patterns ...string) *Groups {
	t.Helper()
	groups := []Group{{Rules: allow(GroupAllow)}}
	for _, text := range patterns {
		groups = append(groups, Group{Pattern: mustPattern(t, text), Rules: inherit})
	}
	return ArrangeGroups(groups)
}

func TestGroups_Of(t *testing.T) {
	type membership struct {
		pattern string
		weak    bool
	}
	for _, c := range []struct {
		name     string
		patterns []string
		want     map[string]membership
	}{
		{"the root alone", nil, map[string]membership{"npm//react": {"/*", false}, "maven/a/b": {"/*", false}}},
		{
			"the guide's example",
			[]string{"/npm/*", "/npm/space/*"},
			map[string]membership{
				"npm//react": {"/npm/*", false}, "npm/space/aui.components": {"/npm/space/*", false}, "npm/space/amplify-ui-core": {"/npm/space/*", false},
				"npm/Space/ui": {"/npm/space/*", true}, "npm/spaces/ui": {"/npm/*", false}, "pypi//react": {"/*", false},
			},
		},
		{
			"case",
			[]string{"/npm//AsyncStorage$"},
			map[string]membership{"npm//AsyncStorage": {"/npm//AsyncStorage$", false}, "npm//asyncStorage": {"/npm//AsyncStorage$", true}, "npm//asyncstorage": {"/npm//AsyncStorage$", true}},
		},
		{
			"a variation with a group of its own",
			[]string{"/npm//AsyncStorage$", "/npm//asyncstorage$"},
			map[string]membership{
				"npm//AsyncStorage": {"/npm//AsyncStorage$", false}, "npm//asyncstorage": {"/npm//asyncstorage$", false}, "npm//ASYNCSTORAGE": {"/npm//AsyncStorage$", true},
			},
		},
		{
			"punctuation",
			[]string{"/npm//foo-bar$"},
			map[string]membership{
				"npm//foo-bar": {"/npm//foo-bar$", false}, "npm//foo.bar": {"/npm//foo-bar$", true}, "npm//foo..bar": {"/npm//foo-bar$", true},
				"npm//foo_bar": {"/npm//foo-bar$", true}, "npm//foo-_.bar": {"/npm//foo-bar$", true}, "npm//foobar": {"/*", false}, "npm//foo-bars": {"/*", false},
			},
		},
		{
			"prefixes, the longest counts",
			[]string{"/npm//foo~", "/npm//foo-bar~", "/npm//foo-bar-baz$"},
			map[string]membership{
				"npm//foo": {"/npm//foo~", false}, "npm//foo.x": {"/npm//foo~", false}, "npm//foo-bar": {"/npm//foo-bar~", false}, "npm//foo-bar-x": {"/npm//foo-bar~", false},
				"npm//foo-bar-baz": {"/npm//foo-bar-baz$", false}, "npm//foo_bar-x": {"/npm//foo-bar~", true}, "npm//Foo-x": {"/npm//foo~", true}, "npm//food": {"/*", false},
			},
		},
		{
			"a variation does not fall back on a wider group",
			[]string{"/npm/*", "/npm//core-lib$", "/npm//core~"},
			map[string]membership{"npm//core_lib": {"/npm//core-lib$", true}, "npm//core_lib2": {"/npm//core~", false}},
		},
		{
			"of equally specific ones the exact one",
			[]string{"/npm//foo-bar~", "/npm//foo_bar~"},
			map[string]membership{"npm//foo_bar-x": {"/npm//foo_bar~", false}, "npm//foo-bar-x": {"/npm//foo-bar~", false}, "npm//foo.bar-x": {"/npm//foo-bar~", true}},
		},
		{
			"namespaces",
			[]string{"/maven/com.any~", "/maven/com.any.app/*", "/maven/com.any.app/core$"},
			map[string]membership{
				"maven/com.any/x": {"/maven/com.any~", false}, "maven/com.any.b/x": {"/maven/com.any~", false}, "maven/com.any.app/x": {"/maven/com.any.app/*", false},
				"maven/com.any.app/core": {"/maven/com.any.app/core$", false}, "maven/com_any_app/core": {"/maven/com.any.app/core$", true}, "maven/com-any/x": {"/maven/com.any~", true},
				"maven/com.anyone/x": {"/*", false},
			},
		},
		{
			"letters of other scripts",
			[]string{"/generic/tools/paypal$", "/generic/tools/core~", "/npm//log1$", "/npm//modern$"},
			map[string]membership{
				"generic/tools/paypal": {"/generic/tools/paypal$", false}, "generic/tools/pаypal": {"/generic/tools/paypal$", true}, // а is Cyrillic
				"generic/tools/ΡΑΥΡΑL": {"/*", false}, "generic/tools/ｐａｙｐａｌ": {"/generic/tools/paypal$", true}, "generic/tools/𝓹aypal": {"/generic/tools/paypal$", true},
				"generic/tools/сore-x": {"/generic/tools/core~", true}, "generic/tools/co\u200bre": {"/generic/tools/core~", true}, "generic/tools/core‐x": {"/generic/tools/core~", false},
				"npm//logl": {"/*", false}, "npm//logI": {"/*", false}, "npm//modem": {"/*", false}, // of one script
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := arrange(t, c.patterns...)
			got := map[string]membership{}
			for path := range c.want {
				m := g.Of(coords(path))
				got[path] = membership{m.Group.Pattern.String(), m.Weak}
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(membership{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVariation(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "foo": "foo", "FOO-bar__baz": "foo.bar.baz", "--": ".", "ſtraße": "straße", "ΣΊΣΥΦΟΣ": variation("σίσυφος"), "K": "k", "ı": "i",
		"fi\u00adx": "fix", "℡-x": "tel.x", "ﬁx": "fix", "ёж": "ёж", "é": "é", "e\u0301": "é", "日本": "日本", "a–b": "a.b", "0O1lI": "0o1li",
	} {
		if got := variation(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestArrangeGroups_Parents(t *testing.T) {
	g := arrange(t, "/npm/*", "/npm/space/*", "/npm/space~", "/npm/space/ui~", "/npm/space/ui-kit$", "/npm/Space/*", "/npm//ui~", "/maven/com.a.b/*", "/maven/com~")
	got := map[string]string{}
	for _, p := range g.All() {
		if p.Parent != nil {
			got[p.Pattern.String()] = p.Parent.Pattern.String()
		}
	}
	want := map[string]string{
		"/npm/*": "/*", "/npm/space~": "/npm/*", "/npm/space/*": "/npm/space~", "/npm/space/ui~": "/npm/space/*", "/npm/space/ui-kit$": "/npm/space/ui~",
		"/npm/Space/*": "/npm/*", "/npm//ui~": "/npm/*", "/maven/com~": "/*", "/maven/com.a.b/*": "/maven/com~",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMembership_Permits(t *testing.T) {
	rules := func(publish, internal, external GroupMode) map[Way]WayRule {
		return map[Way]WayRule{ByPublishing: {Mode: publish}, ByInternalUpstream: {Mode: internal}, ByExternalUpstream: {Mode: external}}
	}
	specific := rules(GroupInherit, GroupInherit, GroupBlock)
	specific[ByPublishing] = WayRule{GroupAllowSpecific, []string{"dev", "prod"}}
	g := ArrangeGroups([]Group{
		{Rules: rules(GroupAllow, GroupBlock, GroupAllow)},
		{Pattern: mustPattern(t, "/npm/corp/*"), Rules: specific},
		{Pattern: mustPattern(t, "/npm/corp/ui~"), Rules: rules(GroupInherit, GroupAllow, GroupInherit)},
	})
	permitted := func(path, repository string) (ways []Way) {
		for _, w := range Ways() {
			if g.Of(coords(path)).Permits(w, repository) {
				ways = append(ways, w)
			}
		}
		return ways
	}
	for _, c := range []struct {
		path, repository string
		want             []Way
	}{
		{"npm//react", "dev", []Way{ByExternalUpstream, ByPublishing}},
		{"npm/corp/a", "dev", []Way{ByPublishing}},
		{"npm/corp/a", "test", nil},
		{"npm/corp/ui-x", "prod", []Way{ByInternalUpstream, ByPublishing}}, // the list is inherited
		{"npm/corp/ui-x", "test", []Way{ByInternalUpstream}},
		{"npm/CORP/a", "dev", nil}, // a variation
	} {
		if got := permitted(c.path, c.repository); !slices.Equal(got, c.want) {
			t.Errorf("%s in %s: %v, want %v", c.path, c.repository, got, c.want)
		}
	}
	rule, from := g.Find(mustPattern(t, "/npm/corp/ui~")).Effective(ByPublishing)
	if rule.Mode != GroupAllowSpecific || from.Pattern.String() != "/npm/corp/*" {
		t.Errorf("effective %v of %s", rule, from.Pattern)
	}
	var none *Groups
	if !none.Of(coords("npm//react")).Permits(ByPublishing, "dev") {
		t.Error("a domain without groups forbids something")
	}
}

// FuzzGroups_Of holds the search through maps against trying every group.
func FuzzGroups_Of(f *testing.F) {
	patterns := []string{
		"/npm/*", "/npm/a/*", "/npm/A/*", "/npm/a.b~", "/npm/a-b/*", "/npm//foo~", "/npm//Foo~", "/npm//foo-bar~", "/npm//foo_bar$", "/npm//foo.bar.baz$", "/npm/a/ﬁ~", "/npm/a/fi-x$",
	}
	g := arrange(f, patterns...)
	for _, s := range [][2]string{{"a", "x"}, {"A.b", "foo"}, {"", "foo-bar.baz"}, {"", "fOO_bar"}, {"a", "fi-x"}, {"", "foo℡"}, {"", "fоо-bar"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, namespace, name string) {
		c := Coordinates{NPM, namespace, name}
		varied := Coordinates{NPM, variation(namespace), variation(name)}
		m := g.Of(c)
		for _, p := range g.All() {
			strong, weak := naive(p.Pattern, c), naive(p.Pattern.variation(), varied)
			if !strong && !weak {
				if p == m.Group {
					t.Errorf("%+v belongs to %s", c, p.Pattern)
				}
				continue
			}
			if p == m.Group && m.Weak == strong {
				t.Errorf("%+v in %s: weak %v, strong match %v", c, p.Pattern, m.Weak, strong)
			}
			if more := p.Pattern.compareSpecificity(m.Group.Pattern); more > 0 || more == 0 && strong && m.Weak {
				t.Errorf("%+v belongs to %s (weak %v), though %s is more specific", c, m.Group.Pattern, m.Weak, p.Pattern)
			}
		}
	})
}
