package identity_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

func rootPrincipal() policy.Principal {
	return policy.Principal{Type: policy.Root, ARN: "arn:aws:iam::123456789012:root", Account: account}
}

func TestCaller_Name(t *testing.T) {
	for _, c := range []struct {
		subject *identity.Subject
		want    string
	}{
		{nil, "anonymous"},
		{&identity.Subject{Principal: policy.Principal{Type: policy.User, UserName: "eve", ARN: "arn:aws:iam::123456789012:user/team/eve"}}, "eve"},
		{&identity.Subject{Principal: policy.Principal{Type: policy.AssumedRole, ARN: "arn:aws:sts::123456789012:assumed-role/ci/build-7"}}, "build-7"},
		{&identity.Subject{Principal: rootPrincipal()}, "arn:aws:iam::123456789012:root"},
	} {
		if got := identity.NewCaller(c.subject, identity.Facts{}).Name(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestCaller_Describe(t *testing.T) {
	known := identity.Facts{
		Time: time.Unix(1700000000, 0), SourceIP: netip.MustParseAddr("192.0.2.1"),
		UserAgent: "npm", Region: region, Secure: true,
	}
	var got policy.Facts
	identity.NewCaller(&identity.Subject{Principal: rootPrincipal()}, known).Describe(&got)
	want := policy.Facts{
		Principal: rootPrincipal(), Time: known.Time, SourceIP: known.SourceIP,
		UserAgent: "npm", Region: region, SecureTransport: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestCaller_ZeroIsAnonymous(t *testing.T) {
	var c identity.Caller
	_, _, limited := c.Scope()
	if !c.Anonymous() || limited || c.AccessKeyID() != "" || c.Token() != (identity.Token{}) || c.Facts() != (identity.Facts{}) {
		t.Error("the zero caller is somebody")
	}
}
