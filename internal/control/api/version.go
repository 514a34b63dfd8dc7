package api

import (
	"packhouse/internal/restjson"
)

// ListPackageVersionsInput is what ListPackageVersions takes.
type ListPackageVersionsInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string `query:"namespace" validate:"PackageNamespace"`
	Package     string `query:"package" required:"true" validate:"PackageName"`
	Status      string `query:"status" validate:"PackageVersionStatus"`
	SortBy      string `query:"sortBy" validate:"PackageVersionSortType"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
	OriginType  string `query:"originType" validate:"PackageVersionOriginType"`
}

// ListPackageVersionsOutput is what ListPackageVersions gives.
type ListPackageVersionsOutput struct {
	DefaultDisplayVersion string                  `json:"defaultDisplayVersion,omitempty"`
	Format                string                  `json:"format,omitempty"`
	Namespace             string                  `json:"namespace,omitempty"`
	Package               string                  `json:"package,omitempty"`
	Versions              []PackageVersionSummary `json:"versions"`
	NextToken             string                  `json:"nextToken,omitempty"`
}

// DescribePackageVersionInput is what DescribePackageVersion takes.
type DescribePackageVersionInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" required:"true" validate:"PackageName"`
	PackageVersion string `query:"version" required:"true" validate:"PackageVersion"`
}

// DescribePackageVersionOutput is what DescribePackageVersion gives.
type DescribePackageVersionOutput struct {
	PackageVersion *PackageVersionDescription `json:"packageVersion"`
}

// UpdatePackageVersionsStatusInput is what UpdatePackageVersionsStatus takes.
type UpdatePackageVersionsStatusInput struct {
	Domain           string            `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner      string            `query:"domain-owner" validate:"AccountId"`
	Repository       string            `query:"repository" required:"true" validate:"RepositoryName"`
	Format           string            `query:"format" required:"true" validate:"PackageFormat"`
	Namespace        string            `query:"namespace" validate:"PackageNamespace"`
	Package          string            `query:"package" required:"true" validate:"PackageName"`
	Versions         []string          `json:"versions" required:"true" validate:"PackageVersionList"`
	VersionRevisions map[string]string `json:"versionRevisions" validate:"PackageVersionRevisionMap"`
	ExpectedStatus   string            `json:"expectedStatus" validate:"PackageVersionStatus"`
	TargetStatus     string            `json:"targetStatus" required:"true" validate:"PackageVersionStatus"`
}

// UpdatePackageVersionsStatusOutput is what UpdatePackageVersionsStatus gives.
type UpdatePackageVersionsStatusOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// DeletePackageVersionsInput is what DeletePackageVersions takes.
type DeletePackageVersionsInput struct {
	Domain         string   `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string   `query:"domain-owner" validate:"AccountId"`
	Repository     string   `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string   `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string   `query:"namespace" validate:"PackageNamespace"`
	Package        string   `query:"package" required:"true" validate:"PackageName"`
	Versions       []string `json:"versions" required:"true" validate:"PackageVersionList"`
	ExpectedStatus string   `json:"expectedStatus" validate:"PackageVersionStatus"`
}

// DeletePackageVersionsOutput is what DeletePackageVersions gives.
type DeletePackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// DisposePackageVersionsInput is what DisposePackageVersions takes.
type DisposePackageVersionsInput struct {
	Domain           string            `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner      string            `query:"domain-owner" validate:"AccountId"`
	Repository       string            `query:"repository" required:"true" validate:"RepositoryName"`
	Format           string            `query:"format" required:"true" validate:"PackageFormat"`
	Namespace        string            `query:"namespace" validate:"PackageNamespace"`
	Package          string            `query:"package" required:"true" validate:"PackageName"`
	Versions         []string          `json:"versions" required:"true" validate:"PackageVersionList"`
	VersionRevisions map[string]string `json:"versionRevisions" validate:"PackageVersionRevisionMap"`
	ExpectedStatus   string            `json:"expectedStatus" validate:"PackageVersionStatus"`
}

// DisposePackageVersionsOutput is what DisposePackageVersions gives.
type DisposePackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// CopyPackageVersionsInput is what CopyPackageVersions takes.
type CopyPackageVersionsInput struct {
	Domain                string            `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner           string            `query:"domain-owner" validate:"AccountId"`
	SourceRepository      string            `query:"source-repository" required:"true" validate:"RepositoryName"`
	DestinationRepository string            `query:"destination-repository" required:"true" validate:"RepositoryName"`
	Format                string            `query:"format" required:"true" validate:"PackageFormat"`
	Namespace             string            `query:"namespace" validate:"PackageNamespace"`
	Package               string            `query:"package" required:"true" validate:"PackageName"`
	Versions              []string          `json:"versions" validate:"PackageVersionList"`
	VersionRevisions      map[string]string `json:"versionRevisions" validate:"PackageVersionRevisionMap"`
	AllowOverwrite        bool              `json:"allowOverwrite"`
	IncludeFromUpstream   bool              `json:"includeFromUpstream"`
}

