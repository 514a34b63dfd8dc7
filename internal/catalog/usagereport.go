package catalog

import (
	"time"

	"packhouse/internal/artifact"
)

// PackageUse is what was counted of a package in some days.
type PackageUse struct {
	Coordinates artifact.Coordinates
	PackageCounts
}

const packageSums = `CAST(sum(u.downloads) AS BIGINT), CAST(sum(u.bytes) AS BIGINT), CAST(sum(u.saved) AS BIGINT), CAST(sum(u.hits) AS BIGINT),
	CAST(sum(u.misses) AS BIGINT), CAST(sum(u.published) AS BIGINT), CAST(sum(u.deleted) AS BIGINT)`

func (c *PackageCounts) fields() []any {
	return []any{&c.Downloads, &c.Bytes, &c.Saved, &c.Hits, &c.Misses, &c.Published, &c.Deleted}
}

// PopularPackages are those of a repository, or of a domain where repositoryID
// is empty, that were downloaded most on the days from one on up to another,
// both included, the most downloaded first. In a domain the downloads from all
// repositories are added up.
func (tx *Tx) PopularPackages(domainID, repositoryID string, from, to time.Time, limit int) ([]PackageUse, error) {
	q := newQuery("SELECT p.format, p.namespace, p.name, "+packageSums+" FROM package p JOIN usage_package u ON u.package_id = p.id AND ").
		add("u.day >= ? AND u.day <= ? WHERE ", dayOf(from), dayOf(to))
	if repositoryID != "" {
		q.add("p.repository_id = ?", repositoryID)
	} else {
		q.add("p.domain_id = ?", domainID)
	}
	read := func(scan func(...any) error) (p PackageUse, err error) {
		dest := []any{(*string)(&p.Coordinates.Format), &p.Coordinates.Namespace, &p.Coordinates.Name}
		err = scan(append(dest, p.fields()...)...)
		return p, err
	}
	q.add(" GROUP BY p.format, p.namespace, p.name HAVING sum(u.downloads) > 0 ORDER BY sum(u.downloads) DESC, p.format, p.namespace, p.name")
	return all(tx, read, q.limit(limit))
}

// PackageDay is what was counted of a package on a day.
type PackageDay struct {
	Day time.Time
	PackageCounts
}

// PackageDays are the days of a package of a repository, or of all repositories
// of the domain where repositoryID is empty, on which something was counted.
func (tx *Tx) PackageDays(domainID, repositoryID string, c artifact.Coordinates, from, to time.Time) ([]PackageDay, error) {
	q := newQuery("SELECT u.day, "+packageSums+" FROM package p JOIN usage_package u ON u.package_id = p.id AND ").
		add("u.day >= ? AND u.day <= ? WHERE p.domain_id = ? AND p.format = ? AND p.namespace = ? AND p.name = ?",
			dayOf(from), dayOf(to), domainID, string(c.Format), c.Namespace, c.Name)
	if repositoryID != "" {
		q.add(" AND p.repository_id = ?", repositoryID)
	}
	read := func(scan func(...any) error) (p PackageDay, err error) {
		var day int64
		err = scan(append([]any{&day}, p.fields()...)...)
		p.Day = time.Unix(day*60*spanDay, 0).UTC()
		return p, err
	}
	return all(tx, read, q.add(" GROUP BY u.day ORDER BY u.day"))
}

// StalePackage is a package that nobody has downloaded for long.
type StalePackage struct {
	Package
	Versions, Bytes, Downloads int64
	LastDownload               time.Time // of any version that is there; zero: never
	LastPublished              time.Time
}

// StalePackages lists packages of a repository that have come before a time and
// of which no version was published or downloaded since, by format, namespace
// and name after the given coordinates.
func (tx *Tx) StalePackages(repositoryID string, before time.Time, after artifact.Coordinates, limit int) ([]StalePackage, error) {
	q := newQuery("SELECT "+packageColumns+`,
		(SELECT count(*) FROM version v WHERE v.package_id = p.id),
		(SELECT coalesce(CAST(sum(a.size) AS BIGINT), 0) FROM version v JOIN asset a ON a.version_id = v.id WHERE v.package_id = p.id),
		(SELECT coalesce(CAST(sum(u.downloads) AS BIGINT), 0) FROM version v JOIN version_usage u ON u.version_id = v.id WHERE v.package_id = p.id),
		(SELECT coalesce(max(u.last_download), 0) FROM version v JOIN version_usage u ON u.version_id = v.id WHERE v.package_id = p.id),
		(SELECT coalesce(max(v.published), 0) FROM version v WHERE v.package_id = p.id)
		FROM package p WHERE `).
		add("p.repository_id = ? AND (p.format, p.namespace, p.name) > (?, ?, ?) AND p.created < ?",
			repositoryID, string(after.Format), after.Namespace, after.Name, micros(before)).
		add(` AND EXISTS (SELECT 1 FROM version v WHERE v.package_id = p.id)
			AND NOT EXISTS (SELECT 1 FROM version v LEFT JOIN version_usage u ON u.version_id = v.id
				WHERE v.package_id = p.id AND (v.published >= ? OR u.last_download >= ?))`, micros(before), micros(before))
	read := func(scan func(...any) error) (s StalePackage, err error) {
		var last, published int64
		s.Package, err = scanPackage(func(dest ...any) error {
			return scan(append(dest, &s.Versions, &s.Bytes, &s.Downloads, &last, &published)...)
		})
		s.LastDownload, s.LastPublished = fromMicros(last), fromMicros(published)
		return s, err
	}
	return all(tx, read, q.add(" ORDER BY p.format, p.namespace, p.name").limit(limit))
}

// VersionUsage is what is known of the downloads of a version; zero: nothing.
func (tx *Tx) VersionUsage(versionID string) (downloads int64, last time.Time, err error) {
	var us int64
	_, err = tx.one("SELECT downloads, last_download FROM version_usage WHERE version_id = $1", []any{versionID}, &downloads, &us)
	return downloads, fromMicros(us), err
}
