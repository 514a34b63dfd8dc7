package iamapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/page"
)

const webRepository = "arn:aws:codeartifact:us-east-1:" + account + ":repository/corp/web"

// sdkTypes compares answers of the SDK by what they hold.
var sdkTypes = cmp.Options{
	cmpopts.IgnoreUnexported(types.EvaluationResult{}, types.Statement{}, types.Position{}, types.ResourceSpecificResult{}, types.PermissionsBoundaryDecisionDetail{}),
	cmpopts.EquateEmpty(),
}

func stands(id string, kind types.PolicySourceType, startLine, startColumn, endLine, endColumn int32) types.Statement {
	return types.Statement{
		SourcePolicyId: &id, SourcePolicyType: kind,
		StartPosition: &types.Position{Line: startLine, Column: startColumn}, EndPosition: &types.Position{Line: endLine, Column: endColumn},
	}
}

// The documents, the question and the answer are the example of the AWS CLI.
func TestSimulateCustomPolicy_AsTheExampleOfAWS(t *testing.T) {
	h := newHouse(t)
	const document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`
	for now, want := range map[string]types.EvaluationResult{
		"2019-04-25T11:00:00Z": {EvalDecision: types.PolicyEvaluationDecisionTypeAllowed, MatchedStatements: []types.Statement{stands("PolicyInputList.1", types.PolicySourceTypeNone, 1, 38, 1, 167)}},
		"2014-04-25T11:00:00Z": {EvalDecision: types.PolicyEvaluationDecisionTypeImplicitDeny},
		"":                     {EvalDecision: types.PolicyEvaluationDecisionTypeImplicitDeny, MissingContextValues: []string{"aws:CurrentTime"}},
	} {
		in := &iam.SimulateCustomPolicyInput{PolicyInputList: []string{document}, ActionNames: []string{"dynamodb:CreateBackup"}}
		if now != "" {
			in.ContextEntries = []types.ContextEntry{{ContextKeyName: aws.String("aws:CurrentTime"), ContextKeyType: types.ContextKeyTypeEnumDate, ContextKeyValues: []string{now}}}
		}
		out := must(t)(h.SimulateCustomPolicy(t.Context(), in)).(*iam.SimulateCustomPolicyOutput)
		want.EvalActionName, want.EvalResourceName = aws.String("dynamodb:CreateBackup"), aws.String("*")
		if diff := cmp.Diff([]types.EvaluationResult{want}, out.EvaluationResults, sdkTypes); diff != "" || out.IsTruncated {
			t.Errorf("at %q (-want +got):\n%s", now, diff)
		}
	}
}

// simulated gives the decision and the policies of the statements that made it.
func simulated(out []types.EvaluationResult) (got []string) {
	for _, r := range out {
		text := string(r.EvalDecision)
		for _, s := range r.MatchedStatements {
			text += " " + string(s.SourcePolicyType) + "/" + aws.ToString(s.SourcePolicyId)
		}
		if b := r.PermissionsBoundaryDecisionDetail; b != nil {
			text += map[bool]string{true: " +boundary", false: " -boundary"}[b.AllowedByPermissionsBoundary]
		}
		got = append(got, text)
	}
	return got
}

func TestSimulatePrincipalPolicy_KnowsWhatTheyAreGiven(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.user(t, "ann", "/dev/", allowing("codeartifact:Describe*", "*"))
	must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("readers")}))
	must(t)(h.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: aws.String("readers"), UserName: aws.String("ann")}))
	must(t)(h.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: aws.String("readers"), PolicyName: aws.String("read"), PolicyDocument: aws.String(allowing("codeartifact:ReadFromRepository", webRepository))}))
	must(t)(h.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: aws.String("readers"), PolicyArn: aws.String(readOnly)}))
	const ann, group = "arn:aws:iam::" + account + ":user/dev/ann", "arn:aws:iam::" + account + ":group/readers"
	ask := func(source string, change func(*iam.SimulatePrincipalPolicyInput)) []types.EvaluationResult {
		t.Helper()
		var all []types.EvaluationResult
		// One by one: the SDK may drop the connection under an answer of more than 4 KB.
		for _, action := range []string{"codeartifact:DescribeRepository", "codeartifact:ReadFromRepository", "codeartifact:DeleteRepository"} {
			in := &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &source, ResourceArns: []string{webRepository}, ActionNames: []string{action}}
			if change != nil {
				change(in)
			}
			all = append(all, must(t)(h.SimulatePrincipalPolicy(ctx, in)).(*iam.SimulatePrincipalPolicyOutput).EvaluationResults...)
		}
		return all
	}
	shipped := " aws-managed/AWSCodeArtifactReadOnlyAccess"
	for _, c := range []struct {
		name, source string
		change       func(*iam.SimulatePrincipalPolicyInput)
		want         []string
	}{
		{"a user with its groups", ann, nil, []string{"allowed user/a" + shipped, "allowed" + shipped + " group/read", "implicitDeny"}},
		{"a user without its path", "arn:aws:iam::" + account + ":user/ann", nil, []string{"allowed user/a" + shipped, "allowed" + shipped + " group/read", "implicitDeny"}},
		{"a group", group, nil, []string{"allowed" + shipped, "allowed" + shipped + " group/read", "implicitDeny"}},
		{"a further policy that denies", ann, func(in *iam.SimulatePrincipalPolicyInput) {
			in.PolicyInputList = []string{`{"Statement":{"Effect":"Deny","Action":"codeartifact:Read*","Resource":"*"}}`}
		}, []string{"allowed user/a" + shipped, "explicitDeny none/PolicyInputList.1", "implicitDeny"}},
		{"a boundary", ann, func(in *iam.SimulatePrincipalPolicyInput) {
			in.PermissionsBoundaryPolicyInputList = []string{allowing("codeartifact:Describe*", "*")}
		}, []string{"allowed user/a" + shipped + " +boundary", "implicitDeny -boundary", "implicitDeny -boundary"}},
		{"a resource policy for the group", ann, func(in *iam.SimulatePrincipalPolicyInput) {
			in.ResourcePolicy = aws.String(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + group + `"},"Action":"codeartifact:Delete*","Resource":"*"}}`)
		}, []string{"allowed user/a" + shipped, "allowed" + shipped + " group/read", "allowed resource/ResourcePolicy"}},
	} {
		if diff := cmp.Diff(c.want, simulated(ask(c.source, c.change))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}

	must(t)(h.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("ann"), PermissionsBoundary: aws.String(adminARN)}))
	if got := simulated(ask(ann, nil))[2]; got != "implicitDeny +boundary" {
		t.Errorf("with a boundary of its own: %s", got)
	}
	// Of a resource that is named the same stands under its own heading.
	r := ask(ann, nil)[0]
	if len(r.ResourceSpecificResults) != 1 || aws.ToString(r.ResourceSpecificResults[0].EvalResourceName) != webRepository ||
		r.ResourceSpecificResults[0].EvalResourceDecision != r.EvalDecision {
		t.Errorf("got %+v", r.ResourceSpecificResults)
	}
}

