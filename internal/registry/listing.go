package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// Listing gives the merged view of a package; NotFound when nothing of it is
// visible from here.
func (r *Repo) Listing(ctx context.Context, c artifact.Coordinates) (*Listing, error) {
	r.does(readAction, c, "")
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	l, err := r.service.merge(ctx, r.node, c)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Stored gives the merged view of what the repository and its upstreams hold of
// a package, published or retained: nothing outside is asked. NotFound when
// that is nothing.
func (r *Repo) Stored(ctx context.Context, c artifact.Coordinates) (*Listing, error) {
	r.does(readAction, c, "")
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	v, err := r.service.look(ctx, r.node, c)
	if err != nil {
		return nil, err
	}
	l := &Listing{Coordinates: c}
	m := merger{service: r.service, sight: v, listing: l, seen: map[string]int{}}
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	if len(l.Versions) == 0 {
		return nil, notVisible(c)
	}
	return l, nil
}

// NotFoundPackage is the refusal for a package nothing of which is visible.
func notVisible(c artifact.Coordinates) error {
	return fault.About(fault.NotFound, "package", c.String(), "package %s is not in this repository, its upstreams or their external connections", c)
}

// merge builds the listing of c as seen from root. The listing is never nil:
// on NotFound it still says how long that answer holds.
func (s *Service) merge(ctx context.Context, root *node, c artifact.Coordinates) (*Listing, error) {
	l := &Listing{Coordinates: c, freshUntil: s.opt.Now().Add(forever)}
	v, err := s.look(ctx, root, c)
	if err != nil {
		return l, err
	}
	s.ask(ctx, v)
	m := merger{service: s, sight: v, listing: l, seen: map[string]int{}}
	if err := m.run(ctx); err != nil {
		return l, err
	}
	if len(l.Versions) == 0 {
		if m.failed != nil {
			return l, m.failed
		}
		return l, notVisible(c)
	}
	return l, nil
}

// merger walks the sight in search order; the first repository that has a
// version decides about it, also when it hides it (section 8).
type merger struct {
	service *Service
	sight   *sight
	listing *Listing
	seen    map[string]int // version -> index in listing.Versions, hidden when it is none of them
	failed  error          // the first connection that gave nothing
	stored  []stored
}

// stored ties a listed version to its row.
type stored struct {
	row   catalog.Version
	more  []string                // IDs of the same version in further repositories, which may have further files
	claim *upstream.ListedVersion // what a remote says of the same version
}

const hidden = -1

func (m *merger) run(ctx context.Context) error {
	rows := map[string]int{} // version -> index in m.stored
	var remotes []*upstream.Listing
	order := map[string]int{} // version -> place in the remotes' order
	fresh := map[string]*upstream.ListedVersion{}
	for _, n := range m.sight.nodes {
		for _, row := range m.sight.local(n) {
			if m.sight.hides(row) {
				continue
			}
			if _, ok := m.seen[row.Number]; ok {
				if at, ok := rows[row.Number]; ok && m.grows() && m.stored[at].row.Origin == row.Origin && row.Status.Downloadable() {
					m.stored[at].more = append(m.stored[at].more, row.ID)
				}
				continue
			}
			m.seen[row.Number] = hidden
			if row.Status.Downloadable() {
				rows[row.Number] = len(m.stored)
				m.stored = append(m.stored, stored{row: row})
			}
		}
		l, err := m.remote(ctx, n)
		if err != nil {
			return err
		}
		if l == nil {
			continue
		}
		remotes = append(remotes, l)
		for i := range l.Versions {
			lv := &l.Versions[i]
			if at, ok := rows[lv.Number]; ok && m.stored[at].claim == nil {
				m.stored[at].claim = lv
			}
			if _, ok := m.seen[lv.Number]; !ok {
				m.seen[lv.Number] = hidden
				fresh[lv.Number] = lv
			}
			if _, ok := order[lv.Number]; !ok {
				order[lv.Number] = len(order)
			}
		}
	}
	m.listing.Remotes = remotes
	if err := m.fill(ctx, order, fresh); err != nil {
		return err
	}
	m.tags()
	return nil
}

// grows tells whether versions may get further files at any time.
func (m *merger) grows() bool { return m.service.traits(m.sight.coords.Format).Growth == GrowsAlways }

// remote gives what n's connection says, nil when it has none or knows nothing.
func (m *merger) remote(ctx context.Context, n *node) (*upstream.Listing, error) {
	r, ok := m.sight.remotes[n]
	if !ok {
		return nil, nil
	}
	if r.err != nil {
		if m.failed == nil {
			m.failed = r.err
		}
		// What is stored keeps working; look again soon.
		m.listing.freshUntil = earlier(m.listing.freshUntil, m.service.opt.Now().Add(time.Second))
		return nil, nil
	}
	m.listing.parts = append(m.listing.parts, part{r.source, r.state.Body})
	m.listing.freshUntil = earlier(m.listing.freshUntil, r.state.FreshUntil)
	if !r.state.Found() {
		return nil, nil
	}
	return m.service.listing(ctx, r, m.sight.coords)
}

// fill turns what was found into listed versions: those a remote knows in the
// remote's order, then the rest by publish time.
func (m *merger) fill(ctx context.Context, order map[string]int, fresh map[string]*upstream.ListedVersion) error {
	kept, err := m.rows(ctx)
	if err != nil {
		return err
	}
	all := make([]Listed, 0, len(kept)+len(fresh))
	var own []Listed
	for _, k := range kept {
		if _, ok := order[k.Number]; ok {
			all = append(all, k)
		} else {
			own = append(own, k)
		}
	}
	for _, lv := range fresh {
		status := artifact.Published
		if lv.Unlisted {
			status = artifact.Unlisted
		}
		all = append(all, Listed{
			Version: artifact.Version{Number: lv.Number, Status: status, Published: lv.Published, Manifest: lv.Manifest, Origin: artifact.Origin{Type: artifact.External}},
			Remote:  lv.Assets,
		})
	}
	slices.SortFunc(all, func(a, b Listed) int { return order[a.Number] - order[b.Number] })
	slices.SortStableFunc(own, byPublished)
	m.listing.Versions = append(all, own...)
	for i := range m.listing.Versions {
		v := &m.listing.Versions[i]
		m.seen[v.Number] = i
		if v.Published.After(m.listing.Modified) {
			m.listing.Modified = v.Published
		}
	}
	for _, l := range m.listing.Remotes {
		if l.Modified.After(m.listing.Modified) {
			m.listing.Modified = l.Modified
		}
	}
	return nil
}

// rows loads assets of the stored versions and the manifests that must be
// ours: of a version that a remote still lists with the same content, the
// remote's manifest is newer (deprecations); otherwise what is stored is what
// is served, so it is what must be described.
func (m *merger) rows(ctx context.Context) ([]Listed, error) {
	kept := make([]Listed, len(m.stored))
	at := make(map[string]int, len(m.stored))
	ids := make([]string, len(m.stored))
	for i, st := range m.stored {
		kept[i].Version = st.row.Version
		at[st.row.ID], ids[i] = i, st.row.ID
	}
	for i, st := range m.stored {
		for _, id := range st.more {
			at[id], ids = i, append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	err := m.service.db.View(ctx, func(tx *catalog.Tx) error {
		for i := range kept {
			kept[i].Assets = nil
		}
		further := map[string][]artifact.Asset{}
		if err := tx.AssetsOf(ids, func(a catalog.Asset) error {
			k := &kept[at[a.VersionID]]
			if a.VersionID == m.stored[at[a.VersionID]].row.ID {
				k.Assets = append(k.Assets, a.Asset)
			} else {
				further[a.VersionID] = append(further[a.VersionID], a.Asset)
			}
			return nil
		}); err != nil {
			return err
		}
		for i, st := range m.stored {
			for _, id := range st.more {
				kept[i].Assets = joined(kept[i].Assets, further[id])
			}
		}
		var need []string
		for i, st := range m.stored {
			if st.claim != nil && st.row.Origin.Type == artifact.External && agrees(kept[i].Assets, st.claim.Assets, m.grows()) {
				kept[i].Manifest, kept[i].Remote = st.claim.Manifest, st.claim.Assets
			} else {
				need = append(need, st.row.ID)
			}
		}
		return tx.Manifests(need, func(id string, manifest []byte) error {
			kept[at[id]].Manifest = manifest
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read stored versions: %w", err)
	}
	// A version has a manifest or assets, else it has been deleted meanwhile.
	return slices.DeleteFunc(kept, func(l Listed) bool { return l.Manifest == nil && len(l.Assets) == 0 }), nil
}

// joined adds the assets that have lacks, by name.
func joined(have, more []artifact.Asset) []artifact.Asset {
	for _, a := range more {
		if !slices.ContainsFunc(have, func(h artifact.Asset) bool { return h.Name == a.Name }) {
			have = append(have, a)
		}
	}
	slices.SortFunc(have, func(a, b artifact.Asset) int { return strings.Compare(a.Name, b.Name) })
	return have
}

// agrees tells whether a remote's claims fit the assets stored here. Where
// versions grow a remote may have withdrawn some.
func agrees(here []artifact.Asset, claims []upstream.ListedAsset, grows bool) bool {
	for _, a := range here {
		i := slices.IndexFunc(claims, func(c upstream.ListedAsset) bool { return c.Name == a.Name })
		if i < 0 {
			if grows && len(claims) > 0 {
				continue
			}
			return false
		}
		want, err := digest.ParseSRI(claims[i].Integrity)
		if err != nil || want.Verify(a.Digests) != nil {
			return false
		}
	}
	return true
}

// tags merges dist-tags: deeper repositories win over those nearer to the
// client, as CodeArtifact does, but never with a version nobody can see.
func (m *merger) tags() {
	tags := map[string]string{}
	set := func(tag, version string) {
		if i, ok := m.seen[version]; ok && i != hidden && m.listing.Versions[i].Status == artifact.Published {
			tags[tag] = version
		}
	}
	at := 0
	for _, n := range m.sight.nodes {
		for _, t := range m.sight.tags[m.sight.packages[n].ID] {
			set(t.Tag, t.Version)
		}
		if r, ok := m.sight.remotes[n]; ok && r.err == nil && r.state.Found() && at < len(m.listing.Remotes) {
			for tag, version := range m.listing.Remotes[at].Tags {
				set(tag, version)
			}
			at++
		}
	}
	m.listing.Tags = tags
}
