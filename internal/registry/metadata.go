package registry

import (
	"context"
	"io"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// The methods here are for formats whose clients say in requests of their own
// when a version is complete, current or withdrawn.

const statusAction = "codeartifact:UpdatePackageVersionsStatus"

// MayPutMetadata checks the permission to change what is said of a package's
// versions.
func (r *Repo) MayPutMetadata(ctx context.Context, c artifact.Coordinates) error {
	return r.may(ctx, metadataAction, c)
}

// Held gives the versions that this repository itself holds of a package, with
// manifests and assets, whatever their status, by number; for who may publish
// it.
func (r *Repo) Held(ctx context.Context, c artifact.Coordinates) (held []Listed, err error) {
	if err := r.MayPublish(ctx, c); err != nil {
		return nil, err
	}
	err = r.service.db.View(ctx, func(tx *catalog.Tx) error {
		held = nil
		p, err := tx.Package(r.node.repo.ID, c)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := tx.Versions(p.ID)
		if err != nil {
			return err
		}
		at, ids := map[string]int{}, make([]string, len(rows))
		for i, row := range rows {
			held = append(held, Listed{Version: row.Version})
			at[row.ID], ids[i] = i, row.ID
		}
		if err := tx.AssetsOf(ids, func(a catalog.Asset) error {
			held[at[a.VersionID]].Assets = append(held[at[a.VersionID]].Assets, a.Asset)
			return nil
		}); err != nil {
			return err
		}
		return tx.Manifests(ids, func(id string, manifest []byte) error {
			held[at[id]].Manifest = manifest
			return nil
		})
	})
	return held, err
}

// HeldVersion is Held for one version; NotFound when this repository does not
// hold it.
func (r *Repo) HeldVersion(ctx context.Context, c artifact.Coordinates, number string) (held Listed, err error) {
	if err := r.MayPublish(ctx, c); err != nil {
		return Listed{}, err
	}
	err = r.service.db.View(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		row, err := tx.Version(p.ID, number)
		if err != nil {
			return err
		}
		assets, err := tx.Assets(row.ID, "", 0)
		held = Listed{Version: row.Version, Assets: plainAssets(assets)}
		return err
	})
	return held, err
}

// Finish publishes those Unfinished versions of a package that complete agrees
// to, in one transaction, and tells which; an error of complete ends it with
// nothing changed. It needs the permission to put metadata.
func (r *Repo) Finish(ctx context.Context, c artifact.Coordinates, complete func(v artifact.Version) (bool, error)) (finished []string, err error) {
	if err := r.may(ctx, metadataAction, c); err != nil {
		return nil, err
	}
	err = r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		finished = nil
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		rows, err := tx.Versions(p.ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Status != artifact.Unfinished {
				continue
			}
			full, err := tx.Version(p.ID, row.Number)
			if err != nil {
				return err
			}
			if ok, err := complete(full.Version); !ok || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			full.Manifest, full.Status = nil, artifact.Published
			if err := tx.UpdateVersion(p, full); err != nil {
				return err
			}
			if err := tx.Emit(eventOf(r.node, c, full.Version, artifact.Event{Operation: "Updated", StatusChanged: true})); err != nil {
				return err
			}
			finished = append(finished, row.Number)
		}
		return nil
	})
	if len(finished) > 0 {
		r.does(metadataAction, c, finished[0], finished[1:]...)
	}
	return finished, err
}

// Turn makes a version the content of one that changes (Traits), in one
// transaction. It needs the permission to put metadata. NotFound when there is
// no version t.Next; Conflict when t.Current was Archived or Disposed, which no
// new content brings back, or is itself on legal hold.
func (r *Repo) Turn(ctx context.Context, c artifact.Coordinates, t Turn) error {
	r.does(metadataAction, c, t.Current)
	if err := r.may(ctx, metadataAction, c); err != nil {
		return err
	}
	if !r.service.traits(c.Format).changes(t.Current) {
		return fault.New(fault.Invalid, "version %s of %s is not one whose content may be replaced", t.Current, c)
	}
	return r.service.db.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Package(r.node.repo.ID, c)
		if err != nil {
			return err
		}
		next, err := tx.Version(p.ID, t.Next)
		if err != nil {
			return err
		}
		was, err := tx.Version(p.ID, t.Current)
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			return err
		case was.Status == artifact.Archived || was.Status == artifact.Disposed:
			return takenAway(c, was.Version)
		default:
			// A hold on the package goes on with what is retired; one on the
			// number would be left with the new content.
			if h, _, err := tx.LegalHold(p.RepositoryID, c, was.Number); err != nil {
				return err
			} else if h.Version != "" {
				return notOnHold(tx, p, was.Number)
			}
			if err := r.service.retire(tx, r.node, p, was, t); err != nil {
				return err
			}
			if next, err = tx.Version(p.ID, t.Next); err != nil { // it may have got what was retired
				return err
			}
		}
		if err := tx.RenameVersion(p, next, t.Current); err != nil {
			return err
		}
		next.Number, next.Status, next.Manifest = t.Current, artifact.Published, nil
		if err := tx.UpdateVersion(p, next); err != nil {
			return err
		}
		return tx.Emit(eventOf(r.node, c, next.Version, artifact.Event{Operation: "Updated", Metadata: true, StatusChanged: true}))
	})
}

