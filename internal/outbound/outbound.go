// Package outbound is the one HTTP client for leaving the house: to the remotes
// of external connections, and to whatever their documents and redirects name.
//
// A Remote is a configured base URL whose host is trusted, be it on loopback or
// a private network: an administrator wrote it down. Everything a remote leads
// to beyond that host is not, and is refused when the address actually dialled
// is not a public one, so a DNS answer that changes between check and use helps
// nobody. The rest is patience with bad networks: time-outs, retries with
// back-off, a breaker, and limits that fail loudly.
//
// The rule that surprises: two connection pools, one for trusted hosts and one
// guarded, because a pooled connection is not dialled again and so would carry
// one remote's trust to another.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options bound what the client does. The zero value is usable; every zero
// stands for the default in its comment.
type Options struct {
	UserAgent string // "packhouse"

	// Allow lists what may be reached although it is not a public address: IP
	// addresses, CIDR prefixes, host names (any port) and host:port.
	Allow []string
	// AllowDowngrade accepts a redirect from https to http.
	AllowDowngrade bool
	// Proxy is http.ProxyFromEnvironment or the like; nil goes direct. Behind a
	// proxy only literal addresses can be guarded: it resolves the names.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS is the client's configuration, for own authorities.
	TLS *tls.Config
	// Resolver answers for names; net.DefaultResolver if nil.
	Resolver *net.Resolver

	DialTimeout   time.Duration // 10 s, name look-up included
	TLSTimeout    time.Duration // 10 s
	HeaderTimeout time.Duration // 30 s from the request to the response's header
	IdleTimeout   time.Duration // 30 s without one byte of the body
	MaxRedirects  int           // 5
	ConnsPerHost  int           // 64

	Attempts      int           // 3 tries of an idempotent request in all
	Backoff       time.Duration // 100 ms before the second try, doubled for each further, jittered
	RetryAfterMax time.Duration // 5 s: a remote that asks for a longer wait is not tried again

	BreakAfter int           // 5 failures in a row open the breaker
	BreakFor   time.Duration // 15 s until one request may probe

	// Now tells the time for the breaker; time.Now if nil.
	Now func() time.Time
	// Observe is told of every try: the remote's name, the status (0 without
	// response), the time to the header, and the error. It must be quick.
	Observe func(remote string, status int, took time.Duration, err error)
}

func (o *Options) setDefaults() {
	setDefault(&o.UserAgent, "packhouse")
	setDefault(&o.DialTimeout, 10*time.Second)
	setDefault(&o.TLSTimeout, 10*time.Second)
	setDefault(&o.HeaderTimeout, 30*time.Second)
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.MaxRedirects, 5)
	setDefault(&o.ConnsPerHost, 64)
	setDefault(&o.Attempts, 3)
	setDefault(&o.Backoff, 100*time.Millisecond)
	setDefault(&o.RetryAfterMax, 5*time.Second)
	setDefault(&o.BreakAfter, 5)
	setDefault(&o.BreakFor, 15*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration, error) {}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client holds the connection pools. It is safe for concurrent use.
type Client struct {
	options Options
	allow   allowList
	trusted *http.Transport // for hosts somebody configured
	guarded *http.Transport // for everything else; checks the address dialled
	sleep   func(context.Context, time.Duration) error
	jitter  func() float64 // in [0, 1)
}

// New makes a client; the error is about Options.Allow.
func New(options Options) (*Client, error) {
	options.setDefaults()
	allow, err := parseAllow(options.Allow)
	if err != nil {
		return nil, err
	}
	c := &Client{options: options, allow: allow, sleep: sleep, jitter: rand.Float64}
	c.trusted = c.transport(nil)
	c.guarded = c.transport(&c.allow)
	return c, nil
}

// transport makes one pool; with a guard every address it dials is checked.
func (c *Client) transport(guard *allowList) *http.Transport {
	dialer := &net.Dialer{Timeout: c.options.DialTimeout, KeepAlive: 30 * time.Second, Resolver: c.options.Resolver}
	proxied := c.options.Proxy != nil
	if guard != nil && !proxied {
		dialer.ControlContext = guard.control
	}
	return &http.Transport{
		Proxy:                 c.options.Proxy,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       c.options.TLS.Clone(),
		TLSHandshakeTimeout:   c.options.TLSTimeout,
		ResponseHeaderTimeout: c.options.HeaderTimeout,
		MaxConnsPerHost:       c.options.ConnsPerHost,
		MaxIdleConnsPerHost:   c.options.ConnsPerHost,
		MaxIdleConns:          4 * c.options.ConnsPerHost,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // digests are of the bytes as sent
		ReadBufferSize:        64 << 10,
	}
}

// Close drops the idle connections.
func (c *Client) Close() {
	c.trusted.CloseIdleConnections()
	c.guarded.CloseIdleConnections()
}

// RemoteOptions describe one remote.
type RemoteOptions struct {
	// Name is what errors and metrics call it; the base's host if empty.
	Name string
	// Trusted are further hosts ("host" for any port, or "host:port") that may
	// be on a private network, such as a separate file host.
	Trusted []string
	// Untrusted is for an address that is not the configuration's, such as that
	// of a webhook: its host is guarded like any other, redirects are not
	// followed but fail with their status, and nothing is tried again.
	Untrusted bool
	// Authorize adds credentials to a request. It is called only for requests
	// to the scheme, host and port of the base.
	Authorize func(*http.Request)
}

// Remote makes the client of one remote. base is http or https; credentials in
// it are sent as Basic to its own origin alone, a missing final slash is added.
func (c *Client) Remote(base *url.URL, options RemoteOptions) (*Remote, error) {
	if err := checkURL(base); err != nil {
		return nil, err
	}
	own := *base
	own.User, own.RawQuery, own.Fragment = nil, "", ""
	if !strings.HasSuffix(own.Path, "/") {
		own = *own.JoinPath("/")
	}
	if options.Name == "" {
		options.Name = own.Host
	}
	r := &Remote{client: c, base: &own, options: options, breakers: map[string]*breaker{}}
	if !options.Untrusted {
		r.trust = newTrust(&own, options.Trusted)
	}
	if user := base.User; user != nil && options.Authorize == nil {
		password, _ := user.Password()
		r.options.Authorize = func(q *http.Request) { q.SetBasicAuth(user.Username(), password) }
	}
	r.http = &http.Client{Transport: hop{r}, CheckRedirect: r.redirect}
	return r, nil
}

func checkURL(u *url.URL) error {
	if u == nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("not an http or https address")
	}
	if u.Hostname() == "" {
		return errors.New("address without host")
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// LogValue shows a remote by name.
func (r *Remote) LogValue() slog.Value { return slog.StringValue(r.options.Name) }

// String is the remote's name.
func (r *Remote) String() string { return r.options.Name }

var _ fmt.Stringer = (*Remote)(nil)
