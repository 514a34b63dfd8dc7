package api

import "packhouse/internal/restjson"

// The operations of storage checks are not of AWS. A check is about a domain,
// or, without one, about everything, which only the account that manages the
// server may ask for.

// StartStorageCheckInput is what StartStorageCheck takes.
type StartStorageCheckInput struct {
	Domain         string `query:"domain" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repair         *bool  `json:"repair"`                                // fetch again what is lost and came from outside, and set rows right
	BytesPerSecond *int64 `json:"bytesPerSecond" validate:"ReadingRate"` // default 50 MiB
}

// StartStorageCheckOutput is what StartStorageCheck gives.
type StartStorageCheckOutput struct {
	Check *StorageCheck `json:"check,omitzero"`
}

// DescribeStorageCheckInput is what DescribeStorageCheck takes.
type DescribeStorageCheckInput struct {
	Domain      string `query:"domain" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Check       string `query:"check" validate:"StorageCheckId"` // default: the last one
}

// DescribeStorageCheckOutput is what DescribeStorageCheck gives.
type DescribeStorageCheckOutput struct {
	Check *StorageCheck `json:"check,omitzero"`
}

// StopStorageCheckInput is what StopStorageCheck takes.
type StopStorageCheckInput struct {
	Domain      string `query:"domain" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Check       string `query:"check" required:"true" validate:"StorageCheckId"`
}

// StopStorageCheckOutput is what StopStorageCheck gives.
type StopStorageCheckOutput struct {
	Check *StorageCheck `json:"check,omitzero"`
}

// ListStorageFindingsInput is what ListStorageFindings takes.
type ListStorageFindingsInput struct {
	Domain      string `query:"domain" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Check       string `query:"check" validate:"StorageCheckId"` // default: the last one
	MaxResults  *int32 `query:"max-results" validate:"MaxResults"`
	NextToken   string `query:"next-token" validate:"PaginationToken"`
}

// ListStorageFindingsOutput is what ListStorageFindings gives.
type ListStorageFindingsOutput struct {
	Findings  []StorageFinding `json:"findings"`
	NextToken string           `json:"nextToken,omitempty"`
}

// StorageCheck is a check and how far it is. Of the contents and bytes there are
// as many as there were when it began.
type StorageCheck struct {
	CheckID         string         `json:"checkId"`
	State           string         `json:"state"` // RUNNING, DONE, STOPPED
	Repair          bool           `json:"repair"`
	BytesPerSecond  int64          `json:"bytesPerSecond"`
	CheckedContents int64          `json:"checkedContents"`
	CheckedBytes    int64          `json:"checkedBytes"`
	AllContents     int64          `json:"allContents"`
	AllBytes        int64          `json:"allBytes"`
	Reported        int64          `json:"reported"`    // findings about which nothing was done
	Quarantined     int64          `json:"quarantined"` // damaged contents that were moved aside and are not there again
	Repaired        int64          `json:"repaired"`
	CreatedTime     *restjson.Time `json:"createdTime,omitzero"`
	UpdatedTime     *restjson.Time `json:"updatedTime,omitzero"`
	FinishedTime    *restjson.Time `json:"finishedTime,omitzero"`
}

// StorageFinding is one thing that is not as it should be.
type StorageFinding struct {
	Kind       string         `json:"kind"`    // DAMAGED, SIZE, MISSING, UNRECORDED, UNKNOWN
	Outcome    string         `json:"outcome"` // REPORTED, QUARANTINED, REPAIRED
	Sha256     string         `json:"sha256"`
	Detail     string         `json:"detail,omitempty"`
	Repository string         `json:"repository,omitempty"` // of one of the assets with these bytes, as are the next four
	Format     string         `json:"format,omitempty"`
	Namespace  string         `json:"namespace,omitempty"`
	Package    string         `json:"package,omitempty"`
	Version    string         `json:"version,omitempty"`
	Asset      string         `json:"asset,omitempty"`
	Time       *restjson.Time `json:"time,omitzero"`
}