// retire puts what was current so far away.
func (s *Service) retire(tx *catalog.Tx, n *node, p catalog.Package, was catalog.Version, t Turn) error {
	number := ""
	if t.Retired != nil {
		var err error
		if number, err = t.Retired(was.Version); err != nil {
			return err
		}
	}
	if number == "" {
		return s.dropVersion(tx, n, p, was)
	}
	if taken, err := tx.Version(p.ID, number); err == nil {
		return s.absorb(tx, n, p, taken, was)
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := tx.RenameVersion(p, was, number); err != nil {
		return err
	}
	was.Number, was.Status, was.Manifest = number, artifact.Unlisted, nil
	if err := tx.UpdateVersion(p, was); err != nil {
		return err
	}
	return tx.Emit(eventOf(n, p.Coordinates, was.Version, artifact.Event{Operation: "Updated", StatusChanged: true}))
}

// absorb makes v, which has the number that was shall be kept under, hold what
// both have; what v has already stays.
func (s *Service) absorb(tx *catalog.Tx, n *node, p catalog.Package, v, was catalog.Version) error {
	assets, err := tx.Assets(was.ID, "", 0)
	if err != nil {
		return err
	}
	if err := tx.DeleteVersion(p, was); err != nil {
		return err
	}
	v.Status = artifact.Unlisted
	if err := tx.UpdateVersion(p, v); err != nil {
		return err
	}
	return s.extend(tx, n, p, v, assets, nil)
}

// SetStatus moves versions that this repository holds to Published or Unlisted.
// NotFound when one of them is missing, or was taken away by other means
// (Archived, Disposed), Conflict when one cannot go there; nothing has changed
// then.
func (r *Repo) SetStatus(ctx context.Context, c artifact.Coordinates, target artifact.Status, versions ...string) error {
	if len(versions) > 0 {
		r.does(statusAction, c, versions[0], versions[1:]...)
	}
	if err := r.may(ctx, statusAction, c); err != nil {
		return err
	}
	away := map[string]error{}
	refuse := func(row catalog.Version) string {
		if row.Status != artifact.Archived && row.Status != artifact.Disposed {
			return ""
		}
		away[row.Number] = notDownloadable(c, row)
		return fault.Message(away[row.Number])
	}
	out, err := r.service.moveTo(ctx, Batch{Repository: r.node.id, Coordinates: c, Versions: versions}, target, refuse)
	if err != nil {
		return err
	}
	for _, number := range versions {
		switch e, failed := out.Failed[number]; {
		case !failed || e.Code == Skipped:
		case e.Code == VersionNotFound:
			return fault.About(fault.NotFound, "package-version", number, "version %s of %s is not in this repository", number, c)
		case away[number] != nil:
			return away[number]
		default:
			return fault.About(fault.Conflict, "package-version", number, "%s", e.Message)
		}
	}
	return nil
}

// Packages lists the packages of a format that this repository and its
// upstreams hold, by namespace and name; namespace narrows that to one, nil
// means all. Nothing outside is asked.
func (r *Repo) Packages(ctx context.Context, f artifact.Format, namespace *string) (found []artifact.Coordinates, err error) {
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range r.service.reach(r.node, f) {
		ids = append(ids, n.repo.ID)
	}
	err = r.service.db.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.PackageNames(ids, f, namespace)
		return err
	})
	return found, err
}

// Derive gives what is made of one asset, as finished bytes: derive runs when
// there is none or the asset is another one, once for any number of callers.
// kind names what is made of it. An asset that is only outside is fetched; one
// that an upstream holds is not retained for it.
func (r *Repo) Derive(ctx context.Context, c artifact.Coordinates, version, asset, kind, contentType string,
	derive func(content io.ReaderAt, size int64, w io.Writer) error,
) (*Document, error) {
	r.does(readAction, c, version)
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	s, root := r.service, r.node
	k := documentKey{root.repo.ID, c, Variant{Name: kind + " " + version + " " + asset}}
	r.answers(AnswerDocument, false, false)
	if d, ok := s.documents.cache.GetIfPresent(k); ok && d.stamp.current(s) {
		return d, d.err
	}
	d, err := s.builds.Do(ctx, k, func(ctx context.Context) (*Document, error) {
		st := s.stampOf(root.graph.domain.ID, c)
		key := contentKey{root.repo.ID, c, version, asset}
		content, err := s.peek(ctx, root, key)
		if err == nil && content == nil {
			content, err = s.content(ctx, root, key)
		}
		if err != nil {
			return nil, err
		}
		fetched := content.arrival != nil && content.arrival.claimed.CompareAndSwap(false, true)
		f, err := content.Open(ctx)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		d := &Document{stamp: st, contentType: []string{contentType}}
		d.fetched.Store(fetched)
		d.freshUntil.Store(s.opt.Now().Add(forever).UnixNano())
		err = s.documents.write(ctx, d, &Listing{Coordinates: c}, func(_ context.Context, _ *Listing, w io.Writer) error { return derive(f, f.Size(), w) })
		if err != nil {
			return nil, err
		}
		s.documents.cache.Set(k, d)
		return d, nil
	})
	if err == nil {
		r.answers(AnswerDocument, d.fetched.CompareAndSwap(true, false), false)
	}
	return d, err
}

// Digests waits until an asset has arrived and gives its digests.
func (c *Content) Digests(ctx context.Context) (digest.Set, error) {
	if c.arrival != nil {
		if err := c.settle(ctx); err != nil {
			return digest.Set{}, err
		}
	}
	return c.Asset.Digests, nil
}
