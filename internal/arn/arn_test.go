package arn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

func TestConstructors_SpellNamesAsAWSDoes(t *testing.T) {
	for want, got := range map[string]ARN{
		"arn:aws:codeartifact:eu-west-1:111122223333:domain/acme":                          Domain("eu-west-1", "111122223333", "acme"),
		"arn:aws:codeartifact:eu-west-1:111122223333:repository/acme/web":                  Repository("eu-west-1", "111122223333", "acme", "web"),
		"arn:aws:codeartifact:eu-west-1:111122223333:package/acme/web/npm/scope/lib":       Package("eu-west-1", "111122223333", "acme", "web", "npm", "scope", "lib"),
		"arn:aws:codeartifact:eu-west-1:111122223333:package/acme/web/pypi//requests":      Package("eu-west-1", "111122223333", "acme", "web", "pypi", "", "requests"),
		"arn:aws:codeartifact:eu-west-1:111122223333:package-group/acme/npm/scope/lib-%2A": PackageGroup("eu-west-1", "111122223333", "acme", "/npm/scope/lib-*"),
		"arn:aws:iam::111122223333:root":                                                   Root("111122223333"),
		"arn:aws:iam::111122223333:user/alice":                                             User("111122223333", "", "alice"),
		"arn:aws:iam::111122223333:role/ci/deploy/builder":                                 Role("111122223333", "/ci/deploy/", "builder"),
		"arn:aws:iam::111122223333:group/developers":                                       Group("111122223333", "/", "developers"),
		"arn:aws:iam::111122223333:policy/readers":                                         Policy("111122223333", "", "readers"),
		"arn:aws:sts::111122223333:assumed-role/builder/job-7":                             AssumedRole("111122223333", "builder", "job-7"),
		"arn:aws:sts::111122223333:federated-user/eve":                                     FederatedUser("111122223333", "eve"),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
		back, err := Parse(want)
		if err != nil {
			t.Errorf("parse %s: %v", want, err)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want, diff)
		}
	}
}

func TestParse_RefusesWhatIsNoARN(t *testing.T) {
	for _, s := range []string{
		"", "*", "arn", "arn:aws:iam::111122223333", "urn:aws:iam::111122223333:root", "arn::iam::1:root",
		"arn:aws:::1:root", "arn:aws:iam::1:", "arn:aws:iam::1:user/a b", "arn:aws:iam::1:" + strings.Repeat("a", maxLength),
	} {
		if _, err := Parse(s); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("Parse(%q) = %v, want an invalid fault", s, err)
		}
	}
}

func TestParse_KeepsColonsInTheResource(t *testing.T) {
	got, err := Parse("arn:aws:logs:eu-west-1:1:log-group:x:y")
	if err != nil || got.Resource != "log-group:x:y" {
		t.Fatalf("got %q, %v", got.Resource, err)
	}
}

func TestARN_KindAndName(t *testing.T) {
	if a := Role("1", "/x/y/", "z"); a.Kind() != "role" || a.Name() != "z" {
		t.Errorf("role: %s %s", a.Kind(), a.Name())
	}
	if a := Root("1"); a.Kind() != "root" || a.Name() != "root" {
		t.Errorf("root: %s %s", a.Kind(), a.Name())
	}
}

