package api

// PutDomainQuotaInput is what PutDomainQuota takes; the members that are
// left out are not limited.
type PutDomainQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`

	MaxBytes      *int64 `json:"maxBytes" validate:"QuotaLimit"`
	MaxVersions   *int64 `json:"maxVersions" validate:"QuotaLimit"`
	MaxAssetBytes *int64 `json:"maxAssetBytes" validate:"QuotaLimit"`
}

// PutDomainQuotaOutput is what PutDomainQuota gives.
type PutDomainQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// PutRepositoryQuotaInput is what PutRepositoryQuota takes; the members that are
// left out are not limited.
type PutRepositoryQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`

	MaxBytes      *int64 `json:"maxBytes" validate:"QuotaLimit"`
	MaxVersions   *int64 `json:"maxVersions" validate:"QuotaLimit"`
	MaxAssetBytes *int64 `json:"maxAssetBytes" validate:"QuotaLimit"`
}

// PutRepositoryQuotaOutput is what PutRepositoryQuota gives.
type PutRepositoryQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// GetDomainQuotaInput is what GetDomainQuota takes.
type GetDomainQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
}

// GetDomainQuotaOutput is what GetDomainQuota gives.
type GetDomainQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// GetRepositoryQuotaInput is what GetRepositoryQuota takes.
type GetRepositoryQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// GetRepositoryQuotaOutput is what GetRepositoryQuota gives.
type GetRepositoryQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// DeleteDomainQuotaInput is what DeleteDomainQuota takes.
type DeleteDomainQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
}

// DeleteDomainQuotaOutput is what DeleteDomainQuota gives.
type DeleteDomainQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// DeleteRepositoryQuotaInput is what DeleteRepositoryQuota takes.
type DeleteRepositoryQuotaInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// DeleteRepositoryQuotaOutput is what DeleteRepositoryQuota gives.
type DeleteRepositoryQuotaOutput struct {
	Quota *Quota `json:"quota,omitzero"`
}

// Quota is what a repository or a domain may hold and what it holds. Bytes of a
// repository are those of all its assets; of a domain each content counts once.
type Quota struct {
	Arn           string `json:"arn,omitempty"`
	MaxBytes      *int64 `json:"maxBytes,omitzero"`
	MaxVersions   *int64 `json:"maxVersions,omitzero"`
	MaxAssetBytes *int64 `json:"maxAssetBytes,omitzero"`
	UsedBytes     int64  `json:"usedBytes"`
	UsedVersions  int64  `json:"usedVersions"`
}
