package control_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"packhouse/internal/dataplane"
	"packhouse/internal/format"
	"packhouse/internal/format/npm"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

// grant is a statement of a resource policy.
func grant(effect, principal, actions string, rest ...string) string {
	return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%s,"Resource":"*"%s}`, effect, principal, actions, strings.Join(rest, ""))
}

func toARN(arn string) string { return fmt.Sprintf(`{"AWS":%q}`, arn) }

const (
	everybody = `"*"`
	readIt    = `"codeartifact:ReadFromRepository"`
	publishIt = `"codeartifact:PublishPackageVersion"`
)

func (h *house) putDomainPolicy(domain string, statements ...string) {
	h.t.Helper()
	must[codeartifact.PutDomainPermissionsPolicyOutput](h.t)(h.PutDomainPermissionsPolicy(h.t.Context(), &codeartifact.PutDomainPermissionsPolicyInput{
		Domain: &domain, PolicyDocument: aws.String(document(statements...)),
	}))
}

func (h *house) putRepositoryPolicy(repository string, statements ...string) {
	h.t.Helper()
	must[codeartifact.PutRepositoryPermissionsPolicyOutput](h.t)(h.PutRepositoryPermissionsPolicy(h.t.Context(), &codeartifact.PutRepositoryPermissionsPolicyInput{
		Domain: aws.String("corp"), Repository: &repository, PolicyDocument: aws.String(document(statements...)),
	}))
}

func TestDomainPermissionsPolicy_Life(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		domain := aws.String("corp")
		_, err := h.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain})
		wantNotFound(t, err, "domain", "corp")
		h.domain("corp")
		_, err = h.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain})
		wantNotFound(t, err, "domain", domainARN("corp"))
		_, err = h.DeleteDomainPermissionsPolicy(ctx, &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: domain})
		wantNotFound(t, err, "domain", domainARN("corp"))

		// White space is part of what is echoed.
		text := "{\n  \"Version\": \"2012-10-17\",\n\t\"Statement\": [" + grant("Allow", toARN(other), `"codeartifact:*"`) + "]\n}\n"
		put := func(text string, seen *string) (*types.ResourcePolicy, error) {
			out, err := h.PutDomainPermissionsPolicy(ctx, &codeartifact.PutDomainPermissionsPolicyInput{
				Domain: domain, DomainOwner: aws.String(account), PolicyDocument: &text, PolicyRevision: seen,
			})
			if err != nil {
				return nil, err
			}
			return out.Policy, nil
		}
		_, err = put(text, aws.String("none"))
		wantConflict(t, err, "domain", domainARN("corp"))
		first, err := put(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if *first.ResourceArn != domainARN("corp") || *first.Document != text || *first.Revision == "" {
			t.Errorf("put %+v", first)
		}
		got := must[codeartifact.GetDomainPermissionsPolicyOutput](t)(h.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain})).Policy
		if *got.Document != text || *got.Revision != *first.Revision || *got.ResourceArn != domainARN("corp") {
			t.Errorf("got %+v", got)
		}
		second, err := put(text, first.Revision)
		if err != nil {
			t.Fatal(err)
		}
		if *second.Revision == *first.Revision {
			t.Error("the revision did not change")
		}
		_, err = put(text, first.Revision)
		wantConflict(t, err, "domain", domainARN("corp"))
		if _, err = put(text, nil); err != nil { // replaces whatever is there
			t.Error(err)
		}
		_, err = h.DeleteDomainPermissionsPolicy(ctx, &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: domain, PolicyRevision: second.Revision})
		wantConflict(t, err, "domain", domainARN("corp"))
		deleted := must[codeartifact.DeleteDomainPermissionsPolicyOutput](t)(h.DeleteDomainPermissionsPolicy(ctx, &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: domain})).Policy
		if *deleted.Document != text {
			t.Errorf("deleted %+v", deleted)
		}
		_, err = h.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain})
		wantNotFound(t, err, "domain", domainARN("corp"))
	})
}

func TestRepositoryPermissionsPolicy_Life(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.domain("corp")
		h.repo("repo")
		domain, name, arn := aws.String("corp"), aws.String("repo"), repositoryARN("repo")
		text := document(grant("Allow", toARN(other), `["codeartifact:ReadFromRepository","sts:GetServiceBearerToken"]`))
		_, err := h.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: name})
		wantNotFound(t, err, "repository", arn)
		_, err = h.PutRepositoryPermissionsPolicy(ctx, &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: domain, Repository: aws.String("absent"), PolicyDocument: &text})
		wantNotFound(t, err, "repository", "absent")
		put := must[codeartifact.PutRepositoryPermissionsPolicyOutput](t)(h.PutRepositoryPermissionsPolicy(ctx, &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: domain, Repository: name, PolicyDocument: &text})).Policy
		_, err = h.PutRepositoryPermissionsPolicy(ctx, &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: domain, Repository: name, PolicyDocument: &text, PolicyRevision: aws.String("old")})
		wantConflict(t, err, "repository", arn)
		got := must[codeartifact.GetRepositoryPermissionsPolicyOutput](t)(h.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: name})).Policy
		if *got.Document != text || *got.Revision != *put.Revision || *got.ResourceArn != arn {
			t.Errorf("got %+v after %+v", got, put)
		}
		_, err = h.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, Repository: name, PolicyRevision: aws.String("old")})
		wantConflict(t, err, "repository", arn)
		deleted := must[codeartifact.DeleteRepositoryPermissionsPolicyOutput](t)(h.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, Repository: name, PolicyRevision: got.Revision})).Policy
		if *deleted.Document != text {
			t.Errorf("deleted %+v", deleted)
		}
		_, err = h.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, Repository: name})
		wantNotFound(t, err, "repository", arn)
		// A repository of the same name that comes later starts without it.
		h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt))
		must[codeartifact.DeleteRepositoryOutput](t)(h.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: domain, Repository: name}))
		h.repo("repo")
		_, err = h.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: name})
		wantNotFound(t, err, "repository", arn)
	})
}

func TestPermissionsPolicy_RefusesBadDocuments(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	for name, c := range map[string]struct {
		text   string
		reason types.ValidationExceptionReason
	}{
		"no JSON":           {`{"Version":`, "CANNOT_PARSE"},
		"no statement":      {`{"Version":"2012-10-17"}`, "CANNOT_PARSE"},
		"unknown element":   {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principals":"*","Action":"codeartifact:*","Resource":"*"}]}`, "CANNOT_PARSE"},
		"unknown effect":    {`{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps","Principal":"*","Action":"codeartifact:*","Resource":"*"}]}`, "CANNOT_PARSE"},
		"no principal":      {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}]}`, "FIELD_VALIDATION_FAILED"},
		"another's actions": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`, "FIELD_VALIDATION_FAILED"},
		"too long":          {document(grant("Allow", everybody, readIt)) + strings.Repeat(" ", 7168), "FIELD_VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			_, onDomain := h.PutDomainPermissionsPolicy(t.Context(), &codeartifact.PutDomainPermissionsPolicyInput{Domain: aws.String("corp"), PolicyDocument: &c.text})
			_, onRepository := h.PutRepositoryPermissionsPolicy(t.Context(), &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), Repository: aws.String("repo"), PolicyDocument: &c.text})
			for _, err := range []error{onDomain, onRepository} {
				wantError(t, err, invalid, 400)
				if e, ok := errors.AsType[*types.ValidationException](err); ok && e.Reason != c.reason {
					t.Errorf("reason %s, want %s: %s", e.Reason, c.reason, *e.Message)
				}
			}
		})
	}
}

