package registry

import (
	"context"
	"io"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// Asset finds one asset of one version: here, in an upstream, or outside, and
// retains what it found elsewhere (section 7). NotFound, or Upstream when an
// external connection that might have it does not answer.
func (r *Repo) Asset(ctx context.Context, c artifact.Coordinates, version, name string) (*Content, error) {
	r.does(readAction, c, version)
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	s := r.service
	k := contentKey{r.node.repo.ID, c, version, name}
	if content, ok := s.contents.cache.GetIfPresent(k); ok && content.stamp.current(s) {
		s.observe(c.Format, "asset-hit")
		return content, nil
	}
	s.observe(c.Format, "asset-miss")
	for range maxTurns {
		content, again, err := s.bring(ctx, r.node, k)
		if err != nil || !again {
			return content, err
		}
	}
	return nil, fault.New(fault.Unavailable, "%s %s keeps changing; try again", c, version)
}

// maxTurns bounds how often a search starts over because what it found moved.
const maxTurns = 5

// bring finds the asset of k as seen from root and retains it there. again says
// that it has come to root only now and is to be looked for once more.
func (s *Service) bring(ctx context.Context, root *node, k contentKey) (content *Content, again bool, err error) {
	st, since := s.stampOf(root.graph.domain.ID, k.c), s.arrivals.now()
	if root, err = s.current(ctx, root); err != nil {
		return nil, false, err
	}
	v, err := s.look(ctx, root, k.c)
	if err != nil {
		return nil, false, err
	}
	h, err := s.find(ctx, v, k)
	switch {
	case err != nil:
		return nil, false, err
	case h.source != nil:
		return s.bringIn(ctx, v, k, h, since)
	case h.at != root:
		err := s.db.Update(ctx, func(tx *catalog.Tx) error {
			row, err := tx.Version(h.version.PackageID, k.version)
			if fault.Is(err, fault.NotFound) {
				return nil // deleted since: the next turn sees it
			}
			if err != nil {
				return err
			}
			v, err := s.lookIn(tx, root, k.c)
			if err != nil || !v.mayTake(h.at, row) {
				return err // forbidden since: as above
			}
			assets, err := tx.Assets(row.ID, "", 0)
			if err != nil {
				return err
			}
			return s.retain(tx, root, k.c, v.packages[h.at].DisplayName, row.Version, assets)
		})
		s.observe(k.c.Format, "retained")
		return nil, true, err
	}
	content, err = s.stored(ctx, st, root, h)
	if err == nil {
		s.contents.cache.Set(k, content)
	}
	return content, false, err
}

// stored makes the content of an asset that root holds.
func (s *Service) stored(ctx context.Context, st stamp, root *node, h hit) (*Content, error) {
	content := s.newContent(st, root.graph.domain.ID, h.version.Version, h.asset)
	if h.asset.Size > smallAsset {
		return content, nil
	}
	f, err := s.blobs.Open(ctx, content.ref)
	if err != nil {
		return nil, content.lost(err)
	}
	defer f.Close()
	content.small = make([]byte, h.asset.Size)
	if _, err := io.ReadFull(f, content.small); err != nil {
		return nil, content.lost(err)
	}
	return content, nil
}

// hit is where a version or an asset of it was found: in a repository's rows,
// or at a source.
type hit struct {
	at      *node
	version catalog.Version
	asset   artifact.Asset

	source  *upstream.Source // set when it must be fetched
	listing *upstream.Listing
	listed  *upstream.ListedVersion // of listing
	remote  upstream.ListedAsset
}

// find looks for an asset in search order; the first repository that has the
// version decides.
func (s *Service) find(ctx context.Context, v *sight, k contentKey) (hit, error) {
	h, err := s.findVersion(ctx, v, k.version)
	if err != nil {
		return hit{}, err
	}
	if h.source != nil {
		h.remote, err = h.source.Remote.Locate(k.c, k.version, k.name, h.listing)
		return h, err
	}
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		a, err := tx.Asset(h.version.ID, k.name)
		h.asset = a.Asset
		return err
	})
	return h, err
}

