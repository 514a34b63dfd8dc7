package api

import "packhouse/internal/restjson"

// Retention is ours: CodeArtifact removes nothing by itself.

// RetentionRule decides about the versions that meet its conditions, the first
// that fits each. It says one of: RetentionDays or MaxVersionsRetained or both,
// Keep, Remove.
type RetentionRule struct {
	Name                 string `json:"name" validate:"RetentionRuleName"`
	Format               string `json:"format" validate:"PackageFormat"`
	PackagePattern       string `json:"packagePattern" validate:"PackageGroupPattern"`
	OriginType           string `json:"originType" validate:"PackageVersionOriginType"`
	Kind                 string `json:"kind" validate:"PackageVersionKind"`
	Status               string `json:"status" validate:"PackageVersionStatus"`
	NotDownloadedForDays *int32 `json:"notDownloadedForDays" validate:"RetentionDays"`
	AgeFrom              string `json:"ageFrom" validate:"RetentionAgeFrom"`
	RetentionDays        *int32 `json:"retentionDays" validate:"RetentionDays"`
	MaxVersionsRetained  *int32 `json:"maxVersionsRetained" validate:"RetentionVersions"`
	Keep                 bool   `json:"keep"`
	Remove               bool   `json:"remove"`
}

// RetentionRuleDescription is a RetentionRule as it is shown.
type RetentionRuleDescription struct {
	Name                 string `json:"name,omitempty"`
	Format               string `json:"format,omitempty"`
	PackagePattern       string `json:"packagePattern,omitempty"`
	OriginType           string `json:"originType,omitempty"`
	Kind                 string `json:"kind,omitempty"`
	Status               string `json:"status,omitempty"`
	NotDownloadedForDays *int32 `json:"notDownloadedForDays,omitempty"`
	AgeFrom              string `json:"ageFrom,omitempty"`
	RetentionDays        *int32 `json:"retentionDays,omitempty"`
	MaxVersionsRetained  *int32 `json:"maxVersionsRetained,omitempty"`
	Keep                 bool   `json:"keep,omitzero"`
	Remove               bool   `json:"remove,omitzero"`
}

// RetentionConfiguration says which versions of a repository, or of a domain's
// published (INTERNAL) or ingested (EXTERNAL) ones, are kept. Schedule,
// NextRunTime and TrashDays are of the domain.
type RetentionConfiguration struct {
	OriginType          string                     `json:"originType,omitempty"`
	RetentionDays       *int32                     `json:"retentionDays,omitempty"`
	MaxVersionsRetained *int32                     `json:"maxVersionsRetained,omitempty"`
	Rules               []RetentionRuleDescription `json:"rules"`
	Arn                 string                     `json:"arn,omitempty"`
	Schedule            string                     `json:"schedule,omitempty"`
	NextRunTime         *restjson.Time             `json:"nextRunTime,omitzero"`
	TrashDays           *int32                     `json:"trashDays,omitempty"`
}

