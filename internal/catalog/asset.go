package catalog

import (
	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// Asset is one file of a version.
type Asset struct {
	artifact.Asset
	VersionID string
	Space     string // of the stored blob: the domain ID
}

func assetMissing(name string) error {
	return fault.About(fault.NotFound, "asset", name, "asset not found: "+name)
}

// InsertAsset adds a file to a version of p and records its blob in the space
// of p's domain. Conflict when the version has one of that name. The SHA-256
// must be known.
func (tx *Tx) InsertAsset(p Package, versionID string, a artifact.Asset) error {
	contents, err := tx.newContents(p.DomainID, p.RepositoryID, a)
	if err != nil {
		return err
	}
	sha256 := a.Digests.Hex(digest.SHA256)
	n, err := tx.exec(`INSERT INTO asset (version_id, name, space, size, sha256, sha512, sha1, md5)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		versionID, a.Name, p.DomainID, a.Size, sha256,
		a.Digests.Hex(digest.SHA512), a.Digests.Hex(digest.SHA1), a.Digests.Hex(digest.MD5))
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.About(fault.Conflict, "asset", a.Name, "asset already exists: "+a.Name)
	}
	p.changed(tx)
	p.counts(tx, usageDelta{bytes: a.Size, files: 1, contents: contents})
	return tx.StoreBlob(p.DomainID, sha256, a.Size)
}

const assetColumns = "version_id, name, space, size, sha256, sha512, sha1, md5"

func scanAsset(scan func(...any) error) (a Asset, err error) {
	var sha256, sha512, sha1, md5 string
	if err := scan(&a.VersionID, &a.Name, &a.Space, &a.Size, &sha256, &sha512, &sha1, &md5); err != nil {
		return a, err
	}
	a.Digests, err = digest.FromHex(md5, sha1, sha256, sha512)
	return a, err
}

// Asset finds one file of a version; NotFound when there is none.
func (tx *Tx) Asset(versionID, name string) (Asset, error) {
	return first(tx, scanAsset, assetMissing(name),
		"SELECT "+assetColumns+" FROM asset WHERE version_id = $1 AND name = $2", versionID, name)
}

// Assets lists a version's files after the given name; limit 0 means all.
func (tx *Tx) Assets(versionID, after string, limit int) ([]Asset, error) {
	q := newQuery("SELECT "+assetColumns+" FROM asset WHERE ").add("version_id = ? AND name > ?", versionID, after)
	return all(tx, scanAsset, q.add(" ORDER BY name").limit(limit))
}

// AssetsOf calls fn with every file of some versions, those of one version
// together and by name. fn must not use tx.
func (tx *Tx) AssetsOf(versionIDs []string, fn func(Asset) error) error {
	read := func(scan func(...any) error) error {
		a, err := scanAsset(scan)
		if err != nil {
			return err
		}
		return fn(a)
	}
	for part := range chunks(versionIDs) {
		q := newQuery("SELECT "+assetColumns+" FROM asset WHERE ").in("version_id", part).add(" ORDER BY version_id, name")
		if err := tx.each(read, q.text.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// DeleteAssets removes every file of a version of p, which disposing does. The
// blobs go with a sweep.
func (tx *Tx) DeleteAssets(p Package, versionID string) error {
	gone, err := tx.dropAssets(p.DomainID, []string{versionID}, nil)
	if gone.files != 0 {
		p.changed(tx)
		p.counts(tx, gone)
	}
	return err
}

// DeleteAsset removes one file of a version of p; NotFound when it is gone.
func (tx *Tx) DeleteAsset(p Package, versionID, name string) error {
	gone, err := tx.dropAssets(p.DomainID, []string{versionID}, &name)
	if err == nil && gone.files == 0 {
		return assetMissing(name)
	}
	p.changed(tx)
	p.counts(tx, gone)
	return err
}
