package cli

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"packhouse/internal/organisation"
	"packhouse/internal/restjson"
)

// organisationFile describes the model organisation.
//
//go:embed organisation.yaml
var organisationFile []byte

type organisationArgs struct {
	clientFlags

	File   string `name:"file" short:"f" required:"" placeholder:"FILE" help:"The organisation file; - is standard input."`
	Output string `name:"output" enum:"table,json" default:"table" help:"table or json."`
}

type applyArgs struct {
	organisationArgs

	Plan  bool `name:"plan" help:"Show what would be done, and do nothing."`
	Prune bool `name:"prune" help:"Delete what the lists of the file do not have."`
	Force bool `name:"force" help:"Also take on retention that would leave nothing of a repository; with --prune, also delete repositories that hold packages and users that have access keys."`
}

func applyCommand() command {
	args := &applyArgs{}
	return command{name: "apply", group: organisationGroup, args: args, help: "Make a server what an organisation file says.", run: func(ctx context.Context, env *Env) error {
		api, plan, err := args.plan(ctx, env, args.Prune, args.Force)
		if err != nil {
			return err
		}
		if args.Plan {
			return args.show(env, plan)
		}
		if !args.Force {
			if err := plan.Blocked(); err != nil {
				return errors.Join(err, args.show(env, plan))
			}
		}
		if args.Output == "table" {
			if err := args.show(env, plan); err != nil {
				return err
			}
		}
		made := 0
		err = plan.Apply(ctx, api, args.Force, func(organisation.Change) { made++ })
		if err != nil { // said here: of a refused call Main says what the server answers, and nothing around it
			fmt.Fprintf(env.Stderr, "packhouse: %d of %d changes were made, and apply goes on where it stopped when it is run again: %v\n", made, len(plan.Changes), err)
			return errReported
		}
		if args.Output == "json" {
			return args.show(env, plan)
		}
		if made > 0 {
			fmt.Fprintln(env.Stdout, "done")
		}
		return nil
	}}
}

func diffCommand() command {
	args := &organisationArgs{}
	return command{name: "diff", group: organisationGroup, args: args, help: "Show where a server differs from an organisation file; exit 1 when it does.", run: func(ctx context.Context, env *Env) error {
		_, plan, err := args.plan(ctx, env, false, false)
		if err != nil {
			return err
		}
		if err := args.show(env, plan); err != nil || plan.Empty() {
			return err
		}
		return errReported
	}}
}

type exportArgs struct {
	clientFlags

	Domain string `name:"domain" help:"One domain alone, without users and the like."`
	Schema bool   `name:"schema" help:"Print the JSON Schema of the file and end."`
}

func exportCommand() command {
	args := &exportArgs{}
	return command{name: "export-organisation", group: organisationGroup, args: args, help: "Write the organisation file of a server, without secrets.", run: func(ctx context.Context, env *Env) error {
		if args.Schema {
			_, err := env.Stdout.Write(organisation.Schema())
			return err
		}
		api := newOperationCaller(env, args.clientFlags)
		options, err := api.options(ctx)
		if err != nil {
			return err
		}
		f, notes, err := organisation.Export(ctx, api, options, args.Domain)
		if err != nil {
			return err
		}
		for _, n := range notes {
			fmt.Fprintf(env.Stderr, "packhouse: %s\n", n)
		}
		text, err := f.Marshal()
		if err != nil {
			return err
		}
		_, err = env.Stdout.Write(text)
		return err
	}}
}

const organisationGroup = "Organisation file"

// plan reads the file and compares it with the server.
func (a *organisationArgs) plan(ctx context.Context, env *Env, prune, force bool) (*operationCaller, *organisation.Plan, error) {
	f, err := a.read(env)
	if err != nil {
		return nil, nil, err
	}
	api := newOperationCaller(env, a.clientFlags)
	options, err := api.options(ctx)
	if err != nil {
		return nil, nil, err
	}
	options.Prune, options.Force = prune, force
	plan, err := organisation.Make(ctx, api, f, options)
	return api, plan, err
}

