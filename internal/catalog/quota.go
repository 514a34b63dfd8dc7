package catalog

import (
	"maps"
	"slices"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// Limits of what a repository, or all repositories of a domain, may hold. Nil is
// no limit.
type Limits struct {
	Bytes      *int64 // of all assets; of a domain, each content once
	Versions   *int64 // of all packages
	AssetBytes *int64 // of any one asset
}

// Quota is the limits of a repository or domain with what it holds.
type Quota struct {
	Limits
	Scope    string // the ID of the repository or domain
	DomainID string
	Held     Holding
}

// Holding is what a repository or domain holds: bytes of its assets (a
// repository's count each asset, a domain's each content once), and versions of
// whatever status. What is deleted counts until its rows are gone.
type Holding struct{ Bytes, Versions int64 }

const noLimit = -1

func limitText(v *int64) int64 {
	if v == nil {
		return noLimit
	}
	return *v
}

const quotaColumns = "scope, domain_id, max_bytes, max_versions, max_asset_bytes, bytes, versions"

func scanQuota(scan func(...any) error) (q Quota, err error) {
	var bytes, versions, asset int64
	err = scan(&q.Scope, &q.DomainID, &bytes, &versions, &asset, &q.Held.Bytes, &q.Held.Versions)
	for _, l := range []struct {
		stored int64
		into   **int64
	}{{bytes, &q.Bytes}, {versions, &q.Versions}, {asset, &q.AssetBytes}} {
		if l.stored != noLimit {
			*l.into = new(l.stored)
		}
	}
	return q, err
}

// Quota finds the quota of a repository or domain by its ID; NotFound when it
// has none.
func (tx *Tx) Quota(scope string) (Quota, error) {
	return first(tx, scanQuota, fault.New(fault.NotFound, "there is no quota"),
		"SELECT "+quotaColumns+" FROM quota WHERE scope = $1", scope)
}

// Quotas lists the quotas of a domain and its repositories.
func (tx *Tx) Quotas(domainID string) ([]Quota, error) {
	return all(tx, scanQuota, newQuery("SELECT "+quotaColumns+" FROM quota WHERE ").add("domain_id = ?", domainID).add(" ORDER BY scope"))
}

// PutQuota sets the limits of a repository, or of a domain when scope is the
// ID of that, and gives them with what is held. The first time, what is held is
// added up, which reads every asset of it; from then on it is known.
func (tx *Tx) PutQuota(domainID, scope string, l Limits) (Quota, error) {
	q, err := tx.Quota(scope)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return q, err
	}
	added := err != nil
	if added {
		q = Quota{Scope: scope, DomainID: domainID}
		if q.Held, err = tx.holding(domainID, scope); err != nil {
			return q, err
		}
	}
	q.Limits = l
	tx.configChanged()
	delete(tx.quotas, scope)
	if added {
		delete(tx.holds, scope) // they were added up with the rest
	}
	_, err = tx.exec("INSERT INTO quota ("+quotaColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (scope) DO UPDATE
		SET max_bytes = excluded.max_bytes, max_versions = excluded.max_versions, max_asset_bytes = excluded.max_asset_bytes`,
		scope, domainID, limitText(l.Bytes), limitText(l.Versions), limitText(l.AssetBytes), q.Held.Bytes, q.Held.Versions)
	return q, err
}

// DeleteQuota removes a quota; NotFound when there is none.
func (tx *Tx) DeleteQuota(scope string) (Quota, error) {
	q, err := tx.Quota(scope)
	if err != nil {
		return q, err
	}
	return q, tx.dropQuotas("scope", scope)
}

func (tx *Tx) dropQuotas(column, value string) error {
	n, err := tx.exec("DELETE FROM quota WHERE "+column+" = $1", value)
	if n > 0 {
		tx.configChanged()
	}
	tx.quotas = nil
	return err
}

// holding adds up what a repository or domain holds.
func (tx *Tx) holding(domainID, scope string) (h Holding, err error) {
	if scope == domainID {
		_, err = tx.one(`SELECT
			(SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM (SELECT max(size) AS size FROM asset WHERE space = $1 GROUP BY sha256) a),
			(SELECT count(*) FROM package p JOIN version v ON v.package_id = p.id WHERE p.domain_id = $1)`, []any{domainID}, &h.Bytes, &h.Versions)
		return h, err
	}
	_, err = tx.one(`SELECT
		(SELECT CAST(coalesce(sum(a.size), 0) AS BIGINT) FROM package p JOIN version v ON v.package_id = p.id JOIN asset a ON a.version_id = v.id
			WHERE p.repository_id = $1),
		(SELECT count(*) FROM package p JOIN version v ON v.package_id = p.id WHERE p.repository_id = $1)`, []any{scope}, &h.Bytes, &h.Versions)
	return h, err
}

// CheckHoldings compares the counts of a domain's quotas with what is really
// held, and names the scopes that differ. It reads every asset; for tests and
// for whoever doubts.
func (tx *Tx) CheckHoldings(domainID string) (wrong map[string]Holding, err error) {
	rows, err := tx.Quotas(domainID)
	if err != nil {
		return nil, err
	}
	wrong = map[string]Holding{}
	for _, q := range rows {
		h, err := tx.holding(domainID, q.Scope)
		if err != nil {
			return nil, err
		}
		if h != q.Held {
			wrong[q.Scope] = h
		}
	}
	return wrong, nil
}

// counted gives the quota of a scope as it was when this transaction first
// looked, nil when there is none. Most have none, so that is one look per
// transaction: what is known to be asked for too, beside, is looked up with it.
func (tx *Tx) counted(scope string, beside ...string) (*Quota, error) {
	if q, ok := tx.quotas[scope]; ok {
		return q, nil
	}
	if tx.quotas == nil {
		tx.quotas = map[string]*Quota{}
	}
	unknown := []string{scope}
	for _, b := range beside {
		if _, ok := tx.quotas[b]; !ok {
			unknown = append(unknown, b)
		}
	}
	for part := range slices.Chunk(unknown, maxIn) {
		some, err := all(tx, scanQuota, newQuery("SELECT "+quotaColumns+" FROM quota WHERE ").in("scope", part))
		if err != nil {
			return nil, err
		}
		for _, s := range part {
			tx.quotas[s] = nil
		}
		for _, q := range some {
			tx.quotas[q.Scope] = &q
		}
	}
	return tx.quotas[scope], nil
}

// hold adds to what a repository and its domain hold; see Tx.counts.
func (tx *Tx) hold(domainID, repositoryID string, d usageDelta) {
	for scope, h := range map[string]Holding{repositoryID: {d.bytes, d.versions}, domainID: {d.contents, d.versions}} {
		if h == (Holding{}) {
			continue
		}
		if tx.holds == nil {
			tx.holds = map[string]Holding{}
		}
		sum := tx.holds[scope]
		tx.holds[scope] = Holding{sum.Bytes + h.Bytes, sum.Versions + h.Versions}
	}
}

// putHoldings writes what the transaction has done to what is held, in one order
// for all who do.
func (tx *Tx) putHoldings() error {
	scopes := slices.Sorted(maps.Keys(tx.holds))
	for _, scope := range scopes {
		h := tx.holds[scope]
		if h == (Holding{}) {
			continue
		}
		if q, err := tx.counted(scope, scopes...); err != nil {
			return err
		} else if q == nil {
			continue
		}
		if _, err := tx.exec("UPDATE quota SET bytes = bytes + $2, versions = versions + $3 WHERE scope = $1", scope, h.Bytes, h.Versions); err != nil {
			return err
		}
	}
	return nil
}

// newContents are the bytes that a domain has more of when assets come to one of
// its repositories, as far as its quota counts them. It is asked before they come.
func (tx *Tx) newContents(domainID, repositoryID string, assets ...artifact.Asset) (bytes int64, err error) {
	q, err := tx.counted(domainID, repositoryID)
	if err != nil || q == nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, a := range assets {
		sha256 := a.Digests.Hex(digest.SHA256)
		if seen[sha256] {
			continue
		}
		seen[sha256] = true
		switch there, err := tx.refers(domainID, sha256); {
		case err != nil:
			return 0, err
		case !there:
			bytes += a.Size
		}
	}
	return bytes, nil
}

// refers tells whether an asset of a domain has a content.
func (tx *Tx) refers(domainID, sha256 string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 FROM asset WHERE space = $1 AND sha256 = $2 LIMIT 1", []any{domainID, sha256}, &one)
}

// dropAssets deletes the assets of up to maxIn versions of a domain, or the one
// called name, and tells what went, in negative numbers.
func (tx *Tx) dropAssets(domainID string, versionIDs []string, name *string) (gone usageDelta, err error) {
	quota, err := tx.counted(domainID)
	if err != nil {
		return gone, err
	}
	q := newQuery("DELETE FROM asset WHERE ").in("version_id", versionIDs)
	if name != nil {
		q.add(" AND name = ?", *name)
	}
	sizes := map[string]int64{}
	err = tx.each(func(scan func(...any) error) error {
		var sha256 string
		var size int64
		if err := scan(&size, &sha256); err != nil {
			return err
		}
		gone.files--
		gone.bytes -= size
		sizes[sha256] = size
		return nil
	}, q.text.String()+" RETURNING size, sha256", q.args...)
	if err == nil {
		err = tx.letGo(domainID, slices.Sorted(maps.Keys(sizes)))
	}
	if err != nil || quota == nil {
		return gone, err
	}
	for sha256, size := range sizes {
		switch left, err := tx.refers(domainID, sha256); {
		case err != nil:
			return gone, err
		case !left:
			gone.contents -= size
		}
	}
	return gone, nil
}

// Admit tells whether a repository may take so many more versions and these
// assets, given what it and its domain hold now; what the caller replaces must be
// deleted before. Quota, saying which limit is in the way, when it may not.
func (tx *Tx) Admit(domain string, r Repository, versions int, assets []artifact.Asset) error {
	for _, s := range []struct{ kind, name, id string }{{"repository", r.Name, r.ID}, {"domain", domain, r.DomainID}} {
		q, err := tx.counted(s.id, r.ID, r.DomainID)
		if err != nil {
			return err
		}
		if q == nil {
			continue
		}
		held := q.Held
		held.Bytes += tx.holds[s.id].Bytes
		held.Versions += tx.holds[s.id].Versions
		more := Holding{Versions: int64(versions)}
		for _, a := range assets {
			if err := q.Takes(s.kind, s.name, a.Name, a.Size); err != nil {
				return err
			}
			more.Bytes += a.Size
		}
		if s.id == r.DomainID {
			if more.Bytes, err = tx.newContents(r.DomainID, r.ID, assets...); err != nil {
				return err
			}
		}
		if err := q.admit(s.kind, s.name, held, more); err != nil {
			return err
		}
	}
	return nil
}

func (q *Quota) admit(kind, name string, held, more Holding) error {
	if over(q.Versions, held.Versions, more.Versions) {
		return fault.About(fault.Quota, kind, name, "the %s %s may hold %d versions (maxVersions of its quota) and holds %d; delete versions that are not needed, or raise the quota",
			kind, name, *q.Versions, held.Versions)
	}
	if over(q.Bytes, held.Bytes, more.Bytes) {
		return fault.About(fault.Quota, kind, name, "the %s %s may hold %d bytes (maxBytes of its quota) and holds %d; %d more do not fit: delete versions that are not needed, or raise the quota",
			kind, name, *q.Bytes, held.Bytes, more.Bytes)
	}
	return nil
}

// over tells whether more does not fit; nothing always fits.
func over(most *int64, held, more int64) bool {
	return most != nil && more > 0 && more > *most-held
}

// Takes gives a Quota error when an asset of that size is over the limits of the
// scope whatever it holds.
func (l Limits) Takes(kind, name, asset string, size int64) error {
	if l.AssetBytes != nil && size > *l.AssetBytes {
		return fault.About(fault.Quota, kind, name, "%s is larger than the %d bytes that an asset may have in the %s %s (maxAssetBytes of its quota)", asset, *l.AssetBytes, kind, name)
	}
	return nil
}
