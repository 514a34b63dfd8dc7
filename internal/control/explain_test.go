package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
)

// signedBy is the house with another user's key; see house.user.
func (h *house) signedBy(name string) *house {
	return h.as(fmt.Sprintf("AKIA%016s", name), "secret")
}

// explain asks as whoever h signs for; body are the members of the input.
func (h *house) explain(t *testing.T, body string) api.ExplainAccessOutput {
	t.Helper()
	status, exception, text := h.send(t, "POST", "/v1/explain-access", "", body)
	var out api.ExplainAccessOutput
	if err := json.Unmarshal([]byte(text), &out); err != nil || status != 200 {
		t.Fatalf("%s: %d %s %s", body, status, exception, text)
	}
	return out
}

// said gives the decision, the statement that made it and what each statement said.
func said(out api.ExplainAccessOutput) []string {
	decided := out.Decision
	if s := out.DecidedBy; s != nil {
		decided += fmt.Sprintf(" by %d of %s", s.Index, s.Policy)
	}
	list := []string{decided}
	for _, p := range out.Policies {
		for _, s := range p.Statements {
			list = append(list, fmt.Sprintf("%s %s%s %s: %s %d %v: %s", p.Kind, p.Name, p.ARN, p.AttachedTo, s.Effect, s.Line, s.Matched, s.Reason))
		}
	}
	return list
}

func ask(principal, action, resource, rest string) string {
	return fmt.Sprintf(`{"principal":%q,"action":%q,"resource":%q%s}`, principal, action, resource, rest)
}

