package iamapi

import (
	"context"
	"strings"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// maxTags is how many tags a user, role or policy has at most.
const maxTags = 50

// Tag is one tag of a user, role or policy.
type Tag struct {
	Key   string  `json:"Key" required:"true" validate:"TagKey"`
	Value *string `json:"Value" required:"true" validate:"TagValue"`
}

// checkedTags checks tags. Keys differ in more than case, and none begins with
// aws:.
func checkedTags(tags []Tag) ([]catalog.Tag, error) {
	list := make([]catalog.Tag, 0, len(tags))
	seen := map[string]bool{}
	for _, t := range tags {
		folded := strings.ToLower(t.Key)
		if strings.HasPrefix(folded, "aws:") {
			return nil, fault.New(fault.Invalid, "Tag keys must not begin with aws: (%s)", t.Key)
		}
		if seen[folded] {
			return nil, fault.New(fault.Invalid, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[folded] = true
		list = append(list, catalog.Tag{Key: t.Key, Value: *t.Value})
	}
	return list, nil
}

func tagConditions(tags []Tag) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	keys := map[string][]string{}
	for _, t := range tags {
		if t.Value != nil {
			keys["aws:RequestTag/"+t.Key] = []string{*t.Value}
		}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], t.Key)
	}
	return keys
}

func tagsOf(tx *catalog.Tx, id string) ([]Tag, error) {
	list, err := tx.Tags(id)
	return collect(list, tagOf), err
}

func tagOf(t catalog.Tag) Tag { return Tag{t.Key, &t.Value} }

// putTags sets tags of whatever has the id; a key that differs in case alone
// from one there takes its place.
func putTags(tx *catalog.Tx, id string, tags []catalog.Tag) error {
	old, err := tx.Tags(id)
	if err != nil {
		return err
	}
	for _, o := range old {
		for _, t := range tags {
			if o.Key != t.Key && strings.EqualFold(o.Key, t.Key) {
				if err := tx.DeleteTags(id, o.Key); err != nil {
					return err
				}
			}
		}
	}
	if err := tx.PutTags(id, tags); err != nil {
		return err
	}
	all, err := tx.Tags(id)
	if err == nil && len(all) > maxTags {
		return quota("TagsPerResource", maxTags)
	}
	return err
}

// ListTagsOutput is a part of the tags.
type ListTagsOutput struct {
	Tags        []Tag  `json:"Tags"`
	IsTruncated bool   `json:"IsTruncated"`
	Marker      string `json:"Marker,omitempty"`
}

// owner finds the id that tags are kept under.
type owner func(tx *catalog.Tx) (id string, err error)

func userID(account, name string) owner {
	return func(tx *catalog.Tx) (string, error) {
		u, err := tx.User(account, name)
		return u.ID, err
	}
}

func roleID(account, name string) owner {
	return func(tx *catalog.Tx) (string, error) {
		r, err := tx.Role(account, name)
		return r.ID, err
	}
}

func policyID(account, policyARN string) owner {
	return func(tx *catalog.Tx) (string, error) {
		p, err := ownPolicy(tx, account, policyARN)
		return p.ID, err
	}
}

func (a *API) tag(ctx context.Context, of owner, tags []Tag) (*nothing, error) {
	list, err := checkedTags(tags)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		id, err := of(tx)
		if err != nil {
			return err
		}
		return putTags(tx, id, list)
	})
}

func (a *API) untag(ctx context.Context, of owner, keys []string) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		id, err := of(tx)
		if err != nil || len(keys) == 0 {
			return err
		}
		return tx.DeleteTags(id, keys...)
	})
}

func (a *API) listTags(ctx context.Context, of owner, t turn) (*ListTagsOutput, error) {
	var out ListTagsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		id, err := of(tx)
		if err != nil {
			return err
		}
		all, err := tx.Tags(id)
		if err != nil {
			return err
		}
		key := func(t catalog.Tag) string { return t.Key }
		part, next, err := rows(t, sorted(all, key), key)
		out = ListTagsOutput{collect(part, tagOf), next != "", next}
		return err
	})
	return &out, err
}

func (a *API) tagRows() []restjson.Row {
	return []restjson.Row{
		op("TagUser", "set tags of a user", a.tagUser),
		op("UntagUser", "remove tags of a user", a.untagUser),
		op("ListUserTags", "list the tags of a user", a.listUserTags),
		op("TagRole", "set tags of a role", a.tagRole),
		op("UntagRole", "remove tags of a role", a.untagRole),
		op("ListRoleTags", "list the tags of a role", a.listRoleTags),
		op("TagPolicy", "set tags of a policy", a.tagPolicy),
		op("UntagPolicy", "remove tags of a policy", a.untagPolicy),
		op("ListPolicyTags", "list the tags of a policy", a.listPolicyTags),
	}
}

