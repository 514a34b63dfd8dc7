package iamapi

import (
	"context"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

const maxKeysPerUser = 2

// AccessKey is a key in the answer to CreateAccessKey, the only one that tells
// the secret.
type AccessKey struct {
	UserName        string         `json:"UserName"`
	AccessKeyId     string         `json:"AccessKeyId"`
	Status          string         `json:"Status"`
	SecretAccessKey string         `json:"SecretAccessKey"`
	CreateDate      *restjson.Time `json:"CreateDate"`
}

// AccessKeyMetadata is a key in a list.
type AccessKeyMetadata struct {
	UserName    string         `json:"UserName"`
	AccessKeyId string         `json:"AccessKeyId"`
	Status      string         `json:"Status"`
	CreateDate  *restjson.Time `json:"CreateDate"`
}

func (a *API) keyRows() []restjson.Row {
	return []restjson.Row{
		op("CreateAccessKey", "make a key for a user, by default the caller; the secret is shown once", a.createAccessKey),
		op("ListAccessKeys", "list the keys of a user, by default the caller", a.listAccessKeys),
		op("UpdateAccessKey", "make a key active or inactive", a.updateAccessKey),
		op("DeleteAccessKey", "remove a key", a.deleteAccessKey),
	}
}

// CreateAccessKeyOutput has the new key.
type CreateAccessKeyOutput struct {
	AccessKey AccessKey `json:"AccessKey"`
}

func (a *API) createAccessKey(ctx context.Context, c *restjson.Call, in *OptionalUserInput) (*CreateAccessKeyOutput, error) {
	account := accountOf(c)
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var out CreateAccessKeyOutput
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.User(account, name); err != nil {
			return err
		}
		keys, err := tx.AccessKeys(account, name)
		if err != nil {
			return err
		}
		if len(keys) >= maxKeysPerUser {
			return quota("AccessKeysPerUser", maxKeysPerUser)
		}
		k, err := a.ids.CreateAccessKey(tx, account, name)
		out.AccessKey = AccessKey{k.UserName, k.ID, k.Status, string(k.Secret), restjson.At(k.Created)}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// ListAccessKeysInput names a user; without a name it is the caller.
type ListAccessKeysInput struct {
	UserName *string `json:"UserName" validate:"ExistingUserName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListAccessKeysInput) resource(who identity.Caller) string {
	return userARN(who, selfOr(who, in.UserName))
}

// ListAccessKeysOutput is a part of the keys of a user.
type ListAccessKeysOutput struct {
	AccessKeyMetadata []AccessKeyMetadata `json:"AccessKeyMetadata"`
	IsTruncated       bool                `json:"IsTruncated"`
	Marker            string              `json:"Marker,omitempty"`
}

func (a *API) listAccessKeys(ctx context.Context, c *restjson.Call, in *ListAccessKeysInput) (*ListAccessKeysOutput, error) {
	account := accountOf(c)
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var out ListAccessKeysOutput
	err = a.db.View(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.User(account, name); err != nil {
			return err
		}
		all, err := tx.AccessKeys(account, name)
		if err != nil {
			return err
		}
		id := func(k catalog.AccessKey) string { return k.ID }
		keys, next, err := rows(turn{in.Marker, in.MaxItems, "ListAccessKeys", []string{account, name}}, sorted(all, id), id)
		out = ListAccessKeysOutput{collect(keys, func(k catalog.AccessKey) AccessKeyMetadata {
			return AccessKeyMetadata{k.UserName, k.ID, k.Status, restjson.At(k.Created)}
		}), next != "", next}
		return err
	})
	return &out, err
}

// UpdateAccessKeyInput says what a key becomes.
type UpdateAccessKeyInput struct {
	UserName    *string `json:"UserName" validate:"ExistingUserName"`
	AccessKeyId string  `json:"AccessKeyId" required:"true" validate:"AccessKeyID"`
	Status      string  `json:"Status" required:"true" validate:"Status"`
}

func (in *UpdateAccessKeyInput) resource(who identity.Caller) string {
	return userARN(who, selfOr(who, in.UserName))
}

// keyOf makes sure that a key is the user's.
func keyOf(tx *catalog.Tx, account, user, id string) error {
	if _, err := tx.User(account, user); err != nil {
		return err
	}
	k, err := tx.AccessKey(id)
	if err == nil && (k.Account != account || k.UserName != user) {
		return fault.New(fault.NotFound, "The Access Key with id %s cannot be found.", id)
	}
	return err
}

func (a *API) updateAccessKey(ctx context.Context, c *restjson.Call, in *UpdateAccessKeyInput) (*nothing, error) {
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := keyOf(tx, accountOf(c), name, in.AccessKeyId); err != nil {
			return err
		}
		return tx.SetAccessKeyStatus(in.AccessKeyId, in.Status)
	})
}

// DeleteAccessKeyInput names a key.
type DeleteAccessKeyInput struct {
	UserName    *string `json:"UserName" validate:"ExistingUserName"`
	AccessKeyId string  `json:"AccessKeyId" required:"true" validate:"AccessKeyID"`
}

func (in *DeleteAccessKeyInput) resource(who identity.Caller) string {
	return userARN(who, selfOr(who, in.UserName))
}

func (a *API) deleteAccessKey(ctx context.Context, c *restjson.Call, in *DeleteAccessKeyInput) (*nothing, error) {
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := keyOf(tx, accountOf(c), name, in.AccessKeyId); err != nil {
			return err
		}
		return tx.DeleteAccessKey(in.AccessKeyId)
	})
}
