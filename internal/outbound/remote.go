package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// breakersMost bounds how many hosts a remote keeps a breaker for: documents
// may name any number.
const breakersMost = 64

// Remote speaks to one configured remote and to what it leads to. It is safe
// for concurrent use.
type Remote struct {
	client  *Client
	base    *url.URL
	options RemoteOptions
	trust   trust
	http    *http.Client

	mu       sync.Mutex
	breakers map[string]*breaker // by host:port first asked
}

// Request is what to ask. GET and HEAD are retried, others never.
type Request struct {
	Method string      // GET if empty
	URL    string      // absolute, or relative to the base
	Header http.Header // not changed; credentials in it stay with the first host
	Body   []byte
	// MaxBytes is how large the response's body may be; 0 is no limit. A larger
	// one fails, at once if its length is told.
	MaxBytes int64
}

// Base is the remote's address, without credentials and with a final slash.
func (r *Remote) Base() *url.URL {
	base := *r.base
	return &base
}

// Get asks for an address, absolute or relative to the base.
func (r *Remote) Get(ctx context.Context, address string, maxBytes int64) (*http.Response, error) {
	return r.Do(ctx, Request{URL: address, MaxBytes: maxBytes})
}

// Do sends a request and gives a response of status 2xx or 304, whose body the
// caller closes. Any other end is an error that says why (see ErrNotFound and
// its siblings, StatusError) and is of kind fault.Upstream or fault.NotFound;
// context.Canceled alone stays bare. Errors of the body are of the same sort.
// The deadline of ctx covers everything, the body included.
func (r *Remote) Do(ctx context.Context, q Request) (*http.Response, error) {
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	target, err := r.resolve(q.URL)
	if err != nil {
		return nil, r.fail(fmt.Errorf("%w: %w", ErrAddress, err))
	}
	b := r.breaker(target)
	for try := 1; ; try++ {
		res, err := r.try(ctx, b, q, target)
		if err == nil {
			return res, nil
		}
		wait, again := r.again(q.Method, try, err)
		if !again || b.open() {
			return nil, r.fail(err)
		}
		if r.client.sleep(ctx, wait) != nil {
			return nil, r.fail(because(ctx, err))
		}
	}
}

func (r *Remote) resolve(address string) (*url.URL, error) {
	ref, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	target := r.base.ResolveReference(ref)
	target.User, target.Fragment = nil, ""
	return target, checkURL(target)
}

// breaker finds that of a host: what a remote leads to may be down while it is
// not.
func (r *Remote) breaker(u *url.URL) *breaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := hostPort(u)
	if b, ok := r.breakers[key]; ok {
		return b
	}
	if len(r.breakers) >= breakersMost {
		for other := range r.breakers {
			if other != hostPort(r.base) {
				delete(r.breakers, other)
			}
		}
	}
	o := &r.client.options
	b := &breaker{now: o.Now, after: o.BreakAfter, openFor: o.BreakFor}
	r.breakers[key] = b
	return b
}

// Open tells whether the remote's own host is currently not asked, for health
// pages.
func (r *Remote) Open() bool { return r.breaker(r.base).open() }

// try sends the request once.
func (r *Remote) try(ctx context.Context, b *breaker, q Request, target *url.URL) (*http.Response, error) {
	pass, err := b.enter()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	start := time.Now()
	res, err := r.send(ctx, q, target)
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	r.client.options.Observe(r.options.Name, status, time.Since(start), err)
	if err != nil {
		r.record(pass, err)
		cancel(err)
		return nil, err
	}
	pass.answered()
	want := res.ContentLength
	if q.Method == http.MethodHead || status == http.StatusNotModified || status == http.StatusNoContent {
		want = -1
	}
	guarded := &body{
		ReadCloser: res.Body, remote: r, ctx: ctx, cancel: cancel, pass: pass,
		idle: r.client.options.IdleTimeout, want: want, most: q.MaxBytes,
	}
	if q.MaxBytes > 0 && want > q.MaxBytes {
		_ = guarded.Close()
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, want, q.MaxBytes)
	}
	res.Body = guarded
	return res, nil
}

