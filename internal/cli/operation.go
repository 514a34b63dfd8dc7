package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"packhouse/internal/restjson"
)

// Service is one API whose operations are sub-commands.
type Service struct {
	Name  string // SigV4 signing name: codeartifact, sts
	ID    string // as in AWS_ENDPOINT_URL_<ID> and the SDKs
	Rows  []restjson.Row
	Query string // API version of the AWS Query protocol; "" is REST-JSON or JSON
	// Target stands before the operation in the X-Amz-Target of the AWS JSON
	// protocol; "" is REST-JSON or Query.
	Target string
	// Shared are the operations whose names are those of another service too: the
	// words of their commands begin with the ID.
	Shared []string
}

// command is the word for an operation.
func (s Service) command(row restjson.Row) string {
	if slices.Contains(s.Shared, row.Name()) {
		return s.ID + "-" + kebab(row.Name())
	}
	return kebab(row.Name())
}

// clientFlags are common to everything that calls the API.
type clientFlags struct {
	EndpointURL string `name:"endpoint-url" placeholder:"URL" help:"Where the server is; by default AWS_ENDPOINT_URL_CODEARTIFACT, AWS_ENDPOINT_URL, the endpoint_url of the profile, or http://127.0.0.1:8470."`
	Region      string `name:"region" help:"Region to sign for."`
	Profile     string `name:"profile" help:"Profile of the AWS configuration files."`
}

type outputFlags struct {
	Output string `name:"output" enum:"json,text,table,csv," default:"" help:"json, text, table, or, for lists, csv."`
	Query  string `name:"query" placeholder:"JMESPATH" help:"Print this part of the answer."`
}

type pagingFlags struct {
	NoPaginate    bool    `name:"no-paginate" help:"Ask for one page only."`
	MaxItems      *int    `name:"max-items" placeholder:"N" help:"Stop after so many items and print a token to go on from."`
	PageSize      *int    `name:"page-size" placeholder:"N" help:"Items asked for in each call."`
	StartingToken *string `name:"starting-token" placeholder:"TOKEN" help:"Go on from an earlier NextToken."`
}

// operation is one row made into a sub-command.
type operation struct {
	service Service
	row     restjson.Row
	args    reflect.Value // of the struct made for kong
	fields  []restjson.Field
	flags   []string // by field: the flag's name, "" for the body
	pages   *paging
}

const (
	argClient = iota
	argOutput
	argPaging
	argInput
	argFirst // the members follow
)

// operationCommand derives a sub-command from a row.
func operationCommand(s Service, row restjson.Row) command {
	return newOperation(s, row).command(nil)
}

func newOperation(s Service, row restjson.Row) *operation {
	return &operation{service: s, row: row, fields: row.Fields(), pages: newPaging(row)}
}

// command makes the flags: of every member, and those of own, a struct that the
// field Own of args then is; it may be nil.
func (o *operation) command(own any) command {
	row := o.row
	paged := reflect.TypeFor[struct{}]()
	if o.pages != nil {
		paged = reflect.TypeFor[pagingFlags]()
	}
	fields := []reflect.StructField{
		{Name: "Client", Type: reflect.TypeFor[clientFlags](), Tag: `embed:""`},
		{Name: "Output", Type: reflect.TypeFor[outputFlags](), Tag: `embed:""`},
		{Name: "Paging", Type: paged, Tag: `embed:""`},
		{Name: "Input", Type: reflect.TypeFor[*string](), Tag: flagTag("cli-input-json", "text", "The whole input as JSON, or file://PATH; flags win.", "JSON")},
	}
	for _, f := range o.fields {
		name := kebab(f.Name)
		o.flags = append(o.flags, name)
		field := reflect.StructField{Name: "Arg" + f.Name, Type: reflect.TypeFor[*string](), Tag: flagTag(name, "text", memberHelp(f), strings.ToUpper(f.Kind))}
		switch f.Kind {
		case "list", "map", "struct":
			field.Type, field.Tag = reflect.TypeFor[[]string](), flagTag(name, "words", memberHelp(f), strings.ToUpper(f.Kind))
		case "bool":
			field.Type, field.Tag = reflect.TypeFor[*bool](), flagTag(name, "", memberHelp(f), "")+` negatable:""`
		}
		fields = append(fields, field)
	}
	if row.OutputStream() {
		fields = append(fields, reflect.StructField{Name: "Outfile", Type: reflect.TypeFor[string](), Tag: `arg:"" name:"outfile" help:"File that gets the bytes."`})
	}
	if own != nil {
		fields = append(fields, reflect.StructField{Name: "Own", Type: reflect.TypeOf(own), Tag: `embed:""`})
	}
	args := reflect.New(reflect.StructOf(fields))
	o.args = args.Elem()
	help := row.Doc()
	if help == "" {
		help = row.Name() + "."
	}
	return command{name: o.service.command(row), help: help, group: "Operations of " + o.service.Name, args: args.Interface(), run: o.run}
}

