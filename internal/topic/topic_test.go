package topic_test

import (
	"strings"
	"testing"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/topic"
)

func TestParseARN(t *testing.T) {
	for text, want := range map[string]string{
		"arn:aws:sns:us-east-1:123456789012:alerts":     "",
		"arn:aws:sns:eu-west-1:123456789012:alerts":     "Only us-east-1 is supported",
		"arn:aws:sns:us-east-1::alerts":                 "is not the ARN of a topic",
		"arn:aws:sns:us-east-1:123456789012:alerts:sub": "is not the ARN of a topic",
		"arn:aws:sqs:us-east-1:123456789012:alerts":     "is not the ARN of a topic",
		"alerts": "is not an arn",
		"":       "is not an arn",
	} {
		account, name, err := topic.ParseARN(text, "us-east-1")
		if want == "" {
			if err != nil || topic.ARN("us-east-1", account, name) != text {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", text, err, want)
		}
	}
}

func FuzzParseSubscription(f *testing.F) {
	for _, text := range []string{"arn:aws:sns:us-east-1:123456789012:alerts:id", "arn:aws:sns:us-east-1:1:a:", ":", "arn:aws:sns:us-east-1:1:a/b:c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		account, name, id, err := topic.ParseSubscription(text, "us-east-1")
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
			return
		}
		s := catalog.Subscription{Account: account, Topic: name, ID: id}
		if again := topic.SubscriptionARN("us-east-1", s); again != text {
			t.Errorf("%q became %q", text, again)
		}
		if a, n, i, ok := catalog.SplitSubscription(s.Target()); !ok || a != account || n != name || i != id {
			t.Errorf("%q became %s %s %s", s.Target(), a, n, i)
		}
	})
}
