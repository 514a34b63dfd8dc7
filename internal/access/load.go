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
// asked for on the repository to be. Errors are fault.Invalid for an ARN that
// names nothing of CodeArtifact, IAM or STS.
func (c *Checker) Need(ctx context.Context, action, resource string) (Need, error) {
	if resource == "*" {
		return Everything(action), nil
	}
	name, err := arn.Parse(resource)
	if err != nil {
		return Need{}, err
	}
	if name.Service == "iam" || name.Service == "sts" { // theirs have no policies of their own
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

// identityPolicies are the compiled documents attached to a principal.
func identityPolicies(tx *catalog.Tx, p *policy.Principal) ([]*policy.Document, error) {
	switch p.Type {
	case policy.User:
		return attached(tx, p.Account, catalog.PrincipalUser, p.UserName)
	case policy.AssumedRole:
		return attached(tx, p.Account, catalog.PrincipalRole, lastPart(p.RoleARN))
	case policy.Anonymous, policy.Root, policy.Service, policy.Federated:
	}
	return nil, nil // nothing can be attached to them
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func attached(tx *catalog.Tx, account, kind, name string) ([]*policy.Document, error) {
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
func resourcePolicy(tx *catalog.Tx, arn string) (*policy.Document, error) {
	row, err := tx.ResourcePolicy("", arn)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // no policy is a value too, and is remembered
	}
	if err != nil {
		return nil, err
	}
	d, err := parse(row.Document, arn)
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
