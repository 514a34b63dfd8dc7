package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var anyToken = regexp.MustCompile(`[A-Za-z0-9._-]{40,}`)

func (h *house) file(name string) string {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.home, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func TestLogin_WritesAndRefreshes(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo", "other")
	if err := os.WriteFile(filepath.Join(h.home, ".npmrc"), []byte("save-exact=true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	endpoint := h.app.URL() + "/repo/123456789012/my-domain/npm/my-repo/"
	for range 2 { // the second time refreshes
		out := h.must("login", "--tool", "npm", "--domain", "my-domain", "--repository", "my-repo")
		if !strings.Contains(out, endpoint) || !strings.Contains(out, "12 hours") || anyToken.MatchString(strings.ReplaceAll(out, endpoint, "")) {
			t.Errorf("said %q", out)
		}
	}
	npmrc := h.file(".npmrc")
	if !strings.HasPrefix(npmrc, "save-exact=true\n") || strings.Count(npmrc, "registry="+endpoint+"\n") != 1 || strings.Count(npmrc, "_authToken=") != 1 {
		t.Errorf(".npmrc:\n%s", npmrc)
	}
	if info, err := os.Stat(filepath.Join(h.home, ".npmrc")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	h.must("login", "--tool", "npm", "--domain", "my-domain", "--repository", "other", "--namespace", "team")
	if npmrc = h.file(".npmrc"); !strings.Contains(npmrc, "@team:registry="+h.app.URL()+"/repo/123456789012/my-domain/npm/other/\n") || !strings.Contains(npmrc, "\nregistry="+endpoint+"\n") {
		t.Errorf(".npmrc:\n%s", npmrc)
	}
}

func TestLogin_Yarn(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	h.must("login", "--tool", "yarn", "--domain", "my-domain", "--repository", "my-repo")
	if !strings.Contains(h.file(".npmrc"), "always-auth=true") {
		t.Errorf(".npmrc:\n%s", h.file(".npmrc"))
	}
	berry := h.file(".yarnrc.yml")
	for _, want := range []string{"npmRegistryServer:", "npmAuthToken:", "npmAlwaysAuth: true", "unsafeHttpWhitelist:\n  - \"127.0.0.1\""} {
		if !strings.Contains(berry, want) {
			t.Errorf(".yarnrc.yml lacks %q:\n%s", want, berry)
		}
	}
}

func TestLogin_HonoursUserConfig(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	path := filepath.Join(h.home, "elsewhere", "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	h.must("login", "--tool", "npm", "--domain", "my-domain", "--repository", "my-repo")
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "_authToken=") {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLogin_DryRunHidesTheTokenAndWritesNothing(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	for _, tool := range []string{"npm", "pnpm", "yarn"} {
		out := h.must("login", "--tool", tool, "--domain", "my-domain", "--repository", "my-repo", "--dry-run")
		if !strings.Contains(out, hiddenToken) || strings.Contains(out, "v4.local") {
			t.Errorf("%s: %s", tool, out)
		}
	}
	if left, err := os.ReadDir(h.home); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestLogin_HelpListsWhatThereIs(t *testing.T) {
	home := isolate(t)
	r := runCommand(t.Context(), home, "login", "--help")
	for _, tool := range []string{"npm", "pnpm", "yarn", "pip", "uv", "twine", "poetry", "maven", "gradle", "nuget", "dotnet"} {
		if !strings.Contains(r.stdout, tool) {
			t.Errorf("%s is not among the tools:\n%s", tool, r.stdout)
		}
	}
	if strings.Contains(r.stdout, "curl") {
		t.Errorf("curl is no tool of login:\n%s", r.stdout)
	}
	if r := runCommand(t.Context(), home, "login", "--tool", "nope", "--domain", "d", "--repository", "r"); r.code != exitUsage || !strings.Contains(r.stderr, "there are") {
		t.Errorf("%+v", r)
	}
}

// Every tool with settings can be set up, and no file shows a token that was to
// be hidden.
func TestLogin_EveryTool(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	for tool := range strings.SplitSeq(strings.Replace(toolNames(), " or ", ", ", 1), ", ") {
		out := h.must("login", "--tool", tool, "--domain", "my-domain", "--repository", "my-repo", "--dry-run")
		if !strings.Contains(out, "hidden") || strings.Contains(out, "v4.local") || !strings.Contains(out, "# "+h.home) {
			t.Errorf("%s: %s", tool, out)
		}
		for range 2 {
			h.must("login", "--tool", tool, "--domain", "my-domain", "--repository", "my-repo")
		}
	}
}

func TestLogin_DurationAndFailure(t *testing.T) {
	h := open(t)
	h.domainWith("my-repo")
	if out := h.must("login", "--tool", "npm", "--domain", "my-domain", "--repository", "my-repo", "--duration-seconds", "3600"); !strings.Contains(out, "1 hour ") {
		t.Errorf("said %q", out)
	}
	if r := h.run("login", "--tool", "npm", "--domain", "my-domain", "--repository", "nowhere"); r.code != exitFailed || !strings.Contains(r.stderr, "GetRepositoryEndpoint") {
		t.Errorf("%+v", r)
	}
	if r := h.run("login", "--tool", "swift", "--domain", "my-domain", "--repository", "my-repo"); r.code != exitFailed || !strings.Contains(r.stderr, "not serve yet") {
		t.Errorf("%+v", r)
	}
}
