package control

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

// onGroup is for operations on the package group whose pattern the member
// PackageGroup holds. With a pattern that is none they ask about the domain,
// and then say what is wrong with it.
func onGroup(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	p, err := artifact.ParsePattern(reflect.ValueOf(in).Elem().FieldByName("PackageGroup").String())
	if err != nil {
		return onDomain(a, c, action, in)
	}
	return []restjson.Need{{Action: action, Resource: a.groupARN(targetOf(c, in).id, p)}}
}

// onNewGroup asks about the domain, and for tags about the group to be.
func onNewGroup(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	input := in.(*api.CreatePackageGroupInput)
	needs := a.withTags(onDomain(a, c, action, in), input.Tags)
	if len(needs) > 1 {
		needs[1].Resource = onGroup(a, c, action, in)[0].Resource
	}
	return needs
}

// onAssociated asks about the group that a package would have for itself:
// which one it belongs to must not be looked up before.
func onAssociated(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	t, err := a.packageOf(c, in)
	if err != nil {
		return onDomain(a, c, action, in)
	}
	return []restjson.Need{{Action: action, Resource: a.groupARN(t.id, artifact.ExactPattern(t.c))}}
}

func (a *API) groupARN(id artifact.RepositoryID, p artifact.Pattern) string {
	return arn.PackageGroup(a.opt.Region, id.Owner, id.Domain, p.String()).String()
}

// domainGroups are the package groups of a domain.
type domainGroups struct {
	*artifact.Groups
	id     artifact.RepositoryID
	domain catalog.Domain
	rows   map[artifact.Pattern]catalog.PackageGroup
}

func groupsOf(tx *catalog.Tx, id artifact.RepositoryID) (*domainGroups, error) {
	d, err := tx.Domain(id.Owner, id.Domain)
	if err != nil {
		return nil, err
	}
	rows, err := tx.PackageGroups(d.ID)
	if err != nil {
		return nil, err
	}
	g := &domainGroups{id: id, domain: d, rows: make(map[artifact.Pattern]catalog.PackageGroup, len(rows))}
	for _, row := range rows {
		g.rows[row.Pattern] = row
	}
	g.arrange()
	return g, nil
}

// arrange takes in what has changed in the rows.
func (g *domainGroups) arrange() {
	groups := make([]artifact.Group, 0, len(g.rows))
	for _, row := range g.rows {
		groups = append(groups, row.Group)
	}
	g.Groups = artifact.ArrangeGroups(groups)
}

func (g *domainGroups) find(p artifact.Pattern) (*artifact.PlacedGroup, error) {
	if found := g.Find(p); found != nil {
		return found, nil
	}
	return nil, fault.About(fault.NotFound, "", p.String(), "package group not found: "+p.String())
}

// group describes a package group.
func (a *API) group(g *domainGroups, p *artifact.PlacedGroup) *api.PackageGroupDescription {
	reference := func(p *artifact.PlacedGroup) *api.PackageGroupReference {
		return &api.PackageGroupReference{Arn: a.groupARN(g.id, p.Pattern), Pattern: p.Pattern.String()}
	}
	row := g.rows[p.Pattern]
	out := &api.PackageGroupDescription{
		Arn: a.groupARN(g.id, p.Pattern), Pattern: p.Pattern.String(), DomainName: g.id.Domain, DomainOwner: g.id.Owner,
		CreatedTime: restjson.At(row.Created), ContactInfo: row.ContactInfo, Description: row.Description,
		OriginConfiguration: &api.PackageGroupOriginConfiguration{Restrictions: map[string]api.PackageGroupOriginRestriction{}},
	}
	if p.Parent != nil {
		out.Parent = reference(p.Parent)
	}
	for _, w := range artifact.Ways() {
		rule, from := p.Effective(w)
		shown := api.PackageGroupOriginRestriction{Mode: string(p.Rules[w].Mode), EffectiveMode: string(rule.Mode)}
		if from != p {
			shown.InheritedFrom = reference(from)
		}
		if rule.Mode == artifact.GroupAllowSpecific {
			shown.RepositoriesCount = new(int64(len(rule.Repositories)))
		}
		out.OriginConfiguration.Restrictions[string(w)] = shown
	}
	return out
}

