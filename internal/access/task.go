package access

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/policy"
)

// maxPolicies bounds the resource policies of one Need; a repository and its
// domain are two.
const maxPolicies = 4

// task is one decision in progress, and the ConditionContext of it. Tasks are
// pooled, with what they call to load, so that a decision allocates nothing.
type task struct {
	checker        *Checker
	loadIdentity   func(*catalog.Tx) (*standing, error)
	loadResource   func(*catalog.Tx) (*policy.Document, error)
	loadTags       func(*catalog.Tx) (map[string]string, error)
	loadingFor     *policy.Principal // argument of loadIdentity
	loadingFrom    string            // argument of the other two: an ARN
	decisionInputs                   // forgotten when the task is done
}

type decisionInputs struct {
	ctx    context.Context //nolint:containedctx // lives for one call of Check
	caller Caller
	need   Need

	standing *standing
	resource [maxPolicies]*policy.Document
	owner    string

	asked     bool                // a condition or variable looked at the request
	asking    map[string][]string // set by Explain: the keys asked for and their values
	facts     policy.Facts
	described bool
	err       error // from within a condition
}

func newTask(c *Checker) *task {
	t := &task{checker: c}
	t.loadIdentity = func(tx *catalog.Tx) (*standing, error) { return standingOf(tx, t.loadingFor) }
	t.loadResource = func(tx *catalog.Tx) (*policy.Document, error) { return resourcePolicy(tx, t.loadingFrom) }
	t.loadTags = func(tx *catalog.Tx) (map[string]string, error) { return tagsOf(tx, t.loadingFrom) }
	return t
}

func (c *Checker) release(t *task) {
	t.decisionInputs, t.loadingFor, t.loadingFrom = decisionInputs{}, nil, ""
	c.tasks.Put(t)
}

func (t *task) load(p *policy.Principal) (err error) {
	db := t.checker.db
	t.owner = t.need.Owner
	if t.owner == "" || t.need.Governor != "" && t.need.Governor == p.Account {
		t.owner = p.Account
	}
	t.standing = &nothing
	if key := standingKey(p); key != "" {
		t.loadingFor = p
		if t.standing, err = t.checker.identity.Get(t.ctx, db, key, t.loadIdentity); err != nil {
			return err
		}
	}
	if t.need.WithoutResourcePolicy {
		return nil
	}
	if len(t.need.Policies) > maxPolicies {
		return fmt.Errorf("%d resource policies", len(t.need.Policies))
	}
	for i, arn := range t.need.Policies {
		t.loadingFrom = arn
		if t.resource[i], err = t.checker.resource.Get(t.ctx, db, arn, t.loadResource); err != nil {
			return err
		}
	}
	return nil
}

// standingKey names who has policies: a session has those of its role.
func standingKey(p *policy.Principal) string {
	if p.Type == policy.AssumedRole {
		return p.RoleARN
	}
	return p.ARN
}

// verdict is a decision with what went into it.
type verdict struct {
	policy.Decision
	request policy.Request
	docs    policy.Policies
}

// decide asks about the resource and, if that is not enough and nothing denies,
// about its alternative.
func (t *task) decide(p *policy.Principal) verdict {
	request := policy.Request{
		Principal: *p, Action: t.need.Action, Resource: t.need.Resource, ResourceAccount: t.owner,
		Context: t, IdentityOnly: t.need.WithoutResourcePolicy,
	}
	if len(t.standing.groups) > 0 {
		request.Principal.Groups = t.standing.groups
	}
	docs := policy.Policies{
		Identity: t.standing.policies, Boundary: t.standing.boundary, Session: t.caller.Session(),
		Resource: t.resource[:len(t.need.Policies)],
	}
	if t.need.Trust != nil {
		docs.Resource, request.IdentityOnly = []*policy.Document{t.need.Trust}, false
		return verdict{decideTrust(request, docs), request, docs}
	}
	d := policy.Evaluate(request, docs)
	if t.need.Alternative == "" || d.Reason == policy.ExplicitDeny {
		return verdict{d, request, docs}
	}
	other := request
	other.Resource = t.need.Alternative
	if o := policy.Evaluate(other, docs); o.Allowed && !d.Allowed || o.Reason == policy.ExplicitDeny {
		return verdict{o, other, docs}
	}
	return verdict{d, request, docs}
}

// decideTrust is about a role. Its trust policy has to let the caller in,
// whatever identity policies say: where it does not do so by itself, both are
// needed, as between accounts.
func decideTrust(request policy.Request, docs policy.Policies) policy.Decision {
	if d := policy.Evaluate(request, docs); !d.Allowed || d.Kind == policy.Resource {
		return d
	}
	request.ResourceAccount = ""
	return policy.Evaluate(request, docs)
}

const (
	resourceTag    = "aws:resourcetag/"
	iamResourceTag = "iam:resourcetag/" // the same thing
)

// Value implements policy.ConditionContext.
func (t *task) Value(key string) ([]string, bool) {
	t.asked = true
	values, ok := t.value(key)
	if t.asking != nil {
		t.asking[key] = values
	}
	return values, ok
}

func (t *task) value(key string) ([]string, bool) {
	for name, values := range t.need.Context {
		if strings.EqualFold(name, key) {
			return values, true
		}
	}
	if !t.described {
		t.described = true
		t.caller.Describe(&t.facts)
		t.facts.ResourceAccount = t.owner
		t.facts.Principal.Tags = bothTags(t.standing.tags, t.facts.Principal.Tags)
	}
	if tag, ok := strings.CutPrefix(key, iamResourceTag); ok {
		key = resourceTag + tag
	}
	if t.need.TagsOf != "" && t.facts.ResourceTags == nil && strings.HasPrefix(key, resourceTag) {
		t.loadingFrom = t.need.TagsOf
		t.facts.ResourceTags, t.err = t.checker.tags.Get(t.ctx, t.checker.db, t.need.TagsOf, t.loadTags)
		if t.err != nil {
			return nil, false
		}
	}
	return t.facts.Value(key)
}

// bothTags are the tags of a user or role and of its session, which win.
func bothTags(own, session map[string]string) map[string]string {
	if len(own) == 0 {
		return session
	}
	if len(session) == 0 {
		return own
	}
	tags := maps.Clone(own)
	for key, value := range session {
		for other := range tags {
			if strings.EqualFold(other, key) {
				delete(tags, other)
			}
		}
		tags[key] = value
	}
	return tags
}
