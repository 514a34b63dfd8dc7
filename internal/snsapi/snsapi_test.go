package snsapi_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/access"
	"packhouse/internal/audit"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/mail"
	"packhouse/internal/snsapi"
	"packhouse/internal/topic"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	alerts  = "arn:aws:sns:us-east-1:123456789012:alerts"
)

// call is a request that an endpoint has been sent.
type call struct {
	to   webhook.Target
	body string
}

// house is a server with its administrator, and what it has sent.
type house struct {
	t     *testing.T
	url   string
	db    *catalog.DB
	topic *topic.House
	key   aws.Credentials
	now   *time.Time
	calls []call
	mails []mail.Letter
}

func eachEngine(t *testing.T, test func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))) })
	t.Run("postgres", func(t *testing.T) { test(t, newHouse(t, pgtest.NewDatabase(t))) })
}

func newHouse(t *testing.T, dsn string) *house {
	t.Helper()
	now := time.Now()
	db, err := catalog.Open(t.Context(), dsn, catalog.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ids := identity.New(db, identity.Options{Region: region})
	made, err := ids.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, key: aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: string(made.Secret)}, now: &now}
	h.topic = topic.NewHouse(db, region, func() string { return h.url })
	api, links := snsapi.New(snsapi.Options{DB: db, Identity: ids, Checker: access.New(db), House: h.topic, Region: region, Mail: true})
	pages := h.topic.Pages(slog.New(slog.DiscardHandler))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case topic.Serves(r):
			pages.ServeHTTP(w, r)
		case r.Method == http.MethodGet:
			links.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) sdk() *sns.Client {
	return sns.New(sns.Options{
		BaseEndpoint: &h.url, Region: region, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(h.key.AccessKeyID, h.key.SecretAccessKey, ""),
	})
}