func (a *API) createPackageGroup(ctx context.Context, c *restjson.Call, in *api.CreatePackageGroupInput) (*api.CreatePackageGroupOutput, error) {
	id := targetOf(c, in).id
	p, err := artifact.ParsePattern(in.PackageGroup)
	if err != nil {
		return nil, err
	}
	tags, err := a.newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	row := catalog.PackageGroup{
		Group:       artifact.Group{Pattern: p, Rules: map[artifact.Way]artifact.WayRule{}},
		ContactInfo: in.ContactInfo, Description: in.Description,
	}
	for _, w := range artifact.Ways() {
		row.Rules[w] = artifact.WayRule{Mode: artifact.GroupInherit}
	}
	out := &api.CreatePackageGroupOutput{}
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		g, err := groupsOf(tx, id)
		if err != nil {
			return err
		}
		row.DomainID = g.domain.ID
		if g.rows[p], err = tx.InsertPackageGroup(row); err != nil {
			return err
		}
		g.arrange()
		out.PackageGroup = a.group(g, g.Find(p))
		return tx.PutTags(a.groupARN(id, p), tags)
	})
	return out, err
}

// onOneGroup runs fn with the group of a pattern in a transaction made by run.
func onOneGroup(ctx context.Context, run func(context.Context, func(*catalog.Tx) error) error, id artifact.RepositoryID, pattern string,
	fn func(tx *catalog.Tx, g *domainGroups, p *artifact.PlacedGroup) error,
) error {
	p, err := artifact.ParsePattern(pattern)
	if err != nil {
		return err
	}
	return run(ctx, func(tx *catalog.Tx) error {
		g, err := groupsOf(tx, id)
		if err != nil {
			return err
		}
		found, err := g.find(p)
		if err != nil {
			return err
		}
		return fn(tx, g, found)
	})
}

func (a *API) describePackageGroup(ctx context.Context, c *restjson.Call, in *api.DescribePackageGroupInput) (*api.DescribePackageGroupOutput, error) {
	out := &api.DescribePackageGroupOutput{}
	err := onOneGroup(ctx, a.opt.DB.View, targetOf(c, in).id, in.PackageGroup, func(_ *catalog.Tx, g *domainGroups, p *artifact.PlacedGroup) error {
		out.PackageGroup = a.group(g, p)
		return nil
	})
	return out, err
}

// updatePackageGroup leaves alone what the input leaves out (operation 45).
func (a *API) updatePackageGroup(ctx context.Context, c *restjson.Call, in *api.UpdatePackageGroupInput) (*api.UpdatePackageGroupOutput, error) {
	out := &api.UpdatePackageGroupOutput{}
	err := onOneGroup(ctx, a.opt.DB.Update, targetOf(c, in).id, in.PackageGroup, func(tx *catalog.Tx, g *domainGroups, p *artifact.PlacedGroup) error {
		row := g.rows[p.Pattern]
		if in.ContactInfo != nil {
			row.ContactInfo = *in.ContactInfo
		}
		if in.Description != nil {
			row.Description = *in.Description
		}
		g.rows[p.Pattern] = row
		out.PackageGroup = a.group(g, p)
		return tx.UpdatePackageGroup(row)
	})
	return out, err
}

