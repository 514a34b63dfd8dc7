package catalog

import (
	"strings"
	"time"
)

// RemoteSpace is the space of outside documents. The other spaces are domain IDs.
const RemoteSpace = "remote"

// StoredBlob is one content kept in the blob store, once per space.
type StoredBlob struct {
	Space   string
	SHA256  string    // lower-case hex
	Size    int64     // bytes
	Created time.Time // when it was recorded, or else when the last reference to it went
}

// HoldBlob keeps the row of a content from being changed by others until the
// transaction ends, and tells whether it is there. Whoever adds a reference
// holds it, and so does the sweep before it looks for references: of two that
// meet, the later one fails and is run again, before it has touched any bytes.
func (tx *Tx) HoldBlob(space, sha256 string) (bool, error) {
	n, err := tx.exec("UPDATE stored_blob SET size = size WHERE space = $1 AND sha256 = $2", space, sha256)
	return n > 0, err
}

// StoreBlob records that a space keeps a content, and holds it; one known
// already stays as it is.
func (tx *Tx) StoreBlob(space, sha256 string, size int64) error {
	n, err := tx.exec("INSERT INTO stored_blob (space, sha256, size, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		space, sha256, size, tx.now().UnixMicro())
	if err != nil {
		return err
	}
	if n == 0 {
		_, err := tx.HoldBlob(space, sha256)
		return err
	}
	if space != RemoteSpace {
		tx.counts(usageDelta{domainID: space, bytes: size, files: 1})
	}
	return nil
}

func scanStoredBlob(scan func(...any) error) (b StoredBlob, err error) {
	var created int64
	err = scan(&b.Space, &b.SHA256, &b.Size, &created)
	b.Created = fromMicros(created)
	return b, err
}

// blobReferences are the tables whose rows keep a content: what is not referred
// to in one of them is swept away. SPACE and SHA256 are the content's; each needs
// an index by digest.
var blobReferences = []string{ //nolint:gochecknoglobals // a table
	"SELECT 1 FROM asset r WHERE r.space = SPACE AND r.sha256 = SHA256",
	"SELECT 1 FROM trash_asset r WHERE r.space = SPACE AND r.sha256 = SHA256",
	"SELECT 1 FROM remote_document r WHERE SPACE = '" + RemoteSpace + "' AND r.sha256 = SHA256",
}

// referenced is the condition that something refers to a content.
func referenced(space, sha256 string) string {
	text := "(EXISTS (" + strings.Join(blobReferences, ") OR EXISTS (") + "))"
	return strings.NewReplacer("SPACE", space, "SHA256", sha256).Replace(text)
}

// UnreferencedBlobs lists blobs recorded before t that nothing has referred to
// since (blobReferences), by space and SHA-256 after the given one; an empty space
// means every space. Look again (HasBlobReference) in the transaction that
// deletes the row.
func (tx *Tx) UnreferencedBlobs(space string, t time.Time, after StoredBlob, limit int) ([]StoredBlob, error) {
	q := newQuery("SELECT b.space, b.sha256, b.size, b.created FROM stored_blob b WHERE ").
		add("(b.space, b.sha256) > (?, ?) AND b.created < ?", after.Space, after.SHA256, micros(t))
	if space != "" {
		q.add(" AND b.space = ?", space)
	}
	return all(tx, scanStoredBlob, q.add(" AND NOT "+referenced("b.space", "b.sha256")+" ORDER BY b.space, b.sha256").limit(limit))
}

// letGo begins the grace of those of some contents that nothing refers to any more.
func (tx *Tx) letGo(space string, sha256s []string) error {
	for part := range chunks(sha256s) {
		q := newQuery("UPDATE stored_blob SET created = ").add("? WHERE space = ? AND ", tx.now().UnixMicro(), space).in("sha256", part).
			add(" AND NOT " + referenced("stored_blob.space", "stored_blob.sha256"))
		if _, err := tx.exec(q.text.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// HasBlobReference tells whether anything refers to a blob of a space.
func (tx *Tx) HasBlobReference(space, sha256 string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 WHERE "+referenced("$1", "$2"), []any{space, sha256}, &one)
}

// HasBlob tells whether a space keeps a content.
func (tx *Tx) HasBlob(space, sha256 string) (bool, error) {
	var one int64
	return tx.one("SELECT 1 FROM stored_blob WHERE space = $1 AND sha256 = $2", []any{space, sha256}, &one)
}

// HasBlobs tells which of some contents a space keeps.
func (tx *Tx) HasBlobs(space string, sha256s []string) (map[string]bool, error) {
	kept := make(map[string]bool, len(sha256s))
	for part := range chunks(sha256s) {
		some, err := all(tx, scanString, newQuery("SELECT sha256 FROM stored_blob WHERE ").add("space = ? AND ", space).in("sha256", part))
		if err != nil {
			return nil, err
		}
		for _, sha256 := range some {
			kept[sha256] = true
		}
	}
	return kept, nil
}

// DeleteBlob removes the row of a blob, present or not.
func (tx *Tx) DeleteBlob(space, sha256 string) error {
	var size int64
	found, err := tx.one("DELETE FROM stored_blob WHERE space = $1 AND sha256 = $2 RETURNING size", []any{space, sha256}, &size)
	if found && space != RemoteSpace {
		tx.counts(usageDelta{domainID: space, bytes: -size, files: -1})
	}
	return err
}
