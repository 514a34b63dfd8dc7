package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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
	content, err := r.service.content(ctx, r.node, contentKey{r.node.repo.ID, c, version, name})
	if err == nil {
		fetched := content.arrival != nil && content.arrival.claimed.CompareAndSwap(false, true)
		r.answers(AnswerAsset, fetched, content.Version.Origin.Type == artifact.External)
	}
	return content, err
}

// content is Asset for a caller who may read.
func (s *Service) content(ctx context.Context, root *node, k contentKey) (*Content, error) {
	if content, ok := s.contents.cache.GetIfPresent(k); ok && content.stamp.current(s) {
		s.observe(k.c.Format, "asset-hit")
		return content, nil
	}
	s.observe(k.c.Format, "asset-miss")
	for range maxTurns + s.opt.MaxSearched {
		content, again, err := s.bring(ctx, root, k)
		if err != nil || !again {
			return content, err
		}
	}
	return nil, fault.New(fault.Unavailable, "%s %s keeps changing; try again", k.c, k.version)
}

// maxTurns bounds how often a search starts over because what it found moved;
// each connection may cost one more, by not having what it was thought to have.
const maxTurns = 5

// Peek is Asset for who reads an asset to say something of it rather than hand it
// out: what this repository or an upstream holds is read where it is, and
// retained nowhere (section 7.2). Nothing outside is asked for: nil when the
// asset is only there.
func (r *Repo) Peek(ctx context.Context, c artifact.Coordinates, version, name string) (*Content, error) {
	r.does(readAction, c, version)
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	return r.service.peek(ctx, r.node, contentKey{r.node.repo.ID, c, version, name})
}

// peek is Peek for a caller who may read. What it finds in an upstream is not
// cached, or a download would no longer retain it.
func (s *Service) peek(ctx context.Context, root *node, k contentKey) (*Content, error) {
	if content, ok := s.contents.cache.GetIfPresent(k); ok && content.stamp.current(s) {
		return content, nil
	}
	st := s.stampOf(root.graph.domain.ID, k.c)
	root, err := s.current(ctx, root)
	if err != nil {
		return nil, err
	}
	v, err := s.look(ctx, root, k.c)
	if err != nil {
		return nil, err
	}
	h, err := s.find(ctx, v, k)
	if err != nil || h.source != nil {
		return nil, err
	}
	return s.stored(ctx, st, root, h)
}

// Beside gives a small file that the remote of a version keeps for one of its
// assets, by the name that the remote's Locate knows it under. It is kept with
// the remote's documents and retained nowhere. NotFound when the version does
// not come from outside, or the remote has no such file.
func (r *Repo) Beside(ctx context.Context, c artifact.Coordinates, version, name string) ([]byte, error) {
	r.does(readAction, c, version)
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	s := r.service
	root, err := s.current(ctx, r.node)
	if err != nil {
		return nil, err
	}
	v, err := s.look(ctx, root, c)
	if err != nil {
		return nil, err
	}
	h, err := s.find(ctx, v, contentKey{root.repo.ID, c, version, name})
	if err != nil {
		return nil, err
	}
	if h.source == nil {
		return nil, assetMissing(version, name)
	}
	return s.remotes.File(ctx, h.source, c, h.remote)
}

func assetMissing(version, name string) error {
	return fault.About(fault.NotFound, "asset", name, "version %s has no file %s", version, name)
}

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
	case h.at != root && !s.traits(k.c.Format).changes(k.version):
		full := false
		err := s.db.Update(ctx, func(tx *catalog.Tx) error {
			full = false
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
			err = s.retain(tx, root, k.c, v.packages[h.at].DisplayName, row.Version, assets, nil)
			if full = fault.Is(err, fault.Quota); full {
				err = nil
			}
			return err
		})
		if err != nil || !full {
			s.observe(k.c.Format, "retained")
			return nil, true, err
		}
		// There is no room for it here: it is served from where it is.
	}
	content, err = s.stored(ctx, st, root, h)
	if err == nil {
		content.changing = s.traits(k.c.Format).changes(k.version)
		s.contents.cache.Set(k, content)
	}
	return content, false, err
}

