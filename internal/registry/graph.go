package registry

import (
	"context"
	"sync"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

type domainKey struct{ owner, name string }

// graph is one domain with its repositories and who is upstream of whom, as of
// one config generation. It is immutable and shared.
type graph struct {
	domain catalog.Domain
	byName map[string]*node
	groups *artifact.Groups          // nil: everything is allowed
	quotas map[string]catalog.Limits // by the ID of the repository or domain
}

// node is one repository in its graph.
type node struct {
	repo      catalog.Repository
	id        artifact.RepositoryID
	graph     *graph
	upstreams []*node            // in priority order
	sources   []*upstream.Source // its external connections that this server knows
	readNeed  access.Need        // ReadFromRepository on it

	reachOnce sync.Once
	reachable []*node
}

// source is the node's connection for packages of f, nil when it has none.
func (n *node) source(f artifact.Format) *upstream.Source {
	for _, s := range n.sources {
		if s.Connection.Format == f {
			return s
		}
	}
	return nil
}

// reach lists every repository that a search from n can touch, n first, depth
// first, at most limit of them (section 7.1).
func (n *node) reach(limit int) []*node {
	n.reachOnce.Do(func() {
		n.search(limit, func(*node) bool { return true }, func(m *node) bool {
			n.reachable = append(n.reachable, m)
			return true
		})
	})
	return n.reachable
}

// search visits n and its upstreams depth first in priority order, each
// repository once, at most limit of them, until visit answers false. It goes
// below a repository only where descend allows.
func (n *node) search(limit int, descend, visit func(*node) bool) {
	seen := make(map[*node]struct{}, limit)
	var walk func(m *node) bool
	walk = func(m *node) bool {
		if _, ok := seen[m]; ok {
			return true
		}
		if len(seen) == limit {
			return false
		}
		seen[m] = struct{}{}
		if !visit(m) {
			return false
		}
		if !descend(m) {
			return true
		}
		for _, up := range m.upstreams {
			if !walk(up) {
				return false
			}
		}
		return true
	}
	walk(n)
}

// graph gives the current graph of a domain; NotFound when there is no such
// domain.
func (s *Service) graph(ctx context.Context, owner, name string) (*graph, error) {
	k := domainKey{owner, name}
	return s.graphs.Get(ctx, s.db, k, func(tx *catalog.Tx) (*graph, error) {
		d, err := tx.Domain(owner, name)
		if err != nil {
			return nil, err
		}
		repos, err := tx.Repositories(d.ID, catalog.RepositoryFilter{}, "", 0)
		if err != nil {
			return nil, err
		}
		groups, err := tx.PackageGroups(d.ID)
		if err != nil {
			return nil, err
		}
		quotas, err := tx.Quotas(d.ID)
		if err != nil {
			return nil, err
		}
		g := s.newGraph(d, repos)
		g.groups, g.quotas = arranged(groups), make(map[string]catalog.Limits, len(quotas))
		for _, q := range quotas {
			g.quotas[q.Scope] = q.Limits
		}
		return g, nil
	})
}

func (s *Service) newGraph(d catalog.Domain, repos []catalog.Repository) *graph {
	g := &graph{domain: d, byName: make(map[string]*node, len(repos))}
	byID := make(map[string]*node, len(repos))
	for _, r := range repos {
		n := &node{repo: r, graph: g, id: artifact.RepositoryID{Owner: d.Owner, Domain: d.Name, Name: r.Name}}
		n.readNeed = access.Repository(readAction, s.opt.Region, n.id, r.Administrator)
		for _, c := range r.Connections {
			if src, ok := s.sources[c]; ok {
				n.sources = append(n.sources, src)
			}
		}
		g.byName[r.Name], byID[r.ID] = n, n
	}
	for _, n := range byID {
		for _, id := range n.repo.Upstreams {
			if up, ok := byID[id]; ok {
				n.upstreams = append(n.upstreams, up)
			}
		}
	}
	return g
}

// current is a repository as the configuration is now; NotFound when it is gone,
// also when another one has its name. What is stamped must be made from it: the
// node a request began with may be older than the stamp.
func (s *Service) current(ctx context.Context, n *node) (*node, error) {
	now, err := s.node(ctx, n.id)
	if err == nil && now.repo.ID != n.repo.ID {
		err = gone(n)
	}
	return now, err
}

// gone says that a repository is not there any more.
func gone(n *node) error {
	return fault.About(fault.NotFound, "repository", n.id.Name, "repository %s does not exist any more", n.id.Name)
}

// rowOf is the row of a repository as a transaction sees it; NotFound when it
// has been deleted since the graph was read.
func rowOf(tx *catalog.Tx, n *node) (catalog.Repository, error) {
	rows, err := tx.RepositoriesByID(n.repo.ID)
	if err != nil {
		return catalog.Repository{}, err
	}
	if len(rows) == 0 {
		return catalog.Repository{}, gone(n)
	}
	return rows[0], nil
}

// node finds a repository.
func (s *Service) node(ctx context.Context, id artifact.RepositoryID) (*node, error) {
	g, err := s.graph(ctx, id.Owner, id.Domain)
	if err != nil {
		return nil, err
	}
	n, ok := g.byName[id.Name]
	if !ok {
		return nil, fault.About(fault.NotFound, "repository", id.Name, "repository %s does not exist in domain %s of account %s", id.Name, id.Domain, id.Owner)
	}
	return n, nil
}
