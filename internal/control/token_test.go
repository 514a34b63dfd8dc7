package control_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/control"
	"packhouse/internal/control/api"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
)

func TestGetAuthorizationToken(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		for _, c := range []struct {
			asked *int64
			want  time.Duration // 0: refused
		}{
			{nil, 12 * time.Hour},
			{aws.Int64(0), 12 * time.Hour},
			{aws.Int64(900), 15 * time.Minute},
			{aws.Int64(43200), 12 * time.Hour},
			{aws.Int64(1), 0},
			{aws.Int64(899), 0},
			{aws.Int64(43201), 0},
			{aws.Int64(-1), 0},
		} {
			out, err := h.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: new("corp"), DurationSeconds: c.asked})
			if c.want == 0 {
				wantError(t, err, invalid, 400)
				continue
			}
			if err != nil {
				t.Errorf("%v: %v", c.asked, err)
				continue
			}
			if left := time.Until(*out.Expiration); left > c.want || left < c.want-time.Minute {
				t.Errorf("%v: it lives for %v", c.asked, left)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+*out.AuthorizationToken)
			caller, err := h.ids.AuthenticatePackages(r)
			if owner, domain, _ := caller.Scope(); err != nil || owner != account || domain != "corp" || caller.Name() != "admin" {
				t.Errorf("the token is good for %s/%s of %s, %v", owner, domain, caller.Name(), err)
			}
		}
		_, err := h.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: new("absent")})
		wantNotFound(t, err, "domain", "absent")
	})
}

func TestGetAuthorizationToken_NeedsBothPermissions(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	get := statement("Allow", "codeartifact:GetAuthorizationToken", domainARN("corp"))
	capped := `{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*","Condition":{
		"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"},"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}}`
	ask := func(c *codeartifact.Client, seconds *int64) error {
		_, err := c.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: new("corp"), DurationSeconds: seconds})
		return err
	}
	wantError(t, ask(h.user("nobearer", get), nil), denied, 403)
	wantError(t, ask(h.user("noget", capped), aws.Int64(900)), denied, 403)
	c := h.user("capped", get, capped)
	if err := ask(c, aws.Int64(3600)); err != nil {
		t.Error(err)
	}
	if err := ask(c, aws.Int64(0)); err != nil { // passes the cap, as at AWS
		t.Error(err)
	}
	wantError(t, ask(c, aws.Int64(3601)), denied, 403)
	wantError(t, ask(c, nil), denied, 403) // the default is twelve hours
}

func (h *house) endpoint(repository string, f types.PackageFormat) (string, error) {
	out, err := h.GetRepositoryEndpoint(h.t.Context(), &codeartifact.GetRepositoryEndpointInput{Domain: new("corp"), Repository: &repository, Format: f})
	if err != nil {
		return "", err
	}
	return *out.RepositoryEndpoint, nil
}

func TestGetRepositoryEndpoint(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	for _, f := range types.PackageFormat("").Values() {
		got, err := h.endpoint("repo", f)
		if diff := cmp.Diff(h.url+"/repo/"+account+"/corp/"+string(f)+"/repo/", got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	_, err := h.endpoint("absent", "npm")
	wantNotFound(t, err, "repository", "absent")
	_, err = h.endpoint("repo", "deb")
	wantError(t, err, invalid, 400)
	_, err = h.GetRepositoryEndpoint(t.Context(), &codeartifact.GetRepositoryEndpointInput{Domain: new("corp"), Repository: new("repo"), Format: "npm", EndpointType: "ipv6"})
	wantError(t, err, invalid, 400)
	must[codeartifact.GetRepositoryEndpointOutput](t)(h.GetRepositoryEndpoint(t.Context(), &codeartifact.GetRepositoryEndpointInput{Domain: new("corp"), Repository: new("repo"), Format: "npm", EndpointType: "dualstack"}))
}

func TestGetRepositoryEndpoint_ConfiguredBase(t *testing.T) {
	base := ""
	withBase := func(suffix string) setting {
		return func(o *control.Options, _ *registry.Options) {
			o.BaseURL = func(*http.Request) string { return base }
			o.HostSuffix = suffix
		}
	}
	for _, c := range []struct{ base, suffix, want string }{
		{"https://packages.test", "", "https://packages.test/repo/" + account + "/corp/npm/repo/"},
		{"https://packages.test/below/", "", "https://packages.test/below/repo/" + account + "/corp/npm/repo/"},
		{"https://packages.test", "packages.test", "https://corp-" + account + ".d.codeartifact." + region + ".packages.test/npm/repo/"},
		{"http://packages.test:8470", "packages.test", "http://corp-" + account + ".d.codeartifact." + region + ".packages.test:8470/npm/repo/"},
		{"http://[::1]", "packages.test", "http://corp-" + account + ".d.codeartifact." + region + ".packages.test/npm/repo/"},
	} {
		base = c.base
		h := lite(t, withBase(c.suffix))
		h.domain("corp")
		h.repo("repo")
		if got, err := h.endpoint("repo", "npm"); got != c.want || err != nil {
			t.Errorf("%+v: got %s, %v", c, got, err)
		}
	}
}

func TestDo_RunsInThisProcess(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	caller, err := h.ids.UserCaller(t.Context(), account, "admin", identity.Facts{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	call := &restjson.Call{Principal: caller, Time: time.Now()}
	out, err := h.api.Do(control.WithBaseURL(t.Context(), "http://here"), call, "GetRepositoryEndpoint", &api.GetRepositoryEndpointInput{Domain: "corp", Repository: "repo", Format: "npm"})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.(*api.GetRepositoryEndpointOutput).RepositoryEndpoint; !strings.HasPrefix(got, "http://here/") {
		t.Error(got)
	}
}
