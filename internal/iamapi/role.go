package iamapi

import (
	"cmp"
	"context"
	"time"

	"packhouse/internal/arn"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

const (
	maxRoles  = 1000 // in an account
	maxTrust  = 2048 // characters of a trust policy that are not white space
	roleHours = 1    // the longest session of a role that does not say
)

// Role is a role in an answer.
type Role struct {
	Path                     string         `json:"Path"`
	RoleName                 string         `json:"RoleName"`
	RoleId                   string         `json:"RoleId"`
	Arn                      string         `json:"Arn"`
	CreateDate               *restjson.Time `json:"CreateDate"`
	AssumeRolePolicyDocument string         `json:"AssumeRolePolicyDocument"` // percent-encoded
	Description              string         `json:"Description,omitempty"`
	MaxSessionDuration       int            `json:"MaxSessionDuration"` // seconds
	PermissionsBoundary      *Boundary      `json:"PermissionsBoundary"`
	Tags                     []Tag          `json:"Tags,omitempty"`
}

func roleOf(r catalog.Role) Role {
	return Role{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: arn.Role(r.Account, r.Path, r.Name).String(), CreateDate: restjson.At(r.Created),
		AssumeRolePolicyDocument: encoded(r.Trust), Description: r.Description, MaxSessionDuration: int(r.MaxSession / time.Second),
		PermissionsBoundary: boundaryOf(r.Boundary),
	}
}

func roleARN(who identity.Caller, name string) string {
	return arn.Role(who.Account(), "/", name).String()
}

// trusted makes sure that a document can be a trust policy.
func trusted(document string) error {
	d, err := policy.Parse([]byte(document))
	if err == nil {
		err = policy.ValidateTrustPolicy(d)
	}
	if err != nil {
		return awsquery.WithCode("MalformedPolicyDocument", err)
	}
	if sizeOf(document) > maxTrust {
		return quota("ACLSizePerRole", maxTrust)
	}
	return nil
}

func (a *API) roleRows() []restjson.Row {
	return []restjson.Row{
		op("CreateRole", "make a role", a.createRole),
		op("GetRole", "describe a role", a.getRole),
		op("ListRoles", "list the roles of the account", a.listRoles),
		op("UpdateRole", "change the description or longest session of a role", a.updateRole),
		op("UpdateRoleDescription", "change the description of a role", a.updateRoleDescription),
		op("DeleteRole", "remove a role that has nothing left", a.deleteRole),
		op("UpdateAssumeRolePolicy", "say who may assume a role", a.updateTrust),
		op("PutRolePermissionsBoundary", "limit what a role may do by a managed policy", a.putRoleBoundary),
		op("DeleteRolePermissionsBoundary", "lift the limit of a role", a.deleteRoleBoundary),
		op("ListInstanceProfilesForRole", "list the instance profiles of a role: none", a.listInstanceProfiles),
	}
}

// CreateRoleInput is the role to make.
type CreateRoleInput struct {
	RoleName                 string `json:"RoleName" required:"true" validate:"RoleName"`
	Path                     string `json:"Path" validate:"Path"`
	AssumeRolePolicyDocument string `json:"AssumeRolePolicyDocument" required:"true" validate:"PolicyDocument"`
	Description              string `json:"Description" validate:"Description"`
	MaxSessionDuration       *int   `json:"MaxSessionDuration" validate:"MaxSessionDuration"`
	PermissionsBoundary      string `json:"PermissionsBoundary" validate:"Arn"`
	Tags                     []Tag  `json:"Tags" validate:"Tags"`
}

func (in *CreateRoleInput) resource(who identity.Caller) string {
	return arn.Role(who.Account(), in.Path, in.RoleName).String()
}

func (in *CreateRoleInput) conditions() map[string][]string {
	return withBoundary(tagConditions(in.Tags), in.PermissionsBoundary)
}

func (in *CreateRoleInput) alsoNeeds() string {
	if len(in.Tags) == 0 {
		return ""
	}
	return "iam:TagRole"
}

// RoleOutput has one role.
type RoleOutput struct {
	Role Role `json:"Role"`
}

func (a *API) createRole(ctx context.Context, c *restjson.Call, in *CreateRoleInput) (*RoleOutput, error) {
	account := accountOf(c)
	if err := trusted(in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	tags, err := checkedTags(in.Tags)
	if err != nil {
		return nil, err
	}
	longest := roleHours * time.Hour
	if in.MaxSessionDuration != nil {
		longest = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	var r catalog.Role
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		r = catalog.Role{
			Account: account, Name: in.RoleName, Path: cmp.Or(in.Path, "/"), ID: identity.NewID(identity.RoleID), Description: in.Description,
			Trust: in.AssumeRolePolicyDocument, MaxSession: longest, Boundary: in.PermissionsBoundary, Created: tx.Now(),
		}
		if r.Boundary != "" {
			if err := attachable(tx, account, r.Boundary); err != nil {
				return err
			}
		}
		if err := tx.InsertRole(r); err != nil {
			return err
		}
		all, err := tx.Roles(account, "", "", maxRoles+1)
		if err != nil {
			return err
		}
		if len(all) > maxRoles {
			return quota("RolesPerAccount", maxRoles)
		}
		return tx.PutTags(r.ID, tags)
	})
	if err != nil {
		return nil, err
	}
	out := roleOf(r)
	out.Tags = in.Tags
	return &RoleOutput{out}, nil
}

// RoleInput names a role.
type RoleInput struct {
	RoleName string `json:"RoleName" required:"true" validate:"RoleName"`
}

func (in *RoleInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (a *API) getRole(ctx context.Context, c *restjson.Call, in *RoleInput) (*RoleOutput, error) {
	var out RoleOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		r, err := tx.Role(accountOf(c), in.RoleName)
		if err != nil {
			return err
		}
		out.Role = roleOf(r)
		out.Role.Tags, err = tagsOf(tx, r.ID)
		return err
	})
	return &out, err
}

