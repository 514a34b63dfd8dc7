package iamapi_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
)

func TestUser_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	made := must(t)(h.CreateUser(ctx, &iam.CreateUserInput{
		UserName: aws.String("eve"), Path: aws.String("/ops/"), Tags: []types.Tag{tag("Team", "red")}, PermissionsBoundary: aws.String(readOnly),
	})).(*iam.CreateUserOutput).User
	if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(*made.UserId) || made.CreateDate == nil {
		t.Errorf("made %+v", made)
	}
	got := must(t)(h.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("eve")})).(*iam.GetUserOutput).User
	if diff := cmp.Diff([]any{"arn:aws:iam::123456789012:user/ops/eve", *made.UserId, readOnly, "Team=red"},
		[]any{*got.Arn, *got.UserId, *got.PermissionsBoundary.PermissionsBoundaryArn, *got.Tags[0].Key + "=" + *got.Tags[0].Value}); diff != "" {
		t.Error(diff)
	}
	must(t)(h.TagUser(ctx, &iam.TagUserInput{UserName: aws.String("eve"), Tags: []types.Tag{tag("team", "blue"), tag("Empty", "")}}))
	must(t)(h.UpdateUser(ctx, &iam.UpdateUserInput{UserName: aws.String("eve"), NewUserName: aws.String("Eva")}))
	tags := must(t)(h.ListUserTags(ctx, &iam.ListUserTagsInput{UserName: aws.String("Eva")})).(*iam.ListUserTagsOutput).Tags
	if len(tags) != 2 || *tags[0].Key != "Empty" || *tags[1].Key != "team" || *tags[1].Value != "blue" {
		t.Errorf("tags of the renamed user %+v", tags)
	}
	must(t)(h.UntagUser(ctx, &iam.UntagUserInput{UserName: aws.String("Eva"), TagKeys: []string{"Empty"}}))
	must(t)(h.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: aws.String("Eva")}))
	must(t)(h.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("Eva")}))
	_, err := h.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("Eva")})
	wantError(t, err, "NoSuchEntity", 404)
}

func TestGetUser_IsTheCallerByDefault(t *testing.T) {
	h := newHouse(t)
	got := must(t)(h.GetUser(t.Context(), &iam.GetUserInput{})).(*iam.GetUserOutput)
	if *got.User.UserName != "admin" {
		t.Errorf("got %s", *got.User.UserName)
	}
}

func TestListUsers_Pages(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	want := []string{}
	for i := range 7 {
		name := fmt.Sprintf("user%d", i)
		must(t)(h.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Path: aws.String("/team/")}))
		want = append(want, name)
	}
	var got []string
	pages := iam.NewListUsersPaginator(h, &iam.ListUsersInput{PathPrefix: aws.String("/te"), MaxItems: aws.Int32(3)})
	for n := 1; pages.HasMorePages(); n++ {
		page := must(t)(pages.NextPage(ctx)).(*iam.ListUsersOutput)
		for _, u := range page.Users {
			got = append(got, *u.UserName)
		}
		if page.IsTruncated != (n < 3) {
			t.Errorf("page %d: truncated %v", n, page.IsTruncated)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := h.ListUsers(ctx, &iam.ListUsersInput{Marker: aws.String("x")})
	wantError(t, err, "ValidationError", 400)
}

func TestGroup_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "eve", "/")
	g := aws.String("publishers")
	made := must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: g})).(*iam.CreateGroupOutput).Group
	if *made.Arn != "arn:aws:iam::123456789012:group/publishers" || !strings.HasPrefix(*made.GroupId, "AGPA") {
		t.Errorf("made %+v", made)
	}
	must(t)(h.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: g, UserName: aws.String("eve")}))
	must(t)(h.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: g, NewGroupName: aws.String("writers"), NewPath: aws.String("/x/")}))
	g = aws.String("writers")
	must(t)(h.UpdateUser(ctx, &iam.UpdateUserInput{UserName: aws.String("eve"), NewUserName: aws.String("eva")}))
	got := must(t)(h.GetGroup(ctx, &iam.GetGroupInput{GroupName: g})).(*iam.GetGroupOutput)
	of := must(t)(h.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: aws.String("eva")})).(*iam.ListGroupsForUserOutput)
	if len(got.Users) != 1 || *got.Users[0].UserName != "eva" || len(of.Groups) != 1 || *of.Groups[0].Arn != "arn:aws:iam::123456789012:group/x/writers" {
		t.Errorf("members %+v, groups %+v", got.Users, of.Groups)
	}
	all := must(t)(h.ListGroups(ctx, &iam.ListGroupsInput{PathPrefix: aws.String("/x/")})).(*iam.ListGroupsOutput)
	if len(all.Groups) != 1 {
		t.Errorf("groups %+v", all.Groups)
	}
	_, err := h.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: g})
	wantError(t, err, "DeleteConflict", 409)
	must(t)(h.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: g, UserName: aws.String("eva")}))
	_, err = h.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: g, UserName: aws.String("eva")})
	wantError(t, err, "NoSuchEntity", 404)
	must(t)(h.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: g}))
}

