package organisation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// Position is a place in a file; both count from 1.
type Position struct{ Line, Column int }

// Problem is one thing that is wrong with a file.
type Problem struct {
	File    string
	At      Position // zero: the file as a whole
	Message string
}

// Error is "file:line:column: message", as compilers write it.
func (p Problem) Error() string {
	if p.At == (Position{}) {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.At.Line, p.At.Column, p.Message)
}

// Problems are all that is wrong with a file, by place.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// What one file may cost.
const (
	MaxFile     = 4 << 20 // bytes
	maxNodes    = 500_000 // values, those that aliases repeat counted each time
	maxDepth    = 64
	maxProblems = 20 // more are not reported
)

// Parse reads a file and checks all that can be known without a server. name is
// what errors call it. The error is Problems.
func Parse(name string, data []byte) (*File, error) {
	d := &decoder{name: name, budget: maxNodes, places: map[string]Position{}}
	f := &File{places: d.places}
	d.file(data, f)
	if len(d.problems) == 0 {
		f.check(d)
	}
	if len(d.problems) == 0 {
		return f, nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.At.Line != b.At.Line {
			return a.At.Line - b.At.Line
		}
		return a.At.Column - b.At.Column
	})
	return nil, d.problems
}

// decoder reads YAML nodes into the types of a file, and remembers where each
// value stood: places is by path, as in domains[0].repositories[2].name.
type decoder struct {
	name     string
	problems Problems
	places   map[string]Position
	budget   int
}

func (d *decoder) report(at Position, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{d.name, at, fmt.Sprintf(format, args...)})
	}
}

// at reports about the value of a path, or the nearest that holds it.
func (d *decoder) at(path, format string, args ...any) {
	place := path
	for place != "" {
		if at, ok := d.places[place]; ok {
			d.report(at, format, args...)
			return
		}
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
	d.report(Position{}, format, args...)
}

// What the YAML parser says: with a line, but for the first one. Where it is
// the grammar that is broken the line is counted from 0.
var (
	yamlError   = regexp.MustCompile(`\Ayaml: (?:line ([0-9]+): )?(.*)\z`)
	yamlGrammar = regexp.MustCompile(`\A(?:did not find expected (?:<|node content|key|'-'|',')|found (?:duplicate|incompatible|undefined) )`)
	yamlAnchor  = regexp.MustCompile(`\Aunknown anchor '(.*)' referenced\z`)
)

func (d *decoder) file(data []byte, f *File) {
	if len(data) > MaxFile {
		d.report(Position{}, "is larger than %d bytes", MaxFile)
		return
	}
	if !utf8.Valid(data) {
		d.report(Position{}, "is not UTF-8 text")
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.report(Position{1, 1}, "is empty; it wants domain or domains, see docs/organisation.md")
		return
	case err != nil:
		d.syntax(data, err)
		return
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			d.syntax(data, err)
			return
		}
		d.report(placeOf(&second), "a file has one document, and this begins another")
		return
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	d.value(root, reflect.ValueOf(f).Elem(), meta{}, "", 0)
}

// syntax reports what the YAML parser says. Where that names no line, it is
// looked for.
func (d *decoder) syntax(data []byte, err error) {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		d.report(Position{}, "is not YAML: %v", err)
		return
	}
	text, at := m[2], Position{1, 1}
	if line, err := strconv.Atoi(m[1]); err == nil {
		at.Line = line
		if yamlGrammar.MatchString(text) {
			at.Line = min(line+1, bytes.Count(bytes.TrimRight(data, " \n"), []byte("\n"))+1) // the end is a line of its own
		}
	}
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		at = placeIn(data, bytes.Index(data, []byte("*"+m[1])))
	}
	if text == "control characters are not allowed" {
		at = placeIn(data, bytes.IndexFunc(data, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r) }))
	}
	d.report(at, "is not YAML: %s", text)
}

// placeIn is the position of an offset in a file; the beginning of it when that
// is below 0.
func placeIn(data []byte, offset int) Position {
	before := data[:max(offset, 0)]
	return Position{bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}
}

func placeOf(n *yaml.Node) Position { return Position{max(n.Line, 1), max(n.Column, 1)} }

// meta is what the tags of a field say of its value.
type meta struct {
	shape, key string
	empty      string // what null means; see File
	enum       []string
	min, max   *int64
	required   bool
}

