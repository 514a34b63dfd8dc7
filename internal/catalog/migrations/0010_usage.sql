-- When versions were last downloaded, and how often.

CREATE TABLE version_usage (
	version_id    keytext PRIMARY KEY,
	last_download BIGINT NOT NULL,
	downloads     BIGINT NOT NULL
) WITHOUT ROWID;
