package control

import (
	"context"

	"packhouse/internal/artifact"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/registry"
	"packhouse/internal/restjson"
)

// batch is what a call about several versions of a package is about.
func (a *API) batch(c *restjson.Call, in any, versions []string, revisions map[string]string, expected string) (registry.Batch, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return registry.Batch{}, err
	}
	b := registry.Batch{Repository: t.id, Coordinates: t.c, Expected: artifact.Status(expected)}
	b.Versions, b.Revisions, err = a.numbers(t.c.Format, versions, revisions)
	return b, err
}

// numbers gives versions the spelling they are known under, as the server does
// for names (section 2.3); Invalid when two revisions are of one version.
func (a *API) numbers(f artifact.Format, versions []string, revisions map[string]string) ([]string, map[string]string, error) {
	var list []string
	if versions != nil {
		list = make([]string, 0, len(versions))
	}
	for _, number := range versions {
		list = append(list, a.opt.Registry.NormalizeVersion(f, number))
	}
	if revisions == nil {
		return list, nil, nil
	}
	of := make(map[string]string, len(revisions))
	for number, revision := range revisions {
		normal := a.opt.Registry.NormalizeVersion(f, number)
		if _, twice := of[normal]; twice {
			return nil, nil, fault.Field("versionRevisions", "names version %s twice", normal)
		}
		of[normal] = revision
	}
	return list, of, nil
}

// results gives the two maps of a batch operation.
func results(o registry.Outcome) (map[string]api.SuccessfulPackageVersionInfo, map[string]api.PackageVersionError) {
	done := make(map[string]api.SuccessfulPackageVersionInfo, len(o.Done))
	for number, v := range o.Done {
		done[number] = api.SuccessfulPackageVersionInfo{Revision: v.Revision, Status: string(v.Status)}
	}
	failed := make(map[string]api.PackageVersionError, len(o.Failed))
	for number, e := range o.Failed {
		failed[number] = api.PackageVersionError{ErrorCode: string(e.Code), ErrorMessage: e.Message}
	}
	return done, failed
}

func (a *API) updatePackageVersionsStatus(ctx context.Context, c *restjson.Call, in *api.UpdatePackageVersionsStatusInput) (*api.UpdatePackageVersionsStatusOutput, error) {
	b, err := a.batch(c, in, in.Versions, in.VersionRevisions, in.ExpectedStatus)
	if err != nil {
		return nil, err
	}
	o, err := a.opt.Registry.UpdateStatus(ctx, b, artifact.Status(in.TargetStatus))
	if err != nil {
		return nil, err
	}
	out := &api.UpdatePackageVersionsStatusOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}

func (a *API) deletePackageVersions(ctx context.Context, c *restjson.Call, in *api.DeletePackageVersionsInput) (*api.DeletePackageVersionsOutput, error) {
	b, err := a.batch(c, in, in.Versions, nil, in.ExpectedStatus)
	if err != nil {
		return nil, err
	}
	o, err := a.opt.Registry.DeleteVersions(ctx, b)
	if err != nil {
		return nil, err
	}
	out := &api.DeletePackageVersionsOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}

func (a *API) disposePackageVersions(ctx context.Context, c *restjson.Call, in *api.DisposePackageVersionsInput) (*api.DisposePackageVersionsOutput, error) {
	b, err := a.batch(c, in, in.Versions, in.VersionRevisions, in.ExpectedStatus)
	if err != nil {
		return nil, err
	}
	o, err := a.opt.Registry.Dispose(ctx, b)
	if err != nil {
		return nil, err
	}
	out := &api.DisposePackageVersionsOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}

// onCopy asks for reading the source, and for copying to the destination, the
// repository and the package in it (operation 2).
func onCopy(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	input := in.(*api.CopyPackageVersionsInput)
	t, err := a.packageOf(c, in)
	if err != nil {
		t = targetOf(c, in)
	}
	source, destination := t.id, t.id
	source.Name, destination.Name = input.SourceRepository, input.DestinationRepository
	return []restjson.Need{
		{Action: Service + ":ReadFromRepository", Resource: a.repositoryARN(source)},
		{Action: action, Resource: a.packageARN(destination, t.c)},
		{Action: action, Resource: a.repositoryARN(destination)},
	}
}

func (a *API) copyPackageVersions(ctx context.Context, c *restjson.Call, in *api.CopyPackageVersionsInput) (*api.CopyPackageVersionsOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	versions, revisions, err := a.numbers(t.c.Format, in.Versions, in.VersionRevisions)
	if err != nil {
		return nil, err
	}
	q := registry.CopyRequest{
		Source: t.id, Destination: t.id, Coordinates: t.c,
		Versions: versions, Revisions: revisions, Overwrite: in.AllowOverwrite, FromUpstream: in.IncludeFromUpstream,
	}
	q.Source.Name, q.Destination.Name = in.SourceRepository, in.DestinationRepository
	o, err := a.opt.Registry.Copy(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &api.CopyPackageVersionsOutput{}
	out.SuccessfulVersions, out.FailedVersions = results(o)
	return out, nil
}
