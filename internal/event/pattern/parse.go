package pattern

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const orName = "$or"

// The names of comparisons.
const (
	anythingBut = "anything-but"
	cidr        = "cidr"
	equalsFold  = "equals-ignore-case"
	exists      = "exists"
	numeric     = "numeric"
	prefix      = "prefix"
	suffix      = "suffix"
	wildcard    = "wildcard"
)

func isComparison(name string) bool {
	switch name {
	case anythingBut, cidr, equalsFold, exists, numeric, prefix, suffix, wildcard:
		return true
	}
	return false
}

func parseObject(v map[string]any, path []string) (*object, error) {
	if len(v) == 0 {
		return nil, invalid("empty objects are not allowed, at %s", place(path))
	}
	o := &object{}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if alternatives, ok := isOr(name, v[name]); ok {
			var either []*object
			for _, a := range alternatives {
				one, err := parseObject(a, path)
				if err != nil {
					return nil, err
				}
				either = append(either, one)
			}
			o.ors = append(o.ors, either)
			continue
		}
		f := field{name: name, path: append(slices.Clip(path), name)}
		var err error
		switch inner := v[name].(type) {
		case map[string]any:
			f.node, err = parseObject(inner, f.path)
		case []any:
			f.leaf, err = parseLeaf(inner, f.path)
		default:
			err = invalid("%s must be an object or an array", place(f.path))
		}
		if err != nil {
			return nil, err
		}
		o.fields = append(o.fields, f)
	}
	return o, nil
}

// isOr tells whether a field is the choice between its objects.
func isOr(name string, v any) (alternatives []map[string]any, ok bool) {
	list, _ := v.([]any)
	if name != orName || len(list) < 2 {
		return nil, false
	}
	for _, item := range list {
		o, ok := item.(map[string]any)
		if !ok || len(o) == 0 {
			return nil, false
		}
		for key := range o {
			if isComparison(key) {
				return nil, false
			}
		}
		alternatives = append(alternatives, o)
	}
	return alternatives, true
}

// place names a field for messages.
func place(path []string) string {
	if len(path) == 0 {
		return "the top"
	}
	name := strings.Join(path, ".")
	const most = 100
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "..."
	}
	return strconv.Quote(name)
}

func parseLeaf(list []any, path []string) (*leaf, error) {
	if len(list) == 0 {
		return nil, invalid("empty arrays are not allowed, at %s", place(path))
	}
	l := &leaf{}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			if l.exact == nil {
				l.exact = map[string]struct{}{}
			}
			l.exact[item] = struct{}{}
		case map[string]any:
			if err := l.compare(item, path); err != nil {
				return nil, err
			}
		case []any:
			return nil, invalid("a match value must be a string, number, true, false, null or a comparison, at %s", place(path))
		default:
			l.tests = append(l.tests, func(v any) bool { return v == item })
		}
	}
	return l, nil
}

// compare adds a comparison such as {"prefix": "x"}.
func (l *leaf) compare(v map[string]any, path []string) error {
	name, operand, err := only(v, path)
	if err != nil {
		return err
	}
	if !isComparison(name) {
		return invalid("unrecognized match type %q, at %s", name, place(path))
	}
	if name == exists {
		yes, ok := operand.(bool)
		if !ok {
			return invalid("exists must be true or false, at %s", place(path))
		}
		l.exists, l.absent = l.exists || yes, l.absent || !yes
		return nil
	}
	var t test
	switch name {
	case anythingBut:
		t, err = parseAnythingBut(operand, path)
	case numeric:
		t, err = parseNumeric(operand, path)
	case cidr:
		t, err = parseCIDR(operand, path)
	default:
		t, err = parseText(name, operand, path)
	}
	l.tests = append(l.tests, t)
	return err
}

// only gives the one member of an object.
func only(v map[string]any, path []string) (name string, operand any, err error) {
	if len(v) != 1 {
		return "", nil, invalid("only one key allowed in match expression, at %s", place(path))
	}
	for name, operand = range v {
		break
	}
	return name, operand, nil
}

// parseText makes the comparisons of strings.
func parseText(name string, operand any, path []string) (test, error) {
	if inner, ok := operand.(map[string]any); ok && (name == prefix || name == suffix) {
		modifier, text, err := only(inner, path)
		if err != nil {
			return nil, err
		}
		if modifier != equalsFold {
			return nil, invalid("unrecognized match type %q inside %s, at %s", modifier, name, place(path))
		}
		name, operand = name+" "+equalsFold, text
	}
	text, ok := operand.(string)
	if !ok {
		return nil, invalid("%s must be a string, at %s", name, place(path))
	}
	switch name {
	case prefix:
		return onText(func(s string) bool { return strings.HasPrefix(s, text) }), nil
	case suffix:
		return onText(func(s string) bool { return strings.HasSuffix(s, text) }), nil
	case prefix + " " + equalsFold:
		return onText(func(s string) bool { return hasPrefixFold(s, text) }), nil
	case suffix + " " + equalsFold:
		return onText(func(s string) bool { return hasSuffixFold(s, text) }), nil
	case equalsFold:
		return onText(func(s string) bool { return strings.EqualFold(s, text) }), nil
	default:
		w, err := parseWildcard(text, path)
		return onText(w.match), err
	}
}

func onText(match func(string) bool) test {
	return func(v any) bool {
		s, ok := v.(string)
		return ok && match(s)
	}
}

