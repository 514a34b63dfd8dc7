package control

import (
	"context"
	"io"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

func (a *API) listPackageVersionAssets(ctx context.Context, c *restjson.Call, in *api.ListPackageVersionAssetsInput) (*api.ListPackageVersionAssetsOutput, error) {
	limit := limitOf(in.MaxResults, 100)
	t := targetOf(c, in)
	l := page.For[string]("ListPackageVersionAssets", t.id.Owner, t.id.Domain, t.id.Name, in.Format, in.Namespace, in.Package, in.PackageVersion)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	var rows []catalog.Asset
	h, err := a.version(ctx, c, in, in.PackageVersion, func(tx *catalog.Tx, v catalog.Version) (err error) {
		rows, err = tx.Assets(v.ID, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(a catalog.Asset) string { return a.Name })
	out := &api.ListPackageVersionAssetsOutput{
		Format: in.Format, Namespace: h.c.Namespace, Package: h.c.Name, Version: h.version.Number, VersionRevision: h.version.Revision,
		Assets: make([]api.AssetSummary, len(rows)), NextToken: token,
	}
	for i, r := range rows {
		out.Assets[i] = assetSummary(r.Asset)
	}
	return out, nil
}

func assetSummary(a artifact.Asset) api.AssetSummary {
	s := api.AssetSummary{Name: a.Name, Size: a.Size, Hashes: map[string]string{}}
	for name, algorithm := range map[string]digest.Algorithm{"MD5": digest.MD5, "SHA-1": digest.SHA1, "SHA-256": digest.SHA256, "SHA-512": digest.SHA512} {
		s.Hashes[name] = a.Digests.Hex(algorithm)
	}
	return s
}

func (a *API) getPackageVersionAsset(ctx context.Context, c *restjson.Call, in *api.GetPackageVersionAssetInput) (*api.GetPackageVersionAssetOutput, error) {
	var asset catalog.Asset
	h, err := a.version(ctx, c, in, in.PackageVersion, func(tx *catalog.Tx, v catalog.Version) (err error) {
		switch {
		case in.PackageVersionRevision != "" && in.PackageVersionRevision != v.Revision:
			return fault.About(fault.NotFound, "package-version", v.Number, "version %s has the revision %s, not %s", v.Number, v.Revision, in.PackageVersionRevision)
		case !v.Status.Downloadable():
			return fault.About(fault.Conflict, "package-version", v.Number, "version %s is %s, so its assets cannot be downloaded", v.Number, v.Status)
		}
		asset, err = tx.Asset(v.ID, in.Asset)
		return err
	})
	if err != nil {
		return nil, err
	}
	content, err := a.opt.Registry.OpenStored(ctx, asset)
	if err != nil {
		return nil, err
	}
	return &api.GetPackageVersionAssetOutput{
		Asset: content, AssetName: asset.Name, PackageVersion: h.version.Number, PackageVersionRevision: h.version.Revision,
		ContentLength: asset.Size,
	}, nil
}

func (a *API) getPackageVersionReadme(ctx context.Context, c *restjson.Call, in *api.GetPackageVersionReadmeInput) (*api.GetPackageVersionReadmeOutput, error) {
	var rows []catalog.Asset
	h, err := a.version(ctx, c, in, in.PackageVersion, func(tx *catalog.Tx, v catalog.Version) (err error) {
		rows, err = tx.Assets(v.ID, "", 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	e, err := a.opt.Registry.Ecosystem(h.c.Format)
	if err != nil {
		return nil, noReadme(h)
	}
	assets := make([]artifact.Asset, len(rows))
	for i, r := range rows {
		assets[i] = r.Asset
	}
	text, err := e.Readme(h.version.Manifest, assets, func(name string) (io.ReadCloser, error) {
		i := slices.IndexFunc(rows, func(r catalog.Asset) bool { return r.Name == name })
		if i < 0 {
			return nil, noReadme(h)
		}
		return a.opt.Registry.OpenStored(ctx, rows[i])
	})
	if fault.Is(err, fault.NotFound) {
		return nil, noReadme(h)
	}
	if err != nil {
		return nil, err
	}
	return &api.GetPackageVersionReadmeOutput{
		Format: in.Format, Namespace: h.c.Namespace, Package: h.c.Name, Version: h.version.Number, VersionRevision: h.version.Revision,
		Readme: text,
	}, nil
}

func noReadme(h held) error {
	return fault.About(fault.NotFound, "package-version", h.version.Number, "version %s of %s has no readme", h.version.Number, h.c)
}
