package page_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"packhouse/internal/fault"
	"packhouse/internal/page"
)

type key struct {
	Name string `json:"n"`
	At   int64  `json:"t,omitempty"`
}

func TestKey_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := page.For[key](rapid.String().Draw(t, "listing"), rapid.SliceOf(rapid.String()).Draw(t, "filters")...)
		want := key{Name: strings.ToValidUTF8(rapid.String().Draw(t, "name"), "?"), At: rapid.Int64().Draw(t, "at")}
		token := l.Token(want)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
			t.Fatalf("token %q has characters a query string would escape", token)
		}
		got, ok, err := l.Key(token)
		if err != nil || !ok {
			t.Fatalf("Key(%q) = %v, %v", token, ok, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestKey_EmptyTokenIsFirstPage(t *testing.T) {
	_, ok, err := page.For[key]("ListDomains").Key("")
	if ok || err != nil {
		t.Fatalf("got ok=%v err=%v, want false, nil", ok, err)
	}
}

func TestKey_RefusesForeignAndDamagedTokens(t *testing.T) {
	l := page.For[key]("ListPackages", "dom", "repo")
	good := l.Token(key{Name: "left-pad"})
	for name, token := range map[string]string{
		"another listing":        page.For[key]("ListPackageVersions", "dom", "repo").Token(key{Name: "left-pad"}),
		"other filters":          page.For[key]("ListPackages", "dom", "repo2").Token(key{Name: "left-pad"}),
		"filters moved over":     page.For[key]("ListPackages", "domr", "epo").Token(key{Name: "left-pad"}),
		"a filter more":          page.For[key]("ListPackages", "dom", "repo", "").Token(key{Name: "left-pad"}),
		"another key type":       page.For[struct{ Other int }]("ListPackages", "dom", "repo").Token(struct{ Other int }{1}),
		"cut short":              good[:len(good)-3],
		"one character changed":  good[:len(good)-6] + flip(good[len(good)-6]) + good[len(good)-5:],
		"not base64":             "%%%",
		"too long":               strings.Repeat("A", 10000),
		"another version":        base64.RawURLEncoding.EncodeToString(append([]byte{9}, make([]byte, 40)...)),
		"header without payload": base64.RawURLEncoding.EncodeToString(make([]byte, 13)),
	} {
		t.Run(name, func(t *testing.T) {
			_, ok, err := l.Key(token)
			if ok || !fault.Is(err, fault.Invalid) {
				t.Fatalf("got ok=%v err=%v, want an invalid token", ok, err)
			}
		})
	}
}

func TestCut(t *testing.T) {
	l := page.For[string]("x")
	id := func(s string) string { return s }
	for _, c := range []struct {
		name  string
		rows  []string
		limit int
		want  []string
		after string
	}{
		{"empty", nil, 2, nil, ""},
		{"exactly full", []string{"a", "b"}, 2, []string{"a", "b"}, ""},
		{"one over", []string{"a", "b", "c"}, 2, []string{"a", "b"}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, token := page.Cut(l, c.rows, c.limit, id)
			after, _, err := l.Key(token)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, rows) + cmp.Diff(c.after, after); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func FuzzKey(f *testing.F) {
	l := page.For[key]("ListPackages", "dom")
	f.Add(l.Token(key{Name: "a"}))
	f.Add(l.Token(key{Name: "a", At: 1 << 60}) + "A")
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		k, ok, err := l.Key(token)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("unclassified error %v", err)
			}
			return
		}
		if ok {
			if again, _, err := l.Key(l.Token(k)); err != nil || again != k {
				t.Fatalf("key %+v became %+v, %v", k, again, err)
			}
		}
	})
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}