// PutRepositoryRetentionConfigurationInput is what
// PutRepositoryRetentionConfiguration takes.
type PutRepositoryRetentionConfigurationInput struct {
	Domain              string          `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner         string          `query:"domain-owner" validate:"AccountId"`
	Repository          string          `query:"repository" required:"true" validate:"RepositoryName"`
	RetentionDays       *int32          `json:"retentionDays" validate:"RetentionDays"`
	MaxVersionsRetained *int32          `json:"maxVersionsRetained" validate:"RetentionVersions"`
	Rules               []RetentionRule `json:"rules" validate:"RetentionRuleList"`
	Force               bool            `json:"force"`
}

// PutRepositoryRetentionConfigurationOutput is what
// PutRepositoryRetentionConfiguration gives.
type PutRepositoryRetentionConfigurationOutput struct {
	RetentionConfiguration *RetentionConfiguration `json:"retentionConfiguration,omitzero"`
}

// GetRepositoryRetentionConfigurationInput is what
// GetRepositoryRetentionConfiguration takes.
type GetRepositoryRetentionConfigurationInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// GetRepositoryRetentionConfigurationOutput is what
// GetRepositoryRetentionConfiguration gives.
type GetRepositoryRetentionConfigurationOutput struct {
	RetentionConfiguration *RetentionConfiguration `json:"retentionConfiguration,omitzero"`
}

// DeleteRepositoryRetentionConfigurationInput is what
// DeleteRepositoryRetentionConfiguration takes.
type DeleteRepositoryRetentionConfigurationInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// DeleteRepositoryRetentionConfigurationOutput is what
// DeleteRepositoryRetentionConfiguration gives: what was there.
type DeleteRepositoryRetentionConfigurationOutput struct {
	RetentionConfiguration *RetentionConfiguration `json:"retentionConfiguration,omitzero"`
}

// PutDomainRetentionConfigurationInput is what PutDomainRetentionConfiguration
// takes; without OriginType it is for both.
type PutDomainRetentionConfigurationInput struct {
	Domain              string          `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner         string          `query:"domain-owner" validate:"AccountId"`
	OriginType          string          `query:"origin-type" validate:"RetentionOriginType"`
	RetentionDays       *int32          `json:"retentionDays" validate:"RetentionDays"`
	MaxVersionsRetained *int32          `json:"maxVersionsRetained" validate:"RetentionVersions"`
	Rules               []RetentionRule `json:"rules" validate:"RetentionRuleList"`
	Schedule            string          `json:"schedule" validate:"RetentionSchedule"`
	TrashDays           *int32          `json:"trashDays" validate:"RetentionDays"`
	Force               bool            `json:"force"`
}

// PutDomainRetentionConfigurationOutput is what PutDomainRetentionConfiguration
// gives: one with an OriginType, else both.
type PutDomainRetentionConfigurationOutput struct {
	RetentionConfiguration  *RetentionConfiguration  `json:"retentionConfiguration,omitzero"`
	RetentionConfigurations []RetentionConfiguration `json:"retentionConfigurations,omitempty"`
}

// GetDomainRetentionConfigurationInput is what GetDomainRetentionConfiguration
// takes.
type GetDomainRetentionConfigurationInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	OriginType  string `query:"origin-type" validate:"RetentionOriginType"`
}

// GetDomainRetentionConfigurationOutput is what GetDomainRetentionConfiguration
// gives: one with an OriginType, else those there are.
type GetDomainRetentionConfigurationOutput struct {
	RetentionConfiguration  *RetentionConfiguration  `json:"retentionConfiguration,omitzero"`
	RetentionConfigurations []RetentionConfiguration `json:"retentionConfigurations,omitempty"`
}

// DeleteDomainRetentionConfigurationInput is what
// DeleteDomainRetentionConfiguration takes.
type DeleteDomainRetentionConfigurationInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	OriginType  string `query:"origin-type" validate:"RetentionOriginType"`
}

// DeleteDomainRetentionConfigurationOutput is what
// DeleteDomainRetentionConfiguration gives: what was there.
type DeleteDomainRetentionConfigurationOutput struct {
	RetentionConfiguration  *RetentionConfiguration  `json:"retentionConfiguration,omitzero"`
	RetentionConfigurations []RetentionConfiguration `json:"retentionConfigurations,omitempty"`
}

// PreviewRetentionInput is what PreviewRetention takes. AsOf is the time of a run
// that would be; by default now.
type PreviewRetentionInput struct {
	Domain      string         `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string         `query:"domain-owner" validate:"AccountId"`
	Repository  string         `query:"repository" validate:"RepositoryName"`
	AsOf        *restjson.Time `json:"asOf"`
	MaxResults  *int32         `query:"max-results" validate:"PreviewMaxResults"`
	NextToken   string         `query:"next-token" validate:"PaginationToken"`
}

// PreviewRetentionOutput is what PreviewRetention gives.
type PreviewRetentionOutput struct {
	Versions  []PreviewedVersion `json:"versions"`
	NextToken string             `json:"nextToken,omitempty"`
}

// PreviewedVersion is what a run would do with a version. Bytes are those that it
// would free.
type PreviewedVersion struct {
	Repository string `json:"repository"`
	Format     string `json:"format"`
	Namespace  string `json:"namespace"`
	Package    string `json:"package"`
	Version    string `json:"version"`
	Decision   string `json:"decision"` // KEEP or REMOVE
	Rule       string `json:"rule"`
	Bytes      int64  `json:"bytes"`
}

// StartRetentionRunInput is what StartRetentionRun takes.
type StartRetentionRunInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" validate:"RepositoryName"`
	Force       bool   `json:"force"`
}

