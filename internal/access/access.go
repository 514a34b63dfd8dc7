// Package access decides whether a caller may do something: it loads the
// policies that apply and asks package policy. Nobody else does.
//
// What is asked for is a Need, made by a constructor from names the asker
// already knows (Domain, Repository, Package) or looked up from an ARN
// (Checker.Need). Policies are loaded and compiled once per generation of the
// catalog's configuration, so a change counts from the next request on.
//
// What a user or role is given (its policies, those of its groups, its boundary
// and its tags) is read here, not taken from the caller: a principal that was
// authenticated a moment ago has the rights of now.
//
// The surprises: a refused caller without credentials is Unauthenticated, not
// Denied, so that clients send theirs; and a policy in the catalog that cannot
// be read refuses everything it would have a say in, for it might be a deny.
package access

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

// Caller is what a decision depends on of whoever calls; identity.Caller is
// the one of the house.
type Caller interface {
	Principal() *policy.Principal
	// Scope is the one domain a token is good for.
	Scope() (owner, domain string, limited bool)
	// Session are the policies that limit the caller's session; nil: no limit.
	Session() []*policy.Document
	// Describe fills in what conditions may ask about the caller.
	Describe(f *policy.Facts)
}

// Checker decides. It is safe for concurrent use. Its methods must not be
// called inside a View or Update of its catalog.
type Checker struct {
	db       *catalog.DB
	identity catalog.Memo[string, *standing]         // by ARN of the user or role
	resource catalog.Memo[string, *policy.Document]  // by ARN; nil: no policy
	tags     catalog.Memo[string, map[string]string] // by ARN; never nil
	admins   catalog.Memo[artifact.RepositoryID, string]
	entities catalog.Memo[string, entity] // of IAM, by ARN without path
	granted  granted
	tasks    sync.Pool // of *task
}

// New makes a Checker over db.
func New(db *catalog.DB) *Checker {
	c := &Checker{db: db}
	c.tasks.New = func() any { return newTask(c) }
	return c
}

// Check gives nil when caller has what is needed; fault.Denied with AWS's
// text when not, or fault.Unauthenticated when caller has no credentials.
func (c *Checker) Check(ctx context.Context, caller Caller, need Need) error {
	return c.check(ctx, caller, &need)
}

// CheckAll is Check for several needs, all of which must be met; the first
// that is not makes the error.
func (c *Checker) CheckAll(ctx context.Context, caller Caller, needs ...Need) error {
	for i := range needs {
		if err := c.check(ctx, caller, &needs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Filter keeps the items whose need is met, as ListDomains and
// ListRepositories answer (6.2): it is no error when some are left out.
func Filter[T any](ctx context.Context, c *Checker, caller Caller, items []T, need func(T) Need) ([]T, error) {
	var kept []T
	for _, item := range items {
		n := need(item)
		switch err := c.check(ctx, caller, &n); {
		case err == nil:
			kept = append(kept, item)
		case !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Unauthenticated):
			return nil, err
		}
	}
	return kept, nil
}

func (c *Checker) check(ctx context.Context, caller Caller, need *Need) error {
	principal := caller.Principal()
	if text := outOfScope(caller, need); text != "" {
		return &fault.Error{Kind: fault.Denied, Message: text}
	}
	generation := c.db.Generation() // before anything is loaded
	key, plain := grantOf(principal, need)
	plain = plain && caller.Session() == nil
	if plain && c.granted.has(generation, &key, need.Policies) {
		return nil
	}
	t := c.tasks.Get().(*task)
	defer c.release(t)
	t.ctx, t.caller, t.need = ctx, caller, *need
	if err := t.load(principal); err != nil {
		return fmt.Errorf("load the policies that apply to %s: %w", need.Action, err)
	}
	d := t.decide(principal)
	if t.err != nil {
		return fmt.Errorf("decide %s: %w", need.Action, t.err)
	}
	switch {
	case d.Allowed && plain && !t.asked:
		c.granted.add(generation, &key, need.Policies)
		return nil
	case d.Allowed:
		return nil
	case principal.Type == policy.Anonymous:
		return fault.New(fault.Unauthenticated, "credentials required to perform: %s on resource: %s", need.Action, need.Resource)
	}
	return &fault.Error{Kind: fault.Denied, Message: t.refusal(&d)}
}

// refusal is what a caller is told who may not: what was asked for and, to the
// people of the account that owns the resource, which policy said so.
func (t *task) refusal(d *verdict) string {
	if account := d.request.Principal.Account; account == "" || account != t.owner {
		return policy.Refusal(&d.request)
	}
	return d.Message(&d.request) + "; " + d.Detail(&d.docs)
}

// outOfScope says why the caller's token is no good for a need; empty: it is.
func outOfScope(caller Caller, need *Need) string {
	owner, domain, limited := caller.Scope()
	if !limited || within(need.Resource, owner, domain) {
		return ""
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because the token is for domain %s of account %s",
		caller.Principal(), need.Action, need.Resource, domain, owner)
}

// within tells whether a CodeArtifact ARN lies in a domain.
func within(resource, owner, domain string) bool {
	rest, ok := strings.CutPrefix(resource, "arn:aws:codeartifact:")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, ":") // region
	account, rest, _ := strings.Cut(rest, ":")
	_, rest, _ = strings.Cut(rest, "/") // kind
	name, _, _ := strings.Cut(rest, "/")
	return account == owner && name == domain
}
