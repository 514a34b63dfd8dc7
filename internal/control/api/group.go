package api

import (
	"packhouse/internal/restjson"
)

// CreatePackageGroupInput is what CreatePackageGroup takes.
type CreatePackageGroupInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	PackageGroup string `json:"packageGroup" required:"true" validate:"PackageGroupPattern"`
	ContactInfo  string `json:"contactInfo" validate:"PackageGroupContactInfo"`
	Description  string `json:"description" validate:"Description"`
	Tags         []Tag  `json:"tags" validate:"TagList"`
}

// CreatePackageGroupOutput is what CreatePackageGroup gives.
type CreatePackageGroupOutput struct {
	PackageGroup *PackageGroupDescription `json:"packageGroup,omitzero"`
}

// DescribePackageGroupInput is what DescribePackageGroup takes.
type DescribePackageGroupInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	PackageGroup string `query:"package-group" required:"true" validate:"PackageGroupPattern"`
}

// DescribePackageGroupOutput is what DescribePackageGroup gives.
type DescribePackageGroupOutput struct {
	PackageGroup *PackageGroupDescription `json:"packageGroup,omitzero"`
}

// UpdatePackageGroupInput is what UpdatePackageGroup takes.
type UpdatePackageGroupInput struct {
	Domain       string  `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string  `query:"domain-owner" validate:"AccountId"`
	PackageGroup string  `json:"packageGroup" required:"true" validate:"PackageGroupPattern"`
	ContactInfo  *string `json:"contactInfo" validate:"PackageGroupContactInfo"`
	Description  *string `json:"description" validate:"Description"`
}

// UpdatePackageGroupOutput is what UpdatePackageGroup gives.
type UpdatePackageGroupOutput struct {
	PackageGroup *PackageGroupDescription `json:"packageGroup,omitzero"`
}

// UpdatePackageGroupOriginConfigurationInput is what UpdatePackageGroupOriginConfiguration takes.
type UpdatePackageGroupOriginConfigurationInput struct {
	Domain                    string                          `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner               string                          `query:"domain-owner" validate:"AccountId"`
	PackageGroup              string                          `query:"package-group" required:"true" validate:"PackageGroupPattern"`
	Restrictions              map[string]string               `json:"restrictions" validate:"OriginRestrictions"`
	AddAllowedRepositories    []PackageGroupAllowedRepository `json:"addAllowedRepositories"`
	RemoveAllowedRepositories []PackageGroupAllowedRepository `json:"removeAllowedRepositories"`
}

// UpdatePackageGroupOriginConfigurationOutput is what UpdatePackageGroupOriginConfiguration gives.
type UpdatePackageGroupOriginConfigurationOutput struct {
	PackageGroup             *PackageGroupDescription       `json:"packageGroup,omitzero"`
	AllowedRepositoryUpdates map[string]map[string][]string `json:"allowedRepositoryUpdates"`
}

// DeletePackageGroupInput is what DeletePackageGroup takes.
type DeletePackageGroupInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	PackageGroup string `query:"package-group" required:"true"`
}

// DeletePackageGroupOutput is what DeletePackageGroup gives.
type DeletePackageGroupOutput struct {
	PackageGroup *PackageGroupDescription `json:"packageGroup,omitzero"`
}

// ListPackageGroupsInput is what ListPackageGroups takes.
type ListPackageGroupsInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
	Prefix      string `query:"prefix" validate:"PackageGroupPatternPrefix"`
}

// ListPackageGroupsOutput is what ListPackageGroups gives.
type ListPackageGroupsOutput struct {
	PackageGroups []PackageGroupSummary `json:"packageGroups"`
	NextToken     string                `json:"nextToken,omitempty"`
}

// ListSubPackageGroupsInput is what ListSubPackageGroups takes.
type ListSubPackageGroupsInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	PackageGroup string `query:"package-group" required:"true" validate:"PackageGroupPattern"`
	MaxResults   *int32 `query:"max-results" validate:"MaxResults"`
	NextToken    string `query:"next-token" validate:"PaginationToken"`
}

// ListSubPackageGroupsOutput is what ListSubPackageGroups gives.
type ListSubPackageGroupsOutput struct {
	PackageGroups []PackageGroupSummary `json:"packageGroups"`
	NextToken     string                `json:"nextToken,omitempty"`
}

// ListAllowedRepositoriesForGroupInput is what ListAllowedRepositoriesForGroup takes.
type ListAllowedRepositoriesForGroupInput struct {
	Domain                string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner           string `query:"domain-owner" validate:"AccountId"`
	PackageGroup          string `query:"package-group" required:"true" validate:"PackageGroupPattern"`
	OriginRestrictionType string `query:"originRestrictionType" required:"true" validate:"PackageGroupOriginRestrictionType"`
	MaxResults            *int32 `query:"max-results" validate:"MaxResults"`
	NextToken             string `query:"next-token" validate:"PaginationToken"`
}

