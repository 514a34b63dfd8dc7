package topic

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
	"packhouse/internal/mail"
)

// Ways are how messages leave.
type Ways struct {
	Webhook func(webhook.Target) (event.Sink, error)
	Mail    func(context.Context, mail.Letter) error // nil: there is no relay
}

// Sink is the way to an endpoint. It takes the bodies that Publish and Ask have
// written.
func (h *House) Sink(s catalog.Subscription, ways Ways) event.Sink { return &sink{h, s, ways} }

type sink struct {
	house *House
	sub   catalog.Subscription
	ways  Ways
}

// Deliver implements event.Sink.
func (d *sink) Deliver(ctx context.Context, m event.Message) error {
	var l letter
	if err := json.Unmarshal(m.Body, &l); err != nil {
		return fault.Wrap(fault.Invalid, err, "the message cannot be read")
	}
	if l.Type == Confirmation && !d.sub.Confirmed.IsZero() {
		return nil // it has been confirmed by another
	}
	k, err := d.house.load(ctx)
	if err != nil {
		return err
	}
	switch d.sub.Protocol {
	case HTTP, HTTPS:
		return d.call(ctx, k, m.ID, l)
	case Email, EmailJSON:
		return d.mail(ctx, k, l)
	default:
		return fault.New(fault.Invalid, "nothing is sent to endpoints of protocol %s", d.sub.Protocol)
	}
}

// notice is a message as endpoints get it: the JSON of SNS.
type notice struct {
	Type              string               `json:"Type"`
	MessageID         string               `json:"MessageId"`
	Token             string               `json:"Token,omitempty"`
	TopicArn          string               `json:"TopicArn"`
	Subject           string               `json:"Subject,omitempty"`
	Message           string               `json:"Message"`
	SubscribeURL      string               `json:"SubscribeURL,omitempty"`
	Timestamp         string               `json:"Timestamp"`
	SignatureVersion  string               `json:"SignatureVersion"`
	Signature         string               `json:"Signature"`
	SigningCertURL    string               `json:"SigningCertURL"`
	UnsubscribeURL    string               `json:"UnsubscribeURL,omitempty"`
	MessageAttributes map[string]Attribute `json:"MessageAttributes,omitempty"`
}

// notice makes and signs what an endpoint gets.
func (d *sink) notice(k *keys, l letter) (notice, error) {
	topic := ARN(d.house.region, d.sub.Account, d.sub.Topic)
	n := notice{
		Type: l.Type, MessageID: l.ID, TopicArn: topic, Subject: l.Subject, Message: l.Text,
		Timestamp: l.At.UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "2",
		SigningCertURL: d.house.url() + CertificatePath + k.name + ".pem", MessageAttributes: l.Attributes,
	}
	if l.Type == Confirmation {
		n.Token = k.token(toConfirm, d.sub)
		n.SubscribeURL = d.house.link("ConfirmSubscription", url.Values{"TopicArn": {topic}, "Token": {n.Token}})
	} else {
		n.UnsubscribeURL = d.house.link("Unsubscribe", url.Values{
			"SubscriptionArn": {SubscriptionARN(d.house.region, d.sub)}, "Token": {k.token(toLeave, d.sub)},
		})
	}
	var err error
	n.Signature, err = k.sign(n.signed())
	return n, err
}

// signed is the text that a signature is of: names and values of some members,
// each on a line, in the order of the names.
func (n notice) signed() string {
	var b strings.Builder
	for _, m := range [][2]string{
		{"Message", n.Message},
		{"MessageId", n.MessageID},
		{"Subject", n.Subject},
		{"SubscribeURL", n.SubscribeURL},
		{"Timestamp", n.Timestamp},
		{"Token", n.Token},
		{"TopicArn", n.TopicArn},
		{"Type", n.Type},
	} {
		switch {
		case m[1] == "" && (m[0] == "Subject" || m[0] == "SubscribeURL" || m[0] == "Token"): // it is not there
		default:
			b.WriteString(m[0] + "\n" + m[1] + "\n")
		}
	}
	return b.String()
}

// call sends a message to an HTTP address.
func (d *sink) call(ctx context.Context, k *keys, id string, l letter) error {
	n, err := d.notice(k, l)
	if err != nil {
		return err
	}
	head := http.Header{}
	head.Set("Content-Type", "text/plain; charset=UTF-8")
	head.Set("X-Amz-Sns-Message-Type", l.Type)
	head.Set("X-Amz-Sns-Message-Id", l.ID)
	head.Set("X-Amz-Sns-Topic-Arn", n.TopicArn)
	body := []byte(l.Text)
	if l.Type != Confirmation {
		head.Set("X-Amz-Sns-Subscription-Arn", SubscriptionARN(d.house.region, d.sub))
	}
	if raw := l.Type != Confirmation && d.sub.Settings.Raw; raw {
		head.Set("X-Amz-Sns-Rawdelivery", "true")
	} else if body, err = json.Marshal(n, json.Deterministic(true)); err != nil {
		return fault.Wrap(fault.Invalid, err, "the message cannot be written")
	}
	to, err := d.ways.Webhook(webhook.Target{URL: d.sub.Endpoint, Header: head})
	if err != nil {
		return err
	}
	return to.Deliver(ctx, event.Message{ID: id, Body: body})
}

// mail sends a message as an email.
func (d *sink) mail(ctx context.Context, k *keys, l letter) error {
	if d.ways.Mail == nil {
		return fault.New(fault.Unavailable, "this server has no mail relay: smtp-relay names one")
	}
	n, err := d.notice(k, l)
	if err != nil {
		return err
	}
	page := func(path string, parameters url.Values) string {
		return d.house.url() + path + "?" + parameters.Encode()
	}
	leave := page(LeavePath, url.Values{"TopicArn": {n.TopicArn}, "Token": {k.token(toLeave, d.sub)}})
	letter := mail.Letter{ID: l.ID, To: d.sub.Endpoint, Subject: l.Subject}
	switch {
	case l.Type == Confirmation:
		letter.Subject = "Notification - Subscription Confirmation"
		letter.Text = "You have chosen to subscribe to the topic:\n" + n.TopicArn + "\n\n" +
			"To confirm this subscription, open this address (if this was in error, nothing needs to be done):\n" +
			page(ConfirmPath, url.Values{"TopicArn": {n.TopicArn}, "Token": {n.Token}}) + "\n"
	case d.sub.Protocol == EmailJSON:
		n.UnsubscribeURL = leave // which is not signed
		text, err := json.Marshal(n, json.Deterministic(true))
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the message cannot be written")
		}
		letter.Text = string(text) + "\n"
	default:
		letter.Text = l.Text + "\n\n--\nTo stop receiving notifications from this topic, open:\n" + leave + "\n"
	}
	if letter.Subject == "" {
		letter.Subject = "Notification Message"
	}
	return d.ways.Mail(ctx, letter)
}
