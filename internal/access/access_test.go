package access_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

const (
	ours    = "111122223333" // owns the domain and the repository
	theirs  = "444455556666" // another account
	region  = "us-east-1"
	domain  = "my-company-domain"
	repoARN = "arn:aws:codeartifact:us-east-1:111122223333:repository/my-company-domain/frontend-app"
	domARN  = "arn:aws:codeartifact:us-east-1:111122223333:domain/my-company-domain"
	read    = "codeartifact:ReadFromRepository"
	publish = "codeartifact:PublishPackageVersion"
)

var (
	repository = artifact.RepositoryID{Owner: ours, Domain: domain, Name: "frontend-app"}
	lodash     = artifact.Coordinates{Format: artifact.NPM, Name: "lodash"}
)

// house is a catalog with a checker over it.
type house struct {
	*access.Checker
	db *catalog.DB
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &house{access.New(db), db}
}

func (h *house) update(t testing.TB, fn func(*catalog.Tx) error) {
	t.Helper()
	if err := h.db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// attach gives a user an inline policy of the statements, or a managed one.
func (h *house) attach(t testing.TB, account, user string, statements ...string) {
	t.Helper()
	h.update(t, func(tx *catalog.Tx) error {
		row := catalog.IdentityPolicy{Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: user, PolicyName: "inline"}
		if len(statements) == 1 && strings.HasPrefix(statements[0], "arn:") {
			row.PolicyName, row.ManagedARN = "managed", statements[0]
		} else {
			row.Document = document(statements...)
		}
		return tx.PutIdentityPolicy(row)
	})
}

// protect puts a resource policy of the statements on a resource.
func (h *house) protect(t testing.TB, arn string, statements ...string) {
	t.Helper()
	h.update(t, func(tx *catalog.Tx) error {
		kind := "repository"
		if arn == domARN {
			kind = "domain"
		}
		_, err := tx.PutResourcePolicy(catalog.ResourcePolicy{ResourceARN: arn, Kind: kind, Document: document(statements...)})
		return err
	})
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// allow is a statement; rest continues it, as in `,"Condition":{...}`.
func allow(action, resource string, rest ...string) string {
	return statement("Allow", action, resource, rest...)
}

func deny(action, resource string, rest ...string) string {
	return statement("Deny", action, resource, rest...)
}

func statement(effect, action, resource string, rest ...string) string {
	return fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q%s}`, effect, action, resource, strings.Join(rest, ""))
}

func to(principal string) string { return fmt.Sprintf(`,"Principal":{"AWS":%q}`, principal) }

const toAll = `,"Principal":"*"`

func user(account, name string) *identity.Subject {
	return &identity.Subject{Principal: policy.Principal{
		Type: policy.User, ARN: "arn:aws:iam::" + account + ":user/" + name, Account: account, UserID: "AIDA" + name, UserName: name,
	}}
}

func calling(s *identity.Subject) identity.Caller {
	return identity.NewCaller(s, identity.Facts{
		Time: time.Now(), SourceIP: netip.MustParseAddr("192.0.2.7"), UserAgent: "npm/11", Region: region, Secure: true,
	})
}

const adminPolicy = "arn:aws:iam::aws:policy/AdministratorAccess"

func TestCheck(t *testing.T) {
	eve, mallory := user(ours, "eve"), user(theirs, "mallory")
	onRepository := access.Repository(read, region, repository, ours)
	onPackage := access.Package(publish, region, repository, ours, lodash)
	onDomain := access.Domain("codeartifact:DescribeDomain", region, ours, domain)
	const allPackages = "arn:aws:codeartifact:*:*:package/my-company-domain/frontend-app/*"
	for _, c := range []struct {
		name     string
		who      *identity.Subject
		need     access.Need
		identity []string
		resource map[string]string // one statement by ARN
		want     fault.Kind
		text     string // of a refusal, after the resource; to people of other accounts there is none
	}{
		{
			name: "nothing", who: eve, need: onRepository, want: fault.Denied,
			text: "because no identity-based policy allows the codeartifact:ReadFromRepository action; found no allow in: identity-based policies (0), resource-based policies (0)",
		},
		{name: "managed policy", who: eve, need: onPackage, identity: []string{adminPolicy}},
		{name: "inline policy", who: eve, need: onRepository, identity: []string{allow("codeartifact:Read*", repoARN)}},
		{
			name: "a repository's ARN is not its packages'", who: eve, need: onPackage, want: fault.Denied,
			identity: []string{allow("codeartifact:*", repoARN)},
			text:     "because no identity-based policy allows the codeartifact:PublishPackageVersion action; found no allow in: identity-based policies (1), resource-based policies (0)",
		},
		{name: "packages by pattern", who: eve, need: onPackage, identity: []string{allow(publish, allPackages)}},
		{
			name: "explicit deny", who: eve, need: onRepository, want: fault.Denied,
			identity: []string{allow("*", "*"), deny(read, "*")},
			text:     "with an explicit deny in an identity-based policy; decided by Statement[1] of inline policy inline of user eve",
		},
		{
			name: "deny of the repository hits its owner", who: eve, need: onRepository, identity: []string{adminPolicy},
			resource: map[string]string{repoARN: deny(read, "*", toAll)}, want: fault.Denied,
			text: "with an explicit deny in a resource-based policy; decided by Statement[0] of the policy on " + repoARN,
		},
		{
			name: "deny of the domain does not reach into repositories", who: eve, need: onRepository, identity: []string{adminPolicy},
			resource: map[string]string{domARN: deny(read, "*", toAll)},
		},
		{
			name: "repository policy names the user", who: eve, need: onPackage,
			resource: map[string]string{repoARN: allow(publish, "*", to(eve.Principal.ARN))},
		},
		{
			name: "repository policy names the account", who: eve, need: onRepository, want: fault.Denied,
			resource: map[string]string{repoARN: allow(read, "*", to(ours))},
			text:     "because no identity-based policy allows the codeartifact:ReadFromRepository action; found no allow in: identity-based policies (0)",
		},
		{
			name: "other account with its own right alone", who: mallory, need: onRepository, identity: []string{adminPolicy}, want: fault.Denied,
		},
		{
			name: "other account with the owner's word alone", who: mallory, need: onRepository, want: fault.Denied,
			resource: map[string]string{repoARN: allow(read, "*", to(mallory.Principal.ARN))},
		},
		{
			name: "other account with both", who: mallory, need: onRepository, identity: []string{allow(read, "*")},
			resource: map[string]string{repoARN: allow(read, "*", to(theirs))},
		},
		{
			name: "domain policy", who: mallory, need: onDomain, identity: []string{adminPolicy},
			resource: map[string]string{domARN: allow("codeartifact:Describe*", "*", to(theirs))},
		},
		{name: "nobody", need: onRepository, want: fault.Unauthenticated, text: "credentials required to perform: " + read + " on resource: " + repoARN},
		{
			name: "nobody, where everybody may", need: onRepository,
			resource: map[string]string{repoARN: allow(read, "*", toAll)},
		},
		{
			name: "nobody, where everybody in a network may", need: onRepository,
			resource: map[string]string{repoARN: allow(read, "*", toAll, `,"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)},
		},
		{
			name: "nobody from outside that network", need: onRepository, want: fault.Unauthenticated, text: "credentials required to perform: " + read + " on resource: " + repoARN,
			resource: map[string]string{repoARN: allow(read, "*", toAll, `,"Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}`)},
		},
		{
			name: "facts of the request", who: eve, need: onRepository,
			identity: []string{allow(read, "*", `,"Condition":{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:username":"eve",
				"aws:RequestedRegion":"us-east-1","aws:UserAgent":"npm/11"},"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`)},
		},
		{
			name: "policies are put under the repository's policy in vain", who: eve, want: fault.Denied,
			need:     access.Repository("codeartifact:PutRepositoryPermissionsPolicy", region, repository, ours),
			resource: map[string]string{repoARN: allow("codeartifact:*", "*", to(eve.Principal.ARN))},
			text:     "because no identity-based policy allows the codeartifact:PutRepositoryPermissionsPolicy action; found no allow in: identity-based policies (0)",
		},
		{
			name: "owners cannot lock themselves out", who: eve, identity: []string{adminPolicy},
			need:     access.Repository("codeartifact:PutRepositoryPermissionsPolicy", region, repository, ours),
			resource: map[string]string{repoARN: deny("codeartifact:*", "*", toAll)},
		},
		{
			name: "domain's owner describes what others administer", who: eve, identity: []string{adminPolicy},
			need: access.Repository("codeartifact:DescribeRepository", region, repository, theirs),
		},
		{
			name: "domain's owner does not read what others administer", who: eve, identity: []string{adminPolicy}, want: fault.Denied,
			need: access.Repository(read, region, repository, theirs),
		},
		{
			name: "administrator of another account", who: mallory, identity: []string{adminPolicy},
			need: access.Repository(read, region, repository, theirs),
		},
		{
			name: "domain policy grants tagging of repositories", who: eve,
			need:     access.Repository("codeartifact:TagResource", region, repository, ours),
			resource: map[string]string{domARN: allow("codeartifact:TagResource", "*", to(eve.Principal.ARN))},
		},
		{
			name: "creating a repository by the domain's ARN", who: eve, need: access.NewRepository(region, repository),
			identity: []string{allow("codeartifact:CreateRepository", domARN)},
		},
		{
			name: "creating a repository by its own ARN", who: eve, need: access.NewRepository(region, repository),
			identity: []string{allow("codeartifact:CreateRepository", "arn:aws:codeartifact:*:*:repository/*/frontend-*")},
		},
		{
			name: "creating a repository whose name is denied", who: eve, need: access.NewRepository(region, repository), want: fault.Denied,
			identity: []string{allow("*", "*"), deny("codeartifact:CreateRepository", repoARN)},
			text:     "with an explicit deny in an identity-based policy; decided by Statement[1] of inline policy inline of user eve",
		},
		{
			name: "creating a repository in another account's domain", who: mallory, need: access.NewRepository(region, repository),
			identity: []string{allow("codeartifact:*", "*")},
			resource: map[string]string{domARN: allow("codeartifact:CreateRepository", "*", to(theirs))},
		},
		{
			name: "no resource", who: mallory, need: access.Everything("codeartifact:ListRepositories"),
			identity: []string{allow("codeartifact:List*", "*")},
		},
		{name: "root", who: &identity.Subject{Principal: policy.Principal{Type: policy.Root, ARN: "arn:aws:iam::" + ours + ":root", Account: ours}}, need: onRepository},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			if len(c.identity) > 0 {
				h.attach(t, c.who.Principal.Account, c.who.Principal.UserName, c.identity...)
			}
			for arn, s := range c.resource {
				h.protect(t, arn, s)
			}
			want := c.text
			if c.want == fault.Denied {
				resource := c.need.Resource
				if strings.Contains(c.name, "whose name is denied") {
					resource = c.need.Alternative
				}
				want = fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", c.who.Principal.ARN, c.need.Action, resource)
				if c.text != "" { // other accounts hear no more
					want += " " + c.text
				}
			}
			for range 2 { // the second from memory
				err := h.Check(t.Context(), calling(c.who), c.need)
				if c.want == fault.Internal {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				if diff := cmp.Diff(want, fault.Message(err)); diff != "" || !fault.Is(err, c.want) {
					t.Fatalf("%v\n%s", err, diff)
				}
			}
		})
	}
}