// findVersion looks for a version in search order; the first repository that
// has it decides.
func (s *Service) findVersion(ctx context.Context, v *sight, number string) (hit, error) {
	var failed error
	for _, n := range v.nodes {
		rows := v.local(n)
		if i := slices.IndexFunc(rows, func(r catalog.Version) bool { return r.Number == number }); i >= 0 && !v.hides(rows[i]) {
			row := rows[i]
			if !row.Status.Downloadable() {
				return hit{}, fault.About(fault.NotFound, "package-version", number, "version %s of %s is %s and cannot be downloaded", number, v.coords, row.Status)
			}
			return hit{at: n, version: row}, nil
		}
		src := n.source(v.coords.Format)
		if src == nil || !v.mayAsk(n) {
			continue
		}
		h, err := s.findOutside(ctx, n, src, v.coords, number)
		if err == nil || !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Upstream) {
			return h, err
		}
		if failed == nil && fault.Is(err, fault.Upstream) {
			failed = err
		}
	}
	if failed != nil {
		return hit{}, failed
	}
	return hit{}, fault.About(fault.NotFound, "package-version", number, "version %s of %s is not in this repository, its upstreams or their external connections", number, v.coords)
}

func (s *Service) findOutside(ctx context.Context, n *node, src *upstream.Source, c artifact.Coordinates, number string) (hit, error) {
	st, err := s.remotes.Check(ctx, src, c)
	if err != nil {
		return hit{}, err
	}
	if !st.Found() {
		return hit{}, notVisible(c)
	}
	l, err := s.listing(ctx, remoteState{source: src, state: st}, c)
	if err != nil {
		return hit{}, err
	}
	at := slices.IndexFunc(l.Versions, func(lv upstream.ListedVersion) bool { return lv.Number == number })
	if at < 0 {
		return hit{}, notVisible(c)
	}
	return hit{at: n, source: src, listing: l, listed: &l.Versions[at]}, nil
}

// bringIn fetches an asset from outside, or joins the fetch under way, and
// answers as soon as it has begun to arrive.
func (s *Service) bringIn(ctx context.Context, v *sight, k contentKey, h hit, since uint64) (*Content, bool, error) {
	st := s.stampOf(v.root.graph.domain.ID, k.c)
	a, version, joined := s.arrive(ctx, v.root, k, h, since)
	if !joined {
		_, err := a.wait(ctx)
		return nil, true, err
	}
	select {
	case <-a.begun:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if a.writer == nil {
		return nil, false, a.err
	}
	return &Content{
		Asset: artifact.Asset{Name: k.name, Size: max(a.size, 0)}, Version: version,
		service: s, stamp: st, arrival: a,
	}, false, nil
}

// arrive has an asset that was found outside fetched for one more repository,
// or joins the fetch under way; joined as in arrivals.join.
func (s *Service) arrive(ctx context.Context, into *node, k contentKey, h hit, since uint64) (a *arrival, version artifact.Version, joined bool) {
	space := into.graph.domain.ID
	version = artifact.Version{
		Number: k.version, Status: artifact.Published, Published: h.listed.Published, Manifest: slices.Clone(h.listed.Manifest),
		Origin: artifact.Origin{Type: artifact.External, Connection: h.source.Connection.Name},
	}
	if h.listed.Unlisted {
		version.Status = artifact.Unlisted
	}
	key := arrivalKey{space, h.source.Key, k.c, k.version, k.name}
	a, joined = s.arrivals.join(ctx, key, since, into, h.at, func(ctx context.Context, a *arrival) {
		s.fetch(ctx, a, space, h.source, h.remote, func(info blob.Info) error {
			return s.ingest(context.WithoutCancel(ctx), a, k, version, info)
		})
	})
	return a, version, joined
}

// ingest retains a fetched asset in every repository it was fetched for and in
// those with the connection. Those that went meanwhile, or may not have the
// version any more because the name was published inside, are left out;
// NotFound when none is left that asked for it.
func (s *Service) ingest(ctx context.Context, a *arrival, k contentKey, version artifact.Version, info blob.Info) error {
	asset := artifact.Asset{Name: k.name, Size: info.Size, Digests: info.Digests}
	version.Revision = artifact.Revise(version.Manifest, []artifact.Asset{asset})
	asked := map[*node]*node{}
	for root, at := range a.seal() {
		root, err := s.current(ctx, root)
		if err == nil {
			at, err = s.current(ctx, at)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			asked[root] = at
		}
	}
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		kept := false
		for root, at := range asked {
			v, err := s.lookIn(tx, root, k.c)
			if err != nil {
				return err
			}
			if !v.mayFetch(at.repo.ID) {
				continue
			}
			for _, n := range []*node{root, at} {
				err := s.retain(tx, n, k.c, displayName(k.c), version, []catalog.Asset{{Asset: asset}})
				if err != nil && !fault.Is(err, fault.NotFound) {
					return err
				}
				kept = kept || err == nil && n == root
			}
		}
		if !kept {
			return notVisible(k.c)
		}
		return nil
	})
	if err == nil {
		s.observe(k.c.Format, "ingested")
	}
	return err
}