// ListAllowedRepositoriesForGroupOutput is what ListAllowedRepositoriesForGroup gives.
type ListAllowedRepositoriesForGroupOutput struct {
	AllowedRepositories []string `json:"allowedRepositories"`
	NextToken           string   `json:"nextToken,omitempty"`
}

// ListAssociatedPackagesInput is what ListAssociatedPackages takes.
type ListAssociatedPackagesInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	PackageGroup string `query:"package-group" required:"true" validate:"PackageGroupPattern"`
	MaxResults   *int32 `query:"max-results" validate:"MaxResults"`
	NextToken    string `query:"next-token" validate:"PaginationToken"`
	Preview      bool   `query:"preview"`
}

// ListAssociatedPackagesOutput is what ListAssociatedPackages gives.
type ListAssociatedPackagesOutput struct {
	Packages  []AssociatedPackage `json:"packages"`
	NextToken string              `json:"nextToken,omitempty"`
}

// GetAssociatedPackageGroupInput is what GetAssociatedPackageGroup takes.
type GetAssociatedPackageGroupInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Format      string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string `query:"namespace" validate:"PackageNamespace"`
	Package     string `query:"package" required:"true" validate:"PackageName"`
}

// GetAssociatedPackageGroupOutput is what GetAssociatedPackageGroup gives.
type GetAssociatedPackageGroupOutput struct {
	PackageGroup    *PackageGroupDescription `json:"packageGroup,omitzero"`
	AssociationType string                   `json:"associationType,omitempty"`
}

// PackageGroupAllowedRepository is one entry of a group's list of allowed repositories.
type PackageGroupAllowedRepository struct {
	RepositoryName        string `json:"repositoryName" validate:"RepositoryName"`
	OriginRestrictionType string `json:"originRestrictionType" validate:"PackageGroupOriginRestrictionType"`
}

// PackageGroupDescription is a package group; the root has no parent.
type PackageGroupDescription struct {
	Arn                 string                           `json:"arn,omitempty"`
	Pattern             string                           `json:"pattern,omitempty"`
	DomainName          string                           `json:"domainName,omitempty"`
	DomainOwner         string                           `json:"domainOwner,omitempty"`
	CreatedTime         *restjson.Time                   `json:"createdTime,omitzero"`
	ContactInfo         string                           `json:"contactInfo,omitempty"`
	Description         string                           `json:"description,omitempty"`
	OriginConfiguration *PackageGroupOriginConfiguration `json:"originConfiguration,omitzero"`
	Parent              *PackageGroupReference           `json:"parent,omitzero"`
}

// PackageGroupSummary is a row of the group listings.
type PackageGroupSummary struct {
	Arn                 string                           `json:"arn,omitempty"`
	Pattern             string                           `json:"pattern,omitempty"`
	DomainName          string                           `json:"domainName,omitempty"`
	DomainOwner         string                           `json:"domainOwner,omitempty"`
	CreatedTime         *restjson.Time                   `json:"createdTime,omitzero"`
	ContactInfo         string                           `json:"contactInfo,omitempty"`
	Description         string                           `json:"description,omitempty"`
	OriginConfiguration *PackageGroupOriginConfiguration `json:"originConfiguration,omitzero"`
	Parent              *PackageGroupReference           `json:"parent,omitzero"`
}

// PackageGroupOriginConfiguration holds the restrictions by type: PUBLISH, INTERNAL_UPSTREAM and EXTERNAL_UPSTREAM.
type PackageGroupOriginConfiguration struct {
	Restrictions map[string]PackageGroupOriginRestriction `json:"restrictions"`
}

// PackageGroupOriginRestriction is one restriction with the group its effect comes from.
type PackageGroupOriginRestriction struct {
	Mode              string                 `json:"mode,omitempty"`
	EffectiveMode     string                 `json:"effectiveMode,omitempty"`
	InheritedFrom     *PackageGroupReference `json:"inheritedFrom,omitzero"`
	RepositoriesCount *int64                 `json:"repositoriesCount,omitzero"`
}

// PackageGroupReference names a package group.
type PackageGroupReference struct {
	Arn     string `json:"arn,omitempty"`
	Pattern string `json:"pattern,omitempty"`
}

// AssociatedPackage is a package a group applies to.
type AssociatedPackage struct {
	Format          string `json:"format,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Package         string `json:"package,omitempty"`
	AssociationType string `json:"associationType,omitempty"`
}
