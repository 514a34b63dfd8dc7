package iamapi

import (
	"context"
	"regexp"
	"slices"

	"packhouse/internal/arn"
	"packhouse/internal/awsquery"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/restjson"
)

// The limits of IAM for OpenID Connect providers.
const (
	maxProviders   = 100 // in an account
	maxClientIDs   = 100 // of a provider
	maxThumbprints = 5   // of a provider
)

func (a *API) oidcRows() []restjson.Row {
	return []restjson.Row{
		op("CreateOpenIDConnectProvider", "trust an issuer of web identities, such as that of a CI service", a.createProvider),
		op("GetOpenIDConnectProvider", "describe an issuer", a.getProvider),
		op("ListOpenIDConnectProviders", "list the issuers of the account", a.listProviders),
		op("DeleteOpenIDConnectProvider", "trust an issuer no more; sessions that began go on", a.deleteProvider),
		op("AddClientIDToOpenIDConnectProvider", "take tokens of an issuer for one more audience", a.addClientID),
		op("RemoveClientIDFromOpenIDConnectProvider", "take tokens of an issuer for one audience less", a.removeClientID),
		op("UpdateOpenIDConnectProviderThumbprint", "keep other certificate thumbprints of an issuer", a.updateThumbprint),
		op("TagOpenIDConnectProvider", "set tags of an issuer", a.tagProvider),
		op("UntagOpenIDConnectProvider", "remove tags of an issuer", a.untagProvider),
		op("ListOpenIDConnectProviderTags", "list the tags of an issuer", a.listProviderTags),
	}
}

// providerARN names a provider by its issuer, whose scheme is no part of it.
func providerARN(account, issuer string) string {
	return arn.ARN{Partition: arn.Partition, Service: "iam", Account: account, Resource: "oidc-provider/" + identity.ProviderName(issuer)}.String()
}

func invalidInput(format string, args ...any) error {
	return awsquery.WithCode("InvalidInput", fault.New(fault.Invalid, format, args...))
}

// thumbprint is a SHA-1 digest.
var thumbprint = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

func checkedThumbprints(list []string) ([]string, error) {
	if len(list) > maxThumbprints {
		return nil, invalidInput("Thumbprint list must contain fewer than %d entries.", maxThumbprints+1)
	}
	for _, t := range list {
		if !thumbprint.MatchString(t) {
			return nil, invalidInput("Thumbprint must be 40 hexadecimal characters.")
		}
	}
	return slices.Clone(list), nil
}

// CreateProviderInput is the issuer to trust.
type CreateProviderInput struct {
	Url            string   `json:"Url" required:"true" validate:"ProviderURL"`
	ClientIDList   []string `json:"ClientIDList" validate:"ClientIDs"`
	ThumbprintList []string `json:"ThumbprintList" validate:"Thumbprints"`
	Tags           []Tag    `json:"Tags" validate:"Tags"`
}

func (in *CreateProviderInput) resource(who identity.Caller) string {
	return providerARN(who.Account(), in.Url)
}