func TestAccessKey_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	eve := h.user(t, "eve", "/", allowing("iam:*", "arn:aws:iam::*:user/${aws:username}"))
	second := must(t)(eve.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{})).(*iam.CreateAccessKeyOutput).AccessKey
	_, err := eve.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{})
	wantError(t, err, "LimitExceeded", 409)
	caller := client(h.url, *second.AccessKeyId, *second.SecretAccessKey)
	must(t)(caller.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	must(t)(eve.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{AccessKeyId: second.AccessKeyId, Status: types.StatusTypeInactive}))
	_, err = caller.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	wantError(t, err, "InvalidClientTokenId", 403)
	list := must(t)(eve.ListAccessKeys(ctx, &iam.ListAccessKeysInput{})).(*iam.ListAccessKeysOutput).AccessKeyMetadata
	if len(list) != 2 {
		t.Errorf("keys %+v", list)
	}
	_, err = h.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: aws.String("admin"), AccessKeyId: second.AccessKeyId})
	wantError(t, err, "NoSuchEntity", 404)
	must(t)(eve.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{AccessKeyId: second.AccessKeyId}))
}

func TestInlinePolicy_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "eve", "/")
	must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("all")}))
	document := `{"Version":"2012-10-17", "Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Sid":"ÄaÄ"}]}`
	_, err := h.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("p"), PolicyDocument: &document})
	wantError(t, err, "MalformedPolicyDocument", 400)
	document = `{"Version":"2012-10-17", "Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:repository/a+b/*"}]}`
	must(t)(h.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("p"), PolicyDocument: &document}))
	must(t)(h.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: aws.String("all"), PolicyName: aws.String("q"), PolicyDocument: &document}))
	ofUser := must(t)(h.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("p")})).(*iam.GetUserPolicyOutput)
	ofGroup := must(t)(h.GetGroupPolicy(ctx, &iam.GetGroupPolicyInput{GroupName: aws.String("all"), PolicyName: aws.String("q")})).(*iam.GetGroupPolicyOutput)
	if diff := cmp.Diff([]string{document, document}, []string{decoded(t, ofUser.PolicyDocument), decoded(t, ofGroup.PolicyDocument)}); diff != "" {
		t.Error(diff)
	}
	if strings.ContainsAny(*ofUser.PolicyDocument, `{"+ :`) {
		t.Errorf("not encoded: %s", *ofUser.PolicyDocument)
	}
	names := must(t)(h.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: aws.String("eve")})).(*iam.ListUserPoliciesOutput).PolicyNames
	names = append(names, must(t)(h.ListGroupPolicies(ctx, &iam.ListGroupPoliciesInput{GroupName: aws.String("all")})).(*iam.ListGroupPoliciesOutput).PolicyNames...)
	if diff := cmp.Diff([]string{"p", "q"}, names); diff != "" {
		t.Error(diff)
	}
	_, err = h.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("big"), PolicyDocument: aws.String(
		allowing("*", "arn:aws:codeartifact:*:*:repository/"+strings.Repeat("x", 2048)))})
	wantError(t, err, "LimitExceeded", 409)
	must(t)(h.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("p")}))
	_, err = h.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: aws.String("eve"), PolicyName: aws.String("p")})
	wantError(t, err, "NoSuchEntity", 404)
	must(t)(h.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: aws.String("all"), PolicyName: aws.String("q")}))
}

