package iamapi

import (
	"cmp"
	"context"

	"packhouse/internal/arn"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// maxUsers is the quota of users in an account.
const maxUsers = 5000

// User is a user in an answer.
type User struct {
	Path                string         `json:"Path"`
	UserName            string         `json:"UserName"`
	UserId              string         `json:"UserId"`
	Arn                 string         `json:"Arn"`
	CreateDate          *restjson.Time `json:"CreateDate"`
	PermissionsBoundary *Boundary      `json:"PermissionsBoundary"`
	Tags                []Tag          `json:"Tags,omitempty"`
}

// Boundary is a permissions boundary in an answer.
type Boundary struct {
	PermissionsBoundaryType string `json:"PermissionsBoundaryType"`
	PermissionsBoundaryArn  string `json:"PermissionsBoundaryArn"`
}

func boundaryOf(policyARN string) *Boundary {
	if policyARN == "" {
		return nil
	}
	return &Boundary{PermissionsBoundaryType: "Policy", PermissionsBoundaryArn: policyARN}
}

func userOf(u catalog.User) User {
	return User{
		Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: arn.User(u.Account, u.Path, u.Name).String(),
		CreateDate: restjson.At(u.Created), PermissionsBoundary: boundaryOf(u.Boundary),
	}
}

// listed is a user as lists give it: without boundary.
func listed(u catalog.User) User {
	u.Boundary = ""
	return userOf(u)
}

func userARN(who identity.Caller, name string) string {
	return arn.User(who.Account(), "/", name).String()
}

// selfOr is the user of that name; without a name the caller, empty when it is
// none.
func selfOr(who identity.Caller, name *string) string {
	if name != nil {
		return *name
	}
	if p := who.Principal(); p.Type == policy.User {
		return p.UserName
	}
	return ""
}

// theUser is selfOr for an operation.
func theUser(c *restjson.Call, name *string) (string, error) {
	who, err := callerOf(c)
	if err != nil {
		return "", err
	}
	if user := selfOr(who, name); user != "" {
		return user, nil
	}
	return "", fault.New(fault.Invalid, "Must specify userName when calling with non-User credentials")
}

// deleteConflict gives what stands in the way of a removal its code.
func deleteConflict(err error) error {
	if fault.Is(err, fault.Conflict) {
		return awsquery.WithCode("DeleteConflict", err)
	}
	return err
}

func quota(what string, most int) error {
	return fault.New(fault.Quota, "Cannot exceed quota for %s: %d", what, most)
}

func (a *API) userRows() []restjson.Row {
	return append([]restjson.Row{
		op("CreateUser", "make a user", a.createUser),
		op("GetUser", "describe a user, by default the caller", a.getUser),
		op("ListUsers", "list the users of the account", a.listUsers),
		op("UpdateUser", "rename a user or change its path", a.updateUser),
		op("DeleteUser", "remove a user that has nothing left", a.deleteUser),
		op("PutUserPermissionsBoundary", "limit what a user may do by a managed policy", a.putUserBoundary),
		op("DeleteUserPermissionsBoundary", "lift the limit of a user", a.deleteUserBoundary),
	}, a.absentRows()...)
}

// CreateUserInput names the user to make.
type CreateUserInput struct {
	UserName            string `json:"UserName" required:"true" validate:"UserName"`
	Path                string `json:"Path" validate:"Path"`
	PermissionsBoundary string `json:"PermissionsBoundary" validate:"Arn"`
	Tags                []Tag  `json:"Tags" validate:"Tags"`
}

func (in *CreateUserInput) resource(who identity.Caller) string {
	return arn.User(who.Account(), in.Path, in.UserName).String()
}

func (in *CreateUserInput) conditions() map[string][]string {
	return withBoundary(tagConditions(in.Tags), in.PermissionsBoundary)
}

func (in *CreateUserInput) alsoNeeds() string {
	if len(in.Tags) == 0 {
		return ""
	}
	return "iam:TagUser"
}

// UserOutput has one user.
type UserOutput struct {
	User User `json:"User"`
}

func (a *API) createUser(ctx context.Context, c *restjson.Call, in *CreateUserInput) (*UserOutput, error) {
	account := accountOf(c)
	tags, err := checkedTags(in.Tags)
	if err != nil {
		return nil, err
	}
	var u catalog.User
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		u = catalog.User{
			Account: account, Name: in.UserName, Path: cmp.Or(in.Path, "/"), ID: identity.NewID(identity.UserID),
			Created: tx.Now(), Boundary: in.PermissionsBoundary,
		}
		if u.Boundary != "" {
			if err := attachable(tx, account, u.Boundary); err != nil {
				return err
			}
		}
		if err := tx.InsertUser(u); err != nil {
			return err
		}
		all, err := tx.Users(account, "", "", maxUsers+1)
		if err != nil {
			return err
		}
		if len(all) > maxUsers {
			return quota("UsersPerAccount", maxUsers)
		}
		return tx.PutTags(u.ID, tags)
	})
	if err != nil {
		return nil, err
	}
	out := userOf(u)
	out.Tags = in.Tags
	return &UserOutput{out}, nil
}

