package pattern_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/event/pattern"
	"packhouse/internal/fault"
)

// sample is the event of the EventBridge guide's chapter on comparisons.
const sample = `{
	"version": "0", "id": "3e3c153a-8339-4e30-8c35-687ebef853fe", "detail-type": "EC2 Instance Launch Successful", "source": "aws.autoscaling",
	"account": "123456789012", "time": "2015-11-11T21:31:47Z", "region": "us-east-1",
	"resources": ["arn:aws:autoscaling:us-east-1:123456789012:group/one", "arn:aws:ec2:us-east-1:123456789012:instance/i-b188560f"],
	"detail": {
		"eventVersion": "", "responseElements": null, "state": "running", "path": "dir/lib/image.PNG", "star": "a*b\\c",
		"c-count": 5, "d-count": 3, "x-limit": 301.8, "big": 3.0e2, "yes": true, "no": false, "kelvin": "\u212Aelvin",
		"source-ip": "10.0.0.33", "source-ip6": "2001:db8::1", "mixed": [1, "two", null, [3, {"deep": "down"}]], "empty": [], "nothing": {},
		"people": [{"first": "Anna", "last": "Jones", "tags": ["a"]}, {"first": "John", "last": "Doe"}, {"first": "Ann"}],
		"nested": [[{"a": 1, "b": {"c": "x"}}], [{"a": 2, "b": {"c": "y"}}]], "$or": "field"
	}
}`

// detail is a pattern about one field of sample's detail.
func detail(field, list string) string { return fmt.Sprintf(`{"detail": {%q: %s}}`, field, list) }

