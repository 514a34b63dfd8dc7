package catalog

import (
	"errors"
	"strings"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Package is a package in one repository. It may have no versions.
type Package struct {
	ID           string
	DomainID     string // of the repository
	RepositoryID string
	Coordinates  artifact.Coordinates
	DisplayName  string // the publisher's spelling
	Restrictions artifact.Restrictions
	Explicit     bool // Restrictions were set by somebody, not by how the first version came
	Created      time.Time
}

func packageMissing(c artifact.Coordinates) error {
	return fault.About(fault.NotFound, "package", c.String(), "package not found: "+c.String())
}

// changed announces a write to p.
func (p Package) changed(tx *Tx) {
	tx.Changed(Change{DomainID: p.DomainID, Coordinates: p.Coordinates})
}

const packageColumns = "id, domain_id, repository_id, format, namespace, name, display_name, publish, upstream, explicit, created"

func scanPackage(scan func(...any) error) (p Package, err error) {
	var created int64
	err = scan(&p.ID, &p.DomainID, &p.RepositoryID,
		(*string)(&p.Coordinates.Format), &p.Coordinates.Namespace, &p.Coordinates.Name, &p.DisplayName,
		(*string)(&p.Restrictions.Publish), (*string)(&p.Restrictions.Upstream), &p.Explicit, &created)
	p.Created = fromMicros(created)
	return p, err
}

// Package finds a package of one repository; NotFound when there is none.
func (tx *Tx) Package(repositoryID string, c artifact.Coordinates) (Package, error) {
	return first(tx, scanPackage, packageMissing(c), "SELECT "+packageColumns+
		" FROM package WHERE repository_id = $1 AND format = $2 AND namespace = $3 AND name = $4",
		repositoryID, string(c.Format), c.Namespace, c.Name)
}

// PackagesIn finds the package in each of some repositories, in no order; one
// query for up to 64.
func (tx *Tx) PackagesIn(repositoryIDs []string, c artifact.Coordinates) ([]Package, error) {
	var found []Package
	for part := range chunks(repositoryIDs) {
		q := newQuery("SELECT "+packageColumns+" FROM package WHERE ").
			add("format = ? AND namespace = ? AND name = ? AND ", string(c.Format), c.Namespace, c.Name).
			in("repository_id", part)
		some, err := all(tx, scanPackage, q)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// EnsurePackage finds the package in repo or creates it with the given
// restrictions and display name, and tells which. Invalid when repo is for
// packages of another format: every package comes in here.
func (tx *Tx) EnsurePackage(repo Repository, c artifact.Coordinates, displayName string, def artifact.Restrictions) (p Package, created bool, err error) {
	if err := repo.Holds(c.Format); err != nil {
		return Package{}, false, err
	}
	p, err = tx.Package(repo.ID, c)
	if !fault.Is(err, fault.NotFound) {
		return p, false, err
	}
	p = Package{
		ID: tx.NewID(), DomainID: repo.DomainID, RepositoryID: repo.ID, Coordinates: c,
		DisplayName: displayName, Restrictions: def, Created: tx.Now(),
	}
	_, err = tx.exec("INSERT INTO package ("+packageColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)",
		p.ID, p.DomainID, p.RepositoryID, string(c.Format), c.Namespace, c.Name, displayName,
		string(def.Publish), string(def.Upstream), micros(p.Created))
	p.changed(tx)
	return p, true, err
}

// SetRestrictions sets a package's origin configuration; explicit says that
// somebody chose it. NotFound when the package is gone.
func (tx *Tx) SetRestrictions(p Package, r artifact.Restrictions, explicit bool) error {
	n, err := tx.exec("UPDATE package SET publish = $2, upstream = $3, explicit = $4 WHERE id = $1",
		p.ID, string(r.Publish), string(r.Upstream), bit(explicit))
	if err == nil && n == 0 {
		return packageMissing(p.Coordinates)
	}
	p.changed(tx)
	return err
}

// PackageFilter narrows a listing; empty members do not.
type PackageFilter struct {
	Format          artifact.Format
	NamespacePrefix string
	NamePrefix      string
	Publish         artifact.Permission
	Upstream        artifact.Permission
}

// Packages lists a repository's packages by format, namespace and name, after
// the given coordinates; limit 0 means all.
func (tx *Tx) Packages(repositoryID string, f PackageFilter, after artifact.Coordinates, limit int) ([]Package, error) {
	q := newQuery("SELECT "+packageColumns+" FROM package WHERE ").
		add("repository_id = ?", repositoryID)
	started := after != (artifact.Coordinates{})
	switch {
	case f.Format == "" && started:
		q.add(" AND (format, namespace, name) > (?, ?, ?)", string(after.Format), after.Namespace, after.Name)
	case f.Format != "":
		q.add(" AND format = ?", string(f.Format))
		if started = started && after.Format == f.Format; started {
			q.add(" AND (namespace, name) > (?, ?)", after.Namespace, after.Name)
		}
	}
	if q.prefix("namespace", f.NamespacePrefix); started && f.NamespacePrefix != "" {
		// SQLite seeks by the prefix's range rather than by the cursor: narrow it.
		q.add(" AND namespace >= ?", after.Namespace)
	}
	q.prefix("name", f.NamePrefix)
	if f.Publish != "" {
		q.add(" AND publish = ?", string(f.Publish))
	}
	if f.Upstream != "" {
		q.add(" AND upstream = ?", string(f.Upstream))
	}
	return all(tx, scanPackage, q.add(" ORDER BY format, namespace, name").limit(limit))
}

// FoundPackage is one answer of SearchPackages.
type FoundPackage struct {
	Coordinates artifact.Coordinates
	DisplayName string
}

// PackageNames lists the distinct packages of one format in any of the
// repositories, by namespace and name; of one namespace unless that is nil.
func (tx *Tx) PackageNames(repositoryIDs []string, f artifact.Format, namespace *string) ([]artifact.Coordinates, error) {
	if len(repositoryIDs) == 0 {
		return nil, nil
	}
	q := newQuery("SELECT DISTINCT namespace, name FROM package WHERE ").in("repository_id", repositoryIDs).add(" AND format = ?", string(f))
	if namespace != nil {
		q.add(" AND namespace = ?", *namespace)
	}
	read := func(scan func(...any) error) (c artifact.Coordinates, err error) {
		c.Format = f
		err = scan(&c.Namespace, &c.Name)
		return c, err
	}
	return all(tx, read, q.add(" ORDER BY namespace, name"))
}

// SearchPackages lists the distinct packages of one format in any of the
// repositories whose namespace or name contains text, whatever its case (of
// ASCII letters), by namespace and name after the given coordinates. It looks at
// every name of that format in these repositories.
func (tx *Tx) SearchPackages(repositoryIDs []string, f artifact.Format, text string, after artifact.Coordinates, limit int) ([]FoundPackage, error) {
	if len(repositoryIDs) == 0 {
		return nil, nil
	}
	q := newQuery("SELECT namespace, name, max(display_name) FROM package WHERE ").
		in("repository_id", repositoryIDs).
		add(" AND format = ? AND (namespace, name) > (?, ?)", string(f), after.Namespace, after.Name)
	if text != "" {
		pattern := "%" + likeEscaper.Replace(strings.ToLower(text)) + "%"
		q.add(` AND (lower(name) LIKE ? ESCAPE '\' OR lower(namespace) LIKE ? ESCAPE '\')`, pattern, pattern)
	}
	read := func(scan func(...any) error) (p FoundPackage, err error) {
		p.Coordinates.Format = f
		err = scan(&p.Coordinates.Namespace, &p.Coordinates.Name, &p.DisplayName)
		return p, err
	}
	return all(tx, read, q.add(" GROUP BY namespace, name ORDER BY namespace, name").limit(limit))
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`)

// DeletePackage removes a package with all its versions, tags and restrictions;
// NotFound when it is gone. It announces no events; see Emit.
func (tx *Tx) DeletePackage(p Package) error {
	var exists bool
	switch _, err := tx.one("SELECT 1 FROM package WHERE id = $1", []any{p.ID}, &exists); {
	case err != nil:
		return err
	case !exists:
		return packageMissing(p.Coordinates)
	}
	p.changed(tx)
	ids := []string{p.ID}
	gone, err := tx.purgeVersions(p.DomainID, ids, 0)
	if err != nil {
		return err
	}
	gone.deleted = -gone.versions
	p.counts(tx, gone)
	return tx.dropPackages(ids)
}

// dropPackages removes the rows of up to maxIn packages that have no versions.
func (tx *Tx) dropPackages(ids []string) error {
	if err := errors.Join(tx.deleteIn("dist_tag", "package_id", ids), tx.deleteIn("usage_package", "package_id", ids)); err != nil {
		return err
	}
	return tx.deleteIn("package", "id", ids)
}
