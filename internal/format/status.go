package format

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"packhouse/internal/fault"
)

// statuses is the one table from fault kinds to HTTP statuses for package
// clients. Quota is 402 as in the AWS API: the 5xx codes would make clients
// retry, 413 and 429 mean something else.
var statuses = [...]int{ //nolint:gochecknoglobals // a table, never written
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Denied:          http.StatusForbidden,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Quota:           http.StatusPaymentRequired,
	fault.Throttled:       http.StatusTooManyRequests,
	fault.Upstream:        http.StatusBadGateway,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
}

// Status is the HTTP status package clients get for err. A remote that took
// too long is 504, one that failed otherwise 502 (section 7.5: never 404, so
// that tools working from a lockfile try again).
func Status(err error) int {
	if m, ok := errors.AsType[*methodError](err); ok && m != nil {
		return http.StatusMethodNotAllowed
	}
	kind := fault.Of(err)
	if kind == fault.Upstream && timedOut(err) {
		return http.StatusGatewayTimeout
	}
	if int(kind) < len(statuses) {
		return statuses[kind]
	}
	return http.StatusInternalServerError
}

func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// Challenge is the realm of WWW-Authenticate headers.
const Challenge = `realm="codeartifact"`

// SetErrorHeader sets the headers that go with Status(err): the challenges of a
// 401 (without a Basic one NuGet, Maven and Gradle never send credentials),
// Retry-After of 429 and 503 when a time is known, Allow of 405; and it takes
// back headers meant for the answer that did not come.
func SetErrorHeader(h http.Header, err error) {
	h.Del("ETag")
	h.Del("Last-Modified")
	h.Del("Content-Encoding")
	h.Del("Content-Length")
	h.Del("Cache-Control") // or a failure would be kept as long as the asset it stands for
	h.Del("Accept-Ranges")
	if m, ok := errors.AsType[*methodError](err); ok {
		h.Set("Allow", m.allow)
		return
	}
	switch fault.Of(err) {
	case fault.Unauthenticated:
		// Basic is the last: some clients look at one header only, and in Java
		// that is the last of a name (coursier and with it sbt, given a realm).
		h["Www-Authenticate"] = []string{"Bearer " + Challenge, "Basic " + Challenge}
	case fault.Throttled, fault.Unavailable:
		if e, ok := errors.AsType[*fault.Error](err); ok && e.RetryAfter > 0 {
			seconds := (e.RetryAfter + time.Second - 1) / time.Second
			h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		}
	default:
	}
}

// methodError is an address that exists and does not take the method.
type methodError struct {
	error
	allow string
}

func (e *methodError) Unwrap() error { return e.error }

// NotAllowed says that the addressed thing exists and takes only the methods in
// allow ("GET, HEAD"): HTTP 405.
func NotAllowed(method, allow string) error {
	return &methodError{fault.New(fault.Invalid, "method %s is not allowed here", method), allow}
}