func TestExplainAccess_ShowsEveryPolicyThatHadASay(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.user("ann", statement("Allow", "codeartifact:Describe*", "*"))
	h.update(func(tx *catalog.Tx) error {
		if err := tx.InsertGroup(catalog.Group{Account: account, Name: "devs", Path: "/", ID: "AGPADEVS"}); err != nil {
			return err
		}
		if err := tx.AddGroupMember(account, "devs", "ann"); err != nil {
			return err
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: account, PrincipalKind: catalog.PrincipalGroup, PrincipalName: "devs", PolicyName: "office",
			Document: document(`{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`),
		})
	})
	h.protect("repository", repositoryARN("repo"), grant("Deny", toARN("arn:aws:iam::"+account+":user/eve"), readIt))
	policyOnRepo := "resource-based policy " + repositoryARN("repo") + " : Deny 1 false: Principal does not cover arn:aws:iam::" + account + ":user/ann"
	inline := "identity-based policy inline user ann: Allow 1 false: Action [codeartifact:Describe*] does not cover codeartifact:ReadFromRepository"

	out := h.explain(t, ask("ann", "CodeArtifact:readFromRepository", repositoryARN("repo"), ""))
	want := []string{
		"implicitDeny", inline,
		"identity-based policy office group devs: Allow 1 false: condition IpAddress aws:SourceIp [10.0.0.0/8] does not hold: the key is [127.0.0.1]",
		policyOnRepo,
	}
	if diff := cmp.Diff(want, said(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "because no identity-based policy allows the codeartifact:ReadFromRepository action; found no allow in: identity-based policies (2), resource-based policies (1)"; !strings.HasSuffix(out.Message, want) {
		t.Errorf("message %q", out.Message)
	}
	if diff := cmp.Diff([]api.ExplainedContextKey{{Key: "aws:sourceip", Values: []string{"127.0.0.1"}}}, out.Context); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	out = h.explain(t, ask("ann", "codeartifact:ReadFromRepository", repositoryARN("repo"), `,"context":{"aws:SourceIp":["10.9.8.7"]}`))
	want = []string{
		"allowed by 0 of inline policy office of group devs", inline,
		"identity-based policy office group devs: Allow 1 true: every element matches", policyOnRepo,
	}
	if diff := cmp.Diff(want, said(out)); diff != "" || out.Message != "" {
		t.Errorf("%q (-want +got):\n%s", out.Message, diff)
	}
	if diff := cmp.Diff([]string{"arn:aws:iam::" + account + ":group/devs"}, out.Principal.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestExplainAccess_DecidesAsRequestsAre compares it with what the API answers.
func TestExplainAccess_DecidesAsRequestsAre(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	ann := h.user("ann", statement("Allow", "codeartifact:*", repositoryARN("repo")), statement("Deny", "codeartifact:Delete*", "*"))
	in := func(name string) *codeartifact.DescribeRepositoryInput {
		return &codeartifact.DescribeRepositoryInput{Domain: aws.String("corp"), Repository: &name}
	}
	check := func(who, action, resource string, err error) {
		t.Helper()
		out := h.explain(t, ask(who, action, resource, ""))
		message := ""
		if err != nil {
			_, message, _ = strings.Cut(err.Error(), "AccessDeniedException: ")
		}
		if diff := cmp.Diff(message, out.Message); diff != "" || (err == nil) != (out.Decision == "allowed") {
			t.Errorf("%s %s: %s, but the request gave %v\n%s", who, action, out.Decision, err, diff)
		}
	}
	_, err := ann.DescribeRepository(t.Context(), in("repo"))
	check("ann", "codeartifact:DescribeRepository", repositoryARN("repo"), err)
	_, err = ann.DescribeRepository(t.Context(), in("other"))
	check("ann", "codeartifact:DescribeRepository", repositoryARN("other"), err)
	_, err = ann.DeleteRepository(t.Context(), &codeartifact.DeleteRepositoryInput{Domain: aws.String("corp"), Repository: aws.String("repo")})
	check("ann", "codeartifact:DeleteRepository", repositoryARN("repo"), err)
	_, err = h.DescribeRepository(t.Context(), in("repo"))
	check("admin", "codeartifact:DescribeRepository", repositoryARN("repo"), err)
	h.protect("domain", domainARN("corp"), grant("Deny", everybody, `"codeartifact:DescribeDomain"`))
	_, err = h.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("corp")})
	check("admin", "codeartifact:DescribeDomain", domainARN("corp"), err)
}

func TestExplainAccess_OfPrincipals(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	h.update(func(tx *catalog.Tx) error {
		if err := tx.InsertRole(catalog.Role{Account: account, Name: "ci", Path: "/jobs/", ID: "AROACI", Trust: "{}"}); err != nil {
			return err
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: account, PrincipalKind: catalog.PrincipalRole, PrincipalName: "ci", PolicyName: "all", Document: document(statement("Allow", "codeartifact:*", "*")),
		})
	})
	iam := "arn:aws:iam::" + account + ":"
	limit := `,"sessionPolicies":[` + fmt.Sprintf("%q", document(statement("Allow", "codeartifact:Describe*", "*"))) + `]`
	for _, c := range []struct{ who, rest, want string }{
		{"", "", "allowed by 0 of policy arn:aws:iam::aws:policy/AdministratorAccess"},
		{"admin", "", "allowed by 0 of policy arn:aws:iam::aws:policy/AdministratorAccess"},
		{"anonymous", "", "implicitDeny"},
		{iam + "root", "", "allowed"},
		{iam + "role/ci", "", "allowed by 0 of inline policy all of role ci"},
		{iam + "role/jobs/ci", "", "allowed by 0 of inline policy all of role ci"},
		{"arn:aws:sts::" + account + ":assumed-role/ci/build", "", "allowed by 0 of inline policy all of role ci"},
		{"arn:aws:sts::" + account + ":assumed-role/ci/build", limit, "implicitDeny"},
		{"admin", `,"tokenDomain":"corp"`, "allowed by 0 of policy arn:aws:iam::aws:policy/AdministratorAccess"},
		{"admin", `,"tokenDomain":"other"`, "implicitDeny"},
	} {
		body := ask(c.who, "codeartifact:ReadFromRepository", repositoryARN("repo"), c.rest)
		if c.who == "" {
			body = strings.Replace(body, `"principal":"",`, "", 1)
		}
		if got := said(h.explain(t, body))[0]; got != c.want {
			t.Errorf("%s%s: %s, want %s", c.who, c.rest, got, c.want)
		}
	}
}

