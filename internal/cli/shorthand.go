package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/restjson"
)

// Values of parameters are read as the AWS CLI reads them: plain text, JSON, or
// for lists and structures its shorthand (a=1,b=2), with file://PATH in place
// of any of them.

// parseText reads the value of a scalar.
func parseText(name, text string, t reflect.Type) (any, error) {
	text, err := paramFile(name, text)
	if err != nil {
		return nil, err
	}
	return scalar(name, text, t)
}

func paramFile(name, text string) (string, error) {
	for _, scheme := range []string{"file://", "fileb://"} {
		if path, ok := strings.CutPrefix(text, scheme); ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", usagef("--%s: %w", name, err)
			}
			return string(data), nil
		}
	}
	return text, nil
}

func scalar(name, text string, t reflect.Type) (any, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[restjson.Time]():
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, usagef("%s: %q is not a time; write it like 2026-01-31T12:00:00Z", name, text)
			}
			return n, nil
		}
		return float64(when.UnixMilli()) / 1000, nil
	case t.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, usagef("%s: %q is not true or false", name, text)
		}
		return b, nil
	case t.Kind() == reflect.String:
		return text, nil
	case t.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, usagef("%s: %q is not a number", name, text)
		}
		return n, nil
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, usagef("%s: %q is not a whole number", name, text)
		}
		return n, nil
	}
}

// parseWords reads the value of a list, map or structure.
func parseWords(name string, values []string, t reflect.Type) (any, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(values) == 1 {
		text, err := paramFile(name, values[0])
		if err != nil {
			return nil, err
		}
		values[0] = text
		if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") && t.Kind() != reflect.Slice {
			var v any
			if err := json.Unmarshal([]byte(trimmed), &v); err != nil {
				return nil, usagef("--%s: not valid JSON: %w", name, err)
			}
			return v, nil
		}
	}
	if t.Kind() != reflect.Slice {
		return parseShorthand(name, strings.Join(values, ","), t)
	}
	list := make([]any, 0, len(values))
	for _, text := range values {
		v, err := element(name, text, t.Elem())
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func element(name, text string, t reflect.Type) (any, error) {
	if !compound(t) {
		return scalar(name, text, t)
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, usagef("--%s: not valid JSON: %w", name, err)
		}
		return v, nil
	}
	return parseShorthand(name, text, t)
}

func compound(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return true
	case reflect.Struct:
		return t != reflect.TypeFor[restjson.Time]()
	default:
		return false
	}
}

// shorthand is a parser of `key=value,key=value`, where a value is text,
// 'quoted' or "quoted" text, [a,b], {key=value} or, for a list, a,b up to the
// next key=.
type shorthand struct {
	name, text string
	pos        int
}

func parseShorthand(name, text string, t reflect.Type) (any, error) {
	p := &shorthand{name: name, text: text}
	v, err := p.object(t, false)
	if err == nil && p.pos < len(p.text) {
		err = p.fail("unexpected %q", p.text[p.pos:])
	}
	return v, err
}

func (p *shorthand) fail(format string, args ...any) error {
	return usagef("--%s: cannot read %q at character %d: %s", p.name, p.text, p.pos+1, fmt.Sprintf(format, args...))
}

func (p *shorthand) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *shorthand) object(t reflect.Type, braces bool) (any, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	object := map[string]any{}
	for !braces || p.peek() != '}' {
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		member, err := p.member(t, key)
		if err != nil {
			return nil, err
		}
		if _, twice := object[key]; twice {
			return nil, p.fail("%s is given twice", key)
		}
		if object[key], err = p.value(member, braces); err != nil {
			return nil, err
		}
		if p.peek() != ',' {
			break
		}
		p.pos++
	}
	if braces {
		if p.peek() != '}' {
			return nil, p.fail("expected }")
		}
		p.pos++
	}
	return object, nil
}

func (p *shorthand) key() (string, error) {
	rest := p.text[p.pos:]
	end := strings.IndexAny(rest, "=,")
	if end <= 0 || rest[end] != '=' {
		return "", p.fail("expected key=value")
	}
	p.pos += end + 1
	return strings.TrimSpace(rest[:end]), nil
}

// member is the type of a key's value.
func (p *shorthand) member(t reflect.Type, key string) (reflect.Type, error) {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem(), nil
	case reflect.Struct:
		var names []string
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == key {
				return f.Type, nil
			}
			names = append(names, name)
		}
		return nil, p.fail("unknown key %q, must be one of: %s", key, strings.Join(names, ", "))
	default:
		return nil, p.fail("expected a value, not key=value")
	}
}

func (p *shorthand) value(t reflect.Type, nested bool) (any, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case p.peek() == '{' && compound(t):
		p.pos++
		return p.object(t, true)
	case t.Kind() == reflect.Slice && p.peek() == '[':
		p.pos++
		return p.list(t.Elem())
	case t.Kind() == reflect.Slice:
		return p.csv(t.Elem(), nested)
	case compound(t):
		return nil, p.fail("expected {key=value}")
	}
	text, err := p.word(nested, false)
	if err != nil {
		return nil, err
	}
	return scalar("--"+p.name, text, t)
}

func (p *shorthand) list(t reflect.Type) (any, error) {
	list := []any{}
	for p.peek() != ']' {
		v, err := p.listed(t)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if p.peek() == ',' {
			p.pos++
		} else if p.peek() != ']' {
			return nil, p.fail("expected ]")
		}
	}
	p.pos++
	return list, nil
}

func (p *shorthand) listed(t reflect.Type) (any, error) {
	if compound(t) {
		return p.value(t, true)
	}
	text, err := p.word(true, true)
	if err != nil {
		return nil, err
	}
	return scalar("--"+p.name, text, t)
}

// csv reads a,b,c up to the next key=.
func (p *shorthand) csv(t reflect.Type, nested bool) (any, error) {
	list := []any{}
	for {
		text, err := p.word(nested, false)
		if err != nil {
			return nil, err
		}
		v, err := scalar("--"+p.name, text, t)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		rest := p.text[p.pos:]
		if rest == "" || rest[0] != ',' {
			return list, nil
		}
		if next := strings.IndexAny(rest[1:], "=,"); next >= 0 && rest[1+next] == '=' {
			return list, nil
		}
		p.pos++
	}
}

// word reads one plain or quoted text.
func (p *shorthand) word(inBraces, inBrackets bool) (string, error) {
	if quote := p.peek(); quote == '\'' || quote == '"' {
		var b strings.Builder
		for i := p.pos + 1; i < len(p.text); i++ {
			switch c := p.text[i]; {
			case c == '\\' && i+1 < len(p.text):
				i++
				b.WriteByte(p.text[i])
			case c == quote:
				p.pos = i + 1
				return b.String(), nil
			default:
				b.WriteByte(c)
			}
		}
		return "", p.fail("a quote is not closed")
	}
	stop := ","
	if inBraces {
		stop += "}"
	}
	if inBrackets {
		stop += "]"
	}
	rest := p.text[p.pos:]
	end := strings.IndexAny(rest, stop)
	if end < 0 {
		end = len(rest)
	}
	p.pos += end
	return strings.TrimSpace(rest[:end]), nil
}