func memberHelp(f restjson.Field) string {
	var parts []string
	if f.Required {
		parts = append(parts, "required")
	}
	if f.Shape != "" {
		parts = append(parts, f.Shape)
	}
	if f.Kind == "stream" {
		parts = append(parts, "file, or - for standard input")
	}
	return strings.Join(parts, ", ")
}

// kebab is the AWS CLI's spelling of a member: DomainOwner is domain-owner,
// AssetSHA256 is asset-sha256.
func kebab(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (o *operation) run(ctx context.Context, env *Env) error {
	return o.runWith(ctx, env, nil)
}

// runWith is run with something to be done with the answer before it is
// printed; it may be nil. The answer is printed even when that fails.
func (o *operation) runWith(ctx context.Context, env *Env, use func(api *apiClient, out *object) error) error {
	flags := o.args.Field(argClient).Interface().(clientFlags)
	show := o.args.Field(argOutput).Interface().(outputFlags)
	printer, err := newPrinter(show, env)
	if err != nil {
		return err
	}
	in, file, err := o.input(env)
	if err != nil {
		return err
	}
	var body io.ReadSeeker
	if file != nil {
		defer file.Close()
		body = file
	}
	api, err := dialAs(ctx, env, flags, o.service, o.row.Unsigned())
	if err != nil {
		return err
	}
	if o.row.OutputStream() {
		out, err := api.download(ctx, o.row, in, o.args.FieldByName("Outfile").String())
		if err != nil {
			return err
		}
		return printer.print(out, nil)
	}
	out, err := o.call(ctx, api, in, body)
	if err != nil {
		return err
	}
	if use != nil {
		err = use(api, out)
	}
	return errors.Join(err, printer.print(out, o.row))
}

func (o *operation) call(ctx context.Context, api *apiClient, in input, body io.ReadSeeker) (*object, error) {
	if o.pages == nil {
		return api.call(ctx, o.row, in, body)
	}
	flags := o.args.Field(argPaging).Interface().(pagingFlags)
	if flags.NoPaginate || o.pages.manual(in) {
		return api.call(ctx, o.row, in, body)
	}
	return o.pages.all(ctx, api, in, flags)
}

// input is what a call sends, by the name of the Go field.
type input map[string]any

// input reads the command line. A stream is given back open.
func (o *operation) input(env *Env) (input, *os.File, error) {
	in := input{}
	if text, _ := reflect.TypeAssert[*string](o.args.Field(argInput)); text != nil {
		if err := o.inputJSON(in, *text); err != nil {
			return nil, nil, err
		}
	}
	var body *os.File
	for i, f := range o.fields {
		var err error
		switch v := o.args.Field(argFirst + i).Interface().(type) {
		case *string:
			switch {
			case v == nil:
			case f.Kind == "stream":
				body, err = openBody(env, *v)
			default:
				in[f.Name], err = parseText(o.flags[i], *v, f.Type)
			}
		case *bool:
			if v != nil {
				in[f.Name] = *v
			}
		case []string:
			if v != nil {
				in[f.Name], err = parseWords(o.flags[i], v, f.Type)
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	var missing []string
	for i, f := range o.fields {
		if _, given := in[f.Name]; f.Required && !given && f.In != "header" && (f.Kind != "stream" || body == nil) {
			missing = append(missing, "--"+o.flags[i])
		}
	}
	if len(missing) > 0 {
		return nil, nil, usagef("the following arguments are required: %s; see packhouse %s --help", strings.Join(missing, ", "), o.service.command(o.row))
	}
	return in, body, nil
}

func (o *operation) inputJSON(in input, text string) error {
	text, err := paramFile("cli-input-json", text)
	if err != nil {
		return err
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return usagef("--cli-input-json: not a JSON object: %w", err)
	}
	for name, value := range members {
		known := false
		for _, f := range o.fields {
			if f.Member() == name && f.Kind != "stream" {
				in[f.Name], known = value, true
			}
		}
		if !known {
			return usagef("--cli-input-json: %s has no member %q", o.row.Name(), name)
		}
	}
	return nil
}

// openBody opens a file to send. Standard input is kept in a file first: its
// hash is sent before it is.
func openBody(env *Env, path string) (*os.File, error) {
	if path != "-" {
		for _, scheme := range []string{"file://", "fileb://"} {
			path = strings.TrimPrefix(path, scheme)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, usageError{err}
		}
		return f, nil
	}
	f, err := os.CreateTemp("", "packhouse-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	if _, err := io.Copy(f, env.Stdin); err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}
