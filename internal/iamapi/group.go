package iamapi

import (
	"cmp"
	"context"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

const (
	maxGroups        = 300 // in an account
	maxGroupsPerUser = 10
)

// Group is a group in an answer.
type Group struct {
	Path       string         `json:"Path"`
	GroupName  string         `json:"GroupName"`
	GroupId    string         `json:"GroupId"`
	Arn        string         `json:"Arn"`
	CreateDate *restjson.Time `json:"CreateDate"`
}

func groupOf(g catalog.Group) Group {
	return Group{
		Path: g.Path, GroupName: g.Name, GroupId: g.ID, Arn: arn.Group(g.Account, g.Path, g.Name).String(),
		CreateDate: restjson.At(g.Created),
	}
}

func groupName(g catalog.Group) string { return g.Name }

func groupARN(who identity.Caller, name string) string {
	return arn.Group(who.Account(), "/", name).String()
}

func (a *API) groupRows() []restjson.Row {
	return []restjson.Row{
		op("CreateGroup", "make a group", a.createGroup),
		op("GetGroup", "describe a group and list its users", a.getGroup),
		op("ListGroups", "list the groups of the account", a.listGroups),
		op("UpdateGroup", "rename a group or change its path", a.updateGroup),
		op("DeleteGroup", "remove a group that has nothing left", a.deleteGroup),
		op("AddUserToGroup", "put a user into a group", a.addUserToGroup),
		op("RemoveUserFromGroup", "take a user out of a group", a.removeUserFromGroup),
		op("ListGroupsForUser", "list the groups a user is in", a.listGroupsForUser),
	}
}

// CreateGroupInput names the group to make.
type CreateGroupInput struct {
	GroupName string `json:"GroupName" required:"true" validate:"GroupName"`
	Path      string `json:"Path" validate:"Path"`
}

func (in *CreateGroupInput) resource(who identity.Caller) string {
	return arn.Group(who.Account(), in.Path, in.GroupName).String()
}

// GroupOutput has one group.
type GroupOutput struct {
	Group Group `json:"Group"`
}

func (a *API) createGroup(ctx context.Context, c *restjson.Call, in *CreateGroupInput) (*GroupOutput, error) {
	account := accountOf(c)
	var g catalog.Group
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		g = catalog.Group{Account: account, Name: in.GroupName, Path: cmp.Or(in.Path, "/"), ID: identity.NewID(identity.GroupID), Created: tx.Now()}
		if err := tx.InsertGroup(g); err != nil {
			return err
		}
		all, err := tx.Groups(account, "", "", maxGroups+1)
		if err == nil && len(all) > maxGroups {
			return quota("GroupsPerAccount", maxGroups)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &GroupOutput{groupOf(g)}, nil
}

// GetGroupInput names a group and chooses users in it.
type GetGroupInput struct {
	GroupName string  `json:"GroupName" required:"true" validate:"GroupName"`
	Marker    *string `json:"Marker" validate:"Marker"`
	MaxItems  *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *GetGroupInput) resource(who identity.Caller) string { return groupARN(who, in.GroupName) }

// GetGroupOutput is a group with a part of its users.
type GetGroupOutput struct {
	Group       Group  `json:"Group"`
	Users       []User `json:"Users"`
	IsTruncated bool   `json:"IsTruncated"`
	Marker      string `json:"Marker,omitempty"`
}

func (a *API) getGroup(ctx context.Context, c *restjson.Call, in *GetGroupInput) (*GetGroupOutput, error) {
	account := accountOf(c)
	var out GetGroupOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		g, err := tx.Group(account, in.GroupName)
		if err != nil {
			return err
		}
		users, next, err := rows(turn{in.Marker, in.MaxItems, "GetGroup", []string{account, g.Name}},
			func(after string, limit int) ([]catalog.User, error) {
				return tx.GroupMembers(account, g.Name, after, limit)
			},
			func(u catalog.User) string { return u.Name })
		out = GetGroupOutput{groupOf(g), collect(users, listed), next != "", next}
		return err
	})
	return &out, err
}

// ListGroupsInput chooses groups.
type ListGroupsInput struct {
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListGroupsInput) resource(who identity.Caller) string {
	return arn.Group(who.Account(), in.PathPrefix, "").String()
}

