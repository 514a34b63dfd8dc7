package iamapi_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
)

const deployARN = "arn:aws:iam::123456789012:role/ci/deploy"

func trusting(principal, rest string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Principal":{"AWS":"` + principal + `"}` + rest + `}]}`)
}

// role makes the role deploy.
func (h *house) role(t *testing.T, trust *string, policies ...string) {
	t.Helper()
	ctx := t.Context()
	must(t)(h.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("deploy"), Path: aws.String("/ci/"), AssumeRolePolicyDocument: trust}))
	for i, document := range policies {
		must(t)(h.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: aws.String("deploy"), PolicyName: aws.String(string(rune('a' + i))), PolicyDocument: aws.String(document),
		}))
	}
}

// sts is a client of the other API with the same credentials.
func (h *house) sts(c *iam.Client) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: aws.String(h.url), Region: "eu-central-1", RetryMaxAttempts: 1, Credentials: c.Options().Credentials,
	})
}

func (h *house) temporary(c *ststypes.Credentials) *iam.Client {
	return h.as(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func assume(rest ...func(*sts.AssumeRoleInput)) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{RoleArn: aws.String(deployARN), RoleSessionName: aws.String("build-7")}
	for _, more := range rest {
		more(in)
	}
	return in
}

func TestRole_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	name, trust := aws.String("deploy"), trusting(account, "")
	made := must(t)(h.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: name, Path: aws.String("/ci/"), AssumeRolePolicyDocument: trust, Description: aws.String("ships"),
		MaxSessionDuration: aws.Int32(7200), PermissionsBoundary: aws.String(readOnly), Tags: []types.Tag{tag("Team", "red")},
	})).(*iam.CreateRoleOutput).Role
	if *made.Arn != deployARN || !regexp.MustCompile(`^AROA[A-Z2-7]{17}$`).MatchString(*made.RoleId) {
		t.Errorf("made %+v", made)
	}
	must(t)(h.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, Description: aws.String("")}))
	must(t)(h.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: trusting("444455556666", "")}))
	must(t)(h.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: []types.Tag{tag("a", "b")}}))
	got := must(t)(h.GetRole(ctx, &iam.GetRoleInput{RoleName: name})).(*iam.GetRoleOutput).Role
	if diff := cmp.Diff([]any{"", int32(7200), readOnly, 2, *trusting("444455556666", "")},
		[]any{aws.ToString(got.Description), *got.MaxSessionDuration, *got.PermissionsBoundary.PermissionsBoundaryArn, len(got.Tags), decoded(t, got.AssumeRolePolicyDocument)}); diff != "" {
		t.Error(diff)
	}
	must(t)(h.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name}))
	must(t)(h.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: aws.String(adminARN)}))
	must(t)(h.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(readOnly)}))
	must(t)(h.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: name}))
	roles := must(t)(h.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/ci/")})).(*iam.ListRolesOutput).Roles
	attached := must(t)(h.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: name})).(*iam.ListAttachedRolePoliciesOutput).AttachedPolicies
	if len(roles) != 1 || len(attached) != 1 {
		t.Errorf("roles %+v, policies %+v", roles, attached)
	}
	_, err := h.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
	wantError(t, err, "DeleteConflict", 409)
	must(t)(h.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String(readOnly)}))
	must(t)(h.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name}))
	_, err = h.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(allowAll)})
	wantError(t, err, "MalformedPolicyDocument", 400)
}

func TestAssumeRole_GivesCredentialsOfTheSession(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""), allowing("iam:GetRole", "*"))
	out := must(t)(h.sts(h.Client).AssumeRole(ctx, assume())).(*sts.AssumeRoleOutput)
	if left := time.Until(*out.Credentials.Expiration); left > time.Hour || left < 59*time.Minute || !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") {
		t.Errorf("credentials %s for %v", *out.Credentials.AccessKeyId, left)
	}
	session := h.temporary(out.Credentials)
	who := must(t)(h.sts(session).GetCallerIdentity(ctx, nil)).(*sts.GetCallerIdentityOutput)
	want := []string{"arn:aws:sts::123456789012:assumed-role/deploy/build-7", *out.AssumedRoleUser.AssumedRoleId, account}
	if diff := cmp.Diff(want, []string{*who.Arn, *who.UserId, *who.Account}); diff != "" || *who.Arn != *out.AssumedRoleUser.Arn {
		t.Error(diff)
	}
	must(t)(session.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")}))
	_, err := session.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("admin")})
	wantError(t, err, "AccessDenied", 403)
	_, err = session.GetUser(ctx, &iam.GetUserInput{})
	wantError(t, err, "AccessDenied", 403)
}

