-- Which versions go by themselves, what became of them, and what must not go.

-- A repository's own configuration (origin is empty), or one of the two of a
-- domain (repository_id is empty, origin is INTERNAL or EXTERNAL). settings is
-- JSON of package retention.
CREATE TABLE retention_configuration (
	domain_id     keytext NOT NULL,
	repository_id keytext NOT NULL,
	origin        keytext NOT NULL,
	settings      TEXT NOT NULL,
	PRIMARY KEY (domain_id, repository_id, origin)
) WITHOUT ROWID;
CREATE INDEX retention_configuration_repository ON retention_configuration (repository_id);

-- When a domain is tidied, next at due, and for how long what went can be had
-- back; an empty schedule and 0 are the server's.
CREATE TABLE retention_domain (
	domain_id  keytext PRIMARY KEY,
	schedule   keytext NOT NULL,
	trash_days BIGINT NOT NULL,
	due        BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX retention_domain_due ON retention_domain (due);

-- Pins and legal holds, by name: they outlive what they are about. An empty
-- version is all of the package; without a package it is all of the repository.
CREATE TABLE retention_hold (
	repository_id keytext NOT NULL,
	format        keytext NOT NULL,
	namespace     keytext NOT NULL,
	name          keytext NOT NULL,
	version       keytext NOT NULL,
	kind          keytext NOT NULL,
	reason        TEXT NOT NULL,
	placed_by     TEXT NOT NULL,
	created       BIGINT NOT NULL,
	PRIMARY KEY (repository_id, format, namespace, name, version, kind)
) WITHOUT ROWID;

-- A run. progress is JSON: how far it has come and what it has done. worker is
-- whoever works on it.
CREATE TABLE retention_run (
	id         keytext PRIMARY KEY,
	domain_id  keytext NOT NULL,
	repository keytext NOT NULL,
	origin     keytext NOT NULL,
	status     keytext NOT NULL,
	worker     keytext NOT NULL,
	as_of      BIGINT NOT NULL,
	created    BIGINT NOT NULL,
	finished   BIGINT NOT NULL,
	progress   TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX retention_run_domain ON retention_run (domain_id, id);
CREATE INDEX retention_run_finished ON retention_run (finished);
-- One at a time in a domain.
CREATE UNIQUE INDEX retention_run_active ON retention_run (domain_id) WHERE finished = 0;

-- The versions that a run removed. freed is in bytes.
CREATE TABLE retention_removal (
	run_id     keytext NOT NULL,
	version_id keytext NOT NULL,
	repository keytext NOT NULL,
	format     keytext NOT NULL,
	namespace  keytext NOT NULL,
	name       keytext NOT NULL,
	number     keytext NOT NULL,
	rule       TEXT NOT NULL,
	freed      BIGINT NOT NULL,
	PRIMARY KEY (run_id, version_id)
) WITHOUT ROWID;

-- Versions that can be had back until purge_at, as they were, under their ids.
CREATE TABLE trash_version (
	id                keytext PRIMARY KEY,
	domain_id         keytext NOT NULL,
	repository_id     keytext NOT NULL,
	format            keytext NOT NULL,
	namespace         keytext NOT NULL,
	name              keytext NOT NULL,
	display_name      keytext NOT NULL,
	number            keytext NOT NULL,
	status            keytext NOT NULL,
	revision          keytext NOT NULL,
	origin_type       keytext NOT NULL,
	origin_repository keytext NOT NULL,
	origin_connection keytext NOT NULL,
	published         BIGINT NOT NULL,
	removed           BIGINT NOT NULL,
	purge_at          BIGINT NOT NULL,
	rule              TEXT NOT NULL,
	bytes             BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX trash_version_place ON trash_version (repository_id, format, namespace, name, number, removed);
CREATE INDEX trash_version_domain ON trash_version (domain_id, id);
CREATE INDEX trash_version_purge ON trash_version (purge_at);

CREATE TABLE trash_manifest (
	version_id keytext PRIMARY KEY,
	body       bytes NOT NULL
);

-- Keeps the bytes from the sweep.
CREATE TABLE trash_asset (
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
CREATE INDEX trash_asset_blob ON trash_asset (space, sha256);
