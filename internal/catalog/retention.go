package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/retention"
)

// RetentionConfiguration is one that somebody put.
type RetentionConfiguration struct {
	DomainID     string
	RepositoryID string              // empty: of the domain
	Origin       artifact.OriginType // of a domain's: Internal or External
	retention.Configuration
}

// Source is how verdicts call it.
func (c RetentionConfiguration) Source() string {
	if c.RepositoryID != "" {
		return "repository"
	}
	return "domain " + string(c.Origin)
}

// PutRetentionConfiguration replaces a configuration, or makes it.
func (tx *Tx) PutRetentionConfiguration(c RetentionConfiguration) error {
	settings, err := json.Marshal(c.Configuration)
	if err != nil {
		return fmt.Errorf("put retention configuration: %w", err)
	}
	_, err = tx.exec(`INSERT INTO retention_configuration (domain_id, repository_id, origin, settings) VALUES ($1, $2, $3, $4)
		ON CONFLICT (domain_id, repository_id, origin) DO UPDATE SET settings = excluded.settings`,
		c.DomainID, c.RepositoryID, string(c.Origin), string(settings))
	return err
}

// DeleteRetentionConfiguration removes one; found is false when there is none.
func (tx *Tx) DeleteRetentionConfiguration(domainID, repositoryID string, origin artifact.OriginType) (found bool, err error) {
	n, err := tx.exec("DELETE FROM retention_configuration WHERE domain_id = $1 AND repository_id = $2 AND origin = $3", domainID, repositoryID, string(origin))
	return n > 0, err
}

func scanRetentionConfiguration(scan func(...any) error) (c RetentionConfiguration, err error) {
	var settings string
	if err := scan(&c.DomainID, &c.RepositoryID, (*string)(&c.Origin), &settings); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(settings), &c.Configuration); err != nil {
		return c, fmt.Errorf("stored retention configuration: %w", err)
	}
	return c, nil
}

// RetentionConfigurations lists those of a domain and of its repositories: the
// domain's first, INTERNAL behind EXTERNAL, then by repository ID.
func (tx *Tx) RetentionConfigurations(domainID string) ([]RetentionConfiguration, error) {
	return all(tx, scanRetentionConfiguration, newQuery("SELECT domain_id, repository_id, origin, settings FROM retention_configuration WHERE ").
		add("domain_id = ? ORDER BY repository_id, origin", domainID))
}

// RetentionConfiguration finds one; found is false when there is none.
func (tx *Tx) RetentionConfiguration(domainID, repositoryID string, origin artifact.OriginType) (c RetentionConfiguration, found bool, err error) {
	rows, err := all(tx, scanRetentionConfiguration, newQuery("SELECT domain_id, repository_id, origin, settings FROM retention_configuration WHERE ").
		add("domain_id = ? AND repository_id = ? AND origin = ?", domainID, repositoryID, string(origin)))
	if err != nil || len(rows) == 0 {
		return c, false, err
	}
	return rows[0], true, nil
}

// RetentionSettings are when a domain is tidied and for how long what went can
// be had back.
type RetentionSettings struct {
	DomainID  string
	Schedule  string    // cron expression in UTC; empty: the server's
	TrashDays int       // 0: the server's
	Due       time.Time // when the next run is due
}

const retentionSettingsColumns = "domain_id, schedule, trash_days, due"

func scanRetentionSettings(scan func(...any) error) (s RetentionSettings, err error) {
	var due int64
	err = scan(&s.DomainID, &s.Schedule, &s.TrashDays, &due)
	s.Due = fromMicros(due)
	return s, err
}

// RetentionSettings finds those of a domain; the zero value, with the domain's
// ID, when it has none.
func (tx *Tx) RetentionSettings(domainID string) (s RetentionSettings, found bool, err error) {
	rows, err := all(tx, scanRetentionSettings, newQuery("SELECT "+retentionSettingsColumns+" FROM retention_domain WHERE ").add("domain_id = ?", domainID))
	if err != nil || len(rows) == 0 {
		return RetentionSettings{DomainID: domainID}, false, err
	}
	return rows[0], true, nil
}

