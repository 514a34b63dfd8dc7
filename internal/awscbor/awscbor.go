// Package awscbor serves operations of package restjson in the protocol
// Smithy RPC v2 CBOR, which the current clients of CloudWatch speak: a POST to
// /service/SERVICE/operation/OPERATION with the header smithy-protocol, the
// input as a CBOR map (RFC 8949) and the answer as another.
//
// The members of inputs and outputs are the ones with json tags. Timestamps are
// epoch time, tag 1. What went wrong stands in __type, with the status 400 for
// whatever the caller did.
//
// The surprise: an input is written anew as JSON and read by package restjson, so
// that all protocols refuse the same things in the same words. CBOR that has no
// JSON is refused: numbers that are not finite, tags but times, keys that are
// not text, a key that is there twice.
package awscbor

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-json-experiment/json"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// ProtocolHeader names the protocol, in requests and answers.
const ProtocolHeader = "Smithy-Protocol"

const (
	protocol    = "rpc-v2-cbor"
	contentType = "application/cbor"

	maxDepth    = 32    // levels of nesting in an input; the deepest of CloudWatch has six
	maxElements = 10000 // of one list or map
)

// Service is one API.
type Service struct {
	Name   string // in the path: "GraniteServiceVersion20100801"
	Source string // the service as audit trails name it: "monitoring.amazonaws.com"
	Rows   []restjson.Row
	// Exceptions are the names that kinds of failure have in this API; those
	// that are not here have the names of most APIs.
	Exceptions map[fault.Kind]string
	// QueryError, if set, gives restjson.QueryErrorHeader for a failure.
	QueryError func(error) string
}

// Serves tells whether a request is one of this protocol.
func Serves(r *http.Request) bool {
	return r.Method == http.MethodPost && r.Header.Get(ProtocolHeader) == protocol && strings.HasPrefix(r.URL.Path, "/service/")
}

// Handler serves one service.
type Handler struct {
	gate    *restjson.Gate
	service Service
	prefix  string // of the path, before the operation
	rows    map[string]restjson.Row
	read    cbor.DecMode
	write   cbor.EncMode
}

// NewHandler panics when two operations have one name, when one takes or gives
// anything but JSON, and where restjson.NewGate does.
func NewHandler(s Service, cfg restjson.Config) *Handler {
	h := &Handler{
		gate: restjson.NewGate(cfg, s.Rows), service: s, prefix: "/service/" + s.Name + "/operation/",
		rows: map[string]restjson.Row{}, read: reader(), write: writer(),
	}
	for _, r := range s.Rows {
		if _, ok := h.rows[r.Name()]; ok {
			panic("awscbor: two operations are named " + r.Name())
		}
		for _, f := range append(r.Fields(), r.OutputFields()...) {
			if f.In != "json" {
				panic(fmt.Sprintf("awscbor: operation %s: %s is not a json member", r.Name(), f.Name))
			}
		}
		h.rows[r.Name()] = r
	}
	return h
}

// reader bounds what an input may cost: its bytes are, and so is what becomes
// of each of them.
func reader() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: maxDepth, MaxArrayElements: maxElements, MaxMapPairs: maxElements,
		IntDec: cbor.IntDecConvertSignedOrFail, DefaultMapType: reflect.TypeFor[object](), TimeTag: cbor.DecTagRequired,
	}.DecMode()
	if err != nil {
		panic("awscbor: " + err.Error())
	}
	return mode
}

func writer() cbor.EncMode {
	mode, err := cbor.EncOptions{}.EncMode()
	if err != nil {
		panic("awscbor: " + err.Error())
	}
	return mode
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := h.gate.Describe(r)
	c.Source = h.service.Source
	body, err := h.answer(r, &c)
	status := http.StatusOK
	head := w.Header()
	if err != nil {
		status, body = h.failure(head, err)
	}
	head.Set("Content-Type", contentType)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set(ProtocolHeader, protocol)
	head.Set("X-Amzn-RequestId", c.RequestID)
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // CBOR, and sent as such; a client that has left is nobody's failure
	h.gate.Done(ctx, &c, status, err)
}

func (h *Handler) answer(r *http.Request, c *restjson.Call) ([]byte, error) {
	name, ok := strings.CutPrefix(r.URL.Path, h.prefix)
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
	data, err := h.gate.ReadAll(r, body)
	if err != nil {
		return nil, err
	}
	text, err := h.transcribe(data)
	if err != nil {
		return nil, restjson.WithCode("SerializationException", err)
	}
	in, err := row.Decode(text)
	if err != nil {
		return nil, restjson.WithCode("SerializationException", err)
	}
	out, err := row.Run(r.Context(), h.gate, c, in)
	if err != nil {
		return nil, err
	}
	return h.write.Marshal(out)
}

// failure gives the status and body for err. The text of an unclassified error
// is not shown.
func (h *Handler) failure(head http.Header, err error) (status int, body []byte) {
	name, status := restjson.RPCException(err, h.service.Exceptions)
	if h.service.QueryError != nil {
		head.Set(restjson.QueryErrorHeader, h.service.QueryError(err))
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		restjson.SetRetryAfter(head, e)
	}
	message := strings.ToValidUTF8(fault.Message(err), "\uFFFD")
	body, encoding := h.write.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Capital string `json:"Message"` // as some exceptions of the model have it
	}{name, message, message})
	if encoding != nil { // cannot happen: strings alone
		body = []byte{0xa0} // the empty map
	}
	return status, body
}

// transcribe writes CBOR as JSON. No body at all is an input without members.
func (h *Handler) transcribe(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var v any
	if err := h.read.Unmarshal(data, &v); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the request body is not valid CBOR")
	}
	v, err := plain(v)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(object); !ok {
		return nil, fault.New(fault.Invalid, "the request body is not a CBOR map")
	}
	text, err := json.Marshal(v)
	if err != nil { // cannot happen: it is plain
		return nil, fault.Wrap(fault.Invalid, err, "the request body has no JSON")
	}
	return text, nil
}

type object = map[string]any

// plain replaces what JSON does not have. Bytes become base64, as in the JSON
// protocols.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, string, []byte:
		return v, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fault.New(fault.Invalid, "the request body has a number that is not finite")
		}
		return v, nil
	case time.Time:
		if v.Year() < -1000 || v.Year() > 9999 {
			return nil, fault.New(fault.Invalid, "the request body has a time out of range")
		}
		return float64(v.UnixMilli()) / 1000, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
		return v, nil
	case object:
		for key := range v {
			var err error
			if v[key], err = plain(v[key]); err != nil {
				return nil, err
			}
		}
		return v, nil
	default:
		return nil, fault.New(fault.Invalid, "the request body has a value of a kind that no operation takes")
	}
}
