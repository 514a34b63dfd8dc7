package organisation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"packhouse/internal/artifact"
)

// Export reads a server into a file, or one domain of it when that is named.
// Secrets and access keys are not in it. notes tell what the server could not
// say.
func Export(ctx context.Context, api API, o Options, domain string) (f *File, notes []string, err error) {
	s := site{o.Account, o.Region}
	have, err := read(ctx, api, s, nil, domain)
	if err != nil {
		return nil, nil, err
	}
	f = &have.file
	f.tidy(s)
	for _, what := range slices.Sorted(maps.Keys(have.missing)) {
		notes = append(notes, fmt.Sprintf("%s are left out: %s", what, have.missing[what]))
	}
	if domain != "" {
		f.Domain, f.Content, f.Domains = f.Domains[0].Name, f.Domains[0].Content, nil
	}
	return f, notes, nil
}

// tidy takes out what a server has without being asked, and writes names in
// place of ARNs.
func (f *File) tidy(s site) {
	for i := range f.Domains {
		d := &f.Domains[i]
		slices.SortFunc(d.Repositories, func(a, b Repository) int { return cmp.Compare(a.Name, b.Name) })
		for j := range d.Repositories {
			r := &d.Repositories[j]
			if r.VersionPolicy != nil && *r.VersionPolicy == string(artifact.Mixed) {
				r.VersionPolicy = nil
			}
			if len(r.ExternalConnections) == 1 {
				r.ExternalConnection, r.ExternalConnections = &r.ExternalConnections[0], nil
			}
		}
		d.PackageGroups = slices.DeleteFunc(d.PackageGroups, func(g PackageGroup) bool {
			if g.Pattern != artifact.RootPattern || *g.ContactInfo != "" || *g.Description != "" {
				return false
			}
			for _, mode := range g.OriginRestrictions {
				if mode != string(artifact.GroupAllow) {
					return false
				}
			}
			return true
		})
		slices.SortFunc(d.PackageGroups, func(a, b PackageGroup) int {
			return cmp.Or(cmp.Compare(breadth(a.Pattern), breadth(b.Pattern)), cmp.Compare(a.Pattern, b.Pattern))
		})
	}
	names := map[string]string{}
	for i := range f.Policies {
		p := &f.Policies[i]
		names[s.policyARN(p.Name, *p.Path)] = p.Name
		p.Path = plainPath(p.Path)
	}
	for _, t := range f.Topics {
		names[s.topicARN(t.Name)] = t.Name
	}
	named := func(list []string) []string {
		for i, arn := range list {
			list[i] = cmp.Or(names[arn], arn)
		}
		slices.Sort(list)
		return list
	}
	for i := range f.Groups {
		f.Groups[i].Path = plainPath(f.Groups[i].Path)
		f.Groups[i].AttachedPolicies = named(f.Groups[i].AttachedPolicies)
	}
	for i := range f.Users {
		f.Users[i].Path = plainPath(f.Users[i].Path)
		f.Users[i].AttachedPolicies = named(f.Users[i].AttachedPolicies)
	}
	for i := range f.Roles {
		f.Roles[i].Path = plainPath(f.Roles[i].Path)
		f.Roles[i].AttachedPolicies = named(f.Roles[i].AttachedPolicies)
	}
	for i := range f.Alarms {
		a := &f.Alarms[i]
		a.AlarmActions, a.OKActions, a.InsufficientDataActions = named(a.AlarmActions), named(a.OKActions), named(a.InsufficientDataActions)
	}
}

func plainPath(p *string) *string {
	if p != nil && *p == "/" {
		return nil
	}
	return p
}

