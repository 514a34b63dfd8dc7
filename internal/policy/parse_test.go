package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/fault"
)

// canonical is what a document comes back as; the forms are AWS's leniency.
func TestParse_TakesEveryFormAWSTakes(t *testing.T) {
	const statement = `{"Effect":"Allow","Action":["codeartifact:*"],"Resource":["*"]}`
	for _, tt := range []struct{ name, text, want string }{
		{"one statement", `{"Statement":{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}}`, `{"Statement":[` + statement + `]}`},
		{"lists", `{"Statement":[{"Effect":"Allow","Action":["codeartifact:*"],"Resource":["*"]}]}`, `{"Statement":[` + statement + `]}`},
		{"any order", `{"Statement":{"Resource":"*","Action":"codeartifact:*","Effect":"Allow"},"Id":"x","Version":"2012-10-17"}`, `{"Version":"2012-10-17","Id":"x","Statement":[` + statement + `]}`},
		{"old version", `{"Version":"2008-10-17","Statement":` + statement + `}`, `{"Version":"2008-10-17","Statement":[` + statement + `]}`},
		{"negated", `{"Statement":{"Sid":"a b","Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"NotAction":"*","NotResource":"*"}}`, `{"Statement":[{"Sid":"a b","Effect":"Deny","NotPrincipal":{"AWS":["111122223333"]},"NotAction":["*"],"NotResource":["*"]}]}`},
		{"principals", `{"Statement":{"Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam::111122223333:root","arn:aws:sts::111122223333:assumed-role/r/s"],"Service":"events.amazonaws.com","Federated":"idp.test","CanonicalUser":"abc"},"Action":"*"}}`, `{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam::111122223333:root","arn:aws:sts::111122223333:assumed-role/r/s"],"Service":["events.amazonaws.com"],"Federated":["idp.test"],"CanonicalUser":["abc"]},"Action":["*"]}]}`},
		{"everybody", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}`, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":["*"]}]}`},
		{"condition values", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"numericequals":{"a:b":[1,"2"]},"Bool":{"A:c":true}}}}`, `{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"],"Condition":{"NumericEquals":{"a:b":["1","2"]},"Bool":{"A:c":["true"]}}}]}`},
		{"set operators", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"foranyvalue:stringlikeifexists":{"a:b":"<&>"}}}}`, `{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"],"Condition":{"ForAnyValue:StringLikeIfExists":{"a:b":["<&>"]}}}]}`},
		{"empty condition", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}`, `{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"]}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(mustParse(t, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			// json.Marshal escapes HTML in what MarshalJSON returns.
			want.WriteString(strings.NewReplacer("<", `\u003c`, "&", `\u0026`, ">", `\u003e`).Replace(tt.want))
			if diff := cmp.Diff(want.String(), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse_RefusesAndSaysWhere(t *testing.T) {
	statement := func(members string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"},{"Sid":"Two",` + members + `}]}`
	}
	const two = `policy document: Statement[1] (Sid "Two"): `
	for _, tt := range []struct{ text, want string }{
		{``, "policy document: not complete JSON"},
		{`{"Statement":`, "policy document: not complete JSON"},
		{`{"Statement":[]}`, "policy document: Statement: must not be empty"},
		{`[]`, "policy document: want a JSON object"},
		{`{}`, "policy document: Statement: missing"},
		{`{"Version":"2012-10-17"}`, "policy document: Statement: missing"},
		{`{"Statement":{"Effect":"Allow","Action":"*"}} x`, "policy document: text after the end of the document"},
		{`{"Version":"2012-10-18","Statement":{}}`, `policy document: Version: "2012-10-18" is not known; want "2012-10-17"`},
		{`{"Version":1,"Statement":{}}`, `policy document: Version: want a string`},
		{`{"Comment":"x","Statement":{}}`, `policy document: Comment: unknown element`},
		{`{"Statement":{},"Statement":{}}`, `policy document: element "Statement" stands twice in one object`},
		{`{"Statement":"x"}`, `policy document: Statement[0]: want a JSON object`},
		{`{"Statement":{"Action":"*"}}`, `policy document: Statement[0]: Effect: missing`},
		{`{"Statement":{"Effect":"Allow"}}`, `policy document: Statement[0]: Action: missing`},
		{`{"Statement":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, "policy document: nested deeper than 8"},
		{statement(`"Effect":"allow","Action":"*"`), two + `Effect: "allow" is neither Allow nor Deny`},
		{statement(`"Effect":"Allow","Action":"*","Colour":"red"`), two + `Colour: unknown element`},
		{statement(`"Effect":"Allow","Action":"*","NotAction":"*"`), two + `Action and NotAction exclude each other`},
		{statement(`"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"`), two + `Resource and NotResource exclude each other`},
		{statement(`"Effect":"Deny","Action":"*","Principal":"*","NotPrincipal":"*"`), two + `Principal and NotPrincipal exclude each other`},
		{statement(`"Effect":"Allow","Action":"*","NotPrincipal":"*"`), two + `NotPrincipal: must not be used with Effect Allow`},
		{statement(`"Effect":"Allow","Action":[]`), two + `Action: must not be an empty list`},
		{statement(`"Effect":"Allow","Action":7`), two + `Action: want a string or a list of strings`},
		{statement(`"Effect":"Allow","Action":"codeartifact"`), two + `Action: "codeartifact" is not an action: want "*" or service:Name`},
		{statement(`"Effect":"Allow","Action":"*","Resource":"domain/acme"`), two + `Resource: "domain/acme" is neither "*" nor an arn`},
		{statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:x:::${aws:username"`), two + `Resource: policy variable ${aws:username is not closed`},
		{statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:x:::${}"`), two + `Resource: policy variable ${} has no valid key`},
		{statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:x:::${a:b, c}"`), two + `Resource: policy variable ${a:b, c}: the default must stand in single quotes`},
		{statement(`"Effect":"Allow","Action":"*","Principal":"alice"`), two + `Principal: "alice": want "*" or an object such as {"AWS": ...}`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{}`), two + `Principal: want "*" or an object such as {"AWS": ...}`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"AWS":"alice"}`), two + `Principal: invalid principal "alice"`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"AWS":"arn:aws:iam::111122223333:user/*"}`), two + `Principal: invalid principal "arn:aws:iam::111122223333:user/*"`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"AWS":"arn:aws:iam::111122223333:user"}`), two + `Principal: invalid principal "arn:aws:iam::111122223333:user"`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"AWS":"arn:aws:iam::111122223333:policy/x"}`), two + `Principal: invalid principal "arn:aws:iam::111122223333:policy/x"`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"Service":"*"}`), two + `Principal: invalid principal "*"`},
		{statement(`"Effect":"Allow","Action":"*","Principal":{"GCP":"x"}`), two + `Principal: unknown principal type "GCP"`},
		{statement(`"Effect":"Allow","Action":"*","Condition":"x"`), two + `Condition: want an object of operators`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"StringSounds":{"a:b":"c"}}`), two + `Condition: unknown operator "StringSounds"`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"IfExists":{"a:b":"c"}}`), two + `Condition: unknown operator "IfExists"`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"ForAllValues:Null":{"a:b":"true"}}`), two + `Condition: operator Null takes neither a set prefix nor IfExists`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"NullIfExists":{"a:b":"true"}}`), two + `Condition: operator Null takes neither a set prefix nor IfExists`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":{"a:b":"true"},"bool":{"a:b":"false"}}`), two + `Condition: operator Bool used twice`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":"true"}`), two + `Condition: Bool: want an object of condition keys`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":{"a:b":[]}}`), two + `Condition: Bool: a:b: must not be an empty list`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":{"a:b":null}}`), two + `Condition: Bool: a:b: want a string, number or boolean, or a list of them`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":{"":"true"}}`), two + `Condition: Bool: empty condition key`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"Bool":{"a:b":"maybe"}}`), two + `Condition: Bool: a:b: value "maybe": is neither true nor false`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"NumericEquals":{"a:b":"0x10"}}`), two + `Condition: NumericEquals: a:b: value "0x10": is not a number`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"NumericEquals":{"a:b":"inf"}}`), two + `Condition: NumericEquals: a:b: value "inf": is not a number`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"DateEquals":{"a:b":"June"}}`), two + `Condition: DateEquals: a:b: value "June": is neither an ISO 8601 date nor seconds since 1970`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"IpAddress":{"a:b":"10.0.0.0/33"}}`), two + `Condition: IpAddress: a:b: value "10.0.0.0/33": is neither an IP address nor a CIDR block`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"BinaryEquals":{"a:b":"?"}}`), two + `Condition: BinaryEquals: a:b: value "?": is not base64`},
		{statement(`"Effect":"Allow","Action":"*","Condition":{"StringLike":{"a:b":"${c"}}`), two + `Condition: StringLike: a:b: value "${c": policy variable ${c is not closed`},
		{`{"Statement":[{"Sid":"A","Effect":"Deny","Action":"*"},{"Sid":"A","Effect":"Deny","Action":"*"}]}`, `policy document: Statement[1] (Sid "A"): Sid: used twice`},
		{`{"Statement":[{"Sid":1,"Effect":"Deny","Action":"*"}]}`, `policy document: Statement[0]: Sid: want a string`},
	} {
		_, err := Parse([]byte(tt.text))
		if err == nil || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want an invalid fault", tt.text, err)
			continue
		}
		if diff := cmp.Diff(tt.want, fault.Message(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}

func TestParse_RefusesBrokenJSON(t *testing.T) {
	for _, text := range []string{`{`, `{"Statement"}`, `{"Statement":{"Effect":"Allow",}}`, `{"Statement":[1 2]}`, "\xff", `{'a':1}`, `nul`} {
		if _, err := Parse([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want an invalid fault", text, err)
		}
	}
}

func TestValidateResourcePolicy(t *testing.T) {
	const good = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":["codeartifact:Get*","CodeArtifact:*","sts:GetServiceBearerToken"],"Resource":"*"}]}`
	if err := ValidateResourcePolicy(mustParse(t, good)); err != nil {
		t.Errorf("good: %v", err)
	}
	pad := func(n int) string { return strings.Replace(good, `"Get`, `"Get`, 1) + strings.Repeat(" ", n-len(good)) }
	if err := ValidateResourcePolicy(mustParse(t, pad(MaxResourcePolicy))); err != nil {
		t.Errorf("longest: %v", err)
	}
	for text, want := range map[string]string{
		pad(MaxResourcePolicy + 1): "policy document: longer than 7168 characters",
		`{"Statement":{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}}`:                               "policy document: Statement[0]: Principal: missing",
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"codeartifact:*"}}`:                              "policy document: Statement[0]: Resource: missing",
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}}`:                         `policy document: Statement[0]: Action: "s3:*" is not a codeartifact action`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`:                            `policy document: Statement[0]: Action: "*" is not a codeartifact action`,
		`{"Statement":{"Sid":"S","Effect":"Allow","Principal":"*","NotAction":"sts:AssumeRole","Resource":"*"}}`:  `policy document: Statement[0] (Sid "S"): NotAction: "sts:AssumeRole" is not a codeartifact action`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":["codeartifact:*","code*:Get"],"Resource":"*"}}`: `policy document: Statement[0]: Action: "code*:Get" is not a codeartifact action`,
	} {
		checkInvalid(t, ValidateResourcePolicy(mustParse(t, text)), want)
	}
}

