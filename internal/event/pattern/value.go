package pattern

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// number is a JSON number as it was written: EventBridge compares numbers by
// their text, 300 and 3.0e2 are not equal.
type number string

// Value is a JSON text taken apart: map[string]any, []any, string, number,
// bool or nil.
type Value struct{ root any }

const maxDepth = 64 // levels of nesting in a pattern or event

var errDepth = errors.New("nested too deep")

// Decode takes an event apart for matching. A repeated name is an error.
func Decode(text []byte) (Value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	v, err := decode(d)
	if err == nil {
		if _, end := d.ReadToken(); !errors.Is(end, io.EOF) {
			err = errors.New("more than one JSON value")
		}
	}
	return Value{v}, err
}

func decode(d *jsontext.Decoder) (any, error) {
	if d.StackDepth() > maxDepth {
		return nil, errDepth
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		object := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if object[key], err = decode(d); err != nil {
				return nil, err
			}
		}
		_, err = d.ReadToken()
		return object, err
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := decode(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.ReadToken()
		return list, err
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil
	}
}

// leaves calls yield for v, or for each plain value in it when it is a list,
// until yield returns false.
func leaves(v any, yield func(any) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !leaves(item, yield) {
				return false
			}
		}
		return true
	case map[string]any:
		return true
	default:
		return yield(v)
	}
}

// objects calls yield for v, or for each object in it when it is a list, until
// yield returns false.
func objects(v any, yield func(map[string]any) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !objects(item, yield) {
				return false
			}
		}
	case map[string]any:
		return yield(v)
	}
	return true
}

// at calls yield for each plain value at a path, through lists, until yield
// returns false.
func at(v any, path []string, yield func(any) bool) bool {
	if len(path) == 0 {
		return leaves(v, yield)
	}
	return objects(v, func(o map[string]any) bool {
		next, ok := o[path[0]]
		return !ok || at(next, path[1:], yield)
	})
}

// present tells whether there is a plain value at a path.
func present(v any, path []string) bool {
	return !at(v, path, func(any) bool { return false })
}

// Has tells whether the value is an object that has a member.
func (v Value) Has(name string) bool {
	o, _ := v.root.(map[string]any)
	_, ok := o[name]
	return ok
}
