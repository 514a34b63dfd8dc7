package registry

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/retention"
)

// What goes by itself: a survey knows the configurations of a domain and decides
// about packages, some at a time, so that a million versions are never in memory.
// The preview, the check before a configuration is put, and the run (retire.go)
// all decide through one survey.

// surveyBatch is how many packages are looked at together.
const surveyBatch = 32

// survey is what is known of a domain's retention in one transaction.
type survey struct {
	service *Service
	tx      *catalog.Tx
	domain  catalog.Domain
	repos   []surveyed // by name
	byID    map[string]*surveyed
}

// surveyed is a repository with what applies to it.
type surveyed struct {
	catalog.Repository
	policies retention.Policies
	own      bool // they are the repository's
}

// survey reads the configurations of a domain. put takes the place of what is
// stored; only is the one repository it is about, empty for all.
func (s *Service) survey(tx *catalog.Tx, d catalog.Domain, only string, put ...catalog.RetentionConfiguration) (*survey, error) {
	v := &survey{service: s, tx: tx, domain: d, byID: map[string]*surveyed{}}
	var rows []catalog.Repository
	if only == "" {
		var err error
		if rows, err = tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0); err != nil {
			return nil, err
		}
	} else {
		row, err := tx.Repository(d.ID, only)
		if err != nil {
			return nil, err
		}
		rows = []catalog.Repository{row}
	}
	stored, err := tx.RetentionConfigurations(d.ID)
	if err != nil {
		return nil, err
	}
	type place struct {
		repository string
		origin     artifact.OriginType
	}
	ready := map[place]*retention.Policy{}
	for _, c := range append(stored, put...) {
		p, err := retention.New(c.Source(), c.Configuration)
		if err != nil {
			return nil, err
		}
		ready[place{c.RepositoryID, c.Origin}] = p
	}
	for _, row := range rows {
		r := surveyed{Repository: row}
		if own := ready[place{repository: row.ID}]; own != nil {
			r.policies, r.own = retention.Policies{Internal: own, External: own}, true
		} else {
			r.policies = retention.Policies{Internal: ready[place{origin: artifact.Internal}], External: ready[place{origin: artifact.External}]}
		}
		v.repos = append(v.repos, r)
	}
	for i := range v.repos {
		v.byID[v.repos[i].ID] = &v.repos[i]
	}
	return v, nil
}

// forced tells whether r may be left with nothing, whatever goes.
func (r *surveyed) forced() bool {
	return (r.policies.Internal == nil || r.policies.Internal.Forced()) && (r.policies.External == nil || r.policies.External.Forced())
}

// confirmed tells whether the configuration that a version of o goes by may leave
// nothing.
func (r *surveyed) confirmed(o artifact.OriginType) bool {
	if o == artifact.External {
		return r.policies.External.Forced()
	}
	return r.policies.Internal.Forced()
}

// judged is a package with a verdict for each of its versions, in their order.
type judged struct {
	catalog.Package
	verdicts []retention.Verdict
}

// judge decides about packages of a repository, which must be sorted by name.
func (v *survey) judge(r *surveyed, packages []catalog.Package, asOf time.Time) ([]judged, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	ids := make([]string, len(packages))
	for i, p := range packages {
		ids[i] = p.ID
	}
	versions, err := v.tx.Aging(ids...)
	if err != nil {
		return nil, err
	}
	tags, err := v.tags(ids)
	if err != nil {
		return nil, err
	}
	holds, err := v.tx.Holds(r.ID, packages[0].Coordinates, packages[len(packages)-1].Coordinates)
	if err != nil {
		return nil, err
	}
	held := newHolding(holds)
	out := make([]judged, len(packages))
	for i, p := range packages {
		some, traits := versions[p.ID], v.service.traits(p.Coordinates.Format)
		for j := range some {
			w := &some[j]
			w.Tag, w.Held = tags[p.ID][w.Number], held.on(p.Coordinates, w.Number)
			// What the current content was before it is kept Unlisted (Turn).
			w.Current = w.Status == artifact.Published && traits.changes(w.Number)
		}
		out[i] = judged{p, retention.Decide(r.policies, p.Coordinates, some, asOf, v.service.agingOf(p.Coordinates.Format))}
	}
	return out, nil
}

