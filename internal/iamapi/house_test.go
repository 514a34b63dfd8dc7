package iamapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"packhouse/internal/access"
	"packhouse/internal/catalog"
	"packhouse/internal/iamapi"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

const (
	readOnly = "arn:aws:iam::aws:policy/AWSCodeArtifactReadOnlyAccess"
	adminARN = "arn:aws:iam::aws:policy/AdministratorAccess"
	allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

// house is a server with its administrator.
type house struct {
	url     string
	db      *catalog.DB
	ids     *identity.Service
	checker *access.Checker
	admin   identity.NewKey
	*iam.Client
}

func newHouse(t *testing.T) *house {
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
	checker := access.New(db)
	server := httptest.NewServer(iamapi.New(db, ids, checker, restjson.Config{}))
	t.Cleanup(server.Close)
	h := &house{url: server.URL, db: db, ids: ids, checker: checker, admin: *made}
	h.Client = h.as(made.ID, string(made.Secret), "")
	return h
}

// as is a client with other credentials.
func (h *house) as(id, secret, token string) *iam.Client {
	return iam.New(iam.Options{
		BaseEndpoint: aws.String(h.url), Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

// user makes a user who may do what the statements say, and signs as that user.
func (h *house) user(t *testing.T, name, path string, policies ...string) *iam.Client {
	t.Helper()
	ctx := t.Context()
	must(t)(h.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Path: aws.String(path)}))
	for i, document := range policies {
		must(t)(h.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
			UserName: &name, PolicyName: aws.String(string(rune('a' + i))), PolicyDocument: aws.String(document),
		}))
	}
	key := must(t)(h.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})).(*iam.CreateAccessKeyOutput)
	return h.as(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
}

// must gives the answer of a call that has to succeed.
func must(t *testing.T) func(out any, err error) any {
	return func(out any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// wantError compares the code and status of a failure.
func wantError(t *testing.T, err error, code string, status int) {
	t.Helper()
	var failed smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &failed) || !errors.As(err, &response) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if failed.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("got %s %d (%s), want %s %d", failed.ErrorCode(), response.HTTPStatusCode(), failed.ErrorMessage(), code, status)
	}
}

func decoded(t *testing.T, document *string) string {
	t.Helper()
	text, err := url.PathUnescape(aws.ToString(document))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

func allowing(action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}]}`
}

// authenticated tells who signed a request, and answers 404.
func authenticated(ids *identity.Service, found chan<- identity.Caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _, err := ids.AuthenticateAPI(r, sigv4.Payload{Limit: 1 << 10}, iamapi.STS); err == nil {
			found <- c
		}
		http.NotFound(w, r)
	})
}
