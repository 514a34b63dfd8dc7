package control

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

// onRecords asks about the domain; for all that an account receives about
// everything.
func onRecords(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	if in.(*api.ListAccessRecordsInput).Domain == "" {
		return []restjson.Need{{Action: action, Resource: "*"}}
	}
	return onDomain(a, c, action, in)
}

func (a *API) listAccessRecords(ctx context.Context, c *restjson.Call, in *api.ListAccessRecordsInput) (*api.ListAccessRecordsOutput, error) {
	if a.opt.Audit == nil {
		return nil, fault.New(fault.Conflict, "this server keeps no access records: its configuration says access-records 0")
	}
	q, err := a.recordQuery(c, in)
	if err != nil {
		return nil, err
	}
	l := page.For[audit.Cursor]("ListAccessRecords", q.Account, q.Domain, q.Repository, q.Principal, string(q.Package.Format), q.Package.Namespace, q.Package.Name,
		q.Version, q.Event, q.From.Format(time.RFC3339Nano), q.To.Format(time.RFC3339Nano))
	if q.After, _, err = l.Key(in.NextToken); err != nil {
		return nil, err
	}
	records, next, more, err := a.opt.Audit.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &api.ListAccessRecordsOutput{Records: make([]api.AccessRecord, len(records))}
	for i := range records {
		out.Records[i] = a.accessRecord(&records[i], q.Account)
	}
	if more {
		out.NextToken = l.Token(next)
	}
	return out, nil
}

func (a *API) recordQuery(c *restjson.Call, in *api.ListAccessRecordsInput) (audit.Query, error) {
	t := targetOf(c, in)
	q := audit.Query{
		Account: t.id.Owner, Domain: in.Domain, Repository: in.Repository, Principal: in.Principal, Version: a.opt.Registry.NormalizeVersion(artifact.Format(in.Format), in.PackageVersion), Event: in.EventName,
		Limit: limitOf(in.MaxResults, 100),
	}
	if in.StartTime != nil {
		q.From = in.StartTime.Time
	}
	if in.EndTime != nil {
		q.To = in.EndTime.Time
	}
	switch {
	case in.Domain == "" && in.DomainOwner != "":
		return q, fault.Field("domainOwner", "needs a domain; without one the records are those your account receives")
	case in.Domain == "" && (in.Repository != "" || in.Package != ""):
		return q, fault.Field("domain", "is needed with a repository or a package")
	case in.PackageVersion != "" && in.Package == "":
		return q, fault.Field("package", "is needed with a version")
	case in.Package != "" && in.Format == "":
		return q, fault.Field("format", "is needed with a package")
	case in.Package == "" && (in.Format != "" || in.Namespace != ""):
		return q, fault.Field("package", "is needed with a format or namespace")
	case in.Package == "":
		return q, nil
	}
	t, err := a.packageOf(c, in)
	q.Package = t.c
	return q, err
}

// accessRecord shows a record in the shape of CloudTrail, as a receiver has it.
func (a *API) accessRecord(r *audit.Record, receiver string) api.AccessRecord {
	out := api.AccessRecord{
		EventVersion: "1.08", UserIdentity: userIdentity(r), EventTime: r.Time.Format("2006-01-02T15:04:05.000Z"),
		EventSource: r.Source, EventName: r.Event, AwsRegion: a.opt.Region, SourceIPAddress: r.Client, UserAgent: r.Agent,
		ErrorCode: r.Code, ErrorMessage: r.Message, ResponseElements: flat(r.Response),
		AdditionalEventData: &api.AccessRecordDetail{HTTPStatus: r.Status},
		RequestID:           r.ID.String(), EventID: eventID(r.ID), ReadOnly: r.ReadOnly,
		EventType: "AwsApiCall", ManagementEvent: true, EventCategory: "Management", RecipientAccountID: receiver,
	}
	if r.Status == 0 {
		out.AdditionalEventData.Outcome = "unknown"
	}
	if r.Parameters != "" || r.Source != audit.CodeArtifact || r.Package.Format == "" { // an API call
		out.RequestParameters = flat(r.Parameters)
		return out
	}
	out.AdditionalEventData.HTTPMethod = r.Method
	out.AdditionalEventData.RequestURI = "/" + string(r.Package.Format) + "/" + r.Path
	out.RequestParameters = requestParameters(r)
	return out
}

func requestParameters(r *audit.Record) map[string]string {
	all := map[string]string{
		"domainName": r.Repository.Domain, "domainOwner": r.Repository.Owner, "repositoryName": r.Repository.Name,
		"packageFormat": string(r.Package.Format), "packageNamespace": r.Package.Namespace, "packageName": r.Package.Name, "packageVersion": r.Version,
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// flat is a JSON object with its members as text: lists and objects in it stay
// JSON.
func flat(text string) map[string]string {
	if text == "" {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return nil
	}
	out := make(map[string]string, len(members))
	for name, value := range members {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		out[name] = s
	}
	return out
}

// eventID names the record: a UUID like the request's, and another one.
func eventID(id audit.ID) string {
	var event audit.ID
	for i, b := range id {
		event[len(id)-1-i] = b ^ 0x5a
	}
	event[6] = event[6]&0x0f | 0x40
	event[8] = event[8]&0x3f | 0x80
	return event.String()
}

const isoTime = "2006-01-02T15:04:05Z"

func userIdentity(r *audit.Record) *api.UserIdentity {
	u := &api.UserIdentity{PrincipalID: r.UserID, Arn: r.ARN, AccountID: r.Account, AccessKeyID: r.KeyID, UserName: r.UserName}
	switch r.Kind {
	case policy.User:
		u.Type = "IAMUser"
	case policy.AssumedRole:
		u.Type = "AssumedRole"
		role, _, _ := strings.Cut(r.UserID, ":")
		u.SessionContext = &api.SessionContext{SessionIssuer: &api.SessionIssuer{
			Type: "Role", PrincipalID: role, Arn: r.RoleARN, AccountID: r.Account, UserName: r.RoleARN[strings.LastIndexByte(r.RoleARN, '/')+1:],
		}}
	case policy.Root:
		u.Type = "Root"
	case policy.Service:
		u.Type = "AWSService"
	case policy.Federated:
		u.Type = "WebIdentityUser"
	case policy.Anonymous:
		u.Type = "Unknown" // refused before it was known
		if r.Code != audit.Unauthenticated {
			u.Type, u.AccountID = "AWSAccount", "ANONYMOUS_PRINCIPAL"
		}
	}
	if !r.Began.IsZero() {
		if u.SessionContext == nil {
			u.SessionContext = &api.SessionContext{}
		}
		u.SessionContext.Attributes = &api.SessionAttributes{CreationDate: r.Began.Format(isoTime)}
	}
	return u
}
