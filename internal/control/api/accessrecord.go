package api

import "packhouse/internal/restjson"

// ListAccessRecordsInput is what ListAccessRecords takes; it is not an
// operation of AWS. With a domain it lists the records about the domain, without
// one all that the caller's account receives, those of IAM and STS among them.
type ListAccessRecordsInput struct {
	Domain         string         `query:"domain" validate:"DomainName"`
	DomainOwner    string         `query:"domain-owner" validate:"AccountId"`
	Repository     string         `query:"repository" validate:"RepositoryName"` // needs Domain
	Principal      string         `json:"principal" validate:"Arn"`              // a user, a role's session, or a role for all its sessions
	Format         string         `query:"format" validate:"PackageFormat"`
	Namespace      string         `query:"namespace" validate:"PackageNamespace"`
	Package        string         `query:"package" validate:"PackageName"`    // needs Domain and Format
	PackageVersion string         `query:"version" validate:"PackageVersion"` // needs Package
	EventName      string         `json:"eventName" validate:"EventName"`
	StartTime      *restjson.Time `json:"startTime"`
	EndTime        *restjson.Time `json:"endTime"` // not included
	MaxResults     *int32         `query:"max-results" validate:"MaxResults"`
	NextToken      string         `query:"next-token" validate:"PaginationToken"`
}

// ListAccessRecordsOutput is what ListAccessRecords gives, newest first.
type ListAccessRecordsOutput struct {
	Records   []AccessRecord `json:"records"`
	NextToken string         `json:"nextToken,omitempty"`
}

// AccessRecord is one call or request in the shape of CloudTrail (section 12.2).
type AccessRecord struct {
	EventVersion        string              `json:"eventVersion"`
	UserIdentity        *UserIdentity       `json:"userIdentity"`
	EventTime           string              `json:"eventTime"` // when it was answered
	EventSource         string              `json:"eventSource"`
	EventName           string              `json:"eventName"`
	AwsRegion           string              `json:"awsRegion"`
	SourceIPAddress     string              `json:"sourceIPAddress,omitempty"`
	UserAgent           string              `json:"userAgent,omitempty"`
	ErrorCode           string              `json:"errorCode,omitempty"`
	ErrorMessage        string              `json:"errorMessage,omitempty"`
	RequestParameters   map[string]string   `json:"requestParameters,omitempty"`
	ResponseElements    map[string]string   `json:"responseElements,omitempty"`
	AdditionalEventData *AccessRecordDetail `json:"additionalEventData,omitzero"`
	RequestID           string              `json:"requestID"`
	EventID             string              `json:"eventID"`
	ReadOnly            bool                `json:"readOnly"`
	EventType           string              `json:"eventType"`
	ManagementEvent     bool                `json:"managementEvent"`
	EventCategory       string              `json:"eventCategory"`
	RecipientAccountID  string              `json:"recipientAccountId"`
}

// UserIdentity is who made a request.
type UserIdentity struct {
	Type           string          `json:"type"` // IAMUser, AssumedRole, Root, AWSAccount (nobody in particular), Unknown (refused before it was known)
	PrincipalID    string          `json:"principalId,omitempty"`
	Arn            string          `json:"arn,omitempty"`
	AccountID      string          `json:"accountId,omitempty"`
	AccessKeyID    string          `json:"accessKeyId,omitempty"`
	UserName       string          `json:"userName,omitempty"`
	SessionContext *SessionContext `json:"sessionContext,omitzero"`
}

// SessionContext is the session of temporary credentials.
type SessionContext struct {
	SessionIssuer *SessionIssuer     `json:"sessionIssuer,omitzero"`
	Attributes    *SessionAttributes `json:"attributes,omitzero"`
}

// SessionIssuer is the role of a session.
type SessionIssuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId,omitempty"`
	Arn         string `json:"arn,omitempty"`
	AccountID   string `json:"accountId,omitempty"`
	UserName    string `json:"userName,omitempty"`
}

// SessionAttributes tell when a session began.
type SessionAttributes struct {
	CreationDate string `json:"creationDate"`
}

// AccessRecordDetail is what CodeArtifact adds to its events.
type AccessRecordDetail struct {
	HTTPMethod string `json:"httpMethod,omitempty"`
	RequestURI string `json:"requestUri,omitempty"` // /FORMAT/PATH, without the repository and the query
	HTTPStatus int    `json:"httpStatus,omitempty"`
	// Outcome says "unknown" of a change whose request the server did not live
	// to answer.
	Outcome string `json:"outcome,omitempty"`
}
