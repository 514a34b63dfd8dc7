package audit

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
)

type authParameters struct {
	Name  string         `json:"ApiKeyName"`
	Value catalog.Secret `json:"Value"`
	Bare  string         `json:"ApiKeyValue"`
}

type input struct {
	Domain         string              `query:"domain"`
	Format         string              `query:"format"`
	MaxResults     *int32              `query:"max-results"`
	Asset          string              `header:"X-AssetName"`
	UserName       string              `json:"UserName"`
	Description    *string             `json:"description"`
	Versions       []string            `json:"versions"`
	Revisions      map[string]string   `json:"versionRevisions"`
	Policy         string              `json:"policyDocument"`
	Policies       []string            `json:"sessionPolicies"`
	PolicyArn      string              `json:"PolicyArn"`
	PolicyArns     []string            `json:"PolicyArns"`
	Token          string              `json:"WebIdentityToken"`
	Key            catalog.Secret      `json:"Key"`
	Auth           *authParameters     `json:"AuthParameters"`
	Hooks          []authParameters    `json:"Hooks"`
	Headers        map[string]string   `json:"HeaderParameters"`
	Endpoint       string              `json:"InvocationEndpoint"`
	At             time.Time           `json:"startTime"`
	Empty          string              `json:"empty"`
	Body           io.ReadCloser       `body:"stream"`
	SessionContext map[string][]string `json:"context"`
}

func TestRedact_NamesMembersAsCloudTrailAndHidesSecrets(t *testing.T) {
	in := &input{
		Domain: "corp", Format: "npm", MaxResults: new(int32(5)), Asset: "a.tgz", UserName: "ann", Description: new(string), Versions: []string{"1", "2"},
		Revisions: map[string]string{"1": "r"}, Policy: "hush", Policies: []string{"hush"}, PolicyArn: "arn:p", PolicyArns: []string{"arn:q"}, Token: "hush", Key: "hush",
		Auth: &authParameters{Name: "n", Value: "hush", Bare: "hush"}, Hooks: []authParameters{{Name: "n", Value: "hush"}},
		Headers: map[string]string{"X": "hush"}, Endpoint: "https://hush:hush@hooks.test:8443/hush?k=hush", At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Body: io.NopCloser(strings.NewReader("hush")), SessionContext: map[string][]string{"aws:token": {"hush"}, "aws:ip": {"1"}},
	}
	got := Redact(in)
	if strings.Contains(got, "hush") {
		t.Errorf("a secret is shown: %s", got)
	}
	want := `{"authParameters":{"apiKeyName":"n","apiKeyValue":"HIDDEN_DUE_TO_SECURITY_REASONS","value":"HIDDEN_DUE_TO_SECURITY_REASONS"},` +
		`"context":{"aws:ip":["1"],"aws:token":"HIDDEN_DUE_TO_SECURITY_REASONS"},"description":"","domainName":"corp","headerParameters":"HIDDEN_DUE_TO_SECURITY_REASONS",` +
		`"hooks":[{"apiKeyName":"n","value":"HIDDEN_DUE_TO_SECURITY_REASONS"}],"invocationEndpoint":"https://hooks.test:8443/...",` +
		`"key":"HIDDEN_DUE_TO_SECURITY_REASONS","maxResults":5,"packageFormat":"npm","policyArn":"arn:p","policyArns":["arn:q"],"policyDocument":"HIDDEN_DUE_TO_SECURITY_REASONS",` +
		`"sessionPolicies":"HIDDEN_DUE_TO_SECURITY_REASONS","startTime":"2026-03-01T00:00:00Z","userName":"ann","versionRevisions":{"1":"r"},"versions":["1","2"],"webIdentityToken":"HIDDEN_DUE_TO_SECURITY_REASONS","xAssetName":"a.tgz"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRedact_IsBounded(t *testing.T) {
	if got := Redact(&input{Domain: strings.Repeat("x", 2*maxJSON)}); len(got) > maxJSON || !strings.HasPrefix(got, "{") {
		t.Errorf("%d bytes", len(got))
	}
	for _, v := range []any{nil, (*input)(nil), "text", 5} {
		if got := Redact(v); got != "" {
			t.Errorf("%v: %s", v, got)
		}
	}
}
