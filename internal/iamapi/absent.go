package iamapi

import (
	"context"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// What IAM keeps of users and nobody has here: passwords, MFA devices, SSH
// keys, certificates, credentials of single services. Clients that take a user
// down with all that is its own (Terraform with force_destroy) ask for each of
// them, and are answered as IAM answers for a user who has none.

func (a *API) absentRows() []restjson.Row {
	return []restjson.Row{
		op("ListMFADevices", "list the MFA devices of a user, by default the caller: none", a.listMFADevices),
		op("ListSSHPublicKeys", "list the SSH keys of a user, by default the caller: none", a.listSSHPublicKeys),
		op("ListSigningCertificates", "list the certificates of a user, by default the caller: none", a.listSigningCertificates),
		op("ListServiceSpecificCredentials", "list the credentials of a user for single services, by default the caller's: none", a.listServiceSpecificCredentials),
		op("ListVirtualMFADevices", "list the virtual MFA devices of the account: none", listVirtualMFADevices),
		op("GetLoginProfile", "tell when the password of a user was made: there is none", a.loginProfile),
		op("DeleteLoginProfile", "remove the password of a user: there is none", a.loginProfile),
	}
}

// hasUser makes sure that there is the user that is asked about.
func (a *API) hasUser(ctx context.Context, c *restjson.Call, name *string) error {
	user, err := theUser(c, name)
	if err != nil {
		return err
	}
	return a.db.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.User(accountOf(c), user)
		return err
	})
}

// ListOfUserInput chooses from what a user has; without a name the user is the
// caller.
type ListOfUserInput struct {
	UserName *string `json:"UserName" validate:"ExistingUserName"`
	Marker   *string `json:"Marker" validate:"Marker"`
	MaxItems *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListOfUserInput) resource(who identity.Caller) string {
	return userARN(who, selfOr(who, in.UserName))
}

// ListMFADevicesOutput is always empty.
type ListMFADevicesOutput struct {
	MFADevices  []string `json:"MFADevices"`
	IsTruncated bool     `json:"IsTruncated"`
}

func (a *API) listMFADevices(ctx context.Context, c *restjson.Call, in *ListOfUserInput) (*ListMFADevicesOutput, error) {
	return &ListMFADevicesOutput{}, a.hasUser(ctx, c, in.UserName)
}

// ListSSHPublicKeysOutput is always empty.
type ListSSHPublicKeysOutput struct {
	SSHPublicKeys []string `json:"SSHPublicKeys"`
	IsTruncated   bool     `json:"IsTruncated"`
}

func (a *API) listSSHPublicKeys(ctx context.Context, c *restjson.Call, in *ListOfUserInput) (*ListSSHPublicKeysOutput, error) {
	return &ListSSHPublicKeysOutput{}, a.hasUser(ctx, c, in.UserName)
}

// ListSigningCertificatesOutput is always empty.
type ListSigningCertificatesOutput struct {
	Certificates []string `json:"Certificates"`
	IsTruncated  bool     `json:"IsTruncated"`
}

func (a *API) listSigningCertificates(ctx context.Context, c *restjson.Call, in *ListOfUserInput) (*ListSigningCertificatesOutput, error) {
	return &ListSigningCertificatesOutput{}, a.hasUser(ctx, c, in.UserName)
}

// ListServiceSpecificCredentialsOutput is always empty.
type ListServiceSpecificCredentialsOutput struct {
	ServiceSpecificCredentials []string `json:"ServiceSpecificCredentials"`
	IsTruncated                bool     `json:"IsTruncated"`
}

func (a *API) listServiceSpecificCredentials(ctx context.Context, c *restjson.Call, in *ListOfUserInput) (*ListServiceSpecificCredentialsOutput, error) {
	return &ListServiceSpecificCredentialsOutput{}, a.hasUser(ctx, c, in.UserName)
}

// ListVirtualMFADevicesInput chooses virtual MFA devices.
type ListVirtualMFADevicesInput struct {
	AssignmentStatus string  `json:"AssignmentStatus"`
	Marker           *string `json:"Marker" validate:"Marker"`
	MaxItems         *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListVirtualMFADevicesInput) resource(identity.Caller) string { return "*" }

// ListVirtualMFADevicesOutput is always empty.
type ListVirtualMFADevicesOutput struct {
	VirtualMFADevices []string `json:"VirtualMFADevices"`
	IsTruncated       bool     `json:"IsTruncated"`
}

func listVirtualMFADevices(context.Context, *restjson.Call, *ListVirtualMFADevicesInput) (*ListVirtualMFADevicesOutput, error) {
	return &ListVirtualMFADevicesOutput{}, nil
}

func (a *API) loginProfile(ctx context.Context, c *restjson.Call, in *OptionalUserInput) (*nothing, error) {
	if err := a.hasUser(ctx, c, in.UserName); err != nil {
		return nil, err
	}
	name, err := theUser(c, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.NotFound, "Login Profile for User %s cannot be found.", name)
}
