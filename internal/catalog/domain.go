package catalog

import (
	"errors"
	"time"

	"packhouse/internal/fault"
)

// DomainActive is the status of every stored domain.
const DomainActive = "Active"

// Domain is a container of repositories and of all their bytes.
type Domain struct {
	ID            string
	Owner         string // account
	Name          string
	Status        string
	EncryptionKey string // ARN-shaped, echoed to clients
	Created       time.Time
	// CrossRepositoryBlock: a name published anywhere in reach of a repository,
	// with upstreams blocked there, is never asked for outside. On by default.
	CrossRepositoryBlock bool
}

// DomainUsage is what a domain holds.
type DomainUsage struct {
	Repositories int64
	Bytes        int64 // of distinct stored blobs, until the sweep takes unreferenced ones
}

func domainMissing(name string) error {
	return fault.About(fault.NotFound, "domain", name, "domain not found: "+name)
}

// InsertDomain adds a domain with its root package group and returns it with ID, Status and Created filled
// in where empty. Conflict when the owner has one of that name.
func (tx *Tx) InsertDomain(d Domain) (Domain, error) {
	if d.ID == "" {
		d.ID = tx.NewID()
	}
	if d.Status == "" {
		d.Status = DomainActive
	}
	if d.Created.IsZero() {
		d.Created = tx.Now()
	}
	n, err := tx.exec(`INSERT INTO domain (id, owner, name, status, encryption_key, created, cross_block)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		d.ID, d.Owner, d.Name, d.Status, d.EncryptionKey, micros(d.Created), bit(d.CrossRepositoryBlock))
	if err == nil && n == 0 {
		return Domain{}, fault.About(fault.Conflict, "domain", d.Name, "domain already exists: "+d.Name)
	}
	if err == nil {
		_, err = tx.InsertPackageGroup(rootGroup(d))
	}
	if err == nil {
		err = tx.insertTotal(d.ID, "")
	}
	tx.configChanged()
	return d, err
}

const domainColumns = "id, owner, name, status, encryption_key, created, cross_block"

func scanDomain(scan func(...any) error) (d Domain, err error) {
	var created int64
	err = scan(&d.ID, &d.Owner, &d.Name, &d.Status, &d.EncryptionKey, &created, &d.CrossRepositoryBlock)
	d.Created = fromMicros(created)
	return d, err
}

// Domain finds a domain by owner and name; NotFound when there is none.
func (tx *Tx) Domain(owner, name string) (Domain, error) {
	return first(tx, scanDomain, domainMissing(name),
		"SELECT "+domainColumns+" FROM domain WHERE owner = $1 AND name = $2", owner, name)
}

// DomainByID finds a domain; NotFound when there is none.
func (tx *Tx) DomainByID(id string) (Domain, error) {
	return first(tx, scanDomain, domainMissing(id), "SELECT "+domainColumns+" FROM domain WHERE id = $1", id)
}

// Domains lists an owner's domains after the given name; limit 0 means all.
func (tx *Tx) Domains(owner, after string, limit int) ([]Domain, error) {
	q := newQuery("SELECT "+domainColumns+" FROM domain WHERE ").add("owner = ? AND name > ?", owner, after)
	return all(tx, scanDomain, q.add(" ORDER BY name").limit(limit))
}

// SetCrossRepositoryBlock switches the domain-wide guard; NotFound without the domain.
func (tx *Tx) SetCrossRepositoryBlock(domainID string, on bool) error {
	n, err := tx.exec("UPDATE domain SET cross_block = $2 WHERE id = $1", domainID, bit(on))
	if err == nil && n == 0 {
		return domainMissing(domainID)
	}
	tx.configChanged()
	return err
}

// DeleteDomain removes a domain with its package groups; Conflict while it has
// repositories, NotFound without it. Tags and policies of the ARNs are the
// caller's to delete.
func (tx *Tx) DeleteDomain(d Domain) error {
	var used int64
	if _, err := tx.one("SELECT count(*) FROM repository WHERE domain_id = $1", []any{d.ID}, &used); err != nil {
		return err
	}
	if used > 0 {
		return fault.About(fault.Conflict, "domain", d.Name, "domain %s still has %d repositories", d.Name, used)
	}
	if err := errors.Join(tx.deleteGroups(d.ID), tx.dropQuotas("domain_id", d.ID)); err != nil {
		return err
	}
	if err := tx.deleteTotal(d.ID, ""); err != nil {
		return err
	}
	if err := tx.deleteRetention(d.ID); err != nil {
		return err
	}
	n, err := tx.exec("DELETE FROM domain WHERE id = $1", d.ID)
	if err == nil && n == 0 {
		return domainMissing(d.Name)
	}
	tx.configChanged()
	return err
}

// DomainUsage counts what a domain holds.
func (tx *Tx) DomainUsage(domainID string) (u DomainUsage, err error) {
	if _, err := tx.one("SELECT count(*) FROM repository WHERE domain_id = $1", []any{domainID}, &u.Repositories); err != nil {
		return u, err
	}
	t, err := tx.UsageTotal(domainID, "")
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	u.Bytes = t.Bytes
	return u, err
}