// ListGroupsOutput is a part of the groups.
type ListGroupsOutput struct {
	Groups      []Group `json:"Groups"`
	IsTruncated bool    `json:"IsTruncated"`
	Marker      string  `json:"Marker,omitempty"`
}

func (a *API) listGroups(ctx context.Context, c *restjson.Call, in *ListGroupsInput) (*ListGroupsOutput, error) {
	account := accountOf(c)
	var out ListGroupsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		groups, next, err := rows(turn{in.Marker, in.MaxItems, "ListGroups", []string{account, in.PathPrefix}},
			func(after string, limit int) ([]catalog.Group, error) {
				return tx.Groups(account, in.PathPrefix, after, limit)
			}, groupName)
		out = ListGroupsOutput{collect(groups, groupOf), next != "", next}
		return err
	})
	return &out, err
}

// UpdateGroupInput says what of a group changes.
type UpdateGroupInput struct {
	GroupName    string `json:"GroupName" required:"true" validate:"GroupName"`
	NewGroupName string `json:"NewGroupName" validate:"GroupName"`
	NewPath      string `json:"NewPath" validate:"Path"`
}

func (in *UpdateGroupInput) resource(who identity.Caller) string { return groupARN(who, in.GroupName) }

func (a *API) updateGroup(ctx context.Context, c *restjson.Call, in *UpdateGroupInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		g, err := tx.Group(accountOf(c), in.GroupName)
		if err != nil {
			return err
		}
		return tx.UpdateGroup(g.Account, g.Name, cmp.Or(in.NewGroupName, g.Name), cmp.Or(in.NewPath, g.Path))
	})
}

// GroupInput names a group.
type GroupInput struct {
	GroupName string `json:"GroupName" required:"true" validate:"GroupName"`
}

func (in *GroupInput) resource(who identity.Caller) string { return groupARN(who, in.GroupName) }

func (a *API) deleteGroup(ctx context.Context, c *restjson.Call, in *GroupInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		return deleteConflict(tx.DeleteGroup(accountOf(c), in.GroupName))
	})
}

// MemberInput names a group and a user.
type MemberInput struct {
	GroupName string `json:"GroupName" required:"true" validate:"GroupName"`
	UserName  string `json:"UserName" required:"true" validate:"ExistingUserName"`
}

func (in *MemberInput) resource(who identity.Caller) string { return groupARN(who, in.GroupName) }

// found looks both up.
func (in *MemberInput) found(tx *catalog.Tx, account string) error {
	if _, err := tx.Group(account, in.GroupName); err != nil {
		return err
	}
	_, err := tx.User(account, in.UserName)
	return err
}

func (a *API) addUserToGroup(ctx context.Context, c *restjson.Call, in *MemberInput) (*nothing, error) {
	account := accountOf(c)
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := in.found(tx, account); err != nil {
			return err
		}
		if err := tx.AddGroupMember(account, in.GroupName, in.UserName); err != nil {
			return err
		}
		groups, err := tx.GroupsOf(account, in.UserName, "", 0)
		if err == nil && len(groups) > maxGroupsPerUser {
			return quota("GroupsPerUser", maxGroupsPerUser)
		}
		return err
	})
}

func (a *API) removeUserFromGroup(ctx context.Context, c *restjson.Call, in *MemberInput) (*nothing, error) {
	account := accountOf(c)
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := in.found(tx, account); err != nil {
			return err
		}
		return tx.RemoveGroupMember(account, in.GroupName, in.UserName)
	})
}

// ListGroupsForUserInput names a user.
type ListGroupsForUserInput struct {
	UserName string  `json:"UserName" required:"true" validate:"ExistingUserName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListGroupsForUserInput) resource(who identity.Caller) string {
	return userARN(who, in.UserName)
}

func (a *API) listGroupsForUser(ctx context.Context, c *restjson.Call, in *ListGroupsForUserInput) (*ListGroupsOutput, error) {
	account := accountOf(c)
	var out ListGroupsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.User(account, in.UserName); err != nil {
			return err
		}
		groups, next, err := rows(turn{in.Marker, in.MaxItems, "ListGroupsForUser", []string{account, in.UserName}},
			func(after string, limit int) ([]catalog.Group, error) {
				return tx.GroupsOf(account, in.UserName, after, limit)
			}, groupName)
		out = ListGroupsOutput{collect(groups, groupOf), next != "", next}
		return err
	})
	return &out, err
}