func TestValidateIdentityPolicy(t *testing.T) {
	for _, m := range Managed() {
		if err := ValidateIdentityPolicy(m.Document); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	for text, want := range map[string]string{
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`:   "policy document: Statement[0]: Principal: not allowed in an identity policy",
		`{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"*","Resource":"*"}}`: "policy document: Statement[0]: NotPrincipal: not allowed in an identity policy",
		`{"Statement":{"Effect":"Allow","Action":"*"}}`:                                  "policy document: Statement[0]: Resource: missing",
		`{"Statement":{"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"}}`:       `policy document: Statement[0] (Sid "a b"): Sid: want letters and digits only`,
	} {
		checkInvalid(t, ValidateIdentityPolicy(mustParse(t, text)), want)
	}
}

func TestValidateTrustPolicy(t *testing.T) {
	if err := ValidateTrustPolicy(mustParse(t, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)); err != nil {
		t.Errorf("good: %v", err)
	}
	for text, want := range map[string]string{
		`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`:                                "policy document: Statement[0]: Principal: missing",
		`{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"sts:AssumeRole"}}`:              "policy document: Statement[0]: NotPrincipal: not allowed in a trust policy",
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}`: "policy document: Statement[0]: Resource: not allowed in a trust policy",
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"iam:GetUser"}}`:                   `policy document: Statement[0]: Action: "iam:GetUser" is not an sts action`,
	} {
		checkInvalid(t, ValidateTrustPolicy(mustParse(t, text)), want)
	}
}

func TestNamed_LeavesTheOriginalAlone(t *testing.T) {
	d := mustParse(t, `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	named := d.Named("x")
	if d.Name() != "" || named.Name() != "x" || named.Len() != 1 {
		t.Errorf("names %q and %q", d.Name(), named.Name())
	}
	r := Request{Principal: callers()["alice"], Action: "a:b", Resource: "*", ResourceAccount: home}
	if got := Evaluate(r, Policies{Identity: []*Document{named}}).Statement.Document; got != "x" {
		t.Errorf("named: %q", got)
	}
	if got := Evaluate(r, Policies{Identity: []*Document{d}}).Statement.Document; got != "" {
		t.Errorf("original: %q", got)
	}
}

func TestManaged_AreSortedAndFoundByARN(t *testing.T) {
	var names []string
	for _, m := range Managed() {
		names = append(names, m.Name)
		if got := ManagedByARN(m.ARN); got == nil || got.Name != m.Name || got.Document.Name() != "policy "+m.ARN {
			t.Errorf("%s: %+v", m.ARN, got)
		}
	}
	if diff := cmp.Diff([]string{AWSCodeArtifactAdminAccess, AWSCodeArtifactReadOnlyAccess, AdministratorAccess}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ManagedByARN("arn:aws:iam::aws:policy/Other") != nil {
		t.Error("found a policy that is not there")
	}
}

func checkInvalid(t *testing.T, err error, want string) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("%v, want an invalid fault: %s", err, want)
		return
	}
	if diff := cmp.Diff(want, fault.Message(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
