package awsquery

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const (
	maxParts = 16   // of a parameter's name; the deepest in IAM has five
	maxIndex = 1000 // of a list or map
)

// node is a parameter with the ones below it: "A.member.1=x" is a node A with
// a node member with a node 1 of value x.
type node struct {
	value string
	set   bool
	kids  map[string]*node
}

func (n *node) kid(name string) *node {
	if n == nil {
		return nil
	}
	return n.kids[name]
}

// tree builds the nodes. Of a repeated parameter the first value counts.
func tree(form url.Values) (*node, error) {
	root := &node{}
	for name, values := range form {
		parts := strings.Split(name, ".")
		if len(parts) > maxParts {
			return nil, fault.New(fault.Invalid, "the parameter name %s has more than %d parts", clip(name), maxParts)
		}
		n := root
		for _, p := range parts {
			next := n.kids[p]
			if next == nil {
				next = &node{}
				if n.kids == nil {
					n.kids = map[string]*node{}
				}
				n.kids[p] = next
			}
			n = next
		}
		n.value, n.set = values[0], true
	}
	return root, nil
}

// decode fills in (a pointer to a struct) from the form. Parameters it does
// not know are ignored.
func decode(form url.Values, in any) error {
	root, err := tree(form)
	if err != nil {
		return err
	}
	return structure(root, reflect.ValueOf(in).Elem(), "")
}

func structure(n *node, v reflect.Value, prefix string) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		kid := n.kid(wire(f))
		if kid == nil {
			continue
		}
		if err := value(kid, v.Field(i), prefix+wire(f)); err != nil {
			return err
		}
	}
	return nil
}

func value(n *node, v reflect.Value, path string) error {
	if v.Kind() == reflect.Pointer && kindOf(v.Type().Elem()) != scalar {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch kindOf(v.Type()) {
	case list:
		items, err := numbered(n, "member", path)
		if err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if err := value(item, v.Index(i), path+".member."+strconv.Itoa(i+1)); err != nil {
				return err
			}
		}
		return nil
	case mapping:
		items, err := numbered(n, "entry", path)
		if err != nil {
			return err
		}
		v.Set(reflect.MakeMap(v.Type()))
		for i, item := range items {
			place := path + ".entry." + strconv.Itoa(i+1)
			key, val := item.kid("key"), item.kid("value")
			if key == nil && val == nil { // some members of SNS
				key, val = item.kid("Name"), item.kid("Value")
			}
			if key == nil || val == nil {
				return fault.New(fault.Invalid, "%s: expected a key and a value", place)
			}
			held := reflect.New(v.Type().Elem()).Elem()
			if err := value(val, held, place+".value"); err != nil {
				return err
			}
			v.SetMapIndex(reflect.ValueOf(key.value).Convert(v.Type().Key()), held)
		}
		return nil
	case record:
		return structure(n, v, path+".")
	case moment:
		t, err := time.Parse(time.RFC3339, n.value)
		if err != nil {
			return fault.New(fault.Invalid, "%s: expected an ISO 8601 timestamp", path)
		}
		v.Set(reflect.ValueOf(restjson.Time{Time: t.UTC()}))
		return nil
	default:
		if !n.set {
			return fault.New(fault.Invalid, "%s: expected a plain value", path)
		}
		if n.value == "" && v.Kind() != reflect.String && v.Type() != reflect.TypeFor[*string]() {
			return nil // an empty number or boolean is an absent one
		}
		if err := restjson.SetText(v, n.value); err != nil {
			return fault.New(fault.Invalid, "%s: %s", path, err.Error())
		}
		return nil
	}
}

// numbered gives the elements of a list or map in the order of their numbers,
// which may have gaps. "Name=" is how clients write an empty one.
func numbered(n *node, word, path string) ([]*node, error) {
	if inner := n.kid(word); inner != nil {
		n = inner
	}
	if n.set && n.value != "" {
		return nil, fault.New(fault.Invalid, "%s: expected numbered elements", path)
	}
	type item struct {
		at int
		n  *node
	}
	items := make([]item, 0, len(n.kids))
	for name, kid := range n.kids {
		at, err := strconv.Atoi(name)
		if err != nil || at < 1 || at > maxIndex || name[0] == '+' || name[0] == '0' {
			return nil, fault.New(fault.Invalid, "%s: %s is not a number from 1 to %d", path, clip(name), maxIndex)
		}
		items = append(items, item{at, kid})
	}
	slices.SortFunc(items, func(a, b item) int { return a.at - b.at })
	nodes := make([]*node, len(items))
	for i, it := range items {
		nodes[i] = it.n
	}
	return nodes, nil
}

// wire is the name a field has in forms and answers.
func wire(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

type form uint8

const (
	scalar form = iota
	list
	mapping
	record
	moment
)

func kindOf(t reflect.Type) form {
	switch {
	case t == reflect.TypeFor[restjson.Time]():
		return moment
	case t.Kind() == reflect.Slice:
		return list
	case t.Kind() == reflect.Map:
		return mapping
	case t.Kind() == reflect.Struct:
		return record
	default:
		return scalar
	}
}
