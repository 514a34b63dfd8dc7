package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"packhouse/internal/arn"
)

// tenStatements is a document as people write them, of which the last but one
// statement allows the request of the benchmark.
func tenStatements(tb testing.TB, last string) *Document {
	var list []string
	for i := range 8 {
		list = append(list, fmt.Sprintf(
			`{"Effect":"Allow","Action":["codeartifact:PublishPackageVersion","codeartifact:Describe*","codeartifact:Get*"],"Resource":"arn:aws:codeartifact:eu-west-1:111122223333:repository/acme/team-%d-*"}`, i))
	}
	list = append(list, last,
		`{"Effect":"Deny","Action":"codeartifact:Delete*","Resource":"*"}`)
	return mustParse(tb, `{"Version":"2012-10-17","Statement":[`+strings.Join(list, ",")+`]}`)
}

func benchRequest() Request {
	alice := callers()["alice"]
	return Request{
		Principal: alice, Action: "codeartifact:ReadFromRepository", ResourceAccount: home,
		Resource: arn.Repository("eu-west-1", home, "acme", "web").String(),
		Context: &Facts{
			Principal: alice, Time: time.Unix(1_780_272_000, 0), SourceIP: netip.MustParseAddr("10.1.2.3"), SecureTransport: true,
		},
	}
}

func benchPolicies(tb testing.TB) map[string]Policies {
	plain := tenStatements(tb, `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"arn:aws:codeartifact:*:111122223333:repository/acme/*"}`)
	return map[string]Policies{
		"administrator": {Identity: []*Document{ManagedByARN("arn:aws:iam::aws:policy/AdministratorAccess").Document}},
		"ten":           {Identity: []*Document{plain}},
		"ten-resource": {Identity: []*Document{plain}, Resource: []*Document{mustParse(tb,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::999988887777:role/x"]},"Action":["codeartifact:Read*","codeartifact:Get*"],"Resource":"*"}]}`)}},
		"condition": {Identity: []*Document{tenStatements(tb,
			`{"Effect":"Allow","Action":"codeartifact:Read*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"}}}`)}},
		"variable": {Identity: []*Document{tenStatements(tb,
			`{"Effect":"Allow","Action":"codeartifact:Read*","Resource":"arn:aws:codeartifact:*:*:repository/acme/${aws:PrincipalTag/team}"}`)}},
	}
}

func BenchmarkEvaluate(b *testing.B) {
	r := benchRequest()
	for name, p := range benchPolicies(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !Evaluate(r, p).Allowed {
					b.Fatal("should be allowed")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(ManagedByARN("arn:aws:iam::aws:policy/AWSCodeArtifactReadOnlyAccess").Text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEvaluate_AllocatesNothingWithoutConditions(t *testing.T) {
	r := benchRequest()
	policies := benchPolicies(t)
	for _, name := range []string{"administrator", "ten", "ten-resource"} {
		p := policies[name]
		if got := testing.AllocsPerRun(100, func() { Evaluate(r, p) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
