package eventsapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/awsjson"
	"packhouse/internal/catalog"
	"packhouse/internal/eventsapi"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

const (
	account = "123456789012"
	ruleARN = "arn:aws:events:us-east-1:123456789012:rule/"
	hook    = "arn:aws:packhouse:::webhook/https://ci.example.test/hook"
)

// object is a JSON object.
type object = map[string]any

// house is a server with its administrator.
type house struct {
	t   *testing.T
	url string
	db  *catalog.DB
	key aws.Credentials
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
	ids := identity.New(db, identity.Options{Region: "us-east-1"})
	made, err := ids.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(eventsapi.New(db, ids, access.New(db), "us-east-1", restjson.Config{}))
	t.Cleanup(server.Close)
	return &house{t, server.URL, db, aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: string(made.Secret)}}
}

// user is the house as somebody who may do what a policy says.
func (h *house) user(name, document string) *house {
	h.t.Helper()
	err := h.db.Update(h.t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: account, Name: name, Path: "/", ID: "AIDA" + name, Created: tx.Now()}); err != nil {
			return err
		}
		if err := tx.PutIdentityPolicy(catalog.IdentityPolicy{Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: name, PolicyName: "p", Document: document}); err != nil {
			return err
		}
		return tx.InsertAccessKey(catalog.AccessKey{Account: account, ID: "AKIAEXAMPLE" + name, UserName: name, Secret: "secret", Status: catalog.KeyActive, Created: tx.Now()})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	other := *h
	other.key = aws.Credentials{AccessKeyID: "AKIAEXAMPLE" + name, SecretAccessKey: "secret"}
	return &other
}

// call sends an operation and gives the status and what was answered.
func (h *house) call(operation string, in any) (int, object) {
	h.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.send(operation, string(body))
}

func (h *house) send(operation, body string) (int, object) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set(awsjson.TargetHeader, "AWSEvents."+operation)
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(h.t.Context(), h.key, req, hex.EncodeToString(hash[:]), eventsapi.Service, "us-east-1", time.Now()); err != nil {
		h.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	var out object
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&out); err != nil {
		h.t.Fatalf("%s: %q: %v", operation, text, err)
	}
	return resp.StatusCode, out
}

// must gives the answer of a call that has to succeed.
func (h *house) must(operation string, in any) object {
	h.t.Helper()
	status, out := h.call(operation, in)
	if status != http.StatusOK {
		h.t.Fatalf("%s %v: %d %v", operation, in, status, out)
	}
	return out
}

// wants compares the answer of a call that has to succeed.
func (h *house) wants(operation string, in any, want object) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.must(operation, in)); diff != "" {
		h.t.Errorf("%s: %s", operation, diff)
	}
}

// fails compares the exception of a call and looks for words in its message.
func (h *house) fails(operation string, in any, exception, words string) {
	h.t.Helper()
	status, out := h.call(operation, in)
	message, _ := out["message"].(string)
	if status != http.StatusBadRequest || out["__type"] != exception || !strings.Contains(message, words) {
		h.t.Errorf("%s %v: got %d %v, want %s: ...%s...", operation, in, status, out, exception, words)
	}
}