// StartRetentionRunOutput is what StartRetentionRun gives.
type StartRetentionRunOutput struct {
	Run *RetentionRun `json:"run,omitzero"`
}

// StopRetentionRunInput is what StopRetentionRun takes.
type StopRetentionRunInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	RunId       string `query:"run-id" required:"true" validate:"RetentionRunId"`
}

// StopRetentionRunOutput is what StopRetentionRun gives.
type StopRetentionRunOutput struct {
	Run *RetentionRun `json:"run,omitzero"`
}

// ListRetentionRunsInput is what ListRetentionRuns takes.
type ListRetentionRunsInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// ListRetentionRunsOutput is what ListRetentionRuns gives, the newest first.
type ListRetentionRunsOutput struct {
	Runs      []RetentionRun `json:"runs"`
	NextToken string         `json:"nextToken,omitempty"`
}

// DescribeRetentionRunInput is what DescribeRetentionRun takes.
type DescribeRetentionRunInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	RunId       string `query:"run-id" required:"true" validate:"RetentionRunId"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// DescribeRetentionRunOutput is what DescribeRetentionRun gives: the run, and what
// it has removed so far.
type DescribeRetentionRunOutput struct {
	Run       *RetentionRun    `json:"run,omitzero"`
	Versions  []RemovedVersion `json:"versions"`
	NextToken string           `json:"nextToken,omitempty"`
}

// RetentionRun is a run with how far it has come: of PackagesTotal packages it
// has been through Packages, with Versions versions.
type RetentionRun struct {
	RunId         string                   `json:"runId"`
	Repository    string                   `json:"repository,omitempty"`
	StartedBy     string                   `json:"startedBy"` // SCHEDULE or REQUEST
	Status        string                   `json:"status"`
	AsOf          *restjson.Time           `json:"asOf,omitzero"`
	CreatedTime   *restjson.Time           `json:"createdTime,omitzero"`
	FinishedTime  *restjson.Time           `json:"finishedTime,omitzero"`
	PackagesTotal int64                    `json:"packagesTotal"`
	Packages      int64                    `json:"packages"`
	Versions      int64                    `json:"versions"`
	Removed       int64                    `json:"removed"`
	Spared        int64                    `json:"spared"`
	Bytes         int64                    `json:"bytes"`
	Refused       []RefusedRetentionTarget `json:"refused"`
	Error         string                   `json:"error,omitempty"`
}

// RefusedRetentionTarget is a repository that a run left alone.
type RefusedRetentionTarget struct {
	Repository string `json:"repository"`
	Reason     string `json:"reason"`
}

// RemovedVersion is a version that a run removed.
type RemovedVersion struct {
	Repository string `json:"repository"`
	Format     string `json:"format"`
	Namespace  string `json:"namespace"`
	Package    string `json:"package"`
	Version    string `json:"version"`
	Rule       string `json:"rule"`
	Bytes      int64  `json:"bytes"`
}

// RestorePackageVersionsInput is what RestorePackageVersions takes. Pin is true
// unless it is said not to be: the next run would take them again.
type RestorePackageVersionsInput struct {
	Domain      string   `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string   `query:"domain-owner" validate:"AccountId"`
	Repository  string   `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string   `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string   `query:"namespace" validate:"PackageNamespace"`
	Package     string   `query:"package" required:"true" validate:"PackageName"`
	Versions    []string `json:"versions" required:"true" validate:"PackageVersionList"`
	Pin         *bool    `json:"pin"`
}

// RestorePackageVersionsOutput is what RestorePackageVersions gives.
type RestorePackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
}

