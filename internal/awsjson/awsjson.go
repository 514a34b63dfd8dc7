// Package awsjson serves operations of package restjson in the AWS JSON
// protocols: 1.1, which EventBridge speaks, and 1.0, one of CloudWatch's; they
// differ in name only. The X-Amz-Target of a POST names service and operation,
// the input is a JSON object and the answer another.
//
// The members of inputs and outputs are the ones with json tags. Timestamps are
// seconds since 1970. What went wrong stands in __type, with the status 400 for
// whatever the caller did.
package awsjson

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// TargetHeader names the operation of a request: SERVICE.OPERATION.
const TargetHeader = "X-Amz-Target"

// Service is one API.
type Service struct {
	Target string // what stands before the operation in TargetHeader: "AWSEvents"
	Source string // the service as audit trails name it: "events.amazonaws.com"
	Rows   []restjson.Row
	// Exceptions are the names that kinds of failure have in this API; those
	// that are not here have the names of most APIs.
	Exceptions map[fault.Kind]string
	Version    string // of the protocol: "1.0", or "1.1" when empty
	// QueryError, if set, gives restjson.QueryErrorHeader for a failure.
	QueryError func(error) string
}

// Serves tells whether a request is one for a service of this protocol, be it
// known or not.
func Serves(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/" && r.Header.Get(TargetHeader) != ""
}

// TargetOf is the service that a request is for: what stands before the operation
// in TargetHeader.
func TargetOf(r *http.Request) string {
	service, _, _ := strings.Cut(r.Header.Get(TargetHeader), ".")
	return service
}

// Handler serves one service.
type Handler struct {
	gate    *restjson.Gate
	service Service
	rows    map[string]restjson.Row
}

// NewHandler panics when two operations have one name, when one takes or gives
// anything but JSON, and where restjson.NewGate does.
func NewHandler(s Service, cfg restjson.Config) *Handler {
	h := &Handler{gate: restjson.NewGate(cfg, s.Rows), service: s, rows: map[string]restjson.Row{}}
	for _, r := range s.Rows {
		if _, ok := h.rows[r.Name()]; ok {
			panic("awsjson: two operations are named " + r.Name())
		}
		for _, f := range append(r.Fields(), r.OutputFields()...) {
			if f.In != "json" {
				panic(fmt.Sprintf("awsjson: operation %s: %s is not a json member", r.Name(), f.Name))
			}
		}
		h.rows[r.Name()] = r
	}
	return h
}

// ServeHTTP answers one request, whatever its path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := h.gate.Describe(r)
	c.Source = h.service.Source
	text, err := h.answer(r, &c)
	status := http.StatusOK
	if err != nil {
		status, text = h.failure(w.Header(), err)
	}
	head := w.Header()
	head.Set("Content-Type", "application/x-amz-json-"+cmp.Or(h.service.Version, "1.1"))
	head.Set("Content-Length", strconv.Itoa(len(text)))
	head.Set("X-Amzn-RequestId", c.RequestID)
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // JSON, and sent as such; a client that has left is nobody's failure
	h.gate.Done(ctx, &c, status, err)
}

func (h *Handler) answer(r *http.Request, c *restjson.Call) ([]byte, error) {
	name, ok := strings.CutPrefix(r.Header.Get(TargetHeader), h.service.Target+".")
	row, known := h.rows[name]
	if !ok || !known {
		return nil, restjson.WithCode(restjson.UnknownOperation, fault.New(fault.Invalid, "no operation of this name"))
	}
	c.Operation = name
	principal, body, err := h.gate.Authenticate(r, false)
	if err != nil {
		return nil, err
	}
	c.Principal = principal
	if body == nil {
		body = http.NoBody
	}
	text, err := h.gate.ReadAll(r, body)
	if err != nil {
		return nil, err
	}
	in, err := row.Decode(text)
	if err != nil {
		return nil, restjson.WithCode("SerializationException", err)
	}
	out, err := row.Run(r.Context(), h.gate, c, in)
	if err != nil {
		return nil, err
	}
	return restjson.Encode(out)
}

// failure gives the status and body for err. The text of an unclassified error
// is not shown.
func (h *Handler) failure(head http.Header, err error) (status int, text []byte) {
	name, status := restjson.RPCException(err, h.service.Exceptions)
	if h.service.QueryError != nil {
		head.Set(restjson.QueryErrorHeader, h.service.QueryError(err))
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		restjson.SetRetryAfter(head, e)
	}
	text, encoding := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{name, strings.ToValidUTF8(fault.Message(err), "\uFFFD")})
	if encoding != nil { // cannot happen: strings alone
		text = []byte("{}")
	}
	return status, text
}
