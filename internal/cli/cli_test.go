package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/app"
	"packhouse/internal/config"
)

// house is a server with a home folder for the commands that talk to it.
type house struct {
	t      *testing.T
	app    *app.App
	data   string
	home   string
	public *httptest.Server
}

// isolate keeps the AWS settings of whoever runs the tests out.
func isolate(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CODEARTIFACT", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_DEFAULT_OUTPUT", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig",
		"PIP_CONFIG_FILE", "UV_CONFIG_FILE", "POETRY_CONFIG_DIR", "MAVEN_ARGS", "GRADLE_USER_HOME", "DOTNET_CLI_HOME", "XDG_CONFIG_HOME", "PACKHOUSE_DATA", config.EnvFile,
	} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "no-config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "no-credentials"))
	return home
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, home: isolate(t), data: filepath.Join(t.TempDir(), "data")}
	h.public = httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(h.public.Close)
	cfg, err := config.Load(config.Sources{Flags: map[string][]string{
		"data": {h.data}, "listen": {"127.0.0.1:0"}, "connection": {"public:npmjs=" + h.public.URL + "/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.app, err = app.New(t.Context(), cfg, app.Options{Log: io.Discard, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.app.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, h.app.Close()); err != nil {
			t.Error(err)
		}
	})
	path, _ := h.app.Credentials()
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_ENDPOINT_URL", h.app.URL())
	return h
}

// result is what a command left.
type result struct {
	code           int
	stdout, stderr string
}

func runCommand(ctx context.Context, home string, args ...string) result {
	var out, errs bytes.Buffer
	code := Main(ctx, Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Services: Services(),
		LookupEnv: os.LookupEnv, Home: home, Version: "test",
	})
	return result{code, out.String(), errs.String()}
}

func (h *house) run(args ...string) result {
	h.t.Helper()
	return runCommand(h.t.Context(), h.home, args...)
}

