package control

import (
	"cmp"
	"context"
	"slices"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/page"
	"packhouse/internal/restjson"
)

// onNewRepository asks for the repository to be and for each of its upstreams.
func onNewRepository(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	input := in.(*api.CreateRepositoryInput)
	needs := a.withTags(onRepository(a, c, action, in), input.Tags)
	id := targetOf(c, in).id
	names := upstreamNames(input.Upstreams)
	for _, u := range input.UpstreamRepositories {
		if !slices.Contains(names, u.RepositoryName) {
			names = append(names, u.RepositoryName)
		}
	}
	for _, name := range names {
		id.Name = name
		needs = append(needs, restjson.Need{Action: associateAction, Resource: a.repositoryARN(id)})
	}
	return needs
}

// associateAction is needed on the upstream (section 4.1).
const associateAction = Service + ":AssociateWithDownstreamRepository"

func (a *API) createRepository(ctx context.Context, c *restjson.Call, in *api.CreateRepositoryInput) (*api.CreateRepositoryOutput, error) {
	id := targetOf(c, in).id
	names, err := a.upstreamsOf(id, in.Upstreams, in.UpstreamRepositories)
	if err != nil {
		return nil, err
	}
	tags, err := a.newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	var out *api.RepositoryDescription
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		// A new repository is nobody's upstream: there can be no cycle yet.
		all, err := tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0)
		if err != nil {
			return err
		}
		r := catalog.Repository{
			DomainID: d.ID, Name: id.Name, Administrator: callerOf(c).Account(), Description: in.Description, Format: artifact.Format(in.Format),
			VersionPolicy: versionPolicy(in.VersionPolicy),
		}
		if r.Upstreams, err = idsOf(all, r, names); err != nil {
			return err
		}
		r, err = tx.InsertRepository(r)
		if err != nil {
			return err
		}
		if len(all) >= a.opt.Limits.Repositories {
			return fault.About(fault.Quota, "domain", d.Name, "the domain %s has %d repositories already; the limit is %d", d.Name, len(all), a.opt.Limits.Repositories)
		}
		if err := tx.PutTags(a.repositoryARN(id), tags); err != nil {
			return err
		}
		out, err = a.repository(tx, id, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateRepositoryOutput{Repository: out}, nil
}

// versionPolicy reads a word of the enum.
func versionPolicy(word string) artifact.VersionPolicy {
	if p := artifact.VersionPolicy(word); p != artifact.Mixed {
		return p
	}
	return ""
}

// upstreamsOf reads the two ways to write upstreams and checks what could not
// be right in any domain. nil: the input says nothing of upstreams.
func (a *API) upstreamsOf(id artifact.RepositoryID, plain []api.UpstreamRepository, owned []api.OwnedUpstreamRepository) ([]string, error) {
	var names []string
	if plain != nil {
		names = upstreamNames(plain)
	}
	if owned != nil {
		second := make([]string, len(owned))
		for i, u := range owned {
			second[i] = u.RepositoryName
			if u.Domain != "" && u.Domain != id.Domain || u.DomainOwner != "" && u.DomainOwner != id.Owner {
				return nil, fault.Field("upstreamRepositories", "%s: upstreams must be in the domain of the repository, %s of account %s, not in %s of account %s",
					u.RepositoryName, id.Domain, id.Owner, cmp.Or(u.Domain, id.Domain), cmp.Or(u.DomainOwner, id.Owner))
			}
		}
		if plain != nil && !slices.Equal(names, second) {
			return nil, fault.Field("upstreamRepositories", "differs from upstreams; give one of the two")
		}
		names = second
	}
	return names, a.checkUpstreams(id.Name, names)
}

func upstreamNames(upstreams []api.UpstreamRepository) []string {
	names := make([]string, len(upstreams))
	for i, u := range upstreams {
		names[i] = u.RepositoryName
	}
	return names
}

// checkUpstreams refuses a list that could not be right in any domain.
func (a *API) checkUpstreams(repository string, names []string) error {
	if most := a.opt.Limits.Upstreams; len(names) > most {
		return fault.About(fault.Quota, "repository", repository, "a repository can have %d direct upstreams, not %d", most, len(names))
	}
	for i, name := range names {
		if name == repository {
			return fault.Field("upstreams", "a repository cannot be its own upstream")
		}
		if slices.Contains(names[:i], name) {
			return fault.Field("upstreams", "%s is named twice", name)
		}
	}
	return nil
}

