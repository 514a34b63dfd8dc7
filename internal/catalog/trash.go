package catalog

import (
	"errors"
	"slices"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Trashed is a version that retention took away and that can be had back.
type Trashed struct {
	artifact.Version // without manifest
	ID               string
	DomainID         string
	RepositoryID     string
	Coordinates      artifact.Coordinates
	DisplayName      string // of the package
	Removed          time.Time
	PurgeAt          time.Time // then it is gone for good
	Rule             string    // what decided
	Bytes            int64     // of its assets
}

// TrashVersion takes a version of p away into the trash, until purgeAt; NotFound
// when it is gone. Tags that name it stay: there are none of a version that
// retention lets go.
func (tx *Tx) TrashVersion(p Package, v Version, rule string, purgeAt time.Time) error {
	n, err := tx.exec(`INSERT INTO trash_version (id, domain_id, repository_id, format, namespace, name, display_name,
			number, status, revision, origin_type, origin_repository, origin_connection, published, removed, purge_at, rule, bytes)
		SELECT id, $3, $4, $5, $6, $7, $8, number, status, revision, origin_type, origin_repository, origin_connection, published, $9, $10, $11,
			(SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM asset WHERE version_id = version.id)
		FROM version WHERE package_id = $1 AND number = $2`,
		p.ID, v.Number, p.DomainID, p.RepositoryID, string(p.Coordinates.Format), p.Coordinates.Namespace, p.Coordinates.Name, p.DisplayName,
		tx.now().UnixMicro(), micros(purgeAt), rule)
	if err != nil {
		return err
	}
	if n == 0 {
		return versionMissing(v.Number)
	}
	if _, err := tx.exec("INSERT INTO trash_asset ("+assetColumns+") SELECT "+assetColumns+" FROM asset WHERE version_id = $1", v.ID); err != nil {
		return err
	}
	if _, err := tx.exec("INSERT INTO trash_manifest (version_id, body) SELECT version_id, body FROM manifest WHERE version_id = $1", v.ID); err != nil {
		return err
	}
	if _, err := tx.exec("DELETE FROM version WHERE package_id = $1 AND number = $2", p.ID, v.Number); err != nil {
		return err
	}
	return tx.dropVersionParts(p, v.ID)
}

// RestoreVersion puts a version back into p as it was, under the ID it had.
// Conflict when p has one of that number.
func (tx *Tx) RestoreVersion(p Package, t Trashed) error {
	n, err := tx.exec(`INSERT INTO version (id, package_id, number, status, revision, origin_type, origin_repository, origin_connection, published)
		SELECT id, $2, number, status, revision, origin_type, origin_repository, origin_connection, published FROM trash_version WHERE id = $1
		ON CONFLICT DO NOTHING`, t.ID, p.ID)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.About(fault.Conflict, "package-version", t.Number, "package version already exists: "+t.Number)
	}
	assets, err := tx.TrashedAssets(t.ID)
	if err != nil {
		return err
	}
	back := usageDelta{versions: 1, files: int64(len(assets))}
	plain := make([]artifact.Asset, len(assets))
	for i, a := range assets {
		plain[i] = a.Asset
		back.bytes += a.Size
	}
	if back.contents, err = tx.newContents(p.DomainID, p.RepositoryID, plain...); err != nil {
		return err
	}
	if _, err := tx.exec("INSERT INTO asset ("+assetColumns+") SELECT "+assetColumns+" FROM trash_asset WHERE version_id = $1", t.ID); err != nil {
		return err
	}
	if _, err := tx.exec("INSERT INTO manifest (version_id, body) SELECT version_id, body FROM trash_manifest WHERE version_id = $1", t.ID); err != nil {
		return err
	}
	p.changed(tx)
	p.counts(tx, back)
	return tx.dropTrash([]string{t.ID})
}