func withToken(s *identity.Subject, owner, name string) *identity.Subject {
	scoped := *s
	scoped.Token = identity.Token{Owner: owner, Domain: name, Expires: time.Now().Add(time.Hour)}
	return &scoped
}

func TestCheck_TokenIsGoodForItsDomainOnly(t *testing.T) {
	h := newHouse(t)
	eve := user(ours, "eve")
	h.attach(t, ours, "eve", adminPolicy)
	needs := []access.Need{
		access.Repository(read, region, repository, ours),
		access.Package(publish, region, repository, ours, lodash),
		access.Domain("codeartifact:DescribeDomain", region, ours, domain),
	}
	for _, need := range needs {
		if err := h.Check(t.Context(), calling(withToken(eve, ours, domain)), need); err != nil {
			t.Errorf("%s: %v", need.Resource, err)
		}
		for _, other := range []*identity.Subject{
			withToken(eve, ours, "my-company"), withToken(eve, ours, "my-company-domain-2"), withToken(eve, theirs, domain),
		} {
			err := h.Check(t.Context(), calling(other), need)
			if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Message(err), "the token is for domain "+other.Token.Domain) {
				t.Errorf("%s with a token of %s/%s: %v", need.Resource, other.Token.Owner, other.Token.Domain, err)
			}
		}
	}
	err := h.Check(t.Context(), calling(withToken(eve, ours, domain)), access.Everything("codeartifact:ListDomains"))
	if !fault.Is(err, fault.Denied) {
		t.Errorf("without a resource: %v", err)
	}
}