// deliver sends what waits.
func (h *house) deliver() {
	h.t.Helper()
	ways := topic.Ways{
		Webhook: func(to webhook.Target) (event.Sink, error) { return recorder{h, to}, nil },
		Mail:    func(_ context.Context, l mail.Letter) error { h.mails = append(h.mails, l); return nil },
	}
	type due struct {
		catalog.EventDelivery
		sub catalog.Subscription
	}
	var list []due
	err := h.db.Update(h.t.Context(), func(tx *catalog.Tx) error {
		waiting, err := tx.WaitingTargets()
		if err != nil {
			return err
		}
		for _, w := range waiting {
			_, _, id, ok := catalog.SplitSubscription(w.Target)
			if !ok {
				return fmt.Errorf("target %s", w.Target)
			}
			all, err := tx.LeaseEventDeliveries(w.Target, 100, time.Hour)
			if err != nil {
				return err
			}
			s, err := tx.Subscription(id)
			for _, d := range all {
				if err == nil { // else the subscription is gone
					list = append(list, due{d, s})
				}
				if err := tx.CompleteEventDelivery(d); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range list {
		if err := h.topic.Sink(d.sub, ways).Deliver(h.t.Context(), event.Message{ID: d.ID, Body: []byte(d.Body)}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// recorder is an endpoint.
type recorder struct {
	h  *house
	to webhook.Target
}

func (r recorder) Deliver(_ context.Context, m event.Message) error {
	r.h.calls = append(r.h.calls, call{r.to, string(m.Body)})
	return nil
}

// fetch follows a link.
func (h *house) fetch(method, address string) (int, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, address, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func wantCode(t *testing.T, err error, code, words string) {
	t.Helper()
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), words) {
		t.Errorf("got %v, want %s: ...%s...", err, code, words)
	}
}

func (h *house) create() {
	h.t.Helper()
	if _, err := h.sdk().CreateTopic(h.t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) subscribe(protocol, endpoint string, attributes map[string]string) string {
	h.t.Helper()
	out, err := h.sdk().Subscribe(h.t.Context(), &sns.SubscribeInput{
		TopicArn: aws.String(alerts), Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return *out.SubscriptionArn
}

// verify checks a message as receivers do: with the certificate it names, over
// the members in the order of their names.
func (h *house) verify(body string) map[string]string {
	h.t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		h.t.Fatal(err)
	}
	text := map[string]string{}
	for name, value := range m {
		text[name], _ = value.(string)
	}
	status, cert := h.fetch("GET", text["SigningCertURL"])
	block, _ := pem.Decode([]byte(cert))
	if status != 200 || block == nil {
		h.t.Fatalf("certificate: %d %s", status, cert)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		h.t.Fatal(err)
	}
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if text["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	signed := ""
	for _, name := range names {
		if value, ok := text[name]; ok {
			signed += name + "\n" + value + "\n"
		}
	}
	signature, err := base64.StdEncoding.DecodeString(text["Signature"])
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(parsed.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil || text["SignatureVersion"] != "2" {
		h.t.Errorf("signature: %v of\n%s", err, signed)
	}
	return text
}

func TestTopics(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		for range 2 { // the second gives the same
			out, err := c.CreateTopic(ctx, &sns.CreateTopicInput{
				Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "Alerts"}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
			})
			if err != nil || *out.TopicArn != alerts {
				t.Fatalf("%v, %+v", err, out)
			}
		}
		_, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "Other"}})
		wantCode(t, err, "InvalidParameter", "different attributes")
		_, err = c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("c")}}})
		wantCode(t, err, "InvalidParameter", "different tags")
		_, err = c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("a.fifo"), Attributes: map[string]string{"FifoTopic": "true"}})
		wantCode(t, err, "InvalidParameter", "")
		if _, err := c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String(alerts), AttributeName: aws.String("DisplayName"), AttributeValue: aws.String("New")}); err != nil {
			t.Error(err)
		}
		_, err = c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String(alerts), AttributeName: aws.String("Policy"), AttributeValue: aws.String("{}")})
		wantCode(t, err, "InvalidParameter", "topics have no policies here")
		got, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(alerts)})
		if err != nil || got.Attributes["DisplayName"] != "New" || got.Attributes["Owner"] != account || !json.Valid([]byte(got.Attributes["Policy"])) {
			t.Errorf("%v, %+v", err, got)
		}
		tags, err := c.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: aws.String(alerts)})
		if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "b" {
			t.Errorf("%v, %+v", err, tags)
		}
		for i := range 101 {
			if _, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String(fmt.Sprint("t", i))}); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for pages := sns.NewListTopicsPaginator(c, &sns.ListTopicsInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Topics)
		}
		if n != 102 {
			t.Errorf("%d topics", n)
		}
		for range 2 {
			if _, err := c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: aws.String(alerts)}); err != nil {
				t.Error(err)
			}
		}
		_, err = c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(alerts)})
		wantCode(t, err, "NotFound", "Topic does not exist")
		_, err = c.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: aws.String(alerts)})
		wantCode(t, err, "ResourceNotFound", "")
		_, err = c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:us-east-1:999999999999:alerts")})
		wantCode(t, err, "AuthorizationError", "999999999999")
		_, err = c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String("alerts")})
		wantCode(t, err, "InvalidParameter", "")
	})
}

