package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"packhouse/internal/fault"
)

// Topic is what messages are published to.
type Topic struct {
	Account, Name string
	Settings      TopicSettings
	Created       time.Time
}

// TopicSettings are the attributes of a topic that may be set.
type TopicSettings struct {
	DisplayName string `json:"displayName,omitempty"`
}

// Subscription has the messages of a topic sent to an endpoint.
type Subscription struct {
	ID             string // a UUID
	Account, Topic string
	Owner          string // account that subscribed
	Protocol       string // http, https, email, email-json
	Endpoint       string
	Settings       SubscriptionSettings
	Created        time.Time
	Confirmed      time.Time // zero: not yet
	Authenticated  bool      // only who may Unsubscribe may end it
	Expires        time.Time // until then it may be confirmed
}

// SubscriptionSettings are the attributes of a subscription that may be set.
type SubscriptionSettings struct {
	Raw bool `json:"raw,omitempty"` // the message alone is sent
}

// topicTargets begins the names of the targets that are subscriptions. No account
// does.
const topicTargets = "sns:"

// TopicTargets is what the names of the subscriptions of a topic begin with as
// targets of deliveries.
func TopicTargets(account, topic string) string { return topicTargets + account + "/" + topic + "/" }

// Target names a subscription among the targets of deliveries.
func (s Subscription) Target() string { return TopicTargets(s.Account, s.Topic) + s.ID }

// SplitSubscription takes Subscription.Target apart; ok is false for the names of
// other targets.
func SplitSubscription(target string) (account, topic, id string, ok bool) {
	rest, ok := strings.CutPrefix(target, topicTargets)
	if !ok {
		return "", "", "", false
	}
	account, topic, id = SplitTarget(rest)
	return account, topic, id, true
}

func topicMissing() error { return fault.New(fault.NotFound, "Topic does not exist") }

func scanTopic(scan func(...any) error) (t Topic, err error) {
	var settings string
	var created int64
	if err := scan(&t.Account, &t.Name, &settings, &created); err != nil {
		return t, err
	}
	t.Created = fromMicros(created)
	return t, json.Unmarshal([]byte(settings), &t.Settings)
}

// PutTopic makes a topic or replaces the settings of the one of that name.
func (tx *Tx) PutTopic(t Topic) error {
	settings, err := json.Marshal(t.Settings)
	if err != nil {
		return fmt.Errorf("put topic: %w", err)
	}
	_, err = tx.exec(`INSERT INTO topic (account, name, settings, created) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, name) DO UPDATE SET settings = excluded.settings`, t.Account, t.Name, string(settings), micros(t.Created))
	return err
}

const topicColumns = "account, name, settings, created"

// Topic finds a topic; NotFound when there is none.
func (tx *Tx) Topic(account, name string) (Topic, error) {
	return first(tx, scanTopic, topicMissing(), "SELECT "+topicColumns+" FROM topic WHERE account = $1 AND name = $2", account, name)
}