func TestManagedPolicy_Lifecycle(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "eve", "/")
	p := must(t)(h.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String("may"), Path: aws.String("/x/"), PolicyDocument: aws.String(allowAll), Description: aws.String("all"), Tags: []types.Tag{tag("a", "b")},
	})).(*iam.CreatePolicyOutput).Policy
	if *p.Arn != "arn:aws:iam::123456789012:policy/x/may" || *p.DefaultVersionId != "v1" {
		t.Errorf("made %+v", p)
	}
	must(t)(h.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("eve"), PolicyArn: p.Arn}))
	must(t)(h.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("eve"), PolicyArn: aws.String(readOnly)}))
	attached := must(t)(h.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: aws.String("eve"), PathPrefix: aws.String("/x/")})).(*iam.ListAttachedUserPoliciesOutput)
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "may" {
		t.Errorf("attached %+v", attached.AttachedPolicies)
	}
	for n := 2; n <= 5; n++ {
		v := must(t)(h.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: aws.String(allowing("a:b", fmt.Sprint("arn:", n))), SetAsDefault: n == 3})).(*iam.CreatePolicyVersionOutput)
		if *v.PolicyVersion.VersionId != fmt.Sprint("v", n) {
			t.Errorf("version %s", *v.PolicyVersion.VersionId)
		}
	}
	_, err := h.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: aws.String(allowAll)})
	wantError(t, err, "LimitExceeded", 409)
	_, err = h.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: p.Arn, VersionId: aws.String("v3")})
	wantError(t, err, "DeleteConflict", 409)
	must(t)(h.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: p.Arn, VersionId: aws.String("v4")}))
	var versions []string
	for _, v := range must(t)(h.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: p.Arn})).(*iam.ListPolicyVersionsOutput).Versions {
		versions = append(versions, fmt.Sprint(*v.VersionId, v.IsDefaultVersion))
	}
	if diff := cmp.Diff([]string{"v5false", "v4true", "v3false", "v2false", "v1false"}, versions); diff != "" {
		t.Error(diff)
	}
	v := must(t)(h.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: aws.String("v1")})).(*iam.GetPolicyVersionOutput)
	if decoded(t, v.PolicyVersion.Document) != allowAll {
		t.Errorf("document %s", *v.PolicyVersion.Document)
	}
	got := must(t)(h.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: p.Arn})).(*iam.GetPolicyOutput).Policy
	if diff := cmp.Diff([]any{int32(1), "v4", "all", 1}, []any{*got.AttachmentCount, *got.DefaultVersionId, *got.Description, len(got.Tags)}); diff != "" {
		t.Error(diff)
	}
	_, err = h.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: p.Arn})
	wantError(t, err, "DeleteConflict", 409)
	must(t)(h.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: aws.String("eve"), PolicyArn: p.Arn}))
	for _, v := range []string{"v1", "v2", "v3", "v5"} {
		must(t)(h.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: p.Arn, VersionId: &v}))
	}
	must(t)(h.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: p.Arn}))
	_, err = h.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: p.Arn})
	wantError(t, err, "NoSuchEntity", 404)
}

