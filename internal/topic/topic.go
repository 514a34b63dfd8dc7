// Package topic is the part of SNS behind its operations: what a message to a
// topic is, how it is signed, and how it reaches the endpoints that have
// subscribed.
//
// A message is written down as one delivery for each subscription, in the
// transaction of whoever publishes, and taken on its way by the courier of
// package upkeep, which calls House.Sink. It is signed only there, so that the
// addresses in it are those of the server that sends it.
//
// The rule that surprises: the tokens of confirmations are kept nowhere. They are
// made from the subscription's id and the key of the house, here and when one
// comes back.
package topic

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
)

// Service is the name that requests are signed for, and that of the ARNs.
const Service = "sns"

// The protocols of endpoints.
const (
	HTTP      = "http"
	HTTPS     = "https"
	Email     = "email"
	EmailJSON = "email-json"
)

// The types of messages.
const (
	Notification = "Notification"
	Confirmation = "SubscriptionConfirmation"
)

// PendingFor is how long a subscription may be confirmed.
const PendingFor = 3 * 24 * time.Hour

// ARN names a topic.
func ARN(region, account, name string) string {
	return arn.ARN{Partition: arn.Partition, Service: Service, Region: region, Account: account, Resource: name}.String()
}

// ParseARN reads the ARN of a topic in a region. Errors are fault.Invalid.
func ParseARN(text, region string) (account, name string, err error) {
	a, err := arn.Parse(text)
	if err != nil {
		return "", "", err
	}
	switch {
	case a.Partition != arn.Partition || a.Service != Service || a.Account == "" || strings.ContainsAny(a.Resource, ":/"):
		return "", "", fault.New(fault.Invalid, "%s is not the ARN of a topic: want %s", text, ARN(region, "ACCOUNT", "NAME"))
	case a.Region != region:
		return "", "", fault.New(fault.Invalid, "Invalid region %s specified. Only %s is supported.", a.Region, region)
	}
	return a.Account, a.Resource, nil
}

// SubscriptionARN names a subscription.
func SubscriptionARN(region string, s catalog.Subscription) string {
	return ARN(region, s.Account, s.Topic) + ":" + s.ID
}

// ParseSubscription reads the ARN of a subscription in a region. Errors are
// fault.Invalid.
func ParseSubscription(text, region string) (account, topic, id string, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || text[i+1:] == "" {
		return "", "", "", fault.New(fault.Invalid, "%s is not the ARN of a subscription", text)
	}
	account, topic, err = ParseARN(text[:i], region)
	return account, topic, text[i+1:], err
}

// Attribute is an attribute of a message.
type Attribute struct {
	Type  string `json:"Type"`
	Value string `json:"Value"`
}

// Message is what is published.
type Message struct {
	Subject string
	Text    string
	// Of has other texts for the protocols it names.
	Of         map[string]string
	Attributes map[string]Attribute
}

// letter is a message on its way to one subscription, as its delivery keeps it.
type letter struct {
	Type       string               `json:"type"`
	ID         string               `json:"id"`
	Subject    string               `json:"subject,omitempty"`
	Text       string               `json:"text"`
	At         time.Time            `json:"at"`
	Attributes map[string]Attribute `json:"attributes,omitempty"`
}

// Publish writes a message down for every endpoint that has confirmed its
// subscription, and gives its id. NotFound without the topic.
func Publish(tx *catalog.Tx, region, account, name string, m Message) (id string, err error) {
	if _, err := tx.Topic(account, name); err != nil {
		return "", err
	}
	list, err := tx.Subscriptions(account, name, "", 0)
	if err != nil {
		return "", err
	}
	id = newID()
	for _, s := range list {
		if s.Confirmed.IsZero() {
			continue
		}
		text := m.Text
		if own, ok := m.Of[s.Protocol]; ok {
			text = own
		}
		if err := send(tx, region, s, letter{Notification, id, m.Subject, text, tx.Now(), m.Attributes}); err != nil {
			return "", err
		}
	}
	return id, nil
}

// Ask writes down the message that asks the endpoint of a subscription to confirm
// it.
func Ask(tx *catalog.Tx, region string, s catalog.Subscription) error {
	return send(tx, region, s, letter{
		Type: Confirmation, ID: newID(), At: tx.Now(),
		Text: "You have chosen to subscribe to the topic " + ARN(region, s.Account, s.Topic) + ".\nTo confirm the subscription, visit the SubscribeURL included in this message.",
	})
}

func send(tx *catalog.Tx, region string, s catalog.Subscription, l letter) error {
	body, err := json.Marshal(l, json.Deterministic(true))
	if err != nil {
		return fault.Wrap(fault.Internal, err, "write a message")
	}
	return tx.InsertEventDelivery(catalog.EventDelivery{
		Account: s.Account, Target: s.Target(), TargetARN: SubscriptionARN(region, s), EventID: l.ID, Body: string(body), Since: l.At,
	})
}

// newID makes a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// NewSubscriptionID makes the id of a subscription.
func NewSubscriptionID() string { return newID() }
