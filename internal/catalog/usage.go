package catalog

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// UsageTotal is what a repository holds, or a domain: of a domain the distinct
// contents count, of a repository every asset of every version.
type UsageTotal struct {
	DomainID     string
	RepositoryID string // empty: the domain
	Bytes        int64
	Files        int64 // assets of a repository, distinct contents of a domain
	Versions     int64 // 0 of a domain
}

// usageDelta is what a transaction does to a total, and what of it is counted.
type usageDelta struct {
	domainID, repositoryID, packageID          string
	bytes, files, versions, published, deleted int64
	contents                                   int64 // bytes of the domain's distinct contents, as its quota counts them
}

// counts adds to what the transaction does to the totals. It is written when
// the transaction's function has returned, as is what quotas count of it.
func (tx *Tx) counts(d usageDelta) {
	if d.repositoryID != "" {
		tx.hold(d.domainID, d.repositoryID, d)
	}
	for i := range tx.deltas {
		t := &tx.deltas[i]
		if t.repositoryID == d.repositoryID && t.packageID == d.packageID && t.domainID == d.domainID {
			t.bytes, t.files, t.versions = t.bytes+d.bytes, t.files+d.files, t.versions+d.versions
			t.published, t.deleted = t.published+d.published, t.deleted+d.deleted
			return
		}
	}
	tx.deltas = append(tx.deltas, d)
}

// counts is Tx.counts for what happens to p.
func (p Package) counts(tx *Tx, d usageDelta) {
	d.domainID, d.repositoryID, d.packageID = p.DomainID, p.RepositoryID, p.ID
	tx.counts(d)
}

// CountPublished counts a publication that has stored something in p.
func (tx *Tx) CountPublished(p Package) { p.counts(tx, usageDelta{published: 1}) }

// settle writes what a transaction has to say of itself when its function has
// returned: what it has done to quotas and totals, and what other processes must
// hear of. To a database over the network the last two go as one statement:
// every publish waits for each.
func (tx *Tx) settle(node string) error {
	if err := tx.putHoldings(); err != nil {
		return err
	}
	change, err := tx.change(node)
	if err != nil {
		return err
	}
	var some []usageDelta
	for _, d := range tx.deltas {
		if d.bytes != 0 || d.files != 0 || d.versions != 0 || d.published != 0 || d.deleted != 0 {
			some = append(some, d)
		}
	}
	for len(some) > 0 {
		part := some[:min(len(some), maxIn)]
		some = some[len(part):]
		q := newQuery("")
		together := len(some) == 0 && change != nil
		if together {
			q.add("WITH delta AS (")
		}
		q.add("INSERT INTO usage_delta (at, domain_id, repository_id, package_id, bytes, files, versions, published, deleted) VALUES ")
		for i, d := range part {
			if i > 0 {
				q.add(",")
			}
			q.add("(?, ?, ?, ?, ?, ?, ?, ?, ?)", tx.now().UnixMicro(), d.domainID, d.repositoryID, d.packageID, d.bytes, d.files, d.versions, d.published, d.deleted)
		}
		if together {
			q.add(") "+insertChange, change...)
			change = nil
		}
		if _, err := tx.exec(q.text.String(), q.args...); err != nil {
			return err
		}
	}
	if change == nil {
		return nil
	}
	q := newQuery("").add(insertChange, change...)
	_, err = tx.exec(q.text.String(), q.args...)
	return err
}

// UsageWaits tells whether a transaction of this process has added to what
// FoldUsage has to do since the last time it was asked.
func (db *DB) UsageWaits() bool { return db.deltas.Swap(false) }

// counted notes that a transaction has committed.
func (db *DB) counted(tx *Tx) {
	if len(tx.deltas) == 0 {
		return
	}
	db.deltas.Store(true)
	db.turnover.add(tx.deltas)
}

// Turned is what has come to a repository and gone from it.
type Turned struct {
	Published int64 // publications that have stored something
	Deleted   int64 // versions
}

