-- What is kept and what is used. A repository's and a domain's totals are kept
-- up to date by the transactions that change them, through usage_delta: rows
-- that are only ever added there, so that writers do not meet, and folded into
-- the totals about a second later. What a total is now is its row and the
-- deltas that wait.

-- repository_id is empty in the row of a domain, whose bytes are those of its
-- distinct contents (stored_blob) and whose files count them.
CREATE TABLE usage_total (
	domain_id     keytext NOT NULL,
	repository_id keytext NOT NULL,
	bytes         BIGINT NOT NULL,
	files         BIGINT NOT NULL,
	versions      BIGINT NOT NULL,
	PRIMARY KEY (domain_id, repository_id)
) WITHOUT ROWID;

INSERT INTO usage_total (domain_id, repository_id, bytes, files, versions)
	SELECT d.id, '', coalesce((SELECT CAST(sum(b.size) AS BIGINT) FROM stored_blob b WHERE b.space = d.id), 0),
		(SELECT count(*) FROM stored_blob b WHERE b.space = d.id), 0 FROM domain d;
INSERT INTO usage_total (domain_id, repository_id, bytes, files, versions)
	SELECT r.domain_id, r.id,
		coalesce((SELECT CAST(sum(a.size) AS BIGINT) FROM package p JOIN version v ON v.package_id = p.id JOIN asset a ON a.version_id = v.id WHERE p.repository_id = r.id), 0),
		(SELECT count(*) FROM package p JOIN version v ON v.package_id = p.id JOIN asset a ON a.version_id = v.id WHERE p.repository_id = r.id),
		(SELECT count(*) FROM package p JOIN version v ON v.package_id = p.id WHERE p.repository_id = r.id) FROM repository r;

-- published and deleted are versions; package_id is that of the package they
-- are of.
CREATE TABLE usage_delta (
	id            autonumber,
	at            BIGINT NOT NULL,
	domain_id     keytext NOT NULL,
	repository_id keytext NOT NULL,
	package_id    keytext NOT NULL,
	bytes         BIGINT NOT NULL,
	files         BIGINT NOT NULL,
	versions      BIGINT NOT NULL,
	published     BIGINT NOT NULL,
	deleted       BIGINT NOT NULL
);
CREATE INDEX usage_delta_repository ON usage_delta (domain_id, repository_id);

-- One metric of one repository, or of a domain where repository_id is empty.
CREATE TABLE usage_series (
	id            autonumber,
	domain_id     keytext NOT NULL,
	repository_id keytext NOT NULL,
	metric        keytext NOT NULL,
	UNIQUE (domain_id, repository_id, metric)
);

-- The points of a series. span is their width in minutes: 1, 60 or 1440; at is
-- the minute since 1970 UTC they begin at.
CREATE TABLE usage_point (
	series  BIGINT NOT NULL,
	span    BIGINT NOT NULL,
	at      BIGINT NOT NULL,
	total   BIGINT NOT NULL,
	samples BIGINT NOT NULL,
	lowest  BIGINT NOT NULL,
	highest BIGINT NOT NULL,
	PRIMARY KEY (series, span, at)
) WITHOUT ROWID;

-- What was done with a package of a repository on a day since 1970 UTC.
CREATE TABLE usage_package (
	package_id keytext NOT NULL,
	day        BIGINT NOT NULL,
	downloads  BIGINT NOT NULL,
	bytes      BIGINT NOT NULL,
	saved      BIGINT NOT NULL,
	hits       BIGINT NOT NULL,
	misses     BIGINT NOT NULL,
	published  BIGINT NOT NULL,
	deleted    BIGINT NOT NULL,
	PRIMARY KEY (package_id, day)
) WITHOUT ROWID;
CREATE INDEX usage_package_day ON usage_package (day);

CREATE TABLE version_usage (
	version_id    keytext PRIMARY KEY,
	last_download BIGINT NOT NULL,
	downloads     BIGINT NOT NULL
) WITHOUT ROWID;

-- The last flush of each process, so that one that is tried again is not
-- counted twice.
CREATE TABLE usage_flush (
	node  keytext PRIMARY KEY,
	last  BIGINT NOT NULL,
	at    BIGINT NOT NULL
) WITHOUT ROWID;