// tags gives a tag of each version that has one, by package and number.
func (v *survey) tags(packageIDs []string) (map[string]map[string]string, error) {
	rows, err := v.tx.TagsInDomain(packageIDs...)
	if err != nil {
		return nil, err
	}
	tags := map[string]map[string]string{}
	for _, t := range rows {
		of := tags[t.PackageID]
		if of == nil {
			of = map[string]string{}
			tags[t.PackageID] = of
		}
		// Of several the one that people look for: latest, else the first.
		if known, ok := of[t.Version]; !ok || t.Tag == "latest" || known != "latest" && t.Tag < known {
			of[t.Version] = t.Tag
		}
	}
	return tags, nil
}

// holding finds the holds on versions of a repository.
type holding struct {
	whole    retention.Held
	packages map[artifact.Coordinates]map[string]retention.Held // an empty number is all of the package
}

func newHolding(rows []catalog.Hold) holding {
	h := holding{packages: map[artifact.Coordinates]map[string]retention.Held{}}
	for _, row := range rows {
		kind := retention.LegalHold
		if row.Kind == catalog.HoldPin {
			kind = retention.Pinned
		}
		if row.Coordinates.Name == "" {
			h.whole |= kind
			continue
		}
		of := h.packages[row.Coordinates]
		if of == nil {
			of = map[string]retention.Held{}
			h.packages[row.Coordinates] = of
		}
		of[row.Version] |= kind
	}
	return h
}

func (h holding) on(c artifact.Coordinates, number string) retention.Held {
	of := h.packages[c]
	return h.whole | of[""] | of[number]
}

// agingOf is what retention must know of a format.
func (s *Service) agingOf(f artifact.Format) retention.Ecosystem {
	e, ok := s.ecosystems[f]
	if !ok { // of a format not served any more
		return retention.Ecosystem{Compare: strings.Compare, Kind: artifact.KindOf}
	}
	guess := artifact.KindOf
	if k, ok := e.(Kinds); ok {
		guess = k.Kind
	}
	traits := e.Traits()
	return retention.Ecosystem{Compare: e.Compare, Kind: func(number string) artifact.Kind {
		if traits.changes(number) {
			return artifact.BuildKind
		}
		return guess(number)
	}}
}

// emptying is the look into whether everything of a repository would go.
type emptying struct {
	after artifact.Coordinates // the last package looked at
	gone  int                  // versions so far, all of which would and none of which is confirmed
	stays bool                 // one would not
	done  bool
}

// leavesNothing tells whether everything that r holds would go without being
// confirmed, and how much that is. It looks no further than the first version
// that stays.
func (v *survey) leavesNothing(r *surveyed, asOf time.Time) (bool, int, error) {
	e, err := v.empties(r, asOf, emptying{}, 0)
	return !e.stays && e.gone > 0, e.gone, err
}

// empties goes on with such a look, by so many batches of packages; 0 is all.
func (v *survey) empties(r *surveyed, asOf time.Time, e emptying, batches int) (emptying, error) {
	if r.policies.None() {
		e.stays, e.done = true, true
	}
	for n := 0; !e.done && (batches == 0 || n < batches); n++ {
		packages, err := v.tx.Packages(r.ID, catalog.PackageFilter{}, e.after, surveyBatch)
		if err != nil {
			return e, err
		}
		some, err := v.judge(r, packages, asOf)
		if err != nil {
			return e, err
		}
		for _, p := range some {
			if slices.ContainsFunc(p.verdicts, func(w retention.Verdict) bool { return !w.Remove }) {
				e.stays, e.done = true, true
			}
			for _, w := range p.verdicts {
				if !r.confirmed(w.Origin) {
					e.gone++
				}
			}
			e.after = p.Coordinates
		}
		if len(packages) < surveyBatch {
			e.done = true
		}
	}
	return e, nil
}