// turnover is what transactions of this process have turned, by the repository.
type turnover struct {
	mu sync.Mutex
	of map[string]Turned
}

func (t *turnover) add(deltas []usageDelta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range deltas {
		if d.published == 0 && d.deleted == 0 {
			continue
		}
		if t.of == nil {
			t.of = map[string]Turned{}
		}
		sum := t.of[d.repositoryID]
		t.of[d.repositoryID] = Turned{sum.Published + d.published, sum.Deleted + d.deleted}
	}
}

// Turnover is what this process has published and deleted since it opened the
// catalog, by the ID of the repository.
func (db *DB) Turnover() map[string]Turned {
	db.turnover.mu.Lock()
	defer db.turnover.mu.Unlock()
	return maps.Clone(db.turnover.of)
}

func (tx *Tx) insertTotal(domainID, repositoryID string) error {
	_, err := tx.exec("INSERT INTO usage_total (domain_id, repository_id, bytes, files, versions) VALUES ($1, $2, 0, 0, 0)", domainID, repositoryID)
	return err
}

func (tx *Tx) deleteTotal(domainID, repositoryID string) error {
	_, err := tx.exec("DELETE FROM usage_total WHERE domain_id = $1 AND repository_id = $2", domainID, repositoryID)
	return err
}

const totalNow = `SELECT t.domain_id, t.repository_id,
	t.bytes + coalesce((SELECT CAST(sum(d.bytes) AS BIGINT) FROM usage_delta d WHERE d.domain_id = t.domain_id AND d.repository_id = t.repository_id), 0),
	t.files + coalesce((SELECT CAST(sum(d.files) AS BIGINT) FROM usage_delta d WHERE d.domain_id = t.domain_id AND d.repository_id = t.repository_id), 0),
	t.versions + coalesce((SELECT CAST(sum(d.versions) AS BIGINT) FROM usage_delta d WHERE d.domain_id = t.domain_id AND d.repository_id = t.repository_id), 0)
	FROM usage_total t WHERE `

func scanTotal(scan func(...any) error) (t UsageTotal, err error) {
	err = scan(&t.DomainID, &t.RepositoryID, &t.Bytes, &t.Files, &t.Versions)
	return t, err
}

// UsageTotal is what a repository holds now, to the byte; the domain with an
// empty repositoryID. NotFound when it is gone.
func (tx *Tx) UsageTotal(domainID, repositoryID string) (UsageTotal, error) {
	return first(tx, scanTotal, fault.New(fault.NotFound, "nothing is kept of this repository"),
		totalNow+"t.domain_id = $1 AND t.repository_id = $2", domainID, repositoryID)
}

// UsageTotals are the totals of a domain, its own first, and of its
// repositories; of every domain with an empty domainID.
func (tx *Tx) UsageTotals(domainID string) ([]UsageTotal, error) {
	q := newQuery(totalNow)
	if domainID == "" {
		q.add("true")
	} else {
		q.add("t.domain_id = ?", domainID)
	}
	return all(tx, scanTotal, q.add(" ORDER BY t.domain_id, t.repository_id"))
}

// CountUsage counts anew what UsageTotal has kept count of.
func (tx *Tx) CountUsage(domainID, repositoryID string) (UsageTotal, error) {
	t := UsageTotal{DomainID: domainID, RepositoryID: repositoryID}
	if repositoryID == "" {
		_, err := tx.one("SELECT coalesce(CAST(sum(size) AS BIGINT), 0), count(*) FROM stored_blob WHERE space = $1", []any{domainID}, &t.Bytes, &t.Files)
		return t, err
	}
	_, err := tx.one(`SELECT coalesce(CAST(sum(a.size) AS BIGINT), 0), count(*)
		FROM package p JOIN version v ON v.package_id = p.id JOIN asset a ON a.version_id = v.id WHERE p.repository_id = $1`,
		[]any{repositoryID}, &t.Bytes, &t.Files)
	if err != nil {
		return t, err
	}
	_, err = tx.one("SELECT count(*) FROM package p JOIN version v ON v.package_id = p.id WHERE p.repository_id = $1", []any{repositoryID}, &t.Versions)
	return t, err
}