// Topics lists an account's topics by name, after one.
func (tx *Tx) Topics(account, after string, limit int) ([]Topic, error) {
	q := newQuery("SELECT "+topicColumns+" FROM topic WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanTopic, q.add(" ORDER BY name").limit(limit))
}

// DeleteTopic removes a topic with its subscriptions and tells whether it was
// there.
func (tx *Tx) DeleteTopic(account, name string) (bool, error) {
	if _, err := tx.exec("DELETE FROM topic_subscription WHERE account = $1 AND topic = $2", account, name); err != nil {
		return false, err
	}
	n, err := tx.exec("DELETE FROM topic WHERE account = $1 AND name = $2", account, name)
	return n > 0, err
}

const subscriptionColumns = "id, account, topic, owner, protocol, endpoint, settings, created, confirmed, authenticated, expires"

func scanSubscription(scan func(...any) error) (s Subscription, err error) {
	var settings string
	var created, confirmed, authenticated, expires int64
	if err := scan(&s.ID, &s.Account, &s.Topic, &s.Owner, &s.Protocol, &s.Endpoint, &settings, &created, &confirmed, &authenticated, &expires); err != nil {
		return s, err
	}
	s.Created, s.Confirmed, s.Authenticated, s.Expires = fromMicros(created), fromMicros(confirmed), authenticated != 0, fromMicros(expires)
	return s, json.Unmarshal([]byte(settings), &s.Settings)
}

// InsertSubscription adds a subscription; Conflict when its endpoint has one to
// that topic.
func (tx *Tx) InsertSubscription(s Subscription) error {
	settings, err := json.Marshal(s.Settings)
	if err != nil {
		return fmt.Errorf("insert subscription: %w", err)
	}
	n, err := tx.exec(`INSERT INTO topic_subscription (id, account, topic, owner, protocol, endpoint, settings, created, confirmed, authenticated, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		s.ID, s.Account, s.Topic, s.Owner, s.Protocol, s.Endpoint, string(settings), micros(s.Created), micros(s.Confirmed), bit(s.Authenticated), micros(s.Expires))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "the endpoint has subscribed to the topic already")
	}
	return err
}

// UpdateSubscription changes what of a subscription may change.
func (tx *Tx) UpdateSubscription(s Subscription) error {
	settings, err := json.Marshal(s.Settings)
	if err != nil {
		return fmt.Errorf("update subscription: %w", err)
	}
	_, err = tx.exec("UPDATE topic_subscription SET settings = $2, confirmed = $3, authenticated = $4, expires = $5 WHERE id = $1",
		s.ID, string(settings), micros(s.Confirmed), bit(s.Authenticated), micros(s.Expires))
	return err
}

func subscriptionMissing() error { return fault.New(fault.NotFound, "Subscription does not exist") }

// Subscription finds a subscription; NotFound when there is none.
func (tx *Tx) Subscription(id string) (Subscription, error) {
	return first(tx, scanSubscription, subscriptionMissing(), "SELECT "+subscriptionColumns+" FROM topic_subscription WHERE id = $1", id)
}

// SubscriptionOf finds that of an endpoint; NotFound when there is none.
func (tx *Tx) SubscriptionOf(account, topic, protocol, endpoint string) (Subscription, error) {
	return first(tx, scanSubscription, subscriptionMissing(), "SELECT "+subscriptionColumns+
		" FROM topic_subscription WHERE account = $1 AND topic = $2 AND protocol = $3 AND endpoint = $4", account, topic, protocol, endpoint)
}

// Subscriptions lists those to a topic, or to all topics of the account, by id
// after one.
func (tx *Tx) Subscriptions(account, topic, after string, limit int) ([]Subscription, error) {
	q := newQuery("SELECT "+subscriptionColumns+" FROM topic_subscription WHERE ").add("account = ? AND id > ?", account, after)
	if topic != "" {
		q.add(" AND topic = ?", topic)
	}
	return all(tx, scanSubscription, q.add(" ORDER BY id").limit(limit))
}

// DeleteSubscription removes a subscription and tells whether it was there.
func (tx *Tx) DeleteSubscription(id string) (bool, error) {
	n, err := tx.exec("DELETE FROM topic_subscription WHERE id = $1", id)
	return n > 0, err
}

// ExpireSubscriptions deletes up to limit that were not confirmed before t and
// tells how many.
func (tx *Tx) ExpireSubscriptions(t time.Time, limit int) (int64, error) {
	return tx.exec("DELETE FROM topic_subscription WHERE id IN (SELECT id FROM topic_subscription WHERE confirmed = 0 AND expires < $1 LIMIT $2)",
		micros(t), limitOf(limit))
}

// TopicSigning is what messages to topics are signed with; empty when there is
// nothing yet.
func (tx *Tx) TopicSigning() (secret Secret, certificate string, err error) {
	var text string
	found, err := tx.one("SELECT secret, certificate FROM topic_signing WHERE id = '1'", nil, &text, &certificate)
	if err != nil || !found {
		return "", "", err
	}
	plain, err := tx.unsealed("topic_signing", "1", text)
	return Secret(plain), certificate, err
}

// InsertTopicSigning keeps a key unless there is one.
func (tx *Tx) InsertTopicSigning(secret Secret, certificate string) error {
	text, err := tx.sealed("topic_signing", "1", string(secret))
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO topic_signing (id, secret, certificate, created) VALUES ('1', $1, $2, $3) ON CONFLICT DO NOTHING",
		text, certificate, tx.now().UnixMicro())
	return err
}
