package cli

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"packhouse/internal/control/api"
	"packhouse/internal/restjson"
)

// The aws command and boto3 merge a file "service-2.sdk-extras.json" into their
// own model of a service, found in ~/.aws/models or in AWS_DATA_PATH. What we
// have beyond that model is read off the operation table: nothing is written
// down twice. Maps are merged and lists replaced, so the list of required
// members of a shape of AWS is never touched.

// awsShapes lists the structures of AWS's model of CodeArtifact with their
// members, one a line. A test writes it from the SDK.
//
//go:embed awsmodel/codeartifact.txt
var awsShapes string

// awsEvents lists the operations of AWS's model of EventBridge. A story compares
// it with that of the aws command.
//
//go:embed awsmodel/events.txt
var awsEvents string

// modelled is a service that has more here than at AWS.
type modelled struct {
	service string // as the aws command calls it
	version string // of AWS's model
	result  string // how the names of outputs end
	known   knownShapes
	whole   []string // operations that are AWS's as they are
	limits  restjson.Shapes
	errors  []string
}

func modelledServices() []modelled {
	return []modelled{
		{
			service: "codeartifact", version: "2018-09-22", result: "Result", known: parseShapes(awsShapes), limits: api.Shapes(),
			errors: []string{
				"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException",
				"ServiceQuotaExceededException", "ThrottlingException", "ValidationException",
			},
		},
		{service: "events", version: "2015-10-07", result: "Response", whole: strings.Fields(awsEvents), errors: []string{"InternalException", "ResourceNotFoundException"}},
	}
}

const modelFile = "service-2.sdk-extras.json"

type awsModelArgs struct {
	Install struct {
		Dir   string `name:"dir" placeholder:"DIR" help:"Folder of models; by default ~/.aws/models. Another one must be named in AWS_DATA_PATH."`
		Check bool   `name:"check" help:"Write nothing; exit with 1 when the file is not there or not the one of this version."`
	} `cmd:"" help:"Teach the aws command and boto3 of this user what Packhouse adds."`
	Print struct {
		Service string `name:"service" enum:"codeartifact,events" default:"codeartifact" help:"codeartifact or events."`
	} `cmd:"" help:"Print what install writes."`
}

func awsModelCommand() command {
	args := &awsModelArgs{}
	return command{
		name: "aws-model", group: serverGroup, args: args, help: "Teach the aws command and boto3 what Packhouse adds to CodeArtifact.",
		subs: map[string]func(context.Context, *Env) error{
			"install": func(_ context.Context, env *Env) error {
				return installModel(env, args.Install.Dir, args.Install.Check)
			},
			"print": func(_ context.Context, env *Env) error {
				i := slices.IndexFunc(modelledServices(), func(m modelled) bool { return m.service == args.Print.Service })
				text, err := modelledServices()[i].text(env)
				if err == nil {
					_, err = env.Stdout.Write(text)
				}
				return err
			},
		},
	}
}

func installModel(env *Env, dir string, check bool) error {
	usual := filepath.Join(env.Home, ".aws", "models")
	elsewhere := dir != "" && filepath.Clean(dir) != usual
	if dir == "" {
		dir = usual
	}
	for _, m := range modelledServices() {
		text, err := m.text(env)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, m.service, m.version, modelFile)
		if check {
			if there, err := os.ReadFile(path); err != nil {
				return fmt.Errorf("%w; packhouse aws-model install writes it", err)
			} else if !bytes.Equal(there, text) {
				return fmt.Errorf("%s is not the one of this version; packhouse aws-model install writes it", path)
			}
			fmt.Fprintf(env.Stdout, "%s is up to date\n", path)
			continue
		}
		if err := replaceFile(path, text, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		fmt.Fprintf(env.Stdout, "Wrote %s\n", path)
	}
	if elsewhere && !check {
		fmt.Fprintf(env.Stdout, "The aws command reads them where AWS_DATA_PATH names the folder:\n\n  export AWS_DATA_PATH=%s\n", quote(absolute(dir)))
	}
	return nil
}

