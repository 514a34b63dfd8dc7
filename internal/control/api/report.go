package api

import "packhouse/internal/restjson"

// The reports are not operations of AWS. Each is about a domain or, with a
// repository, about that one alone.

// GetStorageReportInput is what GetStorageReport takes.
type GetStorageReportInput struct {
	Domain       string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner  string `query:"domain-owner" validate:"AccountId"`
	Repository   string `query:"repository" validate:"RepositoryName"`
	ForecastDays *int32 `query:"forecast-days" validate:"ReportDays"` // how far to look ahead, default 90
}

// GetStorageReportOutput is what GetStorageReport gives. Bytes of a domain count
// each content once; of a repository every asset of every version.
type GetStorageReportOutput struct {
	AsOf         *restjson.Time      `json:"asOf,omitzero"`
	Bytes        int64               `json:"bytes"`        // of the domain, or of the repository that was asked for
	LogicalBytes int64               `json:"logicalBytes"` // of all repositories together
	Repositories []RepositoryStorage `json:"repositories"`
	Growth       *StorageGrowth      `json:"growth,omitzero"` // absent before there are three days to judge by
}

// RepositoryStorage is what a repository holds.
type RepositoryStorage struct {
	Repository string `json:"repository"`
	Bytes      int64  `json:"bytes"`
	Assets     int64  `json:"assets"`
	Versions   int64  `json:"versions"`
}

// StorageGrowth is a line through the days so far, and where it leads: in 19 of
// 20 cases between the low and the high, should nothing but chance change.
type StorageGrowth struct {
	Days          int32          `json:"days"` // that were looked at
	BytesPerDay   int64          `json:"bytesPerDay"`
	ForecastTime  *restjson.Time `json:"forecastTime,omitzero"`
	ExpectedBytes int64          `json:"expectedBytes"`
	LowBytes      int64          `json:"lowBytes"`
	HighBytes     int64          `json:"highBytes"`
}

// GetUsageReportInput is what GetUsageReport takes. With a package it is about
// that, by the day; without, by the period.
type GetUsageReportInput struct {
	Domain      string         `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string         `query:"domain-owner" validate:"AccountId"`
	Repository  string         `query:"repository" validate:"RepositoryName"`
	Format      string         `query:"format" validate:"PackageFormat"`
	Namespace   string         `query:"namespace" validate:"PackageNamespace"`
	Package     string         `query:"package" validate:"PackageName"` // needs Format
	Period      string         `json:"period" validate:"ReportPeriod"`  // MINUTE, HOUR or DAY, the default
	StartTime   *restjson.Time `json:"startTime"`                       // default: 30 days before the end
	EndTime     *restjson.Time `json:"endTime"`                         // not included; default: now
}

// GetUsageReportOutput is what GetUsageReport gives: the sums and the periods in
// which there was something to count.
type GetUsageReportOutput struct {
	StartTime    *restjson.Time `json:"startTime,omitzero"`
	EndTime      *restjson.Time `json:"endTime,omitzero"`
	CountedSince *restjson.Time `json:"countedSince,omitzero"` // nothing before it is known
	Total        *Usage         `json:"total,omitzero"`
	Points       []Usage        `json:"points"`
}

// Usage is what was counted, in one period or in all.
type Usage struct {
	Time            *restjson.Time `json:"time,omitzero"`   // the beginning of the period; absent of all
	Downloads       int64          `json:"downloads"`       // assets sent whole
	Publishes       int64          `json:"publishes"`       // that have stored something
	Deletes         int64          `json:"deletes"`         // versions
	CacheHits       int64          `json:"cacheHits"`       // documents and assets answered from here
	CacheMisses     int64          `json:"cacheMisses"`     // and those fetched outside
	CacheHitPercent int64          `json:"cacheHitPercent"` // rounded down; 0 when there were neither
	BytesServed     int64          `json:"bytesServed"`     // of the bodies of answers
	BytesSaved      int64          `json:"bytesSaved"`      // of what comes from outside, served without fetching it
	Requests        int64          `json:"requests"`        // 0 of a package, as are the next two
	Errors          int64          `json:"errors"`          // answers 5xx
	ClientErrors    int64          `json:"clientErrors"`    // answers 4xx
}

// GetPopularPackagesInput is what GetPopularPackages takes.
type GetPopularPackagesInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" validate:"RepositoryName"`
	Days        *int32 `query:"days" validate:"ReportDays"`         // up to today, default 30
	MaxPackages *int32 `query:"max-packages" validate:"MaxResults"` // default 20
}

// GetPopularPackagesOutput is what GetPopularPackages gives, the most downloaded
// first.
type GetPopularPackagesOutput struct {
	CountedSince *restjson.Time   `json:"countedSince,omitzero"`
	Packages     []PopularPackage `json:"packages"`
}

// PopularPackage is what was done with a package.
type PopularPackage struct {
	Format      string `json:"format"`
	Namespace   string `json:"namespace,omitempty"`
	Package     string `json:"package"`
	Downloads   int64  `json:"downloads"`
	CacheHits   int64  `json:"cacheHits"`
	CacheMisses int64  `json:"cacheMisses"`
	BytesServed int64  `json:"bytesServed"`
	BytesSaved  int64  `json:"bytesSaved"`
}

// GetStalePackagesInput is what GetStalePackages takes.
type GetStalePackagesInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" validate:"RepositoryName"`
	Days        *int32 `query:"days" validate:"ReportDays"` // without a download, default 90
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// GetStalePackagesOutput is what GetStalePackages gives, by repository, format,
// namespace and name.
type GetStalePackagesOutput struct {
	CountedSince *restjson.Time `json:"countedSince,omitzero"`
	Packages     []StalePackage `json:"packages"`
	NextToken    string         `json:"nextToken,omitempty"`
}

// StalePackage is a package of which no version was published or downloaded for
// that long.
type StalePackage struct {
	Repository        string         `json:"repository"`
	Format            string         `json:"format"`
	Namespace         string         `json:"namespace,omitempty"`
	Package           string         `json:"package"`
	Versions          int64          `json:"versions"`
	Bytes             int64          `json:"bytes"`
	Downloads         int64          `json:"downloads"`
	LastDownloadTime  *restjson.Time `json:"lastDownloadTime,omitzero"` // absent: never
	LastPublishedTime *restjson.Time `json:"lastPublishedTime,omitzero"`
}
