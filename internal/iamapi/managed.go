package iamapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/restjson"
)

const (
	maxPolicies   = 1500 // customer managed, in an account
	maxVersions   = 5    // of a policy
	maxPolicySize = 6144 // characters that are not white space
)

// Policy is a managed policy in an answer.
type Policy struct {
	PolicyName                    string         `json:"PolicyName"`
	PolicyId                      string         `json:"PolicyId"`
	Arn                           string         `json:"Arn"`
	Path                          string         `json:"Path"`
	DefaultVersionId              string         `json:"DefaultVersionId"`
	AttachmentCount               int64          `json:"AttachmentCount"`
	PermissionsBoundaryUsageCount int64          `json:"PermissionsBoundaryUsageCount"`
	IsAttachable                  bool           `json:"IsAttachable"`
	Description                   string         `json:"Description,omitempty"`
	CreateDate                    *restjson.Time `json:"CreateDate"`
	UpdateDate                    *restjson.Time `json:"UpdateDate"`
	Tags                          []Tag          `json:"Tags,omitempty"`
}

// PolicyVersion is one version of a managed policy in an answer.
type PolicyVersion struct {
	Document         string         `json:"Document,omitempty"` // percent-encoded; GetPolicyVersion only
	VersionId        string         `json:"VersionId"`
	IsDefaultVersion bool           `json:"IsDefaultVersion"`
	CreateDate       *restjson.Time `json:"CreateDate"`
}

func policyOf(p catalog.ManagedPolicy, use catalog.PolicyUse) Policy {
	return Policy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.ARN, Path: p.Path, DefaultVersionId: versionID(p.DefaultVersion),
		AttachmentCount: use.Attached, PermissionsBoundaryUsageCount: use.Boundary, IsAttachable: true,
		Description: p.Description, CreateDate: restjson.At(p.Created), UpdateDate: restjson.At(p.Updated),
	}
}

// shipped is a managed policy of AWS in the form of one of a customer. It has
// the date of the service it is about, as nobody here made it.
func shipped(m policy.ManagedPolicy) catalog.ManagedPolicy {
	sum := sha256.Sum256([]byte(m.ARN))
	made := time.Date(2020, time.June, 10, 0, 0, 0, 0, time.UTC)
	return catalog.ManagedPolicy{
		ARN: m.ARN, Name: m.Name, Path: "/", ID: identity.PolicyID + base32.StdEncoding.EncodeToString(sum[:])[:17],
		DefaultVersion: 1, LastVersion: 1, Created: made, Updated: made,
	}
}

func versionID(n int64) string { return "v" + strconv.FormatInt(n, 10) }

// versionNumber reads an id that its shape allows.
func versionNumber(id string) int64 {
	digits, _, _ := strings.Cut(strings.TrimPrefix(id, "v"), ".")
	n, _ := strconv.ParseInt(digits, 10, 64) // at most ten digits
	return n
}

// seenPolicy finds a managed policy that an account can see: its own, or one of
// AWS.
func seenPolicy(tx *catalog.Tx, account, policyARN string) (catalog.ManagedPolicy, error) {
	if m := policy.ManagedByARN(policyARN); m != nil {
		return shipped(*m), nil
	}
	p, err := tx.ManagedPolicy(policyARN)
	if err == nil && p.Account != account {
		return catalog.ManagedPolicy{}, fault.New(fault.NotFound, "Policy %s was not found.", policyARN)
	}
	return p, err
}

// ownPolicy finds a managed policy that an account may change.
func ownPolicy(tx *catalog.Tx, account, policyARN string) (catalog.ManagedPolicy, error) {
	p, err := seenPolicy(tx, account, policyARN)
	if err == nil && p.Account == "" {
		return p, fault.New(fault.Denied, "Policy %s is managed by AWS and cannot be changed.", policyARN)
	}
	return p, err
}

