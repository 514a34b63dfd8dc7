// Package organisation is the file that declares a whole set-up (domains,
// repositories, policies, groups, retention, quotas, alarms, identities) and
// what becomes of it: it is read with errors that name line and column, compared
// with a running server, and the difference is a Plan of calls of the API, which
// Apply makes one after the other. Export writes the file from a server.
//
// Everything goes through the API by the names of operations, so the file can do
// what its user may do and nothing else.
//
// One rule explains the rest: what a file does not mention is not managed. A key
// that is left out is neither looked at nor changed; a key with an empty value
// ([], {} or null) asks for nothing to be there.
package organisation

// File is a file. Pointers, and lists and maps that are nil, are keys it does
// not have.
//
// What the tag empty says is what the null of a key means: the value it gives;
// with "none" the same as leaving the key out, for keys that are managed with
// those beside them; with "-" nothing, and it is refused. Without the tag it is
// the zero value.
//
// Domain with the keys of a Domain beside it is the short form for a file with
// one domain; Parse turns it into Domains.
type File struct {
	Domain  string `yaml:"domain" shape:"DomainName" doc:"The one domain of the file; its keys stand beside this one, in place of domains."`
	Content `yaml:",inline"`
	Domains []Domain `yaml:"domains" doc:"The domains of the account."`

	Policies []ManagedPolicy `yaml:"policies" doc:"Managed policies of the account."`
	Groups   []Group         `yaml:"groups" doc:"IAM groups."`
	Users    []User          `yaml:"users" doc:"IAM users. Access keys are made by create-access-key and never stand here."`
	Roles    []Role          `yaml:"roles" doc:"IAM roles."`
	Topics   []Topic         `yaml:"topics" doc:"SNS topics, which alarms notify."`
	Alarms   []Alarm         `yaml:"alarms" doc:"CloudWatch alarms."`

	places map[string]Position
}

// Domain is a domain by name.
type Domain struct {
	Name    string `yaml:"name" shape:"DomainName" required:"true" doc:"Name of the domain."`
	Content `yaml:",inline"`
}

// Content is what a domain has.
type Content struct {
	Tags          map[string]string `yaml:"tags" key:"TagKey" shape:"TagValue" doc:"All tags of the domain."`
	Policy        *Document         `yaml:"policy" doc:"Permissions policy of the domain."`
	Retention     *DomainRetention  `yaml:"retention" doc:"How long versions are kept in repositories that do not say so themselves."`
	Quota         *Quota            `yaml:"quota" doc:"What all repositories of the domain may hold together; each content counts once."`
	Repositories  []Repository      `yaml:"repositories" doc:"Repositories of the domain, in any order."`
	PackageGroups []PackageGroup    `yaml:"packageGroups" doc:"Package groups of the domain. The root group /* is always there."`
}

// Repository is a repository of a domain.
type Repository struct {
	Name                string            `yaml:"name" shape:"RepositoryName" required:"true" doc:"Name of the repository."`
	Description         *string           `yaml:"description" shape:"Description" doc:"What it is for."`
	Format              *string           `yaml:"format" shape:"PackageFormat" doc:"The one format it takes; it cannot be changed later."`
	VersionPolicy       *string           `yaml:"versionPolicy" shape:"VersionPolicy" empty:"MIXED" doc:"Which versions it takes."`
	Upstreams           []string          `yaml:"upstreams" shape:"RepositoryName" doc:"Repositories of the domain, searched in this order."`
	ExternalConnection  *string           `yaml:"externalConnection" shape:"ExternalConnectionName" doc:"Short for a list of one external connection."`
	ExternalConnections []string          `yaml:"externalConnections" shape:"ExternalConnectionName" doc:"Outside registries it takes packages from."`
	Policy              *Document         `yaml:"policy" doc:"Permissions policy of the repository."`
	Retention           *Retention        `yaml:"retention" doc:"How long versions are kept here, in place of what the domain says."`
	Quota               *Quota            `yaml:"quota" doc:"What it may hold."`
	Tags                map[string]string `yaml:"tags" key:"TagKey" shape:"TagValue" doc:"All tags of the repository."`
}

// Retention says which versions are kept: those younger than RetentionDays or
// among the newest MaxVersionsRetained. One with nothing set is none.
type Retention struct {
	RetentionDays       *int64          `yaml:"retentionDays" alias:"keepDays" shape:"RetentionDays" empty:"none" doc:"Versions younger than so many days are kept."`
	MaxVersionsRetained *int64          `yaml:"maxVersionsRetained" alias:"keepVersions" shape:"RetentionVersions" empty:"none" doc:"So many of the newest versions of each package are kept."`
	Rules               []RetentionRule `yaml:"rules" doc:"Finer rules; the first whose conditions a version meets decides about it."`
}