func (a *API) deletePackageGroup(ctx context.Context, c *restjson.Call, in *api.DeletePackageGroupInput) (*api.DeletePackageGroupOutput, error) {
	id := targetOf(c, in).id
	out := &api.DeletePackageGroupOutput{}
	err := onOneGroup(ctx, a.opt.DB.Update, id, in.PackageGroup, func(tx *catalog.Tx, g *domainGroups, p *artifact.PlacedGroup) error {
		if p.Pattern == (artifact.Pattern{}) {
			return fault.Field("packageGroup", "the root group %s cannot be deleted", artifact.RootPattern)
		}
		out.PackageGroup = a.group(g, p)
		if err := tx.DeletePackageGroup(g.rows[p.Pattern]); err != nil {
			return err
		}
		return tx.DeleteTags(a.groupARN(id, p.Pattern))
	})
	return out, err
}

// updatePackageGroupOriginConfiguration leaves alone the restrictions that the
// input leaves out. A restriction that is no longer ALLOW_SPECIFIC_REPOSITORIES
// loses its list (operation 46).
func (a *API) updatePackageGroupOriginConfiguration(ctx context.Context, c *restjson.Call, in *api.UpdatePackageGroupOriginConfigurationInput) (*api.UpdatePackageGroupOriginConfigurationOutput, error) {
	for _, entry := range slices.Concat(in.AddAllowedRepositories, in.RemoveAllowedRepositories) {
		if entry.RepositoryName == "" || entry.OriginRestrictionType == "" {
			return nil, fault.Field("allowedRepositories", "every entry has a repositoryName and an originRestrictionType")
		}
		if slices.Contains(in.AddAllowedRepositories, entry) && slices.Contains(in.RemoveAllowedRepositories, entry) {
			return nil, fault.Field("allowedRepositories", "%s is both added and removed", entry.RepositoryName)
		}
	}
	id := targetOf(c, in).id
	var out *api.UpdatePackageGroupOriginConfigurationOutput
	err := onOneGroup(ctx, a.opt.DB.Update, id, in.PackageGroup, func(tx *catalog.Tx, g *domainGroups, p *artifact.PlacedGroup) error {
		u := originUpdate{tx: tx, group: g.rows[p.Pattern], changes: map[string]map[string][]string{}}
		if err := u.modes(in.Restrictions); err != nil {
			return err
		}
		if err := u.lists(in.AddAllowedRepositories, in.RemoveAllowedRepositories); err != nil {
			return err
		}
		now, err := groupsOf(tx, id)
		if err != nil {
			return err
		}
		out = &api.UpdatePackageGroupOriginConfigurationOutput{
			PackageGroup: a.group(now, now.Find(p.Pattern)), AllowedRepositoryUpdates: u.changes,
		}
		return nil
	})
	return out, err
}

// originUpdate is one change of a group's restrictions.
type originUpdate struct {
	tx      *catalog.Tx
	group   catalog.PackageGroup
	changes map[string]map[string][]string // by restriction: ADDED and REMOVED repositories
}

func (u *originUpdate) changed(w artifact.Way, what string, repositories ...string) {
	if u.changes[string(w)] == nil {
		u.changes[string(w)] = map[string][]string{}
	}
	all := append(u.changes[string(w)][what], repositories...)
	slices.Sort(all)
	u.changes[string(w)][what] = all
}

func (u *originUpdate) modes(restrictions map[string]string) error {
	for way, mode := range restrictions {
		w, m := artifact.Way(way), artifact.GroupMode(mode)
		if m == artifact.GroupInherit && u.group.Pattern == (artifact.Pattern{}) {
			return fault.Field("restrictions", "the root group %s has nothing to inherit from", artifact.RootPattern)
		}
		old := u.group.Rules[w]
		if m == artifact.GroupAllowSpecific {
			u.group.Rules[w] = artifact.WayRule{Mode: m, Repositories: old.Repositories}
			continue
		}
		u.group.Rules[w] = artifact.WayRule{Mode: m}
		if len(old.Repositories) > 0 {
			u.changed(w, "REMOVED", old.Repositories...)
		}
	}
	return u.tx.UpdatePackageGroup(u.group)
}