// idsOf finds the upstreams of r by name among all repositories of its domain.
// One of a single format may be upstream of the same format, or of all.
func idsOf(all []catalog.Repository, r catalog.Repository, names []string) ([]string, error) {
	ids := make([]string, len(names))
	for i, name := range names {
		at := slices.IndexFunc(all, func(r catalog.Repository) bool { return r.Name == name })
		if at < 0 {
			return nil, fault.About(fault.NotFound, "repository", name, "upstream repository not found: "+name)
		}
		if up := all[at]; r.Format != "" && up.Holds(r.Format) != nil {
			return nil, fault.Field("upstreams", "%s is for %s packages only, and %s for %s", up.Name, up.Format, r.Name, r.Format)
		}
		ids[i] = all[at].ID
	}
	return ids, nil
}

// leadsTo tells whether a search that starts at any of from comes to target.
func leadsTo(all []catalog.Repository, from []string, target string) bool {
	upstreams := make(map[string][]string, len(all))
	for _, r := range all {
		upstreams[r.ID] = r.Upstreams
	}
	seen := map[string]bool{}
	queue := slices.Clone(from)
	for len(queue) > 0 {
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if id == target {
			return true
		}
		if !seen[id] {
			seen[id] = true
			queue = append(queue, upstreams[id]...)
		}
	}
	return false
}