func metaOf(f reflect.StructField) meta {
	m := meta{shape: f.Tag.Get("shape"), key: f.Tag.Get("key"), empty: f.Tag.Get("empty"), required: f.Tag.Get("required") != ""}
	if e := f.Tag.Get("enum"); e != "" {
		m.enum = strings.Split(e, ",")
	}
	for _, b := range []struct {
		tag  string
		into **int64
	}{{"min", &m.min}, {"max", &m.max}} {
		if text := f.Tag.Get(b.tag); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				panic("organisation: tag of " + f.Name + ": " + err.Error())
			}
			*b.into = &n
		}
	}
	if t := f.Type; m.shape != "" && (t.Kind() == reflect.Int64 || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Int64) {
		s := shapes()[m.shape]
		m.min, m.max = &s.Min, &s.Max
	}
	return m
}

// member is one key of a type.
type member struct {
	name, alias, doc string
	meta             meta
	field            []int
	typ              reflect.Type
}

// membersOf lists the keys of a struct, those of inline ones in their place.
func membersOf(t reflect.Type) (out []member) {
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, m := range membersOf(f.Type) {
				m.field = append(slices.Clone(f.Index), m.field...)
				out = append(out, m)
			}
		case name != "":
			out = append(out, member{name, f.Tag.Get("alias"), f.Tag.Get("doc"), metaOf(f), f.Index, f.Type})
		}
	}
	return out
}

var (
	documentType = reflect.TypeFor[Document]()
	bytesType    = reflect.TypeFor[Bytes]()
)

// value reads n into v. Null is the empty value that asks for nothing.
func (d *decoder) value(n *yaml.Node, v reflect.Value, m meta, path string, depth int) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if d.spent(n, depth) {
		return
	}
	if path != "" {
		if _, ok := d.places[path]; !ok {
			d.places[path] = placeOf(n)
		}
	}
	null := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
	if v.Kind() == reflect.Pointer {
		if null && !m.required && m.empty == "none" {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
		if null && !m.required {
			if m.empty != "" && m.empty != "-" {
				n = &yaml.Node{Kind: yaml.ScalarNode, Value: m.empty, Line: n.Line, Column: n.Column}
			} else if m.empty == "" {
				return
			}
		}
	}
	switch {
	case v.Type() == documentType:
		d.document(n, v.Addr().Interface().(*Document), depth)
	case v.Type() == bytesType:
		d.bytes(n, v, m)
	case v.Kind() == reflect.Struct:
		d.object(n, v, path, depth)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		if null {
			return
		}
		if n.Kind != yaml.SequenceNode {
			d.report(placeOf(n), "want a list, not %s", kindOf(n))
			return
		}
		for i, item := range n.Content {
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(item, e, meta{shape: m.shape, enum: m.enum, required: true}, fmt.Sprintf("%s[%d]", path, i), depth+1)
			v.Set(reflect.Append(v, e))
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if null {
			return
		}
		d.keys(n, func(key, held *yaml.Node) {
			d.text(key, key.Value, meta{shape: m.key})
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(held, e, meta{shape: m.shape, required: true}, path+"."+key.Value, depth+1)
			v.SetMapIndex(reflect.ValueOf(key.Value), e)
		})
	default:
		d.scalar(n, v, m)
	}
}

// spent tells whether no further value may be read: aliases can make a small
// file a large one, and one that holds itself.
func (d *decoder) spent(n *yaml.Node, depth int) bool {
	d.budget--
	switch {
	case d.budget == -1:
		d.report(placeOf(n), "holds more than %d values", maxNodes)
	case d.budget >= 0 && depth == maxDepth+1:
		d.report(placeOf(n), "is nested more than %d deep", maxDepth)
	}
	return d.budget < 0 || depth > maxDepth
}

// object reads a mapping with known keys.
func (d *decoder) object(n *yaml.Node, v reflect.Value, path string, depth int) {
	members := membersOf(v.Type())
	seen := map[string]bool{}
	ok := d.keys(n, func(key, held *yaml.Node) {
		at := slices.IndexFunc(members, func(m member) bool { return m.name == key.Value || m.alias != "" && m.alias == key.Value })
		if at < 0 {
			d.report(placeOf(key), "unknown key %q%s", clip(key.Value), suggest(key.Value, members))
			return
		}
		m := members[at]
		if seen[m.name] {
			d.report(placeOf(key), "%s is given twice: as %s and as %s", m.name, m.name, m.alias)
			return
		}
		seen[m.name] = true
		below := m.name
		if path != "" {
			below = path + "." + m.name
		}
		d.value(held, v.FieldByIndex(m.field), m.meta, below, depth+1)
		d.places[below] = placeOf(held)
	})
	if !ok {
		return
	}
	for _, m := range members {
		if m.meta.required && !seen[m.name] {
			d.report(placeOf(n), "the key %s is missing", m.name)
		}
	}
}

// keys calls fn with each key and value of a mapping, and tells whether n is
// one.
func (d *decoder) keys(n *yaml.Node, fn func(key, held *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		d.report(placeOf(n), "want keys with values, not %s", kindOf(n))
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.report(placeOf(key), "want a plain key, not %s", kindOf(key))
		case seen[key.Value]:
			d.report(placeOf(key), "the key %q stands here twice", clip(key.Value))
		default:
			seen[key.Value] = true
			fn(key, n.Content[i+1])
		}
	}
	return true
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		return fmt.Sprintf("%q", clip(n.Value))
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "that"
}