// send gives a response of a good status; with a bad one both it, its body
// closed, and a StatusError.
func (r *Remote) send(ctx context.Context, q Request, target *url.URL) (*http.Response, error) {
	var content io.Reader
	if q.Body != nil {
		content = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, target.String(), content)
	if err != nil {
		return nil, err
	}
	if q.Header != nil {
		req.Header = q.Header.Clone()
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", r.client.options.UserAgent)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return nil, because(ctx, err)
	}
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusNotModified {
		return res, nil
	}
	drain(res.Body)
	return res, &StatusError{
		Status:     res.StatusCode,
		Host:       res.Request.URL.Host,
		RetryAfter: retryAfter(res.Header.Get("Retry-After"), r.client.options.Now()),
	}
}

const (
	drainBytes = 16 << 10
	drainTime  = time.Second
)

// drain ends a body nobody reads. Reading the little that error pages and
// redirects hold keeps the connection; one that does not come is not waited for.
func drain(body io.ReadCloser) {
	late := time.AfterFunc(drainTime, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, drainBytes)
	late.Stop()
	_ = body.Close()
}

// because prefers the cause of a context's end and marks time-outs.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrTooLarge) {
		if errors.Is(cause, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return cause
	}
	var timeout net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}

// record tells the breaker what an error says about the remote.
func (r *Remote) record(p *pass, err error) {
	status, answered := errors.AsType[*StatusError](err)
	switch {
	case answered && status.Status < http.StatusInternalServerError:
		p.ok()
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrRedirect):
		p.ok()
	case errors.Is(err, context.Canceled), errors.Is(err, ErrForbidden):
		p.gone()
	default:
		p.failed()
	}
}

// again tells whether and after which wait to try once more. Time-outs are not
// retried: whoever waits has waited long enough.
func (r *Remote) again(method string, try int, err error) (time.Duration, bool) {
	o := &r.client.options
	if try >= o.Attempts || r.options.Untrusted || method != http.MethodGet && method != http.MethodHead {
		return 0, false
	}
	wait := o.Backoff << (try - 1)
	wait = wait/2 + time.Duration(r.client.jitter()*float64(wait))
	if status, ok := errors.AsType[*StatusError](err); ok {
		switch status.Status {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return max(wait, status.RetryAfter), status.RetryAfter <= o.RetryAfterMax
		}
		return 0, false
	}
	for _, final := range []error{
		ErrOpen, ErrAddress, ErrForbidden, ErrRedirect, ErrTooLarge, ErrTimeout, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, final) {
			return 0, false
		}
	}
	return wait, true
}

// retryAfter reads RFC 9110, section 10.2.3: seconds or a date. 0 if neither.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// redirect is the http.Client's CheckRedirect.
func (r *Remote) redirect(req *http.Request, via []*http.Request) error {
	if r.options.Untrusted {
		return http.ErrUseLastResponse
	}
	if len(via) > r.client.options.MaxRedirects {
		return fmt.Errorf("%w: more than %d", ErrRedirect, r.client.options.MaxRedirects)
	}
	if err := checkURL(req.URL); err != nil {
		return fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" && !r.client.options.AllowDowngrade {
		return fmt.Errorf("%w: from https to http", ErrRedirect)
	}
	req.URL.User = nil
	req.Header.Del("Referer")
	if !sameOrigin(req.URL, via[0].URL) {
		// What a caller set may hold a secret; only these say nothing.
		for name := range req.Header {
			switch name {
			case "Accept", "Accept-Language", "If-Modified-Since", "If-None-Match", "Range", "User-Agent":
			default:
				req.Header.Del(name)
			}
		}
	}
	return nil
}

// hop is the http.RoundTripper of one remote: it sees every request, redirected
// ones too, and chooses the pool and the credentials by where that request goes.
type hop struct{ remote *Remote }

func (h hop) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := h.roundTrip(req)
	if err == nil && res.StatusCode/100 == 3 && res.StatusCode != http.StatusNotModified {
		drain(res.Body) // the http.Client would read it without a limit of time
		res.Body = http.NoBody
	}
	return res, err
}

func (h hop) roundTrip(req *http.Request) (*http.Response, error) {
	r := h.remote
	if r.options.Authorize != nil && sameOrigin(req.URL, r.base) {
		req = req.Clone(req.Context())
		r.options.Authorize(req)
	}
	if r.trust.has(req.URL) || r.client.allow.hosts.has(req.URL) {
		return r.client.trusted.RoundTrip(req)
	}
	// A proxy dials for us, and then these two are all that can be checked.
	host := strings.ToLower(strings.TrimSuffix(req.URL.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil, fmt.Errorf("%w: %s is loopback", ErrForbidden, host)
	}
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := r.client.allow.check(ip); err != nil {
			return nil, err
		}
	}
	return r.client.guarded.RoundTrip(req)
}
