package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"packhouse/internal/restjson"
)

// object is a JSON object that keeps the order of its members: answers are
// printed as they came.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) set(key string, v any) {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, known := o.values[key]; !known {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) remove(key string) {
	delete(o.values, key)
	for i, k := range o.keys {
		if k == key {
			o.keys = append(o.keys[:i:i], o.keys[i+1:]...)
			return
		}
	}
}

// text is a member that is a string; "" when it is not.
func (o *object) text(key string) string {
	s, _ := o.values[key].(string)
	return s
}

// decodeJSON reads one value as *object, []any, string, json.Number, bool or nil.
func decodeJSON(data []byte) (any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return &object{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			o.set(key.(string), v) // a name is a string
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// dated replaces the timestamps of an answer, which travel as numbers, by
// ISO 8601 text in the local zone.
func dated(o *object, fields []restjson.Field) {
	for _, f := range fields {
		if v, ok := o.values[f.Wire]; ok {
			o.values[f.Wire] = datedValue(v, f.Type)
		}
	}
}

func datedValue(v any, t reflect.Type) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[restjson.Time]() {
		if n, ok := v.(json.Number); ok {
			if f, err := n.Float64(); err == nil {
				return isoTime(f)
			}
		}
		return v
	}
	switch v := v.(type) {
	case *object:
		for key, held := range v.values {
			if member := memberType(t, key); member != nil {
				v.values[key] = datedValue(held, member)
			}
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i := range v {
				v[i] = datedValue(v[i], t.Elem())
			}
		}
	}
	return v
}

// memberType is the type of a member of an object, nil when nothing is known of it.
func memberType(t reflect.Type, key string) reflect.Type {
	if t.Kind() == reflect.Map {
		return t.Elem()
	}
	if t.Kind() == reflect.Struct {
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == key {
				return f.Type
			}
		}
	}
	return nil
}

// isoTime is the time as the AWS CLI prints it: microseconds only when there
// are any, and the offset with a colon.
func isoTime(seconds float64) string {
	t := time.UnixMilli(int64(math.Round(seconds * 1000)))
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

// writeJSON prints with four spaces, as the AWS CLI does.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := appendJSON(&b, v, ""); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func appendJSON(b *bytes.Buffer, v any, indent string) error {
	deeper := indent + "    "
	switch v := v.(type) {
	case *object:
		if len(v.keys) == 0 {
			b.WriteString("{}")
			return nil
		}
		for i, key := range v.keys {
			b.WriteString(separator(i, '{') + deeper)
			if err := appendScalar(b, key); err != nil {
				return err
			}
			b.WriteString(": ")
			if err := appendJSON(b, v.values[key], deeper); err != nil {
				return err
			}
		}
		b.WriteString("\n" + indent + "}")
		return nil
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return nil
		}
		for i, item := range v {
			b.WriteString(separator(i, '[') + deeper)
			if err := appendJSON(b, item, deeper); err != nil {
				return err
			}
		}
		b.WriteString("\n" + indent + "]")
		return nil
	default:
		return appendScalar(b, v)
	}
}

func separator(i int, open byte) string {
	if i == 0 {
		return string(open) + "\n"
	}
	return ",\n"
}

func appendScalar(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode ends with a newline
	return nil
}

// plain is v with Go maps in place of objects, for queries.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.keys))
		for key, held := range v.values {
			m[key] = plain(held)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	default:
		return v
	}
}
