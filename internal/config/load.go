package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Sources are the places a configuration is read from, weakest first. The
// zero value gives the defaults.
type Sources struct {
	File  string                      // path of the YAML file; "" for none
	Env   func(string) (string, bool) // os.LookupEnv, or nil
	Flags map[string][]string         // values by key, in order
}

// EnvFile is the environment variable that names the file when no flag does.
const EnvFile = "PACKHOUSE_CONFIG"

// Key describes one configuration key.
type Key struct {
	Name    string // in the file, and as --name
	Env     string
	Default string
	Value   string // placeholder
	Doc     string
	List    bool
	index   int
	enum    string
}

// Keys lists every key in order of declaration.
func Keys() []Key {
	t := reflect.TypeFor[Config]()
	keys := make([]Key, t.NumField())
	for i := range keys {
		f := t.Field(i)
		name := f.Tag.Get("key")
		keys[i] = Key{
			Name: name, Env: "PACKHOUSE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
			Default: f.Tag.Get("default"), Value: f.Tag.Get("value"), Doc: f.Tag.Get("doc"),
			List: f.Type.Kind() == reflect.Slice, index: i, enum: f.Tag.Get("enum"),
		}
	}
	return keys
}

// Load reads and validates a configuration. Everything that is wrong is told
// at once, each problem with its key, where it was set and what to do.
func Load(s Sources) (Config, error) {
	l := loader{sources: map[string]string{}, target: reflect.ValueOf(&Config{}).Elem()}
	if s.Env == nil {
		s.Env = func(string) (string, bool) { return "", false }
	}
	keys := Keys()
	for _, k := range keys {
		if k.Default != "" {
			l.set(k, "its default", k.Default)
		}
	}
	if s.File == "" {
		s.File, _ = s.Env(EnvFile)
	}
	if s.File != "" {
		if err := l.file(s.File, keys); err != nil {
			return Config{}, err
		}
	}
	for _, k := range keys {
		if text, ok := s.Env(k.Env); ok && text != "" {
			l.set(k, "environment variable "+k.Env, k.split(text)...)
		}
	}
	for _, k := range keys {
		if values := s.Flags[k.Name]; len(values) > 0 {
			var all []string
			for _, v := range values {
				all = append(all, k.split(v)...)
			}
			l.set(k, "flag --"+k.Name, all...)
		}
	}
	cfg := l.target.Interface().(Config)
	if len(l.problems) == 0 { // else half of the values would be complained about twice
		l.problems = append(l.problems, cfg.problems(l.source)...)
	}
	return cfg, errors.Join(l.problems...)
}