func TestCheck_ChangesCountAtOnce(t *testing.T) {
	h := newHouse(t)
	eve := calling(user(ours, "eve"))
	need := access.Repository(read, region, repository, ours)
	h.attach(t, ours, "eve", allow(read, "*"))
	if err := h.Check(t.Context(), eve, need); err != nil {
		t.Fatal(err)
	}
	h.attach(t, ours, "eve", deny(read, "*"))
	if err := h.Check(t.Context(), eve, need); !fault.Is(err, fault.Denied) {
		t.Errorf("denied since: %v", err)
	}
	h.update(t, func(tx *catalog.Tx) error {
		return tx.DeleteIdentityPolicy(ours, catalog.PrincipalUser, "eve", "inline")
	})
	h.protect(t, repoARN, allow(read, "*", to("arn:aws:iam::"+ours+":user/eve")))
	if err := h.Check(t.Context(), eve, need); err != nil {
		t.Errorf("granted since: %v", err)
	}
}

func TestCheck_ConditionsAreAskedEveryTime(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow(read, "*", `,"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`))
	eve := user(ours, "eve")
	need := access.Repository(read, region, repository, ours)
	outside := identity.NewCaller(eve, identity.Facts{SourceIP: netip.MustParseAddr("198.51.100.1")})
	for range 2 {
		if err := h.Check(t.Context(), calling(eve), need); err != nil {
			t.Error(err)
		}
		if err := h.Check(t.Context(), outside, need); !fault.Is(err, fault.Denied) {
			t.Errorf("from outside: %v", err)
		}
	}
}