const maxShown = 60 // characters of a bad value that are repeated

func clip(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "..."
	}
	return s
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, m meta) {
	if n.Kind != yaml.ScalarNode {
		d.report(placeOf(n), "want %s, not %s", wanted(v.Kind()), kindOf(n))
		return
	}
	tag := n.ShortTag()
	wrong := func() { d.report(placeOf(n), "want %s, not %s", wanted(v.Kind()), kindOf(n)) }
	switch v.Kind() {
	case reflect.String:
		if tag == "!!null" {
			wrong()
			return
		}
		d.text(n, n.Value, m)
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(n.Value))
		if tag != "!!bool" || err != nil {
			wrong()
			return
		}
		v.SetBool(b)
	case reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
		if tag != "!!int" || err != nil {
			wrong()
			return
		}
		d.within(n, i, m)
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if tag != "!!int" && tag != "!!float" || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			wrong()
			return
		}
		v.SetFloat(f)
	default:
		panic("organisation: no reader for " + v.Type().String())
	}
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	default:
		return "text"
	}
}

func (d *decoder) within(n *yaml.Node, i int64, m meta) {
	if m.min != nil && i < *m.min {
		d.report(placeOf(n), "%d is less than %d", i, *m.min)
	}
	if m.max != nil && i > *m.max {
		d.report(placeOf(n), "%d is more than %d", i, *m.max)
	}
}

// text holds a value to its shape.
func (d *decoder) text(n *yaml.Node, value string, m meta) {
	if len(m.enum) > 0 && !slices.Contains(m.enum, value) {
		d.report(placeOf(n), "%q is not one of %s%s", clip(value), strings.Join(m.enum, ", "), nearest(value, m.enum))
		return
	}
	if m.shape == "" {
		return
	}
	s := shapes()[m.shape]
	switch count := int64(utf8.RuneCountInString(value)); {
	case len(s.Enum) > 0:
		if !slices.Contains(s.Enum, value) {
			d.report(placeOf(n), "%q is not one of %s%s", clip(value), strings.Join(s.Enum, ", "), nearest(value, s.Enum))
		}
	case count < s.Min:
		d.report(placeOf(n), "%q is shorter than %d characters", clip(value), s.Min)
	case s.Max > 0 && count > s.Max:
		d.report(placeOf(n), "%q is longer than %d characters", clip(value), s.Max)
	case s.Pattern != "" && !s.matches.MatchString(value):
		d.report(placeOf(n), "%q is not valid here: it must match %s", clip(value), s.Pattern)
	}
}

// shape is a constraint with its pattern ready.
type shape struct {
	restjson.Shape
	matches *regexp.Regexp
}

