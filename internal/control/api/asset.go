package api

import (
	"io"
)

// ListPackageVersionAssetsInput is what ListPackageVersionAssets takes.
type ListPackageVersionAssetsInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" required:"true" validate:"PackageName"`
	PackageVersion string `query:"version" required:"true" validate:"PackageVersion"`
	MaxResults     *int32 `query:"max-results" validate:"MaxResults"`
	NextToken      string `query:"next-token" validate:"PaginationToken"`
}

// ListPackageVersionAssetsOutput is what ListPackageVersionAssets gives.
type ListPackageVersionAssetsOutput struct {
	Format          string         `json:"format,omitempty"`
	Namespace       string         `json:"namespace,omitempty"`
	Package         string         `json:"package,omitempty"`
	Version         string         `json:"version,omitempty"`
	VersionRevision string         `json:"versionRevision,omitempty"`
	NextToken       string         `json:"nextToken,omitempty"`
	Assets          []AssetSummary `json:"assets"`
}

// GetPackageVersionAssetInput is what GetPackageVersionAsset takes.
type GetPackageVersionAssetInput struct {
	Domain                 string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner            string `query:"domain-owner" validate:"AccountId"`
	Repository             string `query:"repository" required:"true" validate:"RepositoryName"`
	Format                 string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace              string `query:"namespace" validate:"PackageNamespace"`
	Package                string `query:"package" required:"true" validate:"PackageName"`
	PackageVersion         string `query:"version" required:"true" validate:"PackageVersion"`
	Asset                  string `query:"asset" required:"true" validate:"AssetName"`
	PackageVersionRevision string `query:"revision" validate:"PackageVersionRevision"`
}

// GetPackageVersionAssetOutput is what GetPackageVersionAsset gives.
type GetPackageVersionAssetOutput struct {
	Asset                  io.ReadCloser `body:"stream"`
	AssetName              string        `header:"X-AssetName"`
	PackageVersion         string        `header:"X-PackageVersion"`
	PackageVersionRevision string        `header:"X-PackageVersionRevision"`
	ContentLength          int64         `header:"Content-Length"` // bytes, when known; not a member of the model
}

// PublishPackageVersionInput is what PublishPackageVersion takes.
type PublishPackageVersionInput struct {
	Domain         string        `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string        `query:"domain-owner" validate:"AccountId"`
	Repository     string        `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string        `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string        `query:"namespace" validate:"PackageNamespace"`
	Package        string        `query:"package" required:"true" validate:"PackageName"`
	PackageVersion string        `query:"version" required:"true" validate:"PackageVersion"`
	AssetContent   io.ReadCloser `body:"stream" required:"true"`
	AssetName      string        `query:"asset" required:"true" validate:"AssetName"`
	AssetSHA256    string        `header:"x-amz-content-sha256" required:"true" validate:"ContentSHA256"`
	Unfinished     bool          `query:"unfinished"`
}

// PublishPackageVersionOutput is what PublishPackageVersion gives.
type PublishPackageVersionOutput struct {
	Format          string        `json:"format,omitempty"`
	Namespace       string        `json:"namespace,omitempty"`
	Package         string        `json:"package,omitempty"`
	Version         string        `json:"version,omitempty"`
	VersionRevision string        `json:"versionRevision,omitempty"`
	Status          string        `json:"status,omitempty"`
	Asset           *AssetSummary `json:"asset,omitzero"`
}

// AssetSummary is one file of a version; the keys of hashes are MD5, SHA-1, SHA-256 and SHA-512.
type AssetSummary struct {
	Name   string            `json:"name"`
	Size   int64             `json:"size"`
	Hashes map[string]string `json:"hashes"`
}