// TagUserInput has tags to set on a user.
type TagUserInput struct {
	UserName string `json:"UserName" required:"true" validate:"ExistingUserName"`
	Tags     []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagUserInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (in *TagUserInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (a *API) tagUser(ctx context.Context, c *restjson.Call, in *TagUserInput) (*nothing, error) {
	return a.tag(ctx, userID(accountOf(c), in.UserName), in.Tags)
}

// UntagUserInput has keys of tags to remove from a user.
type UntagUserInput struct {
	UserName string   `json:"UserName" required:"true" validate:"ExistingUserName"`
	TagKeys  []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagUserInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (in *UntagUserInput) conditions() map[string][]string {
	return map[string][]string{"aws:TagKeys": in.TagKeys}
}

func (a *API) untagUser(ctx context.Context, c *restjson.Call, in *UntagUserInput) (*nothing, error) {
	return a.untag(ctx, userID(accountOf(c), in.UserName), in.TagKeys)
}

// ListUserTagsInput names a user.
type ListUserTagsInput struct {
	UserName string  `json:"UserName" required:"true" validate:"ExistingUserName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListUserTagsInput) resource(who identity.Caller) string { return userARN(who, in.UserName) }

func (a *API) listUserTags(ctx context.Context, c *restjson.Call, in *ListUserTagsInput) (*ListTagsOutput, error) {
	return a.listTags(ctx, userID(accountOf(c), in.UserName), turn{in.Marker, in.MaxItems, "tags of user", []string{accountOf(c), in.UserName}})
}

// TagRoleInput has tags to set on a role.
type TagRoleInput struct {
	RoleName string `json:"RoleName" required:"true" validate:"RoleName"`
	Tags     []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagRoleInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (in *TagRoleInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (a *API) tagRole(ctx context.Context, c *restjson.Call, in *TagRoleInput) (*nothing, error) {
	return a.tag(ctx, roleID(accountOf(c), in.RoleName), in.Tags)
}

// UntagRoleInput has keys of tags to remove from a role.
type UntagRoleInput struct {
	RoleName string   `json:"RoleName" required:"true" validate:"RoleName"`
	TagKeys  []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagRoleInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (in *UntagRoleInput) conditions() map[string][]string {
	return map[string][]string{"aws:TagKeys": in.TagKeys}
}

func (a *API) untagRole(ctx context.Context, c *restjson.Call, in *UntagRoleInput) (*nothing, error) {
	return a.untag(ctx, roleID(accountOf(c), in.RoleName), in.TagKeys)
}

// ListRoleTagsInput names a role.
type ListRoleTagsInput struct {
	RoleName string  `json:"RoleName" required:"true" validate:"RoleName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListRoleTagsInput) resource(who identity.Caller) string { return roleARN(who, in.RoleName) }

func (a *API) listRoleTags(ctx context.Context, c *restjson.Call, in *ListRoleTagsInput) (*ListTagsOutput, error) {
	return a.listTags(ctx, roleID(accountOf(c), in.RoleName), turn{in.Marker, in.MaxItems, "tags of role", []string{accountOf(c), in.RoleName}})
}

// TagPolicyInput has tags to set on a policy.
type TagPolicyInput struct {
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
	Tags      []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagPolicyInput) resource(_ identity.Caller) string { return in.PolicyArn }

func (in *TagPolicyInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (a *API) tagPolicy(ctx context.Context, c *restjson.Call, in *TagPolicyInput) (*nothing, error) {
	return a.tag(ctx, policyID(accountOf(c), in.PolicyArn), in.Tags)
}

// UntagPolicyInput has keys of tags to remove from a policy.
type UntagPolicyInput struct {
	PolicyArn string   `json:"PolicyArn" required:"true" validate:"Arn"`
	TagKeys   []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagPolicyInput) resource(_ identity.Caller) string { return in.PolicyArn }

func (in *UntagPolicyInput) conditions() map[string][]string {
	return map[string][]string{"aws:TagKeys": in.TagKeys}
}

func (a *API) untagPolicy(ctx context.Context, c *restjson.Call, in *UntagPolicyInput) (*nothing, error) {
	return a.untag(ctx, policyID(accountOf(c), in.PolicyArn), in.TagKeys)
}

// ListPolicyTagsInput names a policy.
type ListPolicyTagsInput struct {
	PolicyArn string  `json:"PolicyArn" required:"true" validate:"Arn"`
	Marker    *string `json:"Marker" validate:"Marker"`
	MaxItems  *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListPolicyTagsInput) resource(_ identity.Caller) string { return in.PolicyArn }

func (a *API) listPolicyTags(ctx context.Context, c *restjson.Call, in *ListPolicyTagsInput) (*ListTagsOutput, error) {
	return a.listTags(ctx, policyID(accountOf(c), in.PolicyArn), turn{in.Marker, in.MaxItems, "tags of policy", []string{accountOf(c), in.PolicyArn}})
}
