package iamapi

import (
	"context"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// maxAttached is how many managed policies a user, group or role has at most.
const maxAttached = 10

// AttachedPolicy is a managed policy in the list of a principal.
type AttachedPolicy struct {
	PolicyName string `json:"PolicyName"`
	PolicyArn  string `json:"PolicyArn"`
}

// ListAttachedOutput is a part of the managed policies of a principal.
type ListAttachedOutput struct {
	AttachedPolicies []AttachedPolicy `json:"AttachedPolicies"`
	IsTruncated      bool             `json:"IsTruncated"`
	Marker           string           `json:"Marker,omitempty"`
}

// attachable makes sure that there is a managed policy that an account can use.
func attachable(tx *catalog.Tx, account, policyARN string) error {
	if policy.ManagedByARN(policyARN) != nil {
		return nil
	}
	p, err := tx.ManagedPolicy(policyARN)
	if fault.Is(err, fault.NotFound) || err == nil && p.Account != account {
		return fault.New(fault.NotFound, "Policy %s does not exist or is not attachable.", policyARN)
	}
	return err
}

func (a *API) attach(ctx context.Context, h holder, policyARN string) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		list, err := h.policies(tx, true)
		if err != nil {
			return err
		}
		if err := attachable(tx, h.account, policyARN); err != nil {
			return err
		}
		for _, row := range list {
			if row.ManagedARN == policyARN {
				return nil
			}
		}
		if len(list) >= maxAttached {
			return quota("PoliciesPer"+strings.ToUpper(h.kind[:1])+h.kind[1:], maxAttached)
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{Account: h.account, PrincipalKind: h.kind, PrincipalName: h.name, ManagedARN: policyARN})
	})
}

func (a *API) detach(ctx context.Context, h holder, policyARN string) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := h.found(tx); err != nil {
			return err
		}
		err := tx.DeleteIdentityPolicy(h.account, h.kind, h.name, policyARN)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "Policy %s was not found.", policyARN)
		}
		return err
	})
}

func (a *API) listAttached(ctx context.Context, h holder, pathPrefix string, marker *string, most *int) (*ListAttachedOutput, error) {
	var out ListAttachedOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		all, err := h.policies(tx, true)
		if err != nil {
			return err
		}
		var list []catalog.IdentityPolicy
		for _, p := range all {
			if _, rest, _ := strings.Cut(p.ManagedARN, ":policy/"); strings.HasPrefix("/"+rest, pathPrefix) {
				list = append(list, p)
			}
		}
		byARN := func(p catalog.IdentityPolicy) string { return p.ManagedARN }
		part, next, err := rows(turn{marker, most, "attached", []string{h.account, h.kind, h.name, pathPrefix}}, sorted(list, byARN), byARN)
		out = ListAttachedOutput{collect(part, func(p catalog.IdentityPolicy) AttachedPolicy {
			return AttachedPolicy{p.ManagedARN[strings.LastIndexByte(p.ManagedARN, '/')+1:], p.ManagedARN}
		}), next != "", next}
		return err
	})
	return &out, err
}

func (a *API) attachRows() []restjson.Row {
	return []restjson.Row{
		op("AttachUserPolicy", "attach a managed policy to a user", a.attachUserPolicy),
		op("DetachUserPolicy", "detach a managed policy from a user", a.detachUserPolicy),
		op("ListAttachedUserPolicies", "list the managed policies attached to a user", a.listAttachedUserPolicies),
		op("AttachGroupPolicy", "attach a managed policy to a group", a.attachGroupPolicy),
		op("DetachGroupPolicy", "detach a managed policy from a group", a.detachGroupPolicy),
		op("ListAttachedGroupPolicies", "list the managed policies attached to a group", a.listAttachedGroupPolicies),
		op("AttachRolePolicy", "attach a managed policy to a role", a.attachRolePolicy),
		op("DetachRolePolicy", "detach a managed policy from a role", a.detachRolePolicy),
		op("ListAttachedRolePolicies", "list the managed policies attached to a role", a.listAttachedRolePolicies),
	}
}

// aboutPolicy is what conditions may ask about an attachment.
func aboutPolicy(policyARN string) map[string][]string {
	return map[string][]string{"iam:PolicyARN": {policyARN}}
}

// AttachUserPolicyInput names a user and a managed policy.
type AttachUserPolicyInput struct {
	UserName  string `json:"UserName" required:"true" validate:"ExistingUserName"`
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
}