// PinPackageVersionsInput is what PinPackageVersions takes.
type PinPackageVersionsInput struct {
	Domain      string   `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string   `query:"domain-owner" validate:"AccountId"`
	Repository  string   `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string   `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string   `query:"namespace" validate:"PackageNamespace"`
	Package     string   `query:"package" required:"true" validate:"PackageName"`
	Versions    []string `json:"versions" required:"true" validate:"PackageVersionList"`
	Reason      string   `json:"reason" validate:"Description"`
}

// PinPackageVersionsOutput is what PinPackageVersions gives.
type PinPackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// UnpinPackageVersionsInput is what UnpinPackageVersions takes.
type UnpinPackageVersionsInput struct {
	Domain      string   `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string   `query:"domain-owner" validate:"AccountId"`
	Repository  string   `query:"repository" required:"true" validate:"RepositoryName"`
	Format      string   `query:"format" required:"true" validate:"PackageFormat"`
	Namespace   string   `query:"namespace" validate:"PackageNamespace"`
	Package     string   `query:"package" required:"true" validate:"PackageName"`
	Versions    []string `json:"versions" required:"true" validate:"PackageVersionList"`
}

// UnpinPackageVersionsOutput is what UnpinPackageVersions gives.
type UnpinPackageVersionsOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

// PutLegalHoldInput is what PutLegalHold takes: a repository, a package of it, or
// a version of that.
type PutLegalHoldInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" validate:"PackageName"`
	PackageVersion string `query:"version" validate:"PackageVersion"`
	Reason         string `json:"reason" validate:"Description"`
}

// PutLegalHoldOutput is what PutLegalHold gives.
type PutLegalHoldOutput struct {
	Hold *RetentionHold `json:"hold,omitzero"`
}

// DeleteLegalHoldInput is what DeleteLegalHold takes.
type DeleteLegalHoldInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	Format         string `query:"format" validate:"PackageFormat"`
	Namespace      string `query:"namespace" validate:"PackageNamespace"`
	Package        string `query:"package" validate:"PackageName"`
	PackageVersion string `query:"version" validate:"PackageVersion"`
}

// DeleteLegalHoldOutput is what DeleteLegalHold gives.
type DeleteLegalHoldOutput struct{}

// ListRetentionHoldsInput is what ListRetentionHolds takes.
type ListRetentionHoldsInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// ListRetentionHoldsOutput is what ListRetentionHolds gives.
type ListRetentionHoldsOutput struct {
	Holds     []RetentionHold `json:"holds"`
	NextToken string          `json:"nextToken,omitempty"`
}

// RetentionHold is a pin or a legal hold.
type RetentionHold struct {
	Kind        string         `json:"kind"` // PIN or LEGAL_HOLD
	Repository  string         `json:"repository"`
	Format      string         `json:"format,omitempty"`
	Namespace   string         `json:"namespace,omitempty"`
	Package     string         `json:"package,omitempty"`
	Version     string         `json:"version,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	PlacedBy    string         `json:"placedBy,omitempty"`
	CreatedTime *restjson.Time `json:"createdTime,omitzero"`
}

// ListTrashInput is what ListTrash takes.
type ListTrashInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" validate:"RepositoryName"`
	Format      string `query:"format" validate:"PackageFormat"`
	Namespace   string `query:"namespace" validate:"PackageNamespace"`
	Package     string `query:"package" validate:"PackageName"`
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// ListTrashOutput is what ListTrash gives.
type ListTrashOutput struct {
	Versions  []TrashedVersion `json:"versions"`
	NextToken string           `json:"nextToken,omitempty"`
}

// TrashedVersion is a version that can be had back until PurgeTime.
type TrashedVersion struct {
	Repository  string         `json:"repository"`
	Format      string         `json:"format"`
	Namespace   string         `json:"namespace"`
	Package     string         `json:"package"`
	Version     string         `json:"version"`
	Revision    string         `json:"revision"`
	Rule        string         `json:"rule"`
	Bytes       int64          `json:"bytes"`
	RemovedTime *restjson.Time `json:"removedTime,omitzero"`
	PurgeTime   *restjson.Time `json:"purgeTime,omitzero"`
}