func (in *CreateProviderInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (in *CreateProviderInput) alsoNeeds() string {
	if len(in.Tags) == 0 {
		return ""
	}
	return "iam:TagOpenIDConnectProvider"
}

// CreateProviderOutput names the provider.
type CreateProviderOutput struct {
	OpenIDConnectProviderArn string `json:"OpenIDConnectProviderArn"`
	Tags                     []Tag  `json:"Tags,omitempty"`
}

func (a *API) createProvider(ctx context.Context, c *restjson.Call, in *CreateProviderInput) (*CreateProviderOutput, error) {
	if err := identity.CheckIssuer(in.Url); err != nil {
		return nil, invalidInput("Invalid Open ID Connect Provider URL: %v", err)
	}
	thumbprints, err := checkedThumbprints(in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	tags, err := checkedTags(in.Tags)
	if err != nil {
		return nil, err
	}
	account := accountOf(c)
	name := providerARN(account, in.Url)
	var clients []string
	for _, id := range in.ClientIDList {
		if !slices.Contains(clients, id) {
			clients = append(clients, id)
		}
	}
	err = a.db.Update(ctx, func(tx *catalog.Tx) error {
		p := catalog.OIDCProvider{
			Account: account, ARN: name, ID: "OIDC" + tx.NewID(), Issuer: in.Url, ClientIDs: clients, Thumbprints: thumbprints, Created: tx.Now(),
		}
		if err := tx.InsertOIDCProvider(p); err != nil {
			return err
		}
		all, err := tx.OIDCProviders(account)
		if err != nil {
			return err
		}
		if len(all) > maxProviders {
			return quota("OpenIdConnectProvidersPerAccount", maxProviders)
		}
		return tx.PutTags(p.ID, tags)
	})
	if err != nil {
		return nil, err
	}
	return &CreateProviderOutput{OpenIDConnectProviderArn: name, Tags: in.Tags}, nil
}

// ProviderInput names a provider.
type ProviderInput struct {
	OpenIDConnectProviderArn string `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
}

func (in *ProviderInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

// ownProvider finds a provider of the account.
func ownProvider(tx *catalog.Tx, account, name string) (catalog.OIDCProvider, error) {
	parsed, err := arn.Parse(name)
	if err != nil || parsed.Service != "iam" || parsed.Kind() != "oidc-provider" {
		return catalog.OIDCProvider{}, invalidInput("Invalid ARN: %s", name)
	}
	p, err := tx.OIDCProvider(name)
	if err == nil && p.Account != account {
		err = fault.New(fault.NotFound, "OpenIDConnect Provider not found for arn %s", name)
	}
	return p, err
}

// GetProviderOutput is a provider. Its address is without the scheme.
type GetProviderOutput struct {
	Url            string         `json:"Url"`
	ClientIDList   []string       `json:"ClientIDList"`
	ThumbprintList []string       `json:"ThumbprintList"`
	CreateDate     *restjson.Time `json:"CreateDate"`
	Tags           []Tag          `json:"Tags"`
}

func (a *API) getProvider(ctx context.Context, c *restjson.Call, in *ProviderInput) (*GetProviderOutput, error) {
	var out GetProviderOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		p, err := ownProvider(tx, accountOf(c), in.OpenIDConnectProviderArn)
		if err != nil {
			return err
		}
		out = GetProviderOutput{
			Url: identity.ProviderName(p.Issuer), ClientIDList: p.ClientIDs, ThumbprintList: p.Thumbprints, CreateDate: restjson.At(p.Created),
		}
		out.Tags, err = tagsOf(tx, p.ID)
		return err
	})
	return &out, err
}

// ListProvidersInput has no members.
type ListProvidersInput struct{}

func (*ListProvidersInput) resource(who identity.Caller) string {
	return providerARN(who.Account(), "")
}

// ProviderEntry is a provider in a list.
type ProviderEntry struct {
	Arn string `json:"Arn"`
}

// ListProvidersOutput has all providers.
type ListProvidersOutput struct {
	OpenIDConnectProviderList []ProviderEntry `json:"OpenIDConnectProviderList"`
}

func (a *API) listProviders(ctx context.Context, c *restjson.Call, _ *ListProvidersInput) (*ListProvidersOutput, error) {
	var out ListProvidersOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		all, err := tx.OIDCProviders(accountOf(c))
		out.OpenIDConnectProviderList = collect(all, func(p catalog.OIDCProvider) ProviderEntry { return ProviderEntry{p.ARN} })
		return err
	})
	return &out, err
}

// deleteProvider succeeds when there is none, as IAM does.
func (a *API) deleteProvider(ctx context.Context, c *restjson.Call, in *ProviderInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		p, err := ownProvider(tx, accountOf(c), in.OpenIDConnectProviderArn)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.DeleteOIDCProvider(p)
	})
}

// changeProvider stores what change makes of a provider.
func (a *API) changeProvider(ctx context.Context, c *restjson.Call, name string, change func(*catalog.OIDCProvider) error) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error {
		p, err := ownProvider(tx, accountOf(c), name)
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		return tx.UpdateOIDCProvider(p)
	})
}

// ClientIDInput names a provider and one of its audiences.
type ClientIDInput struct {
	OpenIDConnectProviderArn string `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
	ClientID                 string `json:"ClientID" required:"true" validate:"ClientID"`
}

func (in *ClientIDInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

func (a *API) addClientID(ctx context.Context, c *restjson.Call, in *ClientIDInput) (*nothing, error) {
	return a.changeProvider(ctx, c, in.OpenIDConnectProviderArn, func(p *catalog.OIDCProvider) error {
		if slices.Contains(p.ClientIDs, in.ClientID) {
			return nil
		}
		if len(p.ClientIDs) >= maxClientIDs {
			return quota("ClientIdsPerOpenIdConnectProvider", maxClientIDs)
		}
		p.ClientIDs = append(p.ClientIDs, in.ClientID)
		return nil
	})
}

func (a *API) removeClientID(ctx context.Context, c *restjson.Call, in *ClientIDInput) (*nothing, error) {
	return a.changeProvider(ctx, c, in.OpenIDConnectProviderArn, func(p *catalog.OIDCProvider) error {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(id string) bool { return id == in.ClientID })
		return nil
	})
}

// UpdateThumbprintInput has other thumbprints of a provider.
type UpdateThumbprintInput struct {
	OpenIDConnectProviderArn string   `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
	ThumbprintList           []string `json:"ThumbprintList" required:"true" validate:"Thumbprints"`
}

func (in *UpdateThumbprintInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

func (a *API) updateThumbprint(ctx context.Context, c *restjson.Call, in *UpdateThumbprintInput) (*nothing, error) {
	thumbprints, err := checkedThumbprints(in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	return a.changeProvider(ctx, c, in.OpenIDConnectProviderArn, func(p *catalog.OIDCProvider) error {
		p.Thumbprints = thumbprints
		return nil
	})
}

func providerID(account, name string) owner {
	return func(tx *catalog.Tx) (string, error) {
		p, err := ownProvider(tx, account, name)
		return p.ID, err
	}
}

// TagProviderInput has tags of a provider.
type TagProviderInput struct {
	OpenIDConnectProviderArn string `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
	Tags                     []Tag  `json:"Tags" required:"true" validate:"Tags"`
}

func (in *TagProviderInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

func (in *TagProviderInput) conditions() map[string][]string { return tagConditions(in.Tags) }

func (a *API) tagProvider(ctx context.Context, c *restjson.Call, in *TagProviderInput) (*nothing, error) {
	return a.tag(ctx, providerID(accountOf(c), in.OpenIDConnectProviderArn), in.Tags)
}

// UntagProviderInput has keys of tags of a provider.
type UntagProviderInput struct {
	OpenIDConnectProviderArn string   `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
	TagKeys                  []string `json:"TagKeys" required:"true" validate:"TagKeys"`
}

func (in *UntagProviderInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

func (in *UntagProviderInput) conditions() map[string][]string {
	return map[string][]string{"aws:TagKeys": in.TagKeys}
}

func (a *API) untagProvider(ctx context.Context, c *restjson.Call, in *UntagProviderInput) (*nothing, error) {
	return a.untag(ctx, providerID(accountOf(c), in.OpenIDConnectProviderArn), in.TagKeys)
}

// ListProviderTagsInput names a provider.
type ListProviderTagsInput struct {
	OpenIDConnectProviderArn string  `json:"OpenIDConnectProviderArn" required:"true" validate:"Arn"`
	Marker                   *string `json:"Marker" validate:"Marker"`
	MaxItems                 *int    `json:"MaxItems" validate:"MaxItems"`
}

func (in *ListProviderTagsInput) resource(identity.Caller) string { return in.OpenIDConnectProviderArn }

func (a *API) listProviderTags(ctx context.Context, c *restjson.Call, in *ListProviderTagsInput) (*ListTagsOutput, error) {
	return a.listTags(ctx, providerID(accountOf(c), in.OpenIDConnectProviderArn),
		turn{in.Marker, in.MaxItems, "ListOpenIDConnectProviderTags", []string{in.OpenIDConnectProviderArn}})
}
