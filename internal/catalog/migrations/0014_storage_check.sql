-- Checks of every stored byte against its digest, and what they found.

-- domain_id is empty for a check of everything. space and sha256 are the last
-- content that was looked at; rate is in bytes per second, 0 for no bound.
CREATE TABLE storage_check (
	id           keytext PRIMARY KEY,
	domain_id    keytext NOT NULL,
	repair       BIGINT NOT NULL,
	rate         BIGINT NOT NULL,
	state        keytext NOT NULL,
	phase        keytext NOT NULL,
	space        keytext NOT NULL,
	sha256       keytext NOT NULL,
	contents     BIGINT NOT NULL,
	bytes        BIGINT NOT NULL,
	all_contents BIGINT NOT NULL,
	all_bytes    BIGINT NOT NULL,
	created      BIGINT NOT NULL,
	updated      BIGINT NOT NULL,
	finished     BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX storage_check_domain ON storage_check (domain_id, id);

CREATE TABLE storage_finding (
	check_id keytext NOT NULL,
	space    keytext NOT NULL,
	sha256   keytext NOT NULL,
	kind     keytext NOT NULL,
	outcome  keytext NOT NULL,
	detail   TEXT NOT NULL,
	at       BIGINT NOT NULL,
	PRIMARY KEY (check_id, space, sha256, kind)
) WITHOUT ROWID;
