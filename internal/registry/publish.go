package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// MayPublish checks the permission to publish a package and its origin
// controls, once per Repo; formats call it before they read a body.
func (r *Repo) MayPublish(ctx context.Context, c artifact.Coordinates) error {
	if c.Name != "" && r.mayPublish == c {
		return nil
	}
	if err := r.may(ctx, publishAction, c); err != nil {
		return err
	}
	var p catalog.Package
	err := r.service.db.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = tx.Package(r.node.repo.ID, c)
		return err
	})
	if err == nil {
		err = publishable(p, r.node)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := r.node.accepts(c); err != nil {
		return err
	}
	r.mayPublish = c
	return nil
}

func publishable(p catalog.Package, n *node) error {
	if p.Restrictions.Publish == artifact.Block {
		return fault.New(fault.Denied, "package %s in repository %s does not accept direct publishing (its origin configuration is publish=BLOCK, upstream=%s); "+
			"set publish to ALLOW with put-package-origin-configuration, or publish to another repository", p.Coordinates, n.id.Name, p.Restrictions.Upstream)
	}
	return nil
}

// Stage stores the bytes of an asset to be published. They are durable on
// return and swept away later unless Publish refers to them. Invalid when the
// name is none for an asset, or content ends in an error without a kind: it is
// the client's. Quota when no asset of that size may be in the repository; what
// announces its size (Announced) is refused unread.
func (r *Repo) Stage(ctx context.Context, c artifact.Coordinates, name string, content io.Reader) (Staged, error) {
	if err := r.MayPublish(ctx, c); err != nil {
		return Staged{}, err
	}
	if err := artifact.CheckAssetName(name); err != nil {
		return Staged{}, err
	}
	content, err := r.node.within(name, content)
	if err != nil {
		return Staged{}, err
	}
	info, err := r.store(ctx, r.node.graph.domain.ID, content)
	if err != nil {
		return Staged{}, err
	}
	return Staged{artifact.Asset{Name: name, Size: info.Size, Digests: info.Digests}}, nil
}

// store puts what a client sends into a space; Invalid when it breaks off.
func (r *Repo) store(ctx context.Context, space string, content io.Reader) (blob.Info, error) {
	info, err := r.service.blobs.Put(ctx, space, upload{content})
	if err != nil && ctx.Err() != nil && fault.Is(err, fault.Internal) {
		err = brokenOff(err)
	}
	return info, err
}

// OpenStaged gives the bytes of a staged asset; the caller closes them.
func (r *Repo) OpenStaged(ctx context.Context, st Staged) (blob.Reader, error) {
	return r.service.blobs.Open(ctx, blob.Ref{Space: r.node.graph.domain.ID, SHA256: st.Digests.Hex(digest.SHA256)})
}

// upload classifies what goes wrong with reading what a client sends.
type upload struct{ r io.Reader }

func (u upload) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err == nil || err == io.EOF { //nolint:errorlint // a reader returns it bare
		return n, err
	}
	if _, ok := errors.AsType[*fault.Error](err); !ok {
		err = brokenOff(err)
	}
	return n, err
}

func brokenOff(err error) error {
	return fault.Wrap(fault.Invalid, err, "the upload ended early or cannot be read")
}

// Publish makes a version with its assets visible, or adds assets to one that
// is there, in one transaction that is durable on return.
//
// Where the format's versions grow (Traits), a version of this repository takes
// further assets as long as its status lets it; assets it has with the same
// content are passed over, and a publication that does not leave it Unfinished
// makes an Unfinished one Published. With nothing to change the version is
// returned as it is.
//
// Conflict, with nothing changed, when the version is here and takes no more,
// when it has another asset of one of the names, or when it is visible through
// upstreams that the package may come from (section 7.6). Quota when the
// version would have too many assets, or the repository or its domain hold too
// much.
func (r *Repo) Publish(ctx context.Context, c artifact.Coordinates, p Publication) (artifact.Version, error) {
	r.does(publishAction, c, p.Version)
	if err := r.MayPublish(ctx, c); err != nil {
		return artifact.Version{}, err
	}
	if err := artifact.CheckName("packageVersion", p.Version); err != nil {
		return artifact.Version{}, err
	}
	s := r.service
	now, err := s.current(ctx, r.node)
	if err != nil {
		return artifact.Version{}, err
	}
	if err := now.accepts(c); err != nil { // the groups may have changed since
		return artifact.Version{}, err
	}
	if err := s.takesVersion(now.repo, c, p.Version); err != nil {
		return artifact.Version{}, err
	}
	if err := r.mustBeNew(ctx, c, p.Version); err != nil {
		return artifact.Version{}, err
	}
	if p.Status == "" {
		p.Status = artifact.Published
	}
	display := p.DisplayName
	if display == "" {
		display = s.displayName(c)
	}
	var v artifact.Version
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		repo, err := rowOf(tx, r.node)
		if err != nil {
			return err
		}
		row, _, err := tx.EnsurePackage(repo, c, display, artifact.DefaultRestrictions(true))
		if err != nil {
			return err
		}
		if err := publishable(row, r.node); err != nil { // it may have changed since
			return err
		}
		v, err = s.create(ctx, tx, r.node, row, p)
		if fault.Is(err, fault.Conflict) {
			v, err = s.grow(ctx, tx, r.node, row, p)
		}
		if err != nil {
			return err
		}
		for _, t := range p.Tags {
			if err := tx.SetDistTag(row, t, p.Version); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return artifact.Version{}, err
	}
	return v, nil
}

