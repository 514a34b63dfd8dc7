-- Alarms of accounts, what has become of them, and the topics that tell of it.

-- settings is JSON: what is watched and who is told. data is JSON of CloudWatch,
-- or empty. changed is when the state last became another one.
CREATE TABLE alarm (
	account  keytext NOT NULL,
	name     keytext NOT NULL,
	settings TEXT NOT NULL,
	actions  BIGINT NOT NULL,
	created  BIGINT NOT NULL,
	modified BIGINT NOT NULL,
	state    keytext NOT NULL,
	reason   TEXT NOT NULL,
	data     TEXT NOT NULL,
	updated  BIGINT NOT NULL,
	changed  BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- Outlives the alarm.
CREATE TABLE alarm_history (
	seq     autonumber,
	account keytext NOT NULL,
	alarm   keytext NOT NULL,
	kind    keytext NOT NULL,
	at      BIGINT NOT NULL,
	summary TEXT NOT NULL,
	data    TEXT NOT NULL
);
CREATE INDEX alarm_history_account ON alarm_history (account, seq);
CREATE INDEX alarm_history_alarm ON alarm_history (account, alarm, seq);
CREATE INDEX alarm_history_age ON alarm_history (at);

-- settings is JSON.
CREATE TABLE topic (
	account  keytext NOT NULL,
	name     keytext NOT NULL,
	settings TEXT NOT NULL,
	created  BIGINT NOT NULL,
	PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- account is the topic's, owner the subscriber's. confirmed is when, or 0: then
-- it may be until expires. authenticated tells whether who leaves must be known.
-- settings is JSON.
CREATE TABLE topic_subscription (
	id            keytext PRIMARY KEY,
	account       keytext NOT NULL,
	topic         keytext NOT NULL,
	owner         keytext NOT NULL,
	protocol      keytext NOT NULL,
	endpoint      keytext NOT NULL,
	settings      TEXT NOT NULL,
	created       BIGINT NOT NULL,
	confirmed     BIGINT NOT NULL,
	authenticated BIGINT NOT NULL,
	expires       BIGINT NOT NULL,
	UNIQUE (account, topic, protocol, endpoint)
) WITHOUT ROWID;
CREATE INDEX topic_subscription_account ON topic_subscription (account, id);
CREATE INDEX topic_subscription_pending ON topic_subscription (expires) WHERE confirmed = 0;

-- What messages are signed with: a key in base64, sealed, and its certificate in
-- PEM. There is one, of the id "1".
CREATE TABLE topic_signing (
	id          keytext PRIMARY KEY,
	secret      TEXT NOT NULL,
	certificate TEXT NOT NULL,
	created     BIGINT NOT NULL
) WITHOUT ROWID;
