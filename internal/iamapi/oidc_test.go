package iamapi_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/identity/oidctest"
)

const branch = "repo:corp/app:ref:refs/heads/main"

// register trusts an issuer for the audience "packhouse".
func (h *house) register(t *testing.T, i *oidctest.Issuer) (arn string) {
	t.Helper()
	out := must(t)(h.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &i.URL, ClientIDList: []string{"packhouse"}})).(*iam.CreateOpenIDConnectProviderOutput)
	return *out.OpenIDConnectProviderArn
}

// federated is a trust policy for the issuer under conditions, a JSON object.
func federated(provider, conditions string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],"Principal":{"Federated":"` + provider + `"},"Condition":` + conditions + `}]}`)
}

// fits are conditions that tokens for the branch meet.
func fits(i *oidctest.Issuer) string {
	name := identity.ProviderName(i.URL)
	return `{"StringEquals":{"` + name + `:aud":"packhouse"},"StringLike":{"` + name + `:sub":"repo:corp/app:*"}}`
}

func webIdentity(token string, rest ...func(*sts.AssumeRoleWithWebIdentityInput)) *sts.AssumeRoleWithWebIdentityInput {
	in := &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(deployARN), RoleSessionName: aws.String("build-7"), WebIdentityToken: &token}
	for _, more := range rest {
		more(in)
	}
	return in
}

// nobody calls STS without credentials.
func (h *house) nobody() *sts.Client {
	return sts.New(sts.Options{BaseEndpoint: aws.String(h.url), Region: "eu-central-1", RetryMaxAttempts: 1, Credentials: aws.AnonymousCredentials{}})
}

func TestOpenIDConnectProvider_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	const name = "arn:aws:iam::123456789012:oidc-provider/issuer.test/realms/ci"
	print1, print2 := strings.Repeat("a", 40), strings.Repeat("B", 40)
	made := must(t)(h.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://issuer.test/realms/ci"), ClientIDList: []string{"one", "two", "one"}, ThumbprintList: []string{print1}, Tags: []types.Tag{tag("a", "b")},
	})).(*iam.CreateOpenIDConnectProviderOutput)
	if *made.OpenIDConnectProviderArn != name || len(made.Tags) != 1 {
		t.Errorf("made %+v", made)
	}
	_, err := h.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://issuer.test/realms/ci")})
	wantError(t, err, "EntityAlreadyExists", 409)
	must(t)(h.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://issuer.test/")}))
	for range 2 { // again changes nothing
		must(t)(h.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name), ClientID: aws.String("three")}))
		must(t)(h.RemoveClientIDFromOpenIDConnectProvider(ctx, &iam.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name), ClientID: aws.String("one")}))
	}
	must(t)(h.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: aws.String(name), ThumbprintList: []string{print2, print1}}))
	must(t)(h.TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name), Tags: []types.Tag{tag("c", "d")}}))
	must(t)(h.UntagOpenIDConnectProvider(ctx, &iam.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name), TagKeys: []string{"a"}}))
	got := must(t)(h.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name)})).(*iam.GetOpenIDConnectProviderOutput)
	want := []any{"issuer.test/realms/ci", []string{"two", "three"}, []string{print2, print1}, "c", "d"}
	if diff := cmp.Diff(want, []any{*got.Url, got.ClientIDList, got.ThumbprintList, *got.Tags[0].Key, *got.Tags[0].Value}); diff != "" || got.CreateDate == nil {
		t.Error(diff)
	}
	tags := must(t)(h.ListOpenIDConnectProviderTags(ctx, &iam.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: aws.String(name)})).(*iam.ListOpenIDConnectProviderTagsOutput)
	all := must(t)(h.ListOpenIDConnectProviders(ctx, nil)).(*iam.ListOpenIDConnectProvidersOutput).OpenIDConnectProviderList
	if len(tags.Tags) != 1 || len(all) != 2 || *all[0].Arn != "arn:aws:iam::123456789012:oidc-provider/issuer.test/" || *all[1].Arn != name {
		t.Errorf("tags %+v, all %+v", tags.Tags, all)
	}
	for range 2 { // IAM says nothing when it is gone already
		must(t)(h.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name)}))
	}
	_, err = h.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String(name)})
	wantError(t, err, "NoSuchEntity", 404)
}

func TestOpenIDConnectProvider_Refuses(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	create := func(in iam.CreateOpenIDConnectProviderInput) error {
		if in.Url == nil {
			in.Url = aws.String("https://issuer.test")
		}
		_, err := h.CreateOpenIDConnectProvider(ctx, &in)
		return err
	}
	for name, c := range map[string]struct {
		err    error
		code   string
		status int
	}{
		"plain http":              {create(iam.CreateOpenIDConnectProviderInput{Url: aws.String("http://issuer.test")}), "InvalidInput", 400},
		"query":                   {create(iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://issuer.test?a=b")}), "InvalidInput", 400},
		"service":                 {create(iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://sts")}), "InvalidInput", 400},
		"long address":            {create(iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://issuer.test/" + strings.Repeat("x", 250))}), "ValidationError", 400},
		"thumbprint short":        {create(iam.CreateOpenIDConnectProviderInput{ThumbprintList: []string{"abc"}}), "ValidationError", 400},
		"thumbprint of no digits": {create(iam.CreateOpenIDConnectProviderInput{ThumbprintList: []string{strings.Repeat("x", 40)}}), "InvalidInput", 400},
		"six thumbprints": {create(iam.CreateOpenIDConnectProviderInput{ThumbprintList: []string{
			strings.Repeat("1", 40), strings.Repeat("2", 40), strings.Repeat("3", 40), strings.Repeat("4", 40), strings.Repeat("5", 40), strings.Repeat("6", 40),
		}}), "InvalidInput", 400},
		"empty client id": {create(iam.CreateOpenIDConnectProviderInput{ClientIDList: []string{""}}), "ValidationError", 400},
		"tag":             {create(iam.CreateOpenIDConnectProviderInput{Tags: []types.Tag{tag("aws:x", "y")}}), "ValidationError", 400},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.err, c.code, c.status) })
	}
	for _, name := range []string{"arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::444455556666:oidc-provider/issuer.test"} {
		_, err := h.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: &name, ClientID: aws.String("x")})
		if err == nil {
			t.Errorf("%s was changed", name)
		}
	}
	clients := make([]string, 100)
	for i := range clients {
		clients[i] = fmt.Sprint("client-", i)
	}
	if err := create(iam.CreateOpenIDConnectProviderInput{ClientIDList: clients}); err != nil {
		t.Fatal(err)
	}
	_, err := h.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: aws.String("arn:aws:iam::123456789012:oidc-provider/issuer.test"), ClientID: aws.String("one more"),
	})
	wantError(t, err, "LimitExceeded", 409)
	for i := range 99 {
		if err := create(iam.CreateOpenIDConnectProviderInput{Url: aws.String(fmt.Sprintf("https://issuer.test/%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, create(iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://one.more.test")}), "LimitExceeded", 409)
}

func TestOpenIDConnectProvider_NeedsPermission(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	const name = "arn:aws:iam::123456789012:oidc-provider/issuer.test"
	eve := h.user(t, "eve", "/", allowing("iam:*", name))
	must(t)(eve.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://issuer.test")}))
	_, err := eve.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://other.test")})
	wantError(t, err, "AccessDenied", 403)
	_, err = eve.ListOpenIDConnectProviders(ctx, nil)
	wantError(t, err, "AccessDenied", 403)
}

func TestAssumeRoleWithWebIdentity_GivesCredentialsWithoutAny(t *testing.T) {
	h, i, ctx := newHouse(t), oidctest.New(t, "/realms/ci"), t.Context()
	provider := h.register(t, i)
	h.role(t, federated(provider, fits(i)), allowing("iam:GetRole", "*"))
	out := must(t)(h.nobody().AssumeRoleWithWebIdentity(ctx, webIdentity(i.Token(t, "packhouse", branch, time.Now(), nil)))).(*sts.AssumeRoleWithWebIdentityOutput)
	want := []string{branch, i.URL, "packhouse", "arn:aws:sts::123456789012:assumed-role/deploy/build-7"}
	if diff := cmp.Diff(want, []string{*out.SubjectFromWebIdentityToken, *out.Provider, *out.Audience, *out.AssumedRoleUser.Arn}); diff != "" {
		t.Error(diff)
	}
	if left := time.Until(*out.Credentials.Expiration); left > time.Hour || left < 59*time.Minute {
		t.Errorf("for %v", left)
	}
	session := h.temporary(out.Credentials)
	who := must(t)(h.sts(session).GetCallerIdentity(ctx, nil)).(*sts.GetCallerIdentityOutput)
	if *who.Arn != *out.AssumedRoleUser.Arn || *who.UserId != *out.AssumedRoleUser.AssumedRoleId {
		t.Errorf("it is %s %s", *who.Arn, *who.UserId)
	}
	must(t)(session.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")}))
	_, err := session.ListRoles(ctx, nil)
	wantError(t, err, "AccessDenied", 403)
}

func TestAssumeRoleWithWebIdentity_TrustDecides(t *testing.T) {
	i := oidctest.New(t, "")
	name := identity.ProviderName(i.URL)
	provider := "arn:aws:iam::123456789012:oidc-provider/" + name
	claim := func(operator, claim, value string) string {
		return `{"` + operator + `":{"` + name + `:` + claim + `":` + value + `}}`
	}
	tagged := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}}}
	for label, c := range map[string]struct {
		trust *string
		more  map[string]any
		edit  func(*sts.AssumeRoleWithWebIdentityInput)
		ok    bool
	}{
		"fits":                      {trust: federated(provider, fits(i)), ok: true},
		"case of the key":           {trust: federated(provider, strings.ReplaceAll(fits(i), ":sub", ":SUB")), ok: true},
		"another subject":           {trust: federated(provider, claim("StringEquals", "sub", `"repo:corp/other"`))},
		"another audience":          {trust: federated(provider, claim("StringEquals", "aud", `"other"`))},
		"another claim":             {trust: federated(provider, claim("StringEquals", "environment", `"production"`)), more: map[string]any{"environment": "production"}, ok: true},
		"claim that is not there":   {trust: federated(provider, claim("StringEquals", "environment", `"production"`))},
		"claim in another case":     {trust: federated(provider, claim("StringEquals", "environment", `"production"`)), more: map[string]any{"environment": "test", "Environment": "production"}},
		"claims with no right case": {trust: federated(provider, claim("StringEquals", "environment", `"production"`)), more: map[string]any{"ENVIRONMENT": "production", "Environment": "production"}},
		"list of methods":           {trust: federated(provider, claim("ForAnyValue:StringEquals", "amr", `"mfa"`)), more: map[string]any{"amr": []string{"pwd", "mfa"}}, ok: true},
		"list without the method":   {trust: federated(provider, claim("ForAnyValue:StringEquals", "amr", `"mfa"`)), more: map[string]any{"amr": []string{"pwd"}}},
		"truth":                     {trust: federated(provider, claim("Bool", "ref_protected", `"true"`)), more: map[string]any{"ref_protected": true}, ok: true},
		"claim that poses as ours":  {trust: federated(provider, `{"StringEquals":{"sts:RoleSessionName":"admin"}}`), more: map[string]any{"sts:RoleSessionName": "admin"}},
		"session name":              {trust: federated(provider, `{"StringEquals":{"sts:RoleSessionName":"build-7"}}`), ok: true},
		"source address":            {trust: federated(provider, `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), ok: true},
		"another source address":    {trust: federated(provider, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)},
		"another provider":          {trust: federated("arn:aws:iam::123456789012:oidc-provider/other.test", `{}`)},
		"user is no provider":       {trust: trusting(account, "")},
		"action is another":         {trust: aws.String(strings.Replace(*federated(provider, `{}`), "AssumeRoleWithWebIdentity", "AssumeRole", 1))},
		"tags":                      {trust: federated(provider, `{"StringEquals":{"aws:RequestTag/team":"red"}}`), more: tagged, ok: true},
		"tags nobody may give":      {trust: aws.String(strings.Replace(*federated(provider, `{}`), "sts:TagSession", "sts:AssumeRole", 1)), more: tagged},
		"role that is not there":    {trust: federated(provider, `{}`), edit: func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleArn = aws.String(deployARN + "2") }},
		"role under another path": {trust: federated(provider, `{}`), edit: func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.RoleArn = aws.String("arn:aws:iam::123456789012:role/deploy")
		}},
		"session policy, still fits": {trust: federated(provider, `{}`), edit: func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String(allowAll) }, ok: true},
	} {
		t.Run(label, func(t *testing.T) {
			h := newHouse(t)
			if got := h.register(t, i); got != provider {
				t.Fatal(got)
			}
			h.role(t, c.trust)
			in := webIdentity(i.Token(t, "packhouse", branch, time.Now(), c.more))
			if c.edit != nil {
				c.edit(in)
			}
			_, err := h.nobody().AssumeRoleWithWebIdentity(t.Context(), in)
			switch {
			case c.ok && err != nil:
				t.Error(err)
			case !c.ok:
				wantError(t, err, "AccessDenied", 403)
				if !strings.Contains(fmt.Sprint(err), name+":sub = "+branch) {
					t.Errorf("it does not say what the token says: %v", err)
				}
			}
		})
	}
}