// allWouldGo is the refusal to leave nothing of a repository.
func allWouldGo(repository string, versions int) error {
	return fault.About(fault.Conflict, "repository", repository,
		"all %d versions of repository %s would be removed; preview-retention shows them. Give force (--force) if that is meant", versions, repository)
}

// CheckRetention refuses configurations that are about to be put when one of them
// would leave nothing of a repository as it is now: Conflict, unless it is forced.
func (s *Service) CheckRetention(ctx context.Context, d catalog.Domain, put ...catalog.RetentionConfiguration) error {
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		v, err := s.survey(tx, d, "", put...)
		if err != nil {
			return err
		}
		for i := range v.repos {
			r := &v.repos[i]
			if concerned := slices.ContainsFunc(put, func(c catalog.RetentionConfiguration) bool {
				return !c.Forced && (c.RepositoryID == r.ID || c.RepositoryID == "" && !r.own)
			}); !concerned || r.forced() {
				continue
			}
			switch all, n, err := v.leavesNothing(r, tx.Now()); {
			case err != nil:
				return err
			case all:
				return allWouldGo(r.Name, n)
			}
		}
		return nil
	})
}

// PreviewQuery asks what a run would do.
type PreviewQuery struct {
	Owner, Domain string
	Repository    string    // empty: all of the domain
	AsOf          time.Time // what ages count to
	After         PreviewCursor
	Limit         int
}

// PreviewCursor is a place in a preview: the last version of the page before. The
// zero value is the start.
type PreviewCursor struct {
	Repository  string
	Coordinates artifact.Coordinates
	Published   int64 // microseconds since 1970 UTC
	Number      string
}

// PreviewedVersion is what would become of one version.
type PreviewedVersion struct {
	Repository  string
	Coordinates artifact.Coordinates
	Number      string
	Remove      bool
	Rule        string // what decided
	// Bytes that would be freed with it: of contents that no version has which
	// stays. Of several that would go and share a content the last in the order
	// of the preview has it; 0 for one that stays.
	Bytes int64

	id        string
	published time.Time
	rank      int // in its package
}

// PreviewRetention lists the versions of a domain or repository with what a run
// would do: by repository and package, the newest first. more says that next is
// where the next page begins.
func (s *Service) PreviewRetention(ctx context.Context, q PreviewQuery) (rows []PreviewedVersion, next PreviewCursor, more bool, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(q.Owner, q.Domain)
		if err != nil {
			return err
		}
		v, err := s.survey(tx, d, q.Repository)
		if err != nil {
			return err
		}
		rows, err = v.preview(q)
		if err != nil {
			return err
		}
		if more = len(rows) > q.Limit; more {
			rows = rows[:q.Limit]
			last := rows[q.Limit-1]
			next = PreviewCursor{last.Repository, last.Coordinates, last.published.UnixMicro(), last.Number}
		}
		return v.freed(rows, q.AsOf)
	})
	return rows, next, more, err
}

// preview lists one version more than the limit, if there is one.
func (v *survey) preview(q PreviewQuery) (rows []PreviewedVersion, err error) {
	at := q.After
	for i := range v.repos {
		r := &v.repos[i]
		if r.Name < at.Repository {
			continue
		}
		if r.Name > at.Repository {
			at = PreviewCursor{}
		}
		packages, err := v.begun(r, at.Coordinates)
		if err != nil {
			return nil, err
		}
		for after := at.Coordinates; ; {
			some, err := v.judge(r, packages, q.AsOf)
			if err != nil {
				return nil, err
			}
			for _, p := range some {
				rows = v.list(rows, r, p, at)
				if len(rows) > q.Limit {
					return rows, nil
				}
			}
			if packages, err = v.tx.Packages(r.ID, catalog.PackageFilter{}, after, surveyBatch); err != nil {
				return nil, err
			}
			if len(packages) == 0 {
				break
			}
			after = packages[len(packages)-1].Coordinates
		}
	}
	return rows, nil
}

