package api

// ListPackagesInput is what ListPackages takes.
type ListPackagesInput struct {
	Domain        string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner   string `query:"domain-owner" validate:"AccountId"`
	Repository    string `query:"repository" required:"true" validate:"RepositoryName"`
	Format        string `query:"format" validate:"PackageFormat"`
	Namespace     string `query:"namespace" validate:"PackageNamespace"`
	PackagePrefix string `query:"package-prefix" validate:"PackageName"`
	MaxResults    *int32 `query:"max-results" validate:"MaxResults"`
	NextToken     string `query:"next-token" validate:"PaginationToken"`
	Publish       string `query:"publish" validate:"AllowPublish"`
	Upstream      string `query:"upstream" validate:"AllowUpstream"`
}

// ListPackagesOutput is what ListPackages gives.
type ListPackagesOutput struct {
	Packages  []PackageSummary `json:"packages"`
	NextToken string           `json:"nextToken,omitempty"`
}

// DescribePackageInput is what DescribePackage takes.
type DescribePackageInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string `query:"namespace" validate:"PackageNamespace"`
	Package     string `query:"package" required:"true" validate:"PackageName"`
}

// DescribePackageOutput is what DescribePackage gives.
type DescribePackageOutput struct {
	Package *PackageDescription `json:"package"`
}

// DeletePackageInput is what DeletePackage takes.
type DeletePackageInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string `query:"namespace" validate:"PackageNamespace"`
	Package     string `query:"package" required:"true" validate:"PackageName"`
}

// DeletePackageOutput is what DeletePackage gives.
type DeletePackageOutput struct {
	DeletedPackage *PackageSummary `json:"deletedPackage,omitzero"`
}

// PutPackageOriginConfigurationInput is what PutPackageOriginConfiguration takes.
type PutPackageOriginConfigurationInput struct {
	Domain       string                     `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string                     `query:"domain-owner" validate:"AccountId"`
	Repository   string                     `query:"repository" required:"true" validate:"RepositoryName"`
	Format       string                     `query:"format" required:"true" validate:"PackageFormat"`
	Namespace    string                     `query:"namespace" validate:"PackageNamespace"`
	Package      string                     `query:"package" required:"true" validate:"PackageName"`
	Restrictions *PackageOriginRestrictions `json:"restrictions" required:"true"`
}

// PutPackageOriginConfigurationOutput is what PutPackageOriginConfiguration gives.
type PutPackageOriginConfigurationOutput struct {
	OriginConfiguration *PackageOriginConfiguration `json:"originConfiguration,omitzero"`
}

// PackageSummary is a row of ListPackages; it says package where PackageDescription says name.
type PackageSummary struct {
	Format              string                      `json:"format,omitempty"`
	Namespace           string                      `json:"namespace,omitempty"`
	Package             string                      `json:"package,omitempty"`
	OriginConfiguration *PackageOriginConfiguration `json:"originConfiguration,omitzero"`
}

// PackageDescription is a package; it says name where PackageSummary says package.
type PackageDescription struct {
	Format              string                      `json:"format,omitempty"`
	Namespace           string                      `json:"namespace,omitempty"`
	Name                string                      `json:"name,omitempty"`
	OriginConfiguration *PackageOriginConfiguration `json:"originConfiguration,omitzero"`
}

// PackageOriginConfiguration holds the origin restrictions of a package.
type PackageOriginConfiguration struct {
	Restrictions *PackageOriginRestrictions `json:"restrictions,omitzero"`
}

// PackageOriginRestrictions says whether versions may be published and taken from upstreams: ALLOW or BLOCK.
type PackageOriginRestrictions struct {
	Publish  string `json:"publish" required:"true" validate:"AllowPublish"`
	Upstream string `json:"upstream" required:"true" validate:"AllowUpstream"`
}