// displayName is how coordinates are written where nobody has said otherwise.
func displayName(c artifact.Coordinates) string {
	if c.Format == artifact.NPM && c.Namespace != "" {
		return "@" + c.Namespace + "/" + c.Name
	}
	return c.Name
}

// retain puts a reference to a version, whose manifest is loaded, into a
// repository. One that is there already stays as it is, and gets the assets it
// lacks if it is of the same origin.
func (s *Service) retain(tx *catalog.Tx, n *node, c artifact.Coordinates, display string, v artifact.Version, assets []catalog.Asset) error {
	repo, err := rowOf(tx, n)
	if err != nil {
		return err
	}
	p, err := tx.Package(n.repo.ID, c)
	if err == nil {
		row, err := tx.Version(p.ID, v.Number)
		if err == nil {
			if row.Origin != v.Origin || row.Status == artifact.Disposed {
				return nil // published, or its bytes taken away, meanwhile
			}
			return s.extend(tx, n, p, row, assets)
		}
		if !fault.Is(err, fault.NotFound) {
			return err
		}
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	// What was visible from here stays visible, only from nearer by: answers
	// given before stay right, so nothing that was derived need be made again.
	return tx.Quietly(func() error {
		p, _, err := tx.EnsurePackage(repo, c, display, artifact.DefaultRestrictions(false))
		if err != nil {
			return err
		}
		if v.Status != artifact.Unlisted {
			v.Status = artifact.Published
		}
		row, err := tx.InsertVersion(p, v)
		if err != nil {
			return err
		}
		for _, a := range assets {
			if err := tx.InsertAsset(p, row.ID, a.Asset); err != nil {
				return err
			}
		}
		return tx.Emit(eventOf(n, c, v, artifact.Event{Operation: "Created", AssetsAdded: len(assets), Metadata: true, StatusChanged: true}))
	})
}

// extend adds the assets that a retained version lacks.
func (s *Service) extend(tx *catalog.Tx, n *node, p catalog.Package, row catalog.Version, assets []catalog.Asset) error {
	added := 0
	for _, a := range assets {
		if err := tx.InsertAsset(p, row.ID, a.Asset); err == nil {
			added++
		} else if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	if added == 0 {
		return nil
	}
	all, err := tx.Assets(row.ID, "", 0)
	if err != nil {
		return err
	}
	row.Revision = artifact.Revise(row.Manifest, plainAssets(all))
	if err := tx.UpdateVersion(p, row); err != nil {
		return err
	}
	return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Updated", AssetsAdded: added}))
}

// eventOf fills in what an event says of where and what.
func eventOf(n *node, c artifact.Coordinates, v artifact.Version, e artifact.Event) artifact.Event {
	e.Domain, e.Owner, e.Repository, e.Administrator = n.id.Domain, n.id.Owner, n.id.Name, n.repo.Administrator
	e.Coordinates, e.Version, e.Status, e.Revision = c, v.Number, v.Status, v.Revision
	return e
}
