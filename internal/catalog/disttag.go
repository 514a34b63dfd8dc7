package catalog

import "packhouse/internal/fault"

// DistTag is a name for a version of a package, such as npm's latest.
type DistTag struct {
	PackageID string
	Tag       string
	Version   string // may name a version of an upstream
}

func scanDistTag(scan func(...any) error) (t DistTag, err error) {
	err = scan(&t.PackageID, &t.Tag, &t.Version)
	return t, err
}

// DistTags lists the tags of some packages by package ID and tag.
func (tx *Tx) DistTags(packageIDs ...string) ([]DistTag, error) {
	var found []DistTag
	for part := range chunks(packageIDs) {
		q := newQuery("SELECT package_id, tag, version FROM dist_tag WHERE ").in("package_id", part)
		some, err := all(tx, scanDistTag, q.add(" ORDER BY package_id, tag"))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// SetDistTag points a tag at a version.
func (tx *Tx) SetDistTag(p Package, tag, version string) error {
	_, err := tx.exec(`INSERT INTO dist_tag (package_id, tag, version) VALUES ($1, $2, $3)
		ON CONFLICT (package_id, tag) DO UPDATE SET version = excluded.version`, p.ID, tag, version)
	p.changed(tx)
	return err
}

// DeleteDistTag removes a tag; NotFound without it.
func (tx *Tx) DeleteDistTag(p Package, tag string) error {
	n, err := tx.exec("DELETE FROM dist_tag WHERE package_id = $1 AND tag = $2", p.ID, tag)
	if err == nil && n == 0 {
		return fault.About(fault.NotFound, "package", p.Coordinates.String(), "the package has no tag "+tag)
	}
	p.changed(tx)
	return err
}
