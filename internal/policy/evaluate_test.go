package policy

import (
	"maps"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"packhouse/internal/arn"
)

const (
	home   = "111122223333" // owns every resource of the tables
	abroad = "999988887777"
)

// callers are the people of testdata.
func callers() map[string]Principal {
	user := func(account, name string) Principal {
		return Principal{
			Type: User, Account: account, ARN: arn.User(account, "", name).String(),
			UserID: "AIDA" + strings.ToUpper(name), UserName: name,
		}
	}
	session := func(account, path, role, name string) Principal {
		return Principal{
			Type: AssumedRole, Account: account, ARN: arn.AssumedRole(account, role, name).String(),
			RoleARN: arn.Role(account, path, role).String(), UserID: "AROA" + strings.ToUpper(role) + ":" + name,
		}
	}
	alice := user(home, "alice")
	alice.Groups = []string{arn.Group(home, "", "developers").String()}
	alice.Tags = map[string]string{"Team": "web"}
	star := user(home, "star")
	star.UserName = "*"
	return map[string]Principal{
		"alice":          alice,
		"bob":            user(home, "bob"),
		"carol":          user(home, "carol"),
		"star":           star,
		"builder":        session(home, "/ci/", "builder", "job-7"),
		"builder8":       session(home, "/ci/", "builder", "job-8"),
		"root":           {Type: Root, Account: home, ARN: arn.Root(home).String()},
		"eve":            user(abroad, "eve"),
		"mallory":        session(abroad, "", "visitor", "s"),
		"strangers-root": {Type: Root, Account: abroad, ARN: arn.Root(abroad).String()},
		"anonymous":      {},
		"events":         {Type: Service, Service: "events.amazonaws.com"},
		"logs":           {Type: Service, Service: "logs.amazonaws.com"},
	}
}

// overlay lets a case set keys over those of Facts.
type overlay struct {
	values
	under ConditionContext
}

func (o overlay) Value(key string) ([]string, bool) {
	if v, ok := o.values[key]; ok {
		return v, len(v) > 0
	}
	return o.under.Value(key)
}

type tableCase struct {
	name     string
	request  Request
	policies Policies
	want     string
}

// readTables reads testdata/*.txtar. Each holds documents and lines of
// requests: who | action | resource | keys | decision.
func readTables(t *testing.T) []tableCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	var cases []tableCase
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var p Policies
		var requests string
		for _, f := range archive.Files {
			switch f.Name {
			case "identity.json":
				p.Identity = []*Document{mustParse(t, string(f.Data))}
			case "boundary.json":
				p.Boundary = []*Document{mustParse(t, string(f.Data))}
			case "session.json":
				p.Session = []*Document{mustParse(t, string(f.Data))}
			case "resource.json":
				p.Resource = []*Document{mustParse(t, string(f.Data))}
			case "identity.managed":
				p.Identity = []*Document{ManagedByARN("arn:aws:iam::aws:policy/" + strings.TrimSpace(string(f.Data))).Document}
			case "requests":
				requests = string(f.Data)
			default:
				t.Fatalf("%s: unknown file %s", path, f.Name)
			}
		}
		for line := range strings.Lines(requests) {
			cases = append(cases, readCase(t, filepath.Base(path), line, p))
		}
	}
	return cases
}