// create adds a version with its assets; Conflict, with nothing done, when it
// is there.
func (s *Service) create(ctx context.Context, tx *catalog.Tx, n *node, row catalog.Package, p Publication) (artifact.Version, error) {
	assets := make([]artifact.Asset, len(p.Assets))
	for i, a := range p.Assets {
		assets[i] = a.Asset
	}
	manifest, err := p.manifest(nil)
	if err != nil {
		return artifact.Version{}, err
	}
	v := artifact.Version{
		Number: p.Version, Status: p.Status, Manifest: manifest, Published: p.Published,
		Revision: artifact.Revise(manifest, assets),
		Origin:   artifact.Origin{Type: artifact.Internal, Repository: n.id.Name},
	}
	if v.Published.IsZero() {
		v.Published = s.opt.Now().UTC().Truncate(time.Microsecond)
	}
	switch there, err := tx.HasVersion(row.ID, v.Number); {
	case err != nil:
		return v, err
	case there:
		return v, exists(row.Coordinates, v.Number)
	}
	if err := admit(tx, n, 1, assets); err != nil {
		return v, err
	}
	stored, err := tx.InsertVersion(row, v)
	if err != nil {
		return v, err
	}
	if err := s.mayHold(v, len(assets)); err != nil {
		return v, err
	}
	for _, a := range assets {
		if err := s.refer(ctx, tx, row, stored.ID, a); err != nil {
			return v, doubled(err)
		}
	}
	tx.CountPublished(row)
	return v, tx.Emit(eventOf(n, row.Coordinates, v, artifact.Event{Operation: "Created", AssetsAdded: len(assets), Metadata: true, StatusChanged: true}))
}

// doubled keeps a publication that has two assets of one name from passing for
// one of a version that is there.
func doubled(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Invalid, err, "two assets have the same name")
	}
	return err
}

// grow adds to a version what it lacks of a publication.
func (s *Service) grow(ctx context.Context, tx *catalog.Tx, n *node, row catalog.Package, p Publication) (artifact.Version, error) {
	growth := s.traits(row.Coordinates.Format).Growth
	held, err := tx.Version(row.ID, p.Version)
	if err != nil {
		return held.Version, err
	}
	switch {
	case growth == GrowsNever || held.Origin.Type == artifact.External: // what comes from outside is not mixed with what is published
		return held.Version, exists(row.Coordinates, p.Version)
	case held.Status == artifact.Archived || held.Status == artifact.Disposed:
		return held.Version, takenAway(row.Coordinates, held.Version)
	}
	rows, err := tx.Assets(held.ID, "", 0)
	if err != nil {
		return held.Version, err
	}
	manifest, err := p.manifest(held.Manifest)
	if err != nil {
		return held.Version, err
	}
	have := plainAssets(rows)
	lacking, replaced, err := lacks(have, p, p.Overwrite && s.traits(row.Coordinates.Format).changes(p.Version))
	if err != nil {
		return held.Version, err
	}
	e := artifact.Event{
		Operation: "Updated", AssetsAdded: len(lacking) - len(replaced), AssetsUpdated: len(replaced),
		Metadata:      manifest != nil && !bytes.Equal(manifest, held.Manifest),
		StatusChanged: held.Status == artifact.Unfinished && p.Status != artifact.Unfinished,
	}
	if (len(lacking) > 0 || e.Metadata) && !growth.takes(held.Status) {
		return held.Version, closed(row.Coordinates, held.Version)
	}
	if len(lacking) == 0 && !e.Metadata && !e.StatusChanged {
		return held.Version, nil
	}
	if len(replaced) > 0 && held.Status != artifact.Unfinished {
		if err := notOnHold(tx, row, held.Number); err != nil { // what is replaced is taken away
			return held.Version, err
		}
	}
	if e.Metadata {
		held.Manifest = manifest
	}
	if e.StatusChanged {
		held.Status = p.Status
	}
	for _, name := range replaced {
		if err := tx.DeleteAsset(row, held.ID, name); err != nil {
			return held.Version, err
		}
		have = slices.DeleteFunc(have, func(a artifact.Asset) bool { return a.Name == name })
	}
	have = append(have, lacking...)
	if err := s.mayHold(held.Version, len(have)); err != nil {
		return held.Version, err
	}
	if err := admit(tx, n, 0, lacking); err != nil {
		return held.Version, err
	}
	for _, a := range lacking {
		if err := s.refer(ctx, tx, row, held.ID, a); err != nil {
			return held.Version, doubled(err)
		}
	}
	held.Revision = artifact.Revise(held.Manifest, have)
	if err := tx.UpdateVersion(row, held); err != nil {
		return held.Version, err
	}
	tx.CountPublished(row)
	return held.Version, tx.Emit(eventOf(n, row.Coordinates, held.Version, e))
}

