-- Package groups: a pattern over the packages of a domain, and how their
-- versions may arrive. Every domain has the root group, the old ones from here
-- on too. The three modes are words of the PackageGroupOriginRestrictionMode
-- enum.

CREATE TABLE package_group (
	domain_id         keytext NOT NULL,
	pattern           keytext NOT NULL,
	contact_info      keytext NOT NULL,
	description       keytext NOT NULL,
	created           BIGINT NOT NULL,
	publish           keytext NOT NULL,
	internal_upstream keytext NOT NULL,
	external_upstream keytext NOT NULL,
	PRIMARY KEY (domain_id, pattern)
) WITHOUT ROWID;

INSERT INTO package_group (domain_id, pattern, contact_info, description, created, publish, internal_upstream, external_upstream)
	SELECT id, '/*', '', '', created, 'ALLOW', 'ALLOW', 'ALLOW' FROM domain;

-- The repositories of a restriction whose mode is ALLOW_SPECIFIC_REPOSITORIES.
CREATE TABLE allowed_repository (
	domain_id     keytext NOT NULL,
	pattern       keytext NOT NULL,
	restriction   keytext NOT NULL,
	repository_id keytext NOT NULL,
	PRIMARY KEY (domain_id, pattern, restriction, repository_id)
) WITHOUT ROWID;
CREATE INDEX allowed_repository_repository ON allowed_repository (repository_id);

-- The packages of a domain across its repositories, by name.
CREATE INDEX package_domain ON package (domain_id, format, namespace, name);
