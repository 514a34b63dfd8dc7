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
)

// Export reads a server into a file, or one domain of it when that is named.
// Secrets and access keys are not in it. notes tell what the server could not
// say.
func Export(ctx context.Context, api API, o Options, domain string) (f *File, notes []string, err error) {
	s := site{account: o.Account, region: o.Region}
	have, err := read(ctx, api, s, nil, domain)
	if err != nil {
		return nil, nil, err
	}
	f = &have.file
	f.tidy(s)
	for _, what := range slices.Sorted(maps.Keys(have.missing)) {
		notes = append(notes, fmt.Sprintf("without %s: %s", what, have.missing[what]))
	}
	if domain != "" {
		f.Domain, f.Content, f.Domains = f.Domains[0].Name, f.Domains[0].Content, nil
	}
	return f, notes, nil
}

// tidy sorts, and writes names in place of ARNs.
func (f *File) tidy(s site) {
	for i := range f.Domains {
		d := &f.Domains[i]
		slices.SortFunc(d.Repositories, func(a, b Repository) int { return cmp.Compare(a.Name, b.Name) })
		for j := range d.Repositories {
			r := &d.Repositories[j]
			if len(r.ExternalConnections) == 1 {
				r.ExternalConnection, r.ExternalConnections = &r.ExternalConnections[0], nil
			}
		}
		slices.SortFunc(d.PackageGroups, func(a, b PackageGroup) int {
			return cmp.Or(cmp.Compare(breadth(a.Pattern), breadth(b.Pattern)), cmp.Compare(a.Pattern, b.Pattern))
		})
	}
	names := map[string]string{}
	for i := range f.Policies {
		names[s.policyARN(f.Policies[i].Name, *f.Policies[i].Path)] = f.Policies[i].Name
	}
	for _, t := range f.Topics {
		slices.SortFunc(t.Subscriptions, func(a, b Subscription) int {
			return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Endpoint, b.Endpoint))
		})
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
		f.Groups[i].AttachedPolicies = named(f.Groups[i].AttachedPolicies)
	}
	for i := range f.Users {
		f.Users[i].AttachedPolicies = named(f.Users[i].AttachedPolicies)
	}
	for i := range f.Roles {
		f.Roles[i].AttachedPolicies = named(f.Roles[i].AttachedPolicies)
	}
	for i := range f.Alarms {
		a := &f.Alarms[i]
		a.AlarmActions, a.OKActions, a.InsufficientDataActions = named(a.AlarmActions), named(a.OKActions), named(a.InsufficientDataActions)
	}
}

// Marshal writes a file. What is nil, a key that the file does not have, is left
// out; what is empty is written, as it says that there shall be nothing.
func (f *File) Marshal() ([]byte, error) {
	written := *f
	if f.Domain != "" && len(f.Domains) == 1 { // as Parse leaves it
		written.Content, written.Domains = f.Domains[0].Content, nil
	}
	node, err := nodeOf(reflect.ValueOf(written))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

func nodeOf(v reflect.Value) (*yaml.Node, error) {
	switch {
	case v.Kind() == reflect.Pointer:
		return nodeOf(v.Elem())
	case v.Type() == documentType:
		return plainNode(v.Interface().(Document).Value)
	case v.Kind() == reflect.Struct:
		out := mapping()
		for _, m := range membersOf(v.Type()) {
			held := v.FieldByIndex(m.field)
			if absent(held) && !m.meta.required {
				continue
			}
			node, err := nodeOf(held)
			if err != nil {
				return nil, err
			}
			if held.Kind() == reflect.Pointer && held.Elem().Kind() == reflect.String && held.Elem().Len() == 0 && !m.meta.takesEmpty() {
				node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
			}
			out.Content = append(out.Content, textNode(m.name), node)
		}
		return out, nil
	case v.Kind() == reflect.Slice:
		out := sequence()
		if v.Len() == 0 || v.Type().Elem().Kind() == reflect.String {
			out.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			one, err := nodeOf(v.Index(i))
			if err != nil {
				return nil, err
			}
			out.Content = append(out.Content, one)
		}
		return out, nil
	case v.Kind() == reflect.Map:
		out := mapping()
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, key := range keys {
			held, err := nodeOf(v.MapIndex(key))
			if err != nil {
				return nil, err
			}
			out.Content = append(out.Content, textNode(key.String()), held)
		}
		return out, nil
	}
	return scalarNode(v)
}

// takesEmpty tells whether "" may be written; null always may.
func (m meta) takesEmpty() bool {
	s := shapes()[m.shape]
	return s.Min == 0 && len(s.Enum) == 0 && len(m.enum) == 0 && (s.Pattern == "" || s.matches.MatchString(""))
}

// absent tells whether a key is not there: nil, or a plain value that is empty.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	default:
		return v.IsZero()
	}
}

func mapping() *yaml.Node  { return &yaml.Node{Kind: yaml.MappingNode} }
func sequence() *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode} }

func scalarNode(v reflect.Value) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.String:
		return textNode(v.String()), nil
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.Float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: plainFloat(v.Float())}, nil
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
	old := []string{"y", "n", "yes", "no", "on", "off"} // true and false before YAML 1.2
	if probe.ShortTag() != "!!str" || s == "" || slices.Contains(old, strings.ToLower(s)) {
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
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
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
