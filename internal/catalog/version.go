package catalog

import (
	"errors"
	"iter"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Version is one version of a package in one repository. Manifest is nil unless
// the method that returned it says otherwise.
type Version struct {
	artifact.Version
	ID        string
	PackageID string
}

func versionMissing(number string) error {
	return fault.About(fault.NotFound, "package-version", number, "package version not found: "+number)
}

// chunks cuts the values of an IN list to what one query takes.
func chunks(values []string) iter.Seq[[]string] { return slices.Chunk(values, maxIn) }

const versionColumns = "v.id, v.package_id, v.number, v.status, v.revision, v.origin_type, v.origin_repository, v.origin_connection, v.published"

func scanVersion(scan func(...any) error) (v Version, err error) {
	err = v.scan(scan)
	return v, err
}

func (v *Version) scan(scan func(...any) error, more ...any) error {
	var published int64
	dest := [16]any{
		&v.ID, &v.PackageID, &v.Number, (*string)(&v.Status), &v.Revision,
		(*string)(&v.Origin.Type), &v.Origin.Repository, &v.Origin.Connection, &published,
	}
	err := scan(append(dest[:9], more...)...)
	v.Published = fromMicros(published)
	return err
}

// Version finds a version with its manifest, whatever its status; NotFound when
// there is none.
func (tx *Tx) Version(packageID, number string) (Version, error) {
	read := func(scan func(...any) error) (v Version, err error) {
		err = v.scan(scan, &v.Manifest)
		return v, err
	}
	return first(tx, read, versionMissing(number), "SELECT "+versionColumns+`, m.body
		FROM version v LEFT JOIN manifest m ON m.version_id = v.id WHERE v.package_id = $1 AND v.number = $2`, packageID, number)
}

// HasVersion tells whether a package has a version of that number, whatever its
// status.
func (tx *Tx) HasVersion(packageID, number string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 FROM version WHERE package_id = $1 AND number = $2", []any{packageID, number}, &one)
}

// Versions lists every version of some packages without manifests, whatever
// their status, by package ID and number.
func (tx *Tx) Versions(packageIDs ...string) ([]Version, error) {
	var found []Version
	words := intern{}
	read := func(scan func(...any) error) error {
		var v Version
		err := v.scan(scan)
		v.PackageID = words.of(v.PackageID)
		v.Status = artifact.Status(words.of(string(v.Status)))
		v.Origin.Type = artifact.OriginType(words.of(string(v.Origin.Type)))
		v.Origin.Repository, v.Origin.Connection = words.of(v.Origin.Repository), words.of(v.Origin.Connection)
		found = append(found, v)
		return err
	}
	for part := range chunks(packageIDs) {
		q := newQuery("SELECT "+versionColumns+" FROM version v WHERE ").in("v.package_id", part).add(" ORDER BY v.package_id, v.number")
		if err := tx.each(read, q.text.String(), q.args...); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// VersionFilter narrows and orders a listing; empty members do not.
type VersionFilter struct {
	Status      artifact.Status
	Origin      artifact.OriginType
	ByPublished bool // newest first, ties by number; otherwise by number
}

// VersionCursor is a place in a listing: the last version of the page before.
// The zero value is the start.
type VersionCursor struct {
	Number    string
	Published int64 // microseconds since 1970 UTC; used with ByPublished
}

// Cursor is the place of v in a listing.
func (v Version) Cursor() VersionCursor {
	return VersionCursor{Number: v.Number, Published: micros(v.Published)}
}

// VersionPage lists versions of one package without manifests after the cursor;
// limit 0 means all.
func (tx *Tx) VersionPage(packageID string, f VersionFilter, after VersionCursor, limit int) ([]Version, error) {
	q := newQuery("SELECT "+versionColumns+" FROM version v WHERE ").add("v.package_id = ?", packageID)
	order := " ORDER BY v.number"
	switch started := after != (VersionCursor{}); {
	case f.ByPublished && started:
		q.add(" AND v.published <= ? AND (v.published < ? OR v.number > ?)", after.Published, after.Published, after.Number)
	case started:
		q.add(" AND v.number > ?", after.Number)
	}
	if f.ByPublished {
		order = " ORDER BY v.published DESC, v.number"
	}
	if f.Status != "" {
		q.add(" AND v.status = ?", string(f.Status))
	}
	if f.Origin != "" {
		q.add(" AND v.origin_type = ?", string(f.Origin))
	}
	return all(tx, scanVersion, q.add(order).limit(limit))
}

// LatestVersion is the number of the Published version with the newest
// published time; empty when there is none.
func (tx *Tx) LatestVersion(packageID string) (string, error) {
	var number string
	_, err := tx.one(`SELECT number FROM version WHERE package_id = $1 AND status = $2 ORDER BY published DESC, number LIMIT 1`,
		[]any{packageID, string(artifact.Published)}, &number)
	return number, err
}

// Manifests calls fn with the manifest of each version that has one, in no
// order, one at a time in memory. fn may keep the bytes and must not use tx.
func (tx *Tx) Manifests(versionIDs []string, fn func(versionID string, manifest []byte) error) error {
	read := func(scan func(...any) error) error {
		var id string
		var body []byte
		if err := scan(&id, &body); err != nil {
			return err
		}
		return fn(id, body)
	}
	for part := range chunks(versionIDs) {
		q := newQuery("SELECT version_id, body FROM manifest WHERE ").in("version_id", part)
		if err := tx.each(read, q.text.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// InsertVersion adds a version to p and returns it with its ID. Conflict when p
// has one of that number, whatever its status.
func (tx *Tx) InsertVersion(p Package, v artifact.Version) (Version, error) {
	row := Version{Version: v, ID: tx.NewID(), PackageID: p.ID}
	n, err := tx.exec(`INSERT INTO version (id, package_id, number, status, revision, origin_type, origin_repository, origin_connection, published)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		row.ID, p.ID, v.Number, string(v.Status), v.Revision,
		string(v.Origin.Type), v.Origin.Repository, v.Origin.Connection, micros(v.Published))
	if err != nil {
		return Version{}, err
	}
	if n == 0 {
		return Version{}, fault.About(fault.Conflict, "package-version", v.Number, "package version already exists: "+v.Number)
	}
	p.changed(tx)
	p.counts(tx, usageDelta{versions: 1})
	return row, tx.putManifest(row.ID, v.Manifest)
}

func (tx *Tx) putManifest(versionID string, body []byte) error {
	if body == nil {
		return nil
	}
	_, err := tx.exec(`INSERT INTO manifest (version_id, body) VALUES ($1, $2)
		ON CONFLICT (version_id) DO UPDATE SET body = excluded.body`, versionID, body)
	return err
}

// UpdateVersion writes status, revision and published time of v, and its
// manifest unless it is nil. Origin and number stay. NotFound when v is gone.
func (tx *Tx) UpdateVersion(p Package, v Version) error {
	n, err := tx.exec("UPDATE version SET status = $3, revision = $4, published = $5 WHERE package_id = $1 AND number = $2",
		p.ID, v.Number, string(v.Status), v.Revision, micros(v.Published))
	if err != nil {
		return err
	}
	if n == 0 {
		return versionMissing(v.Number)
	}
	p.changed(tx)
	return tx.putManifest(v.ID, v.Manifest)
}

// RenameVersion gives v another number. NotFound when v is gone, Conflict when
// the package has a version of that number.
func (tx *Tx) RenameVersion(p Package, v Version, number string) error {
	var there bool
	if found, err := tx.one("SELECT 1 FROM version WHERE package_id = $1 AND number = $2", []any{p.ID, number}, &there); err != nil || found {
		return errors.Join(err, fault.About(fault.Conflict, "package-version", number, "package version already exists: "+number))
	}
	n, err := tx.exec("UPDATE version SET number = $3 WHERE package_id = $1 AND number = $2", p.ID, v.Number, number)
	if err != nil {
		return err
	}
	if n == 0 {
		return versionMissing(v.Number)
	}
	p.changed(tx)
	return nil
}

// DeleteVersion removes a version with its manifest and assets; NotFound when it
// is gone. Tags that name it stay.
func (tx *Tx) DeleteVersion(p Package, v Version) error {
	n, err := tx.exec("DELETE FROM version WHERE package_id = $1 AND number = $2", p.ID, v.Number)
	if err != nil {
		return err
	}
	if n == 0 {
		return versionMissing(v.Number)
	}
	if err := tx.dropVersionParts(p, v.ID); err != nil {
		return err
	}
	return tx.deleteIn("version_usage", "version_id", []string{v.ID})
}

// dropVersionParts removes the files and manifest of a version of p that has
// been taken away, and counts that it is gone.
func (tx *Tx) dropVersionParts(p Package, versionID string) error {
	p.changed(tx)
	gone, err := tx.dropAssets(p.DomainID, []string{versionID}, nil)
	if err != nil {
		return err
	}
	gone.versions, gone.deleted = -1, 1
	p.counts(tx, gone)
	return tx.deleteIn("manifest", "version_id", []string{versionID})
}

// purgeVersions removes up to limit versions of up to maxIn packages of a
// domain, 0 all, and tells what went, in negative numbers.
func (tx *Tx) purgeVersions(domainID string, packageIDs []string, limit int) (gone usageDelta, err error) {
	ids, err := all(tx, scanString, newQuery("SELECT id FROM version WHERE ").in("package_id", packageIDs).limit(limit))
	if err != nil {
		return gone, err
	}
	gone.versions = -int64(len(ids))
	for part := range chunks(ids) {
		assets, err := tx.dropAssets(domainID, part, nil)
		if err := errors.Join(err, tx.deleteIn("manifest", "version_id", part),
			tx.deleteIn("version_usage", "version_id", part), tx.deleteIn("version", "id", part)); err != nil {
			return gone, err
		}
		gone.files, gone.bytes, gone.contents = gone.files+assets.files, gone.bytes+assets.bytes, gone.contents+assets.contents
	}
	return gone, nil
}