func (a *API) describeRepository(ctx context.Context, c *restjson.Call, in *api.DescribeRepositoryInput) (*api.DescribeRepositoryOutput, error) {
	id := targetOf(c, in).id
	var out *api.RepositoryDescription
	err := a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err == nil {
			out, err = a.repository(tx, id, r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.DescribeRepositoryOutput{Repository: out}, nil
}

// updateRepository leaves alone what the input leaves out (operation 48).
func (a *API) updateRepository(ctx context.Context, c *restjson.Call, in *api.UpdateRepositoryInput) (*api.UpdateRepositoryOutput, error) {
	id := targetOf(c, in).id
	names, err := a.upstreamsOf(id, in.Upstreams, in.UpstreamRepositories)
	if err != nil {
		return nil, err
	}
	permitted, err := a.permitUpstreams(ctx, c, id, names)
	if err != nil {
		return nil, err
	}
	var out *api.RepositoryDescription
	err = a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err != nil {
			return err
		}
		if in.Description != nil {
			if err := tx.SetDescription(r.ID, *in.Description); err != nil {
				return err
			}
		}
		if in.VersionPolicy != "" {
			if err := tx.SetVersionPolicy(r.ID, versionPolicy(in.VersionPolicy)); err != nil {
				return err
			}
		}
		if names != nil {
			if err := setUpstreams(tx, r, names, permitted); err != nil {
				return err
			}
		}
		if r, err = findRepository(tx, id); err == nil {
			out, err = a.repository(tx, id, r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateRepositoryOutput{Repository: out}, nil
}

// permitUpstreams checks the permission on each upstream that is new, and gives
// the IDs of those that need none because they are upstreams already.
func (a *API) permitUpstreams(ctx context.Context, c *restjson.Call, id artifact.RepositoryID, names []string) (present []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	var known []catalog.Repository
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err != nil {
			return err
		}
		present = r.Upstreams
		known, err = tx.RepositoriesByID(present...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.ContainsFunc(known, func(r catalog.Repository) bool { return r.Name == name }) {
			continue
		}
		up := id
		up.Name = name
		if err := a.opt.Checker.Authorize(ctx, c, []restjson.Need{{Action: associateAction, Resource: a.repositoryARN(up)}}); err != nil {
			return nil, err
		}
	}
	return present, nil
}

// setUpstreams replaces the upstreams of r. present are those for which no
// permission was asked.
func setUpstreams(tx *catalog.Tx, r catalog.Repository, names, present []string) error {
	all, err := tx.Repositories(r.DomainID, catalog.RepositoryFilter{}, "", 0)
	if err != nil {
		return err
	}
	ids, err := idsOf(all, r, names)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.Contains(present, id) && !slices.Contains(r.Upstreams, id) {
			return fault.About(fault.Conflict, "repository", r.Name, "the upstreams of %s have been changed meanwhile; try again", r.Name)
		}
	}
	if leadsTo(all, ids, r.ID) {
		return fault.Field("upstreams", "%s would become an upstream of itself", r.Name)
	}
	return tx.SetUpstreams(r.ID, ids)
}

func (a *API) deleteRepository(ctx context.Context, c *restjson.Call, in *api.DeleteRepositoryInput) (*api.DeleteRepositoryOutput, error) {
	id := targetOf(c, in).id
	var out *api.RepositoryDescription
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err != nil {
			return err
		}
		if out, err = a.repository(tx, id, r); err != nil {
			return err
		}
		if err := tx.DeleteRepository(r); err != nil {
			return err
		}
		return forget(tx, "repository", a.repositoryARN(id))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRepositoryOutput{Repository: out}, nil
}

const repositoriesPage = 50

func (a *API) listRepositories(ctx context.Context, c *restjson.Call, in *api.ListRepositoriesInput) (*api.ListRepositoriesOutput, error) {
	caller := callerOf(c)
	const action = Service + ":ListRepositories"
	domains := map[string]catalog.Domain{}
	idOf := func(r catalog.Repository) artifact.RepositoryID {
		d := domains[r.DomainID]
		return artifact.RepositoryID{Owner: d.Owner, Domain: d.Name, Name: r.Name}
	}
	rows, token, err := visible(ctx, a, visibility[catalog.Repository, catalog.RepositoryCursor]{
		caller: caller, action: action, token: in.NextToken, limit: limitOf(in.MaxResults, repositoriesPage),
		listing: page.For[catalog.RepositoryCursor]("ListRepositories", caller.Account(), in.RepositoryPrefix),
		next: func(tx *catalog.Tx, after catalog.RepositoryCursor, limit int) ([]catalog.Repository, error) {
			rows, err := tx.AdministeredRepositories(caller.Account(), in.RepositoryPrefix, after, limit)
			for _, r := range rows {
				if _, ok := domains[r.DomainID]; ok || err != nil {
					continue
				}
				domains[r.DomainID], err = tx.DomainByID(r.DomainID)
			}
			return rows, err
		},
		key: func(r catalog.Repository) catalog.RepositoryCursor {
			return catalog.RepositoryCursor{Name: r.Name, DomainID: r.DomainID}
		},
		need: func(r catalog.Repository) access.Need {
			return access.Repository(action, a.opt.Region, idOf(r), r.Administrator)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListRepositoriesOutput{Repositories: make([]api.RepositorySummary, len(rows)), NextToken: token}
	for i, r := range rows {
		out.Repositories[i] = a.repositorySummary(idOf(r), r)
	}
	return out, nil
}

func (a *API) listRepositoriesInDomain(ctx context.Context, c *restjson.Call, in *api.ListRepositoriesInDomainInput) (*api.ListRepositoriesInDomainOutput, error) {
	id := targetOf(c, in).id
	limit := limitOf(in.MaxResults, repositoriesPage)
	var rows []catalog.Repository
	l := page.For[string]("ListRepositoriesInDomain", id.Owner, id.Domain, in.AdministratorAccount, in.RepositoryPrefix)
	after, _, err := l.Key(in.NextToken)
	if err != nil {
		return nil, err
	}
	err = a.opt.DB.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(id.Owner, id.Domain)
		if err != nil {
			return err
		}
		filter := catalog.RepositoryFilter{Prefix: in.RepositoryPrefix, Administrator: in.AdministratorAccount}
		rows, err = tx.Repositories(d.ID, filter, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, token := page.Cut(l, rows, limit, func(r catalog.Repository) string { return r.Name })
	out := &api.ListRepositoriesInDomainOutput{Repositories: make([]api.RepositorySummary, len(rows)), NextToken: token}
	for i, r := range rows {
		id.Name = r.Name
		out.Repositories[i] = a.repositorySummary(id, r)
	}
	return out, nil
}

// associateExternalConnection attaches a connection: one in all, or one of each
// format where the limits say so (section 1.2).
func (a *API) associateExternalConnection(ctx context.Context, c *restjson.Call, in *api.AssociateExternalConnectionInput) (*api.AssociateExternalConnectionOutput, error) {
	id := targetOf(c, in).id
	connection, err := a.opt.Registry.Connection(in.ExternalConnection)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Field("externalConnection", "%s", fault.Message(err))
	}
	if err != nil {
		return nil, err
	}
	out, err := a.changeRepository(ctx, id, func(tx *catalog.Tx, r catalog.Repository) error {
		if r.Holds(connection.Format) != nil {
			return fault.Field("externalConnection", "%s brings %s packages, and the repository %s is for %s only", connection.Name, connection.Format, r.Name, r.Format)
		}
		for _, name := range r.Connections {
			present, err := a.opt.Registry.Connection(name)
			if name == in.ExternalConnection || !a.opt.Limits.ConnectionPerFormat || err == nil && present.Format == connection.Format {
				return fault.About(fault.Conflict, "repository", r.Name, "the repository %s has the external connection %s already", r.Name, name)
			}
		}
		return tx.AddConnection(r.ID, in.ExternalConnection)
	})
	if err != nil {
		return nil, err
	}
	return &api.AssociateExternalConnectionOutput{Repository: out}, nil
}

func (a *API) disassociateExternalConnection(ctx context.Context, c *restjson.Call, in *api.DisassociateExternalConnectionInput) (*api.DisassociateExternalConnectionOutput, error) {
	id := targetOf(c, in).id
	out, err := a.changeRepository(ctx, id, func(tx *catalog.Tx, r catalog.Repository) error {
		if !slices.Contains(r.Connections, in.ExternalConnection) {
			return fault.About(fault.NotFound, "repository", r.Name, "the repository %s has no external connection %s", r.Name, in.ExternalConnection)
		}
		return tx.RemoveConnection(r.ID, in.ExternalConnection)
	})
	if err != nil {
		return nil, err
	}
	return &api.DisassociateExternalConnectionOutput{Repository: out}, nil
}

// changeRepository applies a change and describes the result.
func (a *API) changeRepository(ctx context.Context, id artifact.RepositoryID, change func(*catalog.Tx, catalog.Repository) error) (*api.RepositoryDescription, error) {
	var out *api.RepositoryDescription
	err := a.opt.DB.Update(ctx, func(tx *catalog.Tx) error {
		r, err := findRepository(tx, id)
		if err != nil {
			return err
		}
		if err := change(tx, r); err != nil {
			return err
		}
		if r, err = findRepository(tx, id); err == nil {
			out, err = a.repository(tx, id, r)
		}
		return err
	})
	return out, err
}

// findRepository finds a repository by its name and that of its domain.
func findRepository(tx *catalog.Tx, id artifact.RepositoryID) (catalog.Repository, error) {
	d, err := tx.Domain(id.Owner, id.Domain)
	if err != nil {
		return catalog.Repository{}, err
	}
	return tx.Repository(d.ID, id.Name)
}

func (a *API) repositorySummary(id artifact.RepositoryID, r catalog.Repository) api.RepositorySummary {
	return api.RepositorySummary{
		Name: r.Name, AdministratorAccount: r.Administrator, DomainName: id.Domain, DomainOwner: id.Owner,
		Arn: a.repositoryARN(id), Description: r.Description, CreatedTime: restjson.At(r.Created), Format: string(r.Format),
	}
}

// repository describes r with its upstreams in order and its connections.
func (a *API) repository(tx *catalog.Tx, id artifact.RepositoryID, r catalog.Repository) (*api.RepositoryDescription, error) {
	s := a.repositorySummary(id, r)
	out := &api.RepositoryDescription{
		Name: s.Name, AdministratorAccount: s.AdministratorAccount, DomainName: s.DomainName, DomainOwner: s.DomainOwner,
		Arn: s.Arn, Description: s.Description, CreatedTime: s.CreatedTime, Format: s.Format, VersionPolicy: string(r.VersionPolicy),
		Upstreams: []api.UpstreamRepositoryInfo{}, ExternalConnections: []api.RepositoryExternalConnectionInfo{},
	}
	upstreams, err := tx.RepositoriesByID(r.Upstreams...)
	if err != nil {
		return nil, err
	}
	for _, upstreamID := range r.Upstreams {
		if i := slices.IndexFunc(upstreams, func(u catalog.Repository) bool { return u.ID == upstreamID }); i >= 0 {
			name := upstreams[i].Name
			out.Upstreams = append(out.Upstreams, api.UpstreamRepositoryInfo{RepositoryName: name})
			out.UpstreamRepositories = append(out.UpstreamRepositories, api.OwnedUpstreamRepository{RepositoryName: name, Domain: id.Domain, DomainOwner: id.Owner})
		}
	}
	for _, name := range r.Connections {
		// One that the configuration has lost is still shown, so that it can be removed.
		connection, _ := a.opt.Registry.Connection(name)
		out.ExternalConnections = append(out.ExternalConnections, api.RepositoryExternalConnectionInfo{
			ExternalConnectionName: name, PackageFormat: string(connection.Format), Status: "Available",
		})
	}
	return out, nil
}
