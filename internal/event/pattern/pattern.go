// Package pattern matches events against the event patterns of EventBridge: the
// JSON that a rule has in PutRule (User Guide, "Event patterns" and "Comparison
// operators").
//
// A pattern has the shape of the events it selects. A field's list holds the
// values and comparisons of which one must hold; all fields must match, and of
// each "$or" one alternative. Fields below one list must be found in one element
// of that list together.
//
// The surprises: numbers are equal when written alike, unless compared with
// "numeric"; {"exists": false} looks at the whole event, not at one element of
// a list; and a field named "$or" that is not a list of two objects or more is
// a field like any other.
package pattern

import (
	"packhouse/internal/fault"
)

// Pattern is a compiled event pattern. It is immutable.
type Pattern struct{ root *object }

// object is what one level of a pattern asks for.
type object struct {
	fields []field
	ors    [][]*object
}

type field struct {
	name string
	path []string // from the root, name included
	node *object  // nil for a leaf
	leaf *leaf
}

// leaf is the list of a field: any one of it must hold.
type leaf struct {
	exact  map[string]struct{} // strings
	tests  []test              // of a plain value
	exists bool
	absent bool
}

// test is one comparison with a plain value: string, number, bool or nil.
type test func(v any) bool

// Match tells whether an event has what the pattern asks for.
func (p *Pattern) Match(event Value) bool { return matcher(event).object(p.root, event.root) }

type matcher struct{ root any }

func (m matcher) object(o *object, v any) bool {
	found, matched := false, false
	objects(v, func(one map[string]any) bool {
		found = true
		matched = m.fields(o, one)
		return !matched
	})
	if !found { // what is below is absent then
		return m.fields(o, nil)
	}
	return matched
}

func (m matcher) fields(o *object, v map[string]any) bool {
	for i := range o.fields {
		f := &o.fields[i]
		inner, there := v[f.name]
		switch {
		case f.node != nil && !m.object(f.node, inner):
			return false
		case f.leaf != nil && !m.leaf(f, inner, there):
			return false
		}
	}
	for _, alternatives := range o.ors {
		if !m.any(alternatives, v) {
			return false
		}
	}
	return true
}

func (m matcher) any(alternatives []*object, v map[string]any) bool {
	for _, o := range alternatives {
		if m.fields(o, v) {
			return true
		}
	}
	return false
}

func (m matcher) leaf(f *field, v any, there bool) bool {
	if there && !leaves(v, func(one any) bool { return !f.leaf.holds(one) }) {
		return true
	}
	return f.leaf.absent && !present(m.root, f.path)
}

func (l *leaf) holds(v any) bool {
	if l.exists {
		return true
	}
	if s, ok := v.(string); ok {
		if _, ok := l.exact[s]; ok {
			return true
		}
	}
	for _, t := range l.tests {
		if t(v) {
			return true
		}
	}
	return false
}

// Parse compiles a pattern. Errors are fault.Invalid and begin as those of
// EventBridge do.
func Parse(text string) (*Pattern, error) {
	v, err := Decode([]byte(text))
	if err != nil {
		return nil, invalid("not valid JSON: %s", err.Error())
	}
	top, ok := v.root.(map[string]any)
	if !ok {
		return nil, invalid("filter is not an object")
	}
	o, err := parseObject(top, nil)
	if err != nil {
		return nil, err
	}
	return &Pattern{o}, nil
}

func invalid(reason string, args ...any) error {
	return fault.New(fault.Invalid, "Event pattern is not valid. Reason: "+reason, args...)
}
