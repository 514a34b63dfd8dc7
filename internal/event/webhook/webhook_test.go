package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/event"
	"packhouse/internal/event/eventtest"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
	"packhouse/internal/outbound"
)

// receiver is a target on loopback.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies [][]byte
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(http.ResponseWriter, *http.Request) {}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.got, r.bodies = append(r.got, q), append(r.bodies, body)
	r.mu.Unlock()
	r.answer(w, q)
}

func client(t *testing.T, allow ...string) *outbound.Client {
	t.Helper()
	c, err := outbound.New(outbound.Options{Allow: allow, UserAgent: "packhouse/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, target webhook.Target) *webhook.Sink {
	t.Helper()
	s, err := webhook.New(client(t, "127.0.0.1"), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) (event.Sink, func() [][]byte) {
		r := newReceiver(t)
		return open(t, webhook.Target{URL: r.URL + "/hook", Key: []byte("k")}), func() [][]byte {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.bodies
		}
	})
}

// The example of the Standard Webhooks specification's libraries.
func TestSign_StandardWebhooks(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeliver_Request(t *testing.T) {
	r := newReceiver(t)
	key := []byte("0123456789")
	at := time.Unix(1700000000, 0)
	s, err := webhook.New(client(t, "127.0.0.1"), webhook.Target{
		URL: r.URL + "/a%2Fb?x=1", Method: "PUT", Header: http.Header{"X-Api-Key": {"k"}, "webhook-id": {"forged"}}, Query: url.Values{"y": {"2 3"}},
		User: url.UserPassword("u", "p:q"), Body: map[string]string{"token": "t"}, Key: key,
	}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), event.Message{ID: "m1", Body: []byte(`{"b":1, "a":[2]}`)}); err != nil {
		t.Fatal(err)
	}
	q := r.got[0]
	user, password, _ := q.BasicAuth()
	body := `{"a":[2],"b":1,"token":"t"}`
	got := []string{
		q.Method, q.URL.EscapedPath(), q.URL.RawQuery, q.Header.Get("Content-Type"), q.Header.Get("User-Agent"), q.Header.Get("X-Api-Key"), user, password,
		strings.Join(q.Header.Values("Webhook-Id"), "|"), q.Header.Get("Webhook-Timestamp"), q.Header.Get("Webhook-Signature"), string(r.bodies[0]),
	}
	want := []string{
		"PUT", "/a%2Fb", "x=1&y=2+3", "application/json; charset=utf-8", "packhouse/test", "k", "u", "p:q",
		"m1", strconv.FormatInt(at.Unix(), 10), webhook.Sign(key, "m1", at, []byte(body)), body,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDeliver_GetHasNoBodyToSign(t *testing.T) {
	r := newReceiver(t)
	at := time.Unix(1700000000, 0)
	s, err := webhook.New(client(t, "127.0.0.1"), webhook.Target{URL: r.URL, Method: "GET", Key: []byte("k")}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), event.Message{ID: "m", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got, want := r.got[0].Header.Get(webhook.HeaderSignature), webhook.Sign([]byte("k"), "m", at, nil); got != want || len(r.bodies[0]) != 0 {
		t.Errorf("signed %s, want %s; body %q", got, want, r.bodies[0])
	}
}

func TestDeliver_WhatIsTriedAgain(t *testing.T) {
	for status, again := range map[int]bool{
		301: false, 302: false, 307: false, 400: false, 401: true, 403: false, 404: false, 407: true, 409: true, 410: false, 413: false, 422: false,
		429: true, 500: true, 501: true, 502: true, 503: true, 504: true,
	} {
		r := newReceiver(t)
		r.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		}
		err := open(t, webhook.Target{URL: r.URL + "/hook?secret=s3cret"}).Deliver(t.Context(), event.Message{ID: "m", Body: []byte("{}")})
		if err == nil || fault.Is(err, fault.Invalid) == again {
			t.Errorf("%d: got %v, want it tried again: %v", status, err, again)
		}
		if len(r.got) != 1 {
			t.Errorf("%d: %d requests in one attempt", status, len(r.got))
		}
		if message := fault.Message(err); strings.Contains(message, "s3cret") || !strings.Contains(message, strconv.Itoa(status)) {
			t.Errorf("%d: the message is %q", status, message)
		}
		if e, ok := errors.AsType[*fault.Error](err); again && (!ok || e.RetryAfter != 7*time.Second) {
			t.Errorf("%d: Retry-After is lost: %+v", status, e)
		}
	}
}

func TestDeliver_OtherFailures(t *testing.T) {
	r := newReceiver(t)
	gone := httptest.NewServer(r)
	gone.Close()
	slow := newReceiver(t)
	released := make(chan struct{})
	slow.answer = func(http.ResponseWriter, *http.Request) { <-released }
	defer close(released)
	for name, c := range map[string]struct {
		url      string
		allow    []string
		final    bool
		patience time.Duration
	}{
		"refused":         {gone.URL, []string{"127.0.0.1"}, false, time.Minute},
		"private address": {r.URL, nil, true, time.Minute},
		"localhost":       {strings.Replace(r.URL, "127.0.0.1", "localhost", 1), nil, true, time.Minute},
		"too slow":        {slow.URL, []string{"127.0.0.1"}, false, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := webhook.New(client(t, c.allow...), webhook.Target{URL: c.url + "/?k=s3cret"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			err = s.Deliver(ctx, event.Message{ID: "m", Body: []byte("{}")})
			if err == nil || fault.Is(err, fault.Invalid) != c.final || strings.Contains(fault.Message(err), "s3cret") {
				t.Errorf("got %v", err)
			}
		})
	}
	if len(r.got) != 0 {
		t.Error("a private address has been called")
	}
}

func TestNew_Refuses(t *testing.T) {
	for _, address := range []string{"", "ftp://x.test/", "http://", "http://[::1", "/x"} {
		if _, err := webhook.New(client(t), webhook.Target{URL: address}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestURLOf(t *testing.T) {
	for _, c := range []struct {
		address string
		values  []string
		want    string
	}{
		{"https://x.test/*/y/*", []string{"a/b", "c*d"}, "https://x.test/a%2Fb/y/c%2Ad"},
		{"https://x.test/*/*", []string{"a"}, "https://x.test/a/*"},
		{"https://x.test/", []string{"a"}, "https://x.test/"},
	} {
		if got := webhook.URLOf(c.address, c.values); got != c.want {
			t.Errorf("%s with %q: got %s, want %s", c.address, c.values, got, c.want)
		}
	}
}

func TestKeyOf_OneForEachTarget(t *testing.T) {
	a, again, b := webhook.KeyOf([]byte("s"), "a"), webhook.KeyOf([]byte("s"), "a"), webhook.KeyOf([]byte("s"), "b")
	if string(a) != string(again) || string(a) == string(b) || len(a) != 32 || !strings.HasPrefix(webhook.Secret(a), "whsec_") {
		t.Errorf("keys %x, %x, %x", a, again, b)
	}
}
