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
	return explanation(e, callerOf(c).Account(), in), nil
}

// knownAction spells an action as rules and messages do. Of CodeArtifact only
// those of the table are known.
func (a *API) knownAction(text string) (string, error) {
	service, name, _ := strings.Cut(text, ":")
	if !strings.EqualFold(service, Service) {
		return text, nil
	}
	names := withoutOperation[:]
	for _, row := range a.Rows() {
		names = append(names, row.Name())
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

// explanation is for people of account.
func explanation(e access.Explanation, account string, in *api.ExplainAccessInput) *api.ExplainAccessOutput {
	r := &e.Request
	out := &api.ExplainAccessOutput{
		Decision: e.Decision.Reason.String(), Message: e.Message, Action: r.Action, Resource: r.Resource, ResourceOwner: r.ResourceAccount,
		Principal: &api.ExplainedPrincipal{
			ARN: r.Principal.ARN, Type: r.Principal.Type.String(), Account: r.Principal.Account, Groups: r.Principal.Groups,
		},
		Policies: []api.ExplainedPolicy{}, Context: []api.ExplainedContextKey{}, MissingContext: append([]string{}, e.Missing...), Notes: []string{},
	}
	for _, p := range e.Policies {
		if foreign(p.Source, account, in.Resource) {
			out.Notes = append(out.Notes, "the policy on "+p.Source.ARN+" has a say too; it is its owner's, and not shown")
			continue
		}
		out.Policies = append(out.Policies, explainedPolicy(p))
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

// foreign tells whether a policy is on the domain of another account, which has
// a say about tags of repositories in it and was not asked for permission.
func foreign(s access.Source, account, resource string) bool {
	if s.Type != access.SourceResource || s.ARN == resource {
		return false
	}
	name, err := arn.Parse(s.ARN)
	return err != nil || name.Kind() == "domain" && name.Account != account
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
	add(r.Action == Service+":PublishPackageVersion", "the origin configuration of the package and its package group have a say besides")
	add(r.Action == Service+":ReadFromRepository" && strings.Contains(r.Resource, ":package/"), "packages are read by permission on their repository; name that")
	return list
}
