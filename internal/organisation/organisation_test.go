package organisation

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write docs/organisation.schema.json")

func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("o.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

//go:embed testdata/watched.yaml
var watched string

func TestParse_SaysWhatIsWrongWhere(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "o.yaml:1:1: is empty"},
		{"[]", "o.yaml:1:1: want keys with values, not a list"},
		{"domain: acme\n---\ndomain: b", "a file has one document"},
		{"domain: [", "o.yaml:1:1: is not YAML: "},
		{"domain: *x", "o.yaml:1:9: is not YAML: unknown anchor 'x' referenced"},
		{"domain: acme\ntags:\n  é: *none", "o.yaml:3:6: is not YAML: unknown anchor 'none' referenced"},
		{"domain: acme\n\n\nrepositories: }", "o.yaml:4:1: is not YAML: did not find expected node content"},
		{"domain: acme\ntags:\n  a: b\n c: d", "o.yaml:4:1: is not YAML: did not find expected key"},
		{"domain: acme\n\ntags: {a: b", "o.yaml:3:1: is not YAML: did not find expected ',' or '}'"},
		{"domain: acme\n\ntags: {a: @b}", "o.yaml:3:1: is not YAML: found character that cannot start any token"},
		{"domain: acme\ntags: {a: \"b\x01\"}", "o.yaml:2:13: is not YAML: control characters are not allowed"},
		{"users:\n", ""},
		{"domain: Acme", `o.yaml:1:9: "Acme" is not valid here: it must match`},
		{"domain: a", `1:9: "a" is shorter than 2 characters`},
		{"domain: 12", "1:9: "},
		{"domain:\n  x: y", "2:3: want text, not keys with values"},
		{"domain: acme\ndomain: acme", `2:1: the key "domain" stands here twice`},
		{"domain: acme\ndomains: []", "2:10: a file has either domain"},
		{"repositories: []", "1:15: repositories needs the key domain beside it"},
		{"domain: acme\nreposotories: []", `2:1: unknown key "reposotories"; did you mean "repositories"?`},
		{"domain: acme\nzzz: []", `2:1: unknown key "zzz"; known are `},
		{"domain: acme\nrepositories: {}", "2:15: want a list, not keys with values"},
		{"domain: acme\nrepositories:\n  - description: x", "3:5: the key name is missing"},
		{"domain: acme\nrepositories:\n  - {name: aa, format: nmp}", `3:24: "nmp" is not one of npm, pypi, maven, nuget, generic, ruby, swift, cargo; did you mean "npm"?`},
		{"domain: acme\nrepositories:\n  - {name: aa, upstreams: [bb]}", "3:28: the upstream bb of aa is no repository that domain acme of this file has"},
		{"domain: acme\nrepositories:\n  - {name: aa, upstreams: [aa]}", "3:28: aa cannot be its own upstream"},
		{"domain: acme\nrepositories:\n  - {name: aa, upstreams: [bb, bb]}\n  - {name: bb}", "3:32: the upstream bb is declared twice"},
		{"domain: acme\nrepositories:\n  - {name: aa, upstreams: [bb]}\n  - {name: bb, upstreams: [aa]}", "4:28: upstreams in a circle: aa -> bb -> aa"},
		{"domain: acme\nrepositories:\n  - {name: aa}\n  - {name: aa}", "4:12: the repository aa is declared twice, before in entry 1"},
		{"domain: acme\nrepositories:\n  - {name: aa, format: npm, upstreams: [bb]}\n  - {name: bb, format: pypi}", "bb is for pypi packages only, and aa for npm"},
		{"domain: acme\nrepositories:\n  - {name: aa, externalConnection: 'x:y', externalConnections: []}", "give either"},
		{"domain: acme\nrepositories:\n  - {name: aa, externalConnections: [public:npmjs, public:pypi]}", "3:52: a repository has one external connection"},
		{"domain: acme\nretention: {keepDays: 0}", "2:23: 0 is less than 1"},
		{"domain: acme\nretention: {keepDays: soon}", `2:23: want a whole number, not "soon"`},
		{"domain: acme\nretention: {keepDays: 1, retentionDays: 2}", "2:26: retentionDays is given twice"},
		{"domain: acme\nretention: {keepDays: 1, ingested: {keepDays: 2}}", "2:12: retention is either for all versions"},
		{"domain: acme\nretention: {rules: [{keep: true}, {kind: BETA, remove: true}]}", `2:42: "BETA" is not one of`},
		{"domain: acme\nretention: {rules: [{keep: true}, {remove: true, keep: true}]}", "2:35: retentionDays: a rule says one of"},
		{"domain: acme\nretention: {rules: [{packagePattern: npm, keep: true}]}", "2:21: packagePattern: "},
		{"domain: acme\nretention: {rules: [keep]}", `2:21: want keys with values, not "keep"`},
		{"domain: acme\nretention: {rules: [{kep: true}]}", `unknown key "kep"; did you mean "keep"?`},
		{"domain: acme\nretention: {keepDays: 1, schedule: tomorrow}", "2:36: schedule: "},
		{"domain: acme\nretention: {keepDays: 1, trashDays: null}", "2:37: want a whole number, not nothing"},
		{"domain: acme\nretention: {schedule: '@daily'}", "2:23: schedule belongs to what the domain says is kept"},
		{"domain: acme\nretention: {keepDays: 99999999999999999999}", "want a whole number"},
		{"domain: acme\nretention: {keepDays: 36501}", "36501 is more than 36500"},
		{"domain: acme\nquota: {maxBytes: much}", "2:19: want a number of bytes such as"},
		{"domain: acme\nquota: {maxBytes: 99999999TiB}", "2:19: want a number of bytes such as"},
		{"domain: acme\ntags: {'aws:x': y}", "2:17: the prefix aws: is reserved"},
		{"domain: acme\npolicy: nonsense", "2:9: want a policy, inline or as JSON text"},
		{"domain: acme\npolicy: {Statement: []}", "2:9: "},
		{`{"domain": "acme", "policy": "{\"Statement\":[{\"Effect\":\"Deny\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"codeartifact:DescribeDomain\",\"Resource\":\"*\"}]}"}`, `1:30: policy document: element "Effect" stands twice in one object`},
		{"domain: acme\npackageGroups:\n  - pattern: npm", "3:14: "},
		{"domain: acme\npackageGroups:\n  - {pattern: /*, originRestrictions: {PUBLISH: INHERIT}}", "the root group has nothing to inherit from"},
		{"domain: acme\npackageGroups:\n  - {pattern: /npm/*, originRestrictions: {PUBLISHING: BLOCK}}", `"PUBLISHING" is not one of`},
		{"domain: acme\npackageGroups:\n  - {pattern: /npm/*, allowedRepositories: {PUBLISH: [aa]}}", "only a way that originRestrictions say is"},
		{"domain: acme\npackageGroups:\n  - {pattern: /npm/*, originRestrictions: {PUBLISH: ALLOW_SPECIFIC_REPOSITORIES}, allowedRepositories: {PUBLISH: [aa]}}", "aa is no repository"},
		{"domain: acme\npackageGroups:\n  - {pattern: /npm/*}\n  - {pattern: /npm/*}", "4:15: the package group /npm/* is declared twice"},
		{"users:\n  - {name: ada, attachedPolicies: [deploy]}", "2:36: deploy is neither a policy of this file nor an ARN"},
		{"groups: []\nusers:\n  - {name: ada, groups: [dev]}", "3:26: dev is no group of this file"},
		{"users:\n  - {name: 'a b'}", `2:12: "a b" is not valid here`},
		{"users:\n  - {name: ada, accessKeys: []}", `unknown key "accessKeys"`},
		{"roles:\n  - name: ci", "2:5: the key trustPolicy is missing"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 60, threshold: .inf, comparisonOperator: GreaterThanThreshold, statistic: Sum}", "want a number"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 60, threshold: 1, comparisonOperator: GreaterThanThreshold, statistic: Sum, alarmActions: [x]}", "x is neither a topic of this file nor an ARN"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 90, threshold: 1, comparisonOperator: GreaterThanThreshold, statistic: Sum}", "2:52: 90 is not a multiple of 60"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 60, threshold: 1, comparisonOperator: GreaterThanThreshold, extendedStatistic: p99}", `unknown key "extendedStatistic"`},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 60, threshold: 1, comparisonOperator: GreaterThanThreshold, statistic: Sum, datapointsToAlarm: 2}", "is more than the evaluationPeriods, 1"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 60, evaluationPeriods: 1441, threshold: 1, comparisonOperator: GreaterThanThreshold, statistic: Sum}", "2:75: period times evaluationPeriods may be a week, or a day when period is less than an hour: 1440 at most"},
		{"alarms:\n  - {name: a, namespace: n, metricName: m, period: 86400, evaluationPeriods: 8, threshold: 1, comparisonOperator: GreaterThanThreshold, statistic: Sum}", "7 at most"},
		{"topics:\n  - {name: a.fifo}", `"a.fifo" is not valid here`},
		{"topics:\n  - {name: a, subscriptions: [{protocol: sms, endpoint: x}]}", `"sms" is not one of`},
		{"a: &a [*a]", "unknown key"},
		{"\xff", "is not UTF-8 text"},
	} {
		_, err := Parse("o.yaml", []byte(c.text))
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%q: %v", c.text, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestParse_ManyAliasesCostLittle(t *testing.T) {
	text := "domain: acme\npolicy:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		before, name := string(rune('a'+i)), string(rune('b'+i))
		text += "  " + name + ": &" + name + " [" + strings.Repeat("*"+before+",", 9) + "*" + before + "]\n"
	}
	if _, err := Parse("o.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "holds more than") {
		t.Error(err)
	}
	deep := "domain: acme\npolicy: " + strings.Repeat("[", 500) + strings.Repeat("]", 500)
	if _, err := Parse("o.yaml", []byte(deep)); err == nil {
		t.Error("500 deep is taken")
	}
}