// CopyPackageVersionsOutput is what CopyPackageVersions gives.
type CopyPackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// ListPackageVersionDependenciesInput is what ListPackageVersionDependencies takes.
type ListPackageVersionDependenciesInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" required:"true" validate:"PackageName"`
	PackageVersion string `query:"version" required:"true" validate:"PackageVersion"`
	NextToken      string `query:"next-token" validate:"PaginationToken"`
}

// ListPackageVersionDependenciesOutput is what ListPackageVersionDependencies gives.
type ListPackageVersionDependenciesOutput struct {
	Format          string              `json:"format,omitempty"`
	Namespace       string              `json:"namespace,omitempty"`
	Package         string              `json:"package,omitempty"`
	Version         string              `json:"version,omitempty"`
	VersionRevision string              `json:"versionRevision,omitempty"`
	NextToken       string              `json:"nextToken,omitempty"`
	Dependencies    []PackageDependency `json:"dependencies"`
}

// GetPackageVersionReadmeInput is what GetPackageVersionReadme takes.
type GetPackageVersionReadmeInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" required:"true" validate:"PackageName"`
	PackageVersion string `query:"version" required:"true" validate:"PackageVersion"`
}

// GetPackageVersionReadmeOutput is what GetPackageVersionReadme gives.
type GetPackageVersionReadmeOutput struct {
	Format          string `json:"format,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Package         string `json:"package,omitempty"`
	Version         string `json:"version,omitempty"`
	VersionRevision string `json:"versionRevision,omitempty"`
	Readme          string `json:"readme,omitempty"`
}

// PackageVersionSummary is a row of ListPackageVersions.
type PackageVersionSummary struct {
	Version  string                `json:"version"`
	Revision string                `json:"revision,omitempty"`
	Status   string                `json:"status"`
	Origin   *PackageVersionOrigin `json:"origin,omitzero"`
}

// PackageVersionDescription is a package version in full; it says packageName where others say package or name.
type PackageVersionDescription struct {
	Format               string                `json:"format,omitempty"`
	Namespace            string                `json:"namespace,omitempty"`
	PackageName          string                `json:"packageName,omitempty"`
	DisplayName          string                `json:"displayName,omitempty"`
	Version              string                `json:"version,omitempty"`
	Summary              string                `json:"summary,omitempty"`
	HomePage             string                `json:"homePage,omitempty"`
	SourceCodeRepository string                `json:"sourceCodeRepository,omitempty"`
	PublishedTime        *restjson.Time        `json:"publishedTime,omitzero"`
	Licenses             []LicenseInfo         `json:"licenses"`
	Revision             string                `json:"revision,omitempty"`
	Status               string                `json:"status,omitempty"`
	Origin               *PackageVersionOrigin `json:"origin,omitzero"`
}

// PackageVersionOrigin says how a version came into the domain.
type PackageVersionOrigin struct {
	DomainEntryPoint *DomainEntryPoint `json:"domainEntryPoint,omitzero"`
	OriginType       string            `json:"originType,omitempty"`
}

// DomainEntryPoint names the repository or the external connection a version came in by.
type DomainEntryPoint struct {
	RepositoryName         string `json:"repositoryName,omitempty"`
	ExternalConnectionName string `json:"externalConnectionName,omitempty"`
}

// LicenseInfo is a licence as the package states it.
type LicenseInfo struct {
	Name string `json:"name,omitempty"`
	Url  string `json:"url,omitempty"`
}

// PackageDependency is a direct dependency from the manifest of a version.
type PackageDependency struct {
	Namespace          string `json:"namespace,omitempty"`
	Package            string `json:"package,omitempty"`
	DependencyType     string `json:"dependencyType,omitempty"`
	VersionRequirement string `json:"versionRequirement,omitempty"`
}

// SuccessfulPackageVersionInfo is the state of a version after a batch call.
type SuccessfulPackageVersionInfo struct {
	Revision string `json:"revision,omitempty"`
	Status   string `json:"status,omitempty"`
}

// PackageVersionError says why a batch call left a version alone.
type PackageVersionError struct {
	ErrorCode    string `json:"errorCode,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"`
}
