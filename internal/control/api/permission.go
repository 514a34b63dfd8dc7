package api

// PutDomainPermissionsPolicyInput is what PutDomainPermissionsPolicy takes.
type PutDomainPermissionsPolicyInput struct {
	Domain         string `json:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `json:"domainOwner" validate:"AccountId"`
	PolicyRevision string `json:"policyRevision" validate:"PolicyRevision"`
	PolicyDocument string `json:"policyDocument" required:"true" validate:"PolicyDocument"`
}

// PutDomainPermissionsPolicyOutput is what PutDomainPermissionsPolicy gives.
type PutDomainPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// GetDomainPermissionsPolicyInput is what GetDomainPermissionsPolicy takes.
type GetDomainPermissionsPolicyInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
}

// GetDomainPermissionsPolicyOutput is what GetDomainPermissionsPolicy gives.
type GetDomainPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// DeleteDomainPermissionsPolicyInput is what DeleteDomainPermissionsPolicy takes.
type DeleteDomainPermissionsPolicyInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	PolicyRevision string `query:"policy-revision" validate:"PolicyRevision"`
}

// DeleteDomainPermissionsPolicyOutput is what DeleteDomainPermissionsPolicy gives.
type DeleteDomainPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// PutRepositoryPermissionsPolicyInput is what PutRepositoryPermissionsPolicy takes.
type PutRepositoryPermissionsPolicyInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	PolicyRevision string `json:"policyRevision" validate:"PolicyRevision"`
	PolicyDocument string `json:"policyDocument" required:"true" validate:"PolicyDocument"`
}

// PutRepositoryPermissionsPolicyOutput is what PutRepositoryPermissionsPolicy gives.
type PutRepositoryPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// GetRepositoryPermissionsPolicyInput is what GetRepositoryPermissionsPolicy takes.
type GetRepositoryPermissionsPolicyInput struct {
	Domain      string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner string `query:"domain-owner" validate:"AccountId"`
	Repository  string `query:"repository" required:"true" validate:"RepositoryName"`
}

// GetRepositoryPermissionsPolicyOutput is what GetRepositoryPermissionsPolicy gives.
type GetRepositoryPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// DeleteRepositoryPermissionsPolicyInput is what DeleteRepositoryPermissionsPolicy takes.
type DeleteRepositoryPermissionsPolicyInput struct {
	Domain         string `query:"domain" required:"true" validate:"DomainName"`
	DomainOwner    string `query:"domain-owner" validate:"AccountId"`
	Repository     string `query:"repository" required:"true" validate:"RepositoryName"`
	PolicyRevision string `query:"policy-revision" validate:"PolicyRevision"`
}

// DeleteRepositoryPermissionsPolicyOutput is what DeleteRepositoryPermissionsPolicy gives.
type DeleteRepositoryPermissionsPolicyOutput struct {
	Policy *ResourcePolicy `json:"policy,omitzero"`
}

// ResourcePolicy is a resource policy; the document is JSON in a string.
type ResourcePolicy struct {
	ResourceArn string `json:"resourceArn,omitempty"`
	Revision    string `json:"revision,omitempty"`
	Document    string `json:"document,omitempty"`
}
