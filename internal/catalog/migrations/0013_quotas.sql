-- Quotas of repositories and domains, with what they hold. Only a repository or
-- domain that has a quota has a row, and only then is anything counted: what it
-- held before is added up when the quota is set, and from then on every
-- transaction that inserts or deletes assets and versions carries the two
-- numbers along. scope is the ID of the repository or domain; -1 is no limit.

CREATE TABLE quota (
	scope           keytext PRIMARY KEY,
	domain_id       keytext NOT NULL,
	max_bytes       BIGINT NOT NULL,
	max_versions    BIGINT NOT NULL,
	max_asset_bytes BIGINT NOT NULL,
	bytes           BIGINT NOT NULL,
	versions        BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX quota_domain ON quota (domain_id);
