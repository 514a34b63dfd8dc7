package control

import (
	"context"

	"packhouse/internal/artifact"
	"packhouse/internal/control/api"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
)

// publishPackageVersion takes one file of a generic package (operation 39). The
// header with its hash is also how the request is signed, so the body has been
// compared with it where it ends; a client that signs without the body sends
// UNSIGNED-PAYLOAD and promises nothing.
func (a *API) publishPackageVersion(ctx context.Context, c *restjson.Call, in *api.PublishPackageVersionInput) (*api.PublishPackageVersionOutput, error) {
	defer in.AssetContent.Close()
	if in.Format != string(artifact.Generic) {
		return nil, fault.Field("format", "must be generic; packages of other formats are published with their own clients")
	}
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	if err := artifact.CheckName("packageVersion", in.PackageVersion); err != nil {
		return nil, err
	}
	repo, err := a.opt.Registry.Open(ctx, callerOf(c), t.id)
	if err != nil {
		return nil, err
	}
	staged, err := repo.Stage(ctx, t.c, in.AssetName, registry.Announced(in.AssetContent, c.Length))
	if fault.Is(err, fault.TooLarge) { // the size of an asset is a quota (section 1.1)
		return nil, fault.Wrap(fault.Quota, err, "asset %s is larger than this server takes (max-asset-size)", in.AssetName)
	}
	if err != nil {
		return nil, err
	}
	if has := staged.Digests.Hex(digest.SHA256); len(in.AssetSHA256) == len(has) && in.AssetSHA256 != has {
		return nil, fault.Field("assetSHA256", "the asset does not have this hash but %s", has)
	}
	p := registry.Publication{Version: in.PackageVersion, Assets: []registry.Staged{staged}}
	if in.Unfinished {
		p.Status = artifact.Unfinished
	}
	v, err := repo.Publish(ctx, t.c, p)
	if err != nil {
		return nil, err
	}
	asset := assetSummary(staged.Asset)
	return &api.PublishPackageVersionOutput{
		Format: in.Format, Namespace: t.c.Namespace, Package: t.c.Name, Version: v.Number, VersionRevision: v.Revision,
		Status: string(v.Status), Asset: &asset,
	}, nil
}