// must runs a command that has to succeed, and gives what it printed.
func (h *house) must(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	if r.code != exitOK {
		h.t.Fatalf("packhouse %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

func (h *house) domainWith(repositories ...string) {
	h.t.Helper()
	h.must("create-domain", "--domain", "my-domain")
	for _, name := range repositories {
		h.must("create-repository", "--domain", "my-domain", "--repository", name)
	}
}

func TestOperation_PrintsAsTheAWSCLI(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	got := h.must("describe-repository", "--domain", "my-domain", "--repository", "my-repo")
	_, created, _ := strings.Cut(got, `"createdTime": "`)
	created, _, _ = strings.Cut(created, `"`)
	if !strings.Contains(created, "T") {
		t.Errorf("createdTime %q is not ISO 8601", created)
	}
	want := `{
    "repository": {
        "name": "my-repo",
        "administratorAccount": "123456789012",
        "domainName": "my-domain",
        "domainOwner": "123456789012",
        "arn": "arn:aws:codeartifact:us-east-1:123456789012:repository/my-domain/my-repo",
        "upstreams": [],
        "externalConnections": [],
        "createdTime": "` + created + `"
    }
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOperation_FailedCall(t *testing.T) {
	h := open(t)
	want := result{exitFailed, "", "\nAn error occurred (ResourceNotFoundException) when calling the DescribeDomain operation: domain not found: nobodys\n"}
	if diff := cmp.Diff(want, h.run("describe-domain", "--domain", "nobodys"), cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
}

func TestCommand_WrongUsage(t *testing.T) {
	home := isolate(t)
	for _, c := range []struct{ args, want string }{
		{"describe-domain", "--domain"},
		{"no-such-command", "no-such-command"},
		{"serve --no-such-flag", "no-such-flag"},
		{"serve --account 12", "12 digits"},
		{"list-domains --output yaml", "--output"},
		{"list-domains --query [", "--query"},
		{"list-domains --cli-input-json {", "JSON"},
		{`list-domains --cli-input-json {"domain":"x"}`, "no member"},
		{"update-repository --domain my-domain --repository my-repo --upstreams name=x", "repositoryName"},
		{"list-packages --domain my-domain --repository my-repo --max-results many", "whole number"},
		{"get-package-version-asset --domain my-domain", "outfile"},
		{"login --tool npm --domain my-domain", "--repository"},
		{"login --tool cvs --domain my-domain --repository my-repo", "cvs"},
		{"login --tool npm --domain my-domain --repository my-repo --namespace @Big", "scope"},
		{"login --tool npm --domain my-domain --repository my-repo --duration-seconds soon", "duration-seconds"},
	} {
		r := runCommand(t.Context(), home, strings.Fields(c.args)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("%s: exit %d, %q, want 2 and %q", c.args, r.code, r.stderr, c.want)
		}
	}
}

func TestCommand_HelpNamesFlags(t *testing.T) {
	home := isolate(t)
	for _, c := range []struct{ args, want string }{
		{"--help", "copy-package-versions"},
		{"", "quickstart"},
		{"serve --help", "--metadata-ttl"},
		{"list-packages --help", "--package-prefix"},
		{"login --help", "--dry-run"},
		{"version", "packhouse test"},
	} {
		if r := runCommand(t.Context(), home, strings.Fields(c.args)...); r.code != exitOK || !strings.Contains(r.stdout, c.want) {
			t.Errorf("%s: exit %d, lacks %q\n%s", c.args, r.code, c.want, r.stdout)
		}
	}
}

func TestOperation_Shorthand(t *testing.T) {
	h := open(t)
	h.domainWith("one", "two")
	h.must("create-repository", "--domain", "my-domain", "--repository", "app", "--tags", "key=team,value=web", "key=stage,value=test")
	h.must("update-repository", "--domain", "my-domain", "--repository", "app", "--upstreams", "repositoryName=two", "repositoryName=one", "--description", "")
	if got := h.must("describe-repository", "--domain", "my-domain", "--repository", "app", "--query", "repository.upstreams[].repositoryName", "--output", "text"); got != "two\tone\n" {
		t.Errorf("upstreams %q", got)
	}
	arn := "arn:aws:codeartifact:us-east-1:123456789012:repository/my-domain/app"
	if got := h.must("list-tags-for-resource", "--resource-arn", arn, "--query", "sort_by(tags,&key)[].value", "--output", "text"); got != "test\tweb\n" {
		t.Errorf("tags %q", got)
	}
	h.must("update-repository", "--domain", "my-domain", "--repository", "app", "--upstreams", "[]")
	if got := h.must("describe-repository", "--domain", "my-domain", "--repository", "app", "--query", "length(repository.upstreams)"); got != "0\n" {
		t.Errorf("%s upstreams", got)
	}
	h.must("update-repository", "--cli-input-json", `{"domain":"my-domain","repository":"app","upstreams":[{"repositoryName":"one"}]}`)
	if got := h.must("describe-repository", "--domain", "my-domain", "--repository", "app", "--query", "repository.upstreams[0].repositoryName", "--output", "text"); got != "one\n" {
		t.Errorf("upstream %q", got)
	}
}

func TestOperation_Pages(t *testing.T) {
	h := open(t)
	h.domainWith("repo-1", "repo-2", "repo-3", "repo-4", "repo-5")
	names := func(args ...string) string {
		return strings.TrimSpace(h.must(append([]string{"list-repositories", "--query", "repositories[].name", "--output", "text"}, args...)...))
	}
	if got := names("--page-size", "2"); got != "repo-1\trepo-2\trepo-3\trepo-4\trepo-5" {
		t.Errorf("all: %q", got)
	}
	if got := names("--max-results", "2"); got != "repo-1\trepo-2" {
		t.Errorf("one page by hand: %q", got)
	}
	if got := names("--no-paginate"); got != "repo-1\trepo-2\trepo-3\trepo-4\trepo-5" {
		t.Errorf("no-paginate: %q", got)
	}
	var first struct{ NextToken string }
	if err := json.Unmarshal([]byte(h.must("list-repositories", "--max-items", "3", "--page-size", "2")), &first); err != nil || first.NextToken == "" {
		t.Fatalf("%v, %+v", err, first)
	}
	if got := names("--page-size", "2", "--starting-token", first.NextToken); got != "repo-4\trepo-5" {
		t.Errorf("the rest: %q", got)
	}
}

func TestOperation_Downloads(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	h.publish("my-repo", "hello", "1.0.0")
	file := filepath.Join(h.home, "package.tgz")
	got := h.must("get-package-version-asset", "--domain", "my-domain", "--repository", "my-repo", "--format", "npm", "--package", "hello", "--package-version", "1.0.0", "--asset", "package.tgz", file)
	var shown map[string]string
	if err := json.Unmarshal([]byte(got), &shown); err != nil || shown["assetName"] != "package.tgz" || shown["packageVersion"] != "1.0.0" {
		t.Errorf("%v, %s", err, got)
	}
	if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, tarball(t, "hello", "1.0.0")) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	before, err := os.ReadDir(h.home)
	if err != nil {
		t.Fatal(err)
	}
	if r := h.run("get-package-version-asset", "--domain", "my-domain", "--repository", "my-repo", "--format", "npm", "--package", "hello", "--package-version", "9.9.9", "--asset", "package.tgz", filepath.Join(h.home, "none")); r.code != exitFailed {
		t.Errorf("exit %d", r.code)
	}
	if after, err := os.ReadDir(h.home); err != nil || len(after) != len(before) {
		t.Errorf("a failed download left something: %v", after)
	}
}

func TestOperation_QueryProtocol(t *testing.T) {
	h := open(t)
	if got := h.must("get-caller-identity", "--query", "Arn", "--output", "text"); got != "arn:aws:iam::123456789012:user/admin\n" {
		t.Errorf("%q", got)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	if r := h.run("get-caller-identity"); r.code != exitFailed || !strings.Contains(r.stderr, "An error occurred (") || !strings.Contains(r.stderr, "GetCallerIdentity") {
		t.Errorf("%d %s", r.code, r.stderr)
	}
}

func TestDial_FindsEndpointAndCredentials(t *testing.T) {
	h := open(t)
	h.domainWith()
	path, _ := h.app.Credentials()
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(h.home, "profile")
	if err := os.WriteFile(profile, []byte(strings.Replace(string(key), "[default]", "[house]", 1)+"endpoint_url = "+h.app.URL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		says string
	}{
		{name: "flag", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, args: []string{"--endpoint-url", h.app.URL()}},
		{name: "service variable", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_CODEARTIFACT": h.app.URL()}},
		{name: "profile of a file", env: map[string]string{"AWS_ENDPOINT_URL": "", "AWS_SHARED_CREDENTIALS_FILE": profile}, args: []string{"--profile", "house"}},
		{name: "AWS_PROFILE", env: map[string]string{"AWS_ENDPOINT_URL": "", "AWS_SHARED_CREDENTIALS_FILE": profile, "AWS_PROFILE": "house"}},
		{name: "server's own file", env: map[string]string{"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(h.home, "none"), "PACKHOUSE_DATA": h.data}, says: "using the credentials in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			r := h.run(append([]string{"list-domains", "--query", "domains[0].name", "--output", "text"}, c.args...)...)
			if r.code != exitOK || r.stdout != "my-domain\n" || !strings.Contains(r.stderr, c.says) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestDial_NothingFound(t *testing.T) {
	home := isolate(t)
	t.Setenv("PACKHOUSE_DATA", home)
	if r := runCommand(t.Context(), home, "list-domains"); r.code != exitFailed || !strings.Contains(r.stderr, "unable to locate credentials") {
		t.Errorf("%+v", r)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	if r := runCommand(t.Context(), home, "list-domains", "--endpoint-url", "http://127.0.0.1:1"); r.code != exitFailed || !strings.Contains(r.stderr, "could not connect to the endpoint URL") {
		t.Errorf("%+v", r)
	}
}

func TestCall_TriesAgainWhenAsked(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "0")
			w.Header().Set("X-Amzn-Errortype", "ThrottlingException:http://x.test/")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, `{"domains":[]}`)
	}))
	defer srv.Close()
	r := runCommand(t.Context(), t.TempDir(), "list-domains", "--endpoint-url", srv.URL)
	if r.code != exitOK || calls != 2 {
		t.Errorf("%+v after %d calls", r, calls)
	}
}