func TestCheck_GrantsAreNotMixedUp(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow(read, "*"))
	h.protect(t, repoARN, deny("codeartifact:*", "*", to("arn:aws:iam::"+ours+":user/adam")))
	h.attach(t, ours, "adam", adminPolicy)
	need := access.Repository(read, region, repository, ours)
	bare := need
	bare.Policies = nil
	foreign := need
	foreign.Owner = theirs
	for range 2 {
		got := []error{
			h.Check(t.Context(), calling(user(ours, "eve")), need),
			h.Check(t.Context(), calling(user(ours, "adam")), bare),
			h.Check(t.Context(), calling(user(ours, "adam")), need),
			h.Check(t.Context(), calling(user(ours, "eve")), foreign),
			h.Check(t.Context(), calling(user(ours, "eve")), access.Repository(publish, region, repository, ours)),
		}
		for i, want := range []bool{true, true, false, false, false} {
			if (got[i] == nil) != want {
				t.Errorf("%d: %v", i, got[i])
			}
		}
	}
}

func TestCheck_TagsOfTheRepository(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("codeartifact:*", "*", `,"Condition":{"StringEquals":{"aws:ResourceTag/Team":"web"}}`))
	eve := calling(user(ours, "eve"))
	need := access.Package(publish, region, repository, ours, lodash)
	if err := h.Check(t.Context(), eve, need); !fault.Is(err, fault.Denied) {
		t.Errorf("without the tag: %v", err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.PutTags(repoARN, []catalog.Tag{{Key: "Team", Value: "web"}}) })
	if err := h.Check(t.Context(), eve, need); err != nil {
		t.Errorf("with the tag: %v", err)
	}
}

func TestCheck_KeysOfTheOperation(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("codeartifact:CreateDomain", "*", `,"Condition":{"StringEquals":{"aws:RequestTag/Team":"web"}}`))
	need := access.Domain("codeartifact:CreateDomain", region, ours, domain)
	need.Context = map[string][]string{"aws:RequestTag/Team": {"web"}}
	if err := h.Check(t.Context(), calling(user(ours, "eve")), need); err != nil {
		t.Error(err)
	}
	need.Context["aws:RequestTag/Team"] = []string{"api"}
	if err := h.Check(t.Context(), calling(user(ours, "eve")), need); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

