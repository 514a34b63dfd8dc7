package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"

	"packhouse/internal/identity"
	"packhouse/internal/identity/oidctest"
)

// issuers are those of a story by name.
type issuers map[string]*oidctest.Issuer

// cmdIssuer is
//
//	issuer NAME
//
// It starts an issuer of identity tokens and sets $NAME_URL, and $NAME_HOST
// without the scheme.
func (s *story) cmdIssuer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: issuer NAME")
	}
	i := oidctest.New(s.t, "")
	if s.issuers == nil {
		s.issuers = issuers{}
	}
	s.issuers[args[0]] = i
	name := strings.ToUpper(args[0])
	ts.Setenv(name+"_URL", i.URL)
	ts.Setenv(name+"_HOST", identity.ProviderName(i.URL))
}

// jobSecret is what a runner of GitHub gives a job to ask for its identity with.
const jobSecret = "asking-is-allowed"

// cmdIdentity is
//
//	identity ISSUER CLAIM=VALUE...
//
// It makes the next job one of these claims: in $IDENTITY_TOKEN for the audience
// "packhouse", as GitLab does it, and for any audience behind
// $ACTIONS_ID_TOKEN_REQUEST_URL, as GitHub does it. A VALUE that begins with a
// brace, bracket, quote or digit is JSON.
func (s *story) cmdIdentity(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || s.issuers[args[0]] == nil {
		ts.Fatalf("usage: identity ISSUER CLAIM=VALUE...")
	}
	i := s.issuers[args[0]]
	more := map[string]any{}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		more[name] = value
		if value != "" && strings.ContainsRune(`{["0123456789`, rune(value[0])) {
			var v any
			ts.Check(json.Unmarshal([]byte(value), &v))
			more[name] = v
		}
	}
	token := func(audience string) string { return i.Token(s.t, audience, "", time.Now(), more) }
	i.Override("/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer "+jobSecret {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": token(r.URL.Query().Get("audience"))}) // the job notices
	})
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", i.URL+"/token?api-version=2.0")
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", jobSecret)
	ts.Setenv("IDENTITY_TOKEN", token("packhouse"))
}

// titled are the blocks of a page whose first line is "# NAME".
var titled = regexp.MustCompile("(?ms)^```[a-z]+\n# ([-a-z./]+)\n(.*?)^```$")

// cmdFollow is
//
//	[!] follow PAGE NAME OLD=NEW...
//
// It does what the block NAME of a page of docs says, with every OLD in it
// replaced: a shell script, or the job of a workflow of GitHub or GitLab with its
// variables. Steps of others (uses:) are left out. What was printed is in
// $WORK/.tmp/followed.
func (s *story) cmdFollow(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: follow PAGE NAME OLD=NEW...")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", args[0]))
	ts.Check(err)
	text := ""
	for _, found := range titled.FindAllStringSubmatch(string(page), -1) {
		if found[1] == args[1] {
			text = found[2]
		}
	}
	if text == "" {
		ts.Fatalf("%s has no block %s", args[0], args[1])
	}
	for _, arg := range args[2:] {
		before, after, _ := strings.Cut(arg, "=")
		if !strings.Contains(text, before) {
			ts.Fatalf("block %s of %s has no %q", args[1], args[0], before)
		}
		text = strings.ReplaceAll(text, before, after)
	}
	script, vars := text, map[string]string{}
	if strings.HasSuffix(args[1], ".yml") {
		script, vars, err = readJob(text)
		ts.Check(err)
	}
	cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_PAGER", "AWS_MAX_ATTEMPTS",
		"AWS_ENDPOINT_URL", "NO_PROXY", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
		"npm_config_globalconfig", "npm_config_cache", "npm_config_update_notifier",
		"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "IDENTITY_TOKEN",
	} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		cmd.Env = append(cmd.Env, name+"="+vars[name])
	}
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(ts.Getenv("WORK"), "followed")), out, 0o644))
	switch {
	case err != nil && !neg:
		ts.Fatalf("block %s of %s: %v", args[1], args[0], err)
	case err == nil && neg:
		ts.Fatalf("block %s of %s succeeded", args[1], args[0])
	}
}

// readJob takes the one job of a workflow apart: its lines for a shell, and its
// variables.
func readJob(text string) (script string, vars map[string]string, err error) {
	type job struct {
		Env       map[string]string `yaml:"env"`
		Variables map[string]string `yaml:"variables"`
		Script    []string          `yaml:"script"`
		Steps     []struct {
			Run string `yaml:"run"`
		} `yaml:"steps"`
	}
	var github struct {
		Jobs map[string]job `yaml:"jobs"`
	}
	if err := yaml.Unmarshal([]byte(text), &github); err != nil {
		return "", nil, err
	}
	jobs := github.Jobs
	if len(jobs) == 0 {
		if err := yaml.Unmarshal([]byte(text), &jobs); err != nil {
			return "", nil, err
		}
	}
	if len(jobs) != 1 {
		return "", nil, fmt.Errorf("%d jobs", len(jobs))
	}
	for _, j := range jobs {
		vars = j.Env
		lines := j.Script
		for _, step := range j.Steps {
			lines = append(lines, step.Run)
		}
		if len(j.Steps) == 0 {
			vars = j.Variables
		}
		return strings.Join(lines, "\n"), vars, nil
	}
	return "", nil, nil
}
