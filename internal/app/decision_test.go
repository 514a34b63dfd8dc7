package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	catypes "github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Decisions as clients meet them: signed requests and package requests through
// the whole server.

const (
	internalARN = "arn:aws:codeartifact:us-east-1:" + account + ":repository/corp/internal"
	tokenOnly   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["codeartifact:GetAuthorizationToken","sts:GetServiceBearerToken"],"Resource":"*"}}`
	proxies     = "127.0.0.0/8,10.255.0.0/16"
)

// person is somebody with an access key.
type person struct {
	*site
	name string
	cred aws.Credentials
}

// person makes a user of the first account with an inline policy and tags.
func (s *site) person(t *testing.T, name, document string, tags ...iamtypes.Tag) *person {
	t.Helper()
	ctx, admin := t.Context(), iam.NewFromConfig(s.aws(t))
	_, err := admin.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Tags: tags})
	if err == nil {
		_, err = admin.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"), PolicyDocument: &document})
	}
	if err != nil {
		t.Fatal(err)
	}
	made, err := admin.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return &person{s, name, aws.Credentials{AccessKeyID: *made.AccessKey.AccessKeyId, SecretAccessKey: *made.AccessKey.SecretAccessKey}}
}

// call signs a request to the API and gives the answer; header are names and
// values, which a proxy could have added, so they are not signed.
func (p *person) call(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), p.cred, req, hex.EncodeToString(sum[:]), "codeartifact", "us-east-1", p.clock.now()); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(text)}
}

// token is one for the domain corp.
func (p *person) token(t *testing.T) string {
	t.Helper()
	a := p.call(t, "POST", "/v1/authorization-token?domain=corp&domain-owner="+account, "")
	var issued struct{ AuthorizationToken string }
	if err := json.Unmarshal([]byte(a.body), &issued); err != nil || a.status != 200 {
		t.Fatalf("token of %s: %d %s", p.name, a.status, a.body)
	}
	return issued.AuthorizationToken
}

func (s *site) protect(t *testing.T, statements ...string) {
	t.Helper()
	document := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	_, err := s.api.PutRepositoryPermissionsPolicy(t.Context(), &codeartifact.PutRepositoryPermissionsPolicyInput{
		Domain: aws.String("corp"), Repository: aws.String("internal"), PolicyDocument: &document,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func userARN(name string) string { return "arn:aws:iam::" + account + ":user/" + name }

const aboutInternal = "/v1/repository?domain=corp&domain-owner=" + account + "&repository=internal"

func TestDecisions_Conditions(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1/", map[string]string{"trusted-proxies": proxies})
	bare := newSite(t, "http://127.0.0.1:1/", nil) // believes nobody
	var people []*person
	for _, s := range []*site{s, bare} {
		if a := s.publish(t, "thing", "1.0.0", []byte("bytes")); a.status != 201 {
			t.Fatal(a)
		}
		people = append(people, s.person(t, "ann", tokenOnly, iamtypes.Tag{Key: aws.String("team"), Value: aws.String("web")}))
		_, err := s.api.TagResource(t.Context(), &codeartifact.TagResourceInput{
			ResourceArn: aws.String(internalARN), Tags: []catypes.Tag{{Key: aws.String("env"), Value: aws.String("prod")}, {Key: aws.String("Team"), Value: aws.String("web")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ann, alone := people[0], people[1]
	const from = "X-Forwarded-For"
	const net10, net6 = `{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]}}`, `{"IpAddress":{"aws:SourceIp":"2001:db8::/64"}}`
	for _, c := range []struct {
		name      string
		who       *person
		condition string
		header    []string
		want      bool
	}{
		{"no condition", ann, `{}`, nil, true},

		{"the peer itself", ann, `{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}`, nil, true},
		{"address from a proxy", ann, net10, []string{from, "10.1.2.3"}, true},
		{"address from a proxy, outside", ann, net10, []string{from, "203.0.113.9"}, false},
		{"the last hop counts, not what the client wrote", ann, net10, []string{from, "10.1.2.3, 203.0.113.9"}, false},
		{"the client's own line and the proxy's", ann, net10, []string{from, "10.1.2.3", from, "203.0.113.9"}, false},
		{"two proxies", ann, net10, []string{from, "10.1.2.3, 10.255.0.7"}, true},
		{"two proxies, outside", ann, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, []string{from, "10.1.2.3, 203.0.113.9, 10.255.0.7"}, true},
		{"two proxies do not hide who is behind", ann, net10, []string{from, "10.1.2.3, 203.0.113.9, 10.255.0.7"}, false},
		{"IPv6", ann, net6, []string{from, "2001:db8::17"}, true},
		{"IPv6 in brackets with a port", ann, net6, []string{from, "[2001:db8::17]:4711"}, true},
		{"IPv6, outside", ann, net6, []string{from, "2001:db8:0:1::17"}, false},
		{"IPv4 in IPv6", ann, net10, []string{from, "::ffff:10.1.2.3"}, true},
		{"a hop that is no address leaves the proxy", ann, net10, []string{from, "10.1.2.3, unknown"}, false},
		{"NotIpAddress", ann, `{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, []string{from, "10.1.2.3"}, false},
		{"spoofed without a trusted proxy", alone, net10, []string{from, "10.1.2.3"}, false},
		{"spoofed without a trusted proxy, by another header", alone, net10, []string{"X-Real-IP", "10.1.2.3", "Forwarded", "for=10.1.2.3"}, false},
		{"the peer without a trusted proxy", alone, `{"IpAddress":{"aws:SourceIp":"127.0.0.1/32"}}`, []string{from, "10.1.2.3"}, true},

		{"TLS, plain", ann, `{"Bool":{"aws:SecureTransport":"true"}}`, nil, false},
		{"TLS at the proxy", ann, `{"Bool":{"aws:SecureTransport":"true"}}`, []string{"X-Forwarded-Proto", "https"}, true},
		{"TLS spoofed", alone, `{"Bool":{"aws:SecureTransport":"true"}}`, []string{"X-Forwarded-Proto", "https"}, false},

		{"user agent", ann, `{"StringLike":{"aws:UserAgent":"npm/*"}}`, []string{"User-Agent", "npm/11.0.0 node/v24"}, true},
		{"another user agent", ann, `{"StringLike":{"aws:UserAgent":"npm/*"}}`, []string{"User-Agent", "curl/8"}, false},

		{"time", ann, `{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"DateLessThan":{"aws:EpochTime":"32503680000"}}`, nil, true},
		{"too late", ann, `{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, nil, false},

		{"tag of the resource", ann, `{"StringEquals":{"aws:ResourceTag/env":"prod"}}`, nil, true},
		{"another tag of the resource", ann, `{"StringEquals":{"aws:ResourceTag/env":"dev"}}`, nil, false},
		{"tag of the principal", ann, `{"StringEquals":{"aws:PrincipalTag/Team":"web"}}`, nil, true},
		{"tags of both alike", ann, `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`, nil, true},
		{"a tag the principal lacks", ann, `{"StringEquals":{"aws:PrincipalTag/cost":"1"}}`, nil, false},
		{"null", ann, `{"Null":{"aws:PrincipalTag/cost":"true","aws:ResourceTag/env":"false"}}`, nil, true},
		{"name", ann, `{"StringEquals":{"aws:username":"ann","aws:PrincipalAccount":"` + account + `","aws:RequestedRegion":"us-east-1"}}`, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.who.protect(t, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":%q},"Action":["codeartifact:DescribeRepository","codeartifact:ReadFromRepository"],"Resource":"*","Condition":%s}`, userARN("ann"), c.condition))
			want := map[bool]int{true: 200, false: 403}[c.want]
			if a := c.who.call(t, "GET", aboutInternal, "", c.header...); a.status != want {
				t.Errorf("API: %d %s, want %d", a.status, a.body, want)
			}
			if a := c.who.get(t, "internal/thing", append([]string{"Authorization", "Bearer " + c.who.token(t)}, c.header...)...); a.status != want && len(c.header) <= 2 {
				t.Errorf("packages: %d %s, want %d", a.status, a.body, want)
			}
		})
	}
}

