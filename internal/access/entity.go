package access

import (
	"context"
	"fmt"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// entity is a user, group, role, policy or issuer of IAM as a resource.
type entity struct {
	arn      string // with its path; empty: there is none
	id       string // its tags are kept under it
	boundary string
}

const boundaryKey = "iam:permissionsboundary"

// iamNeed is a permission on something of IAM. Callers name users, groups and
// roles without their paths; policies know them with: whoever exists is looked
// up. The managed policies of AWS count as everybody's own.
func (c *Checker) iamNeed(ctx context.Context, action string, name arn.ARN) (Need, error) {
	need := Need{Action: action, Resource: name.String(), Owner: name.Account, WithoutResourcePolicy: true}
	if name.Account == "aws" {
		need.Owner = ""
	}
	switch action {
	case "iam:CreateUser", "iam:CreateGroup", "iam:CreateRole", "iam:CreatePolicy", "iam:CreateOpenIDConnectProvider":
		return need, nil // of a name that may be taken already
	}
	kind, rest, _ := strings.Cut(name.Resource, "/")
	if rest == "" || kind != "policy" && kind != "oidc-provider" && strings.Contains(rest, "/") {
		return need, nil
	}
	e, err := c.entities.Get(ctx, c.db, need.Resource, func(tx *catalog.Tx) (entity, error) { return findEntity(tx, name, kind, rest) })
	if err != nil {
		return Need{}, fmt.Errorf("look up %s: %w", need.Resource, err)
	}
	if e.arn == "" {
		return need, nil
	}
	need.Resource, need.TagsOf = e.arn, e.id
	if e.boundary != "" {
		need.Context = map[string][]string{boundaryKey: {e.boundary}}
	}
	return need, nil
}

func findEntity(tx *catalog.Tx, name arn.ARN, kind, rest string) (e entity, err error) {
	switch kind {
	case "user":
		var u catalog.User
		u, err = tx.User(name.Account, rest)
		e = entity{arn.User(u.Account, u.Path, u.Name).String(), u.ID, u.Boundary}
	case "group":
		var g catalog.Group
		g, err = tx.Group(name.Account, rest)
		e = entity{arn.Group(g.Account, g.Path, g.Name).String(), g.ID, ""}
	case "role":
		var r catalog.Role
		r, err = tx.Role(name.Account, rest)
		e = entity{arn.Role(r.Account, r.Path, r.Name).String(), r.ID, r.Boundary}
	case "policy":
		var p catalog.ManagedPolicy
		p, err = tx.ManagedPolicy(name.String())
		e = entity{p.ARN, p.ID, ""}
	case "oidc-provider":
		var p catalog.OIDCProvider
		p, err = tx.OIDCProvider(name.String())
		e = entity{p.ARN, p.ID, ""}
	}
	if fault.Is(err, fault.NotFound) {
		return entity{}, nil
	}
	return e, err
}

// assuming tells whether an action is one that the trust policy of a role
// decides about, and spells it.
func assuming(action string) (name string, ok bool) {
	for _, known := range [...]string{"sts:AssumeRole", "sts:TagSession"} {
		if strings.EqualFold(known, action) {
			return known, true
		}
	}
	return "", false
}

// assumption is the permission to have a session of a role that exists, with
// its trust policy. Errors are fault.Invalid for what names no role, and
// fault.NotFound.
func (c *Checker) assumption(ctx context.Context, action, resource string) (need Need, err error) {
	name, err := arn.Parse(resource)
	if err != nil || name.Service != "iam" || name.Kind() != "role" {
		return Need{}, fault.Field("resource", "%s takes the ARN of a role", action)
	}
	err = c.db.View(ctx, func(tx *catalog.Tx) error {
		r, err := tx.Role(name.Account, name.Name())
		full := arn.Role(r.Account, r.Path, r.Name)
		if err := called(name, full, err); err != nil {
			return err
		}
		trust, err := parse(r.Trust, Source{Type: SourceResource, Name: "the trust policy"})
		if err != nil {
			return fmt.Errorf("trust policy of %s: %w", r.ID, err)
		}
		need = AssumeRole(action, r.Account, full.String(), r.ID, trust, nil)
		return nil
	})
	return need, err
}
