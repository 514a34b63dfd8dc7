package catalog

import "time"

// RemoteSpace is the space of outside documents. The other spaces are domain IDs.
const RemoteSpace = "remote"

// StoredBlob is one content kept in the blob store, once per space.
type StoredBlob struct {
	Space   string
	SHA256  string // lower-case hex
	Size    int64  // bytes
	Created time.Time
}

// StoreBlob records that a space keeps a content; one known already stays as it
// is.
func (tx *Tx) StoreBlob(space, sha256 string, size int64) error {
	_, err := tx.exec("INSERT INTO stored_blob (space, sha256, size, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		space, sha256, size, tx.now().UnixMicro())
	return err
}

func scanStoredBlob(scan func(...any) error) (b StoredBlob, err error) {
	var created int64
	err = scan(&b.Space, &b.SHA256, &b.Size, &created)
	b.Created = fromMicros(created)
	return b, err
}

const unreferenced = ` AND NOT EXISTS (SELECT 1 FROM asset a WHERE a.space = b.space AND a.sha256 = b.sha256)
	AND NOT EXISTS (SELECT 1 FROM trash_asset t WHERE t.space = b.space AND t.sha256 = b.sha256)
	AND NOT (b.space = '` + RemoteSpace + `' AND EXISTS (SELECT 1 FROM remote_document d WHERE d.sha256 = b.sha256))`

// UnreferencedBlobs lists blobs recorded before t that no asset, in the trash or
// out of it, and no remote document refers to, by space and SHA-256 after the given one; an empty space
// means every space. Look again (HasBlobReference) in the transaction that
// deletes the row.
func (tx *Tx) UnreferencedBlobs(space string, t time.Time, after StoredBlob, limit int) ([]StoredBlob, error) {
	q := newQuery("SELECT b.space, b.sha256, b.size, b.created FROM stored_blob b WHERE ").
		add("(b.space, b.sha256) > (?, ?) AND b.created < ?", after.Space, after.SHA256, micros(t))
	if space != "" {
		q.add(" AND b.space = ?", space)
	}
	return all(tx, scanStoredBlob, q.add(unreferenced+" ORDER BY b.space, b.sha256").limit(limit))
}

// HasBlobReference tells whether an asset, in the trash or out of it, or a remote
// document refers to a blob of a space.
func (tx *Tx) HasBlobReference(space, sha256 string) (bool, error) {
	var n int64
	_, err := tx.one(`SELECT (SELECT count(*) FROM (SELECT 1 FROM asset WHERE space = $1 AND sha256 = $2 LIMIT 1) a)
		+ (SELECT count(*) FROM (SELECT 1 FROM trash_asset WHERE space = $1 AND sha256 = $2 LIMIT 1) a2)
		+ (SELECT count(*) FROM (SELECT 1 FROM remote_document WHERE sha256 = $2 AND $1 = '`+RemoteSpace+`' LIMIT 1) d)`,
		[]any{space, sha256}, &n)
	return n > 0, err
}

// HasBlob tells whether a space keeps a content.
func (tx *Tx) HasBlob(space, sha256 string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 FROM stored_blob WHERE space = $1 AND sha256 = $2", []any{space, sha256}, &one)
}

// DeleteBlob removes the row of a blob, present or not.
func (tx *Tx) DeleteBlob(space, sha256 string) error {
	_, err := tx.exec("DELETE FROM stored_blob WHERE space = $1 AND sha256 = $2", space, sha256)
	return err
}
