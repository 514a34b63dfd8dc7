package awsjson_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/awsjson"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

type putInput struct {
	Name  string         `json:"Name" required:"true" validate:"Name"`
	Count *int           `json:"Count"`
	Since *restjson.Time `json:"Since"`
	Tags  []putTag       `json:"Tags"`
}

type putTag struct {
	Key string `json:"Key"`
}

type putOutput struct {
	Name  string         `json:"Name"`
	Since *restjson.Time `json:"Since,omitempty"`
	Text  string         `json:"Text,omitempty"`
}

// desk is a service with one operation.
type desk struct {
	*awsjson.Handler
	auth, err error
	in        *putInput
	call      restjson.Call
	status    int
	failed    error
}

func newDesk() *desk {
	d := &desk{}
	d.Handler = awsjson.NewHandler(awsjson.Service{
		Target: "Desk", Source: "desk.test", Rows: []restjson.Row{d.put()}, Exceptions: map[fault.Kind]string{fault.Quota: "LimitExceededException"},
	}, restjson.Config{
		Authenticate: func(r *http.Request, _ int64, _ bool) (any, io.Reader, error) { return "ann", r.Body, d.auth },
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Shapes:       restjson.Shapes{"Name": {Min: 1, Max: 3}},
		Describe:     func(*http.Request) restjson.Call { return restjson.Call{RequestID: "req-1"} },
		Done: func(_ context.Context, c *restjson.Call, status int, err error) {
			d.call, d.status, d.failed = *c, status, err
		},
		BodyLimit: 100,
	})
	return d
}

func (d *desk) put() restjson.Row {
	return restjson.New(restjson.Op[putInput, putOutput]{
		Name: "Put", Method: "POST", Path: "/",
		Access: func(*restjson.Call, *putInput) []restjson.Need { return nil },
		Do: func(_ context.Context, _ *restjson.Call, in *putInput) (*putOutput, error) {
			d.in = in
			return &putOutput{Name: in.Name, Since: in.Since, Text: "<&\xff"}, d.err
		},
	})
}

func (d *desk) post(target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set(awsjson.TargetHeader, target)
	d.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	d := newDesk()
	w := d.post("Desk.Put", `{"Name":"a","Count":3,"Since":1700000000.5,"Tags":[{"Key":"k"}],"Other":[{}]}`)
	if diff := cmp.Diff(`{"Name":"a","Since":1700000000.5,"Text":"<&`+"\ufffd"+`"}`, w.Body.String()); diff != "" || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, diff)
	}
	three := 3
	want := &putInput{Name: "a", Count: &three, Since: restjson.At(time.UnixMilli(1700000000500).UTC()), Tags: []putTag{{"k"}}}
	if diff := cmp.Diff(want, d.in); diff != "" {
		t.Error(diff)
	}
	head := []string{w.Header().Get("Content-Type"), w.Header().Get("x-amzn-RequestId"), d.call.Operation, d.call.Source}
	if diff := cmp.Diff([]string{"application/x-amz-json-1.1", "req-1", "Put", "desk.test"}, head); diff != "" {
		t.Error(diff)
	}
	if d.call.Principal != "ann" || d.status != http.StatusOK || d.failed != nil {
		t.Errorf("reported %v, %d, %v", d.call.Principal, d.status, d.failed)
	}
}

func TestHandler_Failures(t *testing.T) {
	for _, c := range []struct {
		name, target, body string
		auth, err          error
		status             int
		kind, message      string
		retry              string
	}{
		{"unknown operation", "Desk.Get", "{}", nil, nil, 400, "UnknownOperationException", "no operation of this name", ""},
		{"other service", "Chair.Put", "{}", nil, nil, 400, "UnknownOperationException", "no operation of this name", ""},
		{"not signed", "Desk.Put", "{}", &sigv4.Error{Code: sigv4.CodeInvalid, Message: "bad"}, nil, 400, sigv4.CodeInvalid, "bad", ""},
		{"no JSON", "Desk.Put", "{", nil, nil, 400, "SerializationException", "the request body is not valid JSON", ""},
		{"wrong type", "Desk.Put", `{"Name":1}`, nil, nil, 400, "SerializationException", "name: expected a string", ""},
		{"too large", "Desk.Put", strings.Repeat(" ", 101), nil, nil, 400, "ValidationException", "the request body is larger than 100 bytes", ""},
		{"no body", "Desk.Put", "", nil, nil, 400, "ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null", ""},
		{"not found", "Desk.Put", `{"Name":"a"}`, nil, fault.New(fault.NotFound, "gone"), 400, "ResourceNotFoundException", "gone", ""},
		{"own name of a kind", "Desk.Put", `{"Name":"a"}`, nil, fault.New(fault.Quota, "full"), 400, "LimitExceededException", "full", ""},
		{"own code", "Desk.Put", `{"Name":"a"}`, nil, restjson.WithCode("InvalidX", fault.New(fault.Invalid, "x")), 400, "InvalidX", "x", ""},
		{"denied", "Desk.Put", `{"Name":"a"}`, nil, fault.New(fault.Denied, "no"), 400, "AccessDeniedException", "no", ""},
		{"unavailable", "Desk.Put", `{"Name":"a"}`, nil, &fault.Error{Kind: fault.Unavailable, Message: "later", RetryAfter: time.Second}, 503, "ServiceUnavailableException", "later", "1"},
		{"internal", "Desk.Put", `{"Name":"a"}`, nil, errors.New("secret"), 500, "InternalServerException", fault.Message(errors.New("x")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.auth, d.err = c.auth, c.err
			w := d.post(c.target, c.body)
			var got struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{c.status, c.kind, c.message, c.retry}, []any{w.Code, got.Type, got.Message, w.Header().Get("Retry-After")}); diff != "" {
				t.Error(diff)
			}
			if d.status != c.status || d.failed == nil {
				t.Errorf("reported %d, %v", d.status, d.failed)
			}
		})
	}
}

func TestNewHandler_PanicsOnAWrongTable(t *testing.T) {
	query := restjson.New(restjson.Op[struct {
		A string `query:"a"`
	}, putOutput]{
		Name: "Get", Method: "POST", Path: "/",
		Access: func(*restjson.Call, *struct {
			A string `query:"a"`
		},
		) []restjson.Need {
			return nil
		},
		Do: func(context.Context, *restjson.Call, *struct {
			A string `query:"a"`
		},
		) (*putOutput, error) {
			return nil, nil
		},
	})
	d := &desk{}
	for want, rows := range map[string][]restjson.Row{
		"two operations are named Put":          {d.put(), d.put()},
		"operation Get: A is not a json member": {query},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("got panic %q, want one with %q", text, want)
				}
			}()
			awsjson.NewHandler(awsjson.Service{Target: "Desk", Rows: rows}, restjson.Config{
				Authenticate: func(*http.Request, int64, bool) (any, io.Reader, error) { return nil, nil, nil },
				Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
				Shapes:       restjson.Shapes{"Name": {}},
			})
		})
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("Desk.Put", `{"Name":"a","Count":1e3,"Since":-1.5,"Tags":[null]}`)
	f.Add("Desk.", "\xff")
	f.Fuzz(func(t *testing.T, target, body string) {
		w := newDesk().post(target, body)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("not JSON: %s", w.Body)
		}
	})
}
