package iamapi_test

import (
	"errors"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/catalog"
	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

const account = "123456789012"

// newServer runs the API over an empty, bootstrapped catalog.
func newServer(t *testing.T) (url string, key identity.NewKey, db *catalog.DB) {
	t.Helper()
	db, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ids := identity.New(db, identity.Options{Region: "eu-central-1"})
	made, err := ids.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(iamapi.New(db, ids, access.New(db), restjson.Config{}))
	t.Cleanup(server.Close)
	return server.URL, *made, db
}

func client(url, id, secret string) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: aws.String(url), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

func TestGetCallerIdentity(t *testing.T) {
	url, key, _ := newServer(t)
	out, err := client(url, key.ID, string(key.Secret)).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{account, "arn:aws:iam::123456789012:user/admin"}
	if diff := cmp.Diff(want, []string{aws.ToString(out.Account), aws.ToString(out.Arn)}); diff != "" {
		t.Error(diff)
	}
	if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(aws.ToString(out.UserId)) {
		t.Errorf("user id %s", aws.ToString(out.UserId))
	}
}

func TestGetCallerIdentity_NeedsNoPermission(t *testing.T) {
	url, key, db := newServer(t)
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: "admin", PolicyName: "none",
			Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(url, key.ID, string(key.Secret)).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestGetCallerIdentity_Refuses(t *testing.T) {
	url, key, _ := newServer(t)
	for _, c := range []struct{ name, id, secret, code string }{
		{"unknown key", "AKIAUNKNOWNUNKNOWN22", string(key.Secret), "InvalidClientTokenId"},
		{"wrong secret", key.ID, "x" + string(key.Secret), "SignatureDoesNotMatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client(url, c.id, c.secret).GetCallerIdentity(t.Context(), nil)
			var failed smithy.APIError
			if !errors.As(err, &failed) || failed.ErrorCode() != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestUnknownAction(t *testing.T) {
	url, key, _ := newServer(t)
	_, err := client(url, key.ID, string(key.Secret)).GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("x")})
	var failed smithy.APIError
	if !errors.As(err, &failed) || failed.ErrorCode() != "InvalidAction" {
		t.Errorf("got %v", err)
	}
}
