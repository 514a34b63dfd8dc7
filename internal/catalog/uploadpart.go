package catalog

import "time"

// UploadPart is a piece of an asset that is being sent in several requests.
type UploadPart struct {
	SHA256 string // lower-case hex
	Size   int64  // bytes
}

// PutUploadPart notes that the bytes of a part are stored; one that is known is
// kept for as long again.
func (tx *Tx) PutUploadPart(upload string, p UploadPart) error {
	_, err := tx.exec(`INSERT INTO upload_part (upload, sha256, size, created) VALUES ($1, $2, $3, $4)
		ON CONFLICT (upload, sha256) DO UPDATE SET created = excluded.created`, upload, p.SHA256, p.Size, tx.now().UnixMicro())
	return err
}

// UploadParts lists the parts of an upload.
func (tx *Tx) UploadParts(upload string) ([]UploadPart, error) {
	scan := func(scan func(...any) error) (p UploadPart, err error) {
		err = scan(&p.SHA256, &p.Size)
		return p, err
	}
	return all(tx, scan, newQuery("SELECT sha256, size FROM upload_part WHERE ").add("upload = ?", upload))
}

// UploadSize tells how many parts an upload has and how many bytes they are.
func (tx *Tx) UploadSize(upload string) (parts, bytes int64, err error) {
	_, err = tx.one("SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM upload_part WHERE upload = $1", []any{upload}, &parts, &bytes)
	return parts, bytes, err
}

// DeleteUploadPart forgets one part, present or not.
func (tx *Tx) DeleteUploadPart(upload, sha256 string) error {
	_, err := tx.exec("DELETE FROM upload_part WHERE upload = $1 AND sha256 = $2", upload, sha256)
	return err
}

// DeleteUpload forgets all parts of an upload.
func (tx *Tx) DeleteUpload(upload string) error {
	_, err := tx.exec("DELETE FROM upload_part WHERE upload = $1", upload)
	return err
}

// PurgeUploadParts forgets up to limit parts noted before t and tells how many.
func (tx *Tx) PurgeUploadParts(t time.Time, limit int) (int64, error) {
	return tx.exec(`DELETE FROM upload_part WHERE (upload, sha256) IN
		(SELECT upload, sha256 FROM upload_part WHERE created < $1 ORDER BY created LIMIT $2)`, micros(t), int64(limit))
}
