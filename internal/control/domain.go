package control

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

func onNewDomain(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	return a.withTags(onDomain(a, c, action, in), in.(*api.CreateDomainInput).Tags)
}

func (a *API) createDomain(ctx context.Context, c *restjson.Call, in *api.CreateDomainInput) (*api.CreateDomainOutput, error) {
	id := targetOf(c, in).id
	key, err := a.encryptionKey(id.Owner, in.EncryptionKey)
	if err != nil {
		return nil, err
	}
	tags, err := a.newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	var d catalog.Domain
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		present, err := tx.Domains(id.Owner, "", a.opt.Limits.Domains)
		if err != nil {
			return err
		}
		d, err = tx.InsertDomain(catalog.Domain{Owner: id.Owner, Name: id.Domain, EncryptionKey: key, CrossRepositoryBlock: true})
		if err != nil {
			return err
		}
		if len(present) == a.opt.Limits.Domains {
			return fault.About(fault.Quota, "domain", id.Domain, "the account %s has %d domains already, which is the limit", id.Owner, len(present))
		}
		return tx.PutTags(a.domainARN(id), tags)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateDomainOutput{Domain: a.domain(d, catalog.DomainUsage{})}, nil
}

// keyName is how an encryption key may be named: id, alias, or the ARN of either.
var keyName = regexp.MustCompile(`\A(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?(alias/[A-Za-z0-9/_-]{1,250}|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}))\z`)

// encryptionKey is the name of a domain's key as it is shown from then on. Bytes
// are not encrypted with it: an operator who needs that encrypts the disk.
func (a *API) encryptionKey(owner, named string) (string, error) {
	kms := "arn:aws:kms:" + a.opt.Region + ":" + owner + ":"
	if named == "" { // the account's own, the same for all its domains
		h := sha256.Sum256([]byte(kms))
		return fmt.Sprintf("%skey/%x-%x-%x-%x-%x", kms, h[:4], h[4:6], h[6:8], h[8:10], h[10:16]), nil
	}
	match := keyName.FindStringSubmatch(named)
	if match == nil || match[1] != "" && match[3] == "" && !strings.HasPrefix(match[2], "alias/") {
		return "", &fault.Error{Kind: fault.Invalid, Reason: "ENCRYPTION_KEY_ERROR", Message: "encryptionKey: is not a key id, an alias or the ARN of a key"}
	}
	switch {
	case match[1] != "":
		return named, nil
	case match[3] == "" && !strings.HasPrefix(named, "alias/"):
		return kms + "key/" + named, nil
	default:
		return kms + named, nil
	}
}

func (a *API) describeDomain(ctx context.Context, c *restjson.Call, in *api.DescribeDomainInput) (*api.DescribeDomainOutput, error) {
	id := targetOf(c, in).id
	var d catalog.Domain
	var u catalog.DomainUsage
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = tx.Domain(id.Owner, id.Domain); err == nil {
			u, err = tx.DomainUsage(d.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.DescribeDomainOutput{Domain: a.domain(d, u)}, nil
}

// listDomains lists what the caller may list of its account's domains. Whoever
// may list nothing at all is told so.
func (a *API) listDomains(ctx context.Context, c *restjson.Call, in *api.ListDomainsInput) (*api.ListDomainsOutput, error) {
	caller := callerOf(c)
	const action = Service + ":ListDomains"
	l := page.For[string]("ListDomains", caller.Account())
	rows, token, err := visible(ctx, a, visibility[catalog.Domain, string]{
		caller: caller, action: action, listing: l, token: in.NextToken, limit: limitOf(in.MaxResults, 100),
		next: func(tx *catalog.Tx, after string, limit int) ([]catalog.Domain, error) {
			return tx.Domains(caller.Account(), after, limit)
		},
		key:  func(d catalog.Domain) string { return d.Name },
		need: func(d catalog.Domain) access.Need { return access.Domain(action, a.opt.Region, d.Owner, d.Name) },
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListDomainsOutput{Domains: make([]api.DomainSummary, len(rows)), NextToken: token}
	for i, d := range rows {
		out.Domains[i] = api.DomainSummary{
			Name: d.Name, Owner: d.Owner, Arn: a.domainARN(domainID(d)), Status: d.Status,
			CreatedTime: restjson.At(d.Created), EncryptionKey: d.EncryptionKey,
		}
	}
	return out, nil
}

// deleteDomain succeeds when the domain is gone already (operation 6).
func (a *API) deleteDomain(ctx context.Context, c *restjson.Call, in *api.DeleteDomainInput) (*api.DeleteDomainOutput, error) {
	id := targetOf(c, in).id
	var d catalog.Domain
	var u catalog.DomainUsage
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = tx.Domain(id.Owner, id.Domain); err != nil {
			return err
		}
		if u, err = tx.DomainUsage(d.ID); err != nil {
			return err
		}
		groups, err := tx.PackageGroups(d.ID)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := tx.DeleteTags(a.groupARN(id, g.Pattern)); err != nil {
				return err
			}
		}
		if err := tx.DeleteDomain(d); err != nil {
			return err
		}
		return forget(tx, "domain", a.domainARN(id))
	})
	if fault.Is(err, fault.NotFound) {
		return &api.DeleteDomainOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	d.Status = string(artifact.Deleted)
	return &api.DeleteDomainOutput{Domain: a.domain(d, u)}, nil
}

// forget removes what hangs on the name of a resource.
func forget(tx *catalog.Tx, kind, arn string) error {
	if _, err := tx.DeleteResourcePolicy(kind, arn, ""); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return tx.DeleteTags(arn)
}

func domainID(d catalog.Domain) artifact.RepositoryID {
	return artifact.RepositoryID{Owner: d.Owner, Domain: d.Name}
}

func (a *API) domain(d catalog.Domain, u catalog.DomainUsage) *api.DomainDescription {
	return &api.DomainDescription{
		Name: d.Name, Owner: d.Owner, Arn: a.domainARN(domainID(d)), Status: d.Status,
		CreatedTime: restjson.At(d.Created), EncryptionKey: d.EncryptionKey,
		RepositoryCount: int32(min(u.Repositories, 1<<31-1)), AssetSizeBytes: u.Bytes,
		S3BucketArn: "arn:aws:s3:::assets-" + d.Owner + "-" + a.opt.Region, // there is none; clients want one
	}
}
