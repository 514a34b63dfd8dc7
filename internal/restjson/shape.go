package restjson

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"packhouse/internal/fault"
)

// Shape is a constraint on a member, as the service model states it.
type Shape struct {
	Min, Max int64    // characters of a string, elements of a list or map, or the number itself; Max 0 is no limit
	Pattern  string   // RE2; must match the whole string
	Enum     []string // the only values
	Member   string   // the shape of list elements and map values
	Key      string   // the shape of map keys
}

// Shapes are the constraints of a service by name.
type Shapes map[string]Shape

// rules are Shapes ready for use.
type rules map[string]*rule

type rule struct {
	Shape
	pattern *regexp.Regexp
}

func compile(shapes Shapes) (rules, error) {
	rs := rules{}
	for name, s := range shapes {
		r := &rule{Shape: s}
		if s.Pattern != "" {
			re, err := regexp.Compile(`\A(?:` + s.Pattern + `)\z`)
			if err != nil {
				return nil, fmt.Errorf("shape %s: %w", name, err)
			}
			r.pattern = re
		}
		for _, other := range []string{s.Member, s.Key} {
			if _, ok := shapes[other]; other != "" && !ok {
				return nil, fmt.Errorf("shape %s: no shape %s", name, other)
			}
		}
		rs[name] = r
	}
	return rs, nil
}

// covers tells whether every shape the members name exists.
func (rs rules) covers(t types) error {
	for _, members := range t.members {
		for _, m := range members {
			if _, ok := rs[m.Shape]; m.Shape != "" && !ok {
				return fmt.Errorf("member %s: no shape %s", m.Name, m.Shape)
			}
		}
	}
	return nil
}

// check validates a decoded input. All that is wrong is reported at once, in
// the words of AWS.
func (rs rules) check(v reflect.Value, t types) error {
	var found problems
	rs.checkStruct(v, t, "", &found)
	if len(found) == 0 {
		return nil
	}
	noun := "errors"
	if len(found) == 1 {
		noun = "error"
	}
	return &fault.Error{
		Kind:    fault.Invalid,
		Reason:  reasonField,
		Message: fmt.Sprintf("%d validation %s detected: %s", len(found), noun, strings.Join(found, "; ")),
	}
}

const (
	maxProblems = 10  // more are not reported
	maxShown    = 100 // characters of a bad value that are repeated to the caller
)

type problems []string

func (p *problems) add(v reflect.Value, path, constraint string) {
	if len(*p) == maxProblems {
		return
	}
	value := "Value"
	switch {
	case !v.IsValid():
		value = "Value null"
	case hides(v):
	case v.Kind() == reflect.String:
		text := []rune(v.String())
		if len(text) > maxShown {
			text = append(text[:maxShown], '.', '.', '.')
		}
		value = "Value '" + string(text) + "'"
	case v.CanInt():
		value = "Value '" + strconv.FormatInt(v.Int(), 10) + "'"
	case v.CanFloat():
		value = "Value '" + strconv.FormatFloat(v.Float(), 'g', -1, 64) + "'"
	}
	*p = append(*p, fmt.Sprintf("%s at '%s' failed to satisfy constraint: %s", value, path, constraint))
}

// hides tells whether a value is of a type for secrets, which is not repeated.
func hides(v reflect.Value) bool {
	_, ok := v.Interface().(slog.LogValuer)
	return ok
}

func (rs rules) checkStruct(v reflect.Value, t types, prefix string, found *problems) {
	for _, m := range t.members[v.Type()] {
		f, path := v.Field(m.index), prefix+m.label
		if absent(f) {
			if m.Required {
				found.add(reflect.Value{}, path, "Member must not be null")
			}
			continue
		}
		rs.checkValue(f, t, m.Shape, path, found)
	}
}

// absent tells an unset member. A list or map that is there but empty is set.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func (rs rules) checkValue(v reflect.Value, t types, shape, path string, found *problems) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	r := rs[shape]
	switch v.Kind() { //nolint:exhaustive // the rest has nothing of its own
	case reflect.String:
		checkString(v, r, path, found)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if r != nil && v.Int() < r.Min {
			found.add(v, path, fmt.Sprintf("Member must have value greater than or equal to %d", r.Min))
		}
		if r != nil && r.Max != 0 && v.Int() > r.Max {
			found.add(v, path, fmt.Sprintf("Member must have value less than or equal to %d", r.Max))
		}
	case reflect.Slice:
		element := checkLength(v, r, int64(v.Len()), path, found)
		for i := range v.Len() {
			rs.checkValue(v.Index(i), t, element, path+"."+strconv.Itoa(i+1)+".member", found)
		}
	case reflect.Map:
		value := checkLength(v, r, int64(v.Len()), path, found)
		key := ""
		if r != nil {
			key = r.Key
		}
		for _, k := range sortedKeys(v) {
			rs.checkValue(k, t, key, path, found)
			rs.checkValue(v.MapIndex(k), t, value, path+"."+k.String()+".member", found)
		}
	case reflect.Struct:
		if v.Type() != timeType {
			rs.checkStruct(v, t, path+".", found)
		}
	}
}

// checkLength checks the size of a list, map or string and gives the shape of
// what it holds.
func checkLength(v reflect.Value, r *rule, n int64, path string, found *problems) (member string) {
	if r == nil {
		return ""
	}
	if n < r.Min {
		found.add(v, path, fmt.Sprintf("Member must have length greater than or equal to %d", r.Min))
	}
	if r.Max != 0 && n > r.Max {
		found.add(v, path, fmt.Sprintf("Member must have length less than or equal to %d", r.Max))
	}
	return r.Member
}

func checkString(v reflect.Value, r *rule, path string, found *problems) {
	s := v.String()
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		// No shape means to allow these, and no database stores them. The
		// value is not repeated in the message: it is not text.
		found.add(reflect.ValueOf([]byte(nil)), path, "Member must be UTF-8 text without NUL")
		return
	}
	if r == nil {
		return
	}
	checkLength(v, r, int64(utf8.RuneCountInString(s)), path, found)
	if r.pattern != nil && !r.pattern.MatchString(s) {
		found.add(v, path, "Member must satisfy regular expression pattern: "+r.Pattern)
	}
	if r.Enum != nil && !slices.Contains(r.Enum, s) {
		found.add(v, path, "Member must satisfy enum value set: ["+strings.Join(r.Enum, ", ")+"]")
	}
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
