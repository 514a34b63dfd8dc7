package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// PackageGroup is a package group of a domain.
type PackageGroup struct {
	DomainID string
	artifact.Group
	ContactInfo string
	Description string
	Created     time.Time
}

func groupMissing(p artifact.Pattern) error {
	return fault.About(fault.NotFound, "", p.String(), "package group not found: "+p.String())
}

// rootGroup is what every domain begins with: everything is allowed.
func rootGroup(d Domain) PackageGroup {
	g := PackageGroup{DomainID: d.ID, Created: d.Created, Group: artifact.Group{Rules: map[artifact.Way]artifact.WayRule{}}}
	for _, w := range artifact.Ways() {
		g.Rules[w] = artifact.WayRule{Mode: artifact.GroupAllow}
	}
	return g
}

// InsertPackageGroup adds a group, without lists of repositories, and returns
// it with Created filled in where empty. Conflict when the domain has one of
// that pattern.
func (tx *Tx) InsertPackageGroup(g PackageGroup) (PackageGroup, error) {
	if g.Created.IsZero() {
		g.Created = tx.Now()
	}
	n, err := tx.exec(`INSERT INTO package_group (domain_id, pattern, contact_info, description, created, publish, internal_upstream, external_upstream)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		g.DomainID, g.Pattern.String(), g.ContactInfo, g.Description, micros(g.Created),
		g.mode(artifact.ByPublishing), g.mode(artifact.ByInternalUpstream), g.mode(artifact.ByExternalUpstream))
	if err == nil && n == 0 {
		return PackageGroup{}, fault.About(fault.Conflict, "", g.Pattern.String(), "package group already exists: "+g.Pattern.String())
	}
	tx.configChanged()
	return g, err
}

func (g *PackageGroup) mode(w artifact.Way) string { return string(g.Rules[w].Mode) }

// PackageGroups lists all groups of a domain by pattern, with the names of the
// repositories in their lists.
func (tx *Tx) PackageGroups(domainID string) ([]PackageGroup, error) {
	q := newQuery("SELECT pattern, contact_info, description, created, publish, internal_upstream, external_upstream FROM package_group WHERE ")
	groups, err := all(tx, scanPackageGroup, q.add("domain_id = ? ORDER BY pattern", domainID))
	if err != nil {
		return nil, err
	}
	err = tx.each(func(scan func(...any) error) error {
		var pattern, way, name string
		if err := scan(&pattern, &way, &name); err != nil {
			return err
		}
		i, ok := slices.BinarySearchFunc(groups, pattern, func(g PackageGroup, pattern string) int { return strings.Compare(g.Pattern.String(), pattern) })
		if ok {
			rule := groups[i].Rules[artifact.Way(way)]
			rule.Repositories = append(rule.Repositories, name)
			groups[i].Rules[artifact.Way(way)] = rule
		}
		return nil
	}, `SELECT a.pattern, a.restriction, r.name FROM allowed_repository a JOIN repository r ON r.id = a.repository_id
		WHERE a.domain_id = $1`, domainID)
	for i := range groups {
		groups[i].DomainID = domainID
		for _, rule := range groups[i].Rules {
			slices.Sort(rule.Repositories)
		}
	}
	return groups, err
}

func scanPackageGroup(scan func(...any) error) (g PackageGroup, err error) {
	var pattern string
	var created int64
	var publish, internal, external artifact.GroupMode
	if err := scan(&pattern, &g.ContactInfo, &g.Description, &created, &publish, &internal, &external); err != nil {
		return g, err
	}
	if g.Pattern, err = artifact.ParsePattern(pattern); err != nil {
		return g, fmt.Errorf("stored package group: %s", err.Error())
	}
	g.Created = fromMicros(created)
	g.Rules = map[artifact.Way]artifact.WayRule{
		artifact.ByPublishing: {Mode: publish}, artifact.ByInternalUpstream: {Mode: internal}, artifact.ByExternalUpstream: {Mode: external},
	}
	return g, nil
}

// UpdatePackageGroup sets contact, description and modes of a group; NotFound
// without it. A list of repositories that its mode no longer asks for is
// dropped.
func (tx *Tx) UpdatePackageGroup(g PackageGroup) error {
	n, err := tx.exec(`UPDATE package_group SET contact_info = $3, description = $4, publish = $5, internal_upstream = $6, external_upstream = $7
		WHERE domain_id = $1 AND pattern = $2`, g.DomainID, g.Pattern.String(), g.ContactInfo, g.Description,
		g.mode(artifact.ByPublishing), g.mode(artifact.ByInternalUpstream), g.mode(artifact.ByExternalUpstream))
	if err == nil && n == 0 {
		return groupMissing(g.Pattern)
	}
	for w, rule := range g.Rules {
		if err != nil || rule.Mode == artifact.GroupAllowSpecific {
			continue
		}
		_, err = tx.exec("DELETE FROM allowed_repository WHERE domain_id = $1 AND pattern = $2 AND restriction = $3", g.DomainID, g.Pattern.String(), string(w))
	}
	tx.configChanged()
	return err
}

// AllowRepository puts a repository into the list of a group for a way and
// tells whether it was not there.
func (tx *Tx) AllowRepository(g PackageGroup, w artifact.Way, repositoryID string) (added bool, err error) {
	n, err := tx.exec("INSERT INTO allowed_repository (domain_id, pattern, restriction, repository_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		g.DomainID, g.Pattern.String(), string(w), repositoryID)
	tx.configChanged()
	return n > 0, err
}

// DisallowRepository takes a repository out of the list of a group for a way
// and tells whether it was there.
func (tx *Tx) DisallowRepository(g PackageGroup, w artifact.Way, repositoryID string) (removed bool, err error) {
	n, err := tx.exec("DELETE FROM allowed_repository WHERE domain_id = $1 AND pattern = $2 AND restriction = $3 AND repository_id = $4",
		g.DomainID, g.Pattern.String(), string(w), repositoryID)
	tx.configChanged()
	return n > 0, err
}

// DeletePackageGroup removes a group; NotFound without it. Tags of its ARN are
// the caller's to delete.
func (tx *Tx) DeletePackageGroup(g PackageGroup) error {
	if _, err := tx.exec("DELETE FROM allowed_repository WHERE domain_id = $1 AND pattern = $2", g.DomainID, g.Pattern.String()); err != nil {
		return err
	}
	n, err := tx.exec("DELETE FROM package_group WHERE domain_id = $1 AND pattern = $2", g.DomainID, g.Pattern.String())
	if err == nil && n == 0 {
		return groupMissing(g.Pattern)
	}
	tx.configChanged()
	return err
}

// deleteGroups removes what a domain has of groups.
func (tx *Tx) deleteGroups(domainID string) error {
	if _, err := tx.exec("DELETE FROM allowed_repository WHERE domain_id = $1", domainID); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM package_group WHERE domain_id = $1", domainID)
	return err
}

// DomainPackages lists the distinct packages in the repositories of a domain by
// format, namespace and name, after the given coordinates; an empty format
// means all. limit 0 means all.
func (tx *Tx) DomainPackages(domainID string, f artifact.Format, after artifact.Coordinates, limit int) ([]artifact.Coordinates, error) {
	q := newQuery("SELECT DISTINCT p.format, p.namespace, p.name FROM package p JOIN repository r ON r.id = p.repository_id WHERE ").
		add("p.domain_id = ?", domainID)
	switch started := after != (artifact.Coordinates{}); {
	case f != "":
		q.add(" AND p.format = ? AND (p.namespace, p.name) > (?, ?)", string(f), after.Namespace, after.Name)
	case started:
		q.add(" AND (p.format, p.namespace, p.name) > (?, ?, ?)", string(after.Format), after.Namespace, after.Name)
	}
	return all(tx, func(scan func(...any) error) (c artifact.Coordinates, err error) {
		err = scan(&c.Format, &c.Namespace, &c.Name)
		return c, err
	}, q.add(" ORDER BY p.format, p.namespace, p.name").limit(limit))
}