func (a *organisationArgs) read(env *Env) (*organisation.File, error) {
	name, from := a.File, env.Stdin
	if name == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
		name, from = filepath.Base(name), file
	}
	data, err := io.ReadAll(io.LimitReader(from, organisation.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	f, err := organisation.Parse(name, data)
	if err != nil {
		return nil, usagef("the organisation file is not right:\n%w", err)
	}
	return f, nil
}

func (a *organisationArgs) show(env *Env, plan *organisation.Plan) error {
	if a.Output == "table" {
		return plan.WriteTable(env.Stdout)
	}
	e := json.NewEncoder(env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(plan)
}

// operationCaller calls operations of any service by their names alone. Of
// services that have one of the same name the first is meant, as in
// Services: TagResource is CodeArtifact's. It is safe for concurrent use.
type operationCaller struct {
	services []Service
	dial     func(ctx context.Context, s Service) (*apiClient, error)
	mu       sync.Mutex
	clients  map[string]*apiClient // by service
}

// newOperationCaller finds endpoints and credentials as every command does.
func newOperationCaller(env *Env, flags clientFlags) *operationCaller {
	quiet := *env
	c := &operationCaller{services: env.Services, clients: map[string]*apiClient{}}
	c.dial = func(ctx context.Context, s Service) (*apiClient, error) {
		api, err := dial(ctx, &quiet, flags, s)
		quiet.Stderr = io.Discard // where the credentials come from has been said
		return api, err
	}
	return c
}

func (o *operationCaller) client(ctx context.Context, s Service) (*apiClient, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c, ok := o.clients[s.Name]; ok {
		return c, nil
	}
	c, err := o.dial(ctx, s)
	if err == nil {
		o.clients[s.Name] = c
	}
	return c, err
}

// Call implements organisation.API.
func (o *operationCaller) Call(ctx context.Context, operation string, in map[string]any) (map[string]any, error) {
	for _, s := range o.services {
		at := slices.IndexFunc(s.Rows, func(row restjson.Row) bool { return row.Name() == operation })
		if at < 0 {
			continue
		}
		row := s.Rows[at]
		for name := range in {
			if !slices.ContainsFunc(row.Fields(), func(f restjson.Field) bool { return f.Name == name }) {
				return nil, fmt.Errorf("%s has no member %s in this release", operation, name)
			}
		}
		api, err := o.client(ctx, s)
		if err != nil {
			return nil, err
		}
		out, err := api.call(ctx, row, in, nil)
		var failed *callError
		if errors.As(err, &failed) && slices.Contains([]string{restjson.UnknownOperation, "InvalidAction"}, failed.Code) {
			return nil, fmt.Errorf("%w: the server at %s does not know %s", organisation.ErrUnknownOperation, api.endpoint, operation)
		}
		if err != nil {
			return nil, err
		}
		m, _ := exact(out).(map[string]any)
		return m, nil
	}
	return nil, fmt.Errorf("%w: this packhouse does not know %s", organisation.ErrUnknownOperation, operation)
}

// options tells whose account and which region the calls are for.
func (o *operationCaller) options(ctx context.Context) (organisation.Options, error) {
	me, err := o.Call(ctx, "GetCallerIdentity", nil)
	if err != nil {
		return organisation.Options{}, err
	}
	account, _ := me["Account"].(string)
	at := slices.IndexFunc(o.services, func(s Service) bool { return s.Name == "codeartifact" })
	if at < 0 {
		return organisation.Options{}, errors.New("this build has no codeartifact operations")
	}
	api, err := o.client(ctx, o.services[at])
	if err != nil {
		return organisation.Options{}, err
	}
	return organisation.Options{Account: account, Region: api.region}, nil
}

// exact is v with Go maps in place of objects; numbers stay as they came.
func exact(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.keys))
		for key, held := range v.values {
			m[key] = exact(held)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = exact(v[i])
		}
		return list
	default:
		return v
	}
}

// ErrorCode is the code of the exception.
func (e *callError) ErrorCode() string { return e.Code }