// TestPutPermissionsPolicy_NeedsTheOwnersIdentityPolicy: what stands in the
// resource's policy neither allows nor forbids replacing it (section 6.2).
func TestPutPermissionsPolicy_NeedsTheOwnersIdentityPolicy(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	all := document(grant("Allow", everybody, `"codeartifact:*"`))
	h.putDomainPolicy("corp", grant("Allow", everybody, `"codeartifact:*"`))
	h.putRepositoryPolicy("repo", grant("Allow", everybody, `"codeartifact:*"`))
	for who, client := range map[string]*codeartifact.Client{"another account": h.foreign, "a user without the right": h.user("eve", statement("Allow", "codeartifact:List*", "*"))} {
		_, err := client.PutDomainPermissionsPolicy(t.Context(), &codeartifact.PutDomainPermissionsPolicyInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), PolicyDocument: &all})
		wantError(t, err, denied, 403)
		_, err = client.PutRepositoryPermissionsPolicy(t.Context(), &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), Repository: aws.String("repo"), PolicyDocument: &all})
		wantError(t, err, denied, 403)
		_, err = client.GetRepositoryPermissionsPolicy(t.Context(), &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), Repository: aws.String("repo")})
		if err != nil {
			t.Errorf("%s may not read the policy: %v", who, err)
		}
	}
	// An owner who has locked everybody out can still replace the policy.
	h.putDomainPolicy("corp", grant("Deny", everybody, `"codeartifact:*"`))
	h.putRepositoryPolicy("repo", grant("Deny", everybody, `"codeartifact:*"`))
	_, err := h.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("corp")})
	wantError(t, err, denied, 403)
	_, err = h.GetRepositoryPermissionsPolicy(t.Context(), &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), Repository: aws.String("repo")})
	wantError(t, err, denied, 403)
	h.putDomainPolicy("corp", grant("Allow", toARN(other), `"codeartifact:DescribeDomain"`))
	h.putRepositoryPolicy("repo", grant("Allow", toARN(other), readIt))
	must[codeartifact.DescribeDomainOutput](t)(h.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("corp")}))
}