func (in *AttachUserPolicyInput) resource(who identity.Caller) string {
	return userARN(who, in.UserName)
}

func (in *AttachUserPolicyInput) conditions() map[string][]string { return aboutPolicy(in.PolicyArn) }

func (a *API) attachUserPolicy(ctx context.Context, c *restjson.Call, in *AttachUserPolicyInput) (*nothing, error) {
	return a.attach(ctx, user(c, in.UserName), in.PolicyArn)
}

func (a *API) detachUserPolicy(ctx context.Context, c *restjson.Call, in *AttachUserPolicyInput) (*nothing, error) {
	return a.detach(ctx, user(c, in.UserName), in.PolicyArn)
}

// ListAttachedUserPoliciesInput names a user and chooses policies.
type ListAttachedUserPoliciesInput struct {
	UserName   string  `json:"UserName" required:"true" validate:"ExistingUserName"`
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListAttachedUserPoliciesInput) resource(who identity.Caller) string {
	return userARN(who, in.UserName)
}

func (a *API) listAttachedUserPolicies(ctx context.Context, c *restjson.Call, in *ListAttachedUserPoliciesInput) (*ListAttachedOutput, error) {
	return a.listAttached(ctx, user(c, in.UserName), in.PathPrefix, in.Marker, in.MaxItems)
}

// AttachGroupPolicyInput names a group and a managed policy.
type AttachGroupPolicyInput struct {
	GroupName string `json:"GroupName" required:"true" validate:"GroupName"`
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
}

func (in *AttachGroupPolicyInput) resource(who identity.Caller) string {
	return groupARN(who, in.GroupName)
}

func (in *AttachGroupPolicyInput) conditions() map[string][]string { return aboutPolicy(in.PolicyArn) }

func (a *API) attachGroupPolicy(ctx context.Context, c *restjson.Call, in *AttachGroupPolicyInput) (*nothing, error) {
	return a.attach(ctx, group(c, in.GroupName), in.PolicyArn)
}

func (a *API) detachGroupPolicy(ctx context.Context, c *restjson.Call, in *AttachGroupPolicyInput) (*nothing, error) {
	return a.detach(ctx, group(c, in.GroupName), in.PolicyArn)
}

// ListAttachedGroupPoliciesInput names a group and chooses policies.
type ListAttachedGroupPoliciesInput struct {
	GroupName  string  `json:"GroupName" required:"true" validate:"GroupName"`
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListAttachedGroupPoliciesInput) resource(who identity.Caller) string {
	return groupARN(who, in.GroupName)
}

func (a *API) listAttachedGroupPolicies(ctx context.Context, c *restjson.Call, in *ListAttachedGroupPoliciesInput) (*ListAttachedOutput, error) {
	return a.listAttached(ctx, group(c, in.GroupName), in.PathPrefix, in.Marker, in.MaxItems)
}

// AttachRolePolicyInput names a role and a managed policy.
type AttachRolePolicyInput struct {
	RoleName  string `json:"RoleName" required:"true" validate:"RoleName"`
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
}

func (in *AttachRolePolicyInput) resource(who identity.Caller) string {
	return roleARN(who, in.RoleName)
}

func (in *AttachRolePolicyInput) conditions() map[string][]string { return aboutPolicy(in.PolicyArn) }

func (a *API) attachRolePolicy(ctx context.Context, c *restjson.Call, in *AttachRolePolicyInput) (*nothing, error) {
	return a.attach(ctx, role(c, in.RoleName), in.PolicyArn)
}

func (a *API) detachRolePolicy(ctx context.Context, c *restjson.Call, in *AttachRolePolicyInput) (*nothing, error) {
	return a.detach(ctx, role(c, in.RoleName), in.PolicyArn)
}

// ListAttachedRolePoliciesInput names a role and chooses policies.
type ListAttachedRolePoliciesInput struct {
	RoleName   string  `json:"RoleName" required:"true" validate:"RoleName"`
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListAttachedRolePoliciesInput) resource(who identity.Caller) string {
	return roleARN(who, in.RoleName)
}

func (a *API) listAttachedRolePolicies(ctx context.Context, c *restjson.Call, in *ListAttachedRolePoliciesInput) (*ListAttachedOutput, error) {
	return a.listAttached(ctx, role(c, in.RoleName), in.PathPrefix, in.Marker, in.MaxItems)
}
