// Package api holds what the CodeArtifact operations take and give, as types
// bound to the wire by the struct tags of package restjson. The names of the
// operations and their fields are those of the service model 2018-09-22 and of
// the AWS SDKs; nothing else of ours uses them.
//
// The types have no behaviour. A pointer means that absent differs from zero:
// numbers in inputs, and the texts of UpdateRepository and UpdatePackageGroup,
// where "" clears what absent leaves alone. Likewise nil Upstreams are absent
// and empty ones are the empty list. In outputs lists and maps are always
// written, empty texts never.
package api

import "packhouse/internal/restjson"

// Shapes are the constraints the inputs name in their validate tags
// (reference section 2.1). Two are wider than the model: a continuation token
// of ours may be longer than 2,000 characters, when the key it holds is in a
// script of four-byte letters; and the header that holds a published asset's
// hash may instead say how the body is signed.
func Shapes() restjson.Shapes {
	type s = restjson.Shape
	return restjson.Shapes{
		"AccountId":              s{Min: 12, Max: 12, Pattern: `[0-9]{12}`},
		"Arn":                    s{Min: 1, Max: 1011, Pattern: `\S+`},
		"AssetName":              s{Min: 1, Max: 255, Pattern: `\P{C}+`},
		"ContentSHA256":          s{Min: 1, Max: 64, Pattern: `[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]+`},
		"Description":            s{Max: 1000, Pattern: `\P{C}*`},
		"DomainName":             s{Min: 2, Max: 50, Pattern: `[a-z][a-z0-9\-]{0,48}[a-z0-9]`},
		"EventName":              s{Min: 1, Max: 100, Pattern: `[A-Za-z0-9]+`},
		"ExternalConnectionName": s{Min: 2, Max: 100, Pattern: `[A-Za-z0-9][A-Za-z0-9._\-:]{1,99}`},
		"PackageName":            s{Min: 1, Max: 255, Pattern: `[^#/\s]+`},
		"PackageNamespace":       s{Min: 1, Max: 255, Pattern: `[^#/\s]+`},
		"PackageVersion":         s{Min: 1, Max: 255, Pattern: `[^#/\s]+`},
		"PackageVersionRevision": s{Min: 1, Max: 50, Pattern: `\S+`},
		"PaginationToken":        s{Min: 1, Max: 8192, Pattern: `\S+`},
		"PolicyDocument":         s{Min: 1, Max: 7168, Pattern: `[\P{C}\s]+`},
		"PolicyRevision":         s{Min: 1, Max: 100, Pattern: `\S+`},
		"RepositoryName":         s{Min: 2, Max: 100, Pattern: `[A-Za-z0-9][A-Za-z0-9._\-]{1,99}`},
		"TagKey":                 s{Min: 1, Max: 128, Pattern: `\P{C}+`},
		"TagValue":               s{Max: 256, Pattern: `\P{C}*`},

		"StorageCheckId": s{Min: 20, Max: 20, Pattern: `[0-9a-z]+`},

		"AccountName": s{Min: 1, Max: 50, Pattern: `[\P{C}]+`},
		"UserName":    s{Min: 1, Max: 64, Pattern: `[\w+=,.@-]+`},

		"PackageGroupContactInfo":   s{Max: 1000, Pattern: `\P{C}*`},
		"PackageGroupPattern":       s{Min: 2, Max: 520, Pattern: `[^\p{C}\p{Z}\s]+`},
		"PackageGroupPatternPrefix": s{Max: 520, Pattern: `\P{C}*`},

		"ActionName":      s{Min: 3, Max: 128, Pattern: `[A-Za-z0-9-]+:[A-Za-z0-9]+`},
		"ContextMap":      s{Max: 100, Key: "ContextKey", Member: "ContextValues"},
		"ContextKey":      s{Min: 3, Max: 256, Pattern: `\S+`},
		"ContextValues":   s{Max: 100},
		"PrincipalName":   s{Min: 1, Max: 1011, Pattern: `[\w+=,.@:/-]+`},
		"SessionPolicies": s{Max: 12, Member: "SessionPolicy"},
		"SessionPolicy":   s{Min: 1, Max: 131072},

		"RetentionDays":     s{Min: 1, Max: 36500},
		"RetentionVersions": s{Min: 1, Max: 1_000_000},
		"RetentionRuleName": s{Min: 1, Max: 64, Pattern: `\P{C}+`},
		"RetentionRuleList": s{Max: 100},
		"RetentionRunId":    s{Min: 1, Max: 40, Pattern: `[a-z0-9]+`},
		"RetentionSchedule": s{Min: 1, Max: 100, Pattern: `[A-Za-z0-9*/,@ -]+`},
		"PreviewMaxResults": s{Min: 1, Max: 10_000},

		"AuthorizationTokenDurationSeconds": s{Min: 0, Max: 43200},
		"MaxResults":                        s{Min: 1, Max: 1000},
		"ReadingRate":                       s{Min: 1 << 20, Max: 1 << 40},
		"ReportDays":                        s{Min: 1, Max: 1826},
		"QuotaLimit":                        s{Min: 0, Max: 1 << 62},

		"AllowPublish":                      s{Enum: []string{"ALLOW", "BLOCK"}},
		"AllowUpstream":                     s{Enum: []string{"ALLOW", "BLOCK"}},
		"EndpointType":                      s{Enum: []string{"dualstack", "ipv4"}},
		"PackageFormat":                     s{Enum: []string{"npm", "pypi", "maven", "nuget", "generic", "ruby", "swift", "cargo"}},
		"PackageGroupOriginRestrictionMode": s{Enum: []string{"ALLOW", "ALLOW_SPECIFIC_REPOSITORIES", "BLOCK", "INHERIT"}},
		"PackageGroupOriginRestrictionType": s{Enum: []string{"EXTERNAL_UPSTREAM", "INTERNAL_UPSTREAM", "PUBLISH"}},
		"PackageVersionOriginType":          s{Enum: []string{"INTERNAL", "EXTERNAL", "UNKNOWN"}},
		"PackageVersionSortType":            s{Enum: []string{"PUBLISHED_TIME"}},
		"ReportPeriod":                      s{Enum: []string{"MINUTE", "HOUR", "DAY"}},
		"PackageVersionKind":                s{Enum: []string{"RELEASE", "PRERELEASE", "SNAPSHOT"}},
		"RetentionAgeFrom":                  s{Enum: []string{"PUBLISH", "INGESTION", "LAST_DOWNLOAD"}},
		"RetentionOriginType":               s{Enum: []string{"INTERNAL", "EXTERNAL"}},
		"VersionPolicy":                     s{Enum: []string{"RELEASE", "SNAPSHOT", "MIXED"}},
		"PackageVersionStatus":              s{Enum: []string{"Published", "Unfinished", "Unlisted", "Archived", "Disposed", "Deleted"}},

		"OriginRestrictions":        s{Key: "PackageGroupOriginRestrictionType", Member: "PackageGroupOriginRestrictionMode"},
		"PackageVersionList":        s{Max: 100, Member: "PackageVersion"},
		"PackageVersionRevisionMap": s{Key: "PackageVersion", Member: "PackageVersionRevision"},
		"TagKeyList":                s{Max: 200, Member: "TagKey"},
		"TagList":                   s{Max: 200},
	}
}
