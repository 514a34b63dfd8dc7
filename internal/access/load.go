package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

// Need is the permission to do action ("codeartifact:...") on a resource given
// by its ARN, or "*". It looks up who administers a repository; of one that
// does not exist, the domain's owner is taken to, so that callers who may know
// hear that it is missing and others that they may not. CreateRepository may be
// asked for on the repository to be. To assume a role comes with its trust
// policy, and takes one that exists: else fault.NotFound. Errors are
// fault.Invalid for an ARN that names nothing of CodeArtifact, IAM, STS,
// EventBridge, CloudWatch or SNS.
func (c *Checker) Need(ctx context.Context, action, resource string) (Need, error) {
	if name, ok := assuming(action); ok {
		return c.assumption(ctx, name, resource)
	}
	if resource == "*" {
		return Everything(action), nil
	}
	if owner, ok := alarmOwner(resource); ok {
		return Need{Action: action, Resource: resource, Owner: owner, TagsOf: resource, WithoutResourcePolicy: true}, nil
	}
	name, err := arn.Parse(resource)
	if err != nil {
		return Need{}, err
	}
	switch name.Service {
	case "sns":
		return Need{Action: action, Resource: resource, Owner: name.Account, TagsOf: resource, WithoutResourcePolicy: true}, nil
	case "iam":
		return c.iamNeed(ctx, action, name)
	case "sts", "events":
		return Need{Action: action, Resource: resource, Owner: name.Account, WithoutResourcePolicy: true}, nil
	}
	target, err := name.Target()
	if err != nil {
		return Need{}, err
	}
	id := artifact.RepositoryID{Owner: name.Account, Domain: target.Domain, Name: target.Repository}
	switch target.Kind {
	case "domain":
		return Domain(action, name.Region, name.Account, target.Domain), nil
	case "package-group":
		need := Domain(action, name.Region, name.Account, target.Domain)
		need.Resource, need.TagsOf = resource, resource
		return need, nil
	}
	if action == createRepository {
		return NewRepository(name.Region, id), nil
	}
	administrator, err := c.administrator(ctx, id)
	if err != nil {
		return Need{}, err
	}
	need := Repository(action, name.Region, id, administrator)
	need.Resource = resource // itself, or a package in it
	return need, nil
}

// alarmOwner is the account of an alarm, whose name may hold white space, unlike
// what arn.Parse takes.
func alarmOwner(resource string) (account string, ok bool) {
	parts := strings.SplitN(resource, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[1] != arn.Partition || parts[2] != "cloudwatch" || parts[5] != "alarm" {
		return "", false
	}
	return parts[4], true
}

func (c *Checker) administrator(ctx context.Context, id artifact.RepositoryID) (string, error) {
	account, err := c.admins.Get(ctx, c.db, id, func(tx *catalog.Tx) (string, error) {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return "", err
		}
		r, err := tx.Repository(d.ID, id.Name)
		return r.Administrator, err
	})
	if fault.Is(err, fault.NotFound) {
		return id.Owner, nil
	}
	if err != nil {
		return "", fmt.Errorf("look up the administrator of %s: %w", id, err)
	}
	return account, nil
}

var errUnreadable = errors.New("a stored policy cannot be read")

// standing is what a user or role has by itself, whatever it asks for.
type standing struct {
	policies []*policy.Document
	sources  []Source           // of policies
	boundary []*policy.Document // nil: none
	bound    Source             // of boundary
	groups   []string           // ARNs
	tags     map[string]string  // nil: none
}

var nothing standing

