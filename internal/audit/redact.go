package audit

import (
	"bytes"
	"encoding"
	"io"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Hidden stands for what must not be stored, in the words of CloudTrail.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// secretWords are parts of the names of members that are never stored: keys,
// tokens, passwords, and documents, into which people write them.
var secretWords = []string{"token", "secret", "password", "credential", "document", "policy", "policies", "signature", "apikeyvalue", "headerparameters", "querystring", "pathparameter"}

// publicNames have such a part and tell nothing.
var publicNames = []string{"policyarn", "policyarns", "policyname", "policyrevision", "policyid", "policyversion", "policyusagefilter", "maxpolicy"}

func secret(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	if slices.Contains(publicNames, name) {
		return false
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// known are the members that CloudTrail calls otherwise than the wire.
var known = map[string]string{
	"domain": "domainName", "repository": "repositoryName", "format": "packageFormat", "namespace": "packageNamespace",
	"package": "packageName", "version": "packageVersion",
}

// Redact writes the input or output of an operation, a pointer to a struct bound
// by package restjson, as JSON: its members by the names that CloudTrail has,
// without those that are empty, streams left out, and nothing secret.
func Redact(v any) string {
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer && !r.IsNil() {
		r = r.Elem()
	}
	if r.Kind() != reflect.Struct {
		return ""
	}
	var out bytes.Buffer
	if err := json.MarshalWrite(&out, shown(r, 0), json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return `{}` // of strings, numbers and booleans alone: cannot fail
	}
	if out.Len() > maxJSON {
		return `{"omitted":"too long for a record"}`
	}
	return out.String()
}

const maxDepth = 6

var streamType = reflect.TypeFor[io.ReadCloser]()

// urlRest is a URL after its scheme: hooks and issuers have secrets in what
// comes before the host and after it.
var urlRest = regexp.MustCompile(`://(?:[^/?#@\s]*@)?([^/?#\s]*)[/?#]?\S*`)

// plain is a text as it goes into a record.
func plain(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return urlRest.ReplaceAllString(s, "://$1/...")
}

// shown is a value as it goes into a record; nil is left out.
func shown(v reflect.Value, depth int) any {
	if depth > maxDepth || !v.IsValid() || v.IsZero() || v.Type() == streamType {
		return nil
	}
	switch v.Kind() { //nolint:exhaustive // the rest is not bound to anything
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Pointer && v.Elem().Kind() != reflect.Struct && v.Elem().IsZero() {
			return v.Elem().Interface() // absent and zero are two things there
		}
		return shown(v.Elem(), depth)
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(time.RFC3339)
		}
		if t, ok := v.Interface().(encoding.TextMarshaler); ok {
			if text, err := t.MarshalText(); err == nil {
				return string(text)
			}
		}
		members := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := wireName(f)
			if name == "" || !f.IsExported() || v.Field(i).IsZero() {
				continue
			}
			value := any(Hidden)
			if !secret(name) && !secret(f.Name) || composite(v.Field(i)) {
				value = shown(v.Field(i), depth+1)
			}
			if value != nil {
				members[name] = value
			}
		}
		return members
	case reflect.Slice:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, shown(v.Index(i), depth+1))
		}
		return list
	case reflect.Map:
		members := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			if name := it.Key().String(); secret(name) {
				members[name] = Hidden
			} else {
				members[name] = shown(it.Value(), depth+1)
			}
		}
		return members
	case reflect.String:
		if _, hides := v.Interface().(slog.LogValuer); hides { // a type for secrets, whatever its name
			return Hidden
		}
		return plain(v.String())
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Float64:
		return v.Float()
	}
	return nil
}

// composite tells whether a member with a suspicious name is one to look into:
// its own members have names.
func composite(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.Kind() == reflect.Struct
}

// wireName is a member's name in records, empty for one that is none.
func wireName(f reflect.StructField) string {
	for _, key := range []string{"query", "json", "header"} {
		name, ok := f.Tag.Lookup(key)
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, ",")
		if better, ok := known[name]; ok && key == "query" {
			return better
		}
		return camel(name)
	}
	return ""
}

// camel turns UserName and max-results into userName and maxResults.
func camel(name string) string {
	var b strings.Builder
	upper := false
	for i, c := range name {
		switch {
		case c == '-' || c == '.':
			upper = true
			continue
		case i == 0:
			b.WriteString(strings.ToLower(string(c)))
			continue
		case upper:
			b.WriteString(strings.ToUpper(string(c)))
		default:
			b.WriteRune(c)
		}
		upper = false
	}
	return b.String()
}
