-- Parts of assets that are sent in several requests and not put together yet.
-- upload names the asset they are for, and only there they can be used: bytes
-- are kept once for equal parts, but knowing a hash must not be enough to get
-- at them. Rows that nobody renews are deleted; the sweep takes the bytes.
CREATE TABLE upload_part (
	upload  keytext NOT NULL,
	sha256  keytext NOT NULL,
	size    BIGINT NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (upload, sha256)
) WITHOUT ROWID;
CREATE INDEX upload_part_age ON upload_part (created);
