package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"packhouse/internal/identity/oidctest"
)

const jobRole = "arn:aws:iam::123456789012:role/job"

// federation is a server that trusts an issuer, and a job with its token.
type federation struct {
	*house
	issuer *oidctest.Issuer
	token  string // path of its file
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{house: open(t), issuer: oidctest.New(t, ""), token: filepath.Join(t.TempDir(), "token")}
	name := strings.TrimPrefix(f.issuer.URL, "http://")
	f.must("create-open-id-connect-provider", "--url", f.issuer.URL, "--client-id-list", "packhouse")
	f.must("create-role", "--role-name", "job", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
			"Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/`+name+`"},"Condition":{"StringEquals":{"`+name+`:sub":"job-1"}}}]}`)
	f.must("put-role-policy", "--role-name", "job", "--policy-name", "all", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["codeartifact:*","sts:*"],"Resource":"*"}]}`)
	f.domainWith("my-repo")
	f.identity("job-1")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(f.home, "none"))
	return f
}

// identity is who the job is from now on.
func (f *federation) identity(subject string) {
	f.t.Helper()
	if err := os.WriteFile(f.token, []byte(f.issuer.Token(f.t, "packhouse", subject, time.Now(), nil)+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *federation) profiles(text string) {
	f.t.Helper()
	path := filepath.Join(f.home, "aws-config")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "TOKEN", f.token)), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.t.Setenv("AWS_CONFIG_FILE", path)
}

func (f *federation) wantSession(name string, args ...string) {
	f.t.Helper()
	out := f.must(append([]string{"get-caller-identity", "--query", "Arn", "--output", "text"}, args...)...)
	if want := "arn:aws:sts::123456789012:assumed-role/" + name; !strings.HasPrefix(out, want) {
		f.t.Errorf("got %q, want %s", out, want)
	}
}

func TestWebIdentity_OfTheEnvironment(t *testing.T) {
	f := newFederation(t)
	t.Setenv("AWS_ROLE_ARN", jobRole)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f.token)
	t.Setenv("AWS_ROLE_SESSION_NAME", "build-7")
	f.wantSession("job/build-7")
	f.must("login", "--tool", "npm", "--domain", "my-domain", "--repository", "my-repo")
	if !strings.Contains(f.file(".npmrc"), "_authToken=v4.local.") {
		t.Errorf(".npmrc:\n%s", f.file(".npmrc"))
	}
	// Where only a flag, or the variable of one service, says where the server
	// is, nobody else is asked.
	t.Setenv("AWS_ENDPOINT_URL", "")
	f.wantSession("job/build-7", "--endpoint-url", f.app.URL())
	t.Setenv("AWS_ENDPOINT_URL_CODEARTIFACT", f.app.URL())
	if out := f.must("list-domains", "--query", "domains[].name", "--output", "text"); out != "my-domain\n" {
		t.Errorf("got %q", out)
	}
}

func TestWebIdentity_RefusedIsSaid(t *testing.T) {
	f := newFederation(t)
	t.Setenv("PACKHOUSE_DATA", f.data) // whose administrator's key must not be taken instead
	t.Setenv("AWS_ROLE_ARN", jobRole)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f.token)
	f.identity("job-2")
	if r := f.run("list-domains"); r.code == exitOK || !strings.Contains(r.stderr, "AccessDenied") || !strings.Contains(r.stderr, "job-2") {
		t.Errorf("%+v", r)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f.token+"-missing")
	if r := f.run("list-domains"); r.code == exitOK || !strings.Contains(r.stderr, f.token+"-missing") {
		t.Errorf("%+v", r)
	}
}

func TestWebIdentity_OfAProfile(t *testing.T) {
	f := newFederation(t)
	t.Setenv("AWS_ENDPOINT_URL", "")
	f.profiles("[profile ci]\nrole_arn = " + jobRole + "\nweb_identity_token_file = TOKEN\nrole_session_name = build-8\n\n" +
		"[profile next]\nrole_arn = arn:aws:iam::123456789012:role/next\nsource_profile = ci\nrole_session_name = build-9\n")
	f.wantSession("job/build-8", "--profile", "ci", "--endpoint-url", f.app.URL())
	t.Setenv("AWS_ENDPOINT_URL", f.app.URL())
	f.wantSession("job/build-8", "--profile", "ci")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(f.data, "credentials"))
	f.must("create-role", "--role-name", "next", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"`+jobRole+`"}}]}`)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(f.home, "none"))
	f.wantSession("next/build-9", "--profile", "next")
	t.Setenv("AWS_ENDPOINT_URL", "")
	f.wantSession("next/build-9", "--profile", "next", "--endpoint-url", f.app.URL())
}

func TestWebIdentity_ByHandNeedsNoCredentials(t *testing.T) {
	f := newFederation(t)
	out := f.must("assume-role-with-web-identity", "--role-arn", jobRole, "--role-session-name", "by-hand", "--web-identity-token", "file://"+f.token, "--query", "AssumedRoleUser.Arn", "--output", "text")
	if out != "arn:aws:sts::123456789012:assumed-role/job/by-hand\n" {
		t.Errorf("got %q", out)
	}
}
