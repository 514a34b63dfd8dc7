package event

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
)

// Transform is what a target is sent in place of the whole event: the Input,
// InputPath and InputTransformer of PutTargets. The zero value changes nothing;
// at most one of Input, Path and Template is set.
type Transform struct {
	Input    string            // JSON that is always sent
	Path     string            // JSONPath of the part of the event that is sent
	Paths    map[string]string // JSONPaths by the names that Template uses
	Template string            // text in which <name> stands for what is found at its path
}

// Rule is what a template may say of the rule, as <aws.events.rule-arn> and
// <aws.events.rule-name>.
type Rule struct{ ARN, Name string }

// Check tells whether the transform can be applied. Errors are fault.Invalid.
func (t Transform) Check() error {
	set := 0
	for _, text := range []string{t.Input, t.Path, t.Template} {
		if text != "" {
			set++
		}
	}
	if set > 1 {
		return fault.New(fault.Invalid, "Only one of Input, InputPath, or InputTransformer must be provided.")
	}
	if t.Input != "" && !jsontext.Value(t.Input).IsValid() {
		return fault.New(fault.Invalid, "JSON syntax error in Input.")
	}
	if t.Path != "" {
		if _, err := parsePath(t.Path); err != nil {
			return err
		}
	}
	for name, path := range t.Paths {
		if strings.HasPrefix(strings.ToUpper(name), "AWS") {
			return fault.New(fault.Invalid, "InputPathsMap: names must not start with AWS: %s", name)
		}
		if _, err := parsePath(path); err != nil {
			return err
		}
	}
	if t.Template == "" {
		return nil
	}
	for name := range placeholders(t.Template) {
		if _, known := t.Paths[name]; !known && !reserved[name] {
			return fault.New(fault.Invalid, "InputTemplate: InputPathsMap has no path for <%s>", name)
		}
	}
	return nil
}

const (
	ruleARN       = "aws.events.rule-arn"
	ruleName      = "aws.events.rule-name"
	ingestionTime = "aws.events.event.ingestion-time"
	wholeEvent    = "aws.events.event"
	wholeJSON     = "aws.events.event.json"
)

var reserved = map[string]bool{ruleARN: true, ruleName: true, ingestionTime: true, wholeEvent: true, wholeJSON: true}

// Apply gives the body for an event. What a path does not find is null, or
// nothing in the middle of a text.
func (t Transform) Apply(envelope []byte, r Rule) ([]byte, error) {
	switch {
	case t.Input != "":
		return []byte(t.Input), nil
	case t.Path != "":
		found, err := find(envelope, t.Path)
		if err != nil || found != nil {
			return found, err
		}
		return []byte("null"), nil
	case t.Template == "":
		return envelope, nil
	}
	values := map[string]jsontext.Value{wholeEvent: envelope, wholeJSON: envelope}
	paths := map[string]string{ingestionTime: "$.time"}
	maps.Copy(paths, t.Paths)
	for name, path := range paths {
		found, err := find(envelope, path)
		if err != nil {
			return nil, err
		}
		values[name] = found
	}
	for name, text := range map[string]string{ruleARN: r.ARN, ruleName: r.Name} {
		quoted, err := json.Marshal(text)
		if err != nil {
			return nil, fmt.Errorf("input transformer: %w", err)
		}
		values[name] = quoted
	}
	return []byte(fill(t.Template, values)), nil
}

// placeholders yields the names between < and > in a template with their
// bounds.
func placeholders(template string) func(yield func(name string, bounds [2]int) bool) {
	return func(yield func(string, [2]int) bool) {
		for i := 0; i < len(template); i++ {
			if template[i] != '<' {
				continue
			}
			n := strings.IndexByte(template[i:], '>')
			if n < 0 {
				return
			}
			name := template[i+1 : i+n]
			if !isName(name) {
				continue
			}
			if !yield(name, [2]int{i, i + n + 1}) {
				return
			}
			i += n
		}
	}
}

func isName(text string) bool {
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return text != ""
}

// fill puts values into a template. Between quotes of the template a string
// stands without its own, escaped as the quotes need it.
func fill(template string, values map[string]jsontext.Value) string {
	var b strings.Builder
	from := 0
	quoted := false
	for name, bounds := range placeholders(template) {
		before := template[from:bounds[0]]
		b.WriteString(before)
		quoted = inQuotes(before, quoted)
		from = bounds[1]
		v := values[name]
		switch {
		case v == nil && quoted:
		case v == nil:
			b.WriteString("null")
		case quoted && v.Kind() == '"':
			b.Write(v[1 : len(v)-1])
		case quoted:
			escaped, _ := jsontext.AppendQuote(nil, string(v)) // the event is valid UTF-8
			b.Write(escaped[1 : len(escaped)-1])
		default:
			b.Write(v)
		}
	}
	b.WriteString(template[from:])
	return b.String()
}

// inQuotes tells whether the end of text is inside a quoted string, when its
// beginning was or not.
func inQuotes(text string, quoted bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		}
	}
	return quoted
}

// step is one part of a JSONPath: a member, or an element when index is not
// negative.
type step struct {
	name  string
	index int
}

// parsePath reads the part of JSONPath that EventBridge takes: $, .name,
// ['name'] and [0].
func parsePath(path string) ([]step, error) {
	bad := func() ([]step, error) {
		return nil, fault.New(fault.Invalid, "Invalid JSONPath %s: want $ with .name, ['name'] and [0] behind it", strconv.Quote(path))
	}
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return bad()
	}
	var steps []step
	for rest != "" {
		switch {
		case rest[0] == '.':
			n := strings.IndexAny(rest[1:], ".[")
			if n < 0 {
				n = len(rest) - 1
			}
			name := rest[1 : 1+n]
			if name == "" || strings.ContainsAny(name, "*@?()' ") {
				return bad()
			}
			steps, rest = append(steps, step{name, -1}), rest[1+n:]
		case strings.HasPrefix(rest, "['") || strings.HasPrefix(rest, `["`):
			n := strings.Index(rest, rest[1:2]+"]")
			if n < 3 {
				return bad()
			}
			steps, rest = append(steps, step{rest[2:n], -1}), rest[n+2:]
		default:
			n := strings.IndexByte(rest, ']')
			if rest[0] != '[' || n < 0 {
				return bad()
			}
			i, err := strconv.ParseUint(rest[1:n], 10, 16)
			if err != nil {
				return bad()
			}
			steps, rest = append(steps, step{"", int(i)}), rest[n+1:]
		}
	}
	return steps, nil
}

// find gives the part of an event at a path, nil when there is none.
func find(envelope []byte, path string) (jsontext.Value, error) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	v := jsontext.Value(envelope)
	for _, s := range steps {
		if v, err = s.in(v); err != nil || v == nil {
			return nil, err
		}
	}
	return bytes.TrimSpace(v), nil
}

func (s step) in(v jsontext.Value) (jsontext.Value, error) {
	if s.index < 0 && v.Kind() == '{' {
		var members map[string]jsontext.Value
		err := json.Unmarshal(v, &members)
		return members[s.name], err
	}
	if s.index >= 0 && v.Kind() == '[' {
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil || s.index >= len(items) {
			return nil, err
		}
		return items[s.index], nil
	}
	return nil, nil
}