// shapes are those of the CodeArtifact API, and of what else a file holds (the
// service models of IAM, SNS and CloudWatch).
var shapes = sync.OnceValue(func() map[string]shape {
	const name, path = `[\w+=,.@-]+`, `/|/[\x21-\x7E]+/`
	all := api.Shapes()
	maps.Copy(all, restjson.Shapes{
		"UserName": {Min: 1, Max: 64, Pattern: name}, "GroupName": {Min: 1, Max: 128, Pattern: name},
		"RoleName": {Min: 1, Max: 64, Pattern: name}, "PolicyName": {Min: 1, Max: 128, Pattern: name},
		"Path":            {Min: 1, Max: 512, Pattern: path},
		"PolicyReference": {Min: 1, Max: 2048, Pattern: `arn:\S+|[\w+=,.@-]+`},
		"TopicName":       {Min: 1, Max: 256, Pattern: `[A-Za-z0-9_-]+`},
		"TopicReference":  {Min: 1, Max: 1024, Pattern: `arn:\S+|[A-Za-z0-9_-]+`},
		"AlarmName":       {Min: 1, Max: 255, Pattern: `[^\x00-\x1F\x7F]+`}, "AlarmDescription": {Max: 1024},
		"MetricName": {Min: 1, Max: 255}, "Namespace": {Min: 1, Max: 255, Pattern: `[^:].*`}, "MetricUnit": {Min: 1, Max: 64},
		"DimensionName": {Min: 1, Max: 255, Pattern: `[^:].*`}, "DimensionValue": {Min: 1, Max: 1024},
		"Endpoint": {Min: 3, Max: 2048, Pattern: `\S+`},
	})
	out := make(map[string]shape, len(all))
	for key, s := range all {
		one := shape{Shape: s}
		if s.Pattern != "" {
			one.matches = regexp.MustCompile(`\A(?:` + s.Pattern + `)\z`)
		}
		out[key] = one
	}
	return out
})

// bytePattern is a size with a unit.
var bytePattern = regexp.MustCompile(`\A([0-9]{1,15})\s?([KMGT]i?)?B\z`)

func (d *decoder) bytes(n *yaml.Node, v reflect.Value, m meta) {
	size, err := strconv.ParseInt(n.Value, 10, 64)
	if found := bytePattern.FindStringSubmatch(n.Value); n.Kind == yaml.ScalarNode && found != nil {
		size, err = strconv.ParseInt(found[1], 10, 64)
		base, power := int64(1000), 0
		if unit := found[2]; unit != "" {
			power = strings.IndexByte("KMGT", unit[0]) + 1
			if len(unit) == 2 {
				base = 1024
			}
		}
		for range power {
			if size > math.MaxInt64/2/base {
				err = errors.New("too large")
				break
			}
			size *= base
		}
	}
	if n.Kind != yaml.ScalarNode || err != nil || size < 0 || size > 1<<62 {
		d.report(placeOf(n), "want a number of bytes such as 5000000, 500MB or 10GiB, not %s", kindOf(n))
		return
	}
	d.within(n, size, m)
	v.SetInt(size)
}

// document reads a policy: keys with values, or JSON text.
func (d *decoder) document(n *yaml.Node, into *Document, depth int) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		dec := json.NewDecoder(strings.NewReader(n.Value))
		dec.UseNumber()
		if err := dec.Decode(&into.Value); err != nil {
			d.report(placeOf(n), "want a policy, inline or as JSON text: %v", err)
			return
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			d.report(placeOf(n), "want one JSON object")
		}
		// The text is held to the rules as it stands: of an element that it has twice the value has one.
		if _, err := policy.Parse([]byte(n.Value)); err != nil {
			d.report(placeOf(n), "%s", fault.Message(err))
		}
	} else {
		into.Value = d.plain(n, depth)
	}
	if _, ok := into.Value.(map[string]any); !ok {
		d.report(placeOf(n), "want a policy, inline or as JSON text, not %s", kindOf(n))
	}
}

// plain reads any value as JSON has it. Dates are text: the Version of a policy
// looks like one.
func (d *decoder) plain(n *yaml.Node, depth int) any {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if d.spent(n, depth) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		d.keys(n, func(key, held *yaml.Node) { out[key.Value] = d.plain(held, depth+1) })
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, item := range n.Content {
			out = append(out, d.plain(item, depth+1))
		}
		return out
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return nil
		case "!!bool":
			if b, err := strconv.ParseBool(strings.ToLower(n.Value)); err == nil {
				return b
			}
		case "!!int", "!!float":
			if text := strings.ReplaceAll(n.Value, "_", ""); json.Valid([]byte(text)) {
				return json.Number(text)
			}
		}
		return n.Value
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return nil
}

// suggest names the key that was likely meant.
func suggest(word string, members []member) string {
	names := make([]string, 0, len(members))
	for _, m := range members {
		names = append(names, m.name)
	}
	if near := nearest(word, names); near != "" {
		return near
	}
	slices.Sort(names)
	return "; known are " + strings.Join(names, ", ")
}

// nearest is "; did you mean ...?" when one of the words is close.
func nearest(word string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if n := distance(strings.ToLower(clip(word)), strings.ToLower(w)); n < least && n < len(word) {
			best, least = w, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is how many letters must be added, removed or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