func TestAssumeRole_TrustDecides(t *testing.T) {
	const eveARN = "arn:aws:iam::123456789012:user/eve"
	everything, one := allowing("sts:*", "*"), allowing("sts:AssumeRole", deployARN)
	deny := strings.Replace(one, "Allow", "Deny", 1)
	for name, c := range map[string]struct {
		trust  *string
		policy string
		more   func(*sts.AssumeRoleInput)
		ok     bool
	}{
		"user named":               {trusting(eveARN, ""), "", nil, true},
		"user named, own deny":     {trusting(eveARN, ""), deny, nil, false},
		"account named, own right": {trusting(account, ""), one, nil, true},
		"account named alone":      {trusting(account, ""), "", nil, false},
		"own right alone":          {trusting("arn:aws:iam::123456789012:user/other", ""), everything, nil, false},
		"other account named":      {trusting("444455556666", ""), everything, nil, false},
		"external id missing":      {trusting(eveARN, `,"Condition":{"StringEquals":{"sts:ExternalId":"xyz"}}`), "", nil, false},
		"external id":              {trusting(eveARN, `,"Condition":{"StringEquals":{"sts:ExternalId":"xyz"}}`), "", func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("xyz") }, true},
		"session name":             {trusting(eveARN, `,"Condition":{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`), "", nil, false},
		"session name of the user": {trusting(eveARN, `,"Condition":{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`), "", func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("eve") }, true},
		"tags": {trusting(eveARN, ""), "", func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
		}, true},
		"tags that trust does not let": {trusting(eveARN, `,"Condition":{"Null":{"aws:TagKeys":"true"}}`), "", func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
		}, false},
		"another path":              {trusting(eveARN, ""), "", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/deploy") }, false},
		"role that is not there":    {trusting(eveARN, ""), everything, func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/none") }, false},
		"account that is not there": {trusting(eveARN, ""), everything, func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::999999999999:role/none") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			var own []string
			if c.policy != "" {
				own = []string{c.policy}
			}
			eve := h.user(t, "eve", "/", own...)
			h.role(t, c.trust)
			in := assume()
			if c.more != nil {
				c.more(in)
			}
			_, err := h.sts(eve).AssumeRole(t.Context(), in)
			switch {
			case c.ok && err != nil:
				t.Error(err)
			case !c.ok:
				wantError(t, err, "AccessDenied", 403)
			}
		})
	}
}

func TestAssumeRole_GroupMayBeTrusted(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	eve := h.user(t, "eve", "/")
	h.role(t, trusting("arn:aws:iam::123456789012:group/builders", ""))
	must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("builders")}))
	_, err := h.sts(eve).AssumeRole(ctx, assume())
	wantError(t, err, "AccessDenied", 403)
	must(t)(h.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: aws.String("builders"), UserName: aws.String("eve")}))
	must(t)(h.sts(eve).AssumeRole(ctx, assume()))
}

func TestAssumeRole_Limits(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""), allowing("sts:*", "*"))
	client := h.sts(h.Client)
	chained := h.sts(h.temporary(must(t)(client.AssumeRole(ctx, assume())).(*sts.AssumeRoleOutput).Credentials))
	must(t)(chained.AssumeRole(ctx, assume()))
	seconds := func(n int32) func(*sts.AssumeRoleInput) {
		return func(in *sts.AssumeRoleInput) { in.DurationSeconds = &n }
	}
	must(t)(client.AssumeRole(ctx, assume(seconds(900))))
	for name, c := range map[string]struct {
		client *sts.Client
		more   func(*sts.AssumeRoleInput)
		code   string
	}{
		"too short":           {client, seconds(899), "ValidationError"},
		"longer than ever":    {client, seconds(43201), "ValidationError"},
		"longer than allowed": {client, seconds(3601), "ValidationError"},
		"session name":        {client, func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a/b") }, "ValidationError"},
		"policy":              {client, func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") }, "MalformedPolicyDocument"},
		"not a role":          {client, func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::123456789012:user/admin") }, "ValidationError"},
		"source identity":     {client, func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("eve") }, "ValidationError"},
		"packed": {client, func(in *sts.AssumeRoleInput) {
			in.Policy = aws.String(allowing("s3:*", "arn:aws:s3:::"+strings.Repeat("x", 1940)))
			in.PolicyArns = []ststypes.PolicyDescriptorType{{Arn: aws.String(readOnly)}}
		}, "PackedPolicyTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.client.AssumeRole(ctx, assume(c.more))
			wantError(t, err, c.code, 400)
		})
	}
	must(t)(h.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: aws.String("deploy"), MaxSessionDuration: aws.Int32(43200)}))
	must(t)(client.AssumeRole(ctx, assume(seconds(43200))))
	_, err := chained.AssumeRole(ctx, assume(seconds(3601)))
	wantError(t, err, "ValidationError", 400)
}

