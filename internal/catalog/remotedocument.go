package catalog

import (
	"time"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// RemoteDocument is what is known of an outside registry's document about one
// package; its bytes are a blob of RemoteSpace. It follows from outside, so
// writing it announces no Change.
type RemoteDocument struct {
	Connection   string // which outside registry: connection name and a hash of its URL
	Coordinates  artifact.Coordinates
	Status       int // HTTP status of the answer: 200, 404, ...
	ETag         string
	LastModified string
	SourceURL    string
	CheckedAt    time.Time // last confirmed current
	ChangedAt    time.Time // last seen to differ
	BlobSHA256   string    // lower-case hex; empty without a body
	Size         int64     // bytes of the body
}

const remoteDocumentColumns = "connection, format, namespace, name, status, etag, last_modified, source_url, checked, changed, sha256, size"

func scanRemoteDocument(scan func(...any) error) (d RemoteDocument, err error) {
	var checked, changed int64
	err = scan(&d.Connection, (*string)(&d.Coordinates.Format), &d.Coordinates.Namespace, &d.Coordinates.Name, &d.Status,
		&d.ETag, &d.LastModified, &d.SourceURL, &checked, &changed, &d.BlobSHA256, &d.Size)
	d.CheckedAt, d.ChangedAt = fromMicros(checked), fromMicros(changed)
	return d, err
}

func remoteDocumentMissing(c artifact.Coordinates) error {
	return fault.About(fault.NotFound, "package", c.String(), "no remote document about "+c.String())
}

const remoteDocumentKey = " WHERE connection = $1 AND format = $2 AND namespace = $3 AND name = $4"

// RemoteDocument finds a document; NotFound when there is none.
func (tx *Tx) RemoteDocument(connection string, c artifact.Coordinates) (RemoteDocument, error) {
	return first(tx, scanRemoteDocument, remoteDocumentMissing(c),
		"SELECT "+remoteDocumentColumns+" FROM remote_document"+remoteDocumentKey, connection, string(c.Format), c.Namespace, c.Name)
}

// PutRemoteDocument stores a document and records its blob, if it has one.
func (tx *Tx) PutRemoteDocument(d RemoteDocument) error {
	_, err := tx.exec("INSERT INTO remote_document ("+remoteDocumentColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (connection, format, namespace, name) DO UPDATE SET status = excluded.status, etag = excluded.etag,
		last_modified = excluded.last_modified, source_url = excluded.source_url, checked = excluded.checked,
		changed = excluded.changed, sha256 = excluded.sha256, size = excluded.size`,
		d.Connection, string(d.Coordinates.Format), d.Coordinates.Namespace, d.Coordinates.Name, int64(d.Status),
		d.ETag, d.LastModified, d.SourceURL, micros(d.CheckedAt), micros(d.ChangedAt), d.BlobSHA256, d.Size)
	if err != nil || d.BlobSHA256 == "" {
		return err
	}
	return tx.StoreBlob(RemoteSpace, d.BlobSHA256, d.Size)
}

// TouchRemoteDocument records that a document was found current at t; NotFound
// without it.
func (tx *Tx) TouchRemoteDocument(connection string, c artifact.Coordinates, t time.Time) error {
	n, err := tx.exec("UPDATE remote_document SET checked = $5"+remoteDocumentKey,
		connection, string(c.Format), c.Namespace, c.Name, micros(t))
	if err == nil && n == 0 {
		return remoteDocumentMissing(c)
	}
	return err
}

// DeleteRemoteDocument forgets a document, present or not.
func (tx *Tx) DeleteRemoteDocument(connection string, c artifact.Coordinates) error {
	_, err := tx.exec("DELETE FROM remote_document"+remoteDocumentKey, connection, string(c.Format), c.Namespace, c.Name)
	return err
}

// RemoteDocuments lists a connection's documents by coordinates after the given
// ones; limit 0 means all.
func (tx *Tx) RemoteDocuments(connection string, after artifact.Coordinates, limit int) ([]RemoteDocument, error) {
	q := newQuery("SELECT "+remoteDocumentColumns+" FROM remote_document WHERE ").
		add("connection = ? AND (format, namespace, name) > (?, ?, ?)", connection, string(after.Format), after.Namespace, after.Name)
	return all(tx, scanRemoteDocument, q.add(" ORDER BY format, namespace, name").limit(limit))
}
