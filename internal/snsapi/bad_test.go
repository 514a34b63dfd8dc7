package snsapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"packhouse/internal/catalog"
	"packhouse/internal/snsapi"
)

// post calls an operation in the Query protocol.
func (h *house) post(action string, form url.Values) (int, string) {
	h.t.Helper()
	form.Set("Action", action)
	form.Set("Version", "2010-03-31")
	body := form.Encode()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(h.t.Context(), h.key, req, hex.EncodeToString(hash[:]), snsapi.Service, region, *h.now); err != nil {
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

// calls are good inputs of all operations, as names and values.
func calls() map[string][]string {
	const arn = alerts
	return map[string][]string{
		"CreateTopic":               {"Name", "alerts", "Attributes.entry.1.key", "DisplayName", "Attributes.entry.1.value", "d", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v", "DataProtectionPolicy", ""},
		"ListTopics":                {"NextToken", ""},
		"GetTopicAttributes":        {"TopicArn", arn},
		"SetTopicAttributes":        {"TopicArn", arn, "AttributeName", "DisplayName", "AttributeValue", "d"},
		"Subscribe":                 {"TopicArn", arn, "Protocol", "http", "Endpoint", "http://ci.example.test/", "Attributes.entry.1.key", "RawMessageDelivery", "Attributes.entry.1.value", "true", "ReturnSubscriptionArn", "true"},
		"ConfirmSubscription":       {"TopicArn", arn, "Token", "x", "AuthenticateOnUnsubscribe", "true"},
		"Unsubscribe":               {"SubscriptionArn", arn + ":x"},
		"ListSubscriptions":         {"NextToken", ""},
		"ListSubscriptionsByTopic":  {"TopicArn", arn, "NextToken", ""},
		"GetSubscriptionAttributes": {"SubscriptionArn", arn + ":x"},
		"SetSubscriptionAttributes": {"SubscriptionArn", arn + ":x", "AttributeName", "RawMessageDelivery", "AttributeValue", "true"},
		"Publish":                   {"TopicArn", arn, "Message", "m", "Subject", "s", "MessageAttributes.entry.1.Name", "n", "MessageAttributes.entry.1.Value.DataType", "String", "MessageAttributes.entry.1.Value.StringValue", "v"},
		"ListTagsForResource":       {"ResourceArn", arn},
		"TagResource":               {"ResourceArn", arn, "Tags.member.1.Key", "k", "Tags.member.1.Value", "v"},
		"UntagResource":             {"ResourceArn", arn, "TagKeys.member.1", "k"},
		"DeleteTopic":               {"TopicArn", arn + "x"},
	}
}

// TestBadInput_IsNeverOurFault puts values that nobody expects into each member
// of each operation, into the links of messages and the pages of mails.
func TestBadInput_IsNeverOurFault(t *testing.T) {
	const arn = "arn:aws:sns:us-east-1:123456789012:alerts"
	nasty := []string{
		"", "\x00", "a\x00b", "\xff", "a\xc3(", "\ud7ff\uffff", "-1", "*", ":", "::::::", strings.Repeat("a", 5000), strings.Repeat("{", 5000),
		arn + "\x00", arn + ":\x00", arn + ":\xff", "arn:aws:sns:us-east-1:123456789012:\xff", "http://\x00.test/", "http://\xff.test/", "http://127.0.0.1/%00", "http://[::1", "http://a b/", "ann@example.test\r\nBcc: x", "@", strings.Repeat("00", 36), strings.Repeat("ff", 80),
	}
	calls := calls()
	for _, row := range snsapi.Table().Rows {
		if calls[row.Name()] == nil {
			t.Errorf("there is no call of %s here", row.Name())
		}
	}
	eachEngine(t, func(t *testing.T, h *house) {
		ask := func(action string, form url.Values) {
			t.Helper()
			if status, text := h.post(action, form); status >= 500 {
				t.Errorf("%s %v: %d %s", action, form, status, text)
			}
		}
		form := func(list []string) url.Values {
			v := url.Values{}
			for i := 0; i < len(list); i += 2 {
				if list[i+1] != "" {
					v.Set(list[i], list[i+1])
				}
			}
			return v
		}
		ask("CreateTopic", form(calls["CreateTopic"]))
		ask("Subscribe", form(calls["Subscribe"]))
		for _, action := range slices.Sorted(maps.Keys(calls)) {
			for i := 0; i < len(calls[action]); i += 2 {
				for _, value := range nasty {
					v := form(calls[action])
					v.Set(calls[action][i], value)
					ask(action, v)
				}
			}
		}
		for _, path := range []string{"/?Action=ConfirmSubscription&", "/?Action=Unsubscribe&", "/sns/confirm?", "/sns/unsubscribe?", "/sns/"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if method == http.MethodPost && path[1] == '?' {
					continue
				}
				for _, value := range nasty {
					for _, q := range []url.Values{{"TopicArn": {value}, "SubscriptionArn": {value}, "Token": {"x"}}, {"TopicArn": {arn}, "SubscriptionArn": {arn + ":x"}, "Token": {value}}} {
						if status, text := h.fetch(method, h.url+path+q.Encode()); status >= 500 {
							t.Errorf("%s %s%s: %d %s", method, path, q.Encode(), status, text)
						}
					}
				}
			}
		}
		h.deliver() // what was taken can be sent
	})
}

// TestPermissions_OfEveryOperation: whoever is permitted nothing may do nothing.
func TestPermissions_OfEveryOperation(t *testing.T) {
	h := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"))
	h.create()
	err := h.db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: account, Name: "ann", Path: "/", ID: "AIDAANN", Created: tx.Now()}); err != nil {
			return err
		}
		return tx.InsertAccessKey(catalog.AccessKey{Account: account, ID: "AKIAEXAMPLEANN", UserName: "ann", Secret: "secret", Status: catalog.KeyActive, Created: tx.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.key = aws.Credentials{AccessKeyID: "AKIAEXAMPLEANN", SecretAccessKey: "secret"}
	for action, list := range calls() {
		form := url.Values{}
		for i := 0; i < len(list); i += 2 {
			if list[i+1] != "" {
				form.Set(list[i], list[i+1])
			}
		}
		if status, text := h.post(action, form); status != http.StatusForbidden || !strings.Contains(text, "sns:"+action) {
			t.Errorf("%s: %d %s", action, status, text)
		}
	}
}
