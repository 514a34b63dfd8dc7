package iamapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"packhouse/internal/access"
	"packhouse/internal/arn"
	"packhouse/internal/awsquery"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// The simulator decides by policies that are in effect or merely given, as IAM's
// does: of resource policies it knows the one it is told. What real requests
// are decided by, those of domains and repositories included, is shown by
// ExplainAccess of package control.

func (a *API) simulateRows() []restjson.Row {
	return []restjson.Row{
		op("SimulatePrincipalPolicy", "tell what the policies of a user, group or role allow", a.simulatePrincipalPolicy),
		op("SimulateCustomPolicy", "tell what given policies allow", a.simulateCustomPolicy),
		op("GetContextKeysForPrincipalPolicy", "list the condition keys the policies of a user, group or role ask for", a.getContextKeysForPrincipalPolicy),
		op("GetContextKeysForCustomPolicy", "list the condition keys given policies ask for", a.getContextKeysForCustomPolicy),
	}
}

// ContextEntry gives a condition key its values.
type ContextEntry struct {
	ContextKeyName   string   `json:"ContextKeyName" validate:"ContextKeyName"`
	ContextKeyValues []string `json:"ContextKeyValues"`
	ContextKeyType   string   `json:"ContextKeyType" validate:"ContextKeyType"`
}

// SimulatePrincipalPolicyInput says whose policies, and what to ask them.
type SimulatePrincipalPolicyInput struct {
	PolicySourceArn                    string         `json:"PolicySourceArn" required:"true" validate:"Arn"`
	PolicyInputList                    []string       `json:"PolicyInputList" validate:"PolicyDocuments"`
	PermissionsBoundaryPolicyInputList []string       `json:"PermissionsBoundaryPolicyInputList" validate:"PolicyDocuments"`
	ActionNames                        []string       `json:"ActionNames" required:"true" validate:"ActionNames"`
	ResourceArns                       []string       `json:"ResourceArns" validate:"ResourceNames"`
	ResourcePolicy                     string         `json:"ResourcePolicy" validate:"PolicyDocument"`
	ResourceOwner                      string         `json:"ResourceOwner" validate:"ResourceName"`
	CallerArn                          string         `json:"CallerArn" validate:"ResourceName"`
	ContextEntries                     []ContextEntry `json:"ContextEntries"`
	ResourceHandlingOption             string         `json:"ResourceHandlingOption" validate:"ResourceHandlingOption"` // of EC2: nothing to us
	MaxItems                           *int           `json:"MaxItems" validate:"MaxItems"`
	Marker                             *string        `json:"Marker" validate:"Marker"`
}

func (in *SimulatePrincipalPolicyInput) resource(identity.Caller) string { return in.PolicySourceArn }

// SimulateCustomPolicyInput has the policies, and what to ask them.
type SimulateCustomPolicyInput struct {
	PolicyInputList                    []string       `json:"PolicyInputList" required:"true" validate:"PolicyDocuments"`
	PermissionsBoundaryPolicyInputList []string       `json:"PermissionsBoundaryPolicyInputList" validate:"PolicyDocuments"`
	ActionNames                        []string       `json:"ActionNames" required:"true" validate:"ActionNames"`
	ResourceArns                       []string       `json:"ResourceArns" validate:"ResourceNames"`
	ResourcePolicy                     string         `json:"ResourcePolicy" validate:"PolicyDocument"`
	ResourceOwner                      string         `json:"ResourceOwner" validate:"ResourceName"`
	CallerArn                          string         `json:"CallerArn" validate:"ResourceName"`
	ContextEntries                     []ContextEntry `json:"ContextEntries"`
	ResourceHandlingOption             string         `json:"ResourceHandlingOption" validate:"ResourceHandlingOption"`
	MaxItems                           *int           `json:"MaxItems" validate:"MaxItems"`
	Marker                             *string        `json:"Marker" validate:"Marker"`
}

func (in *SimulateCustomPolicyInput) resource(identity.Caller) string { return "*" }

// Place is where something stands in a policy document.
type Place struct {
	Line   int `json:"Line"`
	Column int `json:"Column"`
}

// MatchedStatement is a statement that decided.
type MatchedStatement struct {
	SourcePolicyId   string `json:"SourcePolicyId"`
	SourcePolicyType string `json:"SourcePolicyType"`
	StartPosition    *Place `json:"StartPosition"`
	EndPosition      *Place `json:"EndPosition"`
}