func (u *originUpdate) lists(add, remove []api.PackageGroupAllowedRepository) error {
	for _, entry := range add {
		w := artifact.Way(entry.OriginRestrictionType)
		if u.group.Rules[w].Mode != artifact.GroupAllowSpecific {
			return fault.Field("addAllowedRepositories", "the restriction %s is %s; only one that is %s has repositories", w, u.group.Rules[w].Mode, artifact.GroupAllowSpecific)
		}
		r, err := u.tx.Repository(u.group.DomainID, entry.RepositoryName)
		if err != nil {
			return err
		}
		added, err := u.tx.AllowRepository(u.group, w, r.ID)
		if err != nil {
			return err
		}
		if added {
			u.changed(w, "ADDED", r.Name)
		}
	}
	for _, entry := range remove {
		w := artifact.Way(entry.OriginRestrictionType)
		r, err := u.tx.Repository(u.group.DomainID, entry.RepositoryName)
		if fault.Is(err, fault.NotFound) {
			continue // then it is in no list
		}
		if err != nil {
			return err
		}
		removed, err := u.tx.DisallowRepository(u.group, w, r.ID)
		if err != nil {
			return err
		}
		if removed {
			u.changed(w, "REMOVED", r.Name)
		}
	}
	return nil
}

func (a *API) listPackageGroups(ctx context.Context, c *restjson.Call, in *api.ListPackageGroupsInput) (*api.ListPackageGroupsOutput, error) {
	id := targetOf(c, in).id
	l := page.For[string]("ListPackageGroups", id.Owner, id.Domain, in.Prefix)
	out := &api.ListPackageGroupsOutput{}
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		g, err := groupsOf(tx, id)
		if err != nil {
			return err
		}
		out.PackageGroups, out.NextToken, err = a.groupPage(g, l, in.NextToken, in.MaxResults, func(p *artifact.PlacedGroup) bool {
			return strings.HasPrefix(p.Pattern.String(), in.Prefix)
		})
		return err
	})
	return out, err
}

// listSubPackageGroups lists the direct children of a group.
func (a *API) listSubPackageGroups(ctx context.Context, c *restjson.Call, in *api.ListSubPackageGroupsInput) (*api.ListSubPackageGroupsOutput, error) {
	id := targetOf(c, in).id
	l := page.For[string]("ListSubPackageGroups", id.Owner, id.Domain, in.PackageGroup)
	out := &api.ListSubPackageGroupsOutput{}
	err := onOneGroup(ctx, a.opt.DB.View, id, in.PackageGroup, func(_ *catalog.Tx, g *domainGroups, parent *artifact.PlacedGroup) (err error) {
		out.PackageGroups, out.NextToken, err = a.groupPage(g, l, in.NextToken, in.MaxResults, func(p *artifact.PlacedGroup) bool { return p.Parent == parent })
		return err
	})
	return out, err
}

// groupPage is one page of the groups to keep, by pattern.
func (a *API) groupPage(g *domainGroups, l page.Listing[string], token string, maxResults *int32, keep func(*artifact.PlacedGroup) bool) ([]api.PackageGroupSummary, string, error) {
	after, _, err := l.Key(token)
	if err != nil {
		return nil, "", err
	}
	limit := limitOf(maxResults, 100)
	out := []api.PackageGroupSummary{}
	for _, p := range g.All() {
		if p.Pattern.String() > after && keep(p) && len(out) <= limit {
			out = append(out, api.PackageGroupSummary(*a.group(g, p)))
		}
	}
	out, token = page.Cut(l, out, limit, func(s api.PackageGroupSummary) string { return s.Pattern })
	return out, token, nil
}

