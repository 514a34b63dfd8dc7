package cli

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"packhouse/internal/restjson"
)

// The AWS Query protocol (STS, IAM): a form goes out, XML comes back.

func encodeForm(row restjson.Row, version string, in input) string {
	form := url.Values{"Action": {row.Name()}, "Version": {version}}
	for _, f := range row.Fields() {
		if v, ok := in[f.Name]; ok {
			formValue(form, upperFirst(f.Wire), v, f.Type)
		}
	}
	return form.Encode()
}

// formValue writes a value meant for a member of type t.
func formValue(form url.Values, name string, v any, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case []any:
		if t.Kind() != reflect.Slice { // the server says what is wrong with it
			form.Set(name, fmt.Sprint(v))
			return
		}
		for i, item := range v {
			formValue(form, name+".member."+strconv.Itoa(i+1), item, t.Elem())
		}
	case map[string]any:
		for i, key := range slices.Sorted(maps.Keys(v)) {
			place, held := name+"."+key, reflect.TypeFor[any]()
			switch t.Kind() { //nolint:exhaustive // for the rest the server says what is wrong
			case reflect.Map:
				place, held = name+".entry."+strconv.Itoa(i+1), t.Elem()
				form.Set(place+".key", key)
				place += ".value"
			case reflect.Struct:
				held = typeOfMember(t, key)
			}
			formValue(form, place, v[key], held)
		}
	case float64:
		form.Set(name, strconv.FormatFloat(v, 'f', -1, 64))
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// typeOfMember is the type of a member of a structure.
func typeOfMember(t reflect.Type, wire string) reflect.Type {
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); upperFirst(name) == wire {
			return f.Type
		}
	}
	return reflect.TypeFor[any]()
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

type xmlNode struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Nodes   []xmlNode `xml:",any"`
}

func (n xmlNode) child(name string) (xmlNode, bool) {
	for _, c := range n.Nodes {
		if c.XMLName.Local == name {
			return c, true
		}
	}
	return xmlNode{}, false
}

func decodeXML(data []byte, row restjson.Row) (*object, error) {
	var root xmlNode
	if err := xml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("the answer is not XML: %w", err)
	}
	out := &object{}
	result, _ := root.child(row.Name() + "Result")
	for _, f := range row.OutputFields() {
		if n, ok := result.child(upperFirst(f.Wire)); ok {
			out.set(upperFirst(f.Wire), xmlValue(n, f.Type))
		}
	}
	return out, nil
}

func xmlValue(n xmlNode, t reflect.Type) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[restjson.Time]():
		return n.Text
	case t.Kind() == reflect.Slice:
		list := []any{}
		for _, item := range n.Nodes {
			list = append(list, xmlValue(item, t.Elem()))
		}
		return list
	case t.Kind() == reflect.Map:
		o := &object{}
		for _, entry := range n.Nodes {
			key, _ := entry.child("key")
			value, _ := entry.child("value")
			o.set(key.Text, xmlValue(value, t.Elem()))
		}
		return o
	case t.Kind() == reflect.Struct:
		o := &object{}
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if member, ok := n.child(upperFirst(name)); ok {
				o.set(upperFirst(name), xmlValue(member, f.Type))
			}
		}
		return o
	case t.Kind() == reflect.Bool:
		return n.Text == "true"
	case t.Kind() == reflect.String:
		return n.Text
	case t.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(n.Text, 64)
		if err != nil {
			return n.Text
		}
		return x
	default:
		i, err := strconv.ParseInt(n.Text, 10, 64)
		if err != nil {
			return n.Text
		}
		return i
	}
}

func xmlError(data []byte) (code, message string, ok bool) {
	var body struct {
		Error struct {
			Code    string
			Message string
		}
	}
	if xml.Unmarshal(data, &body) != nil || body.Error.Code == "" {
		return "", "", false
	}
	return body.Error.Code, body.Error.Message, true
}