// stored makes the content of an asset that root holds.
func (s *Service) stored(ctx context.Context, st stamp, root *node, h hit) (_ *Content, err error) {
	content := s.newContent(st, root.graph.domain.ID, h.version.Version, h.asset)
	if h.asset.Size > smallAsset {
		return content, nil
	}
	for first := true; ; first = false {
		if content.small, err = s.readSmall(ctx, content.ref, h.asset); err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(content.small); hex.EncodeToString(sum[:]) == content.ref.SHA256 {
			return content, nil
		}
		if err := s.setAside(ctx, content.ref); err != nil {
			return nil, err
		}
		if !first {
			return nil, fault.New(fault.Unavailable, "the stored bytes of %s are damaged", h.asset.Name)
		}
	}
}

func (s *Service) readSmall(ctx context.Context, ref blob.Ref, a artifact.Asset) ([]byte, error) {
	f, err := s.openBlob(ctx, ref, a.Size)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, a.Size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the stored bytes of %s cannot be read; packhouse fsck finds out why", a.Name)
	}
	return b, nil
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

// find looks for an asset in search order. The first repository that has the
// version decides. Where versions grow, one that came here from elsewhere is
// asked for further files where it came from, and nowhere else (section 7.4).
func (s *Service) find(ctx context.Context, v *sight, k contentKey) (hit, error) {
	var failed error
	var held *catalog.Version
	for _, n := range v.nodes {
		if row := v.row(n, k.version); row != nil && (held == nil || row.Origin == held.Origin) {
			if !row.Status.Downloadable() {
				return hit{}, notDownloadable(v.coords, *row)
			}
			a, err := s.assetOf(ctx, row.ID, k.name)
			if err == nil || !fault.Is(err, fault.NotFound) || s.traits(k.c.Format).Growth != GrowsAlways {
				return hit{at: n, version: *row, asset: a}, err
			}
			held = row
		}
		src := n.source(v.coords.Format)
		if src == nil || !v.mayAsk(n) || held != nil && held.Origin != (artifact.Origin{Type: artifact.External, Connection: src.Connection.Name}) {
			continue
		}
		h, err := s.findFileOutside(ctx, n, src, k)
		if err == nil || !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Upstream) {
			return h, err
		}
		if failed == nil && fault.Is(err, fault.Upstream) {
			failed = err
		}
	}
	switch {
	case failed != nil:
		return hit{}, failed
	case held != nil:
		return hit{}, assetMissing(k.version, k.name)
	}
	return hit{}, versionNowhere(v.coords, k.version)
}

func (s *Service) assetOf(ctx context.Context, versionID, name string) (a artifact.Asset, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Asset(versionID, name)
		a = row.Asset
		return err
	})
	return a, err
}

func notDownloadable(c artifact.Coordinates, row catalog.Version) error {
	return fault.About(fault.NotFound, "package-version", row.Number, "version %s of %s is %s and cannot be downloaded", row.Number, c, row.Status)
}

func versionNowhere(c artifact.Coordinates, number string) error {
	return fault.About(fault.NotFound, "package-version", number, "version %s of %s is not in this repository, its upstreams or their external connections", number, c)
}

// findFileOutside looks for one asset at a source.
func (s *Service) findFileOutside(ctx context.Context, n *node, src *upstream.Source, k contentKey) (h hit, err error) {
	by, addressed := src.Remote.(upstream.Addressed)
	if !addressed {
		if h, err = s.findOutside(ctx, n, src, k.c, k.version); err != nil {
			return hit{}, err
		}
		h.remote, err = src.Remote.Locate(k.c, k.version, k.name, h.listing)
		return h, err
	}
	listed, err := by.Version(k.c, k.version)
	if err != nil {
		return hit{}, err
	}
	if _, known := s.missing.GetIfPresent(arrivalKey{n.graph.domain.ID, src.Key, k.c, k.version, k.name}); known {
		return hit{}, assetMissing(k.version, k.name)
	}
	h = hit{at: n, source: src, listed: &listed}
	h.remote, err = src.Remote.Locate(k.c, k.version, k.name, nil)
	return h, err
}

