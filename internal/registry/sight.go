package registry

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// sight is what one repository can see of one package: the rows of every
// repository in reach and the answers of the connections that may be asked.
// Both the merged listing and the search for an asset are read off it, so they
// cannot disagree.
type sight struct {
	root     *node
	coords   artifact.Coordinates
	packages map[*node]catalog.Package
	versions map[string][]catalog.Version // by package ID, without manifests
	tags     map[string][]catalog.DistTag // by package ID
	nodes    []*node                      // in search order, after the gates
	member   artifact.Membership          // the package group that applies
	outside  bool                         // connections may be asked, and external versions shown
	remotes  map[*node]remoteState
}

type remoteState struct {
	source *upstream.Source
	state  upstream.State
	err    error
}

// look reads the rows. Remotes are not asked yet.
func (s *Service) look(ctx context.Context, root *node, c artifact.Coordinates) (v *sight, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		v, err = s.lookIn(tx, root, c)
		return err
	})
	return v, err
}

// lookIn is look in a transaction.
func (s *Service) lookIn(tx *catalog.Tx, root *node, c artifact.Coordinates) (*sight, error) {
	v := &sight{root: root, coords: c, member: root.graph.groups.Of(c), packages: map[*node]catalog.Package{}, versions: map[string][]catalog.Version{}, tags: map[string][]catalog.DistTag{}}
	reach := s.reach(root, c.Format)
	if err := v.read(tx, reach); err != nil {
		return nil, err
	}
	v.outside = v.mayAskOutside(reach)
	// Gates that end the search early must not let it get further elsewhere: of
	// what is not in reach no row has been read.
	root.search(s.opt.MaxSearched, v.mayDescend, func(n *node) bool {
		if slices.Contains(reach, n) {
			v.nodes = append(v.nodes, n)
		}
		return true
	})
	return v, nil
}

func (v *sight) read(tx *catalog.Tx, reach []*node) error {
	repoIDs := make([]string, len(reach))
	byID := make(map[string]*node, len(reach))
	for i, n := range reach {
		repoIDs[i], byID[n.repo.ID] = n.repo.ID, n
	}
	packages, err := tx.PackagesIn(repoIDs, v.coords)
	if err != nil || len(packages) == 0 {
		return err
	}
	ids := make([]string, len(packages))
	for i, p := range packages {
		ids[i] = p.ID
		v.packages[byID[p.RepositoryID]] = p
	}
	versions, err := tx.Versions(ids...)
	if err != nil {
		return err
	}
	for _, row := range versions {
		v.versions[row.PackageID] = append(v.versions[row.PackageID], row)
	}
	tags, err := tx.DistTags(ids...)
	for _, t := range tags {
		v.tags[t.PackageID] = append(v.tags[t.PackageID], t)
	}
	return err
}

// local gives the versions a repository holds.
func (v *sight) local(n *node) []catalog.Version {
	return v.versions[v.packages[n].ID]
}

// row gives a version that a repository holds and may show, nil when there is
// none.
func (v *sight) row(n *node, number string) *catalog.Version {
	rows := v.local(n)
	i := slices.IndexFunc(rows, func(r catalog.Version) bool { return r.Number == number })
	if i < 0 || v.hides(rows[i]) {
		return nil
	}
	return &rows[i]
}

// mayAskOutside is the guard against dependency confusion across repositories:
// a name that was published inside, anywhere in reach, is never looked up
// outside, until somebody says ALLOW.
//
// Published inside means: some repository in reach holds a version of INTERNAL
// origin, or has the name for itself as a first publish leaves it, also when
// its versions are deleted or yet to come. It is settled by an origin
// configuration that somebody set: BLOCK there keeps the outside shut; ALLOW
// opens it where the publishing repository's own default does not say BLOCK.
func (v *sight) mayAskOutside(reach []*node) bool {
	if !v.root.graph.domain.CrossRepositoryBlock {
		return true
	}
	internal, blocked, allowed := false, false, false
	for _, n := range reach {
		p, ok := v.packages[n]
		if !ok {
			continue
		}
		allowed = allowed || p.Explicit && p.Restrictions.Upstream == artifact.Allow
		if p.Restrictions == artifact.DefaultRestrictions(true) ||
			slices.ContainsFunc(v.local(n), func(r catalog.Version) bool { return r.Origin.Type == artifact.Internal }) {
			internal = true
			blocked = blocked || p.Restrictions.Upstream == artifact.Block
		}
	}
	return !internal || (allowed && !blocked)
}

// hides tells whether a row must not be shown or served because of the guard.
func (v *sight) hides(row catalog.Version) bool {
	return !v.outside && row.Origin.Type == artifact.External
}

// mayTake tells whether the root may take a version that n holds.
func (v *sight) mayTake(n *node, row catalog.Version) bool {
	return !v.hides(row) && slices.Contains(v.nodes, n)
}

// mayAsk tells whether n may ask its connection for the package.
func (v *sight) mayAsk(n *node) bool { return v.outside && v.mayConnect(n) }

// mayFetch tells whether the root may take what the connection of a repository
// brings in.
func (v *sight) mayFetch(repositoryID string) bool {
	i := slices.IndexFunc(v.nodes, func(n *node) bool { return n.repo.ID == repositoryID })
	return i >= 0 && v.mayAsk(v.nodes[i])
}

// ask brings in the state of the package at every connection in sight, all at
// once. Failures are kept per connection: what to make of them depends on what
// else is in sight.
func (s *Service) ask(ctx context.Context, v *sight) {
	if !v.outside || v.remotes != nil {
		return
	}
	v.remotes = map[*node]remoteState{}
	var asked []*node
	for _, n := range v.nodes {
		if src := n.source(v.coords.Format); src != nil && v.mayAsk(n) {
			asked = append(asked, n)
			v.remotes[n] = remoteState{source: src}
		}
	}
	answers := make([]remoteState, len(asked))
	var g errgroup.Group
	for i, n := range asked {
		src := v.remotes[n].source
		if len(asked) == 1 { // the usual case needs no goroutine
			st, err := s.remotes.Check(ctx, src, v.coords)
			answers[i] = remoteState{src, st, err}
			break
		}
		g.Go(func() error {
			st, err := s.remotes.Check(ctx, src, v.coords)
			answers[i] = remoteState{src, st, err}
			return nil
		})
	}
	_ = g.Wait()
	for i, n := range asked {
		v.remotes[n] = answers[i]
	}
}

// listing reads the document of a remote state. A document whose bytes are gone
// from the store is asked for again.
func (s *Service) listing(ctx context.Context, r remoteState, c artifact.Coordinates) (*upstream.Listing, error) {
	l, err := s.remotes.Listing(ctx, r.source, r.state)
	if !fault.Is(err, fault.NotFound) {
		return l, err
	}
	if err := s.remotes.Forget(ctx, r.source, c); err != nil {
		return nil, err
	}
	st, err := s.remotes.Check(ctx, r.source, c)
	if err != nil {
		return nil, err
	}
	if !st.Found() {
		return &upstream.Listing{}, nil
	}
	return s.remotes.Listing(ctx, r.source, st)
}

// byPublished orders rows oldest first, ties by number.
func byPublished(a, b Listed) int {
	return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.Number, b.Number))
}