func (a *API) listAllowedRepositoriesForGroup(ctx context.Context, c *restjson.Call, in *api.ListAllowedRepositoriesForGroupInput) (*api.ListAllowedRepositoriesForGroupOutput, error) {
	id := targetOf(c, in).id
	l := page.For[string]("ListAllowedRepositoriesForGroup", id.Owner, id.Domain, in.PackageGroup, in.OriginRestrictionType)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.ListAllowedRepositoriesForGroupOutput{}
	err = onOneGroup(ctx, a.opt.DB.View, id, in.PackageGroup, func(_ *catalog.Tx, _ *domainGroups, p *artifact.PlacedGroup) error {
		all := p.Rules[artifact.Way(in.OriginRestrictionType)].Repositories
		from, found := slices.BinarySearch(all, after)
		if found {
			from++
		}
		limit := limitOf(in.MaxResults, 100)
		rest := all[from:]
		out.AllowedRepositories, out.NextToken = page.Cut(l, rest[:min(len(rest), limit+1)], limit, func(name string) string { return name })
		return nil
	})
	return out, err
}

// getAssociatedPackageGroup also answers for a package that is not there.
func (a *API) getAssociatedPackageGroup(ctx context.Context, c *restjson.Call, in *api.GetAssociatedPackageGroupInput) (*api.GetAssociatedPackageGroupOutput, error) {
	t, err := a.packageOf(c, in)
	if err != nil {
		return nil, err
	}
	out := &api.GetAssociatedPackageGroupOutput{}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		g, err := groupsOf(tx, t.id)
		if err != nil {
			return err
		}
		m := g.Of(t.c)
		out.PackageGroup, out.AssociationType = a.group(g, m.Group), associationType(m)
		return nil
	})
	return out, err
}

func associationType(m artifact.Membership) string {
	if m.Weak {
		return "WEAK"
	}
	return "STRONG"
}

// What one call of ListAssociatedPackages looks at: so many packages at a time,
// and so many in all before it answers with what it has and a token.
const (
	associatedBatch = 500
	associatedMost  = 20_000
)

// listAssociatedPackages lists the packages of a group across the repositories
// of the domain. A page may be short, or empty, and not the last.
func (a *API) listAssociatedPackages(ctx context.Context, c *restjson.Call, in *api.ListAssociatedPackagesInput) (*api.ListAssociatedPackagesOutput, error) {
	id := targetOf(c, in).id
	p, err := artifact.ParsePattern(in.PackageGroup)
	if err != nil {
		return nil, err
	}
	l := page.For[artifact.Coordinates]("ListAssociatedPackages", id.Owner, id.Domain, in.PackageGroup)
	start, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	limit := limitOf(in.MaxResults, 100)
	out := &api.ListAssociatedPackagesOutput{}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		g, err := groupsOf(tx, id)
		if err != nil {
			return err
		}
		if _, err := g.find(p); err != nil {
			if !in.Preview {
				return err
			}
			g.rows[p] = catalog.PackageGroup{Group: artifact.Group{Pattern: p}}
			g.arrange()
		}
		found, next, err := associated(tx, g, p, start, limit)
		if err != nil {
			return err
		}
		out.Packages, out.NextToken = found, ""
		if next != (artifact.Coordinates{}) {
			out.NextToken = l.Token(next)
		}
		return nil
	})
	return out, err
}

// associated finds packages of the group of p after the given one, and where to
// go on; nowhere when all have been seen.
func associated(tx *catalog.Tx, g *domainGroups, p artifact.Pattern, after artifact.Coordinates, limit int) (found []api.AssociatedPackage, next artifact.Coordinates, err error) {
	found = []api.AssociatedPackage{}
	for looked := 0; looked < associatedMost; looked += associatedBatch {
		some, err := tx.DomainPackages(g.domain.ID, p.Format(), after, associatedBatch)
		if err != nil {
			return nil, next, err
		}
		for _, c := range some {
			m := g.Of(c)
			if m.Group.Pattern != p {
				after = c
				continue
			}
			if len(found) == limit {
				return found, after, nil
			}
			after = c
			found = append(found, api.AssociatedPackage{Format: string(c.Format), Namespace: c.Namespace, Package: c.Name, AssociationType: associationType(m)})
		}
		if len(some) < associatedBatch {
			return found, next, nil
		}
	}
	return found, after, nil
}
