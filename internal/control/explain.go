package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/arn"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// ExplainAccess shows what policies say, so it takes two permissions: its own on
// the resource, whose policy it shows, and iam:SimulatePrincipalPolicy on the
// principal, unless callers ask about themselves.

// withoutOperation are the actions that are no operation (section 4.1).
var withoutOperation = [...]string{"ReadFromRepository", "PutPackageMetadata", "AssociateWithDownstreamRepository"}

// ofOrganization are the operations whose permissions are of another service.
var ofOrganization = [...]string{"CreateAccount", "ListAccounts"}

func onExplained(_ *API, c *restjson.Call, action string, in any) []restjson.Need {
	input := in.(*api.ExplainAccessInput)
	needs := []restjson.Need{{Action: action, Resource: input.Resource}}
	if who := explained(callerOf(c), input.Principal); who != "" && who != access.Anonymous {
		needs = append(needs, restjson.Need{Action: "iam:SimulatePrincipalPolicy", Resource: iamName(who)})
	}
	return needs
}

// explained is whom an input is about: an ARN, or "anonymous"; empty for the
// caller itself.
func explained(caller identity.Caller, name string) string {
	switch {
	case name == access.Anonymous:
		return name
	case name != "" && !strings.HasPrefix(name, "arn:"):
		if p := caller.Principal(); p.Type == policy.User && p.UserName == name {
			return ""
		}
		return arn.User(caller.Account(), "", name).String()
	case name == caller.ARN():
		return ""
	}
	return name
}

// iamName is what has the policies of a principal: of a session, the role.
func iamName(principal string) string {
	name, err := arn.Parse(principal)
	if err != nil || name.Service != "sts" {
		return principal
	}
	_, rest, _ := strings.Cut(name.Resource, "/")
	role, _, _ := strings.Cut(rest, "/")
	return arn.Role(name.Account, "", role).String()
}

func (a *API) explainAccess(ctx context.Context, c *restjson.Call, in *api.ExplainAccessInput) (*api.ExplainAccessOutput, error) {
	action, err := a.knownAction(in.Action)
	if err != nil {
		return nil, err
	}
	caller, err := a.supposed(ctx, c, in)
	if err != nil {
		return nil, err
	}
	need, err := a.opt.Checker.Resolve(ctx, restjson.Need{Action: action, Resource: in.Resource, Context: in.Context})
	if err != nil {
		return nil, err
	}
	e, err := a.opt.Checker.Explain(ctx, caller, need)
	if err != nil {
		return nil, err
	}
	hidden, err := a.conceal(ctx, callerOf(c), need, &e, in.Resource)
	if err != nil {
		return nil, err
	}
	return explanation(e, hidden, in), nil
}

// webSession is decided by a token of an issuer, which nobody has given here.
const webSession = "sts:AssumeRoleWithWebIdentity"

// knownAction spells an action as rules and messages do. Of CodeArtifact only
// those of the table are known that take a permission of that name.
func (a *API) knownAction(text string) (string, error) {
	if strings.EqualFold(text, webSession) {
		return "", fault.Field("action", "%s is decided by a token of an issuer: try it with one", webSession)
	}
	service, name, _ := strings.Cut(text, ":")
	if !strings.EqualFold(service, Service) {
		return text, nil
	}
	names := withoutOperation[:]
	for _, row := range a.Rows() {
		names = append(names, row.Name())
	}
	for _, managing := range ofOrganization {
		if strings.EqualFold(managing, name) {
			return "", fault.Field("action", "there is no action %s: the permission is organizations:%s", text, managing)
		}
	}
	for _, known := range names {
		if strings.EqualFold(known, name) {
			return Service + ":" + known, nil
		}
	}
	return "", fault.Field("action", "there is no action %s", text)
}

// supposed is the caller to explain: whoever asks, as it is, or another.
func (a *API) supposed(ctx context.Context, c *restjson.Call, in *api.ExplainAccessInput) (access.Caller, error) {
	caller := callerOf(c)
	name := explained(caller, in.Principal)
	if name == "" && len(in.SessionPolicies) == 0 && in.TokenDomain == "" {
		return caller, nil
	}
	s := &access.Supposed{Domain: in.TokenDomain, Facts: caller.Describe}
	if in.TokenDomain != "" {
		s.Owner = in.TokenDomainOwner
		if s.Owner == "" {
			s.Owner = caller.Account()
		}
	}
	if name == "" {
		s.Who, s.Policies = *caller.Principal(), slices.Clone(caller.Session())
	} else {
		found, err := a.opt.Checker.Find(ctx, caller.Account(), name)
		if err != nil {
			return nil, err
		}
		s.Who, s.Facts = found, func(f *policy.Facts) {
			caller.Describe(f)
			f.TokenIssuedAt = time.Time{} // the caller's; nothing is known of a session of found
		}
	}
	for i, text := range in.SessionPolicies {
		d, err := policy.Parse([]byte(text))
		if err == nil {
			err = policy.ValidateIdentityPolicy(d)
		}
		if err != nil {
			return nil, fault.Field("sessionPolicies", "%d: %s", i+1, fault.Message(err))
		}
		s.Policies = append(s.Policies, d.Named(fmt.Sprintf("session policy %d", len(s.Policies)+1)))
	}
	return s, nil
}