// OptionalUserInput names a user; without a name it is the caller.
type OptionalUserInput struct {
	UserName *string `json:"UserName" validate:"ExistingUserName"`
}

func (in *OptionalUserInput) resource(who identity.Caller) string {
	return userARN(who, selfOr(who, in.UserName))
}

func (a *API) getUser(ctx context.Context, c *restjson.Call, in *OptionalUserInput) (*UserOutput, error) {
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var out UserOutput
	err = a.db.View(ctx, func(tx *catalog.Tx) error {
		u, err := tx.User(accountOf(c), name)
		if err != nil {
			return err
		}
		out.User = userOf(u)
		out.User.Tags, err = tagsOf(tx, u.ID)
		return err
	})
	return &out, err
}

// ListUsersInput chooses users.
type ListUsersInput struct {
	PathPrefix string  `json:"PathPrefix" validate:"PathPrefix"`
	Marker     *string `json:"Marker" validate:"Marker"`
	MaxItems   *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListUsersInput) resource(who identity.Caller) string {
	return arn.User(who.Account(), in.PathPrefix, "").String()
}

// ListUsersOutput is a part of the users.
type ListUsersOutput struct {
	Users       []User `json:"Users"`
	IsTruncated bool   `json:"IsTruncated"`
	Marker      string `json:"Marker,omitempty"`
}

func (a *API) listUsers(ctx context.Context, c *restjson.Call, in *ListUsersInput) (*ListUsersOutput, error) {
	account := accountOf(c)
	var out ListUsersOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		users, next, err := rows(turn{in.Marker, in.MaxItems, "ListUsers", []string{account, in.PathPrefix}},
			func(after string, limit int) ([]catalog.User, error) {
				return tx.Users(account, in.PathPrefix, after, limit)
			},
			func(u catalog.User) string { return u.Name })
		out = ListUsersOutput{collect(users, listed), next != "", next}
		return err
	})
	return &out, err
}

// UpdateUserInput says what of a user changes.
type UpdateUserInput struct {
	UserName    string `json:"UserName" required:"true" validate:"ExistingUserName"`
	NewUserName string `json:"NewUserName" validate:"UserName"`
	NewPath     string `json:"NewPath" validate:"Path"`
}

func (in *UpdateUserInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (a *API) updateUser(ctx context.Context, c *restjson.Call, in *UpdateUserInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		u, err := tx.User(accountOf(c), in.UserName)
		if err != nil {
			return err
		}
		return tx.UpdateUser(u.Account, u.Name, cmp.Or(in.NewUserName, u.Name), cmp.Or(in.NewPath, u.Path))
	})
}

// UserInput names a user.
type UserInput struct {
	UserName string `json:"UserName" required:"true" validate:"ExistingUserName"`
}

func (in *UserInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (a *API) deleteUser(ctx context.Context, c *restjson.Call, in *UserInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		return deleteConflict(tx.DeleteUser(accountOf(c), in.UserName))
	})
}

// PutUserBoundaryInput names a user and a managed policy.
type PutUserBoundaryInput struct {
	UserName            string `json:"UserName" required:"true" validate:"ExistingUserName"`
	PermissionsBoundary string `json:"PermissionsBoundary" required:"true" validate:"Arn"`
}

func (in *PutUserBoundaryInput) resource(who identity.Caller) string {
	return userARN(who, in.UserName)
}

func (in *PutUserBoundaryInput) conditions() map[string][]string {
	return withBoundary(nil, in.PermissionsBoundary)
}

func (a *API) putUserBoundary(ctx context.Context, c *restjson.Call, in *PutUserBoundaryInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := attachable(tx, accountOf(c), in.PermissionsBoundary); err != nil {
			return err
		}
		return tx.SetUserBoundary(accountOf(c), in.UserName, in.PermissionsBoundary)
	})
}

func (a *API) deleteUserBoundary(ctx context.Context, c *restjson.Call, in *UserInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		u, err := tx.User(accountOf(c), in.UserName)
		if err != nil {
			return err
		}
		if u.Boundary == "" {
			return fault.New(fault.NotFound, "The permissions boundary of user %s cannot be found.", u.Name)
		}
		return tx.SetUserBoundary(u.Account, u.Name, "")
	})
}

// withBoundary adds the boundary asked for to what conditions see.
func withBoundary(keys map[string][]string, policyARN string) map[string][]string {
	if policyARN == "" {
		return keys
	}
	if keys == nil {
		keys = map[string][]string{}
	}
	keys["iam:PermissionsBoundary"] = []string{policyARN}
	return keys
}