// findVersion looks for a version in search order; the first repository that
// has it decides.
func (s *Service) findVersion(ctx context.Context, v *sight, number string) (hit, error) {
	var failed error
	for _, n := range v.nodes {
		if row := v.row(n, number); row != nil {
			if !row.Status.Downloadable() {
				return hit{}, notDownloadable(v.coords, *row)
			}
			return hit{at: n, version: *row}, nil
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
	return hit{}, versionNowhere(v.coords, number)
}

// findOutside looks for a version in a source's listing.
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
	h := hit{at: n, source: src, listing: l, listed: &l.Versions[at]}
	if by, addressed := src.Remote.(upstream.Addressed); addressed {
		listed, err := by.Version(c, number)
		if err != nil {
			return hit{}, err
		}
		listed.Published, listed.Unlisted = h.listed.Published, h.listed.Unlisted
		h.listed = &listed
	}
	return h, nil
}

// bringIn fetches an asset from outside, or joins the fetch under way, and
// answers as soon as it has begun to arrive.
func (s *Service) bringIn(ctx context.Context, v *sight, k contentKey, h hit, since uint64) (*Content, bool, error) {
	st := s.stampOf(v.root.graph.domain.ID, k.c)
	a, version, joined := s.arrive(ctx, v.root, k, h, since)
	if s.traits(k.c.Format).Whole && len(h.listed.Assets) > 1 {
		s.bringRest(ctx, v, k, h, since)
	}
	if !joined { // too late for it: how it ended shows on the next look, and one that failed is tried again
		if _, err := a.wait(ctx); ctx.Err() != nil {
			return nil, false, err
		}
		return nil, true, nil
	}
	select {
	case <-a.begun:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if a.writer == nil {
		if err := passedOver(h, a.err); err != nil {
			return nil, false, err
		}
		return nil, true, nil
	}
	return &Content{
		Asset: artifact.Asset{Name: k.name, Size: max(a.size, 0)}, Version: version,
		service: s, stamp: st, arrival: a,
	}, false, nil
}

// passedOver is nil when a file that was only guessed to be at a remote is not:
// the search goes on without it, since that is remembered.
func passedOver(h hit, err error) error {
	if h.remote.Guessed && fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// wholeFetches bounds the files of one version that are fetched at a time when
// nobody waits for them.
const wholeFetches = 4

// bringRest fetches the other files of a version behind the one that somebody
// waits for, unless that is under way. What fails is logged, and left to whoever
// asks for it.
func (s *Service) bringRest(ctx context.Context, v *sight, k contentKey, h hit, since uint64) {
	if s.opt.MaxWholeBytes < 0 {
		return
	}
	into, held := v.root, v.row(v.root, k.version)
	key := arrivalKey{into.graph.domain.ID, h.source.Key, k.c, k.version, into.repo.ID}
	assets := h.listed.Assets
	s.rests.Start(ctx, key, func(ctx context.Context) (struct{}, error) {
		var g errgroup.Group
		var brought atomic.Int64
		g.SetLimit(wholeFetches)
		for _, asset := range assets {
			if asset.Name == k.name {
				continue
			}
			if _, known := s.missing.GetIfPresent(arrivalKey{into.graph.domain.ID, h.source.Key, k.c, k.version, asset.Name}); known && asset.Guessed {
				continue
			}
			g.Go(func() error {
				if full := brought.Add(asset.Size) > s.opt.MaxWholeBytes; full || ctx.Err() != nil {
					return nil //nolint:nilerr // the rest is left to who asks for it
				}
				if s.holds(ctx, held, asset.Name) {
					return nil // it has come with another file
				}
				h, k := h, k
				h.remote, k.name = asset, asset.Name
				a, _, _ := s.arrive(ctx, into, k, h, since)
				if info, err := a.wait(ctx); err == nil && asset.Size == 0 {
					brought.Add(info.Size)
				}
				return nil
			})
		}
		return struct{}{}, g.Wait()
	})
}

// holds tells whether a version, nil for none, has an asset.
func (s *Service) holds(ctx context.Context, held *catalog.Version, name string) bool {
	if held == nil {
		return false
	}
	_, err := s.assetOf(ctx, held.ID, name)
	return err == nil
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
		if h.remote.Guessed && fault.Is(a.err, fault.NotFound) {
			s.missing.Set(key, struct{}{})
		}
	})
	return a, version, joined
}

// ingest retains a fetched asset in every repository it was fetched for and in
// those with the connection. Those that went meanwhile, or may not have the
// version any more because the name was published inside, are left out;
// NotFound when none is left that asked for it. Those whose quota has no room
// keep nothing, and their clients get the asset all the same.
func (s *Service) ingest(ctx context.Context, a *arrival, k contentKey, version artifact.Version, info blob.Info) error {
	asset := artifact.Asset{Name: k.name, Size: info.Size, Digests: info.Digests}
	facts, err := s.inspect(ctx, k, info)
	if err != nil {
		return err
	}
	if version.Manifest, err = s.mergeFacts(k.c.Format, version.Manifest, facts); err != nil {
		return err
	}
	if version.Published.IsZero() {
		if version.Published = a.modified; version.Published.IsZero() {
			version.Published = s.opt.Now().UTC().Truncate(time.Microsecond)
		}
	}
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
	stored := false
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		stored = false
		served := false
		for root, at := range asked {
			v, err := s.lookIn(tx, root, k.c)
			if err != nil {
				return err
			}
			if !v.mayFetch(at.repo.ID) {
				continue
			}
			for _, n := range []*node{root, at} {
				err := s.retain(tx, n, k.c, s.displayName(k.c), version, []catalog.Asset{{Asset: asset}}, facts)
				full := fault.Is(err, fault.Quota)
				if err != nil && !full && !fault.Is(err, fault.NotFound) {
					return err
				}
				stored = stored || err == nil
				served = served || (err == nil || full) && n == root
			}
		}
		if !served {
			return notVisible(k.c)
		}
		return nil
	})
	if err == nil && stored {
		s.observe(k.c.Format, "ingested")
	}
	return err
}