func TestAssumeRole_SessionPoliciesLimit(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""), allowing("iam:*", "*"))
	out := must(t)(h.sts(h.Client).AssumeRole(ctx, assume(func(in *sts.AssumeRoleInput) {
		in.Policy = aws.String(allowing("iam:GetRole", "*"))
	}))).(*sts.AssumeRoleOutput)
	session := h.temporary(out.Credentials)
	must(t)(session.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")}))
	_, err := session.ListRoles(ctx, &iam.ListRolesInput{})
	wantError(t, err, "AccessDenied", 403)

	managed := must(t)(h.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: aws.String(allowing("iam:ListRoles", "*"))})).(*iam.CreatePolicyOutput).Policy.Arn
	session = h.temporary(must(t)(h.sts(h.Client).AssumeRole(ctx, assume(func(in *sts.AssumeRoleInput) {
		in.PolicyArns = []ststypes.PolicyDescriptorType{{Arn: managed}}
	}))).(*sts.AssumeRoleOutput).Credentials)
	must(t)(session.ListRoles(ctx, &iam.ListRolesInput{}))
	must(t)(h.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: managed}))
	_, err = session.ListRoles(ctx, &iam.ListRolesInput{})
	wantError(t, err, "AccessDenied", 403)
}

func TestAssumeRole_TagsAreThePrincipals(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*",
		"Condition":{"StringEquals":{"aws:PrincipalTag/team":"red","aws:PrincipalTag/stage":"test"}}}]}`)
	must(t)(h.TagRole(ctx, &iam.TagRoleInput{RoleName: aws.String("deploy"), Tags: []types.Tag{tag("Team", "blue"), tag("stage", "test")}}))
	tagged := func(team string) *iam.Client {
		return h.temporary(must(t)(h.sts(h.Client).AssumeRole(ctx, assume(func(in *sts.AssumeRoleInput) {
			in.Tags = []ststypes.Tag{{Key: aws.String("team"), Value: &team}}
		}))).(*sts.AssumeRoleOutput).Credentials)
	}
	must(t)(tagged("red").ListRoles(ctx, &iam.ListRolesInput{}))
	_, err := tagged("green").ListRoles(ctx, &iam.ListRolesInput{})
	wantError(t, err, "AccessDenied", 403)
}

func TestSession_EndsWithItsRole(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""))
	session := h.sts(h.temporary(must(t)(h.sts(h.Client).AssumeRole(ctx, assume())).(*sts.AssumeRoleOutput).Credentials))
	must(t)(session.GetCallerIdentity(ctx, nil))
	must(t)(h.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("deploy")}))
	h.role(t, trusting(account, "")) // another one of the same name
	_, err := session.GetCallerIdentity(ctx, nil)
	wantError(t, err, "InvalidClientTokenId", 403)
}

func TestSession_TokenAndKeyBelongTogether(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.role(t, trusting(account, ""))
	one := must(t)(h.sts(h.Client).AssumeRole(ctx, assume())).(*sts.AssumeRoleOutput).Credentials
	two := must(t)(h.sts(h.Client).AssumeRole(ctx, assume())).(*sts.AssumeRoleOutput).Credentials
	admin, err := h.ids.UserCaller(ctx, account, "admin", identity.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	packages, _, err := h.ids.IssueToken(ctx, admin, account, "my-domain", 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ id, secret, token, code string }{
		"token of another key":    {*one.AccessKeyId, *one.SecretAccessKey, *two.SessionToken, "InvalidClientTokenId"},
		"secret of another key":   {*one.AccessKeyId, *two.SecretAccessKey, *one.SessionToken, "SignatureDoesNotMatch"},
		"no token":                {*one.AccessKeyId, *one.SecretAccessKey, "", "InvalidClientTokenId"},
		"token of packages":       {*one.AccessKeyId, *one.SecretAccessKey, packages, "InvalidClientTokenId"},
		"token with a long key":   {h.admin.ID, string(h.admin.Secret), *one.SessionToken, "InvalidClientTokenId"},
		"not a token of any kind": {*one.AccessKeyId, *one.SecretAccessKey, "x", "InvalidClientTokenId"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.sts(h.as(c.id, c.secret, c.token)).GetCallerIdentity(ctx, nil)
			wantError(t, err, c.code, 403)
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+*one.SessionToken)
	if _, err := h.ids.AuthenticatePackages(r); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a session token opens packages: %v", err)
	}
}

func TestGetSessionToken(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	out := must(t)(h.sts(h.Client).GetSessionToken(ctx, &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(129600)})).(*sts.GetSessionTokenOutput)
	session := h.temporary(out.Credentials)
	who := must(t)(h.sts(session).GetCallerIdentity(ctx, nil)).(*sts.GetCallerIdentityOutput)
	if *who.Arn != "arn:aws:iam::123456789012:user/admin" {
		t.Errorf("it is %s", *who.Arn)
	}
	_, err := session.ListUsers(ctx, &iam.ListUsersInput{})
	wantError(t, err, "InvalidClientTokenId", 403)
	_, err = h.sts(session).GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	wantError(t, err, "AccessDenied", 403)
	h.role(t, trusting(account, ""))
	must(t)(h.sts(session).AssumeRole(ctx, assume()))
}

// TestSession_PackageTokens follows a session from AssumeRole to a download.
func TestSession_PackageTokens(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	const action = "codeartifact:DescribeDomain"
	h.role(t, trusting(account, ""), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:*","Resource":"*",
		"Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}}]}`)
	out := must(t)(h.sts(h.Client).AssumeRole(ctx, assume(func(in *sts.AssumeRoleInput) {
		in.Tags = []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("red")}}
		in.Policy = aws.String(allowing(action, "*"))
		in.DurationSeconds = aws.Int32(1800)
	}))).(*sts.AssumeRoleOutput)

	// As package control does: authenticate the API call, then issue.
	caller := h.caller(t, out.Credentials)
	token, expires, err := h.ids.IssueToken(ctx, caller, account, "my-domain", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !expires.Equal(*out.Credentials.Expiration) {
		t.Errorf("duration 0 ends at %v, the session at %v", expires, *out.Credentials.Expiration)
	}
	if _, longer, err := h.ids.IssueToken(ctx, caller, account, "my-domain", 12*time.Hour); err != nil || !longer.After(expires) {
		t.Errorf("a token may outlive the session: %v, %v", longer, err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	check := func(action string) error {
		c, err := h.ids.AuthenticatePackages(r)
		if err != nil {
			return err
		}
		return h.checker.Check(ctx, c, access.Domain(action, "eu-central-1", account, "my-domain"))
	}
	if err := check(action); err != nil {
		t.Error(err)
	}
	if err := check("codeartifact:DeleteDomain"); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "session policy") {
		t.Errorf("outside the session policy: %v", err)
	}
	must(t)(h.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String("deploy"), PolicyName: aws.String("a"), PolicyDocument: aws.String(strings.Replace(allowAll, "Allow", "Deny", 1)),
	}))
	if err := check(action); !fault.Is(err, fault.Denied) {
		t.Errorf("after a deny: %v", err)
	}
	must(t)(h.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("deploy"), PolicyName: aws.String("a")}))
	must(t)(h.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("deploy")}))
	if err := check(action); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after the role: %v", err)
	}
}

// caller authenticates a signed request as the API does.
func (h *house) caller(t *testing.T, c *ststypes.Credentials) identity.Caller {
	t.Helper()
	caller := make(chan identity.Caller, 1)
	server := httptest.NewServer(authenticated(h.ids, caller))
	defer server.Close()
	client := sts.New(sts.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken),
	})
	if _, err := client.GetCallerIdentity(t.Context(), nil); err == nil {
		t.Fatal("the server answers with an error whatever it finds")
	}
	select {
	case found := <-caller:
		return found
	default:
		t.Fatal("the credentials are refused")
		return identity.Caller{}
	}
}