func (k Key) split(text string) []string {
	if !k.List {
		return []string{text}
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

type loader struct {
	target   reflect.Value
	sources  map[string]string // where a key got its value
	problems []error
}

func (l *loader) source(key string) string { return l.sources[key] }

func (l *loader) fail(key, source string, err error) {
	l.problems = append(l.problems, problem(key, source, err.Error()))
}

func problem(key, source, text string) error {
	if source == "" {
		return fmt.Errorf("%s: %s", key, text)
	}
	return fmt.Errorf("%s (from %s): %s", key, source, text)
}

// set gives a key its value. Connections are merged by name, so that a flag
// changes one address and keeps what the file says of the others.
func (l *loader) set(k Key, source string, values ...string) {
	l.sources[k.Name] = source
	field := l.target.Field(k.index)
	switch {
	case !k.List:
		if k.enum != "" && !contains(k.enum, values[0]) {
			l.fail(k.Name, source, fmt.Errorf("%q is not one of %s", values[0], k.enum))
			return
		}
		if err := setText(field, values[0]); err != nil {
			l.fail(k.Name, source, err)
		}
		return
	case k.Name != connectionKey:
		field.SetZero()
	}
	for _, text := range values {
		item := reflect.New(field.Type().Elem()).Elem()
		if err := setText(item, text); err != nil {
			l.fail(k.Name, source, err)
			continue
		}
		l.add(field, item)
	}
}

const connectionKey = "connection"

func (l *loader) add(list, item reflect.Value) {
	if c, ok := reflect.TypeAssert[Connection](item); ok {
		for i := range list.Len() {
			if old := list.Index(i).Addr().Interface().(*Connection); old.Name == c.Name {
				old.merge(c)
				return
			}
		}
	}
	list.Set(reflect.Append(list, item))
}

func (c *Connection) merge(o Connection) {
	if o.Format == "" && o.Username == "" && o.Password == "" && o.Token == "" {
		c.URL = o.URL
		return
	}
	*c = o
}

// file reads the YAML file, whose top level maps keys to values.
func (l *loader) file(path string, keys []Key) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config file: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("config file %s: %w", path, err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return nil // empty, or comments only
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("config file %s: want lines of the form key: value", path)
	}
	byName := map[string]Key{}
	for _, k := range keys {
		byName[k.Name] = k
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		name, value := top.Content[i], top.Content[i+1]
		source := fmt.Sprintf("%s line %d", path, name.Line)
		k, ok := byName[name.Value]
		switch {
		case !ok:
			l.fail(name.Value, source, errors.New("there is no such key; docs/configuration.md lists them all"))
		case seen[k.Name]:
			l.fail(k.Name, source, errors.New("is set twice in the file; keep one"))
		default:
			seen[k.Name] = true
			l.node(k, source, value)
		}
	}
	return nil
}

func (l *loader) node(k Key, source string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
	case n.Kind == yaml.ScalarNode:
		l.set(k, source, k.split(n.Value)...)
	case n.Kind == yaml.SequenceNode && k.List:
		l.set(k, source) // a list in the file replaces, as everywhere
		for _, item := range n.Content {
			l.item(k, source, item)
		}
	case k.List:
		l.fail(k.Name, source, errors.New("want a list"))
	default:
		l.fail(k.Name, source, errors.New("want one value"))
	}
}

func (l *loader) item(k Key, source string, n *yaml.Node) {
	list := l.target.Field(k.index)
	item := reflect.New(list.Type().Elem()).Elem()
	var err error
	switch c, isConnection := reflect.TypeAssert[*Connection](item.Addr()); {
	case n.Kind == yaml.ScalarNode:
		err = setText(item, n.Value)
	case n.Kind == yaml.MappingNode && isConnection:
		if err = knownFields(n, reflect.TypeFor[Connection]()); err == nil {
			err = n.Decode(c)
		}
	default:
		err = errors.New("want a list of plain values")
	}
	if err != nil {
		l.fail(k.Name, source, err)
		return
	}
	l.add(list, item)
}

// knownFields refuses members that Decode would ignore.
func knownFields(n *yaml.Node, t reflect.Type) error {
	known := map[string]bool{}
	for f := range t.Fields() {
		known[f.Tag.Get("yaml")] = true
	}
	for i := 0; i < len(n.Content); i += 2 {
		if name := n.Content[i]; !known[name.Value] {
			return fmt.Errorf("line %d: a connection has no %q, only name, format, url, username, password and token", name.Line, name.Value)
		}
	}
	return nil
}

// setText sets a value from its text.
func setText(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration; write it like 30s, 10m or 1h30m", text)
		}
		v.SetInt(int64(d))
		return nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(b)
		return nil
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
		return nil
	}
	v.SetString(text)
	return nil
}

func contains(enum, word string) bool {
	for w := range strings.SplitSeq(enum, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// UnmarshalText reads NAME=URL.
func (c *Connection) UnmarshalText(b []byte) error {
	name, url, ok := strings.Cut(string(b), "=")
	if !ok || name == "" || url == "" {
		return fmt.Errorf("%s: want NAME=URL, like public:npmjs=http://127.0.0.1:9000/", shown(string(b)))
	}
	*c = Connection{Name: name, URL: url}
	return nil
}

var sizeUnits = []struct {
	name string
	n    float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
	{"", 1},
}

// UnmarshalText reads a number with an optional unit: 500, 64MiB, 1.5GB.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || math.IsNaN(f) || f < 0 || f*u.n > math.MaxInt64/2 {
			break
		}
		*s = Size(f * u.n)
		return nil
	}
	return fmt.Errorf("%q is not a size; write it like 64MiB or 5GB", text)
}
