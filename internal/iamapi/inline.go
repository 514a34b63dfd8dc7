package iamapi

import (
	"context"
	"net/url"
	"strings"
	"unicode"

	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// holder is what policies are attached to.
type holder struct{ account, kind, name string }

// found makes sure that it exists.
func (h holder) found(tx *catalog.Tx) (err error) {
	switch h.kind {
	case catalog.PrincipalUser:
		_, err = tx.User(h.account, h.name)
	case catalog.PrincipalGroup:
		_, err = tx.Group(h.account, h.name)
	case catalog.PrincipalRole:
		_, err = tx.Role(h.account, h.name)
	}
	return err
}

// maxInline is the size of all its inline policies together, in characters that
// are not white space.
func (h holder) maxInline() int {
	switch h.kind {
	case catalog.PrincipalUser:
		return 2048
	case catalog.PrincipalGroup:
		return 5120
	default:
		return 10240
	}
}

// policies are those attached to it, managed or inline ones.
func (h holder) policies(tx *catalog.Tx, managed bool) ([]catalog.IdentityPolicy, error) {
	if err := h.found(tx); err != nil {
		return nil, err
	}
	all, err := tx.IdentityPolicies(h.account, h.kind, h.name)
	var list []catalog.IdentityPolicy
	for _, row := range all {
		if (row.ManagedARN != "") == managed {
			list = append(list, row)
		}
	}
	return list, err
}

func user(c *restjson.Call, name string) holder {
	return holder{accountOf(c), catalog.PrincipalUser, name}
}

func group(c *restjson.Call, name string) holder {
	return holder{accountOf(c), catalog.PrincipalGroup, name}
}

func role(c *restjson.Call, name string) holder {
	return holder{accountOf(c), catalog.PrincipalRole, name}
}

// readable makes sure that a document is an identity policy.
func readable(document string) error {
	d, err := policy.Parse([]byte(document))
	if err == nil {
		err = policy.ValidateIdentityPolicy(d)
	}
	return awsquery.WithCode("MalformedPolicyDocument", err)
}

// sizeOf counts as IAM does: without white space.
func sizeOf(document string) (n int) {
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// encoded is how documents are written in answers (RFC 3986).
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

func (a *API) putInline(ctx context.Context, h holder, name, document string) (*nothing, error) {
	if err := readable(document); err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		list, err := h.policies(tx, false)
		if err != nil {
			return err
		}
		size := sizeOf(document)
		for _, row := range list {
			if row.PolicyName != name {
				size += sizeOf(row.Document)
			}
		}
		if most := h.maxInline(); size > most {
			return fault.New(fault.Quota, "Maximum policy size of %d bytes exceeded for %s %s", most, h.kind, h.name)
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: h.account, PrincipalKind: h.kind, PrincipalName: h.name, PolicyName: name, Document: document,
		})
	})
}

func (a *API) getInline(ctx context.Context, h holder, name string) (document string, err error) {
	err = a.db.View(ctx, func(tx *catalog.Tx) error {
		if err := h.found(tx); err != nil {
			return err
		}
		row, err := tx.IdentityPolicy(h.account, h.kind, h.name, name)
		document = encoded(row.Document)
		return err
	})
	return document, err
}

func (a *API) deleteInline(ctx context.Context, h holder, name string) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := h.found(tx); err != nil {
			return err
		}
		return tx.DeleteIdentityPolicy(h.account, h.kind, h.name, name)
	})
}

// ListPoliciesOfOutput is a part of the names of a principal's inline policies.
type ListPoliciesOfOutput struct {
	PolicyNames []string `json:"PolicyNames"`
	IsTruncated bool     `json:"IsTruncated"`
	Marker      string   `json:"Marker,omitempty"`
}

func (a *API) listInline(ctx context.Context, h holder, marker *string, most *int) (*ListPoliciesOfOutput, error) {
	var out ListPoliciesOfOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		all, err := h.policies(tx, false)
		if err != nil {
			return err
		}
		name := func(p catalog.IdentityPolicy) string { return p.PolicyName }
		part, next, err := rows(turn{marker, most, "inline", []string{h.account, h.kind, h.name}}, sorted(all, name), name)
		out = ListPoliciesOfOutput{collect(part, name), next != "", next}
		return err
	})
	return &out, err
}