// lacks gives the assets of a publication that are not there, and the names of
// those that replace others, if they may; else Conflict when another content has
// the name of one.
func lacks(have []artifact.Asset, p Publication, mayReplace bool) (lacking []artifact.Asset, replaced []string, err error) {
	for _, a := range p.Assets {
		at := slices.IndexFunc(have, func(h artifact.Asset) bool { return h.Name == a.Name })
		switch {
		case at < 0:
			lacking = append(lacking, a.Asset)
		case have[at].Digests.Hex(digest.SHA256) == a.Digests.Hex(digest.SHA256):
		case mayReplace:
			lacking, replaced = append(lacking, a.Asset), append(replaced, a.Name)
		default:
			return nil, nil, fault.About(fault.Conflict, "asset", a.Name, "version %s already has an asset %s with other content; publish another version, or delete this one first", p.Version, a.Name)
		}
	}
	return lacking, replaced, nil
}

// mayHold refuses a version with too many assets (section 1.1).
func (s *Service) mayHold(v artifact.Version, assets int) error {
	if assets > s.opt.MaxAssets {
		return fault.About(fault.Quota, "package-version", v.Number, "version %s would have %d assets, %d is the most", v.Number, assets, s.opt.MaxAssets)
	}
	return nil
}

// refer adds an asset row and makes sure that its bytes are still there: the
// sweep removes bytes and their row in one transaction, so whichever of the two
// commits first, a row without bytes cannot come about.
func (s *Service) refer(ctx context.Context, tx *catalog.Tx, p catalog.Package, versionID string, a artifact.Asset) error {
	if err := tx.InsertAsset(p, versionID, a); err != nil {
		return err
	}
	if _, err := s.blobs.Stat(ctx, blob.Ref{Space: p.DomainID, SHA256: a.Digests.Hex(digest.SHA256)}); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the uploaded bytes of %s were cleaned up before they were published; upload again", a.Name)
	}
	return nil
}

func takenAway(c artifact.Coordinates, v artifact.Version) error {
	return fault.About(fault.Conflict, "package-version", v.Number,
		"version %s of %s already exists and is %s; delete it to publish it again", v.Number, c, v.Status)
}

func closed(c artifact.Coordinates, v artifact.Version) error {
	return fault.About(fault.Conflict, "package-version", v.Number,
		"version %s of %s is %s and takes no further assets; publish another version, or delete this one first", v.Number, c, v.Status)
}

func exists(c artifact.Coordinates, version string) error {
	return fault.About(fault.Conflict, "package-version", version, "version %s of %s already exists", version, c)
}

// mustBeNew refuses a version that is visible from here already, unless it is
// here and may grow: what that takes is for the transaction to say.
func (r *Repo) mustBeNew(ctx context.Context, c artifact.Coordinates, version string) error {
	s := r.service
	v, err := s.look(ctx, r.node, c)
	if err != nil {
		return err
	}
	for _, n := range v.nodes { // upstreams are among them only where the package may come from there
		if slices.ContainsFunc(v.local(n), func(row catalog.Version) bool { return row.Number == version && (n == r.node || !v.hides(row)) }) {
			if n == r.node && s.traits(c.Format).Growth != GrowsNever {
				return nil
			}
			return exists(c, version)
		}
	}
	s.ask(ctx, v)
	for _, answer := range v.remotes {
		// A connection that is down does not stop anybody from publishing (7.5).
		if answer.err != nil || !answer.state.Found() {
			continue
		}
		l, err := s.listing(ctx, answer, c)
		if err != nil {
			continue
		}
		for i := range l.Versions {
			if l.Versions[i].Number == version {
				return exists(c, version)
			}
		}
	}
	return nil
}