func TestListPolicies_ByScopeAndUse(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	must(t)(h.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("mine"), PolicyDocument: aws.String(allowAll)}))
	for _, c := range []struct {
		in   iam.ListPoliciesInput
		want []string
	}{
		{iam.ListPoliciesInput{}, []string{"mine", "AWSCodeArtifactAdminAccess", "AWSCodeArtifactReadOnlyAccess", "AdministratorAccess"}},
		{iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal}, []string{"mine"}},
		{iam.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, OnlyAttached: true}, []string{"AdministratorAccess"}},
		{iam.ListPoliciesInput{PathPrefix: aws.String("/none/")}, nil},
	} {
		var got []string
		c.in.MaxItems = aws.Int32(2)
		for pages := iam.NewListPoliciesPaginator(h, &c.in); pages.HasMorePages(); {
			for _, p := range must(t)(pages.NextPage(ctx)).(*iam.ListPoliciesOutput).Policies {
				got = append(got, *p.PolicyName)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c.in, diff)
		}
	}
}

func TestErrors_AreThoseOfIAM(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "eve", "/")
	must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("g")}))
	none, eve := aws.String("none"), aws.String("eve")
	for name, c := range map[string]struct {
		call   func() error
		code   string
		status int
	}{
		"user of another case": {func() error {
			_, err := h.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("EVE")})
			return err
		}, "EntityAlreadyExists", 409},
		"user renamed onto another": {func() error {
			_, err := h.UpdateUser(ctx, &iam.UpdateUserInput{UserName: eve, NewUserName: aws.String("Admin")})
			return err
		}, "EntityAlreadyExists", 409},
		"user with keys": {func() error { _, err := h.DeleteUser(ctx, &iam.DeleteUserInput{UserName: eve}); return err }, "DeleteConflict", 409},
		"no user":        {func() error { _, err := h.DeleteUser(ctx, &iam.DeleteUserInput{UserName: none}); return err }, "NoSuchEntity", 404},
		"name with slash": {func() error {
			_, err := h.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("a/b")})
			return err
		}, "ValidationError", 400},
		"path": {func() error {
			_, err := h.CreateUser(ctx, &iam.CreateUserInput{UserName: none, Path: aws.String("x")})
			return err
		}, "ValidationError", 400},
		"boundary": {func() error {
			_, err := h.CreateUser(ctx, &iam.CreateUserInput{UserName: none, PermissionsBoundary: aws.String("arn:aws:iam::123456789012:policy/none")})
			return err
		}, "NoSuchEntity", 404},
		"group again": {func() error {
			_, err := h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("G")})
			return err
		}, "EntityAlreadyExists", 409},
		"no such group": {func() error {
			_, err := h.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: none, UserName: eve})
			return err
		}, "NoSuchEntity", 404},
		"attach nothing": {func() error {
			_, err := h.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: aws.String("g"), PolicyArn: aws.String("arn:aws:iam::aws:policy/None")})
			return err
		}, "NoSuchEntity", 404},
		"managed by AWS": {func() error {
			_, err := h.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: aws.String(adminARN)})
			return err
		}, "AccessDenied", 403},
		"of another account": {func() error {
			_, err := h.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::444455556666:policy/x")})
			return err
		}, "AccessDenied", 403},
		"policy": {func() error {
			_, err := h.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: none, PolicyDocument: aws.String("{")})
			return err
		}, "MalformedPolicyDocument", 400},
		"policy with a principal": {func() error {
			_, err := h.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: none, PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)})
			return err
		}, "MalformedPolicyDocument", 400},
		"tag": {func() error {
			_, err := h.TagUser(ctx, &iam.TagUserInput{UserName: eve, Tags: []types.Tag{tag("aws:x", "y")}})
			return err
		}, "ValidationError", 400},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.call(), c.code, c.status) })
	}
}

func TestAuthorisation_ByARNWithPath(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "target", "/ops/")
	h.user(t, "other", "/")
	eve := h.user(t, "eve", "/", allowing("iam:GetUser", "arn:aws:iam::123456789012:user/ops/*"), allowing("iam:ListUsers", "arn:aws:iam::123456789012:user/*"))
	must(t)(eve.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("target")}))
	must(t)(eve.ListUsers(ctx, &iam.ListUsersInput{}))
	for _, name := range []string{"other", "nobody"} {
		_, err := eve.GetUser(ctx, &iam.GetUserInput{UserName: &name})
		wantError(t, err, "AccessDenied", 403)
	}
	_, err := eve.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("admin")})
	wantError(t, err, "AccessDenied", 403)
}