func TestExplainAccess_TakesBothPermissions(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	user := "arn:aws:iam::" + account + ":user/"
	h.user("none", statement("Allow", "codeartifact:Describe*", "*"))
	h.user("half", statement("Allow", "codeartifact:ExplainAccess", "*"))
	h.user("other", statement("Allow", "iam:SimulatePrincipalPolicy", "*"))
	h.user("both", statement("Allow", "codeartifact:ExplainAccess", repositoryARN("*")), statement("Allow", "iam:SimulatePrincipalPolicy", user+"half"))
	_, foreign := h.bootstrap("333344445555")
	stranger := *h
	stranger.key = foreign
	for _, c := range []struct {
		name string
		as   *house
		body string
		want int
	}{
		{"neither", h.signedBy("none"), ask("none", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 403},
		{"oneself", h.signedBy("half"), ask("half", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 200},
		{"oneself by ARN", h.signedBy("half"), ask(user+"half", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 200},
		{"nobody", h.signedBy("half"), ask("anonymous", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 200},
		{"somebody else, without permission on them", h.signedBy("half"), ask("both", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 403},
		{"somebody else, without permission on the resource", h.signedBy("other"), ask("both", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 403},
		{"somebody else, with both", h.signedBy("both"), ask("half", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 200},
		{"with both, on another resource", h.signedBy("both"), ask("half", "codeartifact:DescribeDomain", domainARN("corp"), ""), 403},
		{"somebody of another account", h, ask("arn:aws:iam::333344445555:user/admin", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 403},
		{"from another account", &stranger, ask("admin", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 403},
		{"who is not there", h, ask("nobody-there", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 404},
		{"another path", h, ask("arn:aws:iam::"+account+":user/x/half", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 404},
		{"a group", h, ask("arn:aws:iam::"+account+":group/devs", "codeartifact:DescribeDomain", repositoryARN("repo"), ""), 400},
		{"an action that is none", h, ask("admin", "codeartifact:ReadRepository", repositoryARN("repo"), ""), 400},
		{"an action with a permission of another service", h, ask("admin", "codeartifact:CreateAccount", "*", ""), 400},
		{"an action that a token decides about", h, ask("admin", "sts:assumeRoleWithWebIdentity", "arn:aws:iam::"+account+":role/ci", ""), 400},
		{"a role that is not there", h, ask("admin", "sts:AssumeRole", "arn:aws:iam::"+account+":role/ci", ""), 404},
		{"a role that is none", h, ask("admin", "sts:AssumeRole", "*", ""), 400},
		{"a resource that is none", h, ask("admin", "codeartifact:DescribeDomain", "arn:aws:s3:::x", ""), 400},
		{"a session policy that is none", h, ask("admin", "codeartifact:DescribeDomain", repositoryARN("repo"), `,"sessionPolicies":["{}"]`), 400},
		{"without a resource", h, ask("admin", "codeartifact:ListDomains", "*", ""), 200},
		{"something of IAM", h, ask("admin", "iam:CreateUser", user+"new", ""), 200},
	} {
		if status, exception, text := c.as.send(t, "POST", "/v1/explain-access", "", c.body); status != c.want {
			t.Errorf("%s: %d %s %s, want %d", c.name, status, exception, text, c.want)
		}
	}
}

func TestDenials_TellTheOwnersPeopleWhichPolicyDecided(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	h.repo("repo")
	ann := h.user("ann", statement("Allow", "codeartifact:*", "*"), `{"Sid":"NoRemovals","Effect":"Deny","Action":"codeartifact:Delete*","Resource":"*"}`)
	h.protect("repository", repositoryARN("repo"), grant("Deny", everybody, `"codeartifact:UpdateRepository"`, `,"Sid":"Fixed"`), grant("Allow", toARN(other), `"codeartifact:DescribeRepository"`))
	_, removed := ann.DeleteRepository(t.Context(), &codeartifact.DeleteRepositoryInput{Domain: aws.String("corp"), Repository: aws.String("repo")})
	update := &codeartifact.UpdateRepositoryInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), Repository: aws.String("repo")}
	_, updated := ann.UpdateRepository(t.Context(), update)
	_, foreign := h.foreign.UpdateRepository(t.Context(), update)
	for what, c := range map[string]struct {
		err        error
		want, hide string
	}{
		"an identity policy": {removed, `with an explicit deny in an identity-based policy; decided by Statement[1] (Sid "NoRemovals") of inline policy inline of user ann`, "Resource\":"},
		"a resource policy":  {updated, `with an explicit deny in a resource-based policy; decided by Statement[0] (Sid "Fixed") of the policy on ` + repositoryARN("repo"), "Resource\":"},
		"another account":    {foreign, "is not authorized to perform: codeartifact:UpdateRepository on resource: " + repositoryARN("repo"), "Fixed"},
	} {
		wantError(t, c.err, denied, 403)
		if !strings.HasSuffix(fmt.Sprint(c.err), c.want) || strings.Contains(fmt.Sprint(c.err), c.hide) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
}

func TestExplainAccess_HidesThePolicyOfAnotherAccountsDomain(t *testing.T) {
	h := lite(t)
	const theirs = "333344445555"
	h.domain("corp")
	h.protect("domain", domainARN("corp"), grant("Allow", toARN(theirs), `["codeartifact:CreateRepository","codeartifact:TagResource"]`, `,"Sid":"Ours"`))
	client, key := h.bootstrap(theirs)
	_, err := client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("corp"), DomainOwner: aws.String(account), Repository: aws.String("theirs")})
	if err != nil {
		t.Fatal(err)
	}
	out := h.as(key.ID, string(key.Secret)).explain(t, ask("admin", "codeartifact:TagResource", repositoryARN("theirs"), ""))
	text := fmt.Sprint(said(out), out.Notes)
	if out.Decision != "allowed" || strings.Contains(text, "Principal") || !strings.Contains(text, "the policy on "+domainARN("corp")+" has a say too") {
		t.Errorf("%s %s", out.Decision, text)
	}
}

func TestExplainAccess_OfARoleByItsTrustPolicy(t *testing.T) {
	h := lite(t)
	iam := "arn:aws:iam::" + account + ":"
	h.user("ann", statement("Allow", "codeartifact:*", "*"))
	h.user("bob", statement("Allow", "sts:*", "*"))
	h.update(func(tx *catalog.Tx) error {
		trust := func(who, rest string) string {
			return document(`{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":"sts:AssumeRole"` + rest + `}`)
		}
		if err := tx.InsertRole(catalog.Role{
			Account: account, Name: "ci", Path: "/jobs/", ID: "AROACI",
			Trust: trust(iam+"user/ann", `,"Condition":{"StringEquals":{"sts:ExternalId":"x"}}`),
		}); err != nil {
			return err
		}
		return tx.InsertRole(catalog.Role{Account: account, Name: "ours", Path: "/", ID: "AROAOURS", Trust: trust(iam+"root", "")})
	})
	for _, c := range []struct{ who, action, role, rest, want string }{
		{"ann", "sts:AssumeRole", "jobs/ci", `,"context":{"sts:ExternalId":["x"]}`, "allowed by 0 of the trust policy"},
		{"ann", "STS:assumerole", "ci", `,"context":{"sts:ExternalId":["x"]}`, "allowed by 0 of the trust policy"},
		{"ann", "sts:AssumeRole", "jobs/ci", "", "implicitDeny"},
		{"ann", "sts:TagSession", "jobs/ci", `,"context":{"sts:ExternalId":["x"]}`, "implicitDeny"},
		{"bob", "sts:AssumeRole", "jobs/ci", `,"context":{"sts:ExternalId":["x"]}`, "implicitDeny"},
		{"bob", "sts:AssumeRole", "ours", "", "allowed by 0 of inline policy inline of user bob"},
		{"ann", "sts:AssumeRole", "ours", "", "implicitDeny"},
	} {
		out := h.explain(t, ask(c.who, c.action, iam+"role/"+c.role, c.rest))
		if got := said(out)[0]; got != c.want || out.Policies[len(out.Policies)-1].Name != "trust policy" {
			t.Errorf("%s %s %s%s: %s, want %s", c.who, c.action, c.role, c.rest, got, c.want)
		}
	}
}

// TestExplainAccess_TellsOthersNoMoreThanTheyMayRead asks as another account
// about a package, which alone it may have explained.
func TestExplainAccess_TellsOthersNoMoreThanTheyMayRead(t *testing.T) {
	h := lite(t)
	const theirs = "333344445555"
	h.domain("corp")
	h.repo("repo")
	_, key := h.bootstrap(theirs)
	stranger := h.as(key.ID, string(key.Secret))
	thing := strings.Replace(repositoryARN("repo"), ":repository/", ":package/", 1) + "/npm//thing"
	onPackage := `{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"` + theirs + `"},"Action":"codeartifact:*","Resource":"` + thing + `"}`
	secret := `{"Sid":"Secret","Effect":"Deny","Principal":"*","Action":"codeartifact:DescribePackage","Resource":"*","Condition":{"StringEquals":{"aws:UserAgent":"evil"},"StringLike":{"aws:Referer":"*"}}}`
	always := `{"Sid":"Secret","Effect":"Deny","Principal":"*","Action":"codeartifact:DescribePackage","Resource":"*"}`
	reading := grant("Allow", toARN(theirs), `"codeartifact:GetRepositoryPermissionsPolicy"`)
	for _, c := range []struct {
		name, decision string
		shown          bool
		statements     []string
	}{
		{"allowed", "allowed", false, []string{onPackage, secret}},
		{"denied", "explicitDeny", false, []string{onPackage, always}},
		{"one who may read the policy", "explicitDeny", true, []string{onPackage, always, reading}},
	} {
		h.protect("repository", repositoryARN("repo"), c.statements...)
		out := stranger.explain(t, ask("admin", "codeartifact:DescribePackage", thing, ""))
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, word := range []string{"Secret", "Theirs", "seragent", "serAgent", "eferer", "with an explicit deny"} {
			told = told || strings.Contains(string(text), word)
		}
		if out.Decision != c.decision || told != c.shown || strings.Contains(string(text), "not shown") == c.shown {
			t.Errorf("%s: %s", c.name, text)
		}
		if !c.shown && c.decision != "allowed" && !strings.HasSuffix(out.Message, "on resource: "+thing) {
			t.Errorf("%s: %s", c.name, out.Message)
		}
	}
}