// RetentionRule decides about the versions that meet its conditions. It says
// one of: RetentionDays or MaxVersionsRetained or both, Keep, Remove.
type RetentionRule struct {
	Name                 *string `yaml:"name" shape:"RetentionRuleName" empty:"none" doc:"Name of the rule, which previews and runs show."`
	Format               *string `yaml:"format" shape:"PackageFormat" empty:"none" doc:"Condition: packages of this format."`
	PackagePattern       *string `yaml:"packagePattern" shape:"PackageGroupPattern" empty:"none" doc:"Condition: packages that this pattern, one as package groups have, matches."`
	OriginType           *string `yaml:"originType" shape:"PackageVersionOriginType" empty:"none" doc:"Condition: versions that came in this way."`
	Kind                 *string `yaml:"kind" shape:"PackageVersionKind" empty:"none" doc:"Condition: versions of this kind."`
	Status               *string `yaml:"status" shape:"PackageVersionStatus" empty:"none" doc:"Condition: versions with this status."`
	NotDownloadedForDays *int64  `yaml:"notDownloadedForDays" shape:"RetentionDays" empty:"none" doc:"Condition: versions that nobody has downloaded for so many days."`
	RetentionDays        *int64  `yaml:"retentionDays" alias:"keepDays" shape:"RetentionDays" empty:"none" doc:"Of them, those younger than so many days are kept."`
	AgeFrom              *string `yaml:"ageFrom" shape:"RetentionAgeFrom" empty:"none" doc:"When retentionDays begin."`
	MaxVersionsRetained  *int64  `yaml:"maxVersionsRetained" alias:"keepVersions" shape:"RetentionVersions" empty:"none" doc:"Of them, so many of the newest of each package are kept."`
	Keep                 *bool   `yaml:"keep" empty:"none" doc:"They are kept."`
	Remove               *bool   `yaml:"remove" empty:"none" doc:"They go."`
}

// DomainRetention is a Retention for all versions, or one for each way that
// versions come in, and when what it says is done.
type DomainRetention struct {
	Retention `yaml:",inline"`
	Published *Retention `yaml:"published" doc:"For versions that are published here."`
	Ingested  *Retention `yaml:"ingested" doc:"For versions that come from external connections."`
	Schedule  *string    `yaml:"schedule" shape:"RetentionSchedule" empty:"0 3 * * *" doc:"When the domain is tidied, in five fields as cron has them, in UTC; empty: daily at 03:00."`
	TrashDays *int64     `yaml:"trashDays" shape:"RetentionDays" empty:"-" doc:"Days for which removed versions can be had back."`
}

// Quota is what a domain or repository may hold. One with nothing set is none.
type Quota struct {
	MaxBytes      *Bytes `yaml:"maxBytes" empty:"none" doc:"Bytes of all assets."`
	MaxVersions   *int64 `yaml:"maxVersions" min:"0" empty:"none" doc:"Versions of all packages."`
	MaxAssetBytes *Bytes `yaml:"maxAssetBytes" empty:"none" doc:"Bytes of any one asset."`
}

// Bytes is a size: a number, or one with a unit such as 10GiB.
type Bytes int64

// PackageGroup is a package group of a domain.
type PackageGroup struct {
	Pattern             string              `yaml:"pattern" shape:"PackageGroupPattern" required:"true" doc:"The packages it is for."`
	ContactInfo         *string             `yaml:"contactInfo" shape:"PackageGroupContactInfo" doc:"Whom to ask about these packages."`
	Description         *string             `yaml:"description" shape:"Description" doc:"What it is for."`
	OriginRestrictions  map[string]string   `yaml:"originRestrictions" key:"PackageGroupOriginRestrictionType" shape:"PackageGroupOriginRestrictionMode" doc:"How versions may come in. A way that is left out is not managed."`
	AllowedRepositories map[string][]string `yaml:"allowedRepositories" key:"PackageGroupOriginRestrictionType" shape:"RepositoryName" doc:"The repositories of each way that is ALLOW_SPECIFIC_REPOSITORIES."`
}

// ManagedPolicy is a managed policy.
type ManagedPolicy struct {
	Name        string    `yaml:"name" shape:"PolicyName" required:"true" doc:"Name of the policy."`
	Path        *string   `yaml:"path" shape:"Path" empty:"/" doc:"Path of the policy; it cannot be changed later."`
	Description *string   `yaml:"description" shape:"Description" doc:"What it is for; it cannot be changed later."`
	Document    *Document `yaml:"document" required:"true" doc:"What it says."`
}

// Rights are the policies of an identity.
type Rights struct {
	Policies         map[string]*Document `yaml:"inlinePolicies" key:"PolicyName" doc:"All inline policies, by name."`
	AttachedPolicies []string             `yaml:"attachedPolicies" shape:"PolicyReference" doc:"All attached managed policies: names of policies of this file, or ARNs."`
}