func TestAuthorisation_ByBoundaryAndPolicyAndTags(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	eve := h.user(t, "eve", "/", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["iam:CreateUser","iam:AttachUserPolicy"],"Resource":"*",
			"Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+readOnly+`"}}},
		{"Effect":"Deny","Action":"iam:AttachUserPolicy","Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":"`+adminARN+`"}}},
		{"Effect":"Allow","Action":"iam:DeleteUser","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}}]}`)
	_, err := eve.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("free")})
	wantError(t, err, "AccessDenied", 403)
	must(t)(eve.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("bound"), PermissionsBoundary: aws.String(readOnly)}))
	must(t)(eve.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String("bound"), PolicyArn: aws.String(readOnly)}))
	for user, policy := range map[string]string{"bound": adminARN, "eve": readOnly} {
		_, err := eve.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &user, PolicyArn: &policy})
		wantError(t, err, "AccessDenied", 403)
	}
	h.user(t, "tagged", "/")
	for _, name := range []string{"tagged", "eve"} {
		must(t)(h.TagUser(ctx, &iam.TagUserInput{UserName: &name, Tags: []types.Tag{tag("Team", "red")}}))
	}
	_, err = eve.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("bound")})
	wantError(t, err, "AccessDenied", 403)
	_, err = eve.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("tagged")})
	wantError(t, err, "DeleteConflict", 409) // allowed, but it has a key
}

// check asks for a permission of a user, as the next request would.
func (h *house) check(t *testing.T, name, action string) error {
	t.Helper()
	caller, err := h.ids.UserCaller(t.Context(), account, name, identity.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return h.checker.Check(t.Context(), caller, access.Domain(action, "us-east-1", account, "my-domain"))
}

func TestDecisions_FollowAtOnce(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.user(t, "eve", "/")
	const action = "codeartifact:DescribeDomain"
	eve, group := aws.String("eve"), aws.String("readers")
	custom := must(t)(h.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("may"), PolicyDocument: aws.String(allowing(action, "*"))})).(*iam.CreatePolicyOutput).Policy.Arn
	must(t)(h.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group}))
	steps := []struct {
		name string
		do   func(context.Context) error
		want fault.Kind
	}{
		{"nothing", func(context.Context) error { return nil }, fault.Denied},
		{"group without policies", func(ctx context.Context) error {
			_, err := h.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: eve})
			return err
		}, fault.Denied},
		{"policy of the group", func(ctx context.Context) error {
			_, err := h.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: group, PolicyArn: custom})
			return err
		}, fault.Internal},
		{"boundary elsewhere", func(ctx context.Context) error {
			_, err := h.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: eve, PermissionsBoundary: custom})
			return err
		}, fault.Internal},
		{"another version", func(ctx context.Context) error {
			_, err := h.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: custom, PolicyDocument: aws.String(allowing("s3:*", "*")), SetAsDefault: true})
			return err
		}, fault.Denied},
		{"policy of AWS, boundary stands", func(ctx context.Context) error {
			_, err := h.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: eve, PolicyArn: aws.String(adminARN)})
			return err
		}, fault.Denied},
		{"boundary gone", func(ctx context.Context) error {
			_, err := h.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: eve})
			return err
		}, fault.Internal},
		{"deny by the group", func(ctx context.Context) error {
			_, err := h.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: group, PolicyName: aws.String("not"), PolicyDocument: aws.String(strings.Replace(allowAll, "Allow", "Deny", 1))})
			return err
		}, fault.Denied},
		{"out of the group", func(ctx context.Context) error {
			_, err := h.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: group, UserName: eve})
			return err
		}, fault.Internal},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			t.Fatal(s.name, err)
		}
		err := h.check(t, "eve", action)
		if (err == nil) != (s.want == fault.Internal) || err != nil && fault.Of(err) != s.want {
			t.Errorf("%s: got %v", s.name, err)
		}
	}
}
