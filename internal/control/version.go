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

func (a *API) listPackageVersions(ctx context.Context, c *restjson.Call, in *api.ListPackageVersionsInput) (*api.ListPackageVersionsOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	limit := limitOf(in.MaxResults, 50)
	l := page.For[catalog.VersionCursor]("ListPackageVersions", t.id.Owner, t.id.Domain, t.id.Name,
		in.Format, t.c.Namespace, t.c.Name, in.Status, in.SortBy, in.OriginType)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	filter := catalog.VersionFilter{
		Status: artifact.Status(in.Status), Origin: artifact.OriginType(in.OriginType), ByPublished: in.SortBy == "PUBLISHED_TIME",
	}
	out := &api.ListPackageVersionsOutput{Format: in.Format, Namespace: t.c.Namespace, Package: t.c.Name}
	var rows []catalog.Version
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		p, err := findPackage(tx, t)
		if err != nil {
			return err
		}
		if out.DefaultDisplayVersion, err = defaultVersion(tx, p); err != nil {
			return err
		}
		rows, err = tx.VersionPage(p.ID, filter, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, out.NextToken = page.Cut(l, rows, limit, catalog.Version.Cursor)
	out.Versions = make([]api.PackageVersionSummary, len(rows))
	for i, v := range rows {
		out.Versions[i] = api.PackageVersionSummary{Version: v.Number, Revision: v.Revision, Status: string(v.Status), Origin: origin(v.Origin)}
	}
	return out, nil
}

// defaultVersion is the version to show of a package: the one tagged latest if
// the repository has it, else the one published last (operation 33).
func defaultVersion(tx *catalog.Tx, p catalog.Package) (string, error) {
	tags, err := tx.DistTags(p.ID)
	if err != nil {
		return "", err
	}
	for _, t := range tags {
		if t.Tag != "latest" {
			continue
		}
		switch v, err := tx.Version(p.ID, t.Version); {
		case err == nil && v.Status == artifact.Published:
			return t.Version, nil
		case err != nil && !fault.Is(err, fault.NotFound):
			return "", err
		}
	}
	return tx.LatestVersion(p.ID)
}

func origin(o artifact.Origin) *api.PackageVersionOrigin {
	return &api.PackageVersionOrigin{
		OriginType:       string(o.Type),
		DomainEntryPoint: &api.DomainEntryPoint{RepositoryName: o.Repository, ExternalConnectionName: o.Connection},
	}
}

// held is a version in the named repository, with its manifest.
type held struct {
	target
	pkg     catalog.Package
	version catalog.Version
}

// version finds the version an input names; more, if given, reads on in the
// same snapshot.
func (a *API) version(ctx context.Context, c *restjson.Call, in any, number string, more func(*catalog.Tx, catalog.Version) error) (h held, err error) {
	if h.target, err = a.packageOf(c, in); err != nil {
		return h, err
	}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		if h.pkg, err = findPackage(tx, h.target); err != nil {
			return err
		}
		number := a.opt.Registry.NormalizeVersion(h.c.Format, number)
		if h.version, err = tx.Version(h.pkg.ID, number); err != nil || more == nil {
			return err
		}
		return more(tx, h.version)
	})
	return h, err
}

// details is what the format reads from the manifest. One that cannot be read
// has nothing to say; what the catalog knows is shown all the same.
func (a *API) details(h held) artifact.Details {
	d := artifact.Details{}
	if e, err := a.opt.Registry.Ecosystem(h.c.Format); err == nil && h.version.Manifest != nil {
		d, _ = e.Describe(h.c, h.version.Manifest)
	}
	if d.DisplayName == "" {
		d.DisplayName = h.pkg.DisplayName
	}
	return d
}

func (a *API) describePackageVersion(ctx context.Context, c *restjson.Call, in *api.DescribePackageVersionInput) (*api.DescribePackageVersionOutput, error) {
	h, err := a.version(ctx, c, in, in.PackageVersion, nil)
	if err != nil {
		return nil, err
	}
	d, v := a.details(h), h.version
	out := &api.PackageVersionDescription{
		Format: in.Format, Namespace: h.c.Namespace, PackageName: h.c.Name, DisplayName: d.DisplayName, Version: v.Number,
		Summary: d.Summary, HomePage: d.HomePage, SourceCodeRepository: d.Source,
		Revision: v.Revision, Status: string(v.Status), Origin: origin(v.Origin), Licenses: []api.LicenseInfo{},
	}
	if !v.Published.IsZero() {
		out.PublishedTime = restjson.At(v.Published)
	}
	for _, l := range d.Licenses {
		out.Licenses = append(out.Licenses, api.LicenseInfo{Name: l.Name, Url: l.URL})
	}
	return &api.DescribePackageVersionOutput{PackageVersion: out}, nil
}

// dependenciesPage is large because clients have no paginator for these.
const dependenciesPage = 1000

func (a *API) listPackageVersionDependencies(ctx context.Context, c *restjson.Call, in *api.ListPackageVersionDependenciesInput) (*api.ListPackageVersionDependenciesOutput, error) {
	h, err := a.version(ctx, c, in, in.PackageVersion, nil)
	if err != nil {
		return nil, err
	}
	v := h.version
	if v.Manifest == nil { // as of generic packages
		return nil, fault.About(fault.NotFound, "package-version", v.Number, "version %s of %s has no list of dependencies", v.Number, h.c)
	}
	all := a.details(h).Dependencies
	// The key is a place in the list: of one revision the list stays the same.
	l := page.For[int]("ListPackageVersionDependencies", h.pkg.ID, v.Number, v.Revision)
	start, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	start = min(max(start, 0), len(all))
	end := min(start+dependenciesPage, len(all))
	out := &api.ListPackageVersionDependenciesOutput{
		Format: in.Format, Namespace: h.c.Namespace, Package: h.c.Name, Version: v.Number, VersionRevision: v.Revision,
		Dependencies: []api.PackageDependency{},
	}
	for _, d := range all[start:end] {
		out.Dependencies = append(out.Dependencies, api.PackageDependency{
			Namespace: d.Namespace, Package: d.Package, DependencyType: d.Type, VersionRequirement: d.Requirement,
		})
	}
	if end < len(all) {
		out.NextToken = l.Token(end)
	}
	return out, nil
}
