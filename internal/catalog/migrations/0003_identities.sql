-- Groups, roles, customer managed policies, permissions boundaries and the
-- context of role sessions.
--
-- As in IAM, names that differ in case alone are one name when something is
-- made: the folded indexes see to it.

CREATE UNIQUE INDEX iam_user_folded ON iam_user (account, lower(name));
-- boundary is the ARN of a managed policy, or empty.
ALTER TABLE iam_user ADD COLUMN boundary keytext NOT NULL DEFAULT '';
CREATE INDEX iam_user_boundary ON iam_user (account, boundary);

CREATE TABLE iam_group (
	account keytext NOT NULL,
	name    keytext NOT NULL,
	path    keytext NOT NULL,
	id      keytext NOT NULL UNIQUE,
	created BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX iam_group_folded ON iam_group (account, lower(name));

CREATE TABLE iam_group_member (
	account    keytext NOT NULL,
	group_name keytext NOT NULL,
	user_name  keytext NOT NULL,
	PRIMARY KEY (account, group_name, user_name)
) WITHOUT ROWID;
CREATE INDEX iam_group_member_user ON iam_group_member (account, user_name, group_name);

CREATE TABLE iam_role (
	account     keytext NOT NULL,
	name        keytext NOT NULL,
	path        keytext NOT NULL,
	id          keytext NOT NULL UNIQUE,
	description TEXT NOT NULL,
	trust       TEXT NOT NULL,
	max_session BIGINT NOT NULL,
	boundary    keytext NOT NULL,
	created     BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX iam_role_folded ON iam_role (account, lower(name));
CREATE INDEX iam_role_boundary ON iam_role (account, boundary);

CREATE TABLE iam_policy (
	arn             keytext PRIMARY KEY,
	account         keytext NOT NULL,
	name            keytext NOT NULL,
	path            keytext NOT NULL,
	id              keytext NOT NULL UNIQUE,
	description     TEXT NOT NULL,
	default_version BIGINT NOT NULL,
	last_version    BIGINT NOT NULL,
	created         BIGINT NOT NULL,
	updated         BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX iam_policy_folded ON iam_policy (account, lower(name));
CREATE INDEX iam_policy_name ON iam_policy (account, name);

CREATE TABLE iam_policy_version (
	policy_arn keytext NOT NULL,
	number     BIGINT NOT NULL,
	document   TEXT NOT NULL,
	created    BIGINT NOT NULL,
	PRIMARY KEY (policy_arn, number)
) WITHOUT ROWID;

-- An attached managed policy has its ARN for a name: no inline policy can be
-- called that.
UPDATE identity_policy SET policy_name = managed_arn WHERE managed_arn <> '';
CREATE INDEX identity_policy_managed ON identity_policy (account, managed_arn);

-- What a session was given besides its role: session policies and tags, as
-- JSON. The id is made from it.
CREATE TABLE iam_session (
	id      keytext PRIMARY KEY,
	context TEXT NOT NULL,
	expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX iam_session_expires ON iam_session (expires);
