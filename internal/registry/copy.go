package registry

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// CopyRequest asks for versions of a package to be copied to another
// repository of the same domain.
type CopyRequest struct {
	Source, Destination artifact.RepositoryID
	Coordinates         artifact.Coordinates
	Versions            []string
	Revisions           map[string]string // in place of Versions: what each version must have
	Overwrite           bool              // replace what differs at the destination
	FromUpstream        bool              // resolve as a client of the source would
}

// numbers are the versions asked for, sorted, each once.
func (q *CopyRequest) numbers() ([]string, error) {
	numbers := slices.Clone(q.Versions)
	switch {
	case q.Source == q.Destination:
		return nil, fault.Field("destinationRepository", "must not be the source repository")
	case (q.Versions == nil) == (q.Revisions == nil):
		return nil, fault.Field("versions", "exactly one of versions and versionRevisions must be given")
	case q.Revisions != nil:
		numbers = slices.Collect(maps.Keys(q.Revisions))
	}
	const most = 100
	if len(numbers) == 0 || len(numbers) > most {
		return nil, fault.Field("versions", "must name 1 to %d versions", most)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// Copy puts versions into another repository: references, so that no bytes
// move. It copies all of them or, when one cannot be copied, none. A version
// that is there with the same content needs nothing and is in neither map of
// the outcome. Revision, origin and status stay as they are; tags that point
// at what was copied come along (operation 2).
//
// With FromUpstream a version may come from an upstream of the source or from
// an external connection. What has to be fetched is kept in the repository with
// the connection; the source keeps nothing.
//
// NotFound when a repository, or anything of the package at the source, is
// missing; Quota, with nothing copied, when the destination cannot hold it all.
func (s *Service) Copy(ctx context.Context, q CopyRequest) (out Outcome, err error) {
	numbers, err := q.numbers()
	if err != nil {
		return Outcome{}, err
	}
	w := whereabouts{}
	if q.FromUpstream {
		if w, err = s.gather(ctx, q, numbers); err != nil {
			return Outcome{}, err
		}
		if len(w.missing) > 0 {
			return w.refuse(numbers), nil
		}
	}
	g, err := s.graph(ctx, q.Destination.Owner, q.Destination.Domain)
	if err != nil {
		return Outcome{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = newOutcome()
		c := copying{service: s, tx: tx, request: q, out: &out, member: g.groups.Of(q.Coordinates)}
		if err := c.open(w); err != nil {
			return err
		}
		for _, number := range numbers {
			if err := c.plan(number); err != nil {
				return err
			}
		}
		if len(out.Failed) > 0 {
			out.skip(numbers, copySkipped)
			return nil
		}
		return c.run()
	})
	return out, err
}

// whereabouts says where a client of the source finds each version.
type whereabouts struct {
	resolved bool              // else everything is in the source itself
	held     map[string]string // version -> ID of the repository that holds it
	missing  []string          // versions that are nowhere; then nothing was fetched
	tags     map[string]string // as that client sees them
}

// refuse is the outcome when versions are missing.
func (w *whereabouts) refuse(numbers []string) Outcome {
	out := newOutcome()
	for _, number := range w.missing {
		out.missing(number)
	}
	out.skip(numbers, copySkipped)
	return out
}

const copySkipped = "Version %s was skipped"

// copyFetches bounds the assets one call fetches at a time.
const copyFetches = 8

// gather resolves versions as a client of the source and fetches those that
// are only outside.
func (s *Service) gather(ctx context.Context, q CopyRequest, numbers []string) (whereabouts, error) {
	w, since := whereabouts{resolved: true, held: map[string]string{}}, s.arrivals.now()
	n, err := s.node(ctx, q.Source)
	if err != nil {
		return w, err
	}
	if _, err := s.node(ctx, q.Destination); err != nil {
		return w, err
	}
	l, err := s.merge(ctx, n, q.Coordinates)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return w, err
	}
	w.tags = l.Tags
	v, err := s.look(ctx, n, q.Coordinates)
	if err != nil {
		return w, err
	}
	if len(v.packages) == 0 && len(l.Versions) == 0 {
		return w, notVisible(q.Coordinates)
	}
	var outside []hit
	for _, number := range numbers {
		h, err := s.findVersion(ctx, v, number)
		if fault.Is(err, fault.NotFound) {
			w.missing = append(w.missing, number)
			continue
		}
		if err != nil {
			return w, err
		}
		w.held[number] = h.at.repo.ID
		if h.source != nil {
			outside = append(outside, h)
		}
	}
	if len(w.missing) > 0 {
		return w, nil
	}
	var g errgroup.Group
	g.SetLimit(copyFetches)
	for _, h := range outside {
		for _, asset := range h.listed.Assets {
			h := h
			h.remote = asset
			g.Go(func() error {
				// The repository with the connection is the one that keeps it.
				a, _, _ := s.arrive(ctx, h.at, contentKey{c: q.Coordinates, version: h.listed.Number, name: asset.Name}, h, since)
				_, err := a.wait(ctx)
				return passedOver(h, err)
			})
		}
	}
	return w, g.Wait()
}

// copying is one attempt of a Copy in its transaction.
type copying struct {
	service *Service
	tx      *catalog.Tx
	request CopyRequest
	out     *Outcome
	member  artifact.Membership

	destination *node
	existing    catalog.Package // at the destination; zero when not there
	display     string
	tags        map[string]string
	held        func(number string) (repositoryID string, ok bool)
	packages    map[string]catalog.Package // by repository ID
	moves       []move
}

// move is one version to be copied.
type move struct {
	from catalog.Version
	over *catalog.Version // what it replaces; nil usually
}

func (c *copying) open(w whereabouts) error {
	source, err := within(c.tx, c.request.Source)
	if err != nil {
		return err
	}
	if c.destination, err = within(c.tx, c.request.Destination); err != nil {
		return err
	}
	if err := c.destination.repo.Holds(c.request.Coordinates.Format); err != nil {
		return err
	}
	c.packages, c.tags = map[string]catalog.Package{}, w.tags
	c.display = c.service.displayName(c.request.Coordinates)
	if c.existing, err = c.tx.Package(c.destination.repo.ID, c.request.Coordinates); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if w.resolved {
		c.held = func(number string) (string, bool) {
			id, ok := w.held[number]
			return id, ok
		}
		return nil
	}
	c.held = func(string) (string, bool) { return source.repo.ID, true }
	p, err := c.tx.Package(source.repo.ID, c.request.Coordinates)
	if err != nil {
		return err
	}
	tags, err := c.tx.DistTags(p.ID)
	if err != nil {
		return err
	}
	c.tags = map[string]string{}
	for _, t := range tags {
		c.tags[t.Tag] = t.Version
	}
	return nil
}

// find reads a version where it is held; NotFound also when it is not.
func (c *copying) find(number string) (catalog.Version, error) {
	id, ok := c.held(number)
	if !ok {
		return catalog.Version{}, fault.New(fault.NotFound, "not held anywhere")
	}
	p, ok := c.packages[id]
	if !ok {
		var err error
		if p, err = c.tx.Package(id, c.request.Coordinates); err != nil {
			return catalog.Version{}, err
		}
		c.packages[id], c.display = p, p.DisplayName
	}
	return c.tx.Version(p.ID, number)
}

// plan decides what is to be done about one version.
func (c *copying) plan(number string) error {
	from, err := c.find(number)
	if fault.Is(err, fault.NotFound) {
		c.out.missing(number)
		return nil
	}
	if err != nil {
		return err
	}
	if want, ok := c.request.Revisions[number]; ok && want != from.Revision {
		c.out.otherRevision(number, from.Revision, want)
		return nil
	}
	if from.Status == artifact.Disposed || from.Status == artifact.Unfinished {
		c.out.fail(number, NotAllowed, "version %s is %s and cannot be copied", number, from.Status)
		return nil
	}
	if c.existing.ID == "" {
		c.move(move{from: from})
		return nil
	}
	there, err := c.tx.Version(c.existing.ID, number)
	switch {
	case fault.Is(err, fault.NotFound):
		c.move(move{from: from})
	case err != nil:
		return err
	case there.Revision == from.Revision && there.Status != artifact.Disposed:
	case !c.request.Overwrite:
		c.out.fail(number, AlreadyExists, "Version %s already exists", number)
	case there.Status == artifact.Disposed:
		c.out.fail(number, NotAllowed, "version %s is Disposed at the destination and can only be deleted", number)
	default:
		switch err := notOnHold(c.tx, c.existing, number); {
		case fault.Is(err, fault.Conflict): // what is replaced is taken away
			c.out.fail(number, NotAllowed, "%s", fault.Message(err))
		case err != nil:
			return err
		default:
			c.move(move{from: from, over: &there})
		}
	}
	return nil
}

// move plans a copy. Of what restricts new versions only one thing holds for
// copies too: nothing of a mere variation of a group's pattern may come in.
func (c *copying) move(m move) {
	if c.member.Weak {
		c.out.fail(m.from.Number, NotAllowed, "version %s cannot be copied: %s", m.from.Number, weakly(c.request.Coordinates, c.member))
		return
	}
	c.moves = append(c.moves, m)
}

// run copies what is planned.
func (c *copying) run() error {
	if len(c.moves) == 0 {
		return nil
	}
	// A new package is as if its first version had come the way this one came
	// into the domain (section 10.1).
	restrictions := artifact.DefaultRestrictions(c.moves[0].from.Origin.Type != artifact.External)
	p, _, err := c.tx.EnsurePackage(c.destination.repo, c.request.Coordinates, c.display, restrictions)
	if err != nil {
		return err
	}
	for _, m := range c.moves {
		if err := c.copy(p, m); err != nil {
			return err
		}
		c.out.done(m.from.Version)
	}
	for _, tag := range slices.Sorted(maps.Keys(c.tags)) {
		if _, copied := c.out.Done[c.tags[tag]]; !copied {
			continue
		}
		if err := c.tx.SetDistTag(p, tag, c.tags[tag]); err != nil {
			return err
		}
	}
	return nil
}

func (c *copying) copy(p catalog.Package, m move) error {
	e := artifact.Event{Operation: "Created", Metadata: true, StatusChanged: true}
	assets, err := c.tx.Assets(m.from.ID, "", 0)
	if err != nil {
		return err
	}
	e.AssetsAdded = len(assets)
	if m.over != nil {
		e.Operation, e.StatusChanged = "Updated", m.over.Status != m.from.Status
		old, err := c.tx.Assets(m.over.ID, "", 0)
		if err != nil {
			return err
		}
		e.AssetsAdded, e.AssetsRemoved, e.AssetsUpdated = compareAssets(old, assets)
		if err := c.tx.DeleteVersion(p, *m.over); err != nil {
			return err
		}
	}
	if err := admit(c.tx, c.destination, 1, plainAssets(assets)); err != nil {
		return err
	}
	row, err := c.tx.InsertVersion(p, m.from.Version)
	if err != nil {
		return err
	}
	for _, a := range assets {
		if err := c.tx.InsertAsset(p, row.ID, a.Asset); err != nil {
			return err
		}
	}
	return c.tx.Emit(eventOf(c.destination, p.Coordinates, row.Version, e))
}

// compareAssets counts what replacing old by now does to the assets.
func compareAssets(old, now []catalog.Asset) (added, removed, updated int) {
	was := make(map[string]catalog.Asset, len(old))
	for _, a := range old {
		was[a.Name] = a
	}
	for _, a := range now {
		before, ok := was[a.Name]
		switch {
		case !ok:
			added++
		case before.Digests != a.Digests:
			updated++
		}
		delete(was, a.Name)
	}
	return added, len(was), updated
}