func TestHTTPEndpoint(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		h.create()
		out, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(alerts), Protocol: aws.String("https"), Endpoint: aws.String("https://ci.example.test/sns")})
		if err != nil || *out.SubscriptionArn != "pending confirmation" {
			t.Fatalf("%v, %+v", err, out)
		}
		arn := h.subscribe("https", "https://ci.example.test/sns", nil) // the same one, asked again
		if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("nobody gets it")}); err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if len(h.calls) != 2 {
			t.Fatalf("%+v", h.calls)
		}
		asked := h.verify(h.calls[0].body)
		head := h.calls[0].to.Header
		if h.calls[0].to.URL != "https://ci.example.test/sns" || head.Get("x-amz-sns-message-type") != "SubscriptionConfirmation" || head.Get("x-amz-sns-message-id") != asked["MessageId"] ||
			head.Get("x-amz-sns-topic-arn") != alerts || head.Get("Content-Type") != "text/plain; charset=UTF-8" || head.Get("x-amz-sns-subscription-arn") != "" {
			t.Errorf("%+v", h.calls[0].to)
		}
		for _, bad := range []string{"", "x", strings.Repeat("0", 136), asked["Token"][:len(asked["Token"])-1] + "!", asked["Token"] + "00"} {
			_, err := c.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: aws.String(alerts), Token: &bad})
			if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "InvalidParameter" {
				t.Errorf("token %q: %v", bad, err)
			}
		}
		if status, text := h.fetch("GET", asked["SubscribeURL"]); status != 200 || !strings.Contains(text, "<SubscriptionArn>"+arn+"</SubscriptionArn>") {
			t.Fatalf("%d %s", status, text)
		}
		if confirmed, err := c.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: aws.String(alerts), Token: aws.String(asked["Token"])}); err != nil || *confirmed.SubscriptionArn != arn {
			t.Errorf("again: %v, %+v", err, confirmed)
		}

		h.calls = nil
		id, err := c.Publish(ctx, &sns.PublishInput{
			TopicArn: aws.String(alerts), Subject: aws.String("Grüße"), Message: aws.String(`{"default":"d","https":"h <&>\nline","email":"e"}`), MessageStructure: aws.String("json"),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"s": {DataType: aws.String("String"), StringValue: aws.String("v")}, "b": {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if len(h.calls) != 1 {
			t.Fatalf("%+v", h.calls)
		}
		got := h.verify(h.calls[0].body)
		if got["Message"] != "h <&>\nline" || got["Subject"] != "Grüße" || got["MessageId"] != *id.MessageId || h.calls[0].to.Header.Get("x-amz-sns-subscription-arn") != arn {
			t.Errorf("%+v %+v", got, h.calls[0].to.Header)
		}
		if want := `"MessageAttributes":{"b":{"Type":"Binary","Value":"AQI="},"s":{"Type":"String","Value":"v"}}`; !strings.Contains(h.calls[0].body, want) {
			t.Errorf("%s lacks %s", h.calls[0].body, want)
		}

		// raw
		if _, err := c.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")}); err != nil {
			t.Fatal(err)
		}
		h.calls = nil
		if _, err := c.Publish(ctx, &sns.PublishInput{TargetArn: aws.String(alerts), Message: aws.String("bare")}); err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if len(h.calls) != 1 || h.calls[0].body != "bare" || h.calls[0].to.Header.Get("x-amz-sns-rawdelivery") != "true" {
			t.Errorf("%+v", h.calls)
		}
		attributes, err := c.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
		if err != nil || attributes.Attributes["RawMessageDelivery"] != "true" || attributes.Attributes["PendingConfirmation"] != "false" || attributes.Attributes["ConfirmationWasAuthenticated"] != "false" {
			t.Errorf("%v, %+v", err, attributes)
		}

		// the link of a message ends it, and only with its token
		parsed, err := url.Parse(got["UnsubscribeURL"])
		if err != nil {
			t.Fatal(err)
		}
		q := parsed.Query()
		q.Set("Token", asked["Token"])
		if status, _ := h.fetch("GET", h.url+"/?"+q.Encode()); status != 400 {
			t.Errorf("left with the token of confirmation: %d", status)
		}
		if status, text := h.fetch("GET", got["UnsubscribeURL"]); status != 200 {
			t.Errorf("%d %s", status, text)
		}
		list, err := c.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(alerts)})
		if err != nil || len(list.Subscriptions) != 0 {
			t.Errorf("%v, %+v", err, list)
		}
		_, err = c.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
		wantCode(t, err, "NotFound", "Subscription does not exist")
	})
}

