-- Secrets are sealed by the program, right after it has migrated (sealing.go):
-- their columns stay what they are.
--
-- The issuers of web identities (OpenID Connect) that an account trusts. issuer
-- is the address as it stands in their tokens; client_ids and thumbprints are
-- JSON arrays in order. The tags are kept under the id.

CREATE TABLE oidc_provider (
	arn         keytext PRIMARY KEY,
	account     keytext NOT NULL,
	id          keytext NOT NULL UNIQUE,
	issuer      keytext NOT NULL,
	client_ids  TEXT NOT NULL,
	thumbprints TEXT NOT NULL,
	created     BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX oidc_provider_account ON oidc_provider (account, arn);