// packages serves the package endpoints of a house; nil caller means whoever
// the request's token says.
func (h *house) packages(caller *identity.Subject) string {
	h.t.Helper()
	authenticate := h.ids.AuthenticatePackages
	if caller != nil {
		authenticate = func(*http.Request) (identity.Caller, error) {
			return identity.NewCaller(caller, identity.Facts{SourceIP: netip.MustParseAddr("192.0.2.7")}), nil
		}
	}
	server := httptest.NewServer(dataplane.New(dataplane.Options{
		Registry: h.registry, Formats: []format.Format{npm.New()}, Authenticate: authenticate, URL: "http://packages.test", Logger: slog.Default(),
	}))
	h.t.Cleanup(server.Close)
	return server.URL + dataplane.Prefix + account + "/corp/npm/"
}

// token gets the token of a client for the domain "corp".
func (h *house) token(c *codeartifact.Client) string {
	h.t.Helper()
	return *must[codeartifact.GetAuthorizationTokenOutput](h.t)(c.GetAuthorizationToken(h.t.Context(), &codeartifact.GetAuthorizationTokenInput{
		Domain: aws.String("corp"), DomainOwner: aws.String(account),
	})).AuthorizationToken
}

// request does a package request and gives its status; an empty token sends none.
func (h *house) request(method, address, token string, body []byte) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// publishing is the body that npm sends to publish a version.
func publishing(name, version string) []byte {
	file := name + "-" + version + ".tgz"
	body, err := json.Marshal(map[string]any{
		"name": name, "dist-tags": map[string]string{"latest": version},
		"versions":     map[string]any{version: map[string]any{"name": name, "version": version, "dist": map[string]any{"tarball": "http://packages.test/" + file}}},
		"_attachments": map[string]any{file: map[string]any{"content_type": "application/octet-stream", "length": 5, "data": base64.StdEncoding.EncodeToString([]byte("bytes"))}},
	})
	if err != nil {
		panic(err)
	}
	return body
}

const tokenStatements = `{"Effect":"Allow","Action":["codeartifact:GetAuthorizationToken","sts:GetServiceBearerToken"],"Resource":"*"}`

func TestRepositoryPolicy_DecidesOverPackageRequests(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		h.publish(npmName("thing"), "1.0.0", `{"name":"thing","version":"1.0.0"}`)
		base := h.packages(nil) + "repo/"
		admin, eve := h.token(h.Client), h.token(h.user("eve", tokenStatements))
		thing := base + "thing"
		check := func(what, method, token string, body []byte, want int) {
			t.Helper()
			if got := h.request(method, thing, token, body); got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		check("nobody, without a policy", "GET", "", nil, 401)
		check("a user without rights", "GET", eve, nil, 403)
		check("the administrator", "GET", admin, nil, 200)

		h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt))
		check("nobody, where everybody may read", "GET", "", nil, 200)
		check("a user, where everybody may read", "GET", eve, nil, 200)
		check("nobody publishes", "PUT", "", publishing("thing", "2.0.0"), 401)
		check("a reader publishes", "PUT", eve, publishing("thing", "2.0.0"), 403)

		h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt, `,"Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}`))
		check("nobody, from outside the network", "GET", "", nil, 401)
		h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt, `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`))
		check("nobody, from within the network", "GET", "", nil, 200)

		h.putRepositoryPolicy("repo", grant("Allow", toARN("arn:aws:iam::"+account+":user/eve"), `[`+readIt+`,`+publishIt+`]`))
		check("nobody, where one user may", "GET", "", nil, 401)
		check("that user reads", "GET", eve, nil, 200)
		check("that user publishes", "PUT", eve, publishing("thing", "2.0.0"), 201)

		h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt), grant("Deny", everybody, `"codeartifact:*"`))
		check("nobody, where everybody is denied", "GET", "", nil, 401)
		check("the administrator is denied", "GET", admin, nil, 403)
		check("the administrator is denied to publish", "PUT", admin, publishing("thing", "3.0.0"), 403)
		// Deleting the policy is denied too; replacing it is not.
		_, err := h.DeleteRepositoryPermissionsPolicy(t.Context(), &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), Repository: aws.String("repo")})
		wantError(t, err, denied, 403)
		h.putRepositoryPolicy("repo", grant("Deny", toARN("arn:aws:iam::"+account+":user/eve"), readIt))
		check("the administrator again", "GET", admin, nil, 200)
		check("the user who is denied", "GET", eve, nil, 403)
	})
}

