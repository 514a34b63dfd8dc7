// Package fault names the kinds of failure a request can end with and carries
// the message a client may read.
//
// A kind is attached once, where the meaning is known; everything above wraps
// with %w and the edge (control, dataplane) translates the kind to a status
// once. Anything never classified is Internal: logged, and never shown.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a failure means to the caller.
type Kind uint8

// The kinds. The zero value is Internal so that a forgotten classification
// hides the text instead of leaking it.
const (
	Internal        Kind = iota // a bug or a broken machine; text is logged only
	Invalid                     // the request is wrong and will stay wrong
	NotFound                    // the thing named does not exist
	Conflict                    // the state forbids it: exists already, changed meanwhile
	Denied                      // known caller, not allowed
	Unauthenticated             // no credentials, or wrong or expired ones
	Quota                       // a resource limit is reached
	Throttled                   // too many requests now; retry later
	Upstream                    // an outside registry failed; retry may help
	Unavailable                 // this server cannot serve now (disk full, shutting down)
	TooLarge                    // the request body is over a limit
)

var kindNames = [...]string{"internal", "invalid", "not-found", "conflict", "denied", "unauthenticated", "quota", "throttled", "upstream", "unavailable", "too-large"}

// String is the kind's name for logs and metric labels (a bounded set).
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Error is a classified failure. Message is safe to show to the client.
type Error struct {
	Kind       Kind
	Message    string
	Reason     string        // Invalid only: the ValidationException reason (FIELD_VALIDATION_FAILED, ...)
	ResourceID string        // NotFound, Conflict, Quota: what it is about
	Resource   string        // the ResourceType of it: domain, repository, package, package-version, asset
	RetryAfter time.Duration // Throttled, Unavailable: when to come back
	Cause      error         // logged, never shown
}

// New makes a classified error. The formatted text is shown to the client; a
// %w verb records its operand as the cause as fmt.Errorf does.
func New(k Kind, msg string, args ...any) error {
	if len(args) == 0 {
		return &Error{Kind: k, Message: msg}
	}
	err := fmt.Errorf(msg, args...)
	return &Error{Kind: k, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// Wrap classifies cause and shows msg in its place.
func Wrap(k Kind, cause error, msg string, args ...any) error {
	if len(args) > 0 {
		msg = fmt.Sprintf(msg, args...)
	}
	return &Error{Kind: k, Message: msg, Cause: cause}
}

// About makes a classified error that names the resource it is about
// (resource is a CodeArtifact ResourceType: domain, repository, package,
// package-version or asset; empty for anything else).
func About(k Kind, resource, id, msg string, args ...any) error {
	if len(args) > 0 {
		msg = fmt.Sprintf(msg, args...)
	}
	return &Error{Kind: k, Message: msg, Resource: resource, ResourceID: id}
}

// Field makes an Invalid error about one member of the input.
func Field(name, msg string, args ...any) error {
	if len(args) > 0 {
		msg = fmt.Sprintf(msg, args...)
	}
	return &Error{Kind: Invalid, Reason: "FIELD_VALIDATION_FAILED", Message: name + ": " + msg}
}

// Error is the text with its cause, for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of gives the kind of err; Internal when nothing in the chain is classified.
func Of(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && Of(err) == k }

// Message is the text a client may see: the classified message, or a fixed
// sentence for Internal.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Message
	}
	return "internal error; the server's log has the details under this request id"
}
