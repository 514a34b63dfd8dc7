package catalog

import (
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// JobCheckStorage is the kind of the job that does a StorageCheck; its key is
// the ID of the check.
const JobCheckStorage = "check-storage"

// CheckState says how far a StorageCheck is.
type CheckState string

// The states.
const (
	CheckRunning CheckState = "RUNNING" // or waiting for its turn
	CheckDone    CheckState = "DONE"
	CheckStopped CheckState = "STOPPED"
)

// StorageCheck compares stored bytes with their digests.
type StorageCheck struct {
	ID       string
	DomainID string // empty: everything
	Repair   bool
	Rate     int64 // bytes per second; 0: as fast as it goes
	State    CheckState

	Phase         string     // of the work, empty at the beginning
	After         StoredBlob // the last content looked at, by Space and SHA256
	Contents      int64      // looked at
	Bytes         int64
	AllContents   int64 // that were there when it began
	AllBytes      int64
	Created       time.Time
	Updated, Done time.Time
}

// The kinds of findings.
const (
	FoundDamaged    = "DAMAGED"    // other bytes than the digest says
	FoundSize       = "SIZE"       // another number of them than recorded
	FoundMissing    = "MISSING"    // no bytes
	FoundUnrecorded = "UNRECORDED" // an asset whose content no row tells of
	FoundUnknown    = "UNKNOWN"    // bytes that nobody knows of, which the sweep takes
)

// What was done about a finding.
const (
	OutcomeReported    = "REPORTED"    // nothing
	OutcomeQuarantined = "QUARANTINED" // moved aside; not served any more
	OutcomeRepaired    = "REPAIRED"    // fetched again, or the row set right
)

// StorageFinding is one thing a check found.
type StorageFinding struct {
	CheckID, Space, SHA256 string
	Kind, Outcome, Detail  string
	At                     time.Time
}

const checkColumns = "id, domain_id, repair, rate, state, phase, space, sha256, contents, bytes, all_contents, all_bytes, created, updated, finished"

func scanCheck(scan func(...any) error) (c StorageCheck, err error) {
	var created, updated, done int64
	err = scan(&c.ID, &c.DomainID, &c.Repair, &c.Rate, (*string)(&c.State), &c.Phase, &c.After.Space, &c.After.SHA256, &c.Contents, &c.Bytes,
		&c.AllContents, &c.AllBytes, &created, &updated, &done)
	c.Created, c.Updated, c.Done = fromMicros(created), fromMicros(updated), fromMicros(done)
	return c, err
}

func checkMissing(id string) error {
	return fault.About(fault.NotFound, "storage-check", id, "there is no storage check %s here", id)
}

// InsertStorageCheck begins a check: its job is enqueued. Conflict while one of
// the same domain is under way.
func (tx *Tx) InsertStorageCheck(domainID string, repair bool, rate int64) (StorageCheck, error) {
	var running string
	found, err := tx.one("SELECT id FROM storage_check WHERE domain_id = $1 AND state = $2", []any{domainID, string(CheckRunning)}, &running)
	if err != nil {
		return StorageCheck{}, err
	}
	if found {
		return StorageCheck{}, fault.About(fault.Conflict, "storage-check", running, "storage check %s is under way; wait for it or stop it", running)
	}
	c := StorageCheck{ID: tx.NewID(), DomainID: domainID, Repair: repair, Rate: rate, State: CheckRunning, Created: tx.Now(), Updated: tx.Now()}
	all := newQuery("SELECT count(*), coalesce(CAST(sum(size) AS BIGINT), 0) FROM stored_blob")
	if domainID != "" {
		all.add(" WHERE space = ?", domainID)
	}
	if _, err := tx.one(all.text.String(), all.args, &c.AllContents, &c.AllBytes); err != nil {
		return c, err
	}
	_, err = tx.exec("INSERT INTO storage_check ("+checkColumns+") VALUES ($1, $2, $3, $4, $5, '', '', '', 0, 0, $6, $7, $8, $8, 0)",
		c.ID, domainID, bit(repair), rate, string(c.State), c.AllContents, c.AllBytes, micros(c.Created))
	if err != nil {
		return c, err
	}
	return c, tx.Enqueue(Job{Kind: JobCheckStorage, Key: c.ID})
}

// StorageCheck finds a check; NotFound when there is none.
func (tx *Tx) StorageCheck(id string) (StorageCheck, error) {
	return first(tx, scanCheck, checkMissing(id), "SELECT "+checkColumns+" FROM storage_check WHERE id = $1", id)
}

// StorageCheckOf finds a check of a domain, of everything when domainID is
// empty; the last one when id is empty. NotFound when there is none.
func (tx *Tx) StorageCheckOf(domainID, id string) (StorageCheck, error) {
	if id == "" {
		return first(tx, scanCheck, checkMissing("of this domain"),
			"SELECT "+checkColumns+" FROM storage_check WHERE domain_id = $1 ORDER BY id DESC LIMIT 1", domainID)
	}
	return first(tx, scanCheck, checkMissing(id), "SELECT "+checkColumns+" FROM storage_check WHERE domain_id = $1 AND id = $2", domainID, id)
}

// AdvanceStorageCheck writes how far a check is. Conflict when it is not running
// any more: somebody has stopped it.
func (tx *Tx) AdvanceStorageCheck(c StorageCheck) error {
	done := int64(0)
	if c.State != CheckRunning {
		done = tx.now().UnixMicro()
	}
	n, err := tx.exec(`UPDATE storage_check SET state = $2, phase = $3, space = $4, sha256 = $5, contents = $6, bytes = $7, updated = $8, finished = $9
		WHERE id = $1 AND state = $10`,
		c.ID, string(c.State), c.Phase, c.After.Space, c.After.SHA256, c.Contents, c.Bytes, tx.now().UnixMicro(), done, string(CheckRunning))
	if err == nil && n == 0 {
		return fault.About(fault.Conflict, "storage-check", c.ID, "storage check %s is not running", c.ID)
	}
	return err
}

// PutStorageFinding notes a finding, or what became of it.
func (tx *Tx) PutStorageFinding(f StorageFinding) error {
	_, err := tx.exec(`INSERT INTO storage_finding (check_id, space, sha256, kind, outcome, detail, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (check_id, space, sha256, kind) DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail`,
		f.CheckID, f.Space, f.SHA256, f.Kind, f.Outcome, f.Detail, tx.now().UnixMicro())
	return err
}

// HasStorageFinding tells whether a check has found something about a content.
func (tx *Tx) HasStorageFinding(checkID, space, sha256 string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 FROM storage_finding WHERE check_id = $1 AND space = $2 AND sha256 = $3 LIMIT 1", []any{checkID, space, sha256}, &one)
}

// StorageFindings lists what a check has found, by space, digest and kind after
// the given one.
func (tx *Tx) StorageFindings(checkID string, after StorageFinding, limit int) ([]StorageFinding, error) {
	q := newQuery("SELECT check_id, space, sha256, kind, outcome, detail, at FROM storage_finding WHERE ").
		add("check_id = ? AND (space, sha256, kind) > (?, ?, ?) ORDER BY space, sha256, kind", checkID, after.Space, after.SHA256, after.Kind).limit(limit)
	return all(tx, func(scan func(...any) error) (f StorageFinding, err error) {
		var at int64
		err = scan(&f.CheckID, &f.Space, &f.SHA256, &f.Kind, &f.Outcome, &f.Detail, &at)
		f.At = fromMicros(at)
		return f, err
	}, q)
}

// CountStorageFindings tells how many findings of a check there are by outcome.
func (tx *Tx) CountStorageFindings(checkID string) (map[string]int64, error) {
	counts := map[string]int64{}
	err := tx.each(func(scan func(...any) error) error {
		var outcome string
		var n int64
		err := scan(&outcome, &n)
		counts[outcome] = n
		return err
	}, "SELECT outcome, count(*) FROM storage_finding WHERE check_id = $1 GROUP BY outcome", checkID)
	return counts, err
}

// TrimStorageChecks forgets all but the last of a domain's checks.
func (tx *Tx) TrimStorageChecks(domainID string, keep int) error {
	old, err := all(tx, scanString, newQuery("SELECT id FROM storage_check WHERE ").
		add("domain_id = ? AND state <> ? ORDER BY id DESC", domainID, string(CheckRunning)))
	if err != nil || len(old) <= keep {
		return err
	}
	for part := range chunks(old[keep:]) {
		if err := tx.deleteIn("storage_finding", "check_id", part); err != nil {
			return err
		}
		if err := tx.deleteIn("storage_check", "id", part); err != nil {
			return err
		}
	}
	return nil
}

// StoredBlobs lists the recorded contents of a space, of all when it is empty,
// by space and SHA-256 after the given one.
func (tx *Tx) StoredBlobs(space string, after StoredBlob, limit int) ([]StoredBlob, error) {
	q := newQuery("SELECT space, sha256, size, created FROM stored_blob WHERE ").add("(space, sha256) > (?, ?)", after.Space, after.SHA256)
	if space != "" {
		q.add(" AND space = ?", space)
	}
	return all(tx, scanStoredBlob, q.add(" ORDER BY space, sha256").limit(limit))
}

// StoredBlob finds the row of a content; NotFound when there is none.
func (tx *Tx) StoredBlob(space, sha256 string) (StoredBlob, error) {
	return first(tx, scanStoredBlob, fault.New(fault.NotFound, "no such content"),
		"SELECT space, sha256, size, created FROM stored_blob WHERE space = $1 AND sha256 = $2", space, sha256)
}

// UnrecordedAssets lists contents that assets refer to and no row tells of, by
// space and SHA-256 after the given one.
func (tx *Tx) UnrecordedAssets(space string, after StoredBlob, limit int) ([]StoredBlob, error) {
	q := newQuery("SELECT a.space, a.sha256, max(a.size), CAST(0 AS BIGINT) FROM asset a WHERE ").add("(a.space, a.sha256) > (?, ?)", after.Space, after.SHA256)
	if space != "" {
		q.add(" AND a.space = ?", space)
	}
	q.add(" AND NOT EXISTS (SELECT 1 FROM stored_blob b WHERE b.space = a.space AND b.sha256 = a.sha256) GROUP BY a.space, a.sha256 ORDER BY a.space, a.sha256")
	return all(tx, scanStoredBlob, q.limit(limit))
}

// SetBlobSize sets right what is recorded of the size of a content.
func (tx *Tx) SetBlobSize(space, sha256 string, size int64) error {
	b, err := tx.StoredBlob(space, sha256)
	if err != nil {
		return err
	}
	if _, err := tx.exec("UPDATE stored_blob SET size = $3 WHERE space = $1 AND sha256 = $2", space, sha256, size); err != nil {
		return err
	}
	if space != RemoteSpace {
		tx.counts(usageDelta{domainID: space, bytes: size - b.Size})
	}
	return nil
}

// BlobOwner is an asset that is made of a content.
type BlobOwner struct {
	Package Package
	Version artifact.Version // without manifest
	Asset   string
}

// BlobOwners lists assets made of a content, those of external versions first.
func (tx *Tx) BlobOwners(space, sha256 string, limit int) ([]BlobOwner, error) {
	q := newQuery(`SELECT p.id, p.domain_id, p.repository_id, p.format, p.namespace, p.name, p.display_name, p.publish, p.upstream, p.explicit, p.created,
		v.number, v.status, v.origin_type, v.origin_connection, a.name
		FROM asset a JOIN version v ON v.id = a.version_id JOIN package p ON p.id = v.package_id WHERE `).
		add("a.space = ? AND a.sha256 = ? ORDER BY CASE WHEN v.origin_type = ? THEN 0 ELSE 1 END, a.version_id, a.name", space, sha256, string(artifact.External))
	return all(tx, func(scan func(...any) error) (o BlobOwner, err error) {
		o.Package, err = scanPackage(func(dest ...any) error {
			return scan(append(dest, &o.Version.Number, (*string)(&o.Version.Status), (*string)(&o.Version.Origin.Type), &o.Version.Origin.Connection, &o.Asset)...)
		})
		return o, err
	}, q.limit(limit))
}

// BlobLost announces that the bytes of a content are not what they were: nobody
// may answer from memory what was made of them.
func (tx *Tx) BlobLost(space, sha256 string) error {
	owners, err := tx.BlobOwners(space, sha256, 0)
	for _, o := range owners {
		o.Package.changed(tx)
	}
	return err
}
