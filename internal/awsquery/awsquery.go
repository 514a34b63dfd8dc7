// Package awsquery serves operations of package restjson in the AWS Query
// protocol, which IAM and STS speak: the input is a form with an Action, the
// answer is XML.
//
// The members of inputs and outputs are the ones with json tags; the tag is
// the name in the form and the name of the XML element. Lists are
// "Name.member.1", maps "Name.entry.1.key" and "Name.entry.1.value", nested
// members "Name.Member"; lists and maps without the word in the middle are
// read too. Timestamps are ISO 8601. An output type without members makes an
// answer without a result element, unless it is an EmptyResult.
//
// What surprises: the operation is known only after the body has been read and
// authenticated, so an unknown Action is reported to authenticated callers only.
// Operations that need no credentials are the exception: their requests are
// read before.
package awsquery

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// Service is one API behind the endpoint.
type Service struct {
	Namespace string // of the XML, as in "https://sts.amazonaws.com/doc/2011-06-15/"
	Version   string // the Version parameter, as in "2011-06-15"
	Rows      []restjson.Row
	// Codes are the codes of errors in this API: for a kind of failure, and for
	// the name that restjson.WithCode gave one. Those that are in neither have
	// the codes of IAM.
	Codes Codes
}

// Codes name failures.
type Codes struct {
	Kinds map[fault.Kind]string
	Names map[string]string
}

// source is the service as audit trails name it: the host of its namespace.
func (s Service) source() string {
	_, rest, _ := strings.Cut(s.Namespace, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Handler serves the actions of some services at one address.
type Handler struct {
	gate     *restjson.Gate
	services []Service
	actions  []map[string]restjson.Row // of the service with that index
}

// NewHandler panics when a service has two operations of one name, or an
// operation that takes or gives a stream, a header or a query parameter, and
// where restjson.NewGate does. At least one service is required.
func NewHandler(services []Service, cfg restjson.Config) *Handler {
	if len(services) == 0 {
		panic("awsquery: no services")
	}
	var all []restjson.Row
	h := &Handler{services: services}
	for _, s := range services {
		actions := map[string]restjson.Row{}
		for _, r := range s.Rows {
			if _, ok := actions[r.Name()]; ok {
				panic("awsquery: two operations are named " + r.Name())
			}
			for _, f := range append(r.Fields(), r.OutputFields()...) {
				if f.In != "json" {
					panic(fmt.Sprintf("awsquery: operation %s: %s is not a json member", r.Name(), f.Name))
				}
			}
			actions[r.Name()] = r
		}
		all = append(all, s.Rows...)
		h.actions = append(h.actions, actions)
	}
	h.gate = restjson.NewGate(cfg, all)
	return h
}

// ServeHTTP answers one request, whatever its path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := h.gate.Describe(r)
	service := h.services[0] // whose namespace errors have until the action is known
	answer, err := func() ([]byte, error) {
		form, signed, err := h.form(r, &c)
		if err != nil {
			return nil, err
		}
		var row restjson.Row
		if service, row, err = h.find(form); err != nil {
			return nil, err
		}
		c.Source = service.source()
		if !signed && !row.Unsigned() { // form has seen to it; twice is safer
			return nil, fault.New(fault.Internal, "operation %s is called by nobody", row.Name())
		}
		c.Operation = row.Name()
		in := row.NewInput()
		if err := decode(form, in); err != nil {
			return nil, err
		}
		out, err := row.Run(ctx, h.gate, &c, in)
		if err != nil {
			return nil, err
		}
		return encode(service.Namespace, row.Name(), c.RequestID, out), nil
	}()
	status := http.StatusOK
	if err != nil {
		status = service.writeError(w, c.RequestID, err)
	} else {
		write(w, c.RequestID, status, answer)
	}
	h.gate.Done(ctx, &c, status, err)
}

// form authenticates and reads the parameters. Whoever sends no credentials is
// let through to operations that need none, as nobody: the form is read first
// then, and the body given to Authenticate when it is for anything else.
func (h *Handler) form(r *http.Request, c *restjson.Call) (form url.Values, signed bool, err error) {
	if len(r.Header["Authorization"]) == 0 {
		body := &bytes.Buffer{}
		if form, err := h.parameters(r, io.TeeReader(r.Body, body)); err == nil {
			if _, row, err := h.find(form); err == nil && row.Unsigned() {
				return form, false, nil
			}
		}
		r = r.WithContext(r.Context()) // a copy
		r.Body = io.NopCloser(io.MultiReader(body, r.Body))
	}
	principal, body, err := h.gate.Authenticate(r, false)
	if err != nil {
		return nil, false, err
	}
	if body == nil {
		body = http.NoBody
	}
	c.Principal = principal
	form, err = h.parameters(r, body)
	return form, true, err
}

// parameters are those of the body and the query; one of the body hides one of
// the query.
func (h *Handler) parameters(r *http.Request, body io.Reader) (url.Values, error) {
	text, err := h.gate.ReadAll(r, body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, WithCode("MalformedQueryString", fault.New(fault.Invalid, "the request body is not a form"))
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, WithCode("MalformedQueryString", fault.New(fault.Invalid, "the query string cannot be read"))
	}
	for name, values := range query {
		if _, ok := form[name]; !ok {
			form[name] = values
		}
	}
	return form, nil
}

// find gives the operation of the form. Without a Version, services are asked
// in their order.
func (h *Handler) find(form url.Values) (Service, restjson.Row, error) {
	action, version := form.Get("Action"), form.Get("Version")
	if action == "" {
		return h.services[0], restjson.Row{}, WithCode("MissingAction", fault.New(fault.Invalid, "the request has no Action"))
	}
	for i, s := range h.services {
		if version != "" && version != s.Version {
			continue
		}
		if row, ok := h.actions[i][action]; ok {
			return s, row, nil
		}
	}
	return h.services[0], restjson.Row{}, WithCode("InvalidAction", fault.New(fault.Invalid, "Could not find operation %s for version %s", clip(action), clip(version)))
}

// clip keeps what is repeated to the caller short.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func write(w http.ResponseWriter, requestID string, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("X-Amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has left is nobody's failure
}

// timestamp is the ISO 8601 form of the protocol, with milliseconds only when
// there are some.
func timestamp(t time.Time) string {
	t = t.UTC().Truncate(time.Millisecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

func escaped(b *bytes.Buffer, s string) {
	_ = xml.EscapeText(b, []byte(s)) // a buffer does not fail
}