// explanation is in the words of the API; hidden are the ARNs of resources
// whose policies had a say and were taken out of e.
func explanation(e access.Explanation, hidden []string, in *api.ExplainAccessInput) *api.ExplainAccessOutput {
	r := &e.Request
	out := &api.ExplainAccessOutput{
		Decision: e.Decision.Reason.String(), Message: e.Message, Action: r.Action, Resource: r.Resource, ResourceOwner: r.ResourceAccount,
		Principal: &api.ExplainedPrincipal{
			ARN: r.Principal.ARN, Type: r.Principal.Type.String(), Account: r.Principal.Account, Groups: r.Principal.Groups,
		},
		Policies: []api.ExplainedPolicy{}, Context: []api.ExplainedContextKey{}, MissingContext: append([]string{}, e.Missing...), Notes: []string{},
	}
	for _, p := range e.Policies {
		out.Policies = append(out.Policies, explainedPolicy(p))
	}
	for _, name := range hidden {
		out.Notes = append(out.Notes, "the policy on "+name+" has a say too; it is its owner's, and not shown")
	}
	if s := e.Decision.Statement; s != nil {
		out.DecidedBy = &api.DecidingStatement{Policy: s.Document, Kind: e.Decision.Kind.String(), Sid: s.Sid, Index: s.Index, Line: s.Start.Line}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Context)) {
		out.Context = append(out.Context, api.ExplainedContextKey{Key: key, Values: append([]string{}, e.Context[key]...)})
	}
	out.Notes = append(out.Notes, notes(e, in)...)
	return out
}

// conceal takes policies that the caller may not read out of an explanation,
// with all that tells of them but the decision, and gives whose they are.
func (a *API) conceal(ctx context.Context, caller identity.Caller, need access.Need, e *access.Explanation, asked string) (hidden []string, err error) {
	var shown []access.Applied
	for _, p := range e.Policies {
		may, err := a.mayShow(ctx, caller, need, p.Source, asked)
		if err != nil {
			return nil, err
		}
		if may {
			shown = append(shown, p)
		} else {
			hidden = append(hidden, p.Source.ARN)
		}
	}
	if len(hidden) == 0 {
		return nil, nil
	}
	e.Policies, e.Missing = shown, nil
	keys, decided := map[string]bool{}, false
	for _, p := range shown {
		for _, key := range p.Document.ContextKeys() {
			keys[strings.ToLower(key)] = true
		}
		for _, s := range p.Statements {
			e.Missing = append(e.Missing, s.Missing...)
			decided = decided || e.Decision.Statement != nil && s.Statement == *e.Decision.Statement
		}
	}
	slices.Sort(e.Missing)
	e.Missing = slices.Compact(e.Missing)
	maps.DeleteFunc(e.Context, func(key string, _ []string) bool { return !keys[key] })
	if decided {
		return hidden, nil
	}
	e.Decision.Statement = nil
	if e.Message != "" && e.OutOfScope == "" {
		e.Message = policy.Refusal(&e.Request)
	}
	return hidden, nil
}

// mayShow tells whether the caller, who may have the resource asked about
// explained, may read a policy: of other resources those of its own account,
// and what it could get.
func (a *API) mayShow(ctx context.Context, caller identity.Caller, need access.Need, s access.Source, asked string) (bool, error) {
	if s.Type != access.SourceResource || s.ARN == asked {
		return true, nil
	}
	name, err := arn.Parse(s.ARN)
	if err != nil {
		return false, err
	}
	action := Service + ":GetDomainPermissionsPolicy"
	own := name.Account == caller.Account()
	if name.Kind() == "repository" {
		action = Service + ":GetRepositoryPermissionsPolicy"
		own = own || need.Owner == caller.Account() // its administrator's
	}
	if own {
		return true, nil
	}
	get, err := a.opt.Checker.Resolve(ctx, restjson.Need{Action: action, Resource: s.ARN})
	if err != nil {
		return false, err
	}
	err = a.opt.Checker.Check(ctx, caller, get)
	if fault.Is(err, fault.Denied) {
		return false, nil
	}
	return err == nil, err
}

func explainedPolicy(p access.Applied) api.ExplainedPolicy {
	out := api.ExplainedPolicy{
		Kind: p.Kind.String(), Type: p.Source.Type, Name: p.Source.Name, ARN: p.Source.ARN, AttachedTo: p.Source.Holder,
		Statements: []api.ExplainedStatement{},
	}
	for _, s := range p.Statements {
		out.Statements = append(out.Statements, api.ExplainedStatement{
			Sid: s.Statement.Sid, Index: s.Statement.Index, Line: s.Statement.Start.Line, Effect: s.Effect.String(), Matched: s.Matched, Reason: s.Why,
		})
	}
	return out
}

// notes say what the policies alone do not.
func notes(e access.Explanation, in *api.ExplainAccessInput) (list []string) {
	r := &e.Request
	add := func(applies bool, text string) {
		if applies {
			list = append(list, text)
		}
	}
	add(e.OutOfScope != "", "the token is for another domain: whatever the policies say, it is refused")
	add(r.Principal.Type == policy.Root && r.Principal.Account == r.ResourceAccount, "the root user may do everything in its own account unless it is denied")
	add(r.Principal.Account != "" && r.Principal.Account != r.ResourceAccount,
		"the resource is of account "+r.ResourceAccount+": its policy and those of the principal must both allow")
	add(r.IdentityOnly, "the policy of the resource does not count for this action")
	add(r.Principal.Type == policy.AssumedRole && len(in.SessionPolicies) == 0 && in.Principal != "",
		"a session may have policies that limit it; give them as sessionPolicies")
	add(r.Action == Service+":GetAuthorizationToken", "sts:GetServiceBearerToken on * is needed besides")
	add(r.Action == "sts:AssumeRole", "session tags take sts:TagSession on the role besides")
	add(r.Action == Service+":PublishPackageVersion", "the origin configuration of the package and its package group have a say besides")
	add(r.Action == Service+":ReadFromRepository" && strings.Contains(r.Resource, ":package/"), "packages are read by permission on their repository; name that")
	return list
}
