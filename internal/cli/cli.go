// Package cli is the packhouse command: the server's own sub-commands, and one
// for every operation of the API.
//
// Operations are derived from their rows: flags from the members of the input,
// output in the order and spelling of `aws codeartifact`. They talk HTTP only,
// with credentials found as the AWS CLI finds them.
//
// Everything a command touches comes through Env, so tests run commands in
// their own process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"packhouse/internal/config"
	"packhouse/internal/restjson"
)

// Env is the world of one command.
type Env struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Services       []Service
	HTTP           *http.Client // nil: one made for the purpose
	LookupEnv      func(string) (string, bool)
	Home           string // the user's folder
	Version        string

	pause func(ctx context.Context, d time.Duration) error // between attempts; nil: as long as that
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // a call or check failed
	exitUsage  = 2 // the command line is wrong
)

// usageError is a wrong command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// helped ends parsing after the help has been printed.
type helped struct{}

// Main runs one command and gives the exit code. ctx ends when the process is
// asked to stop.
func Main(ctx context.Context, env Env) int {
	err := run(ctx, &env)
	if err == nil {
		return exitOK
	}
	var call *callError
	var usage usageError
	switch {
	case errors.As(err, &call):
		fmt.Fprintf(env.Stderr, "\n%s\n", call)
	case errors.As(err, &usage):
		fmt.Fprintf(env.Stderr, "packhouse: %s\n", usage)
		return exitUsage
	case errors.Is(err, errReported):
	default:
		fmt.Fprintf(env.Stderr, "packhouse: %s\n", err)
	}
	return exitFailed
}

// errReported is a failure the user has been told of.
var errReported = errors.New("reported")

// command is a sub-command: what kong fills in, and what then runs.
type command struct {
	name, help, group string
	args              any // pointer to a struct with kong tags
	run               func(ctx context.Context, env *Env) error
	// subs take the place of run in a command that has commands of its own,
	// which args declares.
	subs map[string]func(ctx context.Context, env *Env) error
}

func run(ctx context.Context, env *Env) (err error) {
	commands := []command{
		serveCommand(), quickstartCommand(), loginCommand(), uploadCommand(), downloadCommand(), whoamiCommand(), accessKeyCommand(),
		awsModelCommand(), applyCommand(), diffCommand(), exportCommand(), doctorCommand(), reportCommand(), fsckCommand(), versionCommand(),
	}
	commands = append(commands, env.operations(env.asked(commands))...)
	var root struct{}
	options := []kong.Option{
		kong.Name("packhouse"),
		kong.Description("A package repository manager that speaks the API of AWS CodeArtifact."),
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(int) { panic(helped{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"login_tools": toolNames()},
		kong.NamedMapper("words", kong.MapperFunc(words)),
		kong.NamedMapper("text", kong.MapperFunc(text)),
	}
	byName := map[string]command{}
	for _, c := range commands {
		if _, twice := byName[c.name]; twice {
			return fmt.Errorf("two commands are called %s", c.name)
		}
		byName[c.name] = c
		options = append(options, kong.DynamicCommand(c.name, c.help, c.group, c.args))
	}
	parser, err := kong.New(&root, options...)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(helped); !ok {
				panic(p)
			}
			err = nil
		}
	}()
	args := env.Args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return usagef("%w; see packhouse --help", err)
	}
	selected := parsed.Selected()
	if parent := selected.Parent; parent != nil && parent.Type == kong.CommandNode {
		return byName[parent.Name].subs[selected.Name](ctx, env)
	}
	return byName[selected.Name].run(ctx, env)
}

// operations are the commands of the operations, or of the one called asked:
// making the flags of all of them takes longer than the server's start. Help,
// and telling what a wrong word might have meant, need them all.
func (e *Env) operations(asked string) (commands []command) {
	for _, s := range e.Services {
		for _, row := range s.Rows {
			for name, operation := range shorthands() {
				if operation == row.Name() && (asked == "" || asked == name) {
					c := operationCommand(s, row)
					c.name, c.help = name, c.help+" ("+kebab(operation)+")"
					commands = append(commands, c)
				}
			}
			switch {
			case asked != "" && asked != s.command(row):
			case row.Name() == "CreateAccount":
				commands = append(commands, createAccountCommand(s, row))
			case row.Name() == "PreviewRetention":
				commands = append(commands, previewCommand(s, row))
			default:
				commands = append(commands, operationCommand(s, row))
			}
		}
	}
	return commands
}

