package iamapi

import (
	"context"
	"maps"
	"time"

	"packhouse/internal/access"
	"packhouse/internal/arn"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

const (
	defaultRoleSession = time.Hour
	defaultUserSession = 12 * time.Hour
	maxChained         = time.Hour // of a role assumed by a session of a role
	maxPacked          = 2048      // characters of session policies, ARNs and tags together
)

// PolicyDescriptor names a managed policy.
type PolicyDescriptor struct {
	Arn string `json:"arn" required:"true" validate:"Arn"`
}

// AssumeRoleInput says which role for whom.
type AssumeRoleInput struct {
	RoleArn         string             `json:"RoleArn" required:"true" validate:"Arn"`
	RoleSessionName string             `json:"RoleSessionName" required:"true" validate:"RoleSessionName"`
	Policy          string             `json:"Policy" validate:"SessionPolicy"`
	PolicyArns      []PolicyDescriptor `json:"PolicyArns" validate:"SessionPolicies"`
	DurationSeconds *int               `json:"DurationSeconds" validate:"RoleDuration"`
	ExternalId      string             `json:"ExternalId" validate:"ExternalID"`
	Tags            []Tag              `json:"Tags" validate:"Tags"`

	// What AWS knows and we do not do: refused, lest somebody relies on it.
	SourceIdentity    string   `json:"SourceIdentity"`
	TransitiveTagKeys []string `json:"TransitiveTagKeys"`
	SerialNumber      string   `json:"SerialNumber"`
	TokenCode         string   `json:"TokenCode"`
}

// Credentials are temporary ones in an answer.
type Credentials struct {
	AccessKeyId     string         `json:"AccessKeyId"`
	SecretAccessKey string         `json:"SecretAccessKey"`
	SessionToken    string         `json:"SessionToken"`
	Expiration      *restjson.Time `json:"Expiration"`
}

func credentialsOf(c identity.Credentials) *Credentials {
	return &Credentials{c.AccessKeyID, string(c.Secret), string(c.Token), restjson.At(c.Expires)}
}

// AssumedRoleUser is who the credentials are.
type AssumedRoleUser struct {
	AssumedRoleId string `json:"AssumedRoleId"`
	Arn           string `json:"Arn"`
}

// AssumeRoleOutput has the credentials of a session.
type AssumeRoleOutput struct {
	Credentials      *Credentials     `json:"Credentials"`
	AssumedRoleUser  *AssumedRoleUser `json:"AssumedRoleUser"`
	PackedPolicySize *int             `json:"PackedPolicySize"` // percent
}

// context is what the session gets besides the role, and its size.
func (in *AssumeRoleInput) context() (given identity.Context, size int, err error) {
	tags, err := checkedTags(in.Tags)
	if err != nil {
		return given, 0, err
	}
	for _, t := range tags {
		if given.Tags == nil {
			given.Tags = map[string]string{}
		}
		given.Tags[t.Key] = t.Value
		size += len(t.Key) + len(t.Value)
	}
	if in.Policy != "" {
		if err := readable(in.Policy); err != nil {
			return given, 0, err
		}
		given.Policies = []string{in.Policy}
		size += len(in.Policy)
	}
	for _, p := range in.PolicyArns {
		given.PolicyARNs = append(given.PolicyARNs, p.Arn)
		size += len(p.Arn)
	}
	return given, size, nil
}

// conditions is what trust and identity policies may ask about.
func (in *AssumeRoleInput) conditions() map[string][]string {
	keys := tagConditions(in.Tags)
	if keys == nil {
		keys = map[string][]string{}
	}
	keys["sts:RoleSessionName"] = []string{in.RoleSessionName}
	if in.ExternalId != "" {
		keys["sts:ExternalId"] = []string{in.ExternalId}
	}
	return keys
}

func (in *AssumeRoleInput) unsupported() error {
	for _, m := range []struct {
		name  string
		given bool
	}{
		{"SourceIdentity", in.SourceIdentity != ""},
		{"TransitiveTagKeys", len(in.TransitiveTagKeys) > 0},
		{"SerialNumber", in.SerialNumber != ""},
		{"TokenCode", in.TokenCode != ""},
	} {
		if m.given {
			return fault.New(fault.Invalid, "%s is not supported by this server", m.name)
		}
	}
	return nil
}

func (a *API) assumeRole(ctx context.Context, c *restjson.Call, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
	caller, err := callerOf(c)
	if err != nil {
		return nil, err
	}
	if err := in.unsupported(); err != nil {
		return nil, err
	}
	return a.begin(ctx, caller, assumption{action: "sts:AssumeRole", AssumeRoleInput: in})
}

// assumption is a session that is asked for.
type assumption struct {
	*AssumeRoleInput
	action    string               // that the trust policy has to allow
	federated *identity.Federation // of a web identity
	keys      map[string][]string  // further condition keys
}

// begin opens a session for a caller, whom the trust policy has to let in.
func (a *API) begin(ctx context.Context, caller identity.Caller, in assumption) (*AssumeRoleOutput, error) {
	given, size, err := in.context()
	if err != nil {
		return nil, err
	}
	given.Federated = in.federated
	role, err := a.mayAssume(ctx, caller, in)
	if err != nil {
		return nil, err
	}
	duration, err := in.duration(caller, role)
	if err != nil {
		return nil, err
	}
	if size > maxPacked {
		return nil, awsquery.WithCode("PackedPolicyTooLarge", fault.New(fault.Invalid,
			"Session policies and tags of %d characters are more than %d", size, maxPacked))
	}
	err = a.db.View(ctx, func(tx *catalog.Tx) error {
		for _, p := range in.PolicyArns {
			if err := attachable(tx, role.Account, p.Arn); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	made, err := a.ids.AssumeRole(ctx, role, in.RoleSessionName, given, duration)
	if err != nil {
		return nil, err
	}
	out := &AssumeRoleOutput{
		Credentials: credentialsOf(made),
		AssumedRoleUser: &AssumedRoleUser{
			AssumedRoleId: role.ID + ":" + in.RoleSessionName,
			Arn:           arn.AssumedRole(role.Account, role.Name, in.RoleSessionName).String(),
		},
	}
	if size > 0 {
		percent := size * 100 / maxPacked
		out.PackedPolicySize = &percent
	}
	return out, nil
}

func (in *AssumeRoleInput) duration(caller identity.Caller, role catalog.Role) (time.Duration, error) {
	if in.DurationSeconds == nil {
		return defaultRoleSession, nil // no role allows less
	}
	d := time.Duration(*in.DurationSeconds) * time.Second
	if d > role.MaxSession {
		return 0, fault.New(fault.Invalid, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if caller.Principal().Type == policy.AssumedRole && d > maxChained {
		return 0, fault.New(fault.Invalid, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return d, nil
}

// mayAssume finds a role that a caller may assume. To other accounts, one that
// is not there is one that does not trust them.
func (a *API) mayAssume(ctx context.Context, caller identity.Caller, in assumption) (catalog.Role, error) {
	refused := fault.New(fault.Denied, "User: %s is not authorized to perform: %s on resource: %s", caller.Principal(), in.action, in.RoleArn)
	name, err := roleNamed(in.RoleArn)
	if err != nil {
		return catalog.Role{}, err
	}
	var role catalog.Role
	err = a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		role, err = tx.Role(name.Account, name.Name())
		return err
	})
	switch {
	case fault.Is(err, fault.NotFound), err == nil && arn.Role(role.Account, role.Path, role.Name) != name:
		return catalog.Role{}, refused
	case err != nil:
		return catalog.Role{}, err
	}
	trust, err := policy.Parse([]byte(role.Trust))
	if err != nil {
		return catalog.Role{}, fault.New(fault.Internal, "trust policy of %s: %v", role.ID, err)
	}
	trust = trust.Named("the trust policy")
	keys := map[string][]string{}
	maps.Copy(keys, in.keys)
	maps.Copy(keys, in.conditions())
	needs := []access.Need{access.AssumeRole(in.action, role.Account, in.RoleArn, role.ID, trust, keys)}
	if len(in.Tags) > 0 {
		needs = append(needs, access.AssumeRole("sts:TagSession", role.Account, in.RoleArn, role.ID, trust, keys))
	}
	err = a.checker.CheckAll(ctx, caller, needs...)
	if fault.Is(err, fault.Denied) && role.Account != caller.Account() {
		return catalog.Role{}, refused
	}
	return role, err
}

// roleNamed reads the ARN of a role.
func roleNamed(role string) (arn.ARN, error) {
	name, err := arn.Parse(role)
	if err != nil || name.Service != "iam" || name.Kind() != "role" {
		return arn.ARN{}, fault.New(fault.Invalid, "%s is invalid", role)
	}
	return name, nil
}

// GetSessionTokenInput says how long the credentials live.
type GetSessionTokenInput struct {
	DurationSeconds *int   `json:"DurationSeconds" validate:"UserDuration"`
	SerialNumber    string `json:"SerialNumber"`
	TokenCode       string `json:"TokenCode"`
}

// GetSessionTokenOutput has the credentials.
type GetSessionTokenOutput struct {
	Credentials *Credentials `json:"Credentials"`
}

func (a *API) getSessionToken(ctx context.Context, c *restjson.Call, in *GetSessionTokenInput) (*GetSessionTokenOutput, error) {
	caller, err := callerOf(c)
	if err != nil {
		return nil, err
	}
	if err := (&AssumeRoleInput{SerialNumber: in.SerialNumber, TokenCode: in.TokenCode}).unsupported(); err != nil {
		return nil, err
	}
	if caller.Temporary() || caller.Principal().Type != policy.User {
		return nil, fault.New(fault.Denied, "Cannot call GetSessionToken with session credentials")
	}
	duration := defaultUserSession
	if in.DurationSeconds != nil {
		duration = time.Duration(*in.DurationSeconds) * time.Second
	}
	made, err := a.ids.UserSession(ctx, caller, duration)
	if err != nil {
		return nil, err
	}
	return &GetSessionTokenOutput{credentialsOf(made)}, nil
}