// BoundaryDetail says what a permissions boundary had to say.
type BoundaryDetail struct {
	AllowedByPermissionsBoundary bool `json:"AllowedByPermissionsBoundary"`
}

// ResourceResult is the decision about one resource.
type ResourceResult struct {
	EvalResourceName                  string             `json:"EvalResourceName"`
	EvalResourceDecision              string             `json:"EvalResourceDecision"`
	MatchedStatements                 []MatchedStatement `json:"MatchedStatements"`
	MissingContextValues              []string           `json:"MissingContextValues"`
	EvalDecisionDetails               map[string]string  `json:"EvalDecisionDetails,omitempty"`
	PermissionsBoundaryDecisionDetail *BoundaryDetail    `json:"PermissionsBoundaryDecisionDetail"`
}

// EvaluationResult is the decision about one action on one resource.
type EvaluationResult struct {
	EvalActionName                    string             `json:"EvalActionName"`
	EvalResourceName                  string             `json:"EvalResourceName"`
	EvalDecision                      string             `json:"EvalDecision"`
	MatchedStatements                 []MatchedStatement `json:"MatchedStatements"`
	MissingContextValues              []string           `json:"MissingContextValues"`
	EvalDecisionDetails               map[string]string  `json:"EvalDecisionDetails,omitempty"`
	PermissionsBoundaryDecisionDetail *BoundaryDetail    `json:"PermissionsBoundaryDecisionDetail"`
	ResourceSpecificResults           []ResourceResult   `json:"ResourceSpecificResults,omitempty"`
}

// SimulationOutput is a part of the decisions.
type SimulationOutput struct {
	EvaluationResults []EvaluationResult `json:"EvaluationResults"`
	IsTruncated       bool               `json:"IsTruncated"`
	Marker            string             `json:"Marker,omitempty"`
}

// badInput is a failure with the code these operations have for it.
func badInput(format string, args ...any) error {
	return awsquery.WithCode("InvalidInput", fault.New(fault.Invalid, format, args...))
}

// sourceOf reads the ARN that names whose policies.
func sourceOf(text string) (arn.ARN, error) {
	name, err := arn.Parse(text)
	if err != nil || name.Service != "iam" {
		return name, badInput("%s is not the ARN of a user, group or role.", text)
	}
	switch name.Kind() {
	case "user", "group", "role":
		return name, nil
	}
	return name, badInput("%s is not the ARN of a user, group or role.", text)
}

// givenPolicies reads documents of a member of the input.
func givenPolicies(member string, documents []string) ([]access.Policy, error) {
	var list []access.Policy
	for i, text := range documents {
		name := member + "." + strconv.Itoa(i+1)
		d, err := policy.Parse([]byte(text))
		if err == nil {
			err = policy.ValidateIdentityPolicy(d)
		}
		if err != nil {
			return nil, badInput("%s: %s", name, fault.Message(err))
		}
		list = append(list, access.Policy{Source: access.Source{Type: access.SourceGiven, Name: name}, Document: d.Named(name)})
	}
	return list, nil
}

