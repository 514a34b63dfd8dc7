package restjson

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Field describes one member of an input or output.
type Field struct {
	Name     string       // of the Go field, as in the AWS SDKs: PackageVersion
	Wire     string       // on the wire: "version"
	In       string       // "query", "json", "header" or "body"
	Kind     string       // "string", "int", "float", "bool", "list", "map", "struct", "timestamp" or "stream"
	Required bool         // in inputs
	Shape    string       // name of its Shape, "" when anything goes
	Type     reflect.Type // of the Go field, for nested members
}

// Member is the name in the service model and in error messages: Name with a
// small first letter.
func (f Field) Member() string { return lowerFirst(f.Name) }

type direction bool

const (
	input  direction = false
	output direction = true
)

// member is a Field with its place in the struct.
type member struct {
	Field
	index int
	label string
}

// types are the members of a struct and of every struct below it.
type types struct {
	root    reflect.Type
	members map[reflect.Type][]member
}

func (t types) stream() bool {
	for _, m := range t.members[t.root] {
		if m.In == "body" {
			return true
		}
	}
	return false
}

func fields(t types) []Field {
	list := make([]Field, len(t.members[t.root]))
	for i, m := range t.members[t.root] {
		list[i] = m.Field
	}
	return list
}

var streamType = reflect.TypeFor[io.ReadCloser]()

// inspect reads the tags of a type and all below it.
func inspect(root reflect.Type, d direction) (types, error) {
	t := types{root: root, members: map[reflect.Type][]member{}}
	if root.Kind() != reflect.Struct {
		return t, fmt.Errorf("%s is not a struct", root)
	}
	if err := t.add(root, d, true); err != nil {
		return t, err
	}
	var json, streams, others int
	for _, m := range t.members[root] {
		switch m.In {
		case "json":
			json++
		case "body":
			streams++
		case "header":
			others++
		}
	}
	if streams > 1 || streams == 1 && json > 0 {
		return t, fmt.Errorf("%s has a stream besides other body members", root)
	}
	if d == output && others > 0 && streams == 0 {
		return t, fmt.Errorf("%s has headers without a stream", root)
	}
	return t, nil
}

func (t types) add(s reflect.Type, d direction, top bool) error {
	if _, done := t.members[s]; done {
		return nil
	}
	t.members[s] = nil // a struct may contain itself
	var list []member
	names := map[string]bool{}
	for i := range s.NumField() {
		f := s.Field(i)
		m, err := newMember(f, d, top)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s, f.Name, err)
		}
		if names[m.In+" "+m.Wire] {
			return fmt.Errorf("%s.%s: %s %q is bound twice", s, f.Name, m.In, m.Wire)
		}
		names[m.In+" "+m.Wire] = true
		m.index = i
		list = append(list, m)
		for _, n := range nested(f.Type) {
			if err := t.add(n, d, false); err != nil {
				return err
			}
		}
	}
	t.members[s] = list
	return nil
}

func newMember(f reflect.StructField, d direction, top bool) (member, error) {
	m := member{label: lowerFirst(f.Name), Field: Field{Name: f.Name, Type: f.Type}}
	if !f.IsExported() || f.Anonymous {
		return m, fmt.Errorf("is not a plain exported field")
	}
	for key, value := range tags(f.Tag) {
		switch {
		case key == "json" && m.In == "":
			m.In = key
			name, options, _ := strings.Cut(value, ",")
			if d == input && options != "" || d == output && options != "" && options != "omitempty" && options != "omitzero" {
				return m, fmt.Errorf("json option %q", options)
			}
			m.Wire = name
		case (key == "query" && d == input || key == "header" || key == "body") && top && m.In == "":
			m.In, m.Wire = key, value
		case key == "required" && value == "true": // in outputs of no effect: a struct may serve both ways
			m.Required = true
		case key == "validate" && value != "":
			m.Shape = value
		default:
			return m, fmt.Errorf("tag %s:%q has no meaning here", key, value)
		}
	}
	if m.In == "" || m.Wire == "" || m.Wire == "-" {
		return m, fmt.Errorf("is bound to nothing")
	}
	m.Kind = kind(f.Type)
	switch {
	case m.In == "body" && (m.Kind != "stream" || m.Wire != "stream"), m.In != "body" && m.Kind == "stream":
		return m, fmt.Errorf("only an io.ReadCloser is a body:\"stream\"")
	case m.Kind == "":
		return m, fmt.Errorf("type %s cannot be bound", f.Type)
	case (m.In == "query" || m.In == "header") && m.Kind != "string" && m.Kind != "int" && m.Kind != "bool":
		return m, fmt.Errorf("type %s cannot be bound to a %s", f.Type, m.In)
	case d == input && (m.Kind == "int" || m.Kind == "float" || m.Kind == "bool") && (m.Required || m.Shape != "") && f.Type.Kind() != reflect.Pointer:
		return m, fmt.Errorf("must be a pointer, else absent and zero are the same")
	}
	return m, nil
}

// tags splits a struct tag. Unlike reflect it finds the keys nobody asks for.
func tags(tag reflect.StructTag) map[string]string {
	found := map[string]string{}
	for part := range strings.FieldsSeq(string(tag)) {
		key, _, _ := strings.Cut(part, ":")
		found[key] = tag.Get(key)
	}
	return found
}

// kind is the Field.Kind of a type, "" when it has none.
func kind(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		return "timestamp"
	case t == streamType:
		return "stream"
	}
	switch t.Kind() { //nolint:exhaustive // the rest has nothing of its own
	case reflect.String:
		return "string"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "float"
	case reflect.Bool:
		return "bool"
	case reflect.Slice:
		if k := kind(t.Elem()); k != "" && k != "stream" && t.Elem().Kind() != reflect.Pointer {
			return "list"
		}
	case reflect.Map:
		if k := kind(t.Elem()); k != "" && k != "stream" && t.Elem().Kind() != reflect.Pointer && t.Key().Kind() == reflect.String {
			return "map"
		}
	case reflect.Struct:
		return "struct"
	}
	return ""
}

// nested lists the structs a type leads to.
func nested(t reflect.Type) []reflect.Type {
	for {
		switch t.Kind() { //nolint:exhaustive // the rest has nothing of its own
		case reflect.Pointer, reflect.Slice, reflect.Map:
			t = t.Elem()
			continue
		case reflect.Struct:
			if t != timeType {
				return []reflect.Type{t}
			}
		}
		return nil
	}
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