func TestAssumeRoleWithWebIdentity_Errors(t *testing.T) {
	h, i, ctx := newHouse(t), oidctest.New(t, ""), t.Context()
	h.role(t, federated(h.register(t, i), fits(i)))
	down := oidctest.New(t, "")
	h.register(t, down)
	down.Override(oidctest.Discovery, http.NotFound)
	now := time.Now()
	good := i.Token(t, "packhouse", branch, now, nil)
	seconds := func(n int32) func(*sts.AssumeRoleWithWebIdentityInput) {
		return func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = &n }
	}
	for name, c := range map[string]struct {
		in   *sts.AssumeRoleWithWebIdentityInput
		code string
	}{
		"no token at all":      {webIdentity("nonsense"), "InvalidIdentityToken"},
		"too short":            {webIdentity("x"), "ValidationError"},
		"audience":             {webIdentity(i.Token(t, "somebody", branch, now, nil)), "InvalidIdentityToken"},
		"issuer":               {webIdentity(oidctest.New(t, "").Token(t, "packhouse", branch, now, nil)), "InvalidIdentityToken"},
		"expired":              {webIdentity(i.Token(t, "packhouse", branch, now.Add(-time.Hour), nil)), "ExpiredTokenException"},
		"issuer that is down":  {webIdentity(down.Token(t, "packhouse", branch, now, nil)), "IDPCommunicationError"},
		"session of a minute":  {webIdentity(good, seconds(60)), "ValidationError"},
		"session of two hours": {webIdentity(good, seconds(7200)), "ValidationError"},
		"session name":         {webIdentity(good, func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String("a b") }), "ValidationError"},
		"not a role": {webIdentity(good, func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.RoleArn = aws.String("arn:aws:iam::123456789012:user/admin")
		}), "ValidationError"},
		"issuer before OpenID": {webIdentity(good, func(in *sts.AssumeRoleWithWebIdentityInput) { in.ProviderId = aws.String("www.example.test") }), "ValidationError"},
		"policy":               {webIdentity(good, func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String("{}") }), "MalformedPolicyDocument"},
		"policy that is gone": {webIdentity(good, func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.PolicyArns = []ststypes.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::123456789012:policy/none")}}
		}), "NoSuchEntity"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.nobody().AssumeRoleWithWebIdentity(ctx, c.in)
			status := 400
			if c.code == "NoSuchEntity" {
				status = 404
			}
			wantError(t, err, c.code, status)
			if token := *c.in.WebIdentityToken; len(token) > 100 && strings.Contains(fmt.Sprint(err), token[len(token)-40:]) {
				t.Error("the error repeats the token")
			}
		})
	}
}