func (a *API) simulatePrincipalPolicy(ctx context.Context, _ *restjson.Call, in *SimulatePrincipalPolicyInput) (*SimulationOutput, error) {
	source, err := sourceOf(in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	given, err := a.checker.PoliciesOf(ctx, source)
	if err != nil {
		return nil, err
	}
	q := question{*in.custom(), access.Simulation{Identity: given.Identity, Boundary: given.Boundary}}
	p := &q.ask.Request.Principal
	*p = policy.Principal{Type: policy.User, Account: source.Account}
	switch {
	case in.CallerArn != "":
		if *p, err = simulatedCaller(in.CallerArn); err != nil {
			return nil, err
		}
	case source.Kind() != "group":
		if *p, err = a.checker.Find(ctx, source.Account, in.PolicySourceArn); err != nil {
			return nil, err
		}
	}
	if p.Type == policy.User && p.UserName != source.Name() && in.ResourcePolicy != "" && in.CallerArn == "" {
		return nil, badInput("CallerArn is required with a ResourcePolicy, unless PolicySourceArn is that of a user.")
	}
	if in.CallerArn == "" || in.CallerArn == in.PolicySourceArn {
		p.Groups, p.Tags = given.Groups, given.Tags
	}
	return q.answer(in.PolicySourceArn)
}

func (in *SimulatePrincipalPolicyInput) custom() *SimulateCustomPolicyInput {
	return &SimulateCustomPolicyInput{
		PolicyInputList: in.PolicyInputList, PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList,
		ActionNames: in.ActionNames, ResourceArns: in.ResourceArns, ResourcePolicy: in.ResourcePolicy, ResourceOwner: in.ResourceOwner,
		CallerArn: in.CallerArn, ContextEntries: in.ContextEntries, MaxItems: in.MaxItems, Marker: in.Marker,
	}
}

func (a *API) simulateCustomPolicy(_ context.Context, c *restjson.Call, in *SimulateCustomPolicyInput) (*SimulationOutput, error) {
	q := question{in: *in}
	q.ask.Request.Principal = policy.Principal{Type: policy.User, Account: accountOf(c)}
	if in.CallerArn != "" {
		caller, err := simulatedCaller(in.CallerArn)
		if err != nil {
			return nil, err
		}
		q.ask.Request.Principal = caller
	} else if in.ResourcePolicy != "" {
		return nil, badInput("CallerArn is required with a ResourcePolicy.")
	}
	return q.answer("")
}

// simulatedCaller is a user, who need not exist.
func simulatedCaller(text string) (policy.Principal, error) {
	name, err := arn.Parse(text)
	if err != nil || name.Service != "iam" || name.Kind() != "user" || name.Name() == "" || name.Account == "" {
		return policy.Principal{}, badInput("CallerArn %s is not the ARN of a user.", text)
	}
	return policy.Principal{Type: policy.User, ARN: text, Account: name.Account, UserName: name.Name()}, nil
}

// What one request may ask for. A page ends after maxParts of statements that
// decided, missing keys and policy gone through, whatever MaxItems is, as IAM's
// may; of one decision all is given.
const (
	maxStatements    = 1000 // of the given policies
	maxParts         = 20_000
	bytesOfPart      = 512 // of given documents, to be gone through for each decision
	statementsOfPart = 16  // of all policies, likewise
)

// question is a simulation in the making: the members that both operations
// share, and what is found out about the principal.
type question struct {
	in  SimulateCustomPolicyInput
	ask access.Simulation
}

// answer adds the given policies and decides a page of the combinations of
// actions and resources. source goes with the marker.
func (q *question) answer(source string) (*SimulationOutput, error) {
	in := &q.in
	extra, err := givenPolicies("PolicyInputList", in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	q.ask.Identity = append(q.ask.Identity, extra...)
	boundary, err := givenPolicies("PermissionsBoundaryPolicyInputList", in.PermissionsBoundaryPolicyInputList)
	if err != nil {
		return nil, err
	}
	if boundary != nil {
		q.ask.Boundary = boundary
	}
	if in.ResourcePolicy != "" {
		d, err := policy.Parse([]byte(in.ResourcePolicy))
		if err != nil {
			return nil, badInput("ResourcePolicy: %s", fault.Message(err))
		}
		q.ask.Resource = []access.Policy{{
			Source: access.Source{Type: access.SourceResource, Name: "ResourcePolicy"}, Document: d.Named("ResourcePolicy"),
		}}
	}
	if n := statements(extra, boundary, q.ask.Resource); n > maxStatements {
		return nil, badInput("The given policies have %d statements, more than %d.", n, maxStatements)
	}
	keys, err := contextOf(in.ContextEntries)
	if err != nil {
		return nil, err
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	all := len(in.ActionNames) * len(resources)
	load := func(after string, limit int) ([]int, error) {
		from := 0
		if after != "" {
			n, err := strconv.Atoi(after)
			if err != nil || n < 0 || n >= all {
				return nil, fault.Field("marker", "Invalid Marker.")
			}
			from = n + 1
		}
		var part []int
		for i := from; i < all && len(part) < limit; i++ {
			part = append(part, i)
		}
		return part, nil
	}
	wanted := turn{in.Marker, in.MaxItems, "simulation", []string{source, strconv.Itoa(all)}}
	part, next, err := rows(wanted, load, strconv.Itoa)
	if err != nil {
		return nil, err
	}
	out := &SimulationOutput{EvaluationResults: []EvaluationResult{}, IsTruncated: next != "", Marker: next}
	size, reading := 0, q.reading()
	for at, i := range part {
		if size >= maxParts {
			out.IsTruncated, out.Marker = true, wanted.list().Token(strconv.Itoa(part[at-1]))
			break
		}
		r, err := q.decide(in.ActionNames[i/len(resources)], resources[i%len(resources)], keys)
		if err != nil {
			return nil, err
		}
		out.EvaluationResults = append(out.EvaluationResults, r)
		size += reading + len(r.MatchedStatements) + len(r.MissingContextValues)
	}
	return out, nil
}

// reading is how many parts it takes to go through the policies once.
func (q *question) reading() int {
	size := len(q.in.ResourcePolicy)
	for _, text := range slices.Concat(q.in.PolicyInputList, q.in.PermissionsBoundaryPolicyInputList) {
		size += len(text)
	}
	return 1 + size/bytesOfPart + statements(q.ask.Identity, q.ask.Boundary, q.ask.Resource)/statementsOfPart
}

func statements(lists ...[]access.Policy) (n int) {
	for _, p := range slices.Concat(lists...) {
		n += p.Document.Len()
	}
	return n
}

func (q *question) decide(action, resource string, keys map[string][]string) (EvaluationResult, error) {
	if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(action, "*? ") {
		return EvaluationResult{}, badInput("Invalid Entity Action Name: %s", action)
	}
	if resource != "*" && !strings.HasPrefix(resource, "arn:") {
		return EvaluationResult{}, badInput("Invalid Input ResourceArn: %s", resource)
	}
	ask := q.ask
	r := &ask.Request
	r.Action, r.Resource = action, resource
	r.ResourceAccount = r.Principal.Account
	r.IdentityOnly = q.in.ResourcePolicy == ""
	if !r.IdentityOnly {
		if owner := ownerOf(resource, q.in.ResourceOwner); owner != "" {
			r.ResourceAccount = owner
		}
	}
	r.Context = &simulatedContext{keys, policy.Facts{Principal: r.Principal, ResourceAccount: r.ResourceAccount}}
	return resultOf(access.Simulate(ask)), nil
}

// ownerOf is the account that a resource's ARN names, or the one given for
// resources whose ARN names none: an account, or an ARN of it.
func ownerOf(resource, given string) string {
	for _, text := range []string{resource, given} {
		if name, err := arn.Parse(text); err == nil && name.Account != "" {
			return name.Account
		}
	}
	if strings.HasPrefix(given, "arn:") {
		return ""
	}
	return given
}

// contextOf gives the condition keys by their lower-case names.
func contextOf(entries []ContextEntry) (map[string][]string, error) {
	keys := map[string][]string{}
	for _, e := range entries {
		if e.ContextKeyName == "" || e.ContextKeyType == "" {
			return nil, badInput("A context entry needs ContextKeyName and ContextKeyType.")
		}
		if len(e.ContextKeyValues) > 1 && !strings.HasSuffix(e.ContextKeyType, "List") {
			return nil, badInput("Context key %s of type %s has %d values.", e.ContextKeyName, e.ContextKeyType, len(e.ContextKeyValues))
		}
		keys[strings.ToLower(e.ContextKeyName)] = e.ContextKeyValues
	}
	return keys, nil
}

// simulatedContext knows what it is told, and what the principal says of itself.
type simulatedContext struct {
	keys  map[string][]string
	facts policy.Facts
}

// Value implements policy.ConditionContext.
func (c *simulatedContext) Value(key string) ([]string, bool) {
	if values, ok := c.keys[key]; ok {
		return values, true
	}
	switch {
	case key == "aws:username", key == "aws:userid", key == "aws:resourceaccount":
	case strings.HasPrefix(key, "aws:principal") && c.facts.Principal.ARN != "":
	default:
		return nil, false
	}
	return c.facts.Value(key)
}

// resultOf is a decision in the words of IAM.
func resultOf(e access.Explanation) EvaluationResult {
	r := EvaluationResult{
		EvalActionName: e.Request.Action, EvalResourceName: e.Request.Resource, EvalDecision: e.Decision.Reason.String(),
		MatchedStatements: []MatchedStatement{}, MissingContextValues: append([]string{}, e.Missing...),
	}
	said := map[policy.Kind]policy.Reason{}
	for _, p := range e.Policies {
		if _, ok := said[p.Kind]; !ok {
			said[p.Kind] = policy.ImplicitDeny
		}
		for _, s := range p.Statements {
			if !s.Matched {
				continue
			}
			if s.Effect == policy.Deny {
				said[p.Kind] = policy.ExplicitDeny
			} else if said[p.Kind] == policy.ImplicitDeny {
				said[p.Kind] = policy.Allowed
			}
			if decides(e.Decision, s) {
				r.MatchedStatements = append(r.MatchedStatements, matchedStatement(p.Source, s.Statement))
			}
		}
	}
	if boundary, ok := said[policy.Boundary]; ok {
		r.PermissionsBoundaryDecisionDetail = &BoundaryDetail{boundary == policy.Allowed}
	}
	if e.Request.ResourceAccount != e.Request.Principal.Account && !e.Request.IdentityOnly {
		r.EvalDecisionDetails = map[string]string{
			"IAM Policy": said[policy.Identity].String(), "Resource Policy": said[policy.Resource].String(),
		}
	}
	if r.EvalResourceName != "*" {
		r.ResourceSpecificResults = []ResourceResult{{
			r.EvalResourceName, r.EvalDecision, r.MatchedStatements, r.MissingContextValues, r.EvalDecisionDetails, r.PermissionsBoundaryDecisionDetail,
		}}
	}
	return r
}

// decides tells whether a statement that matches is one of those that made the
// decision: denials wherever they stand, else what allows and not what limits.
func decides(d policy.Decision, s policy.StatementTrace) bool {
	switch d.Reason {
	case policy.ExplicitDeny:
		return s.Effect == policy.Deny
	case policy.Allowed:
		return s.Kind == policy.Identity || s.Kind == policy.Resource
	case policy.ImplicitDeny:
	}
	return false
}

func matchedStatement(source access.Source, s policy.StatementRef) MatchedStatement {
	return MatchedStatement{
		SourcePolicyId: source.Name, SourcePolicyType: source.Type,
		StartPosition: &Place{s.Start.Line, s.Start.Column}, EndPosition: &Place{s.End.Line, s.End.Column},
	}
}

// GetContextKeysForPrincipalPolicyInput says whose policies.
type GetContextKeysForPrincipalPolicyInput struct {
	PolicySourceArn string   `json:"PolicySourceArn" required:"true" validate:"Arn"`
	PolicyInputList []string `json:"PolicyInputList" validate:"PolicyDocuments"`
}

func (in *GetContextKeysForPrincipalPolicyInput) resource(identity.Caller) string {
	return in.PolicySourceArn
}

// GetContextKeysForCustomPolicyInput has the policies.
type GetContextKeysForCustomPolicyInput struct {
	PolicyInputList []string `json:"PolicyInputList" required:"true" validate:"PolicyDocuments"`
}

func (in *GetContextKeysForCustomPolicyInput) resource(identity.Caller) string { return "*" }

// ContextKeysOutput are condition keys.
type ContextKeysOutput struct {
	ContextKeyNames []string `json:"ContextKeyNames"`
}

func (a *API) getContextKeysForPrincipalPolicy(ctx context.Context, _ *restjson.Call, in *GetContextKeysForPrincipalPolicyInput) (*ContextKeysOutput, error) {
	source, err := sourceOf(in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	given, err := a.checker.PoliciesOf(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("policies of %s: %w", in.PolicySourceArn, err)
	}
	return contextKeys(given.Identity, in.PolicyInputList)
}

func (a *API) getContextKeysForCustomPolicy(_ context.Context, _ *restjson.Call, in *GetContextKeysForCustomPolicyInput) (*ContextKeysOutput, error) {
	return contextKeys(nil, in.PolicyInputList)
}

func contextKeys(list []access.Policy, documents []string) (*ContextKeysOutput, error) {
	extra, err := givenPolicies("PolicyInputList", documents)
	if err != nil {
		return nil, err
	}
	out := &ContextKeysOutput{ContextKeyNames: []string{}}
	seen := map[string]bool{}
	for _, p := range append(list, extra...) {
		for _, key := range p.Document.ContextKeys() {
			if lower := strings.ToLower(key); !seen[lower] {
				seen[lower] = true
				out.ContextKeyNames = append(out.ContextKeyNames, key)
			}
		}
	}
	return out, nil
}
