package registry

import (
	"context"
	"fmt"

	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// The gates of section 10.5: a new version comes into a repository only where
// the package's own origin configuration and its package group both let it;
// what a repository holds is served whatever they say.

// arranged are the groups of a domain; nil when the root alone is left and
// allows everything, as in a new domain, so that nothing is spent on them.
func arranged(rows []catalog.PackageGroup) *artifact.Groups {
	if len(rows) == 1 {
		all := true
		for _, w := range artifact.Ways() {
			all = all && rows[0].Rules[w].Mode == artifact.GroupAllow
		}
		if all {
			return nil
		}
	}
	groups := make([]artifact.Group, len(rows))
	for i, row := range rows {
		groups[i] = row.Group
	}
	return artifact.ArrangeGroups(groups)
}

// mayDescend tells whether n may take the package from its upstreams. No row
// means that nobody has forbidden it.
func (v *sight) mayDescend(n *node) bool {
	return v.packages[n].Restrictions.Upstream != artifact.Block && v.member.Permits(artifact.ByInternalUpstream, n.id.Name)
}

// mayConnect tells whether n may take the package from its external connection.
func (v *sight) mayConnect(n *node) bool {
	return v.packages[n].Restrictions.Upstream != artifact.Block && v.member.Permits(artifact.ByExternalUpstream, n.id.Name)
}

// Holds gives nil when the repository is for packages of f, else NotFound, as
// package endpoints answer: there can be none. Callers who may not read it hear
// that instead.
func (r *Repo) Holds(ctx context.Context, f artifact.Format) error {
	err := r.node.repo.Holds(f)
	if err == nil {
		return nil
	}
	if err := r.MayRead(ctx); err != nil {
		return err
	}
	return fault.About(fault.NotFound, "repository", r.node.id.Name,
		"repository %s is for %s packages only: it has no address for %s", r.node.id.Name, r.node.repo.Format, f)
}

// accepts tells whether the format of n and the package's group let versions be
// published to n.
func (n *node) accepts(c artifact.Coordinates) error {
	if err := n.repo.Holds(c.Format); err != nil {
		return err
	}
	m := n.graph.groups.Of(c)
	switch {
	case m.Permits(artifact.ByPublishing, n.id.Name):
		return nil
	case m.Weak:
		return fault.New(fault.Denied, "%s", weakly(c, m))
	}
	rule, from := m.Group.Effective(artifact.ByPublishing)
	return fault.New(fault.Denied, "package %s in repository %s does not accept direct publishing (its package group is %s, and PUBLISH=%s of %s applies); "+
		"change that with update-package-group-origin-configuration, or publish to another repository", c, n.id.Name, m.Group.Pattern, rule.Mode, from.Pattern)
}

// takesVersion refuses to publish a version that the repository's version policy
// excludes.
func (s *Service) takesVersion(repo catalog.Repository, c artifact.Coordinates, version string) error {
	changing := s.traits(c.Format).changes(version)
	if s.traits(c.Format).Changing == nil || repo.VersionPolicy.Takes(changing) {
		return nil
	}
	sort, other := "a release", artifact.Snapshots
	if changing {
		sort, other = "a snapshot", artifact.Releases
	}
	return fault.New(fault.Invalid, "version %s of %s is %s, and repository %s takes none (its version policy is %s); "+
		"publish it to another repository, or change the policy with update-repository --version-policy", version, c, sort, repo.Name, other)
}

func weakly(c artifact.Coordinates, m artifact.Membership) string {
	return fmt.Sprintf("package %s is a variation of the pattern %s of a package group, so no new versions of it are accepted; "+
		"to allow it create the package group %s", c, m.Group.Pattern, artifact.ExactPattern(c))
}