// A file of which every line is wrong took a quarter of an hour.
func TestParse_ManyMistakesCostLittle(t *testing.T) {
	var b strings.Builder
	b.WriteString("domain: acme\nrepositories:\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "  - {name: repository-%d, upstreams: [upstream-%d]}\n", i, i)
	}
	if _, err := Parse("o.yaml", []byte(b.String())); err == nil || strings.Count(err.Error(), "\n") != maxProblems-1 {
		t.Errorf("%v", err)
	}
}

func TestCanonical_PoliciesThatMeanTheSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, `{"Statement":[{"Resource":["*"],"Sid":"","Action":["a:b"],"Effect":"Allow"}]}`, true},
		{`{"Statement":[{"Action":["a:c","a:b"]}]}`, `{"Statement":[{"Action":["a:b","a:c","a:b"]}]}`, true},
		{`{"Statement":[{"Principal":"*"}]}`, `{"Statement":[{"Principal":{"AWS":["*"]}}]}`, true},
		{`{"Statement":[{"Condition":{"Bool":{"aws:x":true}}}]}`, `{"Statement":[{"Condition":{"Bool":{"aws:x":["true"]}}}]}`, true},
		{`{"Statement":[{"Action":"a:b"}]}`, `{"Statement":[{"NotAction":"a:b"}]}`, false},
		{`{"Statement":[{"Effect":"Allow"}]}`, `{"Statement":[{"Effect":"Deny"}]}`, false},
		{`{"Version":"2012-10-17","Statement":[]}`, `{"Version":"2008-10-17","Statement":[]}`, false},
	} {
		a, err := documentOf(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := documentOf(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if equal(canonical(a), canonical(b)) != c.same {
			t.Errorf("%s and %s: same is not %v", c.a, c.b, c.same)
		}
	}
}

const schemaFile = "../../docs/organisation.schema.json"

func TestSchema_IsPublished(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(have, Schema()) {
		t.Errorf("docs/organisation.schema.json is not what the types say (%v): go test ./internal/organisation -run Schema -update", err)
	}
}

// examples are the files in the documentation and of quickstart.
func examples(t *testing.T) map[string]string {
	t.Helper()
	quickstart, err := os.ReadFile("../cli/organisation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{"watched": watched, "quickstart": string(quickstart)}
	page, err := os.ReadFile("../../docs/organisation.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		found["organisation.md, example "+string(rune('1'+i))] = text
	}
	if len(found) < 4 {
		t.Fatalf("only %d examples", len(found))
	}
	return found
}

func TestSchema_TakesTheExamplesAndWhatParseTakes(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	valid := func(text string) []string {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return validate(schema, schema, v, "")
	}
	for name, text := range examples(t) {
		mustParse(t, text)
		if wrong := valid(text); len(wrong) > 0 {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	for _, text := range []string{
		"domain: Acme", "domain: acme\nzzz: 1", "domain: acme\ndomains: []", "domain: acme\nrepositories: [{}]", "domain: acme\nretention: {keepDays: 0}",
		"users: [{name: 'a b'}]", "domain: acme\nrepositories: [{name: aa, format: rpm}]", "domain: acme\nquota: {maxBytes: -1}", "domain: acme\nquota: {maxBytes: much}",
	} {
		if wrong := valid(text); len(wrong) == 0 {
			t.Errorf("the schema takes %q", text)
		}
	}
}

// patternOf is a pattern of JavaScript, as far as Schema uses them.
func patternOf(p string) *regexp.Regexp { return regexp.MustCompile(p) }

// validate holds a value to what Schema uses of JSON Schema.
func validate(root, s map[string]any, v any, path string) (wrong []string) {
	say := func(text string) { wrong = append(wrong, path+": "+text) }
	if r, ok := s["$ref"].(string); ok {
		return validate(root, root["$defs"].(map[string]any)[strings.TrimPrefix(r, "#/$defs/")].(map[string]any), v, path)
	}
	if choices, ok := s["anyOf"].([]any); ok {
		for _, one := range choices {
			if len(validate(root, one.(map[string]any), v, path)) == 0 {
				return nil
			}
		}
		say("is none of the choices")
	}
	if not, ok := s["not"].(map[string]any); ok && len(validate(root, not, v, path)) == 0 {
		say("is what it must not be")
	}
	kind := map[bool]string{true: "null"}[v == nil]
	switch v := v.(type) {
	case string:
		kind = "string"
		n := float64(utf8.RuneCountInString(v))
		if least, ok := s["minLength"].(float64); ok && n < least {
			say("too short")
		}
		if most, ok := s["maxLength"].(float64); ok && n > most {
			say("too long")
		}
		if p, ok := s["pattern"].(string); ok && !patternOf(p).MatchString(v) {
			say("does not match " + p)
		}
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
		if v == float64(int64(v)) {
			kind = "integer"
		}
		if least, ok := s["minimum"].(float64); ok && v < least {
			say("too small")
		}
	case []any:
		kind = "array"
		for _, item := range v {
			if items, ok := s["items"].(map[string]any); ok {
				wrong = append(wrong, validate(root, items, item, path+"[]")...)
			}
		}
	case map[string]any:
		kind = "object"
		properties, _ := s["properties"].(map[string]any)
		for key, held := range v {
			if names, ok := s["propertyNames"].(map[string]any); ok {
				wrong = append(wrong, validate(root, names, key, path+" key")...)
			}
			if p, ok := properties[key].(map[string]any); ok {
				wrong = append(wrong, validate(root, p, held, path+"."+key)...)
			} else if more, ok := s["additionalProperties"].(map[string]any); ok {
				wrong = append(wrong, validate(root, more, held, path+"."+key)...)
			} else if s["additionalProperties"] == false {
				say("unknown " + key)
			}
		}
		required, _ := s["required"].([]any)
		for _, key := range required {
			if _, ok := v[key.(string)]; !ok {
				say("lacks " + key.(string))
			}
		}
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		say("is none of the words")
	}
	switch types := s["type"].(type) {
	case string:
		if types != kind && (types != "number" || kind != "integer") {
			say("is " + kind + ", not " + types)
		}
	case []any:
		if !slices.Contains(types, any(kind)) {
			say("is " + kind)
		}
	}
	return wrong
}

// plainly is resources for comparison.
func plainly(list []resource) (out []any) {
	for _, r := range list {
		out = append(out, []any{r.String(), r.kind, r.absent, r.fields})
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(watched))
	data, err := os.ReadFile("../cli/organisation.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("domain: acme\nretention: {keepDays: null, rules: [{name: null, keep: false, remove: true}], schedule: null}\nquota: {maxBytes: null}\nrepositories: [{name: aa, format: null, versionPolicy: null, retention: }]\n"))
	f.Add([]byte("users: [{name: a, path: null}]\nroles: [{name: a, trustPolicy: '{}', maxSessionDuration: null}]\n"))
	f.Add([]byte("domain: &a acme\nx: [*a, {<<: *a}]\n"))
	f.Add([]byte("domain: acme\npolicy: '{\"a\":[1e400]}'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("o.yaml", data)
		if err != nil {
			return
		}
		s := site{account: "123456789012", region: "us-east-1"}
		text, err := file.Marshal()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", data, err)
		}
		again, err := Parse("again.yaml", text)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", data, text, err)
		}
		if a, b := file.resources(s), again.resources(s); !equal(plainly(a), plainly(b)) {
			t.Fatalf("%q is written as %q: %v, %v", data, text, a, b)
		}
	})
}