// DueRetention lists the settings of domains whose next run is due, the oldest
// first.
func (tx *Tx) DueRetention(now time.Time, limit int) ([]RetentionSettings, error) {
	return all(tx, scanRetentionSettings, newQuery("SELECT "+retentionSettingsColumns+" FROM retention_domain WHERE ").
		add("due <= ? ORDER BY due", micros(now)).limit(limit))
}

// PutRetentionSettings replaces the settings of a domain, or makes them.
func (tx *Tx) PutRetentionSettings(s RetentionSettings) error {
	_, err := tx.exec("INSERT INTO retention_domain ("+retentionSettingsColumns+`) VALUES ($1, $2, $3, $4)
		ON CONFLICT (domain_id) DO UPDATE SET schedule = excluded.schedule, trash_days = excluded.trash_days, due = excluded.due`,
		s.DomainID, s.Schedule, int64(s.TrashDays), micros(s.Due))
	return err
}

// DeleteRetentionSettings removes the settings of a domain, present or not.
func (tx *Tx) DeleteRetentionSettings(domainID string) error {
	_, err := tx.exec("DELETE FROM retention_domain WHERE domain_id = $1", domainID)
	return err
}

// deleteRetention removes all there is about a domain.
func (tx *Tx) deleteRetention(domainID string) error {
	for _, text := range []string{
		"DELETE FROM retention_configuration WHERE domain_id = $1",
		"DELETE FROM retention_domain WHERE domain_id = $1",
		"DELETE FROM retention_removal WHERE run_id IN (SELECT id FROM retention_run WHERE domain_id = $1)",
		"DELETE FROM retention_run WHERE domain_id = $1",
	} {
		if _, err := tx.exec(text, domainID); err != nil {
			return err
		}
	}
	return nil
}

// HoldKind says what sort of hold somebody has placed.
type HoldKind string

// The kinds.
const (
	HoldPin   HoldKind = "PIN"
	HoldLegal HoldKind = "LEGAL_HOLD"
)

// Hold keeps versions: one, those of a package (Version is empty), or those of a
// repository (Coordinates are empty too). It is by name: what is deleted and
// comes back is held again.
type Hold struct {
	RepositoryID string
	Coordinates  artifact.Coordinates
	Version      string
	Kind         HoldKind
	Reason       string
	PlacedBy     string // ARN
	Created      time.Time
}

// PutHold places a hold; one that is there gets the reason, and who gave it.
func (tx *Tx) PutHold(h Hold) error {
	_, err := tx.exec(`INSERT INTO retention_hold (repository_id, format, namespace, name, version, kind, reason, placed_by, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (repository_id, format, namespace, name, version, kind) DO UPDATE SET reason = excluded.reason, placed_by = excluded.placed_by`,
		h.RepositoryID, string(h.Coordinates.Format), h.Coordinates.Namespace, h.Coordinates.Name, h.Version, string(h.Kind), h.Reason, h.PlacedBy, tx.now().UnixMicro())
	return err
}

// DeleteHold removes a hold; found is false when there is none.
func (tx *Tx) DeleteHold(h Hold) (found bool, err error) {
	n, err := tx.exec("DELETE FROM retention_hold WHERE repository_id = $1 AND format = $2 AND namespace = $3 AND name = $4 AND version = $5 AND kind = $6",
		h.RepositoryID, string(h.Coordinates.Format), h.Coordinates.Namespace, h.Coordinates.Name, h.Version, string(h.Kind))
	return n > 0, err
}

func scanHold(scan func(...any) error) (h Hold, err error) {
	var created int64
	err = scan(&h.RepositoryID, (*string)(&h.Coordinates.Format), &h.Coordinates.Namespace, &h.Coordinates.Name, &h.Version, (*string)(&h.Kind), &h.Reason, &h.PlacedBy, &created)
	h.Created = fromMicros(created)
	return h, err
}

