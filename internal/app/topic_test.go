package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// TestTopics_EndpointsArePublic: a subscription is no way to an address inside,
// neither by itself nor by a redirect.
func TestTopics_EndpointsArePublic(t *testing.T) {
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	s := newSite(t, nobody, nil)
	c := sns.NewFromConfig(s.aws(t))
	made, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")})
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{inside.URL, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest/meta-data/"}
	for _, address := range addresses {
		if _, err := c.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &address}); err != nil {
			t.Logf("%s: %v", address, err) // it may be refused at once
		}
	}
	eventually(t, "attempts", func() bool {
		return s.metric(t, `packhouse_events_total{outcome="failed"}`)+s.metric(t, `packhouse_events_total{outcome="dead"}`) >= 1
	})
	if n := asked.Load(); n != 0 || s.metric(t, `packhouse_events_total{outcome="delivered"}`) != 0 {
		t.Errorf("%d messages have come", n)
	}
}

// TestTopics_RedirectsAreNotFollowed: whoever may be called cannot send the
// caller on.
func TestTopics_RedirectsAreNotFollowed(t *testing.T) {
	var asked, called atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called.Add(1)
		http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
	}))
	defer outside.Close()
	s := newSite(t, nobody, map[string]string{"allow-outbound": "127.0.0.1"})
	c := sns.NewFromConfig(s.aws(t))
	made, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &outside.URL}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an attempt", func() bool {
		return s.metric(t, `packhouse_events_total{outcome="failed"}`)+s.metric(t, `packhouse_events_total{outcome="dead"}`) >= 1
	})
	if called.Load() == 0 || asked.Load() != 0 {
		t.Errorf("called %d times, and %d times where that led", called.Load(), asked.Load())
	}
}