func TestTarget_TakesResourcesApart(t *testing.T) {
	for text, want := range map[string]Target{
		"domain/acme":                      {Kind: "domain", Domain: "acme"},
		"repository/acme/web":              {Kind: "repository", Domain: "acme", Repository: "web"},
		"package/acme/web/pypi//requests":  {Kind: "package", Domain: "acme", Repository: "web", Format: "pypi", Name: "requests"},
		"package/acme/web/npm/s/n":         {Kind: "package", Domain: "acme", Repository: "web", Format: "npm", Namespace: "s", Name: "n"},
		"package-group/acme/%2A":           {Kind: "package-group", Domain: "acme", Pattern: "/*"},
		"package-group/acme/npm/s/x%7e%24": {Kind: "package-group", Domain: "acme", Pattern: "/npm/s/x~$"},
	} {
		got, err := codeartifact("r", "1", text).Target()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"domain/", "domain", "domain/a/b", "repository/acme", "repository/acme/", "repository/a/b/c", "package/a/b/npm/x",
		"package/a/b/npm//", "package-group/acme", "package-group/acme/%2", "package-group/acme/%zz", "bucket/x",
	} {
		if got, err := codeartifact("r", "1", text).Target(); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
	if _, err := User("1", "", "alice").Target(); err == nil {
		t.Error("a user is no codeartifact resource")
	}
}

func TestPattern_Match(t *testing.T) {
	tests := []struct {
		glob, s string
		want    bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "anything:at/all", true},
		{"**", "x", true},
		{"?", "", false},
		{"?", "x", true},
		{"?", "é", true},
		{"??", "é", false},
		{"*??", "€", false},
		{"*??", "a€", true},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*c", "abc", true},
		{"*c", "abcd", false},
		{"a*c", "abcbc", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a*?c", "abc", true},
		{"a*?c", "ac", false},
		{"abc", "abc", true},
		{"abc", "ABC", false},
		{"arn:aws:codeartifact:*:repository/*", "arn:aws:codeartifact:r:1:repository/d/x", true},
		{"a*", "a\xff\xfe", true},
		{"a\xff", "ab", false},
	}
	for _, tt := range tests {
		if got := Compile(tt.glob).Match(tt.s); got != tt.want {
			t.Errorf("%q against %q: got %v, want %v", tt.glob, tt.s, got, tt.want)
		}
	}
}

func TestPattern_MatchFoldIgnoresCase(t *testing.T) {
	p := Compile("codeartifact:get*asset")
	for s, want := range map[string]bool{"CodeArtifact:GetPackageVersionAsset": true, "codeartifact:getasset": true, "codeartifact:get": false} {
		if got := p.MatchFold(s); got != want {
			t.Errorf("%s: got %v, want %v", s, got, want)
		}
	}
}

func TestPattern_LiteralHasNoWildcards(t *testing.T) {
	p := Compile("a*") + Literal("*?") + Compile("?")
	for s, want := range map[string]bool{"a*?x": true, "ab*?x": true, "abbx": false, "a*?": false} {
		if got := p.Match(s); got != want {
			t.Errorf("%s: got %v, want %v", s, got, want)
		}
	}
}

// With exponential backtracking this would not end before the test binary's
// own time limit.
func TestPattern_ManyRunsDoNotBacktrackExponentially(t *testing.T) {
	p := Compile(strings.Repeat("a*", 500) + "b")
	if p.Match(strings.Repeat("a", 5000)) {
		t.Fatal("there is no b to match")
	}
	if !p.Match(strings.Repeat("a", 5000) + "b") {
		t.Fatal("should match")
	}
}

func TestLike_MatchesPartByPart(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/ci/builder"
	for glob, want := range map[string]bool{
		"*":                                      true,
		role:                                     true,
		"arn:aws:iam::111122223333:role/*":       true,
		"arn:*:iam:*:*:*":                        true,
		"arn:aws:iam::*:role/ci/build?r":         true,
		"arn:aws:*:role/ci/builder":              false,
		"arn:*":                                  false,
		"arn:aws:iam::11112222333?:role/*":       true,
		"arn:aws:iam::111122223333:user/*":       false,
		"arn:aws:iam::111122223333:ROLE/ci/*":    false,
		"arn:aws:iam:eu-west-1:111122223333:*":   false,
		"arn:aws:iam::111122223333:role/ci/b*:x": false,
	} {
		if got := Like(Compile(glob), role); got != want {
			t.Errorf("%s: got %v, want %v", glob, got, want)
		}
	}
	if !Like(Compile("arn:aws:logs:*:*:log-group:*"), "arn:aws:logs:r:1:log-group:x:y") {
		t.Error("colons of the last part should be matched by its wildcard")
	}
	if Like(Compile("*"), "alice") {
		t.Error("text that is no arn should match nothing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:codeartifact:eu-west-1:111122223333:package-group/acme/npm/%2A")
	f.Add("arn:aws:iam::111122223333:root")
	f.Add("arn:::::")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if a.String() != s {
			t.Fatalf("%q came back as %q", s, a)
		}
		_, _ = a.Target()
	})
}

// FuzzMatch compares the matcher with a plain dynamic program.
func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("*??", "€")
	f.Fuzz(func(t *testing.T, glob, s string) {
		if len(glob) > 200 || len(s) > 200 {
			return
		}
		glob, s = strings.ToValidUTF8(glob, "x"), strings.ToValidUTF8(s, "x")
		if got, want := Compile(glob).Match(s), slowMatch([]rune(glob), []rune(s)); got != want {
			t.Fatalf("%q against %q: got %v, want %v", glob, s, got, want)
		}
	})
}

func slowMatch(p, s []rune) bool {
	prev := make([]bool, len(s)+1)
	prev[0] = true
	for _, c := range p {
		next := make([]bool, len(s)+1)
		next[0] = c == '*' && prev[0]
		for j, r := range s {
			switch c {
			case '*':
				next[j+1] = prev[j+1] || next[j]
			case '?':
				next[j+1] = prev[j]
			default:
				next[j+1] = prev[j] && c == r
			}
		}
		prev = next
	}
	return prev[len(s)]
}
