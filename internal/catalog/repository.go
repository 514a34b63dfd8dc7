package catalog

import (
	"slices"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Repository is one repository of a domain.
type Repository struct {
	ID            string
	DomainID      string
	Name          string
	Administrator string // account
	Description   string
	Created       time.Time
	Format        artifact.Format // the only one it is for, once and for all; empty: all formats
	VersionPolicy artifact.VersionPolicy
	Upstreams     []string // repository IDs in priority order
	Connections   []string // external connection names
}

// Holds gives nil when the repository is for packages of f, else Invalid.
func (r Repository) Holds(f artifact.Format) error {
	if r.Format == "" || r.Format == f {
		return nil
	}
	return fault.Field("format", "repository %s is for %s packages only, not for %s", r.Name, r.Format, f)
}

func repositoryMissing(name string) error {
	return fault.About(fault.NotFound, "repository", name, "repository not found: "+name)
}

// InsertRepository adds a repository and returns it with ID and Created filled
// in where empty. Conflict when the domain has one of that name. Whether the
// upstreams make sense is the caller's to know.
func (tx *Tx) InsertRepository(r Repository) (Repository, error) {
	if r.ID == "" {
		r.ID = tx.NewID()
	}
	if r.Created.IsZero() {
		r.Created = tx.Now()
	}
	n, err := tx.exec(`INSERT INTO repository (id, domain_id, name, administrator, description, created, format, version_policy, upstreams, connections)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		r.ID, r.DomainID, r.Name, r.Administrator, r.Description, micros(r.Created), string(r.Format), string(r.VersionPolicy),
		list(r.Upstreams).text(), list(r.Connections).text())
	if err == nil && n == 0 {
		return Repository{}, fault.About(fault.Conflict, "repository", r.Name, "repository already exists: "+r.Name)
	}
	if err == nil {
		err = tx.insertTotal(r.DomainID, r.ID)
	}
	tx.configChanged()
	return r, err
}

const repositoryColumns = "id, domain_id, name, administrator, description, created, format, version_policy, upstreams, connections"

func scanRepository(scan func(...any) error) (r Repository, err error) {
	var created int64
	var upstreams, connections string
	err = scan(&r.ID, &r.DomainID, &r.Name, &r.Administrator, &r.Description, &created, (*string)(&r.Format), (*string)(&r.VersionPolicy), &upstreams, &connections)
	if err != nil {
		return r, err
	}
	r.Created = fromMicros(created)
	if r.Upstreams, err = parseList(upstreams); err == nil {
		r.Connections, err = parseList(connections)
	}
	return r, err
}

// Repository finds a repository by name; NotFound when there is none.
func (tx *Tx) Repository(domainID, name string) (Repository, error) {
	return first(tx, scanRepository, repositoryMissing(name),
		"SELECT "+repositoryColumns+" FROM repository WHERE domain_id = $1 AND name = $2", domainID, name)
}

// RepositoriesByID finds repositories; those that do not exist are left out.
// The order is by ID.
func (tx *Tx) RepositoriesByID(ids ...string) ([]Repository, error) {
	var found []Repository
	for part := range chunks(ids) {
		some, err := all(tx, scanRepository, newQuery("SELECT "+repositoryColumns+" FROM repository WHERE ").in("id", part).add(" ORDER BY id"))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// RepositoryFilter narrows a listing; empty members do not.
type RepositoryFilter struct {
	Prefix        string // of the name
	Administrator string
}

// Repositories lists a domain's repositories after the given name; limit 0
// means all, which is what the upstream graph is built from.
func (tx *Tx) Repositories(domainID string, f RepositoryFilter, after string, limit int) ([]Repository, error) {
	q := newQuery("SELECT "+repositoryColumns+" FROM repository WHERE ").add("domain_id = ? AND name > ?", domainID, after)
	if f.Administrator != "" {
		q.add(" AND administrator = ?", f.Administrator)
	}
	return all(tx, scanRepository, q.prefix("name", f.Prefix).add(" ORDER BY name").limit(limit))
}

// RepositoryCursor is a place in the order of AdministeredRepositories.
type RepositoryCursor struct {
	Name     string
	DomainID string
}

// AdministeredRepositories lists the repositories of every domain that account
// administers, by name and then domain ID, after the cursor.
func (tx *Tx) AdministeredRepositories(account, prefix string, after RepositoryCursor, limit int) ([]Repository, error) {
	q := newQuery("SELECT "+repositoryColumns+" FROM repository WHERE ").
		add("administrator = ? AND (name, domain_id) > (?, ?)", account, after.Name, after.DomainID)
	return all(tx, scanRepository, q.prefix("name", prefix).add(" ORDER BY name, domain_id").limit(limit))
}

// SetDescription changes a repository's description; NotFound without it.
func (tx *Tx) SetDescription(repositoryID, description string) error {
	return tx.updateRepository(repositoryID, "UPDATE repository SET description = $2 WHERE id = $1", description)
}

// SetVersionPolicy changes which versions a repository takes from now on;
// NotFound without it.
func (tx *Tx) SetVersionPolicy(repositoryID string, p artifact.VersionPolicy) error {
	return tx.updateRepository(repositoryID, "UPDATE repository SET version_policy = $2 WHERE id = $1", string(p))
}

// SetUpstreams replaces a repository's upstreams, repository IDs in priority
// order; NotFound without the repository.
func (tx *Tx) SetUpstreams(repositoryID string, upstreams []string) error {
	return tx.updateRepository(repositoryID, "UPDATE repository SET upstreams = $2 WHERE id = $1", list(upstreams).text())
}

func (tx *Tx) updateRepository(id, text string, arg any) error {
	n, err := tx.exec(text, id, arg)
	if err == nil && n == 0 {
		return repositoryMissing(id)
	}
	tx.configChanged()
	return err
}

// AddConnection attaches an external connection; one attached already is left
// alone. NotFound without the repository.
func (tx *Tx) AddConnection(repositoryID, name string) error {
	connections, err := tx.connections(repositoryID)
	if err != nil || slices.Contains(connections, name) {
		return err
	}
	return tx.setConnections(repositoryID, append(connections, name))
}

// RemoveConnection detaches an external connection; NotFound without the
// repository or when it is not attached.
func (tx *Tx) RemoveConnection(repositoryID, name string) error {
	connections, err := tx.connections(repositoryID)
	if err != nil {
		return err
	}
	i := slices.Index(connections, name)
	if i < 0 {
		return fault.About(fault.NotFound, "repository", repositoryID, "the repository has no external connection "+name)
	}
	return tx.setConnections(repositoryID, slices.Delete(connections, i, i+1))
}

func (tx *Tx) connections(repositoryID string) ([]string, error) {
	var text string
	switch found, err := tx.one("SELECT connections FROM repository WHERE id = $1", []any{repositoryID}, &text); {
	case err != nil:
		return nil, err
	case !found:
		return nil, repositoryMissing(repositoryID)
	}
	return parseList(text)
}

func (tx *Tx) setConnections(repositoryID string, names []string) error {
	return tx.updateRepository(repositoryID, "UPDATE repository SET connections = $2 WHERE id = $1", list(names).text())
}

// JobPurgeRepository is the kind of the job that DeleteRepository enqueues; its
// key is the repository ID and its handler calls PurgeRepository until done.
const JobPurgeRepository = "purge-repository"

// DeleteRepository removes a repository, and itself from the upstreams of
// others. At once nothing in it can be reached and its name is free; the rows
// of its packages are taken away in steps by a job (JobPurgeRepository), so that
// a large repository does not hold up other writers. NotFound without it. Tags
// and policies of its ARN are the caller's to delete.
func (tx *Tx) DeleteRepository(r Repository) error {
	n, err := tx.exec("DELETE FROM repository WHERE id = $1", r.ID)
	if err != nil {
		return err
	}
	if n == 0 {
		return repositoryMissing(r.Name)
	}
	tx.configChanged()
	if _, err := tx.exec("DELETE FROM allowed_repository WHERE repository_id = $1", r.ID); err != nil {
		return err
	}
	if err := tx.deleteTotal(r.DomainID, r.ID); err != nil {
		return err
	}
	if err := tx.deleteRepositoryRetention(r.ID); err != nil {
		return err
	}
	siblings, err := tx.Repositories(r.DomainID, RepositoryFilter{}, "", 0)
	if err != nil {
		return err
	}
	for _, s := range siblings {
		if i := slices.Index(s.Upstreams, r.ID); i >= 0 {
			if err := tx.SetUpstreams(s.ID, slices.Delete(s.Upstreams, i, i+1)); err != nil {
				return err
			}
		}
	}
	if err := tx.dropQuotas("scope", r.ID); err != nil {
		return err
	}
	var used bool
	for _, table := range []string{"package", "trash_version"} {
		if _, err := tx.one("SELECT 1 FROM "+table+" WHERE repository_id = $1 LIMIT 1", []any{r.ID}, &used); err != nil {
			return err
		}
	}
	if !used {
		return nil
	}
	return tx.Enqueue(Job{Kind: JobPurgeRepository, Key: r.ID})
}

// PurgeRepository deletes what a deleted repository had in the trash and some of its packages, no more than
// about limit versions, and tells whether more may be left. It announces
// nothing: the repository itself went before. Conflict when the repository still
// exists.
func (tx *Tx) PurgeRepository(repositoryID string, limit int) (more bool, err error) {
	var exists bool
	if _, err := tx.one("SELECT 1 FROM repository WHERE id = $1", []any{repositoryID}, &exists); err != nil {
		return false, err
	}
	if exists {
		return false, fault.About(fault.Conflict, "repository", repositoryID, "the repository exists")
	}
	limit = max(limit, 1)
	switch n, err := tx.purgeRepositoryTrash(repositoryID, limit); {
	case err != nil:
		return false, err
	case n == limit:
		return true, nil
	}
	packages, err := all(tx, scanString, newQuery("SELECT id FROM package WHERE ").add("repository_id = ?", repositoryID).limit(maxIn))
	if err != nil || len(packages) == 0 {
		return false, err
	}
	var domainID string
	if _, err := tx.one("SELECT domain_id FROM package WHERE id = $1", []any{packages[0]}, &domainID); err != nil {
		return false, err
	}
	// Versions first, some at a time: one package may have thousands.
	gone, err := tx.purgeVersions(domainID, packages, limit)
	tx.hold(domainID, repositoryID, gone)
	switch {
	case err != nil:
		return false, err
	case gone.versions == -int64(limit):
		return true, nil
	}
	return len(packages) == maxIn, tx.dropPackages(packages)
}
