-- Access records: who did what, in blocks. A block holds many records in a form
-- of package audit, so a record costs some twenty bytes and no row.
--
-- With SQLite the first three tables are used in a file of their own, where
-- this step is the only one, and access_pending is used in the catalog.

-- Blocks as they were written, about one a second, not indexed. node is the
-- process that wrote it. Times are those of the first and last record.
CREATE TABLE access_raw (
	id       autonumber,
	node     keytext NOT NULL,
	first_at BIGINT NOT NULL,
	last_at  BIGINT NOT NULL,
	records  BIGINT NOT NULL,
	data     bytes NOT NULL
);
CREATE INDEX access_raw_age ON access_raw (last_at, id);

-- Many raw blocks folded into one. size is in bytes, with the block's keys.
CREATE TABLE access_block (
	id       autonumber,
	first_at BIGINT NOT NULL,
	last_at  BIGINT NOT NULL,
	records  BIGINT NOT NULL,
	size     BIGINT NOT NULL,
	data     bytes NOT NULL
);
CREATE INDEX access_block_age ON access_block (last_at, id);

-- What occurs in a folded block: hashes of principals, packages, versions and
-- so on. Two things may share a hash; whoever reads the block sees which it is.
CREATE TABLE access_block_key (
	hash    BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	block   BIGINT NOT NULL,
	PRIMARY KEY (hash, last_at, block)
) WITHOUT ROWID;

-- Records of calls that change something, committed with the change and gone
-- when the record is in a block.
CREATE TABLE access_pending (
	id   keytext PRIMARY KEY,
	at   BIGINT NOT NULL,
	data bytes NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_pending_age ON access_pending (at, id);
