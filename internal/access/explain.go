package access

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"packhouse/internal/policy"
)

// Source says where a policy comes from.
type Source struct {
	Type   string // one of the constants
	Name   string // of the policy, if it has one
	ARN    string // of a managed policy, or of the resource that has the policy
	Holder string // "user alice", "group developers", "role ci": whose it is; empty for the rest
}

// The types of source: the words of IAM (PolicySourceType), and one for what it
// has no word for. Inline policies have the kind of their holder.
const (
	SourceUser     = "user"
	SourceGroup    = "group"
	SourceRole     = "role"
	SourceShipped  = "aws-managed"
	SourceManaged  = "user-managed"
	SourceResource = "resource"
	SourceGiven    = "none"    // told for the purpose of a simulation
	SourceSession  = "session" // ours
)

// String names the policy in a sentence, as in "Statement[0] of ...".
func (s Source) String() string {
	switch {
	case s.Type == SourceResource && s.ARN != "":
		return "the policy on " + s.ARN
	case s.ARN != "":
		return "policy " + s.ARN
	case s.Holder != "":
		return "inline policy " + s.Name + " of " + s.Holder
	}
	return s.Name
}

// Policy is a document that has a say, with its source.
type Policy struct {
	Source   Source
	Document *policy.Document
}

// Explanation is a decision with everything that went into it.
type Explanation struct {
	Decision policy.Decision
	Message  string         // of a refusal, in full; empty when allowed
	Request  policy.Request // without its context
	Policies []Applied      // that had a say: identity policies, boundary, session, resource
	Context  map[string][]string
	Missing  []string // condition keys without a value that statements about the action ask for
	// OutOfScope says why no policy had a say at all: the caller's token is for
	// another domain. Empty: they had.
	OutOfScope string
}

// Applied is a policy with what its statements said.
type Applied struct {
	Kind       policy.Kind
	Source     Source
	Document   *policy.Document
	Statements []policy.StatementTrace
}

// Explain decides as Check does, by the same policies, and gives its reasons.
// It tells what policies say: see to it that whoever hears them may. Context
// of the result has the keys, in lower case, that were asked for.
func (c *Checker) Explain(ctx context.Context, caller Caller, need Need) (Explanation, error) {
	principal := caller.Principal()
	t := c.tasks.Get().(*task)
	defer c.release(t)
	t.ctx, t.caller, t.need, t.asking = ctx, caller, need, map[string][]string{}
	if err := t.load(principal); err != nil {
		return Explanation{}, fmt.Errorf("load the policies that apply to %s: %w", need.Action, err)
	}
	v := t.decide(principal)
	e := trace(v.request, t.applying(&v))
	e.Decision = v.Decision // of a trust policy, the trace knows half
	if !v.Allowed {
		e.Message = v.Message(&v.request) + "; " + v.Detail(&v.docs)
	}
	if text := outOfScope(caller, &need); text != "" {
		e.Decision, e.Message, e.OutOfScope = policy.Decision{}, text, text
	}
	if t.err != nil {
		return Explanation{}, fmt.Errorf("decide %s: %w", need.Action, t.err)
	}
	e.Context, e.Request.Context = maps.Clone(t.asking), nil
	return e, nil
}

// applying are the policies of a verdict with their sources.
func (t *task) applying(v *verdict) (all [policy.Resource + 1][]Policy) {
	for i, d := range v.docs.Identity {
		all[policy.Identity] = append(all[policy.Identity], Policy{t.standing.sources[i], d})
	}
	if v.docs.Boundary != nil {
		all[policy.Boundary] = []Policy{{t.standing.bound, v.docs.Boundary[0]}}
	}
	if v.docs.Session != nil {
		all[policy.Session] = []Policy{}
	}
	for i, d := range v.docs.Session {
		all[policy.Session] = append(all[policy.Session], Policy{Source{Type: SourceSession, Name: fmt.Sprintf("session policy %d", i+1)}, d})
	}
	for i, d := range v.docs.Resource {
		source := Source{Type: SourceResource, Name: "trust policy", ARN: t.need.Resource}
		if t.need.Trust == nil {
			source = Source{Type: SourceResource, ARN: t.need.Policies[i]}
		}
		if d != nil {
			all[policy.Resource] = append(all[policy.Resource], Policy{source, d})
		}
	}
	return all
}

// trace decides a request by policies, ordered by kind, and says how.
func trace(r policy.Request, all [policy.Resource + 1][]Policy) Explanation {
	docs := func(kind policy.Kind) []*policy.Document {
		if all[kind] == nil {
			return nil // none is not the same as an empty list
		}
		list := make([]*policy.Document, len(all[kind]))
		for i, p := range all[kind] {
			list[i] = p.Document
		}
		return list
	}
	p := policy.Policies{
		Identity: docs(policy.Identity), Boundary: docs(policy.Boundary), Session: docs(policy.Session), Resource: docs(policy.Resource),
	}
	traced := policy.Trace(r, p)
	e := Explanation{Decision: traced.Decision, Request: r}
	if !e.Decision.Allowed {
		e.Message = e.Decision.Message(&r) + "; " + e.Decision.Detail(&p)
	}
	for kind, list := range all {
		for i, given := range list {
			a := Applied{Kind: policy.Kind(kind), Source: given.Source, Document: given.Document}
			for _, s := range traced.Statements {
				if s.Kind == a.Kind && s.Policy == i {
					a.Statements = append(a.Statements, s)
					e.Missing = append(e.Missing, s.Missing...)
				}
			}
			e.Policies = append(e.Policies, a)
		}
	}
	slices.Sort(e.Missing)
	e.Missing = slices.Compact(e.Missing)
	return e
}
