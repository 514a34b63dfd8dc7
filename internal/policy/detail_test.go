package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The first document and its numbers are those of the AWS CLI's example of
// simulate-custom-policy.
func TestParse_KnowsWhereStatementsStand(t *testing.T) {
	for _, c := range []struct {
		text string
		want [][2]Position
	}{
		{
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`,
			[][2]Position{{{1, 38}, {1, 167}}},
		},
		{
			"{\n    \"Statement\": [{\"Sid\": \"é€\", \"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\"},\r\n {\n  \"Effect\": \"Deny\", \"Action\": \"*\",\n  \"Resource\": \"*\"\n } ]}",
			[][2]Position{{{2, 20}, {2, 82}}, {{3, 3}, {6, 3}}},
		},
	} {
		d := mustParse(t, c.text)
		var got [][2]Position
		for _, s := range d.statements {
			got = append(got, [2]Position{s.ref.Start, s.ref.End})
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestContextKeys_OfConditionsAndVariables(t *testing.T) {
	d := mustParse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"*","Resource":["*","arn:aws:s3:::${aws:PrincipalTag/Team}/${aws:username, 'x'}"],
		 "Condition":{"StringLike":{"aws:UserAgent":"${aws:userid}*"},"Null":{"AWS:principaltag/team":"true"}}},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)
	want := []string{"aws:PrincipalTag/Team", "aws:UserAgent", "aws:userid", "aws:SecureTransport"}
	if diff := cmp.Diff(want, d.ContextKeys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecision_DetailNamesWhatDecidedAndNoContents(t *testing.T) {
	const secret = "arn:aws:codeartifact:eu-west-1:111122223333:repository/acme/secret"
	allow := mustParse(t, `{"Statement":{"Sid":"Some","Effect":"Allow","Action":"*","Resource":"`+secret+`"}}`).Named("inline policy some of user alice")
	all := mustParse(t, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	deny := mustParse(t, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"`+secret+`"},{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}]}`).Named("policy arn:aws:iam::111122223333:policy/limits")
	foreign := mustParse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"`+secret+`"}}`).Named("the policy on X")
	for _, c := range []struct {
		name, who string
		p         Policies
		want      string
	}{
		{"nothing there", "alice", Policies{}, "found no allow in: identity-based policies (0), resource-based policies (0)"},
		{
			"nothing that fits", "alice",
			Policies{Identity: []*Document{allow, nil, allow}, Resource: []*Document{foreign}},
			"found no allow in: identity-based policies (2), resource-based policies (1)",
		},
		{"a deny", "alice", Policies{Identity: []*Document{allow, deny}}, `decided by Statement[1] (Sid "No") of policy arn:aws:iam::111122223333:policy/limits`},
		{"a boundary", "alice", Policies{Identity: []*Document{all}, Boundary: []*Document{allow}}, "found no allow in: permissions boundaries (1)"},
		{"a session", "builder", Policies{Identity: []*Document{all}, Session: []*Document{allow}}, "found no allow in: session policies (1)"},
		{"another account", "eve", Policies{Identity: []*Document{all}, Resource: []*Document{foreign}}, "found no allow in: resource-based policies (1)"},
		{"nobody", "anonymous", Policies{Resource: []*Document{foreign}}, "found no allow in: resource-based policies (1)"},
	} {
		r := Request{Principal: callers()[c.who], Action: "codeartifact:ListPackages", Resource: "arn:aws:codeartifact:eu-west-1:111122223333:repository/acme/web", ResourceAccount: home}
		d := Evaluate(r, c.p)
		if diff := cmp.Diff(c.want, d.Detail(&c.p)); diff != "" || d.Allowed {
			t.Errorf("%s, allowed %v (-want +got):\n%s", c.name, d.Allowed, diff)
		}
	}
}

func TestEvaluate_NotPrincipalExemptsNobodyWithABoundary(t *testing.T) {
	all := mustParse(t, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	others := mustParse(t, `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"`+callers()["alice"].ARN+`"},"Action":"*","Resource":"*"}}`)
	r := Request{Principal: callers()["alice"], Action: "codeartifact:ListPackages", Resource: "*", ResourceAccount: home}
	p := Policies{Identity: []*Document{all}, Resource: []*Document{others}}
	if got := summary(Evaluate(r, p)); got != "allow identity 0" {
		t.Errorf("without a boundary: %s", got)
	}
	p.Boundary = []*Document{all}
	if got := summary(Evaluate(r, p)); got != "deny resource 0" {
		t.Errorf("with a boundary: %s", got)
	}
}

func TestEvaluate_VariableWithoutValueInNotResourceDenies(t *testing.T) {
	all := `{"Effect":"Allow","Action":"*","Resource":"*"}`
	doc := mustParse(t, `{"Version":"2012-10-17","Statement":[`+all+`,{"Effect":"Deny","Action":"*","NotResource":"arn:aws:codeartifact:*:*:domain/${aws:username}"}]}`)
	r := Request{Principal: callers()["builder"], Action: "codeartifact:DescribeDomain", Resource: "arn:aws:codeartifact:r:1:domain/job", ResourceAccount: home}
	if got := summary(Evaluate(r, Policies{Identity: []*Document{doc}})); got != "deny identity 1" {
		t.Error(got)
	}
}
