package api

import (
	"packhouse/internal/restjson"
)

// CreateDomainInput is what CreateDomain takes.
type CreateDomainInput struct {
	Domain        string `query:"domain" required:"true" validate:"DomainName"`
	EncryptionKey string `json:"encryptionKey" validate:"Arn"`
	Tags          []Tag  `json:"tags" validate:"TagList"`
}

// CreateDomainOutput is what CreateDomain gives.
type CreateDomainOutput struct {
	Domain *DomainDescription `json:"domain,omitzero"`
}

// DescribeDomainInput is what DescribeDomain takes.
type DescribeDomainInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
}

// DescribeDomainOutput is what DescribeDomain gives.
type DescribeDomainOutput struct {
	Domain *DomainDescription `json:"domain,omitzero"`
}

// ListDomainsInput is what ListDomains takes.
type ListDomainsInput struct {
	MaxResults *int32 `json:"maxResults" validate:"MaxResults"`
	NextToken  string `json:"nextToken" validate:"PaginationToken"`
}

// ListDomainsOutput is what ListDomains gives.
type ListDomainsOutput struct {
	Domains   []DomainSummary `json:"domains"`
	NextToken string          `json:"nextToken,omitempty"`
}

// DeleteDomainInput is what DeleteDomain takes.
type DeleteDomainInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
}

// DeleteDomainOutput is what DeleteDomain gives.
type DeleteDomainOutput struct {
	Domain *DomainDescription `json:"domain,omitzero"`
}

// DomainDescription is a domain in full.
type DomainDescription struct {
	Name            string         `json:"name,omitempty"`
	Owner           string         `json:"owner,omitempty"`
	Arn             string         `json:"arn,omitempty"`
	Status          string         `json:"status,omitempty"`
	CreatedTime     *restjson.Time `json:"createdTime,omitzero"`
	EncryptionKey   string         `json:"encryptionKey,omitempty"`
	RepositoryCount int32          `json:"repositoryCount"`
	AssetSizeBytes  int64          `json:"assetSizeBytes"`
	S3BucketArn     string         `json:"s3BucketArn,omitempty"`
}

// DomainSummary is a row of ListDomains: a domain without its counts.
type DomainSummary struct {
	Name          string         `json:"name,omitempty"`
	Owner         string         `json:"owner,omitempty"`
	Arn           string         `json:"arn,omitempty"`
	Status        string         `json:"status,omitempty"`
	CreatedTime   *restjson.Time `json:"createdTime,omitzero"`
	EncryptionKey string         `json:"encryptionKey,omitempty"`
}
