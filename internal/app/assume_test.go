package app_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// TestAccessRecords_OfTheAccountOfARole: whoever wants to be its role, it sees
// who tried.
func TestAccessRecords_OfTheAccountOfARole(t *testing.T) {
	w := newWorkshop(t, bearer)
	w.job(nil, 3600)
	nobody := w.cfg.Copy()
	nobody.Credentials = aws.AnonymousCredentials{}
	for _, role := range []string{jobRole, "arn:aws:iam::210987654321:role/job"} { // of this account, and of another
		if _, err := sts.NewFromConfig(nobody).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &role, RoleSessionName: aws.String("forged"), WebIdentityToken: aws.String("no.token.atall"),
		}); err == nil {
			t.Fatal("a forged token is taken")
		}
	}
	var got []string
	s := &site{running: w.running, clock: &clock{}, http: httpClient(t)}
	for _, r := range s.records(t, url.Values{}, `{"eventName":"AssumeRoleWithWebIdentity"}`) {
		got = append(got, strings.Join([]string{r.UserIdentity.Type, r.RequestParameters["roleArn"], r.RequestParameters["roleSessionName"], r.RecipientAccountID}, " "))
	}
	slices.Reverse(got)
	want := []string{"WebIdentityUser " + jobRole + " build " + account, "AWSAccount " + jobRole + " forged " + account}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
