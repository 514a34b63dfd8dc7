package awscbor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/awscbor"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

type object = map[string]any

type putInput struct {
	Name  string            `json:"Name" required:"true" validate:"Name"`
	Count *int              `json:"Count"`
	Level *float64          `json:"Level"`
	On    *bool             `json:"On"`
	Since *restjson.Time    `json:"Since"`
	Tags  []putTag          `json:"Tags"`
	Marks map[string]string `json:"Marks"`
}

type putTag struct {
	Key string `json:"Key"`
}

type putOutput struct {
	Name   string         `json:"Name"`
	Since  *restjson.Time `json:"Since,omitempty"`
	Levels []float64      `json:"Levels"`
	Gone   *string        `json:"Gone,omitempty"`
}

// desk is a service with one operation.
type desk struct {
	*awscbor.Handler
	auth, err error
	in        *putInput
	call      restjson.Call
	status    int
}

func newDesk() *desk {
	d := &desk{}
	row := restjson.New(restjson.Op[putInput, putOutput]{
		Name: "Put", Method: "POST", Path: "/",
		Access: func(*restjson.Call, *putInput) []restjson.Need { return nil },
		Do: func(_ context.Context, _ *restjson.Call, in *putInput) (*putOutput, error) {
			d.in = in
			return &putOutput{Name: in.Name, Since: in.Since, Levels: []float64{1, 0.5}}, d.err
		},
	})
	d.Handler = awscbor.NewHandler(awscbor.Service{
		Name: "Desk", Source: "desk.test", Rows: []restjson.Row{row}, Exceptions: map[fault.Kind]string{fault.Quota: "LimitExceededException"},
		QueryError: func(error) string { return "Short;Sender" },
	}, restjson.Config{
		Authenticate: func(r *http.Request, _ int64, _ bool) (any, io.Reader, error) { return "ann", r.Body, d.auth },
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Shapes:       restjson.Shapes{"Name": {Min: 1, Max: 3}},
		Describe:     func(*http.Request) restjson.Call { return restjson.Call{RequestID: "req-1"} },
		Done:         func(_ context.Context, c *restjson.Call, status int, _ error) { d.call, d.status = *c, status },
		BodyLimit:    4096,
	})
	return d
}

func (d *desk) post(path string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(string(body)))
	r.Header.Set(awscbor.ProtocolHeader, "rpc-v2-cbor")
	d.ServeHTTP(w, r)
	return w
}

const put = "/service/Desk/operation/Put"

func bytesOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func answer(t *testing.T, w *httptest.ResponseRecorder) object {
	t.Helper()
	var out object
	if err := cbor.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%x: %v", w.Body.Bytes(), err)
	}
	return out
}

func TestHandler(t *testing.T) {
	d := newDesk()
	w := d.post(put, bytesOf(t, object{
		"Name": "a", "Count": 3.0, "Level": 7, "On": true, "Since": cbor.Tag{Number: 1, Content: 1700000000.5},
		"Tags": []any{object{"Key": "k"}}, "Marks": object{"m": "n"}, "Other": []any{nil, object{}}, "Gone": nil,
	}))
	since := time.UnixMilli(1700000000500).UTC()
	three, seven, on := 3, 7.0, true
	want := &putInput{Name: "a", Count: &three, Level: &seven, On: &on, Since: restjson.At(since), Tags: []putTag{{"k"}}, Marks: map[string]string{"m": "n"}}
	if diff := cmp.Diff(want, d.in); diff != "" {
		t.Errorf("status %d: %s", w.Code, diff)
	}
	got := answer(t, w)
	got["Since"] = got["Since"].(time.Time).UTC()
	if diff := cmp.Diff(object{"Name": "a", "Since": since, "Levels": []any{1.0, 0.5}}, got); diff != "" {
		t.Error(diff)
	}
	head := []string{w.Header().Get("Content-Type"), w.Header().Get("smithy-protocol"), w.Header().Get("x-amzn-RequestId"), d.call.Operation, d.call.Source}
	if diff := cmp.Diff([]string{"application/cbor", "rpc-v2-cbor", "req-1", "Put", "desk.test"}, head); diff != "" {
		t.Error(diff)
	}
	if d.call.Principal != "ann" || d.status != http.StatusOK {
		t.Errorf("reported %v, %d", d.call.Principal, d.status)
	}
}

// The encodings of the protocol that Marshal does not choose.
func TestHandler_ReadsOtherEncodings(t *testing.T) {
	for name, c := range map[string]struct{ hex, name string }{
		"indefinite map":       {"bf644e616d656161ff", "a"},
		"indefinite text":      {"a1644e616d657f6161ff", "a"},
		"half float for int":   {"a2644e616d65616165436f756e74f94200", "a"},
		"null and undefined":   {"a3644e616d656161654c6576656cf6654f74686572f7", "a"},
		"bytes in unknown one": {"a2644e616d656161654f7468657243010203", "a"},
	} {
		data, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk()
		if w := d.post(put, data); w.Code != http.StatusOK || d.in.Name != c.name {
			t.Errorf("%s: %d %v", name, w.Code, answer(t, w))
		}
	}
}

