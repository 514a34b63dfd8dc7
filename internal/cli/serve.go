package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"packhouse/internal/app"
	"packhouse/internal/config"
	"packhouse/internal/organisation"
)

func serveCommand() command {
	args, flags := withConfig(&struct{}{})
	return command{
		name: "serve", group: serverGroup, args: args, help: "Run the server.",
		run: func(ctx context.Context, env *Env) error {
			cfg, err := flags.load(env)
			if err != nil {
				return err
			}
			return serve(ctx, env, cfg, func(_ context.Context, a *app.App) error {
				welcome(env, cfg, a)
				return nil
			})
		},
	}
}

type quickstartArgs struct {
	Print bool `name:"print" help:"Print the declarative file of the model organisation and end."`
}

func quickstartCommand() command {
	args, flags := withConfig(&quickstartArgs{})
	return command{
		name: "quickstart", group: serverGroup, args: args, help: "Run the server with the model organisation set up, and print what to type next.",
		run: func(ctx context.Context, env *Env) error {
			if own, ok := flags.own().(*quickstartArgs); ok && own.Print {
				_, err := env.Stdout.Write(organisationFile)
				return err
			}
			cfg, err := flags.load(env)
			if err != nil {
				return err
			}
			return serve(ctx, env, cfg, func(ctx context.Context, a *app.App) error { return quickstart(ctx, env, cfg, a) })
		},
	}
}

// serve runs a server until ctx ends. started is called once it answers.
func serve(ctx context.Context, env *Env, cfg config.Config, started func(context.Context, *app.App) error) error {
	a, err := app.New(ctx, cfg, app.Options{Log: env.Stderr, Version: env.Version, Prepare: started})
	if err != nil {
		return err
	}
	return errors.Join(a.Run(ctx), a.Close())
}

func welcome(env *Env, cfg config.Config, a *app.App) {
	path, created := a.Credentials()
	fmt.Fprintf(env.Stdout, "Packhouse %s serves at %s\n", env.Version, a.URL())
	if created {
		fmt.Fprintf(env.Stdout, "The first start made account %s and the user admin; the access key is in %s\n", cfg.Account, path)
	}
	fmt.Fprintf(env.Stdout, `
Next, in another terminal:

  export AWS_SHARED_CREDENTIALS_FILE=%s
  export AWS_ENDPOINT_URL=%s
%s
  packhouse create-domain --domain my-domain
  aws codeartifact list-domains --region %s
`, quote(absolute(path)), a.URL(), pathLine(), cfg.Region)
}

func quickstart(ctx context.Context, env *Env, cfg config.Config, a *app.App) error {
	f, err := organisation.Parse("organisation.yaml", organisationFile)
	if err != nil {
		return err
	}
	o := f.Domains[0]
	path, _ := a.Credentials()
	api, err := adminCaller(ctx, env, a, path)
	if err != nil {
		return err
	}
	options, err := api.options(ctx)
	if err != nil {
		return err
	}
	options.CreateOnly = true // whoever has changed something wants it so
	plan, err := organisation.Make(ctx, api, f, options)
	if err == nil {
		err = makeModel(ctx, api, plan)
	}
	if err != nil {
		return fmt.Errorf("set up the model organisation: %w", err)
	}
	state := "is there already"
	if len(plan.Changes) > 0 {
		state = "is set up"
	}
	fmt.Fprintf(env.Stdout, "Packhouse %s serves at %s\nThe model organisation, domain %s, %s:\n\n", env.Version, a.URL(), o.Name, state)
	for _, r := range o.Repositories {
		from := strings.Join(r.Upstreams, ", ")
		if len(r.ExternalConnections) > 0 {
			from = strings.Join(r.ExternalConnections, ", ")
		}
		if from == "" {
			fmt.Fprintf(env.Stdout, "  %s\n", r.Name)
			continue
		}
		fmt.Fprintf(env.Stdout, "  %-16s <- %s\n", r.Name, from)
	}
	fmt.Fprintf(env.Stdout, "\n%s", kept(o))
	for _, alarm := range f.Alarms {
		fmt.Fprintf(env.Stdout, "  %s tells the topic %s\n", alarm.Name, strings.Join(alarm.AlarmActions, ", "))
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(env.Stdout, "\n%s\n", n)
	}
	fmt.Fprintf(env.Stdout, `
Next, in another terminal (the administrator's key is in %[1]s):

  export AWS_SHARED_CREDENTIALS_FILE=%[2]s
  export AWS_ENDPOINT_URL=%[3]s
%[4]s
  packhouse login --tool npm --domain %[5]s --repository frontend-app
  npm install express        # frontend-app -> npm-internal -> npm-public -> public:npmjs

  packhouse login --tool npm --domain %[5]s --repository npm-internal
  npm publish                # at once visible through frontend-app

  aws codeartifact list-repositories --region %[6]s
`, path, quote(absolute(path)), a.URL(), pathLine(), o.Name, cfg.Region)
	return nil
}

// makeModel makes what a plan says. Retention that is refused, because by now it
// would leave nothing of a repository, does not keep the server from starting.
func makeModel(ctx context.Context, api organisation.API, plan *organisation.Plan) error {
	for _, c := range plan.Changes {
		one := organisation.Plan{Changes: []organisation.Change{c}}
		err := one.Apply(ctx, api, false, nil)
		if err != nil && c.Kind == organisation.KindRetention {
			plan.Notes = append(plan.Notes, fmt.Sprintf("without the retention of %s: %v", c.Name, err))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kept tells what a domain and its repositories keep.
func kept(d organisation.Domain) string {
	var b strings.Builder
	say := func(who string, r *organisation.Retention) {
		var rules []string
		if r.RetentionDays != nil {
			rules = append(rules, fmt.Sprintf("younger than %d days", *r.RetentionDays))
		}
		if r.MaxVersionsRetained != nil {
			rules = append(rules, fmt.Sprintf("among the newest %d of their package", *r.MaxVersionsRetained))
		}
		fmt.Fprintf(&b, "  %-16s keeps versions %s\n", who, strings.Join(rules, " or "))
	}
	for _, r := range d.Repositories {
		if r.Retention != nil {
			say(r.Name, r.Retention)
		}
	}
	if d.Retention != nil {
		say("any other", &d.Retention.Retention)
	}
	return b.String()
}

// adminCaller calls the API as the administrator whose key the first start left.
func adminCaller(ctx context.Context, env *Env, a *app.App, credentials string) (*operationCaller, error) {
	key, err := profileKey(ctx, credentials, defaultProfile)
	if err != nil {
		return nil, fmt.Errorf("the administrator's key is needed to set things up: %w", err)
	}
	return &operationCaller{services: env.Services, clients: map[string]*apiClient{}, dial: func(_ context.Context, s Service) (*apiClient, error) {
		return newAPIClient(env, s, a.LocalURL(), a.Region(), key)
	}}, nil
}

// absolute makes a path that holds in another folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// pathLine is what to type so that "packhouse" is found; empty when it is.
// "go run" deletes the program it has built, so one is built that stays.
func pathLine() string {
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	if strings.Contains(program, "go-build") {
		folder, err := os.Getwd()
		if err != nil {
			return ""
		}
		bin := quote(filepath.Join(folder, "bin"))
		return "  go -C " + quote(folder) + " build -o bin/ ./cmd/packhouse && export PATH=" + bin + ":$PATH\n"
	}
	if found, err := exec.LookPath("packhouse"); err == nil && found == program {
		return ""
	}
	return "  export PATH=" + quote(filepath.Dir(program)) + ":$PATH\n"
}

// quote makes one word of a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=+,@%", r)
		return !plain
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