// Group is an IAM group.
type Group struct {
	Name   string  `yaml:"name" shape:"GroupName" required:"true" doc:"Name of the group."`
	Path   *string `yaml:"path" shape:"Path" empty:"/" doc:"Path of the group."`
	Rights `yaml:",inline"`
}

// User is an IAM user, without secrets.
type User struct {
	Name   string            `yaml:"name" shape:"UserName" required:"true" doc:"Name of the user."`
	Path   *string           `yaml:"path" shape:"Path" empty:"/" doc:"Path of the user."`
	Groups []string          `yaml:"groups" shape:"GroupName" doc:"All groups it is in."`
	Tags   map[string]string `yaml:"tags" key:"TagKey" shape:"TagValue" doc:"All tags of the user."`
	Rights `yaml:",inline"`
}

// Role is an IAM role.
type Role struct {
	Name               string            `yaml:"name" shape:"RoleName" required:"true" doc:"Name of the role."`
	Path               *string           `yaml:"path" shape:"Path" empty:"/" doc:"Path of the role; it cannot be changed later."`
	Description        *string           `yaml:"description" shape:"Description" doc:"What it is for."`
	MaxSessionDuration *int64            `yaml:"maxSessionDuration" min:"3600" max:"43200" empty:"3600" doc:"Longest session in seconds."`
	TrustPolicy        *Document         `yaml:"trustPolicy" required:"true" doc:"Who may assume it."`
	Tags               map[string]string `yaml:"tags" key:"TagKey" shape:"TagValue" doc:"All tags of the role."`
	Rights             `yaml:",inline"`
}

// Topic is an SNS topic.
type Topic struct {
	Name          string         `yaml:"name" shape:"TopicName" required:"true" doc:"Name of the topic."`
	Subscriptions []Subscription `yaml:"subscriptions" doc:"All subscriptions. Whoever is subscribed has to confirm it."`
}

// Subscription is where the messages of a topic go.
type Subscription struct {
	Protocol string `yaml:"protocol" enum:"http,https,email,email-json" required:"true" doc:"How messages are sent."`
	Endpoint string `yaml:"endpoint" shape:"Endpoint" required:"true" doc:"Where they are sent: an address or URL."`
}

// Alarm is a CloudWatch alarm: the members of PutMetricAlarm.
type Alarm struct {
	Name                    string            `yaml:"name" shape:"AlarmName" required:"true" doc:"Name of the alarm."`
	Description             *string           `yaml:"description" shape:"AlarmDescription" doc:"What it means."`
	Namespace               string            `yaml:"namespace" shape:"Namespace" required:"true" doc:"Namespace of the metric: AWS/CodeArtifact."`
	MetricName              string            `yaml:"metricName" shape:"MetricName" required:"true" doc:"The metric."`
	Dimensions              map[string]string `yaml:"dimensions" key:"DimensionName" shape:"DimensionValue" doc:"Of what: DomainName, RepositoryName."`
	Statistic               string            `yaml:"statistic" enum:"SampleCount,Average,Sum,Minimum,Maximum" required:"true" doc:"What is compared with the threshold."`
	Period                  int64             `yaml:"period" min:"60" max:"604800" required:"true" doc:"Seconds of one period, whole minutes."`
	EvaluationPeriods       *int64            `yaml:"evaluationPeriods" min:"1" max:"10080" empty:"1" doc:"Periods that are looked at; default 1."`
	DatapointsToAlarm       *int64            `yaml:"datapointsToAlarm" min:"1" max:"10080" empty:"-" doc:"How many of them must be over the threshold; default all."`
	Threshold               float64           `yaml:"threshold" required:"true" doc:"The value that is compared with."`
	ComparisonOperator      string            `yaml:"comparisonOperator" enum:"GreaterThanOrEqualToThreshold,GreaterThanThreshold,LessThanThreshold,LessThanOrEqualToThreshold" required:"true" doc:"How it is compared."`
	TreatMissingData        *string           `yaml:"treatMissingData" enum:"breaching,notBreaching,ignore,missing" empty:"missing" doc:"What a period without data counts as; default missing."`
	Unit                    *string           `yaml:"unit" shape:"MetricUnit" doc:"Unit of the metric."`
	ActionsEnabled          *bool             `yaml:"actionsEnabled" empty:"true" doc:"Whether actions are taken; default true."`
	AlarmActions            []string          `yaml:"alarmActions" shape:"TopicReference" doc:"Topics told of an alarm: names of topics of this file, or ARNs."`
	OKActions               []string          `yaml:"okActions" shape:"TopicReference" doc:"Topics told that all is well again."`
	InsufficientDataActions []string          `yaml:"insufficientDataActions" shape:"TopicReference" doc:"Topics told that data is missing."`
}

// Document is a policy document, inline or as JSON text. A nil Value is none.
type Document struct{ Value any }
