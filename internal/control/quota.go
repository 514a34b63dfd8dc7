package control

import (
	"context"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// onQuota runs fn in a transaction made by run, with the domain that id is in
// and the ID and ARN of what id names: the repository, or the domain without
// one. Without a quota there NotFound says whose.
func (a *API) onQuota(ctx context.Context, run func(context.Context, func(*catalog.Tx) error) error, id artifact.RepositoryID,
	fn func(tx *catalog.Tx, domainID, scope string) (catalog.Quota, error),
) (*api.Quota, error) {
	var q catalog.Quota
	kind, name, arn := "domain", id.Domain, a.domainARN(id)
	if id.Name != "" {
		kind, name, arn = "repository", id.Name, a.repositoryARN(id)
	}
	err := run(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		scope := d.ID
		if id.Name != "" {
			r, err := tx.Repository(d.ID, id.Name)
			if err != nil {
				return err
			}
			scope = r.ID
		}
		q, err = fn(tx, d.ID, scope)
		if fault.Is(err, fault.NotFound) {
			return fault.About(fault.NotFound, kind, name, "the %s %s has no quota", kind, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.Quota{
		Arn: arn, MaxBytes: q.Bytes, MaxVersions: q.Versions, MaxAssetBytes: q.AssetBytes, UsedBytes: q.Held.Bytes, UsedVersions: q.Held.Versions,
	}, nil
}

// putQuota replaces the limits. A repository that holds more than that keeps
// what it has and takes nothing more.
func (a *API) putQuota(ctx context.Context, id artifact.RepositoryID, l catalog.Limits) (*api.Quota, error) {
	if l == (catalog.Limits{}) {
		return nil, fault.Field("maxBytes", "at least one of maxBytes, maxVersions and maxAssetBytes must be given; delete the quota to lift all limits")
	}
	return a.onQuota(ctx, a.opt.DB.Update, id, func(tx *catalog.Tx, domainID, scope string) (catalog.Quota, error) {
		return tx.PutQuota(domainID, scope, l)
	})
}

func (a *API) getQuota(ctx context.Context, id artifact.RepositoryID) (*api.Quota, error) {
	return a.onQuota(ctx, a.opt.DB.View, id, func(tx *catalog.Tx, _, scope string) (catalog.Quota, error) { return tx.Quota(scope) })
}

func (a *API) deleteQuota(ctx context.Context, id artifact.RepositoryID) (*api.Quota, error) {
	return a.onQuota(ctx, a.opt.DB.Update, id, func(tx *catalog.Tx, _, scope string) (catalog.Quota, error) { return tx.DeleteQuota(scope) })
}

func (a *API) putDomainQuota(ctx context.Context, c *restjson.Call, in *api.PutDomainQuotaInput) (*api.PutDomainQuotaOutput, error) {
	q, err := a.putQuota(ctx, targetOf(c, in).id, catalog.Limits{Bytes: in.MaxBytes, Versions: in.MaxVersions, AssetBytes: in.MaxAssetBytes})
	if err != nil {
		return nil, err
	}
	return &api.PutDomainQuotaOutput{Quota: q}, nil
}

func (a *API) putRepositoryQuota(ctx context.Context, c *restjson.Call, in *api.PutRepositoryQuotaInput) (*api.PutRepositoryQuotaOutput, error) {
	q, err := a.putQuota(ctx, targetOf(c, in).id, catalog.Limits{Bytes: in.MaxBytes, Versions: in.MaxVersions, AssetBytes: in.MaxAssetBytes})
	if err != nil {
		return nil, err
	}
	return &api.PutRepositoryQuotaOutput{Quota: q}, nil
}

func (a *API) getDomainQuota(ctx context.Context, c *restjson.Call, in *api.GetDomainQuotaInput) (*api.GetDomainQuotaOutput, error) {
	q, err := a.getQuota(ctx, targetOf(c, in).id)
	if err != nil {
		return nil, err
	}
	return &api.GetDomainQuotaOutput{Quota: q}, nil
}

func (a *API) getRepositoryQuota(ctx context.Context, c *restjson.Call, in *api.GetRepositoryQuotaInput) (*api.GetRepositoryQuotaOutput, error) {
	q, err := a.getQuota(ctx, targetOf(c, in).id)
	if err != nil {
		return nil, err
	}
	return &api.GetRepositoryQuotaOutput{Quota: q}, nil
}

func (a *API) deleteDomainQuota(ctx context.Context, c *restjson.Call, in *api.DeleteDomainQuotaInput) (*api.DeleteDomainQuotaOutput, error) {
	q, err := a.deleteQuota(ctx, targetOf(c, in).id)
	if err != nil {
		return nil, err
	}
	return &api.DeleteDomainQuotaOutput{Quota: q}, nil
}

func (a *API) deleteRepositoryQuota(ctx context.Context, c *restjson.Call, in *api.DeleteRepositoryQuotaInput) (*api.DeleteRepositoryQuotaOutput, error) {
	q, err := a.deleteQuota(ctx, targetOf(c, in).id)
	if err != nil {
		return nil, err
	}
	return &api.DeleteRepositoryQuotaOutput{Quota: q}, nil
}