// inspect asks the format what a file that has come in says of its version.
func (s *Service) inspect(ctx context.Context, k contentKey, info blob.Info) ([]byte, error) {
	in, ok := s.ecosystems[k.c.Format].(Inspector)
	if !ok {
		return nil, nil
	}
	f, err := s.blobs.Open(ctx, info.Ref)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	facts, err := in.Inspect(k.c, k.version, k.name, f, info.Size)
	if err != nil {
		return nil, fault.Wrap(fault.Upstream, err, "%s is not what its name says: %s", k.name, fault.Message(err))
	}
	return facts, nil
}

func (s *Service) mergeFacts(f artifact.Format, manifest, facts []byte) ([]byte, error) {
	if in, ok := s.ecosystems[f].(Inspector); ok && facts != nil {
		return in.Merge(manifest, facts)
	}
	return manifest, nil
}

// displayName is how coordinates are written where nobody has said otherwise.
func (s *Service) displayName(c artifact.Coordinates) string {
	if full := s.traits(c.Format).FullName; full != nil {
		return full(c)
	}
	return c.Name
}

// retain puts a reference to a version, whose manifest is loaded, into a
// repository. One that is there already stays as it is, and gets the assets it
// lacks if it is of the same origin; facts are what they say of it. Quota, with
// nothing done, when the repository may not hold that much more.
func (s *Service) retain(tx *catalog.Tx, n *node, c artifact.Coordinates, display string, v artifact.Version, assets []catalog.Asset, facts []byte) error {
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
			return s.extend(tx, n, p, row, assets, facts)
		}
		if !fault.Is(err, fault.NotFound) {
			return err
		}
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := admit(tx, n, 1, plainAssets(assets)); err != nil {
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

// extend adds the assets that a retained version lacks, and the facts in them.
func (s *Service) extend(tx *catalog.Tx, n *node, p catalog.Package, row catalog.Version, assets []catalog.Asset, facts []byte) error {
	var lacking []artifact.Asset
	for _, a := range assets {
		switch _, err := tx.Asset(row.ID, a.Name); {
		case fault.Is(err, fault.NotFound):
			lacking = append(lacking, a.Asset)
		case err != nil:
			return err
		}
	}
	added := len(lacking)
	if added == 0 {
		return nil
	}
	if err := admit(tx, n, 0, lacking); err != nil {
		return err
	}
	for _, a := range lacking {
		if err := tx.InsertAsset(p, row.ID, a); err != nil {
			return err
		}
	}
	all, err := tx.Assets(row.ID, "", 0)
	if err != nil {
		return err
	}
	if row.Manifest, err = s.mergeFacts(p.Coordinates.Format, row.Manifest, facts); err != nil {
		return err
	}
	row.Revision = artifact.Revise(row.Manifest, plainAssets(all))
	if err := tx.UpdateVersion(p, row); err != nil {
		return err
	}
	return tx.Emit(eventOf(n, p.Coordinates, row.Version, artifact.Event{Operation: "Updated", AssetsAdded: added, Metadata: facts != nil}))
}

// eventOf fills in what an event says of where and what.
func eventOf(n *node, c artifact.Coordinates, v artifact.Version, e artifact.Event) artifact.Event {
	e.Domain, e.Owner, e.Repository, e.Administrator = n.id.Domain, n.id.Owner, n.id.Name, n.repo.Administrator
	e.Coordinates, e.Version, e.Status, e.Revision = c, v.Number, v.Status, v.Revision
	return e
}
