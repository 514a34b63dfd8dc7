package policy

import (
	"fmt"
	"strings"

	"packhouse/internal/arn"
)

// template is text with policy variables: ${key}, ${key, 'default'} and the
// escapes ${*}, ${?} and ${$}.
type template struct {
	fixed arn.Pattern // the whole of it when there are no variables
	parts []part
}

type part struct {
	literal    arn.Pattern
	key        string // lower-case; empty for a literal part
	keyText    string // as written
	fallback   string
	hasDefault bool
}

// parseTemplate reads text. With variables off, "${" is text like any other;
// with wildcards off, "*" and "?" are.
func parseTemplate(text string, variables, wildcards bool) (template, error) {
	compile := arn.Literal
	if wildcards {
		compile = arn.Compile
	}
	if !variables || !strings.Contains(text, "${") {
		return template{fixed: compile(text)}, nil
	}
	var t template
	var literal arn.Pattern
	for {
		before, rest, found := strings.Cut(text, "${")
		literal += compile(before)
		if !found {
			break
		}
		inner, after, err := cutVariable(rest)
		if err != nil {
			return template{}, err
		}
		text = after
		switch inner {
		case "*", "?", "$":
			literal += arn.Literal(inner)
			continue
		}
		p, err := parseVariable(inner)
		if err != nil {
			return template{}, err
		}
		t.parts = append(t.parts, part{literal: literal}, p)
		literal = ""
	}
	if len(t.parts) == 0 {
		return template{fixed: literal}, nil
	}
	t.parts = append(t.parts, part{literal: literal})
	return t, nil
}

// cutVariable ends the variable at the first brace outside a quoted default.
func cutVariable(s string) (inner, after string, err error) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return strings.TrimSpace(s[:i]), s[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("policy variable ${%s is not closed", s)
}

func parseVariable(inner string) (part, error) {
	key, fallback, hasDefault := strings.Cut(inner, ",")
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, "${'* ") {
		return part{}, fmt.Errorf("policy variable ${%s} has no valid key", inner)
	}
	if hasDefault {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' ||
			strings.Contains(fallback[1:len(fallback)-1], "'") {
			return part{}, fmt.Errorf("policy variable ${%s}: the default must stand in single quotes", inner)
		}
		fallback = fallback[1 : len(fallback)-1]
	}
	return part{key: strings.ToLower(key), keyText: key, fallback: fallback, hasDefault: hasDefault}, nil
}

func (t *template) isFixed() bool { return t.parts == nil }

// expand puts the request's values in. A value is text: a "*" in it is no
// wildcard. It reports false when a key has no value, or more than one, and
// the variable has no default.
func (t *template) expand(ctx ConditionContext) (arn.Pattern, bool) {
	if t.isFixed() {
		return t.fixed, true
	}
	var out arn.Pattern
	for i := range t.parts {
		p := &t.parts[i]
		if p.key == "" {
			out += p.literal
			continue
		}
		values, present := lookup(ctx, p.key)
		switch {
		case present && len(values) == 1:
			out += arn.Literal(values[0])
		case !present && p.hasDefault:
			out += arn.Literal(p.fallback)
		default:
			return "", false
		}
	}
	return out, true
}
