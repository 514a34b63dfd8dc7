package catalog

import (
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
	if err != nil {
		q = Quota{Scope: scope, DomainID: domainID}
		if q.Held, err = tx.holding(domainID, scope); err != nil {
			return q, err
		}
	}
	q.Limits = l
	tx.configChanged()
	delete(tx.quotas, scope)
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

// counted gives the quota of a scope as this transaction left it, nil when
// there is none. Most have none, so that is one look per scope and transaction.
func (tx *Tx) counted(scope string) (*Quota, error) {
	if q, ok := tx.quotas[scope]; ok {
		return q, nil
	}
	var found *Quota
	q, err := tx.Quota(scope)
	switch {
	case err == nil:
		found = &q
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	if tx.quotas == nil {
		tx.quotas = map[string]*Quota{}
	}
	tx.quotas[scope] = found
	return found, nil
}

// count adds to what a scope holds.
func (tx *Tx) count(scope string, bytes, versions int64) error {
	q, err := tx.counted(scope)
	if err != nil || q == nil || bytes == 0 && versions == 0 {
		return err
	}
	q.Held.Bytes += bytes
	q.Held.Versions += versions
	_, err = tx.exec("UPDATE quota SET bytes = bytes + $2, versions = versions + $3 WHERE scope = $1", scope, bytes, versions)
	return err
}

// countVersions adds to the versions of a repository and its domain.
func (tx *Tx) countVersions(domainID, repositoryID string, n int64) error {
	if err := tx.count(repositoryID, 0, n); err != nil {
		return err
	}
	return tx.count(domainID, 0, n)
}

// countAsset adds an asset that has just been inserted.
func (tx *Tx) countAsset(domainID, repositoryID string, size int64, sha256 string) error {
	if err := tx.count(repositoryID, size, 0); err != nil {
		return err
	}
	q, err := tx.counted(domainID)
	if err != nil || q == nil {
		return err
	}
	if n, err := tx.references(domainID, sha256); err != nil || n > 1 {
		return err
	}
	return tx.count(domainID, size, 0)
}

// references counts the assets with a content, as far as two.
func (tx *Tx) references(space, sha256 string) (n int64, err error) {
	_, err = tx.one("SELECT count(*) FROM (SELECT 1 FROM asset WHERE space = $1 AND sha256 = $2 LIMIT 2) a", []any{space, sha256}, &n)
	return n, err
}

// dropAssets deletes the assets of some versions of a repository, or the one
// called name, and takes them off what is held. It tells how many there were.
func (tx *Tx) dropAssets(domainID, repositoryID string, versionIDs []string, name *string) (n int64, err error) {
	of := func(text string) *query {
		q := newQuery(text+" FROM asset WHERE ").in("version_id", versionIDs)
		if name != nil {
			q.add(" AND name = ?", *name)
		}
		return q
	}
	repository, err := tx.counted(repositoryID)
	if err != nil {
		return 0, err
	}
	domain, err := tx.counted(domainID)
	if err != nil {
		return 0, err
	}
	var going []Asset
	if repository != nil || domain != nil {
		if going, err = all(tx, scanAsset, of("SELECT "+assetColumns)); err != nil {
			return 0, err
		}
	}
	gone := of("DELETE")
	if n, err = tx.exec(gone.text.String(), gone.args...); err != nil || len(going) == 0 {
		return n, err
	}
	sizes := make(map[string]int64, len(going))
	var bytes int64
	for _, a := range going {
		bytes += a.Size
		sizes[a.Digests.Hex(digest.SHA256)] = a.Size
	}
	if err := tx.count(repositoryID, -bytes, 0); err != nil || domain == nil {
		return n, err
	}
	bytes = 0
	for sha256, size := range sizes {
		left, err := tx.references(domainID, sha256)
		if err != nil {
			return n, err
		}
		if left == 0 {
			bytes += size
		}
	}
	return n, tx.count(domainID, -bytes, 0)
}

// Admit tells whether a repository may take so many more versions and these
// assets, given what it and its domain hold now; what the caller replaces must be
// deleted before. Quota, saying which limit is in the way, when it may not.
func (tx *Tx) Admit(domain string, r Repository, versions int, assets []artifact.Asset) error {
	for _, s := range []struct{ kind, name, id string }{{"repository", r.Name, r.ID}, {"domain", domain, r.DomainID}} {
		q, err := tx.counted(s.id)
		if err != nil {
			return err
		}
		if q == nil {
			continue
		}
		more := Holding{Versions: int64(versions)}
		seen := map[string]bool{}
		for _, a := range assets {
			if err := q.Takes(s.kind, s.name, a.Name, a.Size); err != nil {
				return err
			}
			if sha256 := a.Digests.Hex(digest.SHA256); s.id == r.DomainID {
				n, err := tx.references(s.id, sha256)
				if err != nil {
					return err
				}
				if n > 0 || seen[sha256] {
					continue
				}
				seen[sha256] = true
			}
			more.Bytes += a.Size
		}
		if err := q.admit(s.kind, s.name, more); err != nil {
			return err
		}
	}
	return nil
}

func (q *Quota) admit(kind, name string, more Holding) error {
	if over(q.Versions, q.Held.Versions, more.Versions) {
		return fault.About(fault.Quota, kind, name, "the %s %s may hold %d versions (maxVersions of its quota) and holds %d; delete versions that are not needed, or raise the quota",
			kind, name, *q.Versions, q.Held.Versions)
	}
	if over(q.Bytes, q.Held.Bytes, more.Bytes) {
		return fault.About(fault.Quota, kind, name, "the %s %s may hold %d bytes (maxBytes of its quota) and holds %d; %d more do not fit: delete versions that are not needed, or raise the quota",
			kind, name, *q.Bytes, q.Held.Bytes, more.Bytes)
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