func (a *API) inlineRows() []restjson.Row {
	return []restjson.Row{
		op("PutUserPolicy", "give a user an inline policy, or replace the one of that name", a.putUserPolicy),
		op("GetUserPolicy", "show an inline policy of a user", a.getUserPolicy),
		op("DeleteUserPolicy", "remove an inline policy of a user", a.deleteUserPolicy),
		op("ListUserPolicies", "list the inline policies of a user", a.listUserPolicies),
		op("PutGroupPolicy", "give a group an inline policy, or replace the one of that name", a.putGroupPolicy),
		op("GetGroupPolicy", "show an inline policy of a group", a.getGroupPolicy),
		op("DeleteGroupPolicy", "remove an inline policy of a group", a.deleteGroupPolicy),
		op("ListGroupPolicies", "list the inline policies of a group", a.listGroupPolicies),
		op("PutRolePolicy", "give a role an inline policy, or replace the one of that name", a.putRolePolicy),
		op("GetRolePolicy", "show an inline policy of a role", a.getRolePolicy),
		op("DeleteRolePolicy", "remove an inline policy of a role", a.deleteRolePolicy),
		op("ListRolePolicies", "list the inline policies of a role", a.listRolePolicies),
	}
}

// PutUserPolicyInput is an inline policy of a user.
type PutUserPolicyInput struct {
	UserName       string `json:"UserName" required:"true" validate:"ExistingUserName"`
	PolicyName     string `json:"PolicyName" required:"true" validate:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
}

func (in *PutUserPolicyInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (a *API) putUserPolicy(ctx context.Context, c *restjson.Call, in *PutUserPolicyInput) (*nothing, error) {
	return a.putInline(ctx, user(c, in.UserName), in.PolicyName, in.PolicyDocument)
}

// UserPolicyInput names an inline policy of a user.
type UserPolicyInput struct {
	UserName   string `json:"UserName" required:"true" validate:"ExistingUserName"`
	PolicyName string `json:"PolicyName" required:"true" validate:"PolicyName"`
}

func (in *UserPolicyInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

// GetUserPolicyOutput is an inline policy of a user; the document is percent-encoded.
type GetUserPolicyOutput struct {
	UserName       string `json:"UserName"`
	PolicyName     string `json:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument"`
}

func (a *API) getUserPolicy(ctx context.Context, c *restjson.Call, in *UserPolicyInput) (*GetUserPolicyOutput, error) {
	document, err := a.getInline(ctx, user(c, in.UserName), in.PolicyName)
	return &GetUserPolicyOutput{in.UserName, in.PolicyName, document}, err
}

func (a *API) deleteUserPolicy(ctx context.Context, c *restjson.Call, in *UserPolicyInput) (*nothing, error) {
	return a.deleteInline(ctx, user(c, in.UserName), in.PolicyName)
}

// ListUserPoliciesInput names a user.
type ListUserPoliciesInput struct {
	UserName string  `json:"UserName" required:"true" validate:"ExistingUserName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListUserPoliciesInput) resource(who identity.Caller) string {
	return userARN(who, in.UserName)
}

func (a *API) listUserPolicies(ctx context.Context, c *restjson.Call, in *ListUserPoliciesInput) (*ListPoliciesOfOutput, error) {
	return a.listInline(ctx, user(c, in.UserName), in.Marker, in.MaxItems)
}

// PutGroupPolicyInput is an inline policy of a group.
type PutGroupPolicyInput struct {
	GroupName      string `json:"GroupName" required:"true" validate:"GroupName"`
	PolicyName     string `json:"PolicyName" required:"true" validate:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
}

func (in *PutGroupPolicyInput) resource(who identity.Caller) string {
	return groupARN(who, in.GroupName)
}

func (a *API) putGroupPolicy(ctx context.Context, c *restjson.Call, in *PutGroupPolicyInput) (*nothing, error) {
	return a.putInline(ctx, group(c, in.GroupName), in.PolicyName, in.PolicyDocument)
}

