package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"packhouse/internal/identity"
	"packhouse/internal/identity/oidctest"
)

const (
	jobRole   = "arn:aws:iam::123456789012:role/job"
	getToken  = `{"Effect":"Allow","Action":"codeartifact:GetAuthorizationToken","Resource":"*"}`
	bearer    = `{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*"}`
	anyRead   = `{"Effect":"Allow","Action":["codeartifact:Read*","codeartifact:List*"],"Resource":"*"}`
	oneHour   = `{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*","Condition":{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"},"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"}}}`
	otherName = `{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*","Condition":{"StringEquals":{"sts:AWSServiceName":"codecommit.amazonaws.com"}}}`
)

func document(statements ...string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

// workshop is a server with a role that an issuer's job may assume.
type workshop struct {
	*running
	t      *testing.T
	cfg    aws.Config
	iam    *iam.Client
	issuer *oidctest.Issuer
}

func newWorkshop(t *testing.T, role ...string) *workshop {
	t.Helper()
	w := &workshop{running: start(t, t.TempDir(), nil), t: t, issuer: oidctest.New(t, "")}
	w.cfg = w.aws(t)
	w.iam = iam.NewFromConfig(w.cfg)
	name := identity.ProviderName(w.issuer.URL)
	_, err := w.iam.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &w.issuer.URL, ClientIDList: []string{"packhouse"}})
	w.must(err)
	_, err = w.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("job"), AssumeRolePolicyDocument: document(
		`{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/` + name + `"}}`,
	)})
	w.must(err)
	w.grant(role...)
	packages := codeartifact.NewFromConfig(w.cfg)
	_, err = packages.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("corp")})
	w.must(err)
	_, err = packages.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("corp"), Repository: aws.String("repo")})
	w.must(err)
	return w
}

func (w *workshop) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// grant makes statements the policy of the role.
func (w *workshop) grant(statements ...string) {
	w.t.Helper()
	_, err := w.iam.PutRolePolicy(w.t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("job"), PolicyName: aws.String("p"), PolicyDocument: document(statements...)})
	w.must(err)
}

// job is a session of the role; policy limits it, if it is not nil.
func (w *workshop) job(policy *string, seconds int32) (*codeartifact.Client, *sts.Client) {
	w.t.Helper()
	nobody := w.cfg.Copy()
	nobody.Credentials = aws.AnonymousCredentials{}
	out, err := sts.NewFromConfig(nobody).AssumeRoleWithWebIdentity(w.t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(jobRole), RoleSessionName: aws.String("build"), Policy: policy, DurationSeconds: &seconds,
		WebIdentityToken: aws.String(w.issuer.Token(w.t, "packhouse", "job-1", time.Now(), nil)),
	})
	w.must(err)
	c := out.Credentials
	own := w.cfg.Copy()
	own.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	return codeartifact.NewFromConfig(own), sts.NewFromConfig(own)
}

func (w *workshop) token(c *codeartifact.Client, seconds *int64) (*codeartifact.GetAuthorizationTokenOutput, error) {
	return c.GetAuthorizationToken(w.t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("corp"), DurationSeconds: seconds})
}

// packages asks a package endpoint with a token.
func (w *workshop) packages(token string) (status int, text string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.URL()+"/repo/123456789012/corp/npm/repo/none", nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := httpClient(w.t).Do(r)
	w.must(err)
	defer res.Body.Close()
	return res.StatusCode, res.Status
}

func wantDenied(t *testing.T, err error) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "AccessDeniedException" {
		t.Errorf("got %v, want AccessDeniedException", err)
	}
}