func TestEmail(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		h.create()
		h.subscribe("email", "ann@example.test", nil)
		h.deliver()
		if len(h.mails) != 1 || h.mails[0].To != "ann@example.test" {
			t.Fatalf("%+v", h.mails)
		}
		_, link, _ := strings.Cut(h.mails[0].Text, h.url)
		link = h.url + strings.TrimSpace(link)
		if status, text := h.fetch("GET", link); status != 200 || !strings.Contains(text, "<button>Confirm subscription</button>") {
			t.Fatalf("%d %s", status, text)
		}
		if list, err := c.ListSubscriptions(ctx, &sns.ListSubscriptionsInput{}); err != nil || *list.Subscriptions[0].SubscriptionArn != "PendingConfirmation" {
			t.Errorf("a look confirms: %v, %+v", err, list)
		}
		if status, text := h.fetch("POST", link); status != 200 || !strings.Contains(text, "is confirmed") {
			t.Fatalf("%d %s", status, text)
		}
		if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("disk full")}); err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if len(h.mails) != 2 || !strings.HasPrefix(h.mails[1].Text, "disk full\n") || h.mails[1].Subject != "Notification Message" {
			t.Fatalf("%+v", h.mails)
		}
		_, link, _ = strings.Cut(h.mails[1].Text, h.url)
		link = h.url + strings.TrimSpace(link)
		if status, _ := h.fetch("GET", link); status != 200 {
			t.Error(status)
		}
		if status, text := h.fetch("POST", link); status != 200 || !strings.Contains(text, "has ended") {
			t.Errorf("%d %s", status, text)
		}
		if list, err := c.ListSubscriptions(ctx, &sns.ListSubscriptionsInput{}); err != nil || len(list.Subscriptions) != 0 {
			t.Errorf("%v, %+v", err, list)
		}
		for _, path := range []string{"/sns/confirm?TopicArn=x", "/sns/confirm?TopicArn=" + alerts + "&Token=<script>", "/sns/unsubscribe?TopicArn=" + alerts} {
			if status, text := h.fetch("POST", h.url+path); status != 400 || strings.Contains(text, "<script>") {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		if status, _ := h.fetch("GET", h.url+"/sns/SimpleNotificationService-0.pem"); status != 404 {
			t.Errorf("another certificate: %d", status)
		}
	})
}

// What looks at the links of a mail does not end its subscription, be the mail for
// a machine.
func TestEmailJSON_LinkAsksFirst(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	h.create()
	h.subscribe("email-json", "ann@example.test", nil)
	h.deliver()
	_, link, _ := strings.Cut(h.mails[0].Text, h.url)
	if status, text := h.fetch("POST", h.url+strings.TrimSpace(link)); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if _, err := h.sdk().Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("disk full")}); err != nil {
		t.Fatal(err)
	}
	h.deliver()
	got := h.verify(h.mails[1].Text)
	if status, text := h.fetch("GET", got["UnsubscribeURL"]); got["Message"] != "disk full" || status != 200 || !strings.Contains(text, "<button>Unsubscribe</button>") {
		t.Errorf("%+v: %d %s", got, status, text)
	}
	if list, err := h.sdk().ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{}); err != nil || len(list.Subscriptions) != 1 {
		t.Errorf("a look ends it: %v, %+v", err, list)
	}
}

// No access record shows what a message says.
func TestPublish_RecordsHideTheMessage(t *testing.T) {
	const secret = "c2VjcmV0"
	text := snsapi.Text(secret)
	record := audit.Redact(&snsapi.PublishInput{
		TopicArn: alerts, Message: text, Subject: &text,
		MessageAttributes: map[string]snsapi.MessageAttribute{"s": {DataType: "String", StringValue: &text}, "b": {DataType: "Binary", BinaryValue: &text}},
	})
	if strings.Contains(record, secret) || !strings.Contains(record, alerts) {
		t.Error(record)
	}
}

func TestConfirm_NotAfterThreeDays(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		h.create()
		h.subscribe("http", "http://a.test/", nil)
		h.deliver()
		token := h.verify(h.calls[0].body)["Token"]
		*h.now = h.now.Add(topic.PendingFor + time.Second)
		_, err := h.topic.Confirm(t.Context(), account, "alerts", token, false)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "expired") {
			t.Error(err)
		}
	})
}

