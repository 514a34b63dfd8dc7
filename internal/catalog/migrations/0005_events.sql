-- Events on their way out of the house: the rules of accounts with their
-- targets, the API destinations targets may name with their connections, and
-- what is still to be delivered.

-- pattern is an event pattern of EventBridge.
CREATE TABLE event_rule (
	account     keytext NOT NULL,
	name        keytext NOT NULL,
	pattern     TEXT NOT NULL,
	enabled     BIGINT NOT NULL,
	description TEXT NOT NULL,
	role        TEXT NOT NULL,
	created     BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- settings is JSON: what is sent, and for how long it is tried.
CREATE TABLE event_target (
	account  keytext NOT NULL,
	rule     keytext NOT NULL,
	id       keytext NOT NULL,
	arn      keytext NOT NULL,
	settings TEXT NOT NULL,
	PRIMARY KEY (account, rule, id)
) WITHOUT ROWID;

-- settings is JSON without secrets; secret is JSON, sealed.
CREATE TABLE event_connection (
	account     keytext NOT NULL,
	name        keytext NOT NULL,
	id          keytext NOT NULL UNIQUE,
	description TEXT NOT NULL,
	kind        keytext NOT NULL,
	settings    TEXT NOT NULL,
	secret      TEXT NOT NULL,
	created     BIGINT NOT NULL,
	modified    BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- connection is the id of one; it may be gone.
CREATE TABLE event_destination (
	account     keytext NOT NULL,
	name        keytext NOT NULL,
	id          keytext NOT NULL UNIQUE,
	description TEXT NOT NULL,
	connection  keytext NOT NULL,
	endpoint    TEXT NOT NULL,
	method      keytext NOT NULL,
	rate        BIGINT NOT NULL,
	created     BIGINT NOT NULL,
	modified    BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- What an account's webhooks are signed with, sealed; the keys of single
-- targets are made from it.
CREATE TABLE event_signing (
	account keytext PRIMARY KEY,
	secret  TEXT NOT NULL,
	created BIGINT NOT NULL
) WITHOUT ROWID;

-- One event for one target. target is ACCOUNT/RULE/ID. since is when the time
-- for trying began. due is when it may be taken (next): whoever takes it moves
-- that on, so that nobody else does. dead is when it was given up, or 0.
CREATE TABLE event_delivery (
	id         keytext PRIMARY KEY,
	account    keytext NOT NULL,
	target     keytext NOT NULL,
	target_arn keytext NOT NULL,
	event_id   keytext NOT NULL,
	body       TEXT NOT NULL,
	since      BIGINT NOT NULL,
	attempts   BIGINT NOT NULL,
	due        BIGINT NOT NULL,
	dead       BIGINT NOT NULL,
	last_error TEXT NOT NULL
);
CREATE INDEX event_delivery_due ON event_delivery (target, due, since) WHERE dead = 0;
CREATE INDEX event_delivery_dead ON event_delivery (account, id) WHERE dead > 0;
CREATE INDEX event_delivery_dead_age ON event_delivery (dead) WHERE dead > 0;
CREATE INDEX event_delivery_dead_target ON event_delivery (target, dead) WHERE dead > 0;

-- Nothing is kept in the outbox once it has been matched with the rules.
DELETE FROM outbox WHERE delivered > 0;
DELETE FROM job WHERE kind = 'trim-outbox';