func TestSimulateCustomPolicy_AcrossAccountsBothMustAllow(t *testing.T) {
	h := newHouse(t)
	policyOf := func(principal string) *string {
		return aws.String(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"*","Resource":"*"}}`)
	}
	in := &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{allowing("codeartifact:Read*", "*")}, ActionNames: []string{"codeartifact:ReadFromRepository", "codeartifact:DeleteRepository"},
		ResourceArns: []string{webRepository}, CallerArn: aws.String("arn:aws:iam::999988887777:user/eve"), ResourcePolicy: policyOf("999988887777"),
	}
	out := must(t)(h.SimulateCustomPolicy(t.Context(), in)).(*iam.SimulateCustomPolicyOutput)
	if diff := cmp.Diff([]string{"allowed none/PolicyInputList.1 resource/ResourcePolicy", "implicitDeny"}, simulated(out.EvaluationResults)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := map[string]types.PolicyEvaluationDecisionType{"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}
	if diff := cmp.Diff(want, out.EvaluationResults[1].EvalDecisionDetails); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in.ResourcePolicy = policyOf("111111111111")
	out = must(t)(h.SimulateCustomPolicy(t.Context(), in)).(*iam.SimulateCustomPolicyOutput)
	if got := simulated(out.EvaluationResults)[0]; got != "implicitDeny" {
		t.Errorf("another account: %s", got)
	}
}

func TestSimulateCustomPolicy_Pages(t *testing.T) {
	h := newHouse(t)
	in := &iam.SimulateCustomPolicyInput{
		PolicyInputList: []string{allowAll}, ActionNames: []string{"a:X", "a:Y"}, ResourceArns: []string{"arn:aws:s3:::1", "arn:aws:s3:::2", "arn:aws:s3:::3"}, MaxItems: aws.Int32(4),
	}
	var got []string
	pages := iam.NewSimulateCustomPolicyPaginator(h, in)
	for n := 0; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil || n > 1 {
			t.Fatal(n, err)
		}
		for _, r := range out.EvaluationResults {
			got = append(got, aws.ToString(r.EvalActionName)+" "+aws.ToString(r.EvalResourceName))
		}
	}
	want := []string{"a:X arn:aws:s3:::1", "a:X arn:aws:s3:::2", "a:X arn:aws:s3:::3", "a:Y arn:aws:s3:::1", "a:Y arn:aws:s3:::2", "a:Y arn:aws:s3:::3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	list := page.For[string]("simulation", "", "6")
	for _, bad := range []string{"nonsense", list.Token("-1"), list.Token("6"), list.Token(strconv.Itoa(math.MaxInt))} {
		in.Marker = &bad
		_, err := h.SimulateCustomPolicy(t.Context(), in)
		wantError(t, err, "ValidationError", 400)
	}
}

// simulation is an answer of many megabytes, of which little is looked at.
type simulation struct {
	Actions []string `xml:"SimulateCustomPolicyResult>EvaluationResults>member>EvalActionName"`
	More    bool     `xml:"SimulateCustomPolicyResult>IsTruncated"`
	Marker  string   `xml:"SimulateCustomPolicyResult>Marker"`
}

// simulate asks without the SDK, which may drop the connection under an answer
// of more than 4 KB.
func (h *house) simulate(t *testing.T, form url.Values) (out simulation) {
	t.Helper()
	body := form.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	who := aws.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: string(h.admin.Secret)}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hex.EncodeToString(sum[:]), "iam", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := xml.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return out
}

// TestSimulateCustomPolicy_CutsLargeAnswers has a thousand statements decide
// about each of forty actions.
func TestSimulateCustomPolicy_CutsLargeAnswers(t *testing.T) {
	h := newHouse(t)
	document := func(statements int) string {
		const one = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		return `{"Statement":[` + strings.Repeat(one+",", statements-1) + one + `]}`
	}
	form := url.Values{"Version": {"2010-05-08"}, "Action": {"SimulateCustomPolicy"}, "PolicyInputList.member.1": {document(1000)}}
	var got, want []string
	for i := range 40 {
		action := "a:X" + strconv.Itoa(i)
		want = append(want, action)
		form.Set("ActionNames.member."+strconv.Itoa(i+1), action)
	}
	for more := true; more; {
		out := h.simulate(t, form)
		if n := len(out.Actions); n == 0 || n > 20 {
			t.Fatalf("a page of %d results", n)
		}
		got = append(got, out.Actions...)
		form.Set("Marker", out.Marker)
		more = out.More
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := h.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{ActionNames: []string{"a:X"}, PolicyInputList: []string{document(600), document(401)}})
	wantError(t, err, "InvalidInput", 400)
}

func TestGetContextKeys(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	const document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}/*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2015-08-16T12:00:00Z"}}}}`
	custom := must(t)(h.GetContextKeysForCustomPolicy(ctx, &iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{document}})).(*iam.GetContextKeysForCustomPolicyOutput)
	if diff := cmp.Diff([]string{"aws:username", "aws:CurrentTime"}, custom.ContextKeyNames); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.user(t, "ann", "/", document)
	principal := must(t)(h.GetContextKeysForPrincipalPolicy(ctx, &iam.GetContextKeysForPrincipalPolicyInput{
		PolicySourceArn: aws.String("arn:aws:iam::" + account + ":user/ann"), PolicyInputList: []string{`{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`},
	})).(*iam.GetContextKeysForPrincipalPolicyOutput)
	if diff := cmp.Diff([]string{"aws:username", "aws:CurrentTime", "aws:SecureTransport"}, principal.ContextKeyNames); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSimulate_Refuses(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ann := h.user(t, "ann", "/dev/", allowing("iam:SimulatePrincipalPolicy", "arn:aws:iam::"+account+":user/dev/*"))
	h.user(t, "boss", "/admin/")
	actions := []string{"codeartifact:ListDomains"}
	custom := func(change func(*iam.SimulateCustomPolicyInput)) error {
		in := &iam.SimulateCustomPolicyInput{PolicyInputList: []string{allowAll}, ActionNames: actions}
		change(in)
		_, err := h.SimulateCustomPolicy(ctx, in)
		return err
	}
	principal := func(c *iam.Client, source string) error {
		_, err := c.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &source, ActionNames: actions})
		return err
	}
	const users = "arn:aws:iam::" + account + ":user/"
	for _, c := range []struct {
		name   string
		err    error
		code   string
		status int
	}{
		{"a document that is none", custom(func(in *iam.SimulateCustomPolicyInput) { in.PolicyInputList = []string{"{}"} }), "InvalidInput", 400},
		{"a principal in an identity policy", custom(func(in *iam.SimulateCustomPolicyInput) {
			in.PolicyInputList = []string{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`}
		}), "InvalidInput", 400},
		{"a resource policy and no caller", custom(func(in *iam.SimulateCustomPolicyInput) { in.ResourcePolicy = aws.String(allowAll) }), "InvalidInput", 400},
		{"a caller that is no user", custom(func(in *iam.SimulateCustomPolicyInput) {
			in.CallerArn = aws.String("arn:aws:iam::" + account + ":role/ci")
		}), "InvalidInput", 400},
		{"an action that is none", custom(func(in *iam.SimulateCustomPolicyInput) { in.ActionNames = []string{"codeartifact:*"} }), "InvalidInput", 400},
		{"a resource that is none", custom(func(in *iam.SimulateCustomPolicyInput) { in.ResourceArns = []string{"web"} }), "InvalidInput", 400},
		{"two values of one", custom(func(in *iam.SimulateCustomPolicyInput) {
			in.ContextEntries = []types.ContextEntry{{ContextKeyName: aws.String("aws:username"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{"a", "b"}}}
		}), "InvalidInput", 400},
		{"nobody", principal(h.Client, users+"nobody"), "NoSuchEntity", 404},
		{"another path", principal(h.Client, users+"other/ann"), "NoSuchEntity", 404},
		{"somebody else under a path that is permitted", principal(ann, users+"dev/boss"), "NoSuchEntity", 404},
		{"somebody else", principal(ann, users+"admin/boss"), "AccessDenied", 403},
		{"somebody else without the path", principal(ann, users+"boss"), "AccessDenied", 403},
		{"another account", principal(h.Client, "arn:aws:iam::999988887777:user/eve"), "AccessDenied", 403},
		{"oneself", principal(ann, users+"dev/ann"), "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.code == "" {
				if c.err != nil {
					t.Fatal(c.err)
				}
				return
			}
			wantError(t, c.err, c.code, c.status)
		})
	}
}