func TestAssumeRoleWithWebIdentity_SessionPoliciesAndTagsLimit(t *testing.T) {
	h, i, ctx := newHouse(t), oidctest.New(t, ""), t.Context()
	provider := h.register(t, i)
	name := identity.ProviderName(i.URL)
	h.role(t, federated(provider, fits(i)), allowing("iam:GetRole", "*"),
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{
			"aws:FederatedProvider":"`+provider+`","aws:PrincipalTag/team":"red","`+name+`:sub":"`+branch+`"}}}]}`)
	open := func(more map[string]any, edit ...func(*sts.AssumeRoleWithWebIdentityInput)) *iam.Client {
		out := must(t)(h.nobody().AssumeRoleWithWebIdentity(ctx, webIdentity(i.Token(t, "packhouse", branch, time.Now(), more), edit...))).(*sts.AssumeRoleWithWebIdentityOutput)
		return h.temporary(out.Credentials)
	}
	red := open(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}}})
	must(t)(red.ListRoles(ctx, nil))
	_, err := open(nil).ListRoles(ctx, nil)
	wantError(t, err, "AccessDenied", 403)
	limited := open(nil, func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String(allowing("iam:ListUsers", "*")) })
	_, err = limited.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")})
	wantError(t, err, "AccessDenied", 403)
	// A session of another kind has no provider.
	must(t)(h.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("deploy"), PolicyDocument: trusting(account, "")}))
	plain := h.temporary(must(t)(h.sts(h.Client).AssumeRole(ctx, assume(func(in *sts.AssumeRoleInput) {
		in.Tags = []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("red")}}
	}))).(*sts.AssumeRoleOutput).Credentials)
	_, err = plain.ListRoles(ctx, nil)
	wantError(t, err, "AccessDenied", 403)
}

// post sends a form without credentials.
func (h *house) post(ctx context.Context, t *testing.T, query string, form url.Values, header http.Header) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/"+query, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, header)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestUnsigned_OneOperationAlone(t *testing.T) {
	h, i, ctx := newHouse(t), oidctest.New(t, ""), t.Context()
	h.role(t, federated(h.register(t, i), fits(i)))
	good := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {deployARN}, "RoleSessionName": {"x1"},
		"WebIdentityToken": {i.Token(t, "packhouse", branch, time.Now(), nil)},
	}
	if status, text := h.post(ctx, t, "", good, nil); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := h.post(ctx, t, "", good, http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIA0000000000000000/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00"}}); status != 403 {
		t.Error("a bad signature is let through")
	}
	// Of everything else, however it is spelt, nothing is done.
	for _, s := range iamapi.Services() {
		for _, row := range s.Rows {
			if row.Name() != "AssumeRoleWithWebIdentity" {
				wantMissing(ctx, t, h, "", url.Values{
					"Action": {row.Name()}, "Version": {s.Version}, "UserName": {"mallory"}, "RoleArn": {deployARN}, "RoleSessionName": {"x1"},
				})
			}
		}
	}
	create := url.Values{"Action": {"CreateUser"}, "UserName": {"mallory"}, "Version": {"2010-05-08"}}
	wantMissing(ctx, t, h, "?Action=AssumeRoleWithWebIdentity", create)
	wantMissing(ctx, t, h, "?Action=AssumeRoleWithWebIdentity&Version=2011-06-15", create)
	create["Action"] = []string{"CreateUser", "AssumeRoleWithWebIdentity"}
	wantMissing(ctx, t, h, "", create)
	wantMissing(ctx, t, h, "", url.Values{"Action": {"assumerolewithwebidentity"}, "Version": {"2011-06-15"}})
	wantMissing(ctx, t, h, "", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2010-05-08"}})
	wantMissing(ctx, t, h, "", url.Values{})
	_, err := h.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("mallory")})
	wantError(t, err, "NoSuchEntity", 404)
	both := url.Values{"Action": {"AssumeRoleWithWebIdentity", "CreateUser"}, "UserName": {"mallory"}}
	if _, text := h.post(ctx, t, "?Action=CreateUser", both, nil); !strings.Contains(text, "ValidationError") {
		t.Errorf("the first action does not count: %s", text)
	}
	_, err = h.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("mallory")})
	wantError(t, err, "NoSuchEntity", 404)
}

func wantMissing(ctx context.Context, t *testing.T, h *house, query string, form url.Values) {
	t.Helper()
	if status, text := h.post(ctx, t, query, form, nil); status != 403 || !strings.Contains(text, "MissingAuthenticationToken") {
		t.Errorf("%s %v: %d %s", query, form, status, text)
	}
}
