package iamapi_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// absent are the calls about what no user has.
func absent(ctx context.Context, c *iam.Client, user *string) map[string]func() (int, bool, error) {
	return map[string]func() (int, bool, error){
		"ListMFADevices": func() (int, bool, error) {
			out, err := c.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: user})
			if err != nil {
				return 0, false, err
			}
			return len(out.MFADevices), out.IsTruncated, nil
		},
		"ListSSHPublicKeys": func() (int, bool, error) {
			out, err := c.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: user})
			if err != nil {
				return 0, false, err
			}
			return len(out.SSHPublicKeys), out.IsTruncated, nil
		},
		"ListSigningCertificates": func() (int, bool, error) {
			out, err := c.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{UserName: user})
			if err != nil {
				return 0, false, err
			}
			return len(out.Certificates), out.IsTruncated, nil
		},
		"ListServiceSpecificCredentials": func() (int, bool, error) {
			out, err := c.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: user})
			if err != nil {
				return 0, false, err
			}
			return len(out.ServiceSpecificCredentials), out.IsTruncated, nil
		},
	}
}

func TestAbsent_ListsAreEmpty(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ada", "/")
	for _, user := range []*string{aws.String("ada"), nil} { // nil: the caller
		for name, list := range absent(t.Context(), h.Client, user) {
			if n, truncated, err := list(); n != 0 || truncated || err != nil {
				t.Errorf("%s of %s: %d, truncated %v, %v", name, aws.ToString(user), n, truncated, err)
			}
		}
	}
	out := must(t)(h.ListVirtualMFADevices(t.Context(), &iam.ListVirtualMFADevicesInput{})).(*iam.ListVirtualMFADevicesOutput)
	if len(out.VirtualMFADevices) > 0 || out.IsTruncated {
		t.Errorf("virtual MFA devices: %+v", out)
	}
}

func TestAbsent_UnknownUsersAndCallersWithoutPermission(t *testing.T) {
	h := newHouse(t)
	ada := h.user(t, "ada", "/")
	for name, list := range absent(t.Context(), h.Client, aws.String("nobody")) {
		t.Run(name, func(t *testing.T) {
			_, _, err := list()
			wantError(t, err, "NoSuchEntity", 404)
			_, _, err = absent(t.Context(), ada, aws.String("ada"))[name]()
			wantError(t, err, "AccessDenied", 403)
		})
	}
}

func TestAbsent_Passwords(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ada", "/")
	_, err := h.GetLoginProfile(t.Context(), &iam.GetLoginProfileInput{UserName: aws.String("ada")})
	wantError(t, err, "NoSuchEntity", 404)
	_, err = h.DeleteLoginProfile(t.Context(), &iam.DeleteLoginProfileInput{UserName: aws.String("ada")})
	wantError(t, err, "NoSuchEntity", 404)
}

func TestUpdateRoleDescription(t *testing.T) {
	h := newHouse(t)
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"` + account + `"}}]}`
	must(t)(h.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: aws.String(trust), MaxSessionDuration: aws.Int32(7200)}))
	for _, description := range []string{"new", ""} {
		out := must(t)(h.UpdateRoleDescription(t.Context(), &iam.UpdateRoleDescriptionInput{RoleName: aws.String("r"), Description: &description})).(*iam.UpdateRoleDescriptionOutput)
		if aws.ToString(out.Role.Description) != description || *out.Role.MaxSessionDuration != 7200 {
			t.Errorf("description %q: %+v", description, out.Role)
		}
	}
	_, err := h.UpdateRoleDescription(t.Context(), &iam.UpdateRoleDescriptionInput{RoleName: aws.String("none"), Description: aws.String("")})
	wantError(t, err, "NoSuchEntity", 404)
}
