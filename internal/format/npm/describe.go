package npm

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Describe implements registry.Ecosystem (section 11.9). Members of a shape
// nobody documented are passed over: old packages have many.
func (Format) Describe(c artifact.Coordinates, manifest []byte) (artifact.Details, error) {
	d := artifact.Details{DisplayName: fullName(c)}
	cur, ok := walk(manifest)
	if !ok {
		return d, fault.New(fault.Internal, "the stored manifest of %s is not an object", fullName(c))
	}
	optional := map[string]bool{}
	for m, more := cur.next(); more; m, more = cur.next() {
		v := m.value.of(manifest)
		switch string(m.name) {
		case "description":
			d.Summary = string(unquoted(v))
		case "homepage":
			d.HomePage = string(unquoted(v))
		case "repository":
			d.Source = textOr(v, "url")
		case "license", "licenses":
			d.Licenses = append(d.Licenses, licenses(v)...)
		case "dependencies":
			d.Dependencies = dependencies(d.Dependencies, v, "regular")
		case "devDependencies":
			d.Dependencies = dependencies(d.Dependencies, v, "dev")
		case "peerDependencies":
			d.Dependencies = dependencies(d.Dependencies, v, "peer")
		case "optionalDependencies":
			before := len(d.Dependencies)
			d.Dependencies = dependencies(d.Dependencies, v, "optional")
			for _, o := range d.Dependencies[before:] {
				optional[o.Namespace+"/"+o.Package] = true
			}
		}
	}
	if len(optional) > 0 { // npm lists them among the regular ones too
		kept := d.Dependencies[:0]
		for _, o := range d.Dependencies {
			if o.Type != "regular" || !optional[o.Namespace+"/"+o.Package] {
				kept = append(kept, o)
			}
		}
		d.Dependencies = kept
	}
	return d, nil
}

// textOr gives a string, or the named member of an object.
func textOr(v []byte, name string) string {
	if text := unquoted(v); text != nil {
		return string(text)
	}
	return stringMember(v, name)
}

// licenses reads "MIT", {"type","url"} (or name) and arrays of either.
func licenses(v []byte) []artifact.License {
	if len(v) == 0 {
		return nil
	}
	switch v[0] {
	case '"':
		if name := string(unquoted(v)); name != "" {
			return []artifact.License{{Name: name}}
		}
	case '{':
		l := artifact.License{Name: stringMember(v, "type"), URL: stringMember(v, "url")}
		if l.Name == "" {
			l.Name = stringMember(v, "name")
		}
		if l != (artifact.License{}) {
			return []artifact.License{l}
		}
	case '[':
		var items []jsontext.Value
		if json.Unmarshal(v, &items, jsontext.AllowInvalidUTF8(true)) != nil {
			return nil
		}
		var all []artifact.License
		for _, item := range items {
			if item.Kind() != '[' {
				all = append(all, licenses(item)...)
			}
		}
		return all
	}
	return nil
}

func dependencies(list []artifact.Dependency, v []byte, kind string) []artifact.Dependency {
	c, ok := walk(v)
	if !ok {
		return list
	}
	for m, more := c.next(); more; m, more = c.next() {
		scope, name := "", string(m.name)
		if s, n, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(s, "@") {
			scope, name = s[1:], n
		}
		list = append(list, artifact.Dependency{Namespace: scope, Package: name, Type: kind, Requirement: string(unquoted(m.value.of(v)))})
	}
	return list
}