func readCase(t *testing.T, file, line string, p Policies) tableCase {
	t.Helper()
	cells := strings.Split(line, "|")
	if len(cells) != 5 {
		t.Fatalf("%s: %q has %d cells", file, line, len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	principal, ok := callers()[cells[0]]
	if !ok {
		t.Fatalf("%s: who is %s?", file, cells[0])
	}
	action, resource := cells[1], cells[2]
	if !strings.Contains(action, ":") {
		action = "codeartifact:" + action
	}
	if resource != "*" {
		resource = "arn:aws:codeartifact:eu-west-1:" + home + ":" + resource
	}
	keys := parseValues(cells[3])
	_, identityOnly := keys["identity-only"]
	delete(keys, "identity-only")
	facts := &Facts{
		Principal: principal, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		SourceIP: netip.MustParseAddr("10.1.2.3"), SecureTransport: true, UserAgent: "test", Region: "eu-west-1",
	}
	return tableCase{
		name:     file + ": " + cells[0] + " " + cells[1] + " " + cells[2] + " " + cells[3],
		policies: p,
		want:     cells[4],
		request: Request{
			Principal: principal, Action: action, Resource: resource, ResourceAccount: home,
			Context: overlay{keys, facts}, IdentityOnly: identityOnly,
		},
	}
}

// summary spells a decision as the tables do.
func summary(d Decision) string {
	words := map[Reason]string{Allowed: "allow", ExplicitDeny: "deny", ImplicitDeny: "implicit"}
	kinds := map[Kind]string{Identity: "identity", Boundary: "boundary", Session: "session", Resource: "resource", RootUser: "root user"}
	out := words[d.Reason] + " " + kinds[d.Kind]
	switch {
	case d.Statement == nil:
	case d.Statement.Sid != "":
		out += " " + d.Statement.Sid
	default:
		out += " " + strconv.Itoa(d.Statement.Index)
	}
	return out
}

func TestEvaluate_Tables(t *testing.T) {
	cases := readTables(t)
	if len(cases) < 120 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got := Evaluate(tt.request, tt.policies)
			if diff := cmp.Diff(tt.want, summary(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Allowed != (got.Reason == Allowed) {
				t.Errorf("Allowed is %v but the reason is %v", got.Allowed, got.Reason)
			}
		})
	}
}

// One more Deny anywhere never opens anything, and one that matches closes
// everything, so long as resource policies count.
func TestEvaluate_DenyClosesEveryTableCase(t *testing.T) {
	all := mustParse(t, `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	everybody := mustParse(t, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`)
	for _, tt := range readTables(t) {
		for i, d := range []Decision{
			Evaluate(tt.request, tt.policies.with(Identity, all)),
			Evaluate(tt.request, tt.policies.with(Boundary, all)),
			Evaluate(tt.request, tt.policies.with(Session, all)),
			Evaluate(tt.request, tt.policies.with(Resource, everybody)),
		} {
			if Kind(i) == Resource && tt.request.IdentityOnly {
				continue
			}
			if d.Reason != ExplicitDeny {
				t.Errorf("%s: with a deny in the %v: %s", tt.name, Kind(i), summary(d))
			}
		}
	}
}

// with gives p and one more document.
func (p Policies) with(kind Kind, d *Document) Policies {
	add := func(docs []*Document) []*Document { return append(append([]*Document(nil), docs...), d) }
	switch kind {
	case Identity:
		p.Identity = add(p.Identity)
	case Boundary:
		p.Boundary = add(p.Boundary)
	case Session:
		p.Session = add(p.Session)
	case Resource:
		p.Resource = add(p.Resource)
	case RootUser:
	}
	return p
}

func TestEvaluate_EmptyBoundaryAllowsNothing(t *testing.T) {
	p := Policies{Identity: []*Document{ManagedByARN("arn:aws:iam::aws:policy/AdministratorAccess").Document}}
	r := Request{Principal: callers()["alice"], Action: "codeartifact:ListDomains", Resource: "*", ResourceAccount: home}
	if got := summary(Evaluate(r, p)); got != "allow identity 0" {
		t.Errorf("no boundary: %s", got)
	}
	p.Boundary = []*Document{}
	if got := summary(Evaluate(r, p)); got != "implicit boundary" {
		t.Errorf("empty boundary: %s", got)
	}
	p.Boundary, p.Session = nil, []*Document{nil}
	if got := summary(Evaluate(r, p)); got != "implicit session" {
		t.Errorf("empty session: %s", got)
	}
}

func TestEvaluate_AllowsFromAnyDocumentOfAKind(t *testing.T) {
	read := mustParse(t, `{"Statement":{"Effect":"Allow","Action":"codeartifact:Read*","Resource":"*"}}`).Named("read")
	list := mustParse(t, `{"Statement":{"Effect":"Allow","Action":"codeartifact:List*","Resource":"*"}}`).Named("list")
	p := Policies{Identity: []*Document{nil, read, list}, Boundary: []*Document{read, list}}
	r := Request{Principal: callers()["alice"], Action: "codeartifact:ListDomains", Resource: "*", ResourceAccount: home}
	got := Evaluate(r, p)
	want := Decision{Allowed: true, Reason: Allowed, Kind: Identity, Statement: &StatementRef{Document: "list"}}
	if diff := cmp.Diff(want, got, noPlaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// noPlaces leaves out where statements stand in their documents.
var noPlaces = cmpopts.IgnoreFields(StatementRef{}, "Start", "End")

func TestEvaluate_IdentityStatementWithoutResourceMatchesNothing(t *testing.T) {
	trust := mustParse(t, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"`+home+`"},"Action":"sts:AssumeRole"}}`)
	r := Request{Principal: callers()["alice"], Action: "sts:AssumeRole", Resource: roleARN, ResourceAccount: home}
	if got := summary(Evaluate(r, Policies{Identity: []*Document{trust}})); got != "implicit identity" {
		t.Errorf("as identity policy: %s", got)
	}
	r.Principal = callers()["root"]
	if got := summary(Evaluate(r, Policies{Resource: []*Document{trust}})); got != "allow resource 0" {
		t.Errorf("as trust policy: %s", got)
	}
}

func TestEvaluate_FederatedCallersMatchTheirProvider(t *testing.T) {
	trust := mustParse(t, `{"Statement":{"Effect":"Allow","Principal":{"Federated":"idp.example.test"},"Action":"sts:AssumeRoleWithWebIdentity"}}`)
	r := Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: roleARN, ResourceAccount: home}
	for provider, want := range map[string]string{"idp.example.test": "allow resource 0", "other.example.test": "implicit resource"} {
		r.Principal = Principal{Type: Federated, ARN: provider}
		if got := summary(Evaluate(r, Policies{Resource: []*Document{trust}})); got != want {
			t.Errorf("%s: %s", provider, got)
		}
	}
}

func TestDecision_MessageSpeaksAsAWS(t *testing.T) {
	r := Request{Principal: callers()["alice"], Action: "codeartifact:DeleteDomain", Resource: "arn:aws:codeartifact:r:1:domain/d"}
	for _, tt := range []struct {
		d    Decision
		want string
	}{
		{
			Decision{Kind: Identity},
			"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: codeartifact:DeleteDomain on resource: arn:aws:codeartifact:r:1:domain/d because no identity-based policy allows the codeartifact:DeleteDomain action",
		},
		{
			Decision{Kind: Identity, Reason: ExplicitDeny},
			"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: codeartifact:DeleteDomain on resource: arn:aws:codeartifact:r:1:domain/d with an explicit deny in an identity-based policy",
		},
		{
			Decision{Kind: Resource, Reason: ExplicitDeny},
			"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: codeartifact:DeleteDomain on resource: arn:aws:codeartifact:r:1:domain/d with an explicit deny in a resource-based policy",
		},
	} {
		if diff := cmp.Diff(tt.want, tt.d.Message(&r)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestTrace_AgreesWithEvaluate(t *testing.T) {
	for _, tt := range readTables(t) {
		want := Evaluate(tt.request, tt.policies)
		got := Trace(tt.request, tt.policies)
		if diff := cmp.Diff(want, got.Decision); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		for _, s := range got.Statements {
			if s.Why == "" {
				t.Errorf("%s: %+v has no reason", tt.name, s)
			}
			if want.Statement != nil && s.Kind == want.Kind && s.Statement == *want.Statement && !s.Matched {
				t.Errorf("%s: the deciding statement is traced as unmatched: %+v", tt.name, s)
			}
		}
	}
}

func TestTrace_SaysWhyEachStatementDidNotMatch(t *testing.T) {
	identity := mustParse(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"A","Effect":"Allow","Action":["codeartifact:Get*","iam:*"],"Resource":"*"},
		{"Sid":"B","Effect":"Allow","NotAction":"codeartifact:*","Resource":"*"},
		{"Sid":"C","Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:domain/*"},
		{"Sid":"D","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":["bob","carol"]}}},
		{"Sid":"E","Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"app:Missing":"true"}}}
	]}`).Named("team")
	resource := mustParse(t, `{"Statement":[
		{"Sid":"F","Effect":"Allow","Principal":{"AWS":"`+abroad+`"},"Action":"*","Resource":"*"},
		{"Sid":"G","Effect":"Allow","Principal":{"AWS":"`+home+`"},"Action":"*","Resource":"*"},
		{"Sid":"H","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}
	]}`)
	alice := callers()["alice"]
	got := Trace(Request{
		Principal: alice, Action: "codeartifact:ReadFromRepository", Resource: "arn:aws:codeartifact:r:1:repository/d/r",
		ResourceAccount: home, Context: &Facts{Principal: alice},
	}, Policies{Identity: []*Document{identity}, Resource: []*Document{resource}})
	team := func(sid string, i int) StatementRef { return StatementRef{Document: "team", Sid: sid, Index: i} }
	want := Explanation{
		Decision: Decision{Allowed: true, Reason: Allowed, Kind: Resource, Statement: &StatementRef{Sid: "H", Index: 2}},
		Statements: []StatementTrace{
			{Kind: Identity, Statement: team("A", 0), Effect: Allow, Why: "Action [codeartifact:Get*, iam:*] does not cover codeartifact:ReadFromRepository"},
			{Kind: Identity, Statement: team("B", 1), Effect: Allow, Why: "NotAction [codeartifact:*] does not cover codeartifact:ReadFromRepository"},
			{Kind: Identity, Statement: team("C", 2), Effect: Allow, Why: "Resource [arn:aws:codeartifact:*:*:domain/*] does not cover arn:aws:codeartifact:r:1:repository/d/r"},
			{Kind: Identity, Statement: team("D", 3), Effect: Deny, Why: "condition StringEquals aws:username [bob, carol] does not hold: the key is [alice]"},
			{Kind: Identity, Statement: team("E", 4), Effect: Deny, Missing: []string{"app:Missing"}, Why: "condition Bool app:Missing [true] does not hold: the key has no value"},
			{Kind: Resource, Statement: StatementRef{Sid: "F", Index: 0}, Effect: Allow, Why: "Principal does not cover arn:aws:iam::111122223333:user/alice"},
			{Kind: Resource, Statement: StatementRef{Sid: "G", Index: 1}, Effect: Allow, Matched: true, Why: "names the account 111122223333: its identity policies decide"},
			{Kind: Resource, Statement: StatementRef{Sid: "H", Index: 2}, Effect: Allow, Matched: true, Why: "names arn:aws:iam::111122223333:user/alice or everybody"},
		},
	}
	if diff := cmp.Diff(want, got, noPlaces, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFacts_GiveTheGlobalKeys(t *testing.T) {
	yes := true
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	principals := callers()
	facts := Facts{
		Principal: principals["alice"], Time: now, SourceIP: netip.MustParseAddr("::ffff:10.0.0.1"), SourceVPC: "vpc-1", SourceVPCE: "vpce-1",
		UserAgent: "npm", Referer: "ref", Region: "eu-west-1", CalledVia: []string{"a", "b"}, OrgID: "o-1", OrgPaths: []string{"o-1/r"},
		MFA: &yes, MFATime: now.Add(-time.Minute), TokenIssuedAt: now.Add(-time.Hour), ResourceAccount: home,
		ResourceTags: map[string]string{"Team": "web", "team": "later"}, RequestTags: map[string]string{"b": "2", "a/x": "1"},
		Extra: map[string][]string{"sts:durationseconds": {"900"}, "aws:other": {"x"}},
	}
	want := map[string]string{
		"aws:principalarn": "arn:aws:iam::111122223333:user/alice", "aws:principalaccount": home, "aws:principaltype": "User",
		"aws:userid": "AIDAALICE", "aws:username": "alice", "aws:principaltag/team": "web", "aws:principalorgid": "o-1",
		"aws:principalorgpaths": "o-1/r", "aws:principalisawsservice": "false", "aws:multifactorauthpresent": "true",
		"aws:multifactorauthage": "60", "aws:tokenissuetime": "2026-05-31T23:00:00Z", "aws:currenttime": june,
		"aws:epochtime": "1780272000", "aws:sourceip": "10.0.0.1", "aws:sourcevpc": "vpc-1", "aws:sourcevpce": "vpce-1",
		"aws:securetransport": "false", "aws:useragent": "npm", "aws:referer": "ref", "aws:requestedregion": "eu-west-1",
		"aws:resourceaccount": home, "aws:calledvia": "a,b", "aws:calledviafirst": "a", "aws:calledvialast": "b",
		"aws:viaawsservice": "true", "aws:tagkeys": "a/x,b", "aws:resourcetag/team": "web", "aws:requesttag/a/x": "1",
		"sts:durationseconds": "900", "aws:other": "x",
	}
	got := map[string]string{}
	for key := range maps.Keys(want) {
		if v, ok := facts.Value(key); ok {
			got[key] = strings.Join(v, ",")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for _, key := range []string{
		"aws:username", "aws:principalarn", "aws:principalaccount", "aws:sourceip", "aws:currenttime", "aws:epochtime", "aws:tagkeys",
		"aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:multifactorauthpresent", "aws:multifactorauthage",
		"aws:principaltag/x", "aws:resourcetag/x", "aws:unknown", "aws:unknown/x", "other:key",
	} {
		if v, ok := (&Facts{}).Value(key); ok {
			t.Errorf("%s: no facts, yet %v", key, v)
		}
	}
	for key, tt := range map[string]struct {
		who  string
		want string
	}{
		"aws:principalarn": {"builder", roleARN},
		"aws:userid":       {"root", home},
		"aws:PrincipalArn": {"builder", ""}, // keys arrive in lower case
	} {
		v, _ := (&Facts{Principal: principals[tt.who]}).Value(key)
		if got := strings.Join(v, ","); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", key, tt.who, got, tt.want)
		}
	}
	if v, _ := (&Facts{}).Value("aws:userid"); len(v) != 1 || v[0] != "anonymous" {
		t.Errorf("anonymous user id: %v", v)
	}
}

func mustParse(t testing.TB, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
