package organisation

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// SchemaID is where the published schema says it is.
const SchemaID = "https://packhouse.test/organisation.schema.json"

// Schema is the JSON Schema (draft 2020-12) of a file, made from its types. It
// knows names, types and shapes; what belongs together (references, circles)
// only Parse knows.
func Schema() []byte {
	defs := map[string]any{}
	root := schemaOf(reflect.TypeFor[File](), meta{required: true}, defs, true)
	root["$schema"], root["$id"] = "https://json-schema.org/draft/2020-12/schema", SchemaID
	root["title"] = "Packhouse organisation file"
	root["description"] = "What packhouse apply sets up. A key that is left out is not managed; an empty value asks for nothing to be there."
	root["not"] = map[string]any{"required": []string{"domain", "domains"}}
	root["$defs"] = defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("organisation: schema: " + err.Error())
	}
	return append(text, '\n')
}

// schemaOf is the schema of one type; structs are definitions of their own,
// except at the top.
func schemaOf(t reflect.Type, m meta, defs map[string]any, top bool) map[string]any {
	if t.Kind() == reflect.Pointer {
		return schemaOf(t.Elem(), m, defs, false)
	}
	kinds := func(names ...string) any {
		if !m.required && m.empty != "-" {
			names = append(names, "null")
		}
		if len(names) == 1 {
			return names[0]
		}
		return names
	}
	switch {
	case t == documentType:
		return map[string]any{"type": kinds("object", "string")}
	case t == bytesType:
		return map[string]any{"type": kinds("integer", "string"), "minimum": 0, "pattern": ecma(bytePattern.String())}
	case t.Kind() == reflect.Struct:
		if !top {
			name := strings.ToLower(t.Name()[:1]) + t.Name()[1:]
			if _, known := defs[name]; !known {
				defs[name] = nil // it may hold itself
				defs[name] = objectSchema(t, defs)
			}
			return optionally(map[string]any{"$ref": "#/$defs/" + name}, m.required)
		}
		return objectSchema(t, defs)
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": kinds("array"), "items": schemaOf(t.Elem(), meta{shape: m.shape, enum: m.enum, required: true}, defs, false)}
	case t.Kind() == reflect.Map:
		out := map[string]any{"type": kinds("object"), "additionalProperties": schemaOf(t.Elem(), meta{shape: m.shape, required: true}, defs, false)}
		if m.key != "" {
			out["propertyNames"] = textSchema(meta{shape: m.key, required: true})
		}
		return out
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": kinds("boolean")}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": kinds("number")}
	case t.Kind() == reflect.Int64:
		out := map[string]any{"type": kinds("integer")}
		if m.min != nil {
			out["minimum"] = *m.min
		}
		if m.max != nil {
			out["maximum"] = *m.max
		}
		return out
	}
	return optionally(textSchema(m), m.required)
}

func optionally(s map[string]any, required bool) map[string]any {
	if required {
		return s
	}
	return map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
}

func textSchema(m meta) map[string]any {
	out := map[string]any{"type": "string"}
	s := shapes()[m.shape]
	switch {
	case len(m.enum) > 0:
		return map[string]any{"enum": m.enum}
	case len(s.Enum) > 0:
		return map[string]any{"enum": s.Enum}
	}
	if s.Min > 0 {
		out["minLength"] = s.Min
	}
	if s.Max > 0 {
		out["maxLength"] = s.Max
	}
	if s.Pattern != "" {
		out["pattern"] = ecma(`\A(?:` + s.Pattern + `)\z`)
	}
	return out
}

// ecma writes a pattern as JavaScript has it.
func ecma(pattern string) string {
	return strings.NewReplacer(`\A`, "^", `\z`, "$").Replace(pattern)
}

func objectSchema(t reflect.Type, defs map[string]any) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, m := range membersOf(t) {
		s := schemaOf(m.typ, m.meta, defs, false)
		s["description"] = m.doc
		properties[m.name] = s
		if m.alias != "" {
			short := maps.Clone(s)
			short["description"] = "Another name of " + m.name + "."
			properties[m.alias] = short
		}
		if m.meta.required {
			required = append(required, m.name)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
