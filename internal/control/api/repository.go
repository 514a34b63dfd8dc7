package api

import (
	"packhouse/internal/restjson"
)

// CreateRepositoryInput is what CreateRepository takes. Format, VersionPolicy and
// UpstreamRepositories are ours: the one format the repository is for, whether
// it takes releases, snapshots or both (MIXED, the default), and another way to
// write Upstreams.
type CreateRepositoryInput struct {
	Domain      string               `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string               `query:"domain-owner" validate:"AccountId"`
	Repository  string               `query:"repository" required:"true" validate:"RepositoryName"`
	Description string               `json:"description" validate:"Description"`
	Upstreams   []UpstreamRepository `json:"upstreams"`
	Tags        []Tag                `json:"tags" validate:"TagList"`

	Format               string                    `json:"format" validate:"PackageFormat"`
	VersionPolicy        string                    `json:"versionPolicy" validate:"VersionPolicy"`
	UpstreamRepositories []OwnedUpstreamRepository `json:"upstreamRepositories"`
}

// CreateRepositoryOutput is what CreateRepository gives.
type CreateRepositoryOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// DescribeRepositoryInput is what DescribeRepository takes.
type DescribeRepositoryInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// DescribeRepositoryOutput is what DescribeRepository gives.
type DescribeRepositoryOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// UpdateRepositoryInput is what UpdateRepository takes.
type UpdateRepositoryInput struct {
	Domain      string               `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string               `query:"domain-owner" validate:"AccountId"`
	Repository  string               `query:"repository" required:"true" validate:"RepositoryName"`
	Description *string              `json:"description" validate:"Description"`
	Upstreams   []UpstreamRepository `json:"upstreams"`

	VersionPolicy        string                    `json:"versionPolicy" validate:"VersionPolicy"`
	UpstreamRepositories []OwnedUpstreamRepository `json:"upstreamRepositories"`
}

// UpdateRepositoryOutput is what UpdateRepository gives.
type UpdateRepositoryOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// ListRepositoriesInput is what ListRepositories takes.
type ListRepositoriesInput struct {
	RepositoryPrefix string `query:"repository-prefix" validate:"RepositoryName"`
	MaxResults       *int32 `query:"max-results" validate:"MaxResults"`
	NextToken        string `query:"next-token" validate:"PaginationToken"`
}

// ListRepositoriesOutput is what ListRepositories gives.
type ListRepositoriesOutput struct {
	Repositories []RepositorySummary `json:"repositories"`
	NextToken    string              `json:"nextToken,omitempty"`
}

// ListRepositoriesInDomainInput is what ListRepositoriesInDomain takes.
type ListRepositoriesInDomainInput struct {
	Domain               string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner          string `query:"domain-owner" validate:"AccountId"`
	AdministratorAccount string `query:"administrator-account" validate:"AccountId"`
	RepositoryPrefix     string `query:"repository-prefix" validate:"RepositoryName"`
	MaxResults           *int32 `query:"max-results" validate:"MaxResults"`
	NextToken            string `query:"next-token" validate:"PaginationToken"`
}

// ListRepositoriesInDomainOutput is what ListRepositoriesInDomain gives.
type ListRepositoriesInDomainOutput struct {
	Repositories []RepositorySummary `json:"repositories"`
	NextToken    string              `json:"nextToken,omitempty"`
}

// DeleteRepositoryInput is what DeleteRepository takes.
type DeleteRepositoryInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// DeleteRepositoryOutput is what DeleteRepository gives.
type DeleteRepositoryOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// AssociateExternalConnectionInput is what AssociateExternalConnection takes.
type AssociateExternalConnectionInput struct {
	Domain             string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner        string `query:"domain-owner" validate:"AccountId"`
	Repository         string `query:"repository" required:"true" validate:"RepositoryName"`
	ExternalConnection string `query:"external-connection" required:"true" validate:"ExternalConnectionName"`
}

// AssociateExternalConnectionOutput is what AssociateExternalConnection gives.
type AssociateExternalConnectionOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// DisassociateExternalConnectionInput is what DisassociateExternalConnection takes.
type DisassociateExternalConnectionInput struct {
	Domain             string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner        string `query:"domain-owner" validate:"AccountId"`
	Repository         string `query:"repository" required:"true" validate:"RepositoryName"`
	ExternalConnection string `query:"external-connection" required:"true" validate:"ExternalConnectionName"`
}

// DisassociateExternalConnectionOutput is what DisassociateExternalConnection gives.
type DisassociateExternalConnectionOutput struct {
	Repository *RepositoryDescription `json:"repository,omitzero"`
}

// UpstreamRepository names a repository to be searched after this one.
type UpstreamRepository struct {
	RepositoryName string `json:"repositoryName" required:"true" validate:"RepositoryName"`
}

// OwnedUpstreamRepository is an UpstreamRepository that says which domain it is
// in. In inputs both members may be left out.
type OwnedUpstreamRepository struct {
	RepositoryName string `json:"repositoryName" required:"true" validate:"RepositoryName"`
	Domain         string `json:"domain" validate:"DomainName"`
	DomainOwner    string `json:"domainOwner" validate:"AccountId"`
}

// RepositoryDescription is a repository in full; the upstreams are in order of priority.
type RepositoryDescription struct {
	Name                 string                             `json:"name,omitempty"`
	AdministratorAccount string                             `json:"administratorAccount,omitempty"`
	DomainName           string                             `json:"domainName,omitempty"`
	DomainOwner          string                             `json:"domainOwner,omitempty"`
	Arn                  string                             `json:"arn,omitempty"`
	Description          string                             `json:"description,omitempty"`
	Upstreams            []UpstreamRepositoryInfo           `json:"upstreams"`
	ExternalConnections  []RepositoryExternalConnectionInfo `json:"externalConnections"`
	CreatedTime          *restjson.Time                     `json:"createdTime,omitzero"`

	Format               string                    `json:"format,omitempty"`
	VersionPolicy        string                    `json:"versionPolicy,omitempty"`
	UpstreamRepositories []OwnedUpstreamRepository `json:"upstreamRepositories,omitempty"`
}

// RepositorySummary is a row of the repository listings.
type RepositorySummary struct {
	Name                 string         `json:"name,omitempty"`
	AdministratorAccount string         `json:"administratorAccount,omitempty"`
	DomainName           string         `json:"domainName,omitempty"`
	DomainOwner          string         `json:"domainOwner,omitempty"`
	Arn                  string         `json:"arn,omitempty"`
	Description          string         `json:"description,omitempty"`
	CreatedTime          *restjson.Time `json:"createdTime,omitzero"`

	Format string `json:"format,omitempty"`
}

// UpstreamRepositoryInfo names an upstream repository.
type UpstreamRepositoryInfo struct {
	RepositoryName string `json:"repositoryName,omitempty"`
}

// RepositoryExternalConnectionInfo is an external connection; the only status is Available.
type RepositoryExternalConnectionInfo struct {
	ExternalConnectionName string `json:"externalConnectionName,omitempty"`
	PackageFormat          string `json:"packageFormat,omitempty"`
	Status                 string `json:"status,omitempty"`
}
