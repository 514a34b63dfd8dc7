package pattern

import (
	"slices"
	"strings"
)

// Set finds those of many patterns that match an event, without trying most of
// them: a pattern that asks for exact strings in some field is only tried on
// events which have one of them there. It is immutable.
type Set[T any] struct {
	rules   []rule[T]
	rest    []int // rules to try on every event
	anchors []anchor
}

type rule[T any] struct {
	pattern *Pattern
	value   T
}

// anchor is a field by whose value rules are found.
type anchor struct {
	path  []string
	rules map[string][]int
}

// NewSet makes a set of values, each with the pattern that pattern gives of it.
func NewSet[T any](values []T, pattern func(T) *Pattern) *Set[T] {
	s := &Set[T]{}
	uses := map[string]int{} // how many rules ask for a value in a field
	for _, v := range values {
		s.rules = append(s.rules, rule[T]{pattern(v), v})
		for _, f := range s.rules[len(s.rules)-1].pattern.root.exact(nil) {
			for text := range f.leaf.exact {
				uses[key(f.path)+text]++
			}
		}
	}
	places := map[string]int{}
	for i, r := range s.rules {
		f := rarest(r.pattern.root.exact(nil), uses)
		if f == nil {
			s.rest = append(s.rest, i)
			continue
		}
		at, ok := places[key(f.path)]
		if !ok {
			at = len(s.anchors)
			places[key(f.path)] = at
			s.anchors = append(s.anchors, anchor{f.path, map[string][]int{}})
		}
		for text := range f.leaf.exact {
			s.anchors[at].rules[text] = append(s.anchors[at].rules[text], i)
		}
	}
	return s
}

// Match gives the values whose patterns match, in the order NewSet had them.
func (s *Set[T]) Match(event Value) []T {
	tried := slices.Clone(s.rest)
	for _, a := range s.anchors {
		at(event.root, a.path, func(v any) bool {
			if text, ok := v.(string); ok {
				tried = append(tried, a.rules[text]...)
			}
			return true
		})
	}
	slices.Sort(tried)
	var found []T
	for _, i := range slices.Compact(tried) {
		if s.rules[i].pattern.Match(event) {
			found = append(found, s.rules[i].value)
		}
	}
	return found
}

// exact lists the fields that must have one of some strings.
func (o *object) exact(list []*field) []*field {
	for i := range o.fields {
		switch f := &o.fields[i]; {
		case f.node != nil:
			list = f.node.exact(list)
		case len(f.leaf.exact) > 0 && len(f.leaf.tests) == 0 && !f.leaf.exists && !f.leaf.absent:
			list = append(list, f)
		}
	}
	return list
}

// rarest is the field whose values the fewest rules ask for, nil of none.
func rarest(fields []*field, uses map[string]int) (best *field) {
	least := 0
	for _, f := range fields {
		n := 0
		for text := range f.leaf.exact {
			n += uses[key(f.path)+text]
		}
		if best == nil || n < least {
			best, least = f, n
		}
	}
	return best
}

// key is a path as one text, which a value may follow.
func key(path []string) string { return strings.Join(path, "\x00") + "\x00\x00" }