func TestUnsubscribe_AuthenticatedOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, h *house) {
		ctx, c := t.Context(), h.sdk()
		h.create()
		arn := h.subscribe("http", "http://a.test/", map[string]string{"RawMessageDelivery": "false"})
		h.deliver()
		token := h.verify(h.calls[0].body)["Token"]
		if _, err := c.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: aws.String(alerts), Token: &token, AuthenticateOnUnsubscribe: aws.String("true")}); err != nil {
			t.Fatal(err)
		}
		h.calls = nil
		if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m")}); err != nil {
			t.Fatal(err)
		}
		h.deliver()
		if status, text := h.fetch("GET", h.verify(h.calls[0].body)["UnsubscribeURL"]); status != 403 || !strings.Contains(text, "AuthorizationError") {
			t.Errorf("%d %s", status, text)
		}
		for range 2 {
			if _, err := c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn}); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRefused(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	ctx, c := t.Context(), h.sdk()
	h.create()
	for _, s := range []struct{ protocol, endpoint, words string }{
		{"sms", "+1", "is not one of"},
		{"http", "https://a.test/", "must match the specified protocol"},
		{"https", "https://user:secret@a.test/", "must not hold a user"},
		{"http", "file:///etc/passwd", "http URL"},
		{"email", "Ann <ann@a.test>", "not an email address"},
		{"https", "", "http URL"},
	} {
		_, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(alerts), Protocol: &s.protocol, Endpoint: &s.endpoint})
		wantCode(t, err, "InvalidParameter", s.words)
	}
	_, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(alerts), Protocol: aws.String("http"), Endpoint: aws.String("http://a.test/"), Attributes: map[string]string{"FilterPolicy": `{"a":["b"]}`}})
	wantCode(t, err, "InvalidParameter", "FilterPolicy is not supported")
	_, err = c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(alerts + "x"), Protocol: aws.String("http"), Endpoint: aws.String("http://a.test/")})
	wantCode(t, err, "NotFound", "Topic does not exist")
	for _, p := range []struct {
		in    sns.PublishInput
		words string
	}{
		{sns.PublishInput{Message: aws.String("m")}, "TopicArn or TargetArn"},
		{sns.PublishInput{PhoneNumber: aws.String("+1"), Message: aws.String("m")}, "PhoneNumber"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("")}, "message"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String(strings.Repeat("x", 256<<10+1))}, "too long"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m"), Subject: aws.String("a\nb")}, "Subject"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m"), MessageStructure: aws.String("json")}, "failed to parse"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String(`{"http":"m"}`), MessageStructure: aws.String("json")}, "No default entry"},
		{sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m"), MessageGroupId: aws.String("g")}, "FIFO"},
	} {
		_, err := c.Publish(ctx, &p.in)
		wantCode(t, err, "InvalidParameter", p.words)
	}
	_, err = c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Number")}}})
	wantCode(t, err, "ParameterValueInvalid", "'a'")
	_, err = c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String("arn:aws:sns:us-east-1:123456789012:none"), Message: aws.String("m")})
	wantCode(t, err, "NotFound", "Topic does not exist")
	if status, text := h.fetch("GET", h.url+"/?Action=DeleteTopic&TopicArn="+alerts); status != 403 && status != 400 {
		t.Errorf("an operation without credentials: %d %s", status, text)
	}
}

func TestPermissions(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	h.create()
	err := h.db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: account, Name: "ann", Path: "/", ID: "AIDAANN", Created: tx.Now()}); err != nil {
			return err
		}
		document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sns:Publish","sns:CreateTopic"],"Resource":"arn:aws:sns:*:*:al*"}}`
		if err := tx.PutIdentityPolicy(catalog.IdentityPolicy{Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: "ann", PolicyName: "p", Document: document}); err != nil {
			return err
		}
		return tx.InsertAccessKey(catalog.AccessKey{Account: account, ID: "AKIAEXAMPLEANN", UserName: "ann", Secret: "secret", Status: catalog.KeyActive, Created: tx.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	other := *h
	other.key = aws.Credentials{AccessKeyID: "AKIAEXAMPLEANN", SecretAccessKey: "secret"}
	ctx, c := t.Context(), other.sdk()
	if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(alerts), Message: aws.String("m")}); err != nil {
		t.Error(err)
	}
	_, err = c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(alerts), Protocol: aws.String("http"), Endpoint: aws.String("http://a.test/")})
	wantCode(t, err, "AuthorizationError", "sns:Subscribe")
	_, err = c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("other")})
	wantCode(t, err, "AuthorizationError", "sns:CreateTopic")
	_, err = c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("al"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
	wantCode(t, err, "AuthorizationError", "sns:TagResource")
	_, err = c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(alerts + ":x")})
	wantCode(t, err, "AuthorizationError", "sns:Unsubscribe")
	_, err = c.ListTopics(ctx, &sns.ListTopicsInput{})
	wantCode(t, err, "AuthorizationError", "sns:ListTopics")
	if diff := cmp.Diff(0, len(h.calls)); diff != "" {
		t.Error(diff)
	}
}
