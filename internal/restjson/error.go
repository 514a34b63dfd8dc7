package restjson

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/fault"
	"packhouse/internal/sigv4"
)

// UnknownOperation is the exception for a route nobody serves, status 404.
// The model has a ValidationException reason of that name, but AWS answers
// with this one before any service is reached.
const UnknownOperation = "UnknownOperationException"

// Exception gives the name and status a failure has on the wire (reference
// section 3.1). Where the model has no exception of its own: a body over the
// limit is a ValidationException (400); a server that cannot serve is
// ServiceUnavailableException (503); an outside registry that fails is an
// InternalServerException with status 502. Clients retry the last two.
func Exception(err error) (name string, status int) {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Code, http.StatusForbidden
	}
	switch fault.Of(err) {
	case fault.Invalid, fault.TooLarge:
		return "ValidationException", http.StatusBadRequest
	case fault.NotFound:
		return "ResourceNotFoundException", http.StatusNotFound
	case fault.Conflict:
		return "ConflictException", http.StatusConflict
	case fault.Denied:
		return "AccessDeniedException", http.StatusForbidden
	case fault.Unauthenticated:
		return sigv4.CodeUnknown, http.StatusForbidden
	case fault.Quota:
		return "ServiceQuotaExceededException", http.StatusPaymentRequired
	case fault.Throttled:
		return "ThrottlingException", http.StatusTooManyRequests
	case fault.Upstream:
		return "InternalServerException", http.StatusBadGateway
	case fault.Unavailable:
		return "ServiceUnavailableException", http.StatusServiceUnavailable
	default:
		return "InternalServerException", http.StatusInternalServerError
	}
}

// QueryErrorHeader is in the answers of an API that once spoke the Query
// protocol only, in its other protocols: the code and side that an error has in
// Query, as in "ResourceNotFound;Sender". Clients show that code.
const QueryErrorHeader = "X-Amzn-Query-Error"

// RPCException gives the name and status of a failure in the protocols of one
// address, JSON and CBOR, where the status is 400 for whatever the caller did.
// own are the names that kinds of failure have in an API.
func RPCException(err error, own map[fault.Kind]string) (name string, status int) {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Code, http.StatusBadRequest
	}
	kind := fault.Of(err)
	if kind == fault.TooLarge {
		kind = fault.Invalid
	}
	name, status = Exception(err)
	if status < http.StatusInternalServerError {
		status = http.StatusBadRequest
	}
	if of, ok := own[kind]; ok {
		name = of
	}
	if code, ok := CodeOf(err); ok {
		name = code
	}
	return name, status
}

// coded is a failure with a code of its own.
type coded struct {
	code string
	error
}

func (c *coded) Unwrap() error { return c.error }

// WithCode gives err the code it has in the Query and JSON protocols, where one
// kind of failure has several: DeleteConflict beside EntityAlreadyExists,
// InvalidEventPatternException beside ValidationException. REST-JSON ignores it.
func WithCode(code string, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code, err}
}

// CodeOf gives the code of WithCode, if err has one.
func CodeOf(err error) (code string, ok bool) {
	c, ok := errors.AsType[*coded](err)
	if !ok {
		return "", false
	}
	return c.code, true
}

type envelope struct {
	Type         string `json:"__type"`
	Message      string `json:"message"`
	ResourceID   string `json:"resourceId,omitempty"`
	ResourceType string `json:"resourceType,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

// WriteError answers with the exception for err. The text of an unclassified
// error is not shown; logging it is the caller's business.
func WriteError(w http.ResponseWriter, requestID string, err error) {
	name, status := Exception(err)
	body := envelope{Type: name, Message: fault.Message(err)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		switch e.Kind {
		case fault.NotFound, fault.Conflict, fault.Quota:
			body.ResourceID, body.ResourceType = e.ResourceID, e.Resource
		case fault.Invalid, fault.TooLarge:
			body.Reason = e.Reason
			if body.Reason == "" {
				body.Reason = reasonOther
			}
		default: // a message is all there is to say
		}
		SetRetryAfter(w.Header(), e)
	}
	writeException(w, requestID, status, body)
}

// SetRetryAfter tells a throttled client when to come back: at least a second,
// as the header has no fractions.
func SetRetryAfter(h http.Header, e *fault.Error) {
	if e.Kind == fault.Throttled || e.Kind == fault.Unavailable && e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(max(1, int64(seconds)), 10))
	}
}

// writeUnknown answers a request for a route nobody serves.
func writeUnknown(w http.ResponseWriter, requestID string) {
	writeException(w, requestID, http.StatusNotFound, envelope{Type: UnknownOperation, Message: "no operation has this method and path"})
}

func writeException(w http.ResponseWriter, requestID string, status int, body envelope) {
	text, err := json.Marshal(body, encoding())
	if err != nil { // cannot happen: strings alone
		text = []byte("{}")
	}
	w.Header().Set("X-Amzn-ErrorType", body.Type)
	writeJSON(w, requestID, status, text)
}

func writeJSON(w http.ResponseWriter, requestID string, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("X-Amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // JSON, and sent as such; a client that has left is nobody's failure
}
