package awsquery

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

// EmptyResult is an output type without members whose answer has a result
// element all the same, where the service model names one: clients of Python
// look for it.
type EmptyResult interface{ HasResult() }

// encode writes the answer of an operation. out is a pointer to a struct.
func encode(namespace, action, requestID string, out any) []byte {
	b := &bytes.Buffer{}
	b.WriteString("<" + action + `Response xmlns="`)
	escaped(b, namespace)
	b.WriteString(`">`)
	v := reflect.ValueOf(out).Elem()
	if _, empty := out.(EmptyResult); empty || v.NumField() > 0 {
		element(b, action+"Result", v)
	}
	metadata(b, requestID)
	b.WriteString("</" + action + "Response>\n")
	return b.Bytes()
}

func metadata(b *bytes.Buffer, requestID string) {
	b.WriteString("<ResponseMetadata><RequestId>")
	escaped(b, requestID)
	b.WriteString("</RequestId></ResponseMetadata>")
}

func element(b *bytes.Buffer, name string, v reflect.Value) {
	b.WriteString("<" + name + ">")
	switch kindOf(v.Type()) {
	case list:
		for i := range v.Len() {
			element(b, "member", v.Index(i))
		}
	case mapping:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			b.WriteString("<entry>")
			element(b, "key", k)
			element(b, "value", v.MapIndex(k))
			b.WriteString("</entry>")
		}
	case record:
		for i := range v.NumField() {
			f, held := v.Type().Field(i), v.Field(i)
			if left(f, held) {
				continue
			}
			if held.Kind() == reflect.Pointer {
				held = held.Elem()
			}
			element(b, wire(f), held)
		}
	case moment:
		b.WriteString(timestamp(v.Interface().(restjson.Time).Time))
	default:
		switch {
		case v.CanInt():
			b.WriteString(strconv.FormatInt(v.Int(), 10))
		case v.CanFloat():
			b.WriteString(strconv.FormatFloat(v.Float(), 'f', -1, 64))
		case v.Kind() == reflect.Bool:
			b.WriteString(strconv.FormatBool(v.Bool()))
		default:
			escaped(b, v.String())
		}
	}
	b.WriteString("</" + name + ">")
}

// left tells whether a member is left out: a nil pointer always, others as
// their json tag says.
func left(f reflect.StructField, v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		return v.IsNil()
	}
	_, option, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch option {
	case "omitempty":
		return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	case "omitzero":
		return v.IsZero()
	default:
		return false
	}
}

// WithCode is restjson.WithCode.
func WithCode(code string, err error) error { return restjson.WithCode(code, err) }

// Code gives the code and status of a failure, after the error tables of IAM
// and STS where c has nothing else.
func (c Codes) Code(err error) (code string, status int) {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.QueryCode(), http.StatusForbidden
	}
	switch fault.Of(err) {
	case fault.Invalid, fault.TooLarge:
		code, status = "ValidationError", http.StatusBadRequest
	case fault.NotFound:
		code, status = "NoSuchEntity", http.StatusNotFound
	case fault.Conflict:
		code, status = "EntityAlreadyExists", http.StatusConflict
	case fault.Denied:
		code, status = "AccessDenied", http.StatusForbidden
	case fault.Unauthenticated:
		code, status = "InvalidClientTokenId", http.StatusForbidden
	case fault.Quota:
		code, status = "LimitExceeded", http.StatusConflict
	case fault.Throttled:
		code, status = "Throttling", http.StatusBadRequest
	case fault.Upstream, fault.Unavailable:
		code, status = "ServiceUnavailable", http.StatusServiceUnavailable
	default:
		code, status = "ServiceFailure", http.StatusInternalServerError
	}
	if own, ok := c.Kinds[fault.Of(err)]; ok {
		code = own
	}
	if own, ok := restjson.CodeOf(err); ok {
		code = own
		if short, ok := c.Names[own]; ok {
			code = short
		}
	}
	return code, status
}

// Header is the value of restjson.QueryErrorHeader for a failure.
func (c Codes) Header(err error) string {
	code, status := c.Code(err)
	return code + ";" + side(status)
}

func side(status int) string {
	if status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// writeError answers with the error envelope and gives its status. The text of
// an unclassified error is not shown.
func (s Service) writeError(w http.ResponseWriter, requestID string, err error) (status int) {
	code, status := s.Codes.Code(err)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		restjson.SetRetryAfter(w.Header(), e)
	}
	b := &bytes.Buffer{}
	b.WriteString(`<ErrorResponse xmlns="`)
	escaped(b, s.Namespace)
	b.WriteString(`"><Error><Type>` + side(status) + `</Type><Code>`)
	escaped(b, code)
	b.WriteString(`</Code><Message>`)
	escaped(b, fault.Message(err))
	b.WriteString(`</Message></Error><RequestId>`)
	escaped(b, requestID)
	b.WriteString("</RequestId></ErrorResponse>\n")
	write(w, requestID, status, b.Bytes())
	return status
}
