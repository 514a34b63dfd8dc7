package api

import (
	"packhouse/internal/restjson"
)

// GetAuthorizationTokenInput is what GetAuthorizationToken takes.
type GetAuthorizationTokenInput struct {
	Domain          string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner     string `query:"domain-owner" validate:"AccountId"`
	DurationSeconds *int64 `query:"duration" validate:"AuthorizationTokenDurationSeconds"`
}

// GetAuthorizationTokenOutput is what GetAuthorizationToken gives.
type GetAuthorizationTokenOutput struct {
	AuthorizationToken string         `json:"authorizationToken,omitempty"`
	Expiration         *restjson.Time `json:"expiration,omitzero"`
}

// GetRepositoryEndpointInput is what GetRepositoryEndpoint takes.
type GetRepositoryEndpointInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	Repository   string `query:"repository" required:"true" validate:"RepositoryName"`
	Format       string `query:"format" required:"true" validate:"PackageFormat"`
	EndpointType string `query:"endpointType" validate:"EndpointType"`
}

// GetRepositoryEndpointOutput is what GetRepositoryEndpoint gives.
type GetRepositoryEndpointOutput struct {
	RepositoryEndpoint string `json:"repositoryEndpoint,omitempty"`
}
