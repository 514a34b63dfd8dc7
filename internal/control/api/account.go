package api

import (
	"log/slog"

	"packhouse/internal/restjson"
)

// Accounts are ours: CodeArtifact leaves them to AWS Organizations, whose
// CreateAccount gives no key.

// CreateAccountInput is what CreateAccount takes. Everything may be left out:
// the account has 12 digits of chance then, and its user is called admin.
type CreateAccountInput struct {
	Account     string `json:"account" validate:"AccountId"`
	AccountName string `json:"accountName" validate:"AccountName"`
	UserName    string `json:"userName" validate:"UserName"`
}

// CreateAccountOutput is what CreateAccount gives.
type CreateAccountOutput struct {
	Account   *AccountSummary `json:"account,omitzero"`
	AccessKey *AccessKey      `json:"accessKey,omitzero"`
}

// ListAccountsInput is what ListAccounts takes.
type ListAccountsInput struct {
	MaxResults *int32 `query:"max-results" validate:"MaxResults"`
	NextToken  string `query:"next-token" validate:"PaginationToken"`
}

// ListAccountsOutput is what ListAccounts gives.
type ListAccountsOutput struct {
	Accounts  []AccountSummary `json:"accounts"`
	NextToken string           `json:"nextToken,omitempty"`
}

// AccountSummary is an account.
type AccountSummary struct {
	Account     string         `json:"account,omitempty"`
	AccountName string         `json:"accountName,omitempty"`
	CreatedTime *restjson.Time `json:"createdTime,omitzero"`
}

// AccessKey is a new access key, with the secret that is told this once.
type AccessKey struct {
	UserName        string `json:"userName,omitempty"`
	AccessKeyID     string `json:"accessKeyId,omitempty"`
	SecretAccessKey string `json:"secretAccessKey,omitempty"`
}

// LogValue keeps the secret out of logs.
func (k AccessKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("userName", k.UserName), slog.String("accessKeyId", k.AccessKeyID))
}
