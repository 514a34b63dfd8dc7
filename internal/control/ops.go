package control

import (
	"context"
	"net/http"

	"packhouse/internal/restjson"
)

// Table gives the rows of every operation without a server behind them, for
// the command line: their names, routes and fields. They must not be run.
func Table() []restjson.Row { return (&API{opt: Options{Region: "us-east-1"}}).Rows() }

// Rows is the table of operations, in the order of the service model and then
// those of ours: name, route, what it needs permission for, what it does, help.
func (a *API) Rows() []restjson.Row {
	const (
		get, put   = http.MethodGet, http.MethodPut
		post, kill = http.MethodPost, http.MethodDelete
	)
	return []restjson.Row{
		row(a, "AssociateExternalConnection", post, "/v1/repository/external-connection", onRepository, a.associateExternalConnection, "let a repository take packages from a public registry"),
		row(a, "CopyPackageVersions", post, "/v1/package/versions/copy", onCopy, a.copyPackageVersions, "copy versions of a package to another repository of the domain"),
		row(a, "CreateDomain", post, "/v1/domain", onNewDomain, a.createDomain, "create a domain"),
		row(a, "CreatePackageGroup", post, "/v1/package-group", onNewGroup, a.createPackageGroup, "create a group for the packages that match a pattern"),
		row(a, "CreateRepository", post, "/v1/repository", onNewRepository, a.createRepository, "create a repository in a domain"),
		row(a, "DeleteDomain", kill, "/v1/domain", onDomain, a.deleteDomain, "delete a domain that has no repositories"),
		row(a, "DeleteDomainPermissionsPolicy", kill, "/v1/domain/permissions/policy", onDomain, a.deleteDomainPermissionsPolicy, "delete the permissions policy of a domain"),
		row(a, "DeletePackage", kill, "/v1/package", onPackage, a.deletePackage, "delete a package with all its versions"),
		row(a, "DeletePackageGroup", kill, "/v1/package-group", onGroup, a.deletePackageGroup, "delete a package group; its packages fall to the next wider one"),
		row(a, "DeletePackageVersions", post, "/v1/package/versions/delete", onPackage, a.deletePackageVersions, "delete versions of a package"),
		row(a, "DeleteRepository", kill, "/v1/repository", onRepository, a.deleteRepository, "delete a repository with everything in it"),
		row(a, "DeleteRepositoryPermissionsPolicy", kill, "/v1/repository/permissions/policies", onRepository, a.deleteRepositoryPermissionsPolicy, "delete the permissions policy of a repository"),
		row(a, "DescribeDomain", get, "/v1/domain", onDomain, a.describeDomain, "show a domain"),
		row(a, "DescribePackage", get, "/v1/package", onPackage, a.describePackage, "show a package"),
		row(a, "DescribePackageGroup", get, "/v1/package-group", onGroup, a.describePackageGroup, "show a package group"),
		row(a, "DescribePackageVersion", get, "/v1/package/version", onPackage, a.describePackageVersion, "show a version of a package"),
		row(a, "DescribeRepository", get, "/v1/repository", onRepository, a.describeRepository, "show a repository"),
		row(a, "DisassociateExternalConnection", kill, "/v1/repository/external-connection", onRepository, a.disassociateExternalConnection, "take no more packages from a public registry"),
		row(a, "DisposePackageVersions", post, "/v1/package/versions/dispose", onPackage, a.disposePackageVersions, "delete the assets of versions and keep their records"),
		row(a, "ExplainAccess", post, "/v1/explain-access", onExplained, a.explainAccess, "show which policies decide whether somebody may do something, and why"),
		row(a, "GetAssociatedPackageGroup", get, "/v1/get-associated-package-group", onAssociated, a.getAssociatedPackageGroup, "show the group a package belongs to"),
		row(a, "GetAuthorizationToken", post, "/v1/authorization-token", onToken, a.getAuthorizationToken, "get a token for package clients"),
		row(a, "GetDomainPermissionsPolicy", get, "/v1/domain/permissions/policy", onDomain, a.getDomainPermissionsPolicy, "show the permissions policy of a domain"),
		row(a, "GetPackageVersionAsset", get, "/v1/package/version/asset", onPackage, a.getPackageVersionAsset, "download one file of a version"),
		row(a, "GetPackageVersionReadme", get, "/v1/package/version/readme", onPackage, a.getPackageVersionReadme, "show the readme of a version"),
		row(a, "GetRepositoryEndpoint", get, "/v1/repository/endpoint", onRepository, a.getRepositoryEndpoint, "show the address of a repository for package clients"),
		row(a, "GetRepositoryPermissionsPolicy", get, "/v1/repository/permissions/policy", onRepository, a.getRepositoryPermissionsPolicy, "show the permissions policy of a repository"),
		row(a, "ListAccessRecords", post, "/v1/access-records", onRecords, a.listAccessRecords, "list who did what: calls of the API and requests of package clients, newest first"),
		row(a, "ListAllowedRepositoriesForGroup", get, "/v1/package-group-allowed-repositories", onGroup, a.listAllowedRepositoriesForGroup, "list the repositories a restriction of a package group allows"),
		row(a, "ListAssociatedPackages", get, "/v1/list-associated-packages", onGroup, a.listAssociatedPackages, "list the packages that belong to a package group"),
		row(a, "ListDomains", post, "/v1/domains", filtered, a.listDomains, "list the domains of your account"),
		row(a, "ListPackageGroups", post, "/v1/package-groups", onDomain, a.listPackageGroups, "list the package groups of a domain"),
		row(a, "ListPackageVersionAssets", post, "/v1/package/version/assets", onPackage, a.listPackageVersionAssets, "list the files of a version"),
		row(a, "ListPackageVersionDependencies", post, "/v1/package/version/dependencies", onPackage, a.listPackageVersionDependencies, "list the direct dependencies of a version"),
		row(a, "ListPackageVersions", post, "/v1/package/versions", onPackage, a.listPackageVersions, "list the versions of a package"),
		row(a, "ListPackages", post, "/v1/packages", onRepository, a.listPackages, "list the packages of a repository"),
		row(a, "ListRepositories", post, "/v1/repositories", filtered, a.listRepositories, "list the repositories your account administers"),
		row(a, "ListRepositoriesInDomain", post, "/v1/domain/repositories", onDomain, a.listRepositoriesInDomain, "list the repositories of a domain"),
		row(a, "ListSubPackageGroups", post, "/v1/package-groups/sub-groups", onGroup, a.listSubPackageGroups, "list the package groups next below one"),
		row(a, "ListTagsForResource", post, "/v1/tags", onARN, a.listTagsForResource, "list the tags of a resource"),
		row(a, "PublishPackageVersion", post, "/v1/package/version/publish", onPackage, a.publishPackageVersion, "publish a file of a version of a generic package"),
		row(a, "PutDomainPermissionsPolicy", put, "/v1/domain/permissions/policy", onDomain, a.putDomainPermissionsPolicy, "say who may do what with a domain"),
		row(a, "PutPackageOriginConfiguration", post, "/v1/package", onPackage, a.putPackageOriginConfiguration, "say whether versions may be published or taken from upstreams"),
		row(a, "PutRepositoryPermissionsPolicy", put, "/v1/repository/permissions/policy", onRepository, a.putRepositoryPermissionsPolicy, "say who may do what with a repository"),
		row(a, "TagResource", post, "/v1/tag", onARN, a.tagResource, "add tags to a resource"),
		row(a, "UntagResource", post, "/v1/untag", onARN, a.untagResource, "remove tags from a resource"),
		row(a, "UpdatePackageGroup", put, "/v1/package-group", onGroup, a.updatePackageGroup, "change the contact and description of a package group"),
		row(a, "UpdatePackageGroupOriginConfiguration", put, "/v1/package-group-origin-configuration", onGroup, a.updatePackageGroupOriginConfiguration, "say how versions of the packages of a group may come in"),
		row(a, "UpdatePackageVersionsStatus", post, "/v1/package/versions/update_status", onPackage, a.updatePackageVersionsStatus, "publish, unlist or archive versions"),
		row(a, "UpdateRepository", put, "/v1/repository", onRepository, a.updateRepository, "change the description or upstreams of a repository"),

		// What CodeArtifact has not.
		row(a, "DeleteDomainRetentionConfiguration", kill, "/v1/domain/retention-configuration", onDomain, a.deleteDomainRetentionConfiguration, "remove nothing by itself any more, where repositories do not say otherwise"),
		row(a, "DeleteLegalHold", kill, "/v1/legal-hold", onHeld, a.deleteLegalHold, "end a legal hold"),
		row(a, "DeleteRepositoryRetentionConfiguration", kill, "/v1/repository/retention-configuration", onRepository, a.deleteRepositoryRetentionConfiguration, "let the retention configuration of the domain apply to a repository again"),
		row(a, "DescribeRetentionRun", get, "/v1/retention/run", onDomain, a.describeRetentionRun, "show a retention run, how far it is, and what it removed"),
		row(a, "GetDomainRetentionConfiguration", get, "/v1/domain/retention-configuration", onDomain, a.getDomainRetentionConfiguration, "show which versions of a domain are kept"),
		row(a, "GetRepositoryRetentionConfiguration", get, "/v1/repository/retention-configuration", onRepository, a.getRepositoryRetentionConfiguration, "show which versions of a repository are kept"),
		row(a, "ListRetentionHolds", get, "/v1/retention/holds", onRepository, a.listRetentionHolds, "list the pins and legal holds of a repository"),
		row(a, "ListRetentionRuns", get, "/v1/retention/runs", onDomain, a.listRetentionRuns, "list the retention runs of a domain, newest first"),
		row(a, "ListTrash", get, "/v1/trash", onScope, a.listTrash, "list what retention removed and can be had back"),
		row(a, "PinPackageVersions", post, "/v1/package/versions/pin", onPackage, a.pinPackageVersions, "keep versions whatever the retention configuration says"),
		row(a, "PreviewRetention", post, "/v1/retention/preview", onScope, a.previewRetention, "list what a retention run would remove and keep, and why; nothing is changed"),
		row(a, "PutDomainRetentionConfiguration", put, "/v1/domain/retention-configuration", onDomain, a.putDomainRetentionConfiguration, "say which versions of a domain are kept, and when the others go"),
		row(a, "PutLegalHold", put, "/v1/legal-hold", onHeld, a.putLegalHold, "let nobody remove a version, a package or a repository"),
		row(a, "PutRepositoryRetentionConfiguration", put, "/v1/repository/retention-configuration", onRepository, a.putRepositoryRetentionConfiguration, "say which versions of a repository are kept"),
		row(a, "RestorePackageVersions", post, "/v1/package/versions/restore", onPackage, a.restorePackageVersions, "put versions back that retention removed, and pin them"),
		row(a, "StartRetentionRun", post, "/v1/retention/runs", onScope, a.startRetentionRun, "remove now what the retention configurations say"),
		row(a, "StopRetentionRun", post, "/v1/retention/run/stop", onDomain, a.stopRetentionRun, "end a retention run; what it removed stays in the trash"),
		row(a, "UnpinPackageVersions", post, "/v1/package/versions/unpin", onPackage, a.unpinPackageVersions, "let the retention configuration decide about versions again"),
		row(a, "CreateAccount", post, "/v1/account", onOrganization, a.createAccount, "make an account with an administrator, whose secret is shown this once"),
		row(a, "DescribeStorageCheck", get, "/v1/storage-check", onChecked, a.describeStorageCheck, "show how far a check of stored bytes is"),
		row(a, "GetPopularPackages", get, "/v1/reports/popular-packages", onReported, a.getPopularPackages, "report the packages that are downloaded most"),
		row(a, "GetStalePackages", get, "/v1/reports/stale-packages", onReported, a.getStalePackages, "report packages that nobody has downloaded for long"),
		row(a, "GetStorageReport", get, "/v1/reports/storage", onReported, a.getStorageReport, "report the bytes that are kept and how they grow"),
		row(a, "GetUsageReport", post, "/v1/reports/usage", onReported, a.getUsageReport, "report downloads, publishes, cache hits, bytes and errors over time"),
		row(a, "ListAccounts", post, "/v1/accounts", onOrganization, a.listAccounts, "list the accounts of this server"),
		row(a, "ListStorageFindings", get, "/v1/storage-check/findings", onChecked, a.listStorageFindings, "list what a check of stored bytes has found"),
		row(a, "StartStorageCheck", post, "/v1/storage-check", onChecked, a.startStorageCheck, "check every stored byte against its digest, in the background"),
		row(a, "StopStorageCheck", kill, "/v1/storage-check", onChecked, a.stopStorageCheck, "stop a check of stored bytes"),
		row(a, "DeleteDomainQuota", kill, "/v1/domain/quota", onDomain, a.deleteDomainQuota, "lift the limits on what a domain may hold"),
		row(a, "DeleteRepositoryQuota", kill, "/v1/repository/quota", onRepository, a.deleteRepositoryQuota, "lift the limits on what a repository may hold"),
		row(a, "GetDomainQuota", get, "/v1/domain/quota", onDomain, a.getDomainQuota, "show how much a domain may hold, and how much it does"),
		row(a, "GetRepositoryQuota", get, "/v1/repository/quota", onRepository, a.getRepositoryQuota, "show how much a repository may hold, and how much it does"),
		row(a, "PutDomainQuota", put, "/v1/domain/quota", onDomain, a.putDomainQuota, "limit what the repositories of a domain may hold together: bytes, versions, the size of an asset"),
		row(a, "PutRepositoryQuota", put, "/v1/repository/quota", onRepository, a.putRepositoryQuota, "limit what a repository may hold: bytes, versions, the size of an asset"),
	}
}

func row[In, Out any](a *API, name, method, path string, access scope, do func(context.Context, *restjson.Call, *In) (*Out, error), doc string) restjson.Row {
	return restjson.New(restjson.Op[In, Out]{
		Name: name, Method: method, Path: path, Doc: doc, Do: do,
		Access: func(c *restjson.Call, in *In) []restjson.Need { return access(a, c, Service+":"+name, in) },
	})
}