func TestMatch(t *testing.T) {
	event, err := pattern.Decode([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, pattern string
		want          bool
	}{
		// values
		{"exact", `{"source": ["aws.autoscaling"]}`, true},
		{"exact, other", `{"source": ["aws.ec2"]}`, false},
		{"exact, case counts", `{"source": ["AWS.autoscaling"]}`, false},
		{"one of several", `{"detail": {"state": ["initializing", "running"]}}`, true},
		{"all fields", `{"source": ["aws.autoscaling"], "region": ["us-east-2"]}`, false},
		{"absent field", `{"nope": ["x"]}`, false},
		{"absent object", `{"nope": {"deeper": ["x"]}}`, false},
		{"object where there is a value", `{"source": {"x": ["y"]}}`, false},
		{"value where there is an object", `{"detail": ["x"]}`, false},
		{"array of the event, any element", `{"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-b188560f"]}`, true},
		{"empty string", detail("eventVersion", `[""]`), true},
		{"empty string, not empty", detail("state", `[""]`), false},
		{"null", detail("responseElements", `[null]`), true},
		{"null, a value", detail("state", `[null]`), false},
		{"null, absent", detail("absent", `[null]`), false},
		{"true", detail("yes", `[true]`), true},
		{"true, the text", detail("yes", `["true"]`), false},
		{"false", detail("no", `[false]`), true},
		{"false, true", detail("yes", `[false]`), false},
		{"number", detail("c-count", `[5]`), true},
		{"number, the text", detail("c-count", `["5"]`), false},
		{"number, written otherwise", detail("c-count", `[5.0]`), false},
		{"number, written alike", detail("big", `[3.0e2]`), true},
		{"mixed list, string", detail("mixed", `["two"]`), true},
		{"mixed list, null", detail("mixed", `[null]`), true},
		{"mixed list, inner list", detail("mixed", `[3]`), true},
		{"mixed list, object in it", `{"detail": {"mixed": {"deep": ["down"]}}}`, true},
		{"no element", detail("empty", `["x", null]`), false},

		// prefix and suffix
		{"prefix", `{"time": [{"prefix": "2015-11-11"}]}`, true},
		{"prefix, other", `{"time": [{"prefix": "2015-11-12"}]}`, false},
		{"prefix, number", detail("c-count", `[{"prefix": "5"}]`), false},
		{"prefix, empty", detail("state", `[{"prefix": ""}]`), true},
		{"prefix, case ignored", detail("state", `[{"prefix": {"equals-ignore-case": "RUN"}}]`), true},
		{"prefix, case ignored, longer", detail("state", `[{"prefix": {"equals-ignore-case": "RUNNINGS"}}]`), false},
		{"prefix, case ignored, of other bytes", detail("kelvin", `[{"prefix": {"equals-ignore-case": "KEL"}}]`), true},
		{"suffix", detail("path", `[{"suffix": ".PNG"}]`), true},
		{"suffix, case counts", detail("path", `[{"suffix": ".png"}]`), false},
		{"suffix, case ignored", detail("path", `[{"suffix": {"equals-ignore-case": ".png"}}]`), true},
		{"suffix, case ignored, other", detail("path", `[{"suffix": {"equals-ignore-case": ".jpg"}}]`), false},

		// equals-ignore-case
		{"ignore case", `{"detail-type": [{"equals-ignore-case": "ec2 instance launch successful"}]}`, true},
		{"ignore case, part", `{"detail-type": [{"equals-ignore-case": "ec2 instance launch"}]}`, false},

		// wildcard
		{"wildcard", detail("path", `[{"wildcard": "dir/*.PNG"}]`), true},
		{"wildcard, both ends", detail("path", `[{"wildcard": "*/lib/*"}]`), true},
		{"wildcard, empty run", detail("state", `[{"wildcard": "*running*"}]`), true},
		{"wildcard, all", detail("state", `[{"wildcard": "*"}]`), true},
		{"wildcard, none", detail("state", `[{"wildcard": "running"}]`), true},
		{"wildcard, order", detail("path", `[{"wildcard": "*image*dir*"}]`), false},
		{"wildcard, no overlap", detail("state", `[{"wildcard": "runn*nning"}]`), false},
		{"wildcard, the character", detail("star", `[{"wildcard": "a\\*b*"}]`), true},
		{"wildcard, the backslash", detail("star", `[{"wildcard": "*\\\\c"}]`), true},
		{"wildcard, the character is not there", detail("state", `[{"wildcard": "run\\*ing"}]`), false},

		// anything-but
		{"anything but", detail("state", `[{"anything-but": "initializing"}]`), true},
		{"anything but, that", detail("state", `[{"anything-but": "running"}]`), false},
		{"anything but, absent", detail("absent", `[{"anything-but": "x"}]`), false},
		{"anything but, list", detail("state", `[{"anything-but": ["stopped", "overloaded"]}]`), true},
		{"anything but, in list", detail("state", `[{"anything-but": ["stopped", "running"]}]`), false},
		{"anything but, number", detail("x-limit", `[{"anything-but": 123}]`), true},
		{"anything but, numbers", detail("c-count", `[{"anything-but": [100, 5]}]`), false},
		{"anything but, text for a number", detail("c-count", `[{"anything-but": "5"}]`), true},
		{"anything but, null is something", detail("responseElements", `[{"anything-but": "x"}]`), true},
		{"anything but, any element", `{"resources": [{"anything-but": "arn:aws:autoscaling:us-east-1:123456789012:group/one"}]}`, true},
		{"anything but prefix", detail("state", `[{"anything-but": {"prefix": "init"}}]`), true},
		{"anything but prefix, that", detail("state", `[{"anything-but": {"prefix": "run"}}]`), false},
		{"anything but prefixes", detail("state", `[{"anything-but": {"prefix": ["init", "run"]}}]`), false},
		{"anything but suffix", detail("path", `[{"anything-but": {"suffix": ".txt"}}]`), true},
		{"anything but suffixes", detail("path", `[{"anything-but": {"suffix": [".txt", ".PNG"]}}]`), false},
		{"anything but, ignoring case", detail("state", `[{"anything-but": {"equals-ignore-case": "RUNNING"}}]`), false},
		{"anything but several, ignoring case", detail("state", `[{"anything-but": {"equals-ignore-case": ["STOPPED", "INITIALIZING"]}}]`), true},
		{"anything but wildcard", detail("path", `[{"anything-but": {"wildcard": "*/lib/*"}}]`), false},
		{"anything but wildcards", detail("path", `[{"anything-but": {"wildcard": ["*/bin/*", "*.jpg"]}}]`), true},

		// numeric
		{"numeric, range", detail("c-count", `[{"numeric": [">", 0, "<=", 5]}]`), true},
		{"numeric, range, bound left out", detail("c-count", `[{"numeric": [">", 0, "<", 5]}]`), false},
		{"numeric, less", detail("d-count", `[{"numeric": ["<", 10]}]`), true},
		{"numeric, at least", detail("d-count", `[{"numeric": [">=", 3]}]`), true},
		{"numeric, more", detail("d-count", `[{"numeric": [">", 3]}]`), false},
		{"numeric, equal however written", detail("x-limit", `[{"numeric": ["=", 3.018e2]}]`), true},
		{"numeric, text", detail("state", `[{"numeric": ["<", 10]}]`), false},

		// cidr
		{"cidr", detail("source-ip", `[{"cidr": "10.0.0.0/24"}]`), true},
		{"cidr, outside", detail("source-ip", `[{"cidr": "10.0.1.0/24"}]`), false},
		{"cidr, no address", detail("state", `[{"cidr": "10.0.0.0/8"}]`), false},
		{"cidr, version 6", detail("source-ip6", `[{"cidr": "2001:db8::/32"}]`), true},

		// exists
		{"exists", detail("c-count", `[{"exists": true}]`), true},
		{"exists, null does", detail("responseElements", `[{"exists": true}]`), true},
		{"exists, absent", detail("absent", `[{"exists": true}]`), false},
		{"exists, not a leaf", `{"detail": [{"exists": true}]}`, false},
		{"exists, empty list", detail("empty", `[{"exists": true}]`), false},
		{"exists not", detail("absent", `[{"exists": false}]`), true},
		{"exists not, there", detail("c-count", `[{"exists": false}]`), false},
		{"exists not, not a leaf", `{"detail": [{"exists": false}]}`, true},
		{"exists not, parent absent", `{"absent": {"deeper": [{"exists": false}]}}`, true},
		{"exists not or a value", detail("state", `[{"exists": false}, "running"]`), true},
		{"exists not, in some elements of a list", `{"detail": {"people": {"last": [{"exists": false}]}}}`, false},
		{"exists not, in no element", `{"detail": {"people": {"age": [{"exists": false}]}}}`, true},
		{"both", detail("absent", `[{"exists": false}, {"exists": true}]`), true},

		// lists of objects
		{"some element", `{"detail": {"people": {"first": ["John"]}}}`, true},
		{"fields of one element", `{"detail": {"people": {"first": ["Anna"], "last": ["Jones"]}}}`, true},
		{"fields of two elements", `{"detail": {"people": {"first": ["Anna"], "last": ["Doe"]}}}`, false},
		{"list in an element", `{"detail": {"people": {"last": ["Jones"], "tags": ["a"]}}}`, true},
		{"lists of lists", `{"detail": {"nested": {"a": [2], "b": {"c": ["y"]}}}}`, true},
		{"lists of lists, two elements", `{"detail": {"nested": {"a": [1], "b": {"c": ["y"]}}}}`, false},

		// $or
		{"or, first", `{"$or": [{"source": ["aws.autoscaling"]}, {"region": ["nowhere"]}]}`, true},
		{"or, second", `{"$or": [{"source": ["nobody"]}, {"region": [{"prefix": "us-"}]}]}`, true},
		{"or, neither", `{"$or": [{"source": ["nobody"]}, {"region": ["nowhere"]}]}`, false},
		{"or and a field", `{"account": ["0"], "$or": [{"source": ["aws.autoscaling"]}, {"region": ["nowhere"]}]}`, false},
		{"or below", `{"detail": {"$or": [{"c-count": [{"numeric": [">", 0]}]}, {"d-count": [{"numeric": ["<", 0]}]}]}}`, true},
		{"or with all of an alternative", `{"$or": [{"source": ["aws.autoscaling"], "region": ["nowhere"]}, {"account": ["0"]}]}`, false},
		{"or in or", `{"$or": [{"source": ["nobody"]}, {"region": ["us-east-1"], "$or": [{"account": ["0"]}, {"version": ["0"]}]}]}`, true},
		{"or in the elements of a list", `{"detail": {"people": {"last": ["Doe"], "$or": [{"first": ["Anna"]}, {"tags": ["a"]}]}}}`, false},
		{"or as a field", detail("$or", `["field"]`), true},
		{"or as a field, object", `{"detail": {"$or": {"x": ["y"]}}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := pattern.Parse(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match(event); got != c.want {
				t.Errorf("%s: got %v", c.pattern, got)
			}
			if got := inSet(p, event); got != c.want {
				t.Errorf("%s in a set: got %v", c.pattern, got)
			}
		})
	}
}

// inSet asks a set that has another pattern as well.
func inSet(p *pattern.Pattern, event pattern.Value) bool {
	other, err := pattern.Parse(`{"source": ["other"], "nope": [1]}`)
	if err != nil {
		panic(err)
	}
	found := pattern.NewSet([]*pattern.Pattern{other, p}, func(p *pattern.Pattern) *pattern.Pattern { return p }).Match(event)
	return len(found) == 1 && found[0] == p
}

func TestParse_Refuses(t *testing.T) {
	for text, reason := range map[string]string{
		``:                           "not valid JSON",
		`{`:                          "not valid JSON",
		`{} {}`:                      "not valid JSON",
		`{"a": [1], "a": [2]}`:       "not valid JSON",
		`{"a": ["` + "\xff" + `"]}`:  "not valid JSON",
		strings.Repeat(`{"a":`, 100): "not valid JSON: nested too deep",
		`[]`:                         "filter is not an object",
		`"x"`:                        "filter is not an object",
		`null`:                       "filter is not an object",
		`{}`:                         "empty objects are not allowed, at the top",
		`{"a": {}}`:                  `empty objects are not allowed, at "a"`,
		`{"a": "x"}`:                 `"a" must be an object or an array`,
		`{"a": {"b": 1}}`:            `"a.b" must be an object or an array`,
		`{"a": null}`:                `"a" must be an object or an array`,
		`{"a": []}`:                  `empty arrays are not allowed, at "a"`,
		`{"a": [["x"]]}`:             "a match value must be a string",
		`{"a": [{}]}`:                "only one key allowed in match expression",
		`{"a": [{"prefix": "x", "suffix": "y"}]}`:                   "only one key allowed in match expression",
		`{"a": [{"like": "x"}]}`:                                    `unrecognized match type "like"`,
		`{"a": [{"prefix": 1}]}`:                                    "prefix must be a string",
		`{"a": [{"prefix": {"suffix": "x"}}]}`:                      `unrecognized match type "suffix" inside prefix`,
		`{"a": [{"suffix": {"equals-ignore-case": 1}}]}`:            "must be a string",
		`{"a": [{"equals-ignore-case": ["x"]}]}`:                    "equals-ignore-case must be a string",
		`{"a": [{"wildcard": "a**b"}]}`:                             "consecutive wildcard characters",
		`{"a": [{"wildcard": "a\\b"}]}`:                             "invalid escape character",
		`{"a": [{"wildcard": "a\\"}]}`:                              "invalid escape character",
		`{"a": [{"exists": "true"}]}`:                               "exists must be true or false",
		`{"a": [{"cidr": "10.0.0.0"}]}`:                             "malformed CIDR",
		`{"a": [{"cidr": 10}]}`:                                     "malformed CIDR",
		`{"a": [{"numeric": []}]}`:                                  "numeric takes one or two pairs",
		`{"a": [{"numeric": ["<"]}]}`:                               "numeric takes one or two pairs",
		`{"a": [{"numeric": [">", 1, "<", 2, "<", 3]}]}`:            "numeric takes one or two pairs",
		`{"a": [{"numeric": ["!", 1]}]}`:                            `unrecognized numeric range operator "!"`,
		`{"a": [{"numeric": ["<", "1"]}]}`:                          "numeric takes numbers",
		`{"a": [{"numeric": ["<", 6e9]}]}`:                          "numeric takes numbers",
		`{"a": [{"numeric": ["<", 1, ">", 0]}]}`:                    "a lower bound and then an upper one",
		`{"a": [{"numeric": ["=", 1, "<", 2]}]}`:                    "a lower bound and then an upper one",
		`{"a": [{"numeric": [">", 2, "<", 2]}]}`:                    "the bottom of a numeric range",
		`{"a": [{"anything-but": []}]}`:                             "empty arrays are not allowed",
		`{"a": [{"anything-but": ["x", 1]}]}`:                       "either strings or numbers",
		`{"a": [{"anything-but": true}]}`:                           "anything-but takes strings or numbers",
		`{"a": [{"anything-but": null}]}`:                           "anything-but takes strings or numbers",
		`{"a": [{"anything-but": {"numeric": ["<", 1]}}]}`:          `unrecognized match type "numeric" inside anything-but`,
		`{"a": [{"anything-but": {"prefix": ""}}]}`:                 "must not be empty",
		`{"a": [{"anything-but": {"prefix": []}}]}`:                 "empty arrays are not allowed",
		`{"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]}`: "only one key allowed",
		`{"a": [{"anything-but": {"wildcard": ["a**"]}}]}`:          "consecutive wildcard characters",
		`{"$or": [{"a": ["x"]}]}`:                                   `unrecognized match type "a", at "$or"`,
		`{"$or": [{"a": ["x"]}, {"b": "y"}]}`:                       `"b" must be an object or an array`,
		`{"$or": [{"prefix": ["x"]}, {"suffix": "y"}]}`:             "prefix must be a string",
	} {
		_, err := pattern.Parse(text)
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Message(err), "Event pattern is not valid. Reason: ") || !strings.Contains(fault.Message(err), reason) {
			t.Errorf("%q: got %v, want %q", text, err, reason)
		}
	}
}

func TestSet_FindsEveryRuleInOrder(t *testing.T) {
	var texts []string
	for i := range 50 {
		texts = append(texts,
			fmt.Sprintf(`{"source": ["s"], "detail": {"name": ["p%d", "q%d"]}}`, i%7, i),
			fmt.Sprintf(`{"detail": {"name": [{"prefix": "p%d"}]}}`, i%10),
			fmt.Sprintf(`{"$or": [{"source": ["s"]}, {"detail": {"name": ["p%d"]}}]}`, i),
			`{"source": ["t"]}`,
			fmt.Sprintf(`{"detail": {"tags": ["a%d", "b"]}}`, i%3),
		)
	}
	type rule struct {
		text string
		p    *pattern.Pattern
	}
	var rules []rule
	for _, text := range texts {
		p, err := pattern.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule{text, p})
	}
	set := pattern.NewSet(rules, func(r rule) *pattern.Pattern { return r.p })
	for _, text := range []string{
		`{"source": "s", "detail": {"name": "p3", "tags": ["a1", "b", "a2"]}}`,
		`{"source": "x", "detail": {"name": ["q4", "p1"]}}`,
		`{"source": "t"}`, `{}`, `[]`, `{"source": {"deeper": "s"}, "detail": [{"name": "p1"}, {"tags": "b"}]}`,
	} {
		event, err := pattern.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, r := range rules {
			if r.p.Match(event) {
				want = append(want, r.text)
			}
		}
		for _, r := range set.Match(event) {
			got = append(got, r.text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(`{"detail": {"a": [{"anything-but": {"wildcard": ["*x\\**", "y"]}}, {"numeric": [">", 0, "<=", 5]}, null]}}`, sample)
	f.Add(`{"$or": [{"a": {"b": [{"exists": false}]}}, {"c": [{"prefix": {"equals-ignore-case": "x"}}, {"cidr": "10.0.0.0/8"}]}]}`, `{"a": [[{"b": 1}], []], "c": "10.1.1.1"}`)
	f.Add(`{"a": ["x"]}`, `{"a": ["x", {"y": 1e999}]}`)
	f.Fuzz(func(t *testing.T, text, event string) {
		p, err := pattern.Parse(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("unclassified: %v", err)
			}
			return
		}
		v, err := pattern.Decode([]byte(event))
		if err != nil {
			return
		}
		if one, many := p.Match(v), inSet(p, v); one != many && !strings.Contains(text, "nope") && !strings.Contains(event, "nope") {
			t.Errorf("alone %v, in a set %v", one, many)
		}
	})
}

// BenchmarkSet matches one event with 1,000 rules of the sort people write.
func BenchmarkSet(b *testing.B) {
	var list []*pattern.Pattern
	for i := range 1000 {
		text := fmt.Sprintf(`{"source": ["aws.codeartifact"], "detail": {"packageName": ["package-%d"], "operationType": ["Created", "Updated"]}}`, i)
		switch i % 20 {
		case 0:
			text = fmt.Sprintf(`{"source": ["aws.codeartifact"], "detail": {"packageName": [{"prefix": "other-%d"}]}}`, i)
		case 1:
			text = fmt.Sprintf(`{"detail": {"domainName": ["domain-%d"], "packageVersionState": [{"anything-but": "Published"}]}}`, i)
		}
		p, err := pattern.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, p)
	}
	set := pattern.NewSet(list, func(p *pattern.Pattern) *pattern.Pattern { return p })
	event := []byte(`{"version":"0","source":"aws.codeartifact","detail":{"domainName":"domain-1","packageName":"package-7","packageVersionState":"Published","operationType":"Created"}}`)
	for b.Loop() {
		v, err := pattern.Decode(event)
		if err != nil {
			b.Fatal(err)
		}
		if n := len(set.Match(v)); n != 1 {
			b.Fatalf("%d rules match", n)
		}
	}
}