func TestCheckAll_AuthorizationToken(t *testing.T) {
	token := allow("codeartifact:GetAuthorizationToken", domARN)
	bearer := func(condition string) string {
		return allow("sts:GetServiceBearerToken", "*", `,"Condition":{`+condition+`}`)
	}
	const service = `"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"}`
	for _, c := range []struct {
		name       string
		statements []string
		resource   string
		duration   time.Duration
		denied     string // the action named
	}{
		{name: "both", statements: []string{token, bearer(service)}},
		{name: "no token", statements: []string{bearer(service)}, denied: "codeartifact:GetAuthorizationToken"},
		{name: "no bearer", statements: []string{token}, denied: "sts:GetServiceBearerToken"},
		{
			name: "bearer by the domain's policy alone", statements: []string{token}, denied: "sts:GetServiceBearerToken",
			resource: allow("sts:GetServiceBearerToken", "*", toAll),
		},
		{
			name: "shorter than the cap", duration: time.Hour,
			statements: []string{token, bearer(`"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}`)},
		},
		{
			name: "longer than the cap", duration: time.Hour + time.Second, denied: "sts:GetServiceBearerToken",
			statements: []string{token, bearer(`"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}`)},
		},
		{
			name:       "0 passes a cap, as documented",
			statements: []string{token, bearer(`"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}`)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.attach(t, ours, "eve", c.statements...)
			if c.resource != "" {
				h.protect(t, domARN, c.resource)
			}
			err := h.CheckAll(t.Context(), calling(user(ours, "eve")), access.AuthorizationToken(region, ours, domain, c.duration)...)
			if c.denied == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Message(err), "perform: "+c.denied) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAuthorize_ChecksTheNeedsOfAnOperation(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("codeartifact:*", "*"), allow("sts:*", "*", `,"Condition":{
		"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"},"NumericLessThan":{"sts:DurationSeconds":"3600"}}`))
	call := func(name string) *restjson.Call {
		return &restjson.Call{Principal: calling(user(ours, name)), Operation: "GetAuthorizationToken"}
	}
	needs := func(seconds, service string) []restjson.Need {
		keys := map[string][]string{"sts:DurationSeconds": {seconds}}
		if service != "" {
			keys["sts:AWSServiceName"] = []string{service}
		}
		return []restjson.Need{
			{Action: "codeartifact:GetAuthorizationToken", Resource: domARN},
			{Action: "sts:GetServiceBearerToken", Resource: "*", IdentityOnly: true, Context: keys},
		}
	}
	for _, c := range []struct {
		name, seconds, service string
		want                   fault.Kind
	}{
		{"eve", "900", "", fault.Internal},
		{"eve", "900", "other.amazonaws.com", fault.Internal}, // nobody else can be meant
		{"eve", "3600", "", fault.Denied},
		{"adam", "900", "", fault.Denied},
	} {
		err := h.Authorize(t.Context(), call(c.name), needs(c.seconds, c.service))
		if (err != nil) != (c.want == fault.Denied) || err != nil && fault.Of(err) != c.want {
			t.Errorf("%s for %s s: %v", c.name, c.seconds, err)
		}
	}
	h.attach(t, ours, "ann", allow("codeartifact:*", domARN), allow("iam:GetUser", "arn:aws:iam::"+ours+":user/ann"))
	for resource, want := range map[string]fault.Kind{
		"arn:aws:iam::" + ours + ":user/ann":   fault.Internal,
		"arn:aws:iam::" + ours + ":user/eve":   fault.Denied,
		"arn:aws:iam::" + theirs + ":user/ann": fault.Denied,
		"nonsense":                             fault.Invalid,
	} {
		err := h.Authorize(t.Context(), call("ann"), []restjson.Need{{Action: "iam:GetUser", Resource: resource}})
		if (err == nil) != (want == fault.Internal) || err != nil && fault.Of(err) != want {
			t.Errorf("%s: %v", resource, err)
		}
	}
	if err := h.Authorize(t.Context(), &restjson.Call{}, needs("900", "")); err == nil {
		t.Error("a call by nobody is authorised")
	}
}

func TestFilter_KeepsWhatTheCallerMayList(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("codeartifact:ListDomains", "arn:aws:codeartifact:*:*:domain/web-*"))
	got, err := access.Filter(t.Context(), h.Checker, calling(user(ours, "eve")), []string{"api-one", "web-one", "web-two"}, func(name string) access.Need {
		return access.Domain("codeartifact:ListDomains", region, ours, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"web-one", "web-two"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheck_UnreadablePolicyRefuses(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", adminPolicy)
	h.attach(t, ours, "eve", `{"Effect":"Maybe"}`)
	err := h.Check(t.Context(), calling(user(ours, "eve")), access.Repository(read, region, repository, ours))
	if err == nil || fault.Of(err) != fault.Internal {
		t.Errorf("got %v", err)
	}
}

func TestNeed_FromARN(t *testing.T) {
	h := newHouse(t)
	h.update(t, func(tx *catalog.Tx) error {
		d, err := tx.InsertDomain(catalog.Domain{Owner: ours, Name: domain})
		if err != nil {
			return err
		}
		_, err = tx.InsertRepository(catalog.Repository{DomainID: d.ID, Name: repository.Name, Administrator: theirs})
		return err
	})
	absent := artifact.RepositoryID{Owner: ours, Domain: domain, Name: "absent"}
	const group = "arn:aws:codeartifact:us-east-1:111122223333:package-group/my-company-domain/npm/%2A"
	onGroup := access.Domain("codeartifact:DescribePackageGroup", region, ours, domain)
	onGroup.Resource, onGroup.TagsOf = group, group
	for _, c := range []struct {
		action, resource string
		want             access.Need
	}{
		{"codeartifact:DescribeDomain", domARN, access.Domain("codeartifact:DescribeDomain", region, ours, domain)},
		{read, repoARN, access.Repository(read, region, repository, theirs)},
		{"codeartifact:DescribeRepository", repoARN, access.Repository("codeartifact:DescribeRepository", region, repository, theirs)},
		{"codeartifact:TagResource", repoARN, access.Repository("codeartifact:TagResource", region, repository, theirs)},
		{read, repoARN[:len(repoARN)-len("frontend-app")] + "absent", access.Repository(read, region, absent, ours)},
		{
			publish, "arn:aws:codeartifact:us-east-1:111122223333:package/my-company-domain/frontend-app/npm//lodash",
			access.Package(publish, region, repository, theirs, lodash),
		},
		{"codeartifact:CreateRepository", repoARN, access.NewRepository(region, repository)},
		{"codeartifact:DescribePackageGroup", group, onGroup},
		{"codeartifact:ListDomains", "*", access.Everything("codeartifact:ListDomains")},
	} {
		got, err := h.Need(t.Context(), c.action, c.resource)
		if err != nil {
			t.Errorf("%s: %v", c.resource, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s on %s: %s", c.action, c.resource, diff)
		}
	}
	for _, bad := range []string{"", "frontend-app", "arn:aws:s3:::bucket", "arn:aws:codeartifact:us-east-1:111122223333:repository/x"} {
		if _, err := h.Need(t.Context(), read, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCheck_ManyAtOnce(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("codeartifact:*", "*", `,"Condition":{"StringLike":{"aws:ResourceTag/Team":"*"}}`))
	h.update(t, func(tx *catalog.Tx) error { return tx.PutTags(repoARN, []catalog.Tag{{Key: "Team", Value: "web"}}) })
	need := access.Repository(read, region, repository, ours)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name, want := "eve", fault.Internal
			if i%2 == 1 {
				name, want = "adam", fault.Denied
			}
			caller := calling(user(ours, name))
			for range 100 {
				if err := h.Check(context.Background(), caller, need); err != nil && fault.Of(err) != want || err == nil && want == fault.Denied {
					t.Error(name, err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 10 {
			h.update(t, func(tx *catalog.Tx) error {
				return tx.PutTags(repoARN, []catalog.Tag{{Key: "Team", Value: fmt.Sprint("team", i)}})
			})
		}
	})
	wg.Wait()
}

func BenchmarkCheck(b *testing.B) {
	ten := make([]string, 10)
	for i := range ten {
		ten[i] = allow("codeartifact:Read*", fmt.Sprintf("arn:aws:codeartifact:*:*:repository/my-company-domain/team-%d-*", i))
	}
	ten[9] = allow(read, "arn:aws:codeartifact:*:*:repository/my-company-domain/*", `,"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)
	plain := append([]string{}, ten...)
	plain[9] = allow(read, "arn:aws:codeartifact:*:*:repository/my-company-domain/*")
	for _, c := range []struct {
		name       string
		statements []string
	}{{"admin", []string{adminPolicy}}, {"ten statements", plain}, {"ten statements and a condition", ten}} {
		b.Run(c.name, func(b *testing.B) {
			h := newHouse(b)
			h.attach(b, ours, "eve", c.statements...)
			caller := calling(withToken(user(ours, "eve"), ours, domain))
			need := access.Repository(read, region, repository, ours)
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Check(b.Context(), caller, need); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCheck_WarmAllocatesNothing: policies are evaluated on every request.
func TestCheck_WarmAllocatesNothing(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", adminPolicy)
	caller := calling(withToken(user(ours, "eve"), ours, domain))
	need := access.Repository(read, region, repository, ours)
	check := func() {
		if err := h.Check(t.Context(), caller, need); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if n := testing.AllocsPerRun(200, check); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// join makes a user of the catalog and puts it into a group.
func (h *house) join(t testing.TB, account, name, group string) {
	t.Helper()
	h.update(t, func(tx *catalog.Tx) error {
		for _, err := range []error{
			tx.InsertUser(catalog.User{Account: account, Name: name, Path: "/", ID: "AIDA" + name}),
			tx.InsertGroup(catalog.Group{Account: account, Name: group, Path: "/", ID: "AGPA" + group}),
			tx.AddGroupMember(account, group, name),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestCheck_GroupIsAPrincipalOfResourcePolicies(t *testing.T) {
	h := newHouse(t)
	h.join(t, ours, "eve", "publishers")
	h.protect(t, repoARN, allow(publish, "*", to("arn:aws:iam::"+ours+":group/publishers")))
	need := access.Package(publish, region, repository, ours, lodash)
	eve := calling(user(ours, "eve"))
	for range 2 { // the second time from memory
		if err := h.Check(t.Context(), eve, need); err != nil {
			t.Error(err)
		}
	}
	if err := h.Check(t.Context(), calling(user(ours, "mallory")), need); !fault.Is(err, fault.Denied) {
		t.Errorf("whoever is not in the group: %v", err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.RemoveGroupMember(ours, "publishers", "eve") })
	if err := h.Check(t.Context(), eve, need); !fault.Is(err, fault.Denied) {
		t.Errorf("the same caller, out of the group meanwhile: %v", err)
	}
}

func TestCheck_BoundaryThatCannotBeReadRefuses(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", adminPolicy)
	h.update(t, func(tx *catalog.Tx) error {
		return tx.InsertUser(catalog.User{Account: ours, Name: "eve", Path: "/", ID: "AIDAeve", Boundary: "arn:aws:iam::" + ours + ":policy/gone"})
	})
	err := h.Check(t.Context(), calling(user(ours, "eve")), access.Repository(read, region, repository, ours))
	if err == nil || fault.Of(err) != fault.Internal {
		t.Errorf("got %v", err)
	}
}

func TestCheck_TagsOfAnIssuer(t *testing.T) {
	h := newHouse(t)
	h.attach(t, ours, "eve", allow("iam:*", "*"), deny("iam:*", "*", `,"Condition":{"StringEquals":{"aws:ResourceTag/Team":"web"}}`))
	const name = "arn:aws:iam::" + ours + ":oidc-provider/issuer.test/realms/ci"
	h.update(t, func(tx *catalog.Tx) error {
		return tx.InsertOIDCProvider(catalog.OIDCProvider{Account: ours, ARN: name, ID: "OIDC1", Issuer: "https://issuer.test/realms/ci"})
	})
	check := func() error {
		need, err := h.Need(t.Context(), "iam:DeleteOpenIDConnectProvider", name)
		if err != nil {
			t.Fatal(err)
		}
		return h.Check(t.Context(), calling(user(ours, "eve")), need)
	}
	if err := check(); err != nil {
		t.Errorf("without the tag: %v", err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.PutTags("OIDC1", []catalog.Tag{{Key: "Team", Value: "web"}}) })
	if err := check(); !fault.Is(err, fault.Denied) {
		t.Errorf("with the tag: %v", err)
	}
}