// DropTrash takes versions out of the trash for good, present or not.
func (tx *Tx) DropTrash(ids ...string) error {
	contents := map[string][]string{} // by space
	read := func(scan func(...any) error) error {
		var space, sha256 string
		err := scan(&space, &sha256)
		contents[space] = append(contents[space], sha256)
		return err
	}
	for part := range chunks(ids) {
		q := newQuery("SELECT space, sha256 FROM trash_asset WHERE ").in("version_id", part)
		if err := errors.Join(tx.each(read, q.text.String(), q.args...), tx.deleteIn("version_usage", "version_id", part)); err != nil {
			return err
		}
	}
	if err := tx.dropTrash(ids); err != nil {
		return err
	}
	for space, sha256s := range contents {
		slices.Sort(sha256s)
		if err := tx.letGo(space, slices.Compact(sha256s)); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) dropTrash(ids []string) error {
	for part := range chunks(ids) {
		for _, of := range [][2]string{{"trash_asset", "version_id"}, {"trash_manifest", "version_id"}, {"trash_version", "id"}} {
			if err := tx.deleteIn(of[0], of[1], part); err != nil {
				return err
			}
		}
	}
	return nil
}

const trashColumns = `t.id, t.domain_id, t.repository_id, t.format, t.namespace, t.name, t.display_name, t.number, t.status, t.revision,
	t.origin_type, t.origin_repository, t.origin_connection, t.published, t.removed, t.purge_at, t.rule, t.bytes`

func scanTrashed(scan func(...any) error) (t Trashed, err error) {
	var published, removed, purgeAt int64
	c := &t.Coordinates
	err = scan(&t.ID, &t.DomainID, &t.RepositoryID, (*string)(&c.Format), &c.Namespace, &c.Name, &t.DisplayName, &t.Number, (*string)(&t.Status), &t.Revision,
		(*string)(&t.Origin.Type), &t.Origin.Repository, &t.Origin.Connection, &published, &removed, &purgeAt, &t.Rule, &t.Bytes)
	t.Published, t.Removed, t.PurgeAt = fromMicros(published), fromMicros(removed), fromMicros(purgeAt)
	return t, err
}

// TrashFilter narrows a listing; empty members do not.
type TrashFilter struct {
	RepositoryID string
	Coordinates  artifact.Coordinates // needs a repository; Name may be empty
}

// Trash lists what a domain has in the trash, by ID after the given one.
func (tx *Tx) Trash(domainID string, f TrashFilter, after string, limit int) ([]Trashed, error) {
	q := newQuery("SELECT "+trashColumns+" FROM trash_version t WHERE ").add("t.domain_id = ? AND t.id > ?", domainID, after)
	if f.RepositoryID != "" {
		q.add(" AND t.repository_id = ?", f.RepositoryID)
	}
	if f.Coordinates.Format != "" {
		q.add(" AND t.format = ?", string(f.Coordinates.Format))
	}
	if f.Coordinates.Name != "" {
		q.add(" AND t.namespace = ? AND t.name = ?", f.Coordinates.Namespace, f.Coordinates.Name)
	}
	return all(tx, scanTrashed, q.add(" ORDER BY t.id").limit(limit))
}

// TrashedVersion finds what was last removed of a number; NotFound when the trash
// has none.
func (tx *Tx) TrashedVersion(repositoryID string, c artifact.Coordinates, number string) (Trashed, error) {
	return first(tx, scanTrashed, fault.About(fault.NotFound, "package-version", number, "version %s of %s is not in the trash", number, c),
		"SELECT "+trashColumns+` FROM trash_version t WHERE t.repository_id = $1 AND t.format = $2 AND t.namespace = $3 AND t.name = $4 AND t.number = $5
		ORDER BY t.removed DESC LIMIT 1`, repositoryID, string(c.Format), c.Namespace, c.Name, number)
}

// TrashedAssets lists the files of a version in the trash by name.
func (tx *Tx) TrashedAssets(versionID string) ([]Asset, error) {
	return all(tx, scanAsset, newQuery("SELECT "+assetColumns+" FROM trash_asset WHERE ").add("version_id = ? ORDER BY name", versionID))
}

// PurgeTrash removes up to limit versions whose time in the trash is over, except
// those on legal hold, and tells how many.
func (tx *Tx) PurgeTrash(now time.Time, limit int) (int64, error) {
	ids, err := all(tx, scanString, newQuery("SELECT t.id FROM trash_version t WHERE ").add(`t.purge_at <= ? AND NOT EXISTS (SELECT 1 FROM retention_hold h
		WHERE h.repository_id = t.repository_id AND h.kind = ? AND (h.name = '' OR h.format = t.format AND h.namespace = t.namespace AND h.name = t.name AND h.version IN ('', t.number)))
		ORDER BY t.purge_at`, micros(now), string(HoldLegal)).limit(limit))
	if err != nil {
		return 0, err
	}
	return int64(len(ids)), tx.DropTrash(ids...)
}

// purgeRepositoryTrash removes up to limit versions that a repository has in the
// trash and tells how many.
func (tx *Tx) purgeRepositoryTrash(repositoryID string, limit int) (int, error) {
	ids, err := all(tx, scanString, newQuery("SELECT id FROM trash_version WHERE ").add("repository_id = ?", repositoryID).limit(limit))
	if err != nil {
		return 0, err
	}
	return len(ids), tx.DropTrash(ids...)
}
