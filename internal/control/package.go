package control

import (
	"context"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

// findPackage finds a package in the named repository alone: upstreams are not
// looked at (section 4.3).
func findPackage(tx *catalog.Tx, t target) (catalog.Package, error) {
	r, err := findRepository(tx, t.id)
	if err != nil {
		return catalog.Package{}, err
	}
	return tx.Package(r.ID, t.c)
}

func (a *API) listPackages(ctx context.Context, c *restjson.Call, in *api.ListPackagesInput) (*api.ListPackagesOutput, error) {
	if in.Namespace != "" && in.Format == "" {
		return nil, fault.Field("namespace", "needs a format")
	}
	id := targetOf(c, in).id
	limit := limitOf(in.MaxResults, 100)
	l := page.For[artifact.Coordinates]("ListPackages", id.Owner, id.Domain, id.Name, in.Format, in.Namespace, in.PackagePrefix, in.Publish, in.Upstream)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	filter := catalog.PackageFilter{
		Format: artifact.Format(in.Format), NamespacePrefix: in.Namespace, NamePrefix: in.PackagePrefix,
		Publish: artifact.Permission(in.Publish), Upstream: artifact.Permission(in.Upstream),
	}
	var rows []catalog.Package
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err == nil {
			rows, err = tx.Packages(r.ID, filter, after, limit+1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(p catalog.Package) artifact.Coordinates { return p.Coordinates })
	out := &api.ListPackagesOutput{Packages: make([]api.PackageSummary, len(rows)), NextToken: token}
	for i, p := range rows {
		out.Packages[i] = packageSummary(p)
	}
	return out, nil
}

func packageSummary(p catalog.Package) api.PackageSummary {
	c := p.Coordinates
	return api.PackageSummary{Format: string(c.Format), Namespace: c.Namespace, Package: c.Name, OriginConfiguration: originConfiguration(p.Restrictions)}
}

func originConfiguration(r artifact.Restrictions) *api.PackageOriginConfiguration {
	return &api.PackageOriginConfiguration{Restrictions: &api.PackageOriginRestrictions{
		Publish: string(r.Publish), Upstream: string(r.Upstream),
	}}
}

func (a *API) describePackage(ctx context.Context, c *restjson.Call, in *api.DescribePackageInput) (*api.DescribePackageOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	var p catalog.Package
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = findPackage(tx, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.DescribePackageOutput{Package: &api.PackageDescription{
		Format: string(t.c.Format), Namespace: t.c.Namespace, Name: t.c.Name, OriginConfiguration: originConfiguration(p.Restrictions),
	}}, nil
}

func (a *API) deletePackage(ctx context.Context, c *restjson.Call, in *api.DeletePackageInput) (*api.DeletePackageOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	p, err := a.opt.Registry.DeletePackage(ctx, t.id, t.c)
	if err != nil {
		return nil, err
	}
	summary := packageSummary(p)
	return &api.DeletePackageOutput{DeletedPackage: &summary}, nil
}

// putPackageOriginConfiguration also works on a package that is not there yet;
// of a format that is not served here nothing can be said of its names, so
// nothing is stored.
func (a *API) putPackageOriginConfiguration(ctx context.Context, c *restjson.Call, in *api.PutPackageOriginConfigurationInput) (*api.PutPackageOriginConfigurationOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	if _, err := a.opt.Registry.Ecosystem(t.c.Format); err != nil {
		return nil, err
	}
	r := artifact.Restrictions{Publish: artifact.Permission(in.Restrictions.Publish), Upstream: artifact.Permission(in.Restrictions.Upstream)}
	if err := a.opt.Registry.SetRestrictions(ctx, t.id, t.c, r); err != nil {
		return nil, err
	}
	return &api.PutPackageOriginConfigurationOutput{OriginConfiguration: originConfiguration(r)}, nil
}