// hasPrefixFold compares rune by rune: folded texts may differ in bytes.
func hasPrefixFold(s, prefix string) bool {
	rest := s
	for range utf8.RuneCountInString(prefix) {
		if rest == "" {
			return false
		}
		_, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
	}
	return strings.EqualFold(s[:len(s)-len(rest)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	rest := s
	for range utf8.RuneCountInString(suffix) {
		if rest == "" {
			return false
		}
		_, n := utf8.DecodeLastRuneInString(rest)
		rest = rest[:len(rest)-n]
	}
	return strings.EqualFold(s[len(rest):], suffix)
}

// parseAnythingBut takes a string, a number, a list of either, or a comparison
// of strings with one or several operands.
func parseAnythingBut(operand any, path []string) (test, error) {
	if inner, ok := operand.(map[string]any); ok {
		return parseAnythingButComparison(inner, path)
	}
	list, ok := operand.([]any)
	if !ok {
		list = []any{operand}
	}
	if len(list) == 0 {
		return nil, invalid("empty arrays are not allowed, at %s", place(path))
	}
	refused := map[any]struct{}{}
	texts := 0
	for _, item := range list {
		switch item.(type) {
		case string:
			texts++
		case number:
		default:
			return nil, invalid("anything-but takes strings or numbers, at %s", place(path))
		}
		refused[item] = struct{}{}
	}
	if texts != 0 && texts != len(list) {
		return nil, invalid("anything-but takes either strings or numbers, not both, at %s", place(path))
	}
	return func(v any) bool {
		_, found := refused[v]
		return !found
	}, nil
}

func parseAnythingButComparison(v map[string]any, path []string) (test, error) {
	name, operand, err := only(v, path)
	if err != nil {
		return nil, err
	}
	switch name {
	case prefix, suffix, equalsFold, wildcard:
	default:
		return nil, invalid("unrecognized match type %q inside anything-but, at %s", name, place(path))
	}
	list, ok := operand.([]any)
	if !ok {
		list = []any{operand}
	}
	if len(list) == 0 {
		return nil, invalid("empty arrays are not allowed, at %s", place(path))
	}
	var refused []test
	for _, item := range list {
		if item == "" {
			return nil, invalid("%s inside anything-but must not be empty, at %s", name, place(path))
		}
		t, err := parseText(name, item, path)
		if err != nil {
			return nil, err
		}
		refused = append(refused, t)
	}
	return func(v any) bool {
		return !slices.ContainsFunc(refused, func(t test) bool { return t(v) })
	}, nil
}

// maxNumber is the largest number that "numeric" compares with, by size.
const maxNumber = 5e9

// parseNumeric takes ["=", 1], one bound as in [">", 0], or a lower and an upper
// one.
func parseNumeric(operand any, path []string) (test, error) {
	list, ok := operand.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, invalid("numeric takes one or two pairs of an operator and a number, at %s", place(path))
	}
	var bounds []func(float64) bool
	var first float64
	for i := 0; i < len(list); i += 2 {
		op, _ := list[i].(string)
		text, ok := list[i+1].(number)
		n, err := strconv.ParseFloat(string(text), 64)
		if !ok || err != nil || n < -maxNumber || n > maxNumber {
			return nil, invalid("numeric takes numbers between -5e9 and 5e9, at %s", place(path))
		}
		lower := op == ">" || op == ">="
		switch {
		case !lower && op != "<" && op != "<=" && op != "=":
			return nil, invalid("unrecognized numeric range operator %q, at %s", op, place(path))
		case len(list) == 4 && (i == 0) != lower, len(list) == 4 && op == "=":
			return nil, invalid("a numeric range has a lower bound and then an upper one, at %s", place(path))
		case i == 2 && n <= first:
			return nil, invalid("the bottom of a numeric range must be less than its top, at %s", place(path))
		}
		first = n
		bounds = append(bounds, bound(op, n))
	}
	return func(v any) bool {
		text, ok := v.(number)
		if !ok {
			return false
		}
		n, err := strconv.ParseFloat(string(text), 64)
		return err == nil && !slices.ContainsFunc(bounds, func(b func(float64) bool) bool { return !b(n) })
	}, nil
}

func bound(op string, to float64) func(float64) bool {
	switch op {
	case "<":
		return func(n float64) bool { return n < to }
	case "<=":
		return func(n float64) bool { return n <= to }
	case ">":
		return func(n float64) bool { return n > to }
	case ">=":
		return func(n float64) bool { return n >= to }
	default:
		return func(n float64) bool { return n == to }
	}
}

func parseCIDR(operand any, path []string) (test, error) {
	text, _ := operand.(string)
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, invalid("malformed CIDR, one should look like 10.0.0.0/24, at %s", place(path))
	}
	return onText(func(s string) bool {
		ip, err := netip.ParseAddr(s)
		return err == nil && p.Contains(ip)
	}), nil
}

// wild is a text with runs of any characters between its parts.
type wild []string

// parseWildcard reads "*" as any run of characters; "\*" and "\\" stand for the
// characters themselves.
func parseWildcard(text string, path []string) (wild, error) {
	var w wild
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		case c == '\\':
			return nil, invalid("invalid escape character in wildcard, at %s", place(path))
		case c == '*' && i+1 < len(text) && text[i+1] == '*':
			return nil, invalid("consecutive wildcard characters, at %s", place(path))
		case c == '*':
			w = append(w, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(w, part.String()), nil
}

func (w wild) match(s string) bool {
	last := len(w) - 1
	if last == 0 {
		return s == w[0]
	}
	rest, ok := strings.CutPrefix(s, w[0])
	if !ok {
		return false
	}
	for _, part := range w[1:last] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, w[last])
}