// standingOf loads what a principal is given. One that is not in the catalog
// has what is attached to its name: usually nothing.
func standingOf(tx *catalog.Tx, p *policy.Principal) (*standing, error) {
	switch p.Type {
	case policy.User:
		return userStanding(tx, p.Account, p.UserName)
	case policy.AssumedRole:
		return roleStanding(tx, p.Account, lastPart(p.RoleARN))
	case policy.Anonymous, policy.Root, policy.Service, policy.Federated:
	}
	return &nothing, nil // nothing can be attached to them
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func userStanding(tx *catalog.Tx, account, name string) (*standing, error) {
	s := &standing{}
	u, err := tx.User(account, name)
	if err == nil {
		err = s.describe(tx, u.ID, u.Boundary)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.attach(tx, account, catalog.PrincipalUser, name); err != nil {
		return nil, err
	}
	groups, err := tx.GroupsOf(account, name, "", 0)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		s.groups = append(s.groups, arn.Group(account, g.Path, g.Name).String())
		if err := s.attach(tx, account, catalog.PrincipalGroup, g.Name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func roleStanding(tx *catalog.Tx, account, name string) (*standing, error) {
	s := &standing{}
	r, err := tx.Role(account, name)
	if err == nil {
		err = s.describe(tx, r.ID, r.Boundary)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return s, s.attach(tx, account, catalog.PrincipalRole, name)
}

// describe adds the boundary and the tags, which are kept under the unique id.
func (s *standing) describe(tx *catalog.Tx, id, boundary string) error {
	tags, err := tagsOf(tx, id)
	if err != nil {
		return err
	}
	if len(tags) > 0 {
		s.tags = tags
	}
	if boundary == "" {
		return nil
	}
	d, err := managed(tx, boundary)
	if err != nil {
		return fmt.Errorf("permissions boundary of %s: %w", id, err)
	}
	s.boundary, s.bound = []*policy.Document{d}, managedSource(boundary)
	return nil
}

func (s *standing) attach(tx *catalog.Tx, account, kind, name string) error {
	rows, err := tx.IdentityPolicies(account, kind, name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		source := Source{Type: kind, Name: row.PolicyName}
		if row.ManagedARN != "" {
			source = managedSource(row.ManagedARN)
		}
		source.Holder = kind + " " + name
		d, err := compile(tx, row, source)
		if err != nil {
			return fmt.Errorf("policy %s of %s %s: %w", row.PolicyName, kind, name, err)
		}
		s.policies, s.sources = append(s.policies, d), append(s.sources, source)
	}
	return nil
}

func compile(tx *catalog.Tx, row catalog.IdentityPolicy, source Source) (*policy.Document, error) {
	if row.ManagedARN == "" {
		return parse(row.Document, source)
	}
	return managed(tx, row.ManagedARN)
}

func managedSource(policyARN string) Source {
	source := Source{Type: SourceManaged, Name: lastPart(policyARN), ARN: policyARN}
	if policy.ManagedByARN(policyARN) != nil {
		source.Type = SourceShipped
	}
	return source
}

// managed is the version in effect of a managed policy, of AWS or a customer.
func managed(tx *catalog.Tx, policyARN string) (*policy.Document, error) {
	if m := policy.ManagedByARN(policyARN); m != nil {
		return m.Document, nil
	}
	v, err := tx.PolicyVersion(policyARN, 0)
	if fault.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("%w: there is no managed policy %s", errUnreadable, policyARN)
	}
	if err != nil {
		return nil, err
	}
	return parse(v.Document, managedSource(policyARN))
}

// parse makes a broken stored document an internal error: the caller did
// nothing wrong.
func parse(text string, source Source) (*policy.Document, error) {
	d, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errUnreadable, err.Error())
	}
	return d.Named(source.String()), nil
}

// resourcePolicy is the compiled policy of a resource; nil when it has none.
func resourcePolicy(tx *catalog.Tx, arn string) (*policy.Document, error) {
	row, err := tx.ResourcePolicy("", arn)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // no policy is a value too, and is remembered
	}
	if err != nil {
		return nil, err
	}
	d, err := parse(row.Document, Source{Type: SourceResource, ARN: arn})
	if err != nil {
		return nil, fmt.Errorf("policy on %s: %w", arn, err)
	}
	return d, nil
}

// tagsOf are the tags of a resource, never nil.
func tagsOf(tx *catalog.Tx, arn string) (map[string]string, error) {
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
