package cli

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/format"
	"packhouse/internal/format/all"
)

// tools are the clients login knows by name, with the format each speaks.
// What is written for one comes from its format.
func tools() map[string]artifact.Format {
	return map[string]artifact.Format{
		"npm": artifact.NPM, "pnpm": artifact.NPM, "yarn": artifact.NPM,
		"pip": artifact.PyPI, "uv": artifact.PyPI, "twine": artifact.PyPI, "poetry": artifact.PyPI,
		"maven": artifact.Maven, "gradle": artifact.Maven,
		"nuget": artifact.NuGet, "dotnet": artifact.NuGet,
		"gem": artifact.Ruby, "bundler": artifact.Ruby,
		"cargo": artifact.Cargo, "swift": artifact.Swift,
	}
}

// toolNames lists those this release can set up, for people.
func toolNames() string {
	var names []string
	for _, f := range all.Formats() {
		for _, s := range f.Setup(format.Target{Endpoint: "http://localhost/", Token: hiddenToken}) {
			if tools()[s.Tool] == f.Name() && !slices.Contains(names, s.Tool) {
				names = append(names, s.Tool)
			}
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

type loginArgs struct {
	clientFlags

	Tool            string  `name:"tool" required:"" placeholder:"TOOL" help:"${login_tools}."`
	Domain          string  `name:"domain" required:"" help:"Domain of the repository."`
	Repository      string  `name:"repository" required:"" help:"Repository to use."`
	DomainOwner     *string `name:"domain-owner" type:"text" placeholder:"ACCOUNT" help:"Account that owns the domain; by default your own."`
	Namespace       string  `name:"namespace" placeholder:"@SCOPE" help:"Use the repository for the packages of this scope only."`
	DurationSeconds *int64  `name:"duration-seconds" placeholder:"N" help:"How long the login lasts: 900 to 43200, or 0 for as long as your session does."`
	DryRun          bool    `name:"dry-run" help:"Show what would be written, with the token hidden."`
}

func loginCommand() command {
	args := &loginArgs{}
	return command{
		name: "login", group: serverGroup, args: args,
		help: "Write a package client's own settings, so that it uses a repository.",
		run:  func(ctx context.Context, env *Env) error { return login(ctx, env, args) },
	}
}

const hiddenToken = "[hidden]"

var scopePattern = regexp.MustCompile(`^@[a-z0-9~-][a-z0-9._~-]*$`)

func login(ctx context.Context, env *Env, args *loginArgs) error {
	wanted, ok := tools()[args.Tool]
	if !ok {
		return usagef("--tool: no tool is called %q; there are %s", args.Tool, toolNames())
	}
	var spoken format.Format
	for _, f := range all.Formats() {
		if f.Name() == wanted {
			spoken = f
		}
	}
	if spoken == nil {
		return fmt.Errorf("%s needs the format %s, which this release does not serve yet", args.Tool, wanted)
	}
	scope, err := scopeOf(args.Namespace, wanted)
	if err != nil {
		return err
	}
	token, expires, endpoint, err := args.fetch(ctx, env, wanted)
	if err != nil {
		return err
	}
	target := format.Target{Endpoint: endpoint, Token: token, Scope: scope}
	if args.DryRun {
		target.Token = hiddenToken
	}
	var snippets []format.Snippet
	for _, s := range spoken.Setup(target) {
		if s.Tool == args.Tool {
			snippets = append(snippets, s)
		}
	}
	if len(snippets) == 0 {
		return fmt.Errorf("the format %s has no settings for %s", wanted, args.Tool)
	}
	for _, s := range snippets {
		if args.DryRun {
			show(env, s)
		} else if err := apply(ctx, env, s); err != nil {
			return err
		}
	}
	if args.DryRun {
		return nil
	}
	fmt.Fprintf(env.Stdout, "Successfully configured %s to use the Packhouse repository %s\n", args.Tool, endpoint)
	if !expires.IsZero() {
		fmt.Fprintf(env.Stdout, "Login expires in %s at %s\n", inWords(time.Until(expires)), expires.Format("2006-01-02 15:04:05-07:00"))
	}
	return nil
}

func scopeOf(namespace string, f artifact.Format) (string, error) {
	switch {
	case namespace == "":
		return "", nil
	case f != artifact.NPM && f != artifact.Swift:
		return "", usagef("--namespace: only npm and swift packages have scopes")
	case f == artifact.Swift:
		return namespace, nil
	}
	if !strings.HasPrefix(namespace, "@") {
		namespace = "@" + namespace
	}
	if !scopePattern.MatchString(namespace) {
		return "", usagef("--namespace: %q is not a scope; write it like @my-company", namespace)
	}
	return namespace, nil
}

// fetch asks the API for a token and the repository's endpoint.
func (a *loginArgs) fetch(ctx context.Context, env *Env, f artifact.Format) (token string, expires time.Time, endpoint string, err error) {
	service, ok := serviceNamed(env, "codeartifact")
	if !ok {
		return "", expires, "", fmt.Errorf("this build has no codeartifact operations")
	}
	api, err := dial(ctx, env, a.clientFlags, service)
	if err != nil {
		return "", expires, "", err
	}
	who := domainArgs{a.Domain, a.DomainOwner}
	if token, expires, err = api.token(ctx, who, a.DurationSeconds); err != nil {
		return "", expires, "", err
	}
	endpoint, err = api.repositoryEndpoint(ctx, who, a.Repository, string(f))
	return token, expires, endpoint, err
}

// domainArgs name a domain.
type domainArgs struct {
	domain string
	owner  *string // nil: the caller's account
}

func (d domainArgs) input() input {
	in := input{"Domain": d.domain}
	if d.owner != nil {
		in["DomainOwner"] = *d.owner
	}
	return in
}

// token asks for an authorization token; seconds may be nil.
func (c *apiClient) token(ctx context.Context, of domainArgs, seconds *int64) (token string, expires time.Time, err error) {
	in := of.input()
	if seconds != nil {
		in["DurationSeconds"] = *seconds
	}
	answer, err := c.named(ctx, "GetAuthorizationToken", in)
	if err != nil {
		return "", expires, err
	}
	if n, ok := answer.values["expiration"].(interface{ Float64() (float64, error) }); ok {
		if seconds, err := n.Float64(); err == nil {
			expires = time.Unix(int64(seconds), 0)
		}
	}
	if token = answer.text("authorizationToken"); token == "" {
		return "", expires, fmt.Errorf("the server at %s gave no token", c.endpoint)
	}
	return token, expires, nil
}

// repositoryEndpoint asks where a repository serves a format; it ends with a
// slash.
func (c *apiClient) repositoryEndpoint(ctx context.Context, of domainArgs, repository, format string) (string, error) {
	in := of.input()
	in["Repository"], in["Format"] = repository, format
	answer, err := c.named(ctx, "GetRepositoryEndpoint", in)
	if err != nil {
		return "", err
	}
	endpoint := answer.text("repositoryEndpoint")
	if endpoint == "" {
		return "", fmt.Errorf("the server at %s gave no endpoint", c.endpoint)
	}
	return strings.TrimRight(endpoint, "/") + "/", nil
}

func serviceNamed(env *Env, name string) (Service, bool) {
	i := slices.IndexFunc(env.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return env.Services[i], true
}

// named calls an operation by its name.
func (c *apiClient) named(ctx context.Context, operation string, in input) (*object, error) {
	for _, row := range c.service.Rows {
		if row.Name() == operation {
			return c.call(ctx, row, in, nil)
		}
	}
	return nil, fmt.Errorf("no operation %s", operation)
}

func inWords(d time.Duration) string {
	d = d.Round(time.Minute)
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	plural := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case hours == 0:
		return plural(minutes, "minute")
	case minutes == 0:
		return plural(hours, "hour")
	default:
		return plural(hours, "hour") + " and " + plural(minutes, "minute")
	}
}

func show(env *Env, s format.Snippet) {
	if s.File == "" {
		for _, argv := range s.Commands {
			fmt.Fprintln(env.Stdout, strings.Join(argv, " "))
		}
		return
	}
	fmt.Fprintf(env.Stdout, "# %s\n%s\n", settingsPath(env, s.File), strings.TrimRight(s.Settings, "\n"))
}

// apply does what a snippet says: settings go into their file, and only a
// snippet without one has its commands run, since the arguments of a command
// can be read by other users of the machine.
func apply(ctx context.Context, env *Env, s format.Snippet) error {
	if s.File != "" {
		path := settingsPath(env, s.File)
		if err := mergeFile(s.File, path, s.Settings); err != nil {
			return fmt.Errorf("%s is as it was: %w", path, err)
		}
		return nil
	}
	for _, argv := range s.Commands {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the words are the format's own
		cmd.Stdout, cmd.Stderr = io.Discard, env.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("run %s: %w", argv[0], err) // the arguments hold the token
		}
	}
	return nil
}
