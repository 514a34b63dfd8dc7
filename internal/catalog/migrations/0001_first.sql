-- The first schema. One text for SQLite and PostgreSQL: the words keytext,
-- bytes and autonumber and the clause WITHOUT ROWID are replaced by the dialect
-- where an engine spells them otherwise (dialect.go).
--
-- keytext sorts by bytes on both engines. Times are microseconds since 1970 UTC.
-- Digests are lower-case hex; an empty one is not known. Booleans are 0 and 1.
-- There are no foreign keys: one writer on SQLite and serialisable transactions
-- on PostgreSQL keep children and parents together, and a repository of a
-- hundred thousand packages must be able to go in small steps.

CREATE TABLE account (
	id      keytext PRIMARY KEY,
	created BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE iam_user (
	account keytext NOT NULL,
	name    keytext NOT NULL,
	path    keytext NOT NULL,
	id      keytext NOT NULL UNIQUE,
	created BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

CREATE TABLE access_key (
	id        keytext PRIMARY KEY,
	account   keytext NOT NULL,
	user_name keytext NOT NULL,
	secret    keytext NOT NULL,
	status    keytext NOT NULL,
	created   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_key_user ON access_key (account, user_name);

CREATE TABLE identity_policy (
	account        keytext NOT NULL,
	principal_kind keytext NOT NULL,
	principal_name keytext NOT NULL,
	policy_name    keytext NOT NULL,
	document       TEXT NOT NULL,
	managed_arn    keytext NOT NULL,
	PRIMARY KEY (account, principal_kind, principal_name, policy_name)
) WITHOUT ROWID;

CREATE TABLE signing_key (
	id           keytext PRIMARY KEY,
	secret       bytes NOT NULL,
	created      BIGINT NOT NULL,
	retire_after BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE domain (
	id             keytext PRIMARY KEY,
	owner          keytext NOT NULL,
	name           keytext NOT NULL,
	status         keytext NOT NULL,
	encryption_key keytext NOT NULL,
	created        BIGINT NOT NULL,
	cross_block    BIGINT NOT NULL,
	UNIQUE (owner, name)
) WITHOUT ROWID;

CREATE TABLE tag (
	resource_arn keytext NOT NULL,
	tag_key      keytext NOT NULL,
	tag_value    keytext NOT NULL,
	PRIMARY KEY (resource_arn, tag_key)
) WITHOUT ROWID;

-- upstreams holds repository ids, connections names; both JSON arrays in order.
CREATE TABLE repository (
	id            keytext PRIMARY KEY,
	domain_id     keytext NOT NULL,
	name          keytext NOT NULL,
	administrator keytext NOT NULL,
	description   keytext NOT NULL,
	created       BIGINT NOT NULL,
	format        keytext NOT NULL,
	upstreams     TEXT NOT NULL,
	connections   TEXT NOT NULL,
	UNIQUE (domain_id, name)
) WITHOUT ROWID;
CREATE INDEX repository_administrator ON repository (administrator, name, domain_id);

CREATE TABLE resource_policy (
	resource_arn keytext PRIMARY KEY,
	kind         keytext NOT NULL,
	document     TEXT NOT NULL,
	revision     keytext NOT NULL
) WITHOUT ROWID;

CREATE TABLE package (
	id                keytext NOT NULL UNIQUE,
	domain_id         keytext NOT NULL,
	repository_id     keytext NOT NULL,
	format            keytext NOT NULL,
	namespace         keytext NOT NULL,
	name              keytext NOT NULL,
	display_name      keytext NOT NULL,
	publish           keytext NOT NULL,
	upstream          keytext NOT NULL,
	explicit          BIGINT NOT NULL,
	created           BIGINT NOT NULL,
	PRIMARY KEY (repository_id, format, namespace, name)
) WITHOUT ROWID;

CREATE TABLE dist_tag (
	package_id keytext NOT NULL,
	tag        keytext NOT NULL,
	version    keytext NOT NULL,
	PRIMARY KEY (package_id, tag)
) WITHOUT ROWID;

CREATE TABLE version (
	id                keytext NOT NULL UNIQUE,
	package_id        keytext NOT NULL,
	number            keytext NOT NULL,
	status            keytext NOT NULL,
	revision          keytext NOT NULL,
	origin_type       keytext NOT NULL,
	origin_repository keytext NOT NULL,
	origin_connection keytext NOT NULL,
	published         BIGINT NOT NULL,
	PRIMARY KEY (package_id, number)
) WITHOUT ROWID;
CREATE INDEX version_published ON version (package_id, published DESC, number);

-- Apart from version, so that listing versions does not read past manifests.
CREATE TABLE manifest (
	version_id keytext PRIMARY KEY,
	body       bytes NOT NULL
);

CREATE TABLE asset (
	version_id keytext NOT NULL,
	name       keytext NOT NULL,
	space      keytext NOT NULL,
	size       BIGINT NOT NULL,
	sha256     keytext NOT NULL,
	sha512     keytext NOT NULL,
	sha1       keytext NOT NULL,
	md5        keytext NOT NULL,
	PRIMARY KEY (version_id, name)
) WITHOUT ROWID;
CREATE INDEX asset_blob ON asset (space, sha256);

CREATE TABLE stored_blob (
	space   keytext NOT NULL,
	sha256  keytext NOT NULL,
	size    BIGINT NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (space, sha256)
) WITHOUT ROWID;

CREATE TABLE remote_document (
	connection    keytext NOT NULL,
	format        keytext NOT NULL,
	namespace     keytext NOT NULL,
	name          keytext NOT NULL,
	status        BIGINT NOT NULL,
	etag          TEXT NOT NULL,
	last_modified TEXT NOT NULL,
	source_url    TEXT NOT NULL,
	checked       BIGINT NOT NULL,
	changed       BIGINT NOT NULL,
	sha256        keytext NOT NULL,
	size          BIGINT NOT NULL,
	PRIMARY KEY (connection, format, namespace, name)
) WITHOUT ROWID;
CREATE INDEX remote_document_blob ON remote_document (sha256);

CREATE TABLE outbox (
	seq       autonumber,
	id        keytext NOT NULL UNIQUE,
	at        BIGINT NOT NULL,
	sequence  BIGINT NOT NULL,
	event     TEXT NOT NULL,
	delivered BIGINT NOT NULL
);
CREATE INDEX outbox_delivered ON outbox (delivered, seq);

-- The last event number of a package; outlives the package, so that numbers
-- never go back.
CREATE TABLE event_sequence (
	owner      keytext NOT NULL,
	domain     keytext NOT NULL,
	repository keytext NOT NULL,
	format     keytext NOT NULL,
	namespace  keytext NOT NULL,
	name       keytext NOT NULL,
	last       BIGINT NOT NULL,
	PRIMARY KEY (owner, domain, repository, format, namespace, name)
) WITHOUT ROWID;

CREATE TABLE job (
	id           keytext PRIMARY KEY,
	kind         keytext NOT NULL,
	job_key      keytext NOT NULL,
	payload      TEXT NOT NULL,
	run_at       BIGINT NOT NULL,
	attempts     BIGINT NOT NULL,
	leased_until BIGINT NOT NULL,
	again        BIGINT NOT NULL,
	last_error   TEXT NOT NULL,
	UNIQUE (kind, job_key)
) WITHOUT ROWID;
CREATE INDEX job_due ON job (run_at);

CREATE TABLE meta (
	meta_key   keytext PRIMARY KEY,
	meta_value TEXT NOT NULL
) WITHOUT ROWID;

-- What other processes must hear of (change.go); scope is a JSON array.
CREATE TABLE change (
	seq   autonumber,
	at    BIGINT NOT NULL,
	node  keytext NOT NULL,
	scope TEXT NOT NULL
);
CREATE INDEX change_at ON change (at);