// SetTag points a dist-tag of a package at a version that is visible from
// here. A package that is only upstream gets a row here to hold the tag.
func (r *Repo) SetTag(ctx context.Context, c artifact.Coordinates, tag, version string) error {
	r.does(metadataAction, c, version)
	if err := r.may(ctx, metadataAction, c); err != nil {
		return err
	}
	l, err := r.service.merge(ctx, r.node, c)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(l.Versions, func(v Listed) bool { return v.Number == version && v.Status == artifact.Published }) {
		return fault.About(fault.NotFound, "package-version", version, "version %s of %s is not published here, so no tag can point at it", version, c)
	}
	return r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		repo, err := rowOf(tx, r.node)
		if err != nil {
			return err
		}
		p, _, err := tx.EnsurePackage(repo, c, r.service.displayName(c), artifact.DefaultRestrictions(false))
		if err != nil {
			return err
		}
		return tx.SetDistTag(p, tag, version)
	})
}

// DeleteTag removes a dist-tag that was set in this repository.
func (r *Repo) DeleteTag(ctx context.Context, c artifact.Coordinates, tag string) error {
	if err := r.may(ctx, metadataAction, c); err != nil {
		return err
	}
	return r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		return tx.DeleteDistTag(p, tag)
	})
}

// Amend lets amend change the manifests of the versions this repository holds,
// in one transaction, and tells how many changed.
func (r *Repo) Amend(ctx context.Context, c artifact.Coordinates, amend Amendment) (changed int, err error) {
	if err := r.may(ctx, metadataAction, c); err != nil {
		return 0, err
	}
	err = r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		changed = 0
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		rows, err := tx.Versions(p.ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			full, err := tx.Version(p.ID, row.Number)
			if err != nil {
				return err
			}
			manifest, err := amend(full.Version)
			if err != nil {
				return err
			}
			if manifest == nil {
				continue
			}
			assets, err := tx.Assets(full.ID, "", 0)
			if err != nil {
				return err
			}
			full.Manifest = manifest
			full.Revision = artifact.Revise(manifest, plainAssets(assets))
			if err := tx.UpdateVersion(p, full); err != nil {
				return err
			}
			changed++
			if err := tx.Emit(eventOf(r.node, c, full.Version, artifact.Event{Operation: "Updated", Metadata: true})); err != nil {
				return err
			}
		}
		return nil
	})
	return changed, err
}

func plainAssets(rows []catalog.Asset) []artifact.Asset {
	out := make([]artifact.Asset, len(rows))
	for i, a := range rows {
		out[i] = a.Asset
	}
	return out
}

// Unpublish deletes versions this repository holds; nil means the package with
// all of them.
func (r *Repo) Unpublish(ctx context.Context, c artifact.Coordinates, versions []string) error {
	action := deleteVersionAction
	if versions == nil {
		action = deletePackageAction
	}
	if len(versions) > 0 {
		r.does(action, c, versions[0], versions[1:]...)
	}
	if err := r.may(ctx, action, c); err != nil {
		return err
	}
	return r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		if versions == nil {
			return r.service.dropPackage(tx, r.node, p)
		}
		for _, number := range versions {
			row, err := tx.Version(p.ID, number)
			if err != nil {
				return err
			}
			if err := r.service.dropVersion(tx, r.node, p, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropVersion deletes one version, the tags that point at it, and says so.
func (s *Service) dropVersion(tx *catalog.Tx, n *node, p catalog.Package, row catalog.Version) error {
	if err := notOnHold(tx, p, row.Number); err != nil {
		return err
	}
	assets, err := tx.Assets(row.ID, "", 0)
	if err != nil {
		return err
	}
	if err := tx.DeleteVersion(p, row); err != nil {
		return err
	}
	if err := s.dropTags(tx, p, row.Number); err != nil {
		return err
	}
	return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Deleted", AssetsRemoved: len(assets), StatusChanged: true}))
}

// notOnHold refuses to take away a version that is on legal hold; with an empty
// number a package of which anything is.
func notOnHold(tx *catalog.Tx, p catalog.Package, number string) error {
	h, found, err := tx.LegalHold(p.RepositoryID, p.Coordinates, number)
	if err != nil || !found {
		return err
	}
	what := "repository"
	switch {
	case h.Version != "":
		what = "version " + h.Version
	case h.Coordinates.Name != "":
		what = "package"
	}
	return fault.About(fault.Conflict, "package", p.Coordinates.String(), "%s of %s is on legal hold; delete-legal-hold ends that", what, p.Coordinates)
}

// dropTags removes the tags that point at a version.
func (s *Service) dropTags(tx *catalog.Tx, p catalog.Package, version string) error {
	tags, err := tx.DistTags(p.ID)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if t.Version != version {
			continue
		}
		if err := tx.DeleteDistTag(p, t.Tag); err != nil {
			return err
		}
	}
	return nil
}

// dropPackage deletes a package with everything in it.
func (s *Service) dropPackage(tx *catalog.Tx, n *node, p catalog.Package) error {
	if err := notOnHold(tx, p, ""); err != nil {
		return err
	}
	rows, err := tx.Versions(p.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Deleted", StatusChanged: true})); err != nil {
			return err
		}
	}
	return tx.DeletePackage(p)
}