// ListRolesInput chooses roles.
type ListRolesInput struct {
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListRolesInput) resource(who identity.Caller) string {
	return arn.Role(who.Account(), in.PathPrefix, "").String()
}

// ListRolesOutput is a part of the roles.
type ListRolesOutput struct {
	Roles       []Role `json:"Roles"`
	IsTruncated bool   `json:"IsTruncated"`
	Marker      string `json:"Marker,omitempty"`
}

func (a *API) listRoles(ctx context.Context, c *restjson.Call, in *ListRolesInput) (*ListRolesOutput, error) {
	account := accountOf(c)
	var out ListRolesOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		roles, next, err := rows(turn{in.Marker, in.MaxItems, "ListRoles", []string{account, in.PathPrefix}},
			func(after string, limit int) ([]catalog.Role, error) {
				return tx.Roles(account, in.PathPrefix, after, limit)
			},
			func(r catalog.Role) string { return r.Name })
		out = ListRolesOutput{collect(roles, func(r catalog.Role) Role {
			r.Boundary = "" // as in AWS
			return roleOf(r)
		}), next != "", next}
		return err
	})
	return &out, err
}

// changeRole stores what change makes of a role.
func (a *API) changeRole(ctx context.Context, c *restjson.Call, name string, change func(*catalog.Tx, *catalog.Role) error) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		r, err := tx.Role(accountOf(c), name)
		if err != nil {
			return err
		}
		if err := change(tx, &r); err != nil {
			return err
		}
		return tx.UpdateRole(r)
	})
}

// UpdateRoleInput says what of a role changes.
type UpdateRoleInput struct {
	RoleName           string  `json:"RoleName" required:"true" validate:"RoleName"`
	Description        *string `json:"Description" validate:"Description"`
	MaxSessionDuration *int    `json:"MaxSessionDuration" validate:"MaxSessionDuration"`
}

