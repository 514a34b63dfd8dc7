package iamapi

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"packhouse/internal/awsquery"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// WebIdentityInput is a token and the role that is wanted for it. The token is
// as good as a password.
type WebIdentityInput struct {
	RoleArn          string             `json:"RoleArn" required:"true" validate:"Arn"`
	RoleSessionName  string             `json:"RoleSessionName" required:"true" validate:"RoleSessionName"`
	WebIdentityToken string             `json:"WebIdentityToken" required:"true" validate:"WebIdentityToken"`
	ProviderId       string             `json:"ProviderId"` // of issuers before OpenID Connect
	PolicyArns       []PolicyDescriptor `json:"PolicyArns" validate:"SessionPolicies"`
	Policy           string             `json:"Policy" validate:"SessionPolicy"`
	DurationSeconds  *int               `json:"DurationSeconds" validate:"RoleDuration"`
}

// WebIdentityOutput has the credentials of a session, and what the token said.
type WebIdentityOutput struct {
	Credentials                 *Credentials     `json:"Credentials"`
	SubjectFromWebIdentityToken string           `json:"SubjectFromWebIdentityToken"`
	AssumedRoleUser             *AssumedRoleUser `json:"AssumedRoleUser"`
	PackedPolicySize            *int             `json:"PackedPolicySize"` // percent
	Provider                    string           `json:"Provider"`         // the issuer
	Audience                    string           `json:"Audience"`
}

const webAction = "sts:AssumeRoleWithWebIdentity"

// assumeRoleWithWebIdentity is for callers without credentials: nothing is told
// to them that their token does not say itself, once it is verified.
func (a *API) assumeRoleWithWebIdentity(ctx context.Context, c *restjson.Call, in *WebIdentityInput) (*WebIdentityOutput, error) {
	if in.ProviderId != "" {
		return nil, fault.New(fault.Invalid, "ProviderId is not supported by this server: tokens have to be those of OpenID Connect")
	}
	role, err := roleNamed(in.RoleArn)
	if err != nil {
		return nil, err
	}
	facts := identity.Facts{Time: c.Time, SourceIP: c.SourceIP, UserAgent: c.UserAgent, Secure: c.Secure}
	who, caller, err := a.ids.WebIdentity(ctx, role.Account, in.WebIdentityToken, facts)
	if refused, ok := errors.AsType[*identity.WebError](err); ok {
		return nil, awsquery.WithCode(refused.Code, err)
	}
	if err != nil {
		return nil, err
	}
	c.Principal = caller // for the records
	ask := &AssumeRoleInput{
		RoleArn: in.RoleArn, RoleSessionName: in.RoleSessionName, Policy: in.Policy, PolicyArns: in.PolicyArns, DurationSeconds: in.DurationSeconds,
	}
	for _, key := range slices.Sorted(maps.Keys(who.Tags)) {
		value := who.Tags[key]
		ask.Tags = append(ask.Tags, Tag{Key: key, Value: &value})
	}
	made, err := a.begin(ctx, caller, assumption{AssumeRoleInput: ask, action: webAction, federated: who.Federation(), keys: who.Keys})
	if fault.Is(err, fault.Denied) {
		return nil, notTrusted(in.RoleArn, who)
	}
	if err != nil {
		return nil, err
	}
	return &WebIdentityOutput{
		Credentials: made.Credentials, AssumedRoleUser: made.AssumedRoleUser, PackedPolicySize: made.PackedPolicySize,
		SubjectFromWebIdentityToken: who.Subject, Provider: who.Provider.Issuer, Audience: who.Audience,
	}, nil
}

// notTrusted says what a trust policy would have to let in. It is the same for
// a role that is not there.
func notTrusted(role string, who identity.WebIdentity) error {
	name := identity.ProviderName(who.Provider.Issuer)
	said := []string{name + ":sub = " + who.Subject, name + ":aud = " + who.Audience}
	also := ""
	if len(who.Tags) > 0 {
		also = " and sts:TagSession"
	}
	return fault.New(fault.Denied, "Not authorized to perform %s: the trust policy of %s, if there is such a role, has to allow that%s to the Federated principal %s under conditions that fit the token, which says %s",
		webAction, role, also, who.Provider.ARN, strings.Join(said, " and "))
}