// CorrectUsage moves a total by what it is off. It does nothing when the total
// is gone.
func (tx *Tx) CorrectUsage(by UsageTotal) error {
	_, err := tx.exec("UPDATE usage_total SET bytes = bytes + $3, files = files + $4, versions = versions + $5 WHERE domain_id = $1 AND repository_id = $2",
		by.DomainID, by.RepositoryID, by.Bytes, by.Files, by.Versions)
	return err
}

// FoldUsage takes up to limit deltas into the totals, the series and what is
// known of packages, and tells how many there were. Several may do so at once.
func (tx *Tx) FoldUsage(limit int) (int, error) {
	type row struct {
		id, at int64
		usageDelta
	}
	read := func(scan func(...any) error) (r row, err error) {
		err = scan(&r.id, &r.at, &r.domainID, &r.repositoryID, &r.packageID, &r.bytes, &r.files, &r.versions, &r.published, &r.deleted)
		return r, err
	}
	q := newQuery("SELECT id, at, domain_id, repository_id, package_id, bytes, files, versions, published, deleted FROM usage_delta ORDER BY id").
		limit(limit).add(tx.dialect.skipLocked)
	rows, err := all(tx, read, q)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	closed, err := tx.usageMark(markClosed)
	if err != nil {
		return 0, err
	}
	totals, counted := usageSum[[2]string]{}, usageSum[pointKey]{}
	packages, owners := usageSum[packageDay]{}, map[string]string{}
	for _, r := range rows {
		totals.add([2]string{r.domainID, r.repositoryID}, r.bytes, r.files, r.versions)
		if r.repositoryID == "" || r.published == 0 && r.deleted == 0 {
			continue
		}
		at := max(minuteOf(fromMicros(r.at)), closed)
		series := [][2]string{{r.domainID, r.repositoryID}, {r.domainID, ""}}
		owner, err := tx.ownerOf(r.domainID, owners)
		if err != nil {
			return 0, err
		}
		if owner != "" {
			series = append(series, [2]string{owner, ""})
		}
		for _, s := range series {
			counted.add(pointKey{s[0], s[1], MetricPublished, at}, r.published)
			counted.add(pointKey{s[0], s[1], MetricDeleted, at}, r.deleted)
		}
		packages.add(packageDay{r.packageID, dayOf(fromMicros(r.at))}, r.published, r.deleted)
	}
	for _, k := range totals.keys {
		s := totals.of[k]
		if err := tx.CorrectUsage(UsageTotal{k[0], k[1], s[0], s[1], s[2]}); err != nil {
			return 0, err
		}
	}
	slices.SortFunc(counted.keys, pointKey.compare) // others write to those of a domain, too
	for _, k := range counted.keys {
		if err := tx.addPoint(k, counted.of[k][0]); err != nil {
			return 0, err
		}
	}
	for _, k := range packages.keys {
		s := packages.of[k]
		if err := tx.addPackageDay(k, PackageCounts{Published: s[0], Deleted: s[1]}); err != nil {
			return 0, err
		}
	}
	for start := 0; start < len(rows); start += maxIn {
		gone := newQuery("DELETE FROM usage_delta WHERE id IN (")
		for i := range maxIn {
			if i > 0 {
				gone.text.WriteByte(',')
			}
			gone.placeholder(rows[min(start+i, len(rows)-1)].id)
		}
		gone.text.WriteByte(')')
		if _, err := tx.exec(gone.text.String(), gone.args...); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// usageSum adds up some numbers by key, and remembers the keys in the order
// they came: transactions that meet should write in one order.
type usageSum[K comparable] struct {
	of   map[K]*[3]int64
	keys []K
}

func (s *usageSum[K]) add(k K, amounts ...int64) {
	if s.of == nil {
		s.of = map[K]*[3]int64{}
	}
	t, ok := s.of[k]
	if !ok {
		t = &[3]int64{}
		s.of[k] = t
		s.keys = append(s.keys, k)
	}
	for i, n := range amounts {
		t[i] += n
	}
}

// Counts are what is counted of the requests of a repository.
type Counts struct {
	Requests  int64 // answered
	Downloads int64 // assets sent whole
	Hits      int64 // assets and documents answered from here
	Misses    int64 // those fetched outside to be answered
	Bytes     int64 // sent, of bodies
	Saved     int64 // bytes sent of what comes from outside, without fetching it
	Errors    int64 // answered with 5xx
	Refused   int64 // answered with 4xx
}

// Add adds.
func (c *Counts) Add(o Counts) {
	c.Requests += o.Requests
	c.Downloads += o.Downloads
	c.Hits += o.Hits
	c.Misses += o.Misses
	c.Bytes += o.Bytes
	c.Saved += o.Saved
	c.Errors += o.Errors
	c.Refused += o.Refused
}

// RepositoryUse is what was counted of one repository.
type RepositoryUse struct {
	DomainID, RepositoryID string
	Counts
}

// VersionUse is what was counted of one version of a package, or of the package
// where Version is empty. RepositoryID is the one that was asked.
type VersionUse struct {
	RepositoryID                          string
	Coordinates                           artifact.Coordinates
	Version                               string
	Downloads, Hits, Misses, Bytes, Saved int64
	Last                                  time.Time // of the downloads
}

// UsageFlush is what one process has counted since its last flush, or a part.
type UsageFlush struct {
	Node         string // the process
	Number       int64  // grows from flush to flush of a process
	At           time.Time
	Repositories []RepositoryUse
	Versions     []VersionUse
}

// RecordUsage adds a flush to what is known; one that is known already changes
// nothing.
func (tx *Tx) RecordUsage(f UsageFlush) error {
	n, err := tx.exec(`INSERT INTO usage_flush (node, last, at) VALUES ($1, $2, $3)
		ON CONFLICT (node) DO UPDATE SET last = excluded.last, at = excluded.at WHERE usage_flush.last < excluded.last`,
		f.Node, f.Number, tx.now().UnixMicro())
	if err != nil || n == 0 {
		return err
	}
	closed, err := tx.usageMark(markClosed)
	if err != nil {
		return err
	}
	at := max(minuteOf(f.At), closed)
	sums := map[string]Counts{} // of domains and of accounts
	owners := map[string]string{}
	for _, r := range f.Repositories {
		owner, err := tx.ownerOf(r.DomainID, owners)
		if err != nil {
			return err
		}
		for _, id := range []string{r.DomainID, owner} {
			c := sums[id]
			c.Add(r.Counts)
			sums[id] = c
		}
		if err := tx.addCounts(r.DomainID, r.RepositoryID, at, r.Counts); err != nil {
			return err
		}
	}
	delete(sums, "")                                    // the account of domains that are gone
	for _, id := range slices.Sorted(maps.Keys(sums)) { // in one order, as repositories come
		if err := tx.addCounts(id, "", at, sums[id]); err != nil {
			return err
		}
	}
	for _, v := range f.Versions {
		if err := tx.recordVersion(v, f.At); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf is the account of a domain, empty when it is gone. known has those
// that were asked for already.
func (tx *Tx) ownerOf(domainID string, known map[string]string) (string, error) {
	owner, ok := known[domainID]
	if ok {
		return owner, nil
	}
	_, err := tx.one("SELECT owner FROM domain WHERE id = $1", []any{domainID}, &owner)
	known[domainID] = owner
	return owner, err
}

func (tx *Tx) addCounts(domainID, repositoryID string, at int64, c Counts) error {
	for _, m := range [...]struct {
		metric string
		n      int64
	}{
		{MetricRequests, c.Requests},
		{MetricDownloads, c.Downloads},
		{MetricHits, c.Hits},
		{MetricMisses, c.Misses},
		{MetricBytes, c.Bytes},
		{MetricSaved, c.Saved},
		{MetricErrors, c.Errors},
		{MetricRefused, c.Refused},
	} {
		if err := tx.addPoint(pointKey{domainID, repositoryID, m.metric, at}, m.n); err != nil {
			return err
		}
	}
	return nil
}

// recordVersion adds to what is known of a version and its package, as far as
// the repository holds them: of what is only upstream it keeps no record.
func (tx *Tx) recordVersion(v VersionUse, at time.Time) error {
	var packageID string
	var versionID *string
	found, err := tx.one(`SELECT p.id, v.id FROM package p LEFT JOIN version v ON v.package_id = p.id AND v.number = $5
		WHERE p.repository_id = $1 AND p.format = $2 AND p.namespace = $3 AND p.name = $4`,
		[]any{v.RepositoryID, string(v.Coordinates.Format), v.Coordinates.Namespace, v.Coordinates.Name, v.Version}, &packageID, &versionID)
	if err != nil || !found {
		return err
	}
	counts := PackageCounts{Downloads: v.Downloads, Bytes: v.Bytes, Saved: v.Saved, Hits: v.Hits, Misses: v.Misses}
	if err := tx.addPackageDay(packageDay{packageID, dayOf(at)}, counts); err != nil || versionID == nil || v.Downloads == 0 {
		return err
	}
	_, err = tx.exec(`INSERT INTO version_usage (version_id, last_download, downloads) VALUES ($1, $2, $3)
		ON CONFLICT (version_id) DO UPDATE SET downloads = version_usage.downloads + excluded.downloads,
			last_download = CASE WHEN excluded.last_download > version_usage.last_download THEN excluded.last_download ELSE version_usage.last_download END`,
		*versionID, micros(v.Last), v.Downloads)
	return err
}

// packageDay names a package on a day since 1970 UTC.
type packageDay struct {
	packageID string
	day       int64
}

// PackageCounts are what is counted of a package.
type PackageCounts struct {
	Downloads, Bytes, Saved, Hits, Misses, Published, Deleted int64
}

func (tx *Tx) addPackageDay(k packageDay, c PackageCounts) error {
	_, err := tx.exec(`INSERT INTO usage_package (package_id, day, downloads, bytes, saved, hits, misses, published, deleted)
		SELECT id, $2, $3, $4, $5, $6, $7, $8, $9 FROM package WHERE id = $1
		ON CONFLICT (package_id, day) DO UPDATE SET downloads = usage_package.downloads + excluded.downloads, bytes = usage_package.bytes + excluded.bytes,
			saved = usage_package.saved + excluded.saved, hits = usage_package.hits + excluded.hits, misses = usage_package.misses + excluded.misses,
			published = usage_package.published + excluded.published, deleted = usage_package.deleted + excluded.deleted`,
		k.packageID, k.day, c.Downloads, c.Bytes, c.Saved, c.Hits, c.Misses, c.Published, c.Deleted)
	return err
}

// UsageSince is when counting began on this database, which is now for one that
// does not say.
func (tx *Tx) UsageSince() (time.Time, error) {
	us, err := tx.usageMark(markSince)
	if us == 0 {
		return tx.Now(), err
	}
	return fromMicros(us), err
}

// BeginUsage notes that counting begins now, once.
func (tx *Tx) BeginUsage() error {
	_, err := tx.exec("INSERT INTO meta (meta_key, meta_value) VALUES ($1, $2) ON CONFLICT DO NOTHING", markSince, fmt.Sprint(tx.now().UnixMicro()))
	return err
}