func (a *API) policyRows() []restjson.Row {
	return []restjson.Row{
		op("CreatePolicy", "make a managed policy", a.createPolicy),
		op("GetPolicy", "describe a managed policy", a.getPolicy),
		op("ListPolicies", "list the managed policies of the account and of AWS", a.listPolicies),
		op("DeletePolicy", "remove a managed policy that is not in use", a.deletePolicy),
		op("CreatePolicyVersion", "give a managed policy another version", a.createPolicyVersion),
		op("GetPolicyVersion", "show a version of a managed policy", a.getPolicyVersion),
		op("ListPolicyVersions", "list the versions of a managed policy", a.listPolicyVersions),
		op("SetDefaultPolicyVersion", "say which version of a managed policy counts", a.setDefaultPolicyVersion),
		op("DeletePolicyVersion", "remove a version of a managed policy", a.deletePolicyVersion),
	}
}

// CreatePolicyInput is the managed policy to make.
type CreatePolicyInput struct {
	PolicyName     string `json:"PolicyName" required:"true" validate:"PolicyName"`
	Path           string `json:"Path" validate:"Path"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
	Description    string `json:"Description" validate:"PolicyDescription"`
	Tags           []Tag  `json:"Tags" validate:"Tags"`
}

func (in *CreatePolicyInput) resource(who identity.Caller) string {
	return arn.Policy(who.Account(), in.Path, in.PolicyName).String()
}

func (in *CreatePolicyInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (in *CreatePolicyInput) alsoNeeds() string {
	if len(in.Tags) == 0 {
		return ""
	}
	return "iam:TagPolicy"
}

// PolicyOutput has one managed policy.
type PolicyOutput struct {
	Policy Policy `json:"Policy"`
}

// fits makes sure that a document can be one of a managed policy.
func fits(document string) error {
	if err := readable(document); err != nil {
		return err
	}
	if sizeOf(document) > maxPolicySize {
		return quota("PolicySize", maxPolicySize)
	}
	return nil
}

func (a *API) createPolicy(ctx context.Context, c *restjson.Call, in *CreatePolicyInput) (*PolicyOutput, error) {
	account := accountOf(c)
	if err := fits(in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := checkedTags(in.Tags)
	if err != nil {
		return nil, err
	}
	var p catalog.ManagedPolicy
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		p = catalog.ManagedPolicy{
			ARN: arn.Policy(account, in.Path, in.PolicyName).String(), Account: account, Name: in.PolicyName, Path: cmp.Or(in.Path, "/"),
			ID: identity.NewID(identity.PolicyID), Description: in.Description, DefaultVersion: 1, LastVersion: 1, Created: tx.Now(), Updated: tx.Now(),
		}
		if err := tx.InsertManagedPolicy(p, in.PolicyDocument); err != nil {
			return err
		}
		all, err := tx.ManagedPolicies(account)
		if err != nil {
			return err
		}
		if len(all) > maxPolicies {
			return quota("PoliciesPerAccount", maxPolicies)
		}
		return tx.PutTags(p.ID, tags)
	})
	if err != nil {
		return nil, err
	}
	out := policyOf(p, catalog.PolicyUse{})
	out.Tags = in.Tags
	return &PolicyOutput{out}, nil
}

// PolicyInput names a managed policy.
type PolicyInput struct {
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
}

func (in *PolicyInput) resource(identity.Caller) string { return in.PolicyArn }

func (a *API) getPolicy(ctx context.Context, c *restjson.Call, in *PolicyInput) (*PolicyOutput, error) {
	var out PolicyOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		p, err := seenPolicy(tx, accountOf(c), in.PolicyArn)
		if err != nil {
			return err
		}
		use, err := tx.PolicyUse(accountOf(c), p.ARN)
		if err != nil {
			return err
		}
		out.Policy = policyOf(p, use)
		out.Policy.Tags, err = tagsOf(tx, p.ID)
		return err
	})
	return &out, err
}

// ListPoliciesInput chooses managed policies.
type ListPoliciesInput struct {
	Scope             string  `json:"Scope" validate:"PolicyScope"` // by default All
	OnlyAttached      bool    `json:"OnlyAttached"`
	PathPrefix        string  `json:"PathPrefix" validate:"PathPrefix"`
	PolicyUsageFilter string  `json:"PolicyUsageFilter" validate:"PolicyUsage"`
	Marker            *string `json:"Marker" validate:"Marker"`
	MaxItems          *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListPoliciesInput) resource(identity.Caller) string { return "*" }

// chooses tells whether a policy is asked for.
func (in *ListPoliciesInput) chooses(p catalog.ManagedPolicy, use catalog.PolicyUse) bool {
	switch {
	case !strings.HasPrefix(p.Path, in.PathPrefix):
		return false
	case in.PolicyUsageFilter == "PermissionsPolicy" && use.Attached == 0, in.PolicyUsageFilter == "PermissionsBoundary" && use.Boundary == 0:
		return false
	}
	return !in.OnlyAttached || use.Attached+use.Boundary > 0
}

// ListPoliciesOutput is a part of the managed policies.
type ListPoliciesOutput struct {
	Policies    []Policy `json:"Policies"`
	IsTruncated bool     `json:"IsTruncated"`
	Marker      string   `json:"Marker,omitempty"`
}

func (a *API) listPolicies(ctx context.Context, c *restjson.Call, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
	account := accountOf(c)
	var out ListPoliciesOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		var all []catalog.ManagedPolicy
		if in.Scope != "AWS" {
			var err error
			if all, err = tx.ManagedPolicies(account); err != nil {
				return err
			}
		}
		if in.Scope != "Local" {
			all = append(all, collect(policy.Managed(), shipped)...)
		}
		uses, err := tx.PolicyUses(account)
		if err != nil {
			return err
		}
		var chosen []catalog.ManagedPolicy
		for _, p := range all {
			if in.chooses(p, uses[p.ARN]) {
				chosen = append(chosen, p)
			}
		}
		byARN := func(p catalog.ManagedPolicy) string { return p.ARN }
		filter := []string{account, in.Scope, strconv.FormatBool(in.OnlyAttached), in.PathPrefix, in.PolicyUsageFilter}
		part, next, err := rows(turn{in.Marker, in.MaxItems, "ListPolicies", filter}, sorted(chosen, byARN), byARN)
		out = ListPoliciesOutput{collect(part, func(p catalog.ManagedPolicy) Policy {
			p.Description = "" // as in AWS
			return policyOf(p, uses[p.ARN])
		}), next != "", next}
		return err
	})
	return &out, err
}

func (a *API) deletePolicy(ctx context.Context, c *restjson.Call, in *PolicyInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := ownPolicy(tx, accountOf(c), in.PolicyArn); err != nil {
			return err
		}
		return deleteConflict(tx.DeleteManagedPolicy(in.PolicyArn))
	})
}

// CreatePolicyVersionInput is another version of a managed policy.
type CreatePolicyVersionInput struct {
	PolicyArn      string `json:"PolicyArn" required:"true" validate:"Arn"`
	PolicyDocument string `json:"PolicyDocument" required:"true" validate:"PolicyDocument"`
	SetAsDefault   bool   `json:"SetAsDefault"`
}

func (in *CreatePolicyVersionInput) resource(identity.Caller) string { return in.PolicyArn }

// PolicyVersionOutput has one version.
type PolicyVersionOutput struct {
	PolicyVersion PolicyVersion `json:"PolicyVersion"`
}

func (a *API) createPolicyVersion(ctx context.Context, c *restjson.Call, in *CreatePolicyVersionInput) (*PolicyVersionOutput, error) {
	if err := fits(in.PolicyDocument); err != nil {
		return nil, err
	}
	var v catalog.PolicyVersion
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := ownPolicy(tx, accountOf(c), in.PolicyArn); err != nil {
			return err
		}
		versions, err := tx.PolicyVersions(in.PolicyArn)
		if err != nil {
			return err
		}
		if len(versions) >= maxVersions {
			return fault.New(fault.Quota, "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v, err = tx.AddPolicyVersion(in.PolicyArn, in.PolicyDocument, in.SetAsDefault)
		return err
	})
	return &PolicyVersionOutput{PolicyVersion{VersionId: versionID(v.Number), IsDefaultVersion: in.SetAsDefault, CreateDate: restjson.At(v.Created)}}, err
}

// PolicyVersionInput names a version of a managed policy.
type PolicyVersionInput struct {
	PolicyArn string `json:"PolicyArn" required:"true" validate:"Arn"`
	VersionId string `json:"VersionId" required:"true" validate:"PolicyVersion"`
}

func (in *PolicyVersionInput) resource(identity.Caller) string { return in.PolicyArn }

func (a *API) getPolicyVersion(ctx context.Context, c *restjson.Call, in *PolicyVersionInput) (*PolicyVersionOutput, error) {
	var out PolicyVersionOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		p, err := seenPolicy(tx, accountOf(c), in.PolicyArn)
		if err != nil {
			return err
		}
		versions, err := versionsOf(tx, p)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.Number == versionNumber(in.VersionId) {
				out.PolicyVersion = PolicyVersion{encoded(v.Document), versionID(v.Number), v.Number == p.DefaultVersion, restjson.At(v.Created)}
				return nil
			}
		}
		return fault.New(fault.NotFound, "Policy %s version %s does not exist or is not attachable.", in.PolicyArn, in.VersionId)
	})
	return &out, err
}

// versionsOf are the versions of a policy, newest first; of one of AWS the only
// one.
func versionsOf(tx *catalog.Tx, p catalog.ManagedPolicy) ([]catalog.PolicyVersion, error) {
	if m := policy.ManagedByARN(p.ARN); m != nil {
		return []catalog.PolicyVersion{{PolicyARN: p.ARN, Number: 1, Document: m.Text, Created: p.Created}}, nil
	}
	return tx.PolicyVersions(p.ARN)
}

// ListPolicyVersionsInput names a managed policy.
type ListPolicyVersionsInput struct {
	PolicyArn string  `json:"PolicyArn" required:"true" validate:"Arn"`
	Marker    *string `json:"Marker" validate:"Marker"`
	MaxItems  *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListPolicyVersionsInput) resource(identity.Caller) string { return in.PolicyArn }

// ListPolicyVersionsOutput is a part of the versions of a managed policy.
type ListPolicyVersionsOutput struct {
	Versions    []PolicyVersion `json:"Versions"`
	IsTruncated bool            `json:"IsTruncated"`
	Marker      string          `json:"Marker,omitempty"`
}

func (a *API) listPolicyVersions(ctx context.Context, c *restjson.Call, in *ListPolicyVersionsInput) (*ListPolicyVersionsOutput, error) {
	var out ListPolicyVersionsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		p, err := seenPolicy(tx, accountOf(c), in.PolicyArn)
		if err != nil {
			return err
		}
		all, err := versionsOf(tx, p)
		if err != nil {
			return err
		}
		newestFirst := func(v catalog.PolicyVersion) string { return strconv.FormatInt(1<<40-v.Number, 10) }
		part, next, err := rows(turn{in.Marker, in.MaxItems, "ListPolicyVersions", []string{p.ARN}}, sorted(all, newestFirst), newestFirst)
		out = ListPolicyVersionsOutput{collect(part, func(v catalog.PolicyVersion) PolicyVersion {
			return PolicyVersion{"", versionID(v.Number), v.Number == p.DefaultVersion, restjson.At(v.Created)}
		}), next != "", next}
		return err
	})
	return &out, err
}

func (a *API) setDefaultPolicyVersion(ctx context.Context, c *restjson.Call, in *PolicyVersionInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := ownPolicy(tx, accountOf(c), in.PolicyArn); err != nil {
			return err
		}
		return tx.SetDefaultPolicyVersion(in.PolicyArn, versionNumber(in.VersionId))
	})
}

func (a *API) deletePolicyVersion(ctx context.Context, c *restjson.Call, in *PolicyVersionInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := ownPolicy(tx, accountOf(c), in.PolicyArn); err != nil {
			return err
		}
		return deleteConflict(tx.DeletePolicyVersion(in.PolicyArn, versionNumber(in.VersionId)))
	})
}