// asked is the command that the first argument names, own being those that are
// no operations; empty when it names none.
func (e *Env) asked(own []command) string {
	if len(e.Args) == 0 {
		return ""
	}
	word := e.Args[0]
	if slices.ContainsFunc(own, func(c command) bool { return c.name == word }) {
		return word
	}
	if _, short := shorthands()[word]; short {
		return word
	}
	for _, s := range e.Services {
		if slices.ContainsFunc(s.Rows, func(row restjson.Row) bool { return s.command(row) == word }) {
			return word
		}
	}
	return ""
}

// words takes the values up to the next flag, as the AWS CLI does:
// --versions 1.0.0 1.0.1.
func words(ctx *kong.DecodeContext, target reflect.Value) error {
	values := target.Addr().Interface().(*[]string)
	before := len(*values)
	for {
		t := ctx.Scan.Peek()
		if !t.IsValue() && (t.Type != kong.UntypedToken || strings.HasPrefix(fmt.Sprint(t.Value), "--")) {
			break
		}
		*values = append(*values, fmt.Sprint(ctx.Scan.Pop().Value))
	}
	if len(*values) == before {
		return errors.New("expects a value")
	}
	return nil
}

// text takes one value whatever it looks like, and remembers that it was given
// even when it is empty.
func text(ctx *kong.DecodeContext, target reflect.Value) error {
	t := ctx.Scan.Pop()
	if t.IsEOL() {
		return errors.New("expects a value")
	}
	value := fmt.Sprint(t.Value)
	target.Set(reflect.ValueOf(&value))
	return nil
}

func (e *Env) getenv(name string) string {
	if e.LookupEnv == nil {
		return ""
	}
	v, _ := e.LookupEnv(name)
	return v
}

// client is what operations speak HTTP with.
func (e *Env) client() *http.Client {
	if e.HTTP != nil {
		return e.HTTP
	}
	return &http.Client{} // calls end with their context; a download may take long
}

// flagTag writes the tag of a kong flag.
func flagTag(name, kind, help, placeholder string) reflect.StructTag {
	var b strings.Builder
	for _, part := range [][2]string{{"name", name}, {"type", kind}, {"help", strings.ReplaceAll(help, "$", "$$")}, {"placeholder", placeholder}} {
		if part[1] != "" {
			fmt.Fprintf(&b, "%s:%q ", part[0], part[1])
		}
	}
	return reflect.StructTag(strings.TrimSpace(b.String()))
}

// configFlags are the flags of every configuration key, with --config.
type configFlags struct {
	value reflect.Value // of the struct made for kong
	keys  []config.Key
}

// withConfig makes the arguments of a command: one flag per configuration key,
// and those of own, a pointer to a struct.
func withConfig(own any) (any, configFlags) {
	keys := config.Keys()
	fields := []reflect.StructField{
		{Name: "Own", Type: reflect.TypeOf(own).Elem(), Tag: `embed:""`},
		{Name: "Config", Type: reflect.TypeFor[*string](), Tag: flagTag("config", "text", "YAML file with any of the keys.", "FILE")},
	}
	for i, k := range keys {
		field := reflect.StructField{Name: fmt.Sprintf("Key%d", i), Type: reflect.TypeFor[*string](), Tag: flagTag(k.Name, "text", k.Doc, k.Value)}
		if k.List {
			field.Type, field.Tag = reflect.TypeFor[[]string](), flagTag(k.Name, "words", k.Doc, k.Value)
		}
		fields = append(fields, field)
	}
	v := reflect.New(reflect.StructOf(fields))
	return v.Interface(), configFlags{v.Elem(), keys}
}

func (f configFlags) own() any { return f.value.Field(0).Addr().Interface() }

// load reads the configuration a command was given.
func (f configFlags) load(env *Env) (config.Config, error) {
	s := config.Sources{Env: env.LookupEnv, Flags: map[string][]string{}}
	if file, _ := reflect.TypeAssert[*string](f.value.Field(1)); file != nil {
		s.File = *file
	}
	for i, k := range f.keys {
		switch v := f.value.Field(i + 2).Interface().(type) {
		case *string:
			if v != nil {
				s.Flags[k.Name] = []string{*v}
			}
		case []string:
			s.Flags[k.Name] = v
		}
	}
	cfg, err := config.Load(s)
	if err != nil {
		return cfg, usagef("the configuration is not right:\n%w", err)
	}
	return cfg, nil
}

func versionCommand() command {
	return command{name: "version", help: "Print the version.", group: serverGroup, args: &struct{}{}, run: func(_ context.Context, env *Env) error {
		fmt.Fprintf(env.Stdout, "packhouse %s\n", env.Version)
		return nil
	}}
}

const serverGroup = "Server and client set-up"

// exists tells whether there is a file or folder of that name.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