func TestRepositoryPolicy_GroupsRolesAndUsers(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.publish(npmName("thing"), "1.0.0", `{"name":"thing","version":"1.0.0"}`)
	iam := "arn:aws:iam::" + account + ":"
	member := &identity.Subject{Principal: policy.Principal{
		Type: policy.User, ARN: iam + "user/ann", Account: account, UserID: "AIDAANN", UserName: "ann", Groups: []string{iam + "group/publishers"},
	}}
	session := &identity.Subject{Principal: policy.Principal{
		Type: policy.AssumedRole, ARN: "arn:aws:sts::" + account + ":assumed-role/ci/build", RoleARN: iam + "role/ci", Account: account, UserID: "AROACI:build",
	}}
	asMember, asSession := h.packages(member)+"repo/thing", h.packages(session)+"repo/thing"
	for _, c := range []struct {
		name, principal string
		member, session int
	}{
		{"nobody", iam + "user/eve", 403, 403},
		{"the group", iam + "group/publishers", 200, 403},
		{"another group", iam + "group/readers", 403, 403},
		{"the role", iam + "role/ci", 403, 200},
		{"the session", "arn:aws:sts::" + account + ":assumed-role/ci/build", 403, 200},
		{"another session", "arn:aws:sts::" + account + ":assumed-role/ci/other", 403, 403},
		{"the user", iam + "user/ann", 200, 403},
		{"the account, whose own policies decide", iam + "root", 403, 403},
	} {
		h.putRepositoryPolicy("repo", grant("Allow", toARN(c.principal), readIt))
		if got := h.request("GET", asMember, "", nil); got != c.member {
			t.Errorf("allowed %s: the member gets %d, want %d", c.name, got, c.member)
		}
		if got := h.request("GET", asSession, "", nil); got != c.session {
			t.Errorf("allowed %s: the session gets %d, want %d", c.name, got, c.session)
		}
	}
	h.putRepositoryPolicy("repo", grant("Allow", everybody, readIt), grant("Deny", toARN(iam+"group/publishers"), readIt))
	if a, b := h.request("GET", asMember, "", nil), h.request("GET", asSession, "", nil); a != 403 || b != 200 {
		t.Errorf("denied the group: %d and %d", a, b)
	}
}

// TestPolicies_AnotherAccountNeedsBoth is the account delegation of the
// CodeArtifact guide: the domain's policy for the token, the repository's for
// its packages, and the rights of the caller's own account.
func TestPolicies_AnotherAccountNeedsBoth(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.domain("corp")
		h.repo("repo")
		h.publish(npmName("thing"), "1.0.0", `{"name":"thing","version":"1.0.0"}`)
		thing := h.packages(nil) + "repo/thing"
		ask := func() error {
			_, err := h.foreign.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("corp"), DomainOwner: aws.String(account)})
			return err
		}
		wantError(t, ask(), denied, 403)
		h.putDomainPolicy("corp", grant("Allow", toARN("arn:aws:iam::"+other+":root"),
			`["codeartifact:GetDomainPermissionsPolicy","codeartifact:ListRepositoriesInDomain","codeartifact:GetAuthorizationToken","codeartifact:DescribeDomain"]`))
		token := h.token(h.foreign)
		if got := h.request("GET", thing, token, nil); got != 403 {
			t.Errorf("with the domain's policy alone: %d", got)
		}
		h.putRepositoryPolicy("repo", grant("Allow", toARN(other), readIt))
		if got := h.request("GET", thing, token, nil); got != 200 {
			t.Errorf("with both: %d", got)
		}
		if got := h.request("PUT", thing, token, publishing("thing", "2.0.0")); got != 403 {
			t.Errorf("a reader of another account publishes: %d", got)
		}
		must[codeartifact.DeleteDomainPermissionsPolicyOutput](t)(h.DeleteDomainPermissionsPolicy(t.Context(), &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: aws.String("corp")}))
		wantError(t, ask(), denied, 403)
		must[codeartifact.DeleteRepositoryPermissionsPolicyOutput](t)(h.DeleteRepositoryPermissionsPolicy(t.Context(), &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: aws.String("corp"), Repository: aws.String("repo")}))
		if got := h.request("GET", thing, token, nil); got != 403 {
			t.Errorf("with neither: %d", got)
		}
	})
}
