package restjson

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
)

const (
	reasonParse = "CANNOT_PARSE"
	reasonField = "FIELD_VALIDATION_FAILED"
	reasonOther = "OTHER"

	maxDepth = 32 // levels of nesting in a JSON body; the deepest input has four
)

func cannotParse(msg string, args ...any) error {
	err := fault.New(fault.Invalid, msg, args...).(*fault.Error) //nolint:errorlint // New gives exactly this type
	err.Reason = reasonParse
	return err
}

// decode fills in (a *In) from the request and its authenticated body.
func decode(r *http.Request, body io.Reader, limit int64, in any, t types) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return cannotParse("the query string cannot be read")
	}
	v := reflect.ValueOf(in).Elem()
	hasJSON := false
	for _, m := range t.members[t.root] {
		f := v.Field(m.index)
		text := ""
		switch m.In {
		case "query":
			text = query.Get(m.Wire)
		case "header":
			text = r.Header.Get(m.Wire)
		case "body":
			f.Set(reflect.ValueOf(io.NopCloser(body)))
		case "json":
			hasJSON = true
		}
		if text == "" {
			continue
		}
		if err := SetText(f, text); err != nil {
			return cannotParse("%s: %s", m.label, err.Error())
		}
	}
	if !hasJSON {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > limit {
		return fault.New(fault.TooLarge, "the request body is larger than %d bytes", limit)
	}
	return decodeJSON(data, v, t)
}

type textError string

func (e textError) Error() string { return string(e) }

// SetText sets a string, number or boolean, or a pointer to one, from its
// text. The error says what was expected and is meant to follow the name of
// the member.
func SetText(v reflect.Value, text string) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(text) {
			return textError("not valid UTF-8")
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return textError("expected true or false")
		}
		v.SetBool(text == "true")
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return textError("expected a finite number")
		}
		v.SetFloat(n)
	default:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return textError("expected an integer of " + strconv.Itoa(v.Type().Bits()) + " bits")
		}
		v.SetInt(n)
	}
	return nil
}

// decodeJSON fills the json members of v. No body at all is {}.
func decodeJSON(data []byte, v reflect.Value, t types) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	d := jsonDecoder{jsontext.NewDecoder(bytes.NewReader(data)), t}
	if d.PeekKind() == 'n' {
		return cannotParse("the request body is not a JSON object")
	}
	if err := d.value(v, ""); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF { //nolint:errorlint // a reader returns it bare
		return cannotParse("the request body has more than one JSON value")
	}
	return nil
}

type jsonDecoder struct {
	*jsontext.Decoder
	types types
}

func malformed(err error) error {
	e := cannotParse("the request body is not valid JSON").(*fault.Error) //nolint:errorlint // made above
	e.Cause = err
	return e
}

// value reads one JSON value into v. path is the member's name for messages.
func (d jsonDecoder) value(v reflect.Value, path string) error {
	kind := d.PeekKind()
	if kind == 'n' {
		if _, err := d.ReadToken(); err != nil {
			return malformed(err)
		}
		v.SetZero()
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), path)
	}
	switch {
	case kind == 0:
		_, err := d.ReadToken()
		return malformed(err)
	case kind == '{' && v.Type() != timeType && v.Kind() == reflect.Struct:
		return d.object(v, path)
	case kind == '{' && v.Kind() == reflect.Map:
		return d.mapping(v, path)
	case kind == '[' && v.Kind() == reflect.Slice:
		return d.list(v, path)
	}
	token, err := d.ReadToken()
	if err != nil {
		return malformed(err)
	}
	switch {
	case kind == '"' && v.Kind() == reflect.String:
		v.SetString(token.String())
		return nil
	case (kind == 't' || kind == 'f') && v.Kind() == reflect.Bool:
		v.SetBool(kind == 't')
		return nil
	case kind == '0' && (v.CanInt() || v.CanFloat()):
		if err := SetText(v, token.String()); err != nil {
			return cannotParse("%s: %s", path, err.Error())
		}
		return nil
	case kind == '0' && v.Type() == timeType:
		if err := v.Addr().Interface().(*Time).UnmarshalJSON([]byte(token.String())); err != nil {
			return cannotParse("%s: expected a timestamp", path)
		}
		return nil
	}
	if path == "" {
		return cannotParse("the request body is not a JSON object")
	}
	return cannotParse("%s: expected %s", path, expectation(v.Type()))
}

func expectation(t reflect.Type) string {
	switch k := kind(t); k {
	case "int":
		return "an integer"
	case "float":
		return "a number"
	case "struct", "map":
		return "an object"
	default:
		return "a " + k
	}
}

func (d jsonDecoder) object(v reflect.Value, path string) error {
	if _, err := d.ReadToken(); err != nil {
		return malformed(err)
	}
	if path != "" {
		path += "."
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return malformed(err)
		}
		m := d.find(v.Type(), name.String())
		if m == nil {
			err = d.skip()
		} else {
			err = d.value(v.Field(m.index), path+m.label)
		}
		if err != nil {
			return err
		}
	}
	return d.end()
}

func (d jsonDecoder) find(t reflect.Type, wire string) *member {
	for i, m := range d.types.members[t] {
		if m.In == "json" && m.Wire == wire {
			return &d.types.members[t][i]
		}
	}
	return nil
}

func (d jsonDecoder) mapping(v reflect.Value, path string) error {
	if _, err := d.ReadToken(); err != nil {
		return malformed(err)
	}
	v.Set(reflect.MakeMap(v.Type()))
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return malformed(err)
		}
		name := token.String()
		item := reflect.New(v.Type().Elem()).Elem()
		if d.PeekKind() == 'n' {
			return cannotParse("%s: null is not a value", path)
		}
		if err := d.value(item, path+"."+name); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
	return d.end()
}

func (d jsonDecoder) list(v reflect.Value, path string) error {
	if _, err := d.ReadToken(); err != nil {
		return malformed(err)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for d.PeekKind() != ']' {
		item := reflect.New(v.Type().Elem()).Elem()
		place := path + "." + strconv.Itoa(v.Len()+1) + ".member"
		if d.PeekKind() == 'n' {
			return cannotParse("%s: null is not a value", place)
		}
		if err := d.value(item, place); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	return d.end()
}

// end reads the closing bracket.
func (d jsonDecoder) end() error {
	if _, err := d.ReadToken(); err != nil {
		return malformed(err)
	}
	return nil
}

// skip passes over the value of an unknown member, token by token so that its
// depth is limited.
func (d jsonDecoder) skip() error {
	depth := d.StackDepth()
	for {
		if _, err := d.ReadToken(); err != nil {
			return malformed(err)
		}
		switch now := d.StackDepth(); {
		case now > maxDepth:
			return cannotParse("the request body is nested deeper than %d levels", maxDepth)
		case now == depth:
			return nil
		}
	}
}

// cleanLine keeps a header value on one line.
func cleanLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