func TestDecisions_TagsOfTheRequest(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1/", nil)
	ann := s.person(t, "ann", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"codeartifact:TagResource","Resource":"*","Condition":{
			"StringEquals":{"aws:RequestTag/env":["dev","test"]},"ForAllValues:StringEquals":{"aws:TagKeys":["env","owner"]}}},
		{"Effect":"Allow","Action":"codeartifact:UntagResource","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["env"]}}},
		{"Effect":"Allow","Action":"codeartifact:CreateRepository","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/env":"dev"}}}]}`)
	const resource = "?resourceArn=" + internalARN
	for _, c := range []struct {
		name, path, body string
		want             int
	}{
		{"a permitted tag", "/v1/tag" + resource, `{"tags":[{"key":"env","value":"dev"}]}`, 200},
		{"with another permitted key", "/v1/tag" + resource, `{"tags":[{"key":"env","value":"test"},{"key":"owner","value":"x"}]}`, 200},
		{"another value", "/v1/tag" + resource, `{"tags":[{"key":"env","value":"prod"}]}`, 403},
		{"another key beside it", "/v1/tag" + resource, `{"tags":[{"key":"env","value":"dev"},{"key":"cost","value":"1"}]}`, 403},
		{"without the tag", "/v1/tag" + resource, `{"tags":[{"key":"owner","value":"x"}]}`, 403},
		{"remove a permitted key", "/v1/untag" + resource, `{"tagKeys":["env"]}`, 200},
		{"remove another key", "/v1/untag" + resource, `{"tagKeys":["env","owner"]}`, 403},
		{"create with the tag", "/v1/repository?domain=corp&repository=one", `{"tags":[{"key":"env","value":"dev"}]}`, 200},
		{"create without", "/v1/repository?domain=corp&repository=two", `{}`, 403},
	} {
		if a := ann.call(t, "POST", c.path, c.body); a.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.want)
		}
	}
}

func TestDecisions_GroupsArePrincipals(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1/", nil)
	if a := s.publish(t, "thing", "1.0.0", []byte("bytes")); a.status != 201 {
		t.Fatal(a)
	}
	ctx, admin := t.Context(), iam.NewFromConfig(s.aws(t))
	ann, bob := s.person(t, "ann", tokenOnly), s.person(t, "bob", tokenOnly)
	tokens := map[*person]string{ann: ann.token(t), bob: bob.token(t)}
	group := aws.String("readers")
	_, err := admin.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group, Path: aws.String("/teams/")})
	if err != nil {
		t.Fatal(err)
	}
	join := func(p *person) {
		t.Helper()
		if _, err := admin.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: &p.name}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, p *person, want int) {
		t.Helper()
		for range 2 { // the second time from memory
			if a := s.get(t, "internal/thing", "Authorization", "Bearer "+tokens[p]); a.status != want {
				t.Errorf("%s: %s gets %d %s, want %d", what, p.name, a.status, a.body, want)
			}
		}
	}
	const members = "arn:aws:iam::" + account + ":group/teams/readers"
	s.protect(t, `{"Effect":"Allow","Principal":{"AWS":"`+members+`"},"Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	check("before joining", ann, 403)
	join(ann)
	check("a member", ann, 200)
	check("no member", bob, 403)
	if _, err := admin.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: group, UserName: &ann.name}); err != nil {
		t.Fatal(err)
	}
	check("removed", ann, 403)

	join(ann)
	everybody := `{"Effect":"Allow","Principal":{"AWS":["` + userARN("ann") + `","` + userARN("bob") + `"]},"Action":"codeartifact:ReadFromRepository","Resource":"*"}`
	s.protect(t, everybody, `{"Effect":"Deny","NotPrincipal":{"AWS":"`+members+`"},"Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	check("denied to all but the group, a member", ann, 200)
	check("denied to all but the group, no member", bob, 403)
	s.protect(t, everybody, `{"Effect":"Deny","Principal":{"AWS":"`+members+`"},"Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	check("denied to the group, a member", ann, 403)
	check("denied to the group, no member", bob, 200)
}

// TestDecisions_AcrossAccounts is the story of the CodeArtifact guide: the
// domain delegates to another account; the repository lets a group publish and
// the company's network read.
func TestDecisions_AcrossAccounts(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1/", map[string]string{"trusted-proxies": proxies})
	const theirs = "444455556666"
	ctx := t.Context()
	own, err := s.aws(t).Credentials.Retrieve(ctx)
	if err != nil {
		t.Fatal(err)
	}
	admin := &person{s, "admin", own}
	made := admin.call(t, "POST", "/v1/account", `{"account":"`+theirs+`"}`)
	var other struct {
		AccessKey struct{ AccessKeyID, SecretAccessKey string }
	}
	if err := json.Unmarshal([]byte(made.body), &other); err != nil || made.status != 200 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	them := &person{s, "their admin", aws.Credentials{AccessKeyID: other.AccessKey.AccessKeyID, SecretAccessKey: other.AccessKey.SecretAccessKey}}

	const askToken = "/v1/authorization-token?domain=corp&domain-owner=" + account
	refused := them.call(t, "POST", askToken, "")
	want := "User: arn:aws:iam::" + theirs + ":user/admin is not authorized to perform: codeartifact:GetAuthorizationToken on resource: arn:aws:codeartifact:us-east-1:" + account + ":domain/corp"
	var failure struct{ Message string }
	if err := json.Unmarshal([]byte(refused.body), &failure); err != nil || refused.status != 403 || failure.Message != want {
		t.Errorf("before: %d %s, want %s and no more", refused.status, refused.body, want)
	}
	delegation := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + theirs + `:root"},"Action":[
		"codeartifact:GetDomainPermissionsPolicy","codeartifact:ListRepositoriesInDomain","codeartifact:GetAuthorizationToken","codeartifact:DescribeDomain","codeartifact:CreateRepository"],"Resource":"*"}]}`
	if _, err := s.api.PutDomainPermissionsPolicy(ctx, &codeartifact.PutDomainPermissionsPolicyInput{Domain: aws.String("corp"), PolicyDocument: &delegation}); err != nil {
		t.Fatal(err)
	}
	token := them.token(t)

	iamAdmin, group := iam.NewFromConfig(s.aws(t)), aws.String("publishers")
	ann := s.person(t, "ann", tokenOnly)
	if _, err := iamAdmin.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group}); err != nil {
		t.Fatal(err)
	}
	if _, err := iamAdmin.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: aws.String("ann")}); err != nil {
		t.Fatal(err)
	}
	s.protect(t,
		`{"Sid":"Publishers","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:group/publishers"},"Action":["codeartifact:PublishPackageVersion","codeartifact:PutPackageMetadata","codeartifact:ReadFromRepository"],"Resource":"*"}`,
		`{"Sid":"Readers","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+theirs+`:root"},"Action":"codeartifact:ReadFromRepository","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
	annToken := ann.token(t)
	try := func(what, method, token, address string, want int) {
		t.Helper()
		var body io.Reader
		if method == http.MethodPut {
			body = bytes.NewReader(release("thing", strings.ReplaceAll(what, " ", "-"), []byte("bytes")))
		}
		a := s.do(t, method, "internal/thing", body, "Authorization", "Bearer "+token, "X-Forwarded-For", address)
		if a.status != want {
			t.Errorf("%s: %d %s, want %d", what, a.status, a.body, want)
		}
		if a.status == 403 && token != annToken && strings.Contains(a.body, "Readers") {
			t.Errorf("%s: another account hears of our policy: %s", what, a.body)
		}
	}
	try("1.0.0", http.MethodPut, annToken, "203.0.113.9", 201)
	try("1.0.1", http.MethodPut, token, "10.1.2.3", 403)
	try("they read from the network", http.MethodGet, token, "10.1.2.3", 200)
	try("they read from outside", http.MethodGet, token, "203.0.113.9", 403)
	try("they read from outside and lie", http.MethodGet, token, "10.1.2.3, 203.0.113.9", 403)

	// They create a repository of their own in the domain, and administer it.
	if a := them.call(t, "POST", "/v1/repository?domain=corp&domain-owner="+account+"&repository=theirs", "{}"); a.status != 200 || !strings.Contains(a.body, `"administratorAccount":"`+theirs+`"`) {
		t.Errorf("create a repository: %d %s", a.status, a.body)
	}
	if a := s.get(t, "theirs/thing"); a.status != 403 {
		t.Errorf("the domain's owner reads from their repository: %d", a.status)
	}
	if a := admin.call(t, "GET", "/v1/repository?domain=corp&repository=theirs", ""); a.status != 200 {
		t.Errorf("the domain's owner describes their repository: %d %s", a.status, a.body)
	}

	if _, err := s.api.DeleteDomainPermissionsPolicy(ctx, &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: aws.String("corp")}); err != nil {
		t.Fatal(err)
	}
	if a := them.call(t, "POST", askToken, ""); a.status != 403 {
		t.Errorf("after the delegation: %d", a.status)
	}
}
