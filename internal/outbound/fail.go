package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"packhouse/internal/fault"
)

// What went wrong, for errors.Is. All are of kind fault.Upstream, but for
// ErrNotFound, which is fault.NotFound.
var (
	ErrNotFound  = errors.New("not found at the remote")      // 404, 410
	ErrRefused   = errors.New("refused by the remote")        // 401, 403, 451: credentials, licence or law
	ErrThrottled = errors.New("throttled by the remote")      // 429
	ErrOpen      = errors.New("breaker is open")              // not asked at all
	ErrAddress   = errors.New("not an http or https address") // what a document named
	ErrForbidden = errors.New("forbidden address")            // not public, not trusted, not allowed
	ErrRedirect  = errors.New("refused redirect")             // too many, or from https to http
	ErrTooLarge  = errors.New("response is too large")        // over Request.MaxBytes
	ErrTruncated = errors.New("response ended early")         // fewer bytes than promised
	ErrStalled   = errors.New("response stalled")             // no byte for Options.IdleTimeout
	ErrTimeout   = errors.New("remote took too long")         // dial, TLS, header or the caller's deadline
)

// StatusError is an answer that is no success; find it with errors.AsType.
type StatusError struct {
	Status     int
	Host       string        // who answered
	RetryAfter time.Duration // what it asked for; 0 if nothing
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s answered %d", e.Host, e.Status) }

// Is gives the class of the status.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		return target == ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		return target == ErrRefused
	case http.StatusTooManyRequests:
		return target == ErrThrottled
	}
	return false
}

// fail classifies err as the end of a request and words it for the client. An
// end the caller wished for (context.Canceled) stays what it is.
func (r *Remote) fail(err error) error {
	name := r.options.Name
	classify := func(what string) error {
		return &fault.Error{Kind: fault.Upstream, Message: "remote " + name + " " + what, Cause: err}
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		failed := &fault.Error{Kind: fault.Upstream, Message: fmt.Sprintf("remote %s answered %d", name, status.Status), Cause: err, RetryAfter: status.RetryAfter}
		if errors.Is(err, ErrNotFound) {
			failed.Kind = fault.NotFound
		}
		return failed
	}
	if open, ok := errors.AsType[*openError](err); ok {
		return &fault.Error{
			Kind:       fault.Upstream,
			Message:    fmt.Sprintf("remote %s failed %d times in a row and is not asked before %s", name, open.failures, open.until.UTC().Format(time.RFC3339)),
			Cause:      err,
			RetryAfter: open.wait,
		}
	}
	switch {
	case errors.Is(err, ErrAddress):
		return classify("leads to something that is not an http or https address")
	case errors.Is(err, ErrForbidden):
		return classify("leads to an address that is not public")
	case errors.Is(err, ErrRedirect):
		return classify("redirects where it may not")
	case errors.Is(err, ErrTooLarge):
		return classify("sends more than the limit")
	case errors.Is(err, ErrTruncated):
		return classify("ended its answer early")
	case errors.Is(err, ErrStalled):
		return classify("stopped sending")
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, ErrTimeout):
		return classify("took too long")
	}
	return classify("cannot be reached")
}