func (in *UpdateRoleInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

// UpdateRoleOutput has no members, but an element.
type UpdateRoleOutput struct{}

// HasResult implements awsquery.EmptyResult.
func (UpdateRoleOutput) HasResult() {}

func (a *API) updateRole(ctx context.Context, c *restjson.Call, in *UpdateRoleInput) (*UpdateRoleOutput, error) {
	_, err := a.changeRole(ctx, c, in.RoleName, func(_ *catalog.Tx, r *catalog.Role) error {
		if in.Description != nil {
			r.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = time.Duration(*in.MaxSessionDuration) * time.Second
		}
		return nil
	})
	return nil, err
}

// UpdateRoleDescriptionInput is another description of a role.
type UpdateRoleDescriptionInput struct {
	RoleName    string  `json:"RoleName" required:"true" validate:"RoleName"`
	Description *string `json:"Description" required:"true" validate:"Description"`
}

func (in *UpdateRoleDescriptionInput) resource(who identity.Caller) string {
	return roleARN(who, in.RoleName)
}

// updateRoleDescription is what clients have used since before UpdateRole.
func (a *API) updateRoleDescription(ctx context.Context, c *restjson.Call, in *UpdateRoleDescriptionInput) (*RoleOutput, error) {
	if _, err := a.updateRole(ctx, c, &UpdateRoleInput{RoleName: in.RoleName, Description: in.Description}); err != nil {
		return nil, err
	}
	return a.getRole(ctx, c, &RoleInput{in.RoleName})
}

func (a *API) deleteRole(ctx context.Context, c *restjson.Call, in *RoleInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		return deleteConflict(tx.DeleteRole(accountOf(c), in.RoleName))
	})
}

// UpdateTrustInput is another trust policy of a role.
type UpdateTrustInput struct {
	RoleName       string `json:"RoleName" required:"true" validate:"RoleName"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
}

func (in *UpdateTrustInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (a *API) updateTrust(ctx context.Context, c *restjson.Call, in *UpdateTrustInput) (*nothing, error) {
	if err := trusted(in.PolicyDocument); err != nil {
		return nil, err
	}
	return a.changeRole(ctx, c, in.RoleName, func(_ *catalog.Tx, r *catalog.Role) error {
		r.Trust = in.PolicyDocument
		return nil
	})
}

// PutRoleBoundaryInput names a role and a managed policy.
type PutRoleBoundaryInput struct {
	RoleName            string `json:"RoleName" required:"true" validate:"RoleName"`
	PermissionsBoundary string `json:"PermissionsBoundary" required:"true" validate:"Arn"`
}

func (in *PutRoleBoundaryInput) resource(who identity.Caller) string {
	return roleARN(who, in.RoleName)
}

func (in *PutRoleBoundaryInput) conditions() map[string][]string {
	return withBoundary(nil, in.PermissionsBoundary)
}

func (a *API) putRoleBoundary(ctx context.Context, c *restjson.Call, in *PutRoleBoundaryInput) (*nothing, error) {
	return a.changeRole(ctx, c, in.RoleName, func(tx *catalog.Tx, r *catalog.Role) error {
		r.Boundary = in.PermissionsBoundary
		return attachable(tx, r.Account, r.Boundary)
	})
}

func (a *API) deleteRoleBoundary(ctx context.Context, c *restjson.Call, in *RoleInput) (*nothing, error) {
	return a.changeRole(ctx, c, in.RoleName, func(_ *catalog.Tx, r *catalog.Role) error {
		if r.Boundary == "" {
			return fault.New(fault.NotFound, "The permissions boundary of role %s cannot be found.", r.Name)
		}
		r.Boundary = ""
		return nil
	})
}

// ListInstanceProfilesOutput is always empty: there are no machines here.
type ListInstanceProfilesOutput struct {
	InstanceProfiles []string `json:"InstanceProfiles"`
	IsTruncated      bool     `json:"IsTruncated"`
}

func (a *API) listInstanceProfiles(ctx context.Context, c *restjson.Call, in *RoleInput) (*ListInstanceProfilesOutput, error) {
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Role(accountOf(c), in.RoleName)
		return err
	})
	return &ListInstanceProfilesOutput{InstanceProfiles: []string{}}, err
}