// text is the file for a service.
func (m modelled) text(env *Env) ([]byte, error) {
	service, ok := serviceNamed(env, m.service)
	if !ok {
		return nil, fmt.Errorf("this build has no %s operations", m.service)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(m.extras(service.Rows))
	return b.Bytes(), err
}

// knownShapes are the members of AWS's structures.
type knownShapes map[string]map[string]bool

func parseShapes(text string) knownShapes {
	known := knownShapes{}
	for line := range strings.Lines(text) {
		name, members, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		known[name] = map[string]bool{}
		for m := range strings.FieldsSeq(members) {
			known[name][m] = true
		}
	}
	return known
}

// modelExtras is the file: a part of a model of botocore.
type modelExtras struct {
	Version float64 `json:"version"`
	Merge   struct {
		Operations map[string]modelOperation `json:"operations,omitempty"`
		Shapes     map[string]*modelShape    `json:"shapes,omitempty"`
	} `json:"merge"`
}

type modelOperation struct {
	Name          string     `json:"name"`
	HTTP          modelHTTP  `json:"http"`
	Input         modelRef   `json:"input"`
	Output        modelRef   `json:"output"`
	Errors        []modelRef `json:"errors"`
	Documentation string     `json:"documentation"`
}

type modelHTTP struct {
	Method     string `json:"method"`
	RequestURI string `json:"requestUri"`
}

type modelRef struct {
	Shape        string `json:"shape"`
	Location     string `json:"location,omitempty"`
	LocationName string `json:"locationName,omitempty"`
}

type modelShape struct {
	Type      string              `json:"type,omitempty"` // not of a shape of AWS
	Required  []string            `json:"required,omitempty"`
	Members   map[string]modelRef `json:"members,omitempty"`
	Payload   string              `json:"payload,omitempty"`
	Member    *modelRef           `json:"member,omitempty"`
	Key       *modelRef           `json:"key,omitempty"`
	Value     *modelRef           `json:"value,omitempty"`
	Enum      []string            `json:"enum,omitempty"`
	Min       *int64              `json:"min,omitempty"`
	Max       *int64              `json:"max,omitempty"`
	Box       bool                `json:"box,omitempty"`
	Streaming bool                `json:"streaming,omitempty"`
}

// modelWriter collects what AWS's model lacks.
type modelWriter struct {
	known  knownShapes
	limits restjson.Shapes
	out    *modelExtras
	seen   map[reflect.Type]bool
}

// extras is what rows have beyond AWS's model.
func (m modelled) extras(rows []restjson.Row) *modelExtras {
	w := &modelWriter{known: m.known, limits: m.limits, out: &modelExtras{Version: 1}, seen: map[reflect.Type]bool{}}
	w.out.Merge.Operations, w.out.Merge.Shapes = map[string]modelOperation{}, map[string]*modelShape{}
	for _, row := range rows {
		if slices.Contains(m.whole, row.Name()) {
			continue
		}
		in, out := row.Name()+"Request", row.Name()+m.result
		if _, ok := m.known[in]; !ok {
			w.out.Merge.Operations[row.Name()] = newModelOperation(row, in, out, m.errors)
		}
		w.top(in, row.Fields(), true)
		w.top(out, row.OutputFields(), false)
	}
	return w.out
}

func newModelOperation(row restjson.Row, in, out string, errors []string) modelOperation {
	doc := strings.TrimSuffix(row.Doc(), ".")
	first, size := utf8.DecodeRuneInString(doc)
	doc = "<p>" + html.EscapeString(string(unicode.ToUpper(first))+doc[size:]) + ".</p><p>An operation of Packhouse that AWS has not.</p>"
	o := modelOperation{
		Name: row.Name(), HTTP: modelHTTP{row.Method(), row.Path()},
		Input: modelRef{Shape: in}, Output: modelRef{Shape: out}, Documentation: doc,
	}
	for _, name := range errors {
		o.Errors = append(o.Errors, modelRef{Shape: name})
	}
	return o
}

// top writes the input or output of an operation, or what AWS's has not.
func (w *modelWriter) top(name string, fields []restjson.Field, input bool) {
	known, ofAWS := w.known[name]
	s := &modelShape{Members: map[string]modelRef{}}
	if !ofAWS {
		s.Type = "structure"
	}
	for _, f := range fields {
		if known[f.Member()] {
			w.nested(f.Type)
			continue
		}
		if f.Wire == "Content-Length" { // of HTTP itself
			continue
		}
		ref, member := w.ref(f.Type, f.Shape), f.Member()
		switch f.In {
		case "query":
			ref.Location, ref.LocationName = "querystring", f.Wire
		case "header":
			ref.Location, ref.LocationName = "header", f.Wire
		case "body":
			s.Payload = member
		default:
			member = f.Wire
		}
		s.Members[member] = ref
		if input && f.Required && !ofAWS {
			s.Required = append(s.Required, member)
		}
	}
	if !ofAWS || len(s.Members) > 0 {
		w.out.Merge.Shapes[name] = s
	}
}

// nested writes what is new below a type that AWS has too.
func (w *modelWriter) nested(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[restjson.Time]() {
		return
	}
	if _, ok := w.known[t.Name()]; ok {
		w.structure(t)
	}
}

// structure writes a nested structure, or the members that AWS's has not.
func (w *modelWriter) structure(t reflect.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	known, ofAWS := w.known[t.Name()]
	s := &modelShape{Members: map[string]modelRef{}}
	if !ofAWS {
		s.Type = "structure"
	}
	for f := range t.Fields() {
		member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if known[member] {
			w.nested(f.Type)
			continue
		}
		s.Members[member] = w.ref(f.Type, f.Tag.Get("validate"))
		if f.Tag.Get("required") != "" && !ofAWS {
			s.Required = append(s.Required, member)
		}
	}
	if !ofAWS || len(s.Members) > 0 {
		w.out.Merge.Shapes[t.Name()] = s
	}
}

// ref gives the shape of a member and writes what it needs. Shapes that are no
// structures have names that AWS does not use: theirs may differ.
func (w *modelWriter) ref(t reflect.Type, limit string) modelRef {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &modelShape{}
	name := limit
	switch {
	case t == reflect.TypeFor[restjson.Time]():
		name, s.Type = "Time", "timestamp"
	case t.Kind() == reflect.Interface:
		name, s.Type, s.Streaming = "Stream", "blob", true
	case t.Kind() == reflect.Struct:
		w.structure(t)
		return modelRef{Shape: t.Name()}
	case t.Kind() == reflect.Slice:
		element := w.ref(t.Elem(), w.limits[limit].Member)
		if name == "" {
			name = strings.TrimPrefix(element.Shape, ours) + "List"
		}
		s.Type, s.Member = "list", &element
	case t.Kind() == reflect.Map:
		key, value := w.ref(t.Key(), w.limits[limit].Key), w.ref(t.Elem(), w.limits[limit].Member)
		if name == "" {
			name = strings.TrimPrefix(value.Shape, ours) + "Map"
		}
		s.Type, s.Key, s.Value = "map", &key, &value
	case t.Kind() == reflect.Bool:
		name, s.Type, s.Box = "Boolean", "boolean", true
	case t.Kind() == reflect.String:
		s.Type = "string"
	case t.Kind() == reflect.Float64:
		s.Type, s.Box = "double", true
	case t.Kind() == reflect.Int32:
		s.Type, s.Box = "integer", true
	default:
		s.Type, s.Box = "long", true
	}
	if name == "" {
		name = string(unicode.ToUpper(rune(s.Type[0]))) + s.Type[1:]
	}
	if l, ok := w.limits[limit]; ok {
		s.Enum = l.Enum
		if l.Min != 0 {
			s.Min = &l.Min
		}
		if l.Max != 0 {
			s.Max = &l.Max
		}
	}
	w.out.Merge.Shapes[ours+name] = s
	return modelRef{Shape: ours + name}
}

// ours begins the names of shapes that AWS may have under the same word.
const ours = "Packhouse"