func TestHandler_Failures(t *testing.T) {
	good := object{"Name": "a"}
	deep := any("x")
	for range 40 {
		deep = []any{deep}
	}
	for _, c := range []struct {
		name, path    string
		body          []byte
		auth, err     error
		status        int
		kind, message string
	}{
		{"unknown operation", "/service/Desk/operation/Get", bytesOf(t, good), nil, nil, 400, "UnknownOperationException", "no operation of this name"},
		{"other service", "/service/Chair/operation/Put", bytesOf(t, good), nil, nil, 400, "UnknownOperationException", "no operation of this name"},
		{"not signed", put, bytesOf(t, good), &sigv4.Error{Code: sigv4.CodeInvalid, Message: "bad"}, nil, 400, sigv4.CodeInvalid, "bad"},
		{"no CBOR", put, []byte{0xff}, nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"more than one value", put, append(bytesOf(t, good), 0xa0), nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"no map", put, bytesOf(t, []string{"a"}), nil, nil, 400, "SerializationException", "the request body is not a CBOR map"},
		{"numbers as keys", put, bytesOf(t, map[int]int{1: 1}), nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"a key twice", put, []byte{0xa2, 0x61, 'a', 1, 0x61, 'a', 1}, nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"too deep", put, bytesOf(t, object{"Name": deep}), nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"too many", put, []byte{0xa1, 0x61, 'a', 0x9b, 0, 0, 1, 0, 0, 0, 0, 0}, nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"not finite", put, bytesOf(t, object{"Level": math.Inf(1)}), nil, nil, 400, "SerializationException", "a number that is not finite"},
		{"big number", put, bytesOf(t, object{"Count": uint64(math.MaxUint64)}), nil, nil, 400, "SerializationException", "the request body is not valid CBOR"},
		{"another tag", put, bytesOf(t, object{"Name": cbor.Tag{Number: 99, Content: "x"}}), nil, nil, 400, "SerializationException", "of a kind that no operation takes"},
		{"wrong type", put, bytesOf(t, object{"Name": 1}), nil, nil, 400, "SerializationException", "name: expected a string"},
		{"half an int", put, bytesOf(t, object{"Count": 1.5}), nil, nil, 400, "SerializationException", "count: expected an integer"},
		{"too large", put, []byte(strings.Repeat(" ", 5000)), nil, nil, 400, "ValidationException", "larger than 4096 bytes"},
		{"no body", put, nil, nil, nil, 400, "ValidationException", "Value null at 'name'"},
		{"not found", put, bytesOf(t, good), nil, fault.New(fault.NotFound, "gone"), 400, "ResourceNotFoundException", "gone"},
		{"own kind", put, bytesOf(t, good), nil, fault.New(fault.Quota, "much"), 400, "LimitExceededException", "much"},
		{"own code", put, bytesOf(t, good), nil, restjson.WithCode("Own", fault.New(fault.Invalid, "bad")), 400, "Own", "bad"},
		{"unclassified", put, bytesOf(t, good), nil, errors.New("secret"), 500, "InternalServerException", "internal error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.auth, d.err = c.auth, c.err
			w := d.post(c.path, c.body)
			out := answer(t, w)
			message, _ := out["message"].(string)
			if w.Code != c.status || d.status != c.status || out["__type"] != c.kind || !strings.Contains(message, c.message) || strings.Contains(message, "secret") {
				t.Errorf("got %d (reported %d) %v, want %d %s: %s", w.Code, d.status, out, c.status, c.kind, c.message)
			}
			if got := w.Header().Get(restjson.QueryErrorHeader); got != "Short;Sender" {
				t.Errorf("query error %q", got)
			}
		})
	}
}

func TestHandler_ReadsGzip(t *testing.T) {
	squeeze := func(data []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
		return b.Bytes()
	}
	good := squeeze(bytesOf(t, object{"Name": "a"}))
	for name, c := range map[string]struct {
		body   []byte
		status int
		words  string
	}{
		"good":      {good, 200, ""},
		"a bomb":    {squeeze(make([]byte, 1<<24)), 400, "larger than 4096 bytes"},
		"no gzip":   {bytesOf(t, object{"Name": "a"}), 400, "not valid gzip"},
		"cut":       {good[:len(good)-9], 400, "not valid gzip"},
		"corrupt":   {append(slices.Clone(good[:10]), 0xff, 0xff, 0xff), 400, "not valid gzip"},
		"no body":   {nil, 400, "not valid gzip"},
		"bad check": {append(slices.Clone(good[:len(good)-8]), make([]byte, 8)...), 400, "not valid gzip"},
	} {
		d := newDesk()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", put, bytes.NewReader(c.body))
		r.Header.Set("Content-Encoding", "gzip")
		d.ServeHTTP(w, r)
		if w.Code != c.status || c.words != "" && !strings.Contains(fmt.Sprint(answer(t, w)["message"]), c.words) {
			t.Errorf("%s: %d %v", name, w.Code, answer(t, w))
		}
	}
}

func FuzzHandler(f *testing.F) {
	for _, v := range []any{object{"Name": "a", "Count": 3}, object{"Since": cbor.Tag{Number: 1, Content: -1e300}}, []int{1}, nil, object{"Marks": object{"a": object{}}}} {
		f.Add(bytesOf(f, v))
	}
	f.Add([]byte{0xbf, 0x61, 'a', 0x5f, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDesk()
		if w := d.post(put, data); w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("status %d: %x", w.Code, w.Body)
		}
	})
}