// begun is the package that the page before ended in, if it is still there.
func (v *survey) begun(r *surveyed, c artifact.Coordinates) ([]catalog.Package, error) {
	if c.Name == "" {
		return nil, nil
	}
	p, err := v.tx.Package(r.ID, c)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return []catalog.Package{p}, err
}

// list appends the versions of a package that come after a place.
func (v *survey) list(rows []PreviewedVersion, r *surveyed, p judged, at PreviewCursor) []PreviewedVersion {
	compare := v.service.agingOf(p.Coordinates.Format).Compare
	for rank, w := range p.verdicts {
		if at.Coordinates == p.Coordinates && retention.Order(w.Stamp(), w.Number, time.UnixMicro(at.Published).UTC(), at.Number, compare) <= 0 {
			continue
		}
		rows = append(rows, PreviewedVersion{
			Repository: r.Name, Coordinates: p.Coordinates, Number: w.Number, Remove: w.Remove, Rule: w.Rule, id: w.ID, published: w.Stamp(), rank: rank,
		})
	}
	return rows
}

// maxHolders is how many versions with one content are looked at to find out
// whether it would be freed; of more it is said that it would not.
const maxHolders = 1000

// freed fills in the bytes of what would go.
func (v *survey) freed(rows []PreviewedVersion, asOf time.Time) error {
	at := map[string]*PreviewedVersion{}
	for i := range rows {
		if rows[i].Remove {
			at[rows[i].id] = &rows[i]
		}
	}
	var shared []catalog.HeldBlob
	ids := slices.Sorted(maps.Keys(at))
	if err := v.tx.BlobsOf(ids, func(b catalog.HeldBlob) error {
		if b.Shared {
			shared = append(shared, b)
		} else {
			at[b.VersionID].Bytes += b.Size
		}
		return nil
	}); err != nil {
		return err
	}
	known := map[string]map[string]fate{} // by package and version
	for _, b := range shared {
		row := at[b.VersionID]
		last, err := v.lastOf(b, row, asOf, known)
		if err != nil {
			return err
		}
		if last {
			row.Bytes += b.Size
		}
	}
	return nil
}

// fate is what would become of a version, and its place in its package.
type fate struct {
	gone bool
	rank int
}

// lastOf tells whether every version that has the content of b would go, and row
// as the last of them.
func (v *survey) lastOf(b catalog.HeldBlob, row *PreviewedVersion, asOf time.Time, known map[string]map[string]fate) (bool, error) {
	holders, err := v.tx.Holders(b.Space, b.SHA256, maxHolders+1)
	if err != nil || len(holders) > maxHolders {
		return false, err
	}
	for _, h := range holders {
		if h.VersionID == row.id {
			continue
		}
		r := v.byID[h.Package.RepositoryID]
		if r == nil { // it is not what the preview is about
			return false, nil
		}
		if byPlace(r.Name, h.Package.Coordinates, row.Repository, row.Coordinates) > 0 {
			return false, nil // the later one has it, or keeps it
		}
		fates, ok := known[h.Package.ID]
		if !ok {
			if fates, err = v.fates(r, h.Package, asOf); err != nil {
				return false, err
			}
			known[h.Package.ID] = fates
		}
		f := fates[h.VersionID]
		if !f.gone || r.Name == row.Repository && h.Package.Coordinates == row.Coordinates && f.rank > row.rank {
			return false, nil
		}
	}
	return true, nil
}

func (v *survey) fates(r *surveyed, p catalog.Package, asOf time.Time) (map[string]fate, error) {
	some, err := v.judge(r, []catalog.Package{p}, asOf)
	if err != nil {
		return nil, err
	}
	fates := map[string]fate{}
	for rank, w := range some[0].verdicts {
		fates[w.ID] = fate{w.Remove, rank}
	}
	return fates, nil
}

// byPlace is the order of a preview above the versions of a package.
func byPlace(repositoryA string, a artifact.Coordinates, repositoryB string, b artifact.Coordinates) int {
	return cmp.Or(strings.Compare(repositoryA, repositoryB), strings.Compare(string(a.Format), string(b.Format)),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