// GroupPolicyInput names an inline policy of a group.
type GroupPolicyInput struct {
	GroupName  string `json:"GroupName" required:"true" validate:"GroupName"`
	PolicyName string `json:"PolicyName" required:"true" validate:"PolicyName"`
}

func (in *GroupPolicyInput) resource(who identity.Caller) string { return groupARN(who, in.GroupName) }

// GetGroupPolicyOutput is an inline policy of a group; the document is percent-encoded.
type GetGroupPolicyOutput struct {
	GroupName      string `json:"GroupName"`
	PolicyName     string `json:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument"`
}

func (a *API) getGroupPolicy(ctx context.Context, c *restjson.Call, in *GroupPolicyInput) (*GetGroupPolicyOutput, error) {
	document, err := a.getInline(ctx, group(c, in.GroupName), in.PolicyName)
	return &GetGroupPolicyOutput{in.GroupName, in.PolicyName, document}, err
}

func (a *API) deleteGroupPolicy(ctx context.Context, c *restjson.Call, in *GroupPolicyInput) (*nothing, error) {
	return a.deleteInline(ctx, group(c, in.GroupName), in.PolicyName)
}

// ListGroupPoliciesInput names a group.
type ListGroupPoliciesInput struct {
	GroupName string  `json:"GroupName" required:"true" validate:"GroupName"`
	Marker    *string `json:"Marker" validate:"Marker"`
	MaxItems  *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListGroupPoliciesInput) resource(who identity.Caller) string {
	return groupARN(who, in.GroupName)
}

func (a *API) listGroupPolicies(ctx context.Context, c *restjson.Call, in *ListGroupPoliciesInput) (*ListPoliciesOfOutput, error) {
	return a.listInline(ctx, group(c, in.GroupName), in.Marker, in.MaxItems)
}

// PutRolePolicyInput is an inline policy of a role.
type PutRolePolicyInput struct {
	RoleName       string `json:"RoleName" required:"true" validate:"RoleName"`
	PolicyName     string `json:"PolicyName" required:"true" validate:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
}

func (in *PutRolePolicyInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (a *API) putRolePolicy(ctx context.Context, c *restjson.Call, in *PutRolePolicyInput) (*nothing, error) {
	return a.putInline(ctx, role(c, in.RoleName), in.PolicyName, in.PolicyDocument)
}

// RolePolicyInput names an inline policy of a role.
type RolePolicyInput struct {
	RoleName   string `json:"RoleName" required:"true" validate:"RoleName"`
	PolicyName string `json:"PolicyName" required:"true" validate:"PolicyName"`
}

func (in *RolePolicyInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

// GetRolePolicyOutput is an inline policy of a role; the document is percent-encoded.
type GetRolePolicyOutput struct {
	RoleName       string `json:"RoleName"`
	PolicyName     string `json:"PolicyName"`
	PolicyDocument string `json:"PolicyDocument"`
}

func (a *API) getRolePolicy(ctx context.Context, c *restjson.Call, in *RolePolicyInput) (*GetRolePolicyOutput, error) {
	document, err := a.getInline(ctx, role(c, in.RoleName), in.PolicyName)
	return &GetRolePolicyOutput{in.RoleName, in.PolicyName, document}, err
}

func (a *API) deleteRolePolicy(ctx context.Context, c *restjson.Call, in *RolePolicyInput) (*nothing, error) {
	return a.deleteInline(ctx, role(c, in.RoleName), in.PolicyName)
}

// ListRolePoliciesInput names a role.
type ListRolePoliciesInput struct {
	RoleName string  `json:"RoleName" required:"true" validate:"RoleName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListRolePoliciesInput) resource(who identity.Caller) string {
	return roleARN(who, in.RoleName)
}

func (a *API) listRolePolicies(ctx context.Context, c *restjson.Call, in *ListRolePoliciesInput) (*ListPoliciesOfOutput, error) {
	return a.listInline(ctx, role(c, in.RoleName), in.Marker, in.MaxItems)
}
