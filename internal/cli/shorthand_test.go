package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type nested struct {
	Name   string            `json:"name"`
	Count  *int32            `json:"count"`
	On     *bool             `json:"on"`
	Words  []string          `json:"words"`
	Inner  *nested           `json:"inner"`
	Labels map[string]string `json:"labels"`
	Kids   []nested          `json:"kids"`
}

func TestParseWords(t *testing.T) {
	type object = map[string]any
	list, one := reflect.TypeFor[[]nested](), reflect.TypeFor[nested]()
	for _, c := range []struct {
		name   string
		values []string
		t      reflect.Type
		want   any
	}{
		{"scalars", []string{"1.0.0", "a,b"}, reflect.TypeFor[[]string](), []any{"1.0.0", "a,b"}},
		{"numbers", []string{"1", "2"}, reflect.TypeFor[[]int64](), []any{int64(1), int64(2)}},
		{"JSON list", []string{`["a","b"]`}, reflect.TypeFor[[]string](), []any{"a", "b"}},
		{"structures", []string{"name=a,count=2", "name=b,on=true"}, list, []any{object{"name": "a", "count": int64(2)}, object{"name": "b", "on": true}}},
		{"JSON elements", []string{`{"name":"a"}`, "name=b"}, list, []any{object{"name": "a"}, object{"name": "b"}}},
		{"list up to the next key", []string{"words=a,b,c,name=x"}, one, object{"words": []any{"a", "b", "c"}, "name": "x"}},
		{"list in brackets", []string{"words=[a,b],name=x"}, one, object{"words": []any{"a", "b"}, "name": "x"}},
		{"empty list", []string{"words=[],name=x"}, one, object{"words": []any{}, "name": "x"}},
		{"structure in braces", []string{"inner={name=a,inner={name=b}},name=x"}, one, object{"inner": object{"name": "a", "inner": object{"name": "b"}}, "name": "x"}},
		{"map in braces", []string{"labels={k=v,l=w}"}, one, object{"labels": object{"k": "v", "l": "w"}}},
		{"list of structures", []string{"kids=[{name=a},{name=b}]"}, one, object{"kids": []any{object{"name": "a"}, object{"name": "b"}}}},
		{"quotes", []string{`name='a,b=c',words="x y"`}, one, object{"name": "a,b=c", "words": []any{"x y"}}},
		{"map", []string{"a=1,b=2"}, reflect.TypeFor[map[string]string](), object{"a": "1", "b": "2"}},
		{"map over several words", []string{"a=1", "b=2"}, reflect.TypeFor[map[string]string](), object{"a": "1", "b": "2"}},
		{"JSON map", []string{`{"a":"1"}`}, reflect.TypeFor[map[string]string](), object{"a": "1"}},
	} {
		got, err := parseWords("flag", c.values, c.t)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

func TestParseWords_Wrong(t *testing.T) {
	for _, text := range []string{"", "name", "name=a,name=b", "nobody=a", "name='a", "inner={name=a", "words=[a", "count=x", "on=maybe", "inner=a", "[{"} {
		if got, err := parseWords("flag", []string{text}, reflect.TypeFor[[]nested]()); err == nil {
			t.Errorf("%q: %v", text, got)
		} else if text != "" && !strings.Contains(err.Error(), "--flag") {
			t.Errorf("%q: %v does not name the flag", text, err)
		}
	}
}

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{"DomainOwner": "domain-owner", "ResourceArn": "resource-arn", "AssetSHA256": "asset-sha256", "ListDomains": "list-domains", "SHA256": "sha256"} {
		if got := kebab(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func FuzzShorthand(f *testing.F) {
	for _, seed := range []string{"name=a,words=b,c", "inner={name='x'},kids=[{name=a}]", "labels={a=b}", "name=\"\\", "words=[", "=", "kids=[[]]"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = parseShorthand("flag", text, reflect.TypeFor[nested]())
		_, _ = parseWords("flag", []string{text}, reflect.TypeFor[[]nested]())
	})
}