func TestBearerToken_OfAWebIdentitySession(t *testing.T) {
	w := newWorkshop(t, getToken, oneHour, anyRead)
	job, _ := w.job(nil, 900)
	for _, c := range []struct {
		seconds *int64
		lives   time.Duration // 0: denied
	}{
		{aws.Int64(3600), time.Hour},     // longer than the session, as at AWS
		{aws.Int64(0), 15 * time.Minute}, // the rest of the session; passes the cap
		{aws.Int64(900), 15 * time.Minute},
		{aws.Int64(3601), 0},
		{nil, 0}, // twelve hours
	} {
		out, err := w.token(job, c.seconds)
		if c.lives == 0 {
			wantDenied(t, err)
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.seconds, err)
			continue
		}
		if left := time.Until(*out.Expiration); left > c.lives || left < c.lives-time.Minute {
			t.Errorf("%d s: it lives for %v", *c.seconds, left)
		}
		if status, text := w.packages(*out.AuthorizationToken); status != http.StatusNotFound { // let in: there is no such package
			t.Errorf("%s", text)
		}
	}
}

func TestBearerToken_NeedsItsPermissionFromEveryLimit(t *testing.T) {
	w := newWorkshop(t, getToken, bearer, anyRead)
	ask := func(policy *string) error {
		job, _ := w.job(policy, 900)
		_, err := w.token(job, aws.Int64(900))
		return err
	}
	w.must(ask(nil))
	w.must(ask(document(getToken, bearer)))
	wantDenied(t, ask(document(getToken)))
	wantDenied(t, ask(document(bearer)))
	wantDenied(t, ask(document(getToken, bearer, strings.Replace(bearer, "Allow", "Deny", 1))))

	boundary := func(statements ...string) {
		t.Helper()
		name := fmt.Sprint("limit-", len(statements))
		out, err := w.iam.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: document(statements...)})
		w.must(err)
		_, err = w.iam.PutRolePermissionsBoundary(t.Context(), &iam.PutRolePermissionsBoundaryInput{RoleName: aws.String("job"), PermissionsBoundary: out.Policy.Arn})
		w.must(err)
	}
	boundary(getToken)
	wantDenied(t, ask(nil))
	boundary(getToken, bearer)
	w.must(ask(nil))
	_, err := w.iam.DeleteRolePermissionsBoundary(t.Context(), &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("job")})
	w.must(err)

	w.grant(getToken, otherName)
	wantDenied(t, ask(nil))
	w.grant(bearer)
	wantDenied(t, ask(nil))
}

func TestBearerToken_SessionPolicyLimitsItsToken(t *testing.T) {
	w := newWorkshop(t, getToken, bearer, anyRead)
	job, _ := w.job(document(getToken, bearer), 900) // and no reading
	out, err := w.token(job, aws.Int64(0))
	w.must(err)
	if status, text := w.packages(*out.AuthorizationToken); status != http.StatusForbidden {
		t.Errorf("%s", text)
	}
}

func TestBearerToken_EndsWithTheRole(t *testing.T) {
	w := newWorkshop(t, getToken, bearer, anyRead)
	job, self := w.job(nil, 900)
	out, err := w.token(job, aws.Int64(43200))
	w.must(err)
	if status, text := w.packages(*out.AuthorizationToken); status != http.StatusNotFound {
		t.Fatalf("%s", text)
	}
	ctx := t.Context()
	// Without its permissions it is refused with the next request ...
	w.grant(getToken)
	if status, text := w.packages(*out.AuthorizationToken); status != http.StatusForbidden {
		t.Errorf("%s", text)
	}
	_, err = w.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("job"), PolicyName: aws.String("p")})
	w.must(err)
	_, err = w.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("job")})
	w.must(err)
	// ... and with the role it is nobody's, like the session.
	if status, text := w.packages(*out.AuthorizationToken); status != http.StatusUnauthorized {
		t.Errorf("%s", text)
	}
	var gone smithy.APIError
	if _, err := self.GetCallerIdentity(ctx, nil); !errors.As(err, &gone) || gone.ErrorCode() != "InvalidClientTokenId" {
		t.Errorf("got %v", err)
	}
	if _, err := w.token(job, nil); !errors.As(err, &gone) || gone.ErrorCode() != "UnrecognizedClientException" {
		t.Errorf("got %v", err)
	}
}
