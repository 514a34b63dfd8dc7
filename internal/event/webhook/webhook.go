// Package webhook is the event sink that calls an HTTP address.
//
// Every request is signed as Standard Webhooks has it (standardwebhooks.com):
// the header webhook-signature holds "v1," and the base64 of the HMAC-SHA256 of
// ID.TIMESTAMP.BODY, where webhook-id and webhook-timestamp (seconds since
// 1970) are the other two headers. Receivers refuse what is not signed with
// the secret they share, or is older than a few minutes.
//
// The rule that surprises: the host of the address is not trusted, since who
// may make a rule need not be who runs the server. An address that is not
// public is refused unless outbound.Options.Allow has it. Redirects are not
// followed: they fail.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/outbound"
)

// The headers of a signed request.
const (
	HeaderID        = "webhook-id"
	HeaderTime      = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// maxAnswer is how much of an answer is read, to keep the connection.
const maxAnswer = 64 << 10

// Target is an address and how to call it.
type Target struct {
	URL    string
	Method string // default POST
	Header http.Header
	Query  url.Values        // added to that of the URL
	Body   map[string]string // members added to a body that is a JSON object
	User   *url.Userinfo     // for Basic
	Key    []byte            // of the signature; none: not signed
}

// Sink calls one target.
type Sink struct {
	remote *outbound.Remote
	target Target
	url    string
	now    func() time.Time
}

// New makes a sink; now tells the time of signatures, nil is time.Now. Errors
// are fault.Invalid.
func New(client *outbound.Client, t Target, now func() time.Time) (*Sink, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address of the target cannot be read")
	}
	if t.User == nil {
		t.User = u.User
	}
	u.User = nil
	if len(t.Query) > 0 {
		q := u.Query()
		maps.Copy(q, t.Query)
		u.RawQuery = q.Encode()
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host}
	remote, err := client.Remote(base, outbound.RemoteOptions{Name: "webhook", Untrusted: true})
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address of the target is %w", err)
	}
	if t.Method == "" {
		t.Method = http.MethodPost
	}
	if now == nil {
		now = time.Now
	}
	return &Sink{remote, t, u.String(), now}, nil
}

// Deliver implements event.Sink.
func (s *Sink) Deliver(ctx context.Context, m event.Message) error {
	body, err := s.body(m.Body)
	if err != nil {
		return err
	}
	if s.target.Method == http.MethodGet || s.target.Method == http.MethodHead {
		body = nil // they have none
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range s.target.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	if u := s.target.User; u != nil {
		password, _ := u.Password()
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if len(s.target.Key) > 0 {
		at := s.now()
		h.Set(HeaderID, m.ID)
		h.Set(HeaderTime, strconv.FormatInt(at.Unix(), 10))
		h.Set(HeaderSignature, Sign(s.target.Key, m.ID, at, body))
	}
	res, err := s.remote.Do(ctx, outbound.Request{Method: s.target.Method, URL: s.url, Header: h, Body: body})
	if err != nil {
		return final(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // it has been delivered, whatever comes of the answer
	return nil
}

// final tells errors that stay from those that pass: EventBridge tries 401,
// 407, 409, 429 and 5xx again, and no other status.
func final(err error) error {
	status, answered := errors.AsType[*outbound.StatusError](err)
	switch {
	case !answered && (errors.Is(err, outbound.ErrAddress) || errors.Is(err, outbound.ErrForbidden)):
	case !answered, status.Status >= http.StatusInternalServerError:
		return err
	default:
		switch status.Status {
		case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusConflict, http.StatusTooManyRequests:
			return err
		}
	}
	return fault.Wrap(fault.Invalid, err, "%s", fault.Message(err))
}

// body adds the members of the connection.
func (s *Sink) body(body []byte) ([]byte, error) {
	v := jsontext.Value(body)
	if len(s.target.Body) == 0 || v.Kind() != '{' || !v.IsValid() {
		return body, nil
	}
	members := map[string]jsontext.Value{}
	if err := json.Unmarshal(v, &members); err != nil {
		return nil, fmt.Errorf("add to the body of a webhook: %w", err)
	}
	for name, text := range s.target.Body {
		quoted, err := json.Marshal(text)
		if err != nil {
			return nil, fmt.Errorf("add to the body of a webhook: %w", err)
		}
		members[name] = quoted
	}
	return json.Marshal(members, json.Deterministic(true))
}

// Sign makes the value of webhook-signature.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%d.", id, at.Unix())
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

const secretPrefix = "whsec_"

// KeyOf derives the key of a target from the secret of its account: who
// receives at one target cannot sign for another.
func KeyOf(secret []byte, target string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("webhook " + target))
	return h.Sum(nil)
}

// Secret is a key as people pass it on: "whsec_" and base64.
func Secret(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }

// URLOf puts the values of a target for the asterisks of an address, escaped.
// Asterisks without a value stay.
func URLOf(address string, values []string) string {
	for _, v := range values {
		address = strings.Replace(address, "*", strings.ReplaceAll(url.PathEscape(v), "*", "%2A"), 1)
	}
	return address
}