const holdColumns = "repository_id, format, namespace, name, version, kind, reason, placed_by, created"

// Holds lists the holds on a repository and on its packages from first to last,
// by name: one on the repository comes first.
func (tx *Tx) Holds(repositoryID string, first, last artifact.Coordinates) ([]Hold, error) {
	whole, err := all(tx, scanHold, newQuery("SELECT "+holdColumns+" FROM retention_hold WHERE ").
		add("repository_id = ? AND format = '' AND namespace = '' AND name = ''", repositoryID))
	if err != nil {
		return nil, err
	}
	some, err := all(tx, scanHold, newQuery("SELECT "+holdColumns+" FROM retention_hold WHERE ").
		add("repository_id = ? AND (format, namespace, name) >= (?, ?, ?) AND (format, namespace, name) <= (?, ?, ?) AND name > ''",
			repositoryID, string(first.Format), first.Namespace, first.Name, string(last.Format), last.Namespace, last.Name).
		add(" ORDER BY format, namespace, name, version, kind"))
	return append(whole, some...), err
}

// HoldCursor is a place in a listing of holds: the last of the page before. The
// zero value is the start.
type HoldCursor struct {
	Coordinates artifact.Coordinates
	Version     string
	Kind        HoldKind
}

// Cursor is the place of h in a listing.
func (h Hold) Cursor() HoldCursor { return HoldCursor{h.Coordinates, h.Version, h.Kind} }

// HoldPage lists the holds of a repository by what they are about, after the
// cursor.
func (tx *Tx) HoldPage(repositoryID string, after HoldCursor, limit int) ([]Hold, error) {
	c := after.Coordinates
	return all(tx, scanHold, newQuery("SELECT "+holdColumns+" FROM retention_hold WHERE ").
		add("repository_id = ? AND (format, namespace, name, version, kind) > (?, ?, ?, ?, ?) ORDER BY format, namespace, name, version, kind",
			repositoryID, string(c.Format), c.Namespace, c.Name, after.Version, string(after.Kind)).limit(limit))
}

// LegalHold finds a legal hold on a version of a package; with an empty version
// one on any version of it, and with a package of an empty name one on anything
// of the repository. found is false when nothing is held.
func (tx *Tx) LegalHold(repositoryID string, c artifact.Coordinates, version string) (h Hold, found bool, err error) {
	q := newQuery("SELECT "+holdColumns+" FROM retention_hold WHERE ").add("repository_id = ? AND kind = ?", repositoryID, string(HoldLegal))
	if c.Name != "" {
		q.add(" AND (name = '' OR format = ? AND namespace = ? AND name = ?", string(c.Format), c.Namespace, c.Name)
		if version != "" {
			q.add(" AND version IN ('', ?)", version)
		}
		q.add(")")
	}
	rows, err := all(tx, scanHold, q.limit(1))
	if err != nil || len(rows) == 0 {
		return h, false, err
	}
	return rows[0], true, nil
}

// deleteRepositoryRetention removes what a repository has of its own.
func (tx *Tx) deleteRepositoryRetention(repositoryID string) error {
	if _, err := tx.exec("DELETE FROM retention_configuration WHERE repository_id = $1", repositoryID); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM retention_hold WHERE repository_id = $1", repositoryID)
	return err
}

