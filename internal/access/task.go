package access

import (
	"context"
	"fmt"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

// maxPolicies bounds the resource policies of one Need; a repository and its
// domain are two.
const maxPolicies = 4

// task is one decision in progress, and the ConditionContext of it. Tasks are
// pooled so that a decision allocates nothing.
type task struct {
	ctx     context.Context //nolint:containedctx // lives for one call of Check
	checker *Checker
	caller  Caller
	need    *Need

	identity []*policy.Document
	resource [maxPolicies]*policy.Document
	owner    string

	facts     policy.Facts
	described bool
	err       error // from within a condition
}

func (c *Checker) release(t *task) {
	*t = task{} // hold on to nothing of the request
	c.tasks.Put(t)
}

func (t *task) load(p *policy.Principal) (err error) {
	t.owner = t.need.Owner
	if t.owner == "" || t.need.Governor != "" && t.need.Governor == p.Account {
		t.owner = p.Account
	}
	if t.identity, err = t.checker.identityPolicies(t.ctx, p); err != nil {
		return err
	}
	if t.need.WithoutResourcePolicy {
		return nil
	}
	if len(t.need.Policies) > maxPolicies {
		return fmt.Errorf("%d resource policies", len(t.need.Policies))
	}
	for i, arn := range t.need.Policies {
		if t.resource[i], err = t.checker.resourcePolicy(t.ctx, arn); err != nil {
			return err
		}
	}
	return nil
}

// decide asks about the resource and, if that is not enough and nothing denies,
// about its alternative.
func (t *task) decide(p *policy.Principal) (policy.Decision, policy.Request) {
	request := policy.Request{
		Principal: *p, Action: t.need.Action, Resource: t.need.Resource, ResourceAccount: t.owner,
		Context: t, IdentityOnly: t.need.WithoutResourcePolicy,
	}
	docs := policy.Policies{Identity: t.identity, Resource: t.resource[:len(t.need.Policies)]}
	d := policy.Evaluate(request, docs)
	if t.need.Alternative == "" || d.Reason == policy.ExplicitDeny {
		return d, request
	}
	other := request
	other.Resource = t.need.Alternative
	if o := policy.Evaluate(other, docs); o.Allowed && !d.Allowed || o.Reason == policy.ExplicitDeny {
		return o, other
	}
	return d, request
}

const resourceTag = "aws:resourcetag/"

// Value implements policy.ConditionContext.
func (t *task) Value(key string) ([]string, bool) {
	for name, values := range t.need.Context {
		if strings.EqualFold(name, key) {
			return values, true
		}
	}
	if !t.described {
		t.described = true
		t.caller.Describe(&t.facts)
		t.facts.ResourceAccount = t.owner
	}
	if t.need.TagsOf != "" && t.facts.ResourceTags == nil && strings.HasPrefix(key, resourceTag) {
		if t.facts.ResourceTags, t.err = t.checker.tags(t.ctx, t.need.TagsOf); t.err != nil {
			return nil, false
		}
	}
	return t.facts.Value(key)
}

// identityPolicies are the compiled documents attached to a principal.
func (c *Checker) identityPolicies(ctx context.Context, p *policy.Principal) (docs []*policy.Document, err error) {
	if p.Type != policy.User {
		return nil, nil
	}
	err = c.db.View(ctx, func(tx *catalog.Tx) error {
		docs, err = loadIdentityPolicies(tx, p.Account, catalog.PrincipalUser, p.UserName)
		return err
	})
	return docs, err
}

func loadIdentityPolicies(tx *catalog.Tx, account, kind, name string) ([]*policy.Document, error) {
	rows, err := tx.IdentityPolicies(account, kind, name)
	if err != nil {
		return nil, err
	}
	docs := make([]*policy.Document, 0, len(rows))
	for _, row := range rows {
		d, err := compile(row)
		if err != nil {
			return nil, fmt.Errorf("policy %s of %s %s: %w", row.PolicyName, kind, name, err)
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func compile(row catalog.IdentityPolicy) (*policy.Document, error) {
	if row.ManagedARN == "" {
		return parse(row.Document, row.PolicyName)
	}
	m := policy.ManagedByARN(row.ManagedARN)
	if m == nil {
		return nil, fmt.Errorf("%w: there is no managed policy %s", errUnreadable, row.ManagedARN)
	}
	return m.Document, nil
}

// parse makes a broken stored document an internal error: the caller did
// nothing wrong.
func parse(text, name string) (*policy.Document, error) {
	d, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errUnreadable, err.Error())
	}
	return d.Named(name), nil
}

// resourcePolicy is the compiled policy of a resource; nil when it has none.
func (c *Checker) resourcePolicy(ctx context.Context, arn string) (d *policy.Document, err error) {
	err = c.db.View(ctx, func(tx *catalog.Tx) error {
		d, err = loadResourcePolicy(tx, arn)
		return err
	})
	return d, err
}

func loadResourcePolicy(tx *catalog.Tx, arn string) (*policy.Document, error) {
	row, err := tx.ResourcePolicy("", arn)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(row.Document, arn)
}

// tags are those of a resource, never nil.
func (c *Checker) tags(ctx context.Context, arn string) (tags map[string]string, err error) {
	err = c.db.View(ctx, func(tx *catalog.Tx) error {
		tags, err = loadTags(tx, arn)
		return err
	})
	return tags, err
}

func loadTags(tx *catalog.Tx, arn string) (map[string]string, error) {
	rows, err := tx.Tags(arn)
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(rows))
	for _, t := range rows {
		tags[t.Key] = t.Value
	}
	return tags, nil
}