// Marshal writes a file. Empty values are left out, but for lists at the top
// and of a domain's repositories: those say that there shall be nothing else.
func (f *File) Marshal() ([]byte, error) {
	node, err := nodeOf(reflect.ValueOf(*f))
	if err != nil {
		return nil, err
	}
	if node == nil {
		node = &yaml.Node{Kind: yaml.MappingNode}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// nodeOf is nil for what is empty.
func nodeOf(v reflect.Value) (*yaml.Node, error) {
	switch {
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // nothing is written
		}
		if v.Type().Elem().Kind() == reflect.Int64 || v.Type().Elem().Kind() == reflect.Bool {
			return scalarNode(v.Elem()) // zero says something
		}
		return nodeOf(v.Elem())
	case v.Type() == documentType:
		return plainNode(v.Interface().(Document).Value)
	case v.Kind() == reflect.Struct:
		out := &yaml.Node{Kind: yaml.MappingNode}
		for _, m := range membersOf(v.Type()) {
			held, err := nodeOf(v.FieldByIndex(m.field))
			if err != nil {
				return nil, err
			}
			if held == nil && m.meta.required {
				held, err = scalarNode(v.FieldByIndex(m.field))
				if err != nil {
					return nil, err
				}
			}
			if held != nil {
				out.Content = append(out.Content, textNode(m.name), held)
			}
		}
		if len(out.Content) == 0 {
			return nil, nil //nolint:nilnil // nothing is written
		}
		return out, nil
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			return nil, nil //nolint:nilnil // nothing is written
		}
		out := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			one, err := nodeOf(v.Index(i))
			if err != nil {
				return nil, err
			}
			if one != nil {
				out.Content = append(out.Content, one)
			}
		}
		if v.Type().Elem().Kind() == reflect.String {
			out.Style = yaml.FlowStyle
		}
		return out, nil
	case v.Kind() == reflect.Map:
		if v.Len() == 0 {
			return nil, nil //nolint:nilnil // nothing is written
		}
		out := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, key := range keys {
			held, err := nodeOf(v.MapIndex(key))
			if err != nil {
				return nil, err
			}
			if held == nil {
				held = textNode("")
				if v.Type().Elem().Kind() == reflect.Slice {
					held = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
				}
			}
			out.Content = append(out.Content, textNode(key.String()), held)
		}
		return out, nil
	case v.Kind() == reflect.Interface:
		return plainNode(v.Interface())
	case v.IsZero():
		return nil, nil //nolint:nilnil // nothing is written
	}
	return scalarNode(v)
}

func scalarNode(v reflect.Value) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.String:
		return textNode(v.String()), nil
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.Float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: plainFloat(v.Float())}, nil
	case reflect.Slice:
		return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}, nil
	default:
		return nil, fmt.Errorf("no way to write a %s", v.Type())
	}
}

// plainFloat writes whole numbers without a point.
func plainFloat(f float64) string {
	if f == float64(int64(f)) && f < 1<<53 && f > -1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// textNode is text that reads back as text, whatever it looks like.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	probe := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if probe.ShortTag() != "!!str" || s == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	if strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	}) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plainNode writes what JSON may hold.
func plainNode(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // nothing is written
	case string:
		return textNode(v), nil
	case bool:
		return scalarNode(reflect.ValueOf(v))
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}, nil
	case int64:
		return scalarNode(reflect.ValueOf(v))
	case float64:
		return scalarNode(reflect.ValueOf(v))
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode}
		plainTexts := true
		for _, item := range v {
			one, err := plainNode(item)
			if err != nil {
				return nil, err
			}
			if one == nil {
				one = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
			}
			_, isText := item.(string)
			plainTexts = plainTexts && isText
			out.Content = append(out.Content, one)
		}
		if plainTexts {
			out.Style = yaml.FlowStyle
		}
		return out, nil
	case map[string]any:
		out := &yaml.Node{Kind: yaml.MappingNode}
		keys := slices.SortedFunc(maps.Keys(v), func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
		for _, key := range keys {
			held, err := plainNode(v[key])
			if err != nil {
				return nil, err
			}
			if held == nil {
				held = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
			}
			out.Content = append(out.Content, textNode(key), held)
		}
		return out, nil
	}
	return nil, fmt.Errorf("no way to write a %T", v)
}

// rank puts the parts of a policy in the order in which people write them.
func rank(key string) int {
	at := slices.Index([]string{"Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}, key)
	if at < 0 {
		return 100
	}
	return at
}