// Aging lists every version of some packages as retention looks at it, by package
// ID; Current, Tag and Held are for the caller to fill in. When a version came is
// read off its ID.
func (tx *Tx) Aging(packageIDs ...string) (map[string][]retention.Version, error) {
	found := make(map[string][]retention.Version, len(packageIDs))
	words := intern{}
	read := func(scan func(...any) error) error {
		var v retention.Version
		var packageID string
		var published, downloaded int64
		if err := scan(&v.ID, &packageID, &v.Number, (*string)(&v.Status), (*string)(&v.Origin), &published, &downloaded); err != nil {
			return err
		}
		v.Status, v.Origin = artifact.Status(words.of(string(v.Status))), artifact.OriginType(words.of(string(v.Origin)))
		v.Published, v.LastDownload, v.Created = fromMicros(published), fromMicros(downloaded), madeAt(v.ID)
		packageID = words.of(packageID)
		found[packageID] = append(found[packageID], v)
		return nil
	}
	for part := range chunks(packageIDs) {
		q := newQuery(`SELECT v.id, v.package_id, v.number, v.status, v.origin_type, v.published, coalesce(u.last_download, 0)
			FROM version v LEFT JOIN version_usage u ON u.version_id = v.id WHERE `).in("v.package_id", part)
		if err := tx.each(read, q.text.String(), q.args...); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// TagsInDomain gives, for each of some packages, the tags of its name in every
// repository of its domain, in no order: a tag may name a version of an upstream.
// PackageID is that of the given package.
func (tx *Tx) TagsInDomain(packageIDs ...string) ([]DistTag, error) {
	var found []DistTag
	for part := range chunks(packageIDs) {
		q := newQuery(`SELECT o.id, t.tag, t.version FROM package o
			JOIN package p ON p.domain_id = o.domain_id AND p.format = o.format AND p.namespace = o.namespace AND p.name = o.name
			JOIN dist_tag t ON t.package_id = p.id WHERE `).in("o.id", part)
		some, err := all(tx, scanDistTag, q)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// HeldBlob is a content that an asset of a version is of.
type HeldBlob struct {
	VersionID string
	Space     string
	SHA256    string
	Size      int64
	Shared    bool // another version has it too
}

// BlobsOf calls fn with the contents of some versions, each once for a version.
// fn must not use tx.
func (tx *Tx) BlobsOf(versionIDs []string, fn func(HeldBlob) error) error {
	last, seen := "", map[string]bool{} // contents of the last version
	read := func(scan func(...any) error) error {
		var b HeldBlob
		if err := scan(&b.VersionID, &b.Space, &b.SHA256, &b.Size, &b.Shared); err != nil {
			return err
		}
		if b.VersionID != last {
			last = b.VersionID
			clear(seen)
		}
		if seen[b.SHA256] {
			return nil
		}
		seen[b.SHA256] = true
		return fn(b)
	}
	for part := range chunks(versionIDs) {
		q := newQuery(`SELECT a.version_id, a.space, a.sha256, a.size,
			EXISTS (SELECT 1 FROM asset o WHERE o.space = a.space AND o.sha256 = a.sha256 AND o.version_id <> a.version_id) FROM asset a WHERE `).in("a.version_id", part).add(" ORDER BY a.version_id, a.name")
		if err := tx.each(read, q.text.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// Holder is a version that has a content.
type Holder struct {
	VersionID string
	Number    string
	Package   Package // without what only its own table tells: display name, restrictions, times
}

// Holders lists up to limit assets' versions that have a content of a space; one
// that has it twice may come twice.
func (tx *Tx) Holders(space, sha256 string, limit int) ([]Holder, error) {
	read := func(scan func(...any) error) (h Holder, err error) {
		p := &h.Package
		err = scan(&h.VersionID, &h.Number, &p.ID, &p.DomainID, &p.RepositoryID, (*string)(&p.Coordinates.Format), &p.Coordinates.Namespace, &p.Coordinates.Name)
		return h, err
	}
	return all(tx, read, newQuery(`SELECT v.id, v.number, p.id, p.domain_id, p.repository_id, p.format, p.namespace, p.name
		FROM asset a JOIN version v ON v.id = a.version_id JOIN package p ON p.id = v.package_id WHERE `).
		add("a.space = ? AND a.sha256 = ?", space, sha256).limit(limit))
}

// CountPackages counts the packages of a repository.
func (tx *Tx) CountPackages(repositoryID string) (n int64, err error) {
	_, err = tx.one("SELECT count(*) FROM package WHERE repository_id = $1", []any{repositoryID}, &n)
	return n, err
}
