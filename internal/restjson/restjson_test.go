package restjson_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

type pot struct {
	Clay string `json:"clay" required:"true" validate:"Word"`
	Age  *int32 `json:"age" validate:"Age"`
}

type makeInput struct {
	Kiln     string            `query:"kiln-name" required:"true" validate:"Word"`
	Glaze    string            `query:"glaze" validate:"Glaze"`
	Limit    *int32            `query:"max-results" validate:"Age"`
	Dry      bool              `query:"dry"`
	Note     *string           `json:"note"`
	Pots     []pot             `json:"pots" validate:"Pots"`
	Marks    map[string]string `json:"marks" validate:"Marks"`
	Best     *pot              `json:"best"`
	Heat     *int64            `json:"heat"`
	Fast     bool              `json:"fast"`
	FiredAt  *restjson.Time    `json:"firedAt"`
	Trace    string            `header:"X-Trace"`
	Untested []string          `json:"untested"`
}

type makeOutput struct {
	Name    string            `json:"name,omitempty"`
	Count   int64             `json:"count"`
	Fired   *restjson.Time    `json:"fired,omitzero"`
	Pots    []pot             `json:"pots"`
	Marks   map[string]string `json:"marks"`
	Nothing *pot              `json:"nothing,omitzero"`
}

type fetchInput struct {
	Name string        `query:"name"`
	Hash string        `header:"x-amz-content-sha256"`
	Body io.ReadCloser `body:"stream"`
}

type fetchOutput struct {
	Body   io.ReadCloser `body:"stream"`
	Name   string        `header:"X-Name"`
	Length int64         `header:"Content-Length"`
}

var shapes = restjson.Shapes{
	"Word":  {Min: 2, Max: 5, Pattern: `[a-z]+`},
	"Glaze": {Enum: []string{"red", "blue"}},
	"Age":   {Min: 1, Max: 1000},
	"Pots":  {Max: 2},
	"Marks": {Key: "Word", Member: "Glaze"},
}

// kiln is a handler of two operations and what they have seen.
type kiln struct {
	*restjson.Handler
	made   *makeInput
	order  []string
	result *makeOutput
	err    error // of Do
	deny   error // of Authorize
	auth   error // of Authenticate
	stream io.ReadCloser
	length int64
	status int
	failed error
	call   restjson.Call
}

func newKiln() *kiln {
	k := &kiln{}
	k.Handler = restjson.NewHandler([]restjson.Row{
		restjson.New(restjson.Op[makeInput, makeOutput]{
			Name: "MakePots", Method: "POST", Path: "/v1/pots", Doc: "Makes pots.",
			Access: func(_ *restjson.Call, in *makeInput) []restjson.Need {
				k.order = append(k.order, "access")
				return []restjson.Need{{Action: "kiln:MakePots", Resource: in.Kiln}}
			},
			Do: func(_ context.Context, c *restjson.Call, in *makeInput) (*makeOutput, error) {
				k.order = append(k.order, "do")
				k.made = in
				return k.result, k.err
			},
		}),
		restjson.New(restjson.Op[fetchInput, fetchOutput]{
			Name: "FirePot", Method: "PUT", Path: "/v1/pot",
			Access: func(*restjson.Call, *fetchInput) []restjson.Need { return nil },
			Do: func(_ context.Context, _ *restjson.Call, in *fetchInput) (*fetchOutput, error) {
				text, err := io.ReadAll(in.Body)
				if err != nil {
					return nil, err
				}
				if k.stream == nil {
					k.stream = io.NopCloser(strings.NewReader(in.Hash + string(text)))
				}
				return &fetchOutput{Body: k.stream, Name: in.Name, Length: k.length}, nil
			},
		}),
	}, restjson.Config{
		Authenticate: func(r *http.Request, limit int64, streaming bool) (any, io.Reader, error) {
			k.order = append(k.order, fmt.Sprintf("authenticate streaming=%v", streaming))
			return "bob", r.Body, k.auth
		},
		Authorize: func(_ context.Context, c *restjson.Call, needs []restjson.Need) error {
			k.order = append(k.order, fmt.Sprintf("authorize %v %s %s", c.Principal, needs[0].Action, needs[0].Resource))
			return k.deny
		},
		Shapes:    shapes,
		BodyLimit: 4096,
		Describe:  func(*http.Request) restjson.Call { return restjson.Call{RequestID: "req-1"} },
		Done: func(_ context.Context, c *restjson.Call, status int, err error) {
			k.call, k.status, k.failed = *c, status, err
		},
	})
	return k
}

func (k *kiln) do(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	k.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func ptr[T any](v T) *T { return &v }

func TestHandler_Order(t *testing.T) {
	k := newKiln()
	k.do("POST", "/v1/pots?kiln-name=big", "{}")
	want := []string{"authenticate streaming=false", "access", "authorize bob kiln:MakePots big", "do"}
	if d := cmp.Diff(want, k.order); d != "" {
		t.Fatal(d)
	}
}

func TestHandler_StopsWhereItFails(t *testing.T) {
	for _, c := range []struct {
		name, query string
		set         func(*kiln)
		want        []string
	}{
		{"unauthenticated", "?kiln-name=b!", func(k *kiln) { k.auth = sigv4.UnknownKey() }, []string{"authenticate streaming=false"}},
		{"invalid", "?kiln-name=b!", func(*kiln) {}, []string{"authenticate streaming=false"}},
		{"denied", "?kiln-name=big", func(k *kiln) { k.deny = fault.New(fault.Denied, "no") }, []string{"authenticate streaming=false", "access", "authorize bob kiln:MakePots big"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiln()
			c.set(k)
			w := k.do("POST", "/v1/pots"+c.query, "")
			if d := cmp.Diff(c.want, k.order); d != "" {
				t.Fatal(d)
			}
			if w.Code < 400 || k.status != w.Code || k.failed == nil {
				t.Fatalf("status %d, reported %d with %v", w.Code, k.status, k.failed)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, query, body string
		want              makeInput
	}{
		{"no body", "kiln-name=big", "", makeInput{Kiln: "big"}},
		{"empty object", "kiln-name=big", " {} ", makeInput{Kiln: "big"}},
		{"empty parameter is absent", "kiln-name=big&glaze=&max-results=", "", makeInput{Kiln: "big"}},
		{"first of a repeated parameter", "kiln-name=big&kiln-name=small", "", makeInput{Kiln: "big"}},
		{"unknown parameter and member", "kiln-name=big&x=1", `{"x":{"y":[1,{"z":null}]},"note":"n"}`, makeInput{Kiln: "big", Note: ptr("n")}},
		{"member names are exact", "kiln-name=big", `{"Note":"n"}`, makeInput{Kiln: "big"}},
		{"member of the query in the body", "kiln-name=big", `{"kiln-name":"small","glaze":1}`, makeInput{Kiln: "big"}},
		{"null is absent", "kiln-name=big", `{"note":null,"pots":null,"marks":null,"heat":null,"fast":null}`, makeInput{Kiln: "big"}},
		{"empty is not absent", "kiln-name=big", `{"note":"","pots":[],"marks":{}}`, makeInput{Kiln: "big", Note: ptr(""), Pots: []pot{}, Marks: map[string]string{}}},
		{
			"everything", "kiln-name=big&glaze=red&max-results=7&dry=true",
			`{"note":"é\u00e9","pots":[{"clay":"red","age":3}],"marks":{"on":"red"},"best":{"clay":"tan"},"heat":9007199254740993,"fast":true,"firedAt":1.25}`,
			makeInput{
				Kiln: "big", Glaze: "red", Limit: ptr(int32(7)), Dry: true, Note: ptr("éé"), Pots: []pot{{"red", ptr(int32(3))}},
				Marks: map[string]string{"on": "red"}, Best: &pot{Clay: "tan"}, Heat: ptr(int64(9007199254740993)), Fast: true,
				FiredAt: restjson.At(time.UnixMilli(1250).UTC()),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiln()
			w := k.do("POST", "/v1/pots?"+c.query, c.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if d := cmp.Diff(&c.want, k.made); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestDecode_Refuses(t *testing.T) {
	const one = "1 validation error detected: "
	for _, c := range []struct{ name, query, body, reason, message string }{
		{"required", "", "", "FIELD_VALIDATION_FAILED", one + "Value null at 'kiln' failed to satisfy constraint: Member must not be null"},
		{"pattern", "kiln-name=BIG", "", "FIELD_VALIDATION_FAILED", one + "Value 'BIG' at 'kiln' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"},
		{"pattern is anchored", "kiln-name=ab%0A", "", "FIELD_VALIDATION_FAILED", one + "Value 'ab\n' at 'kiln' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"},
		{"too short", "kiln-name=a", "", "FIELD_VALIDATION_FAILED", one + "Value 'a' at 'kiln' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		{"too long", "kiln-name=abcdef", "", "FIELD_VALIDATION_FAILED", one + "Value 'abcdef' at 'kiln' failed to satisfy constraint: Member must have length less than or equal to 5"},
		{"enum", "kiln-name=big&glaze=green", "", "FIELD_VALIDATION_FAILED", one + "Value 'green' at 'glaze' failed to satisfy constraint: Member must satisfy enum value set: [red, blue]"},
		{"zero is a value", "kiln-name=big&max-results=0", "", "FIELD_VALIDATION_FAILED", one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"number too large", "kiln-name=big&max-results=1001", "", "FIELD_VALIDATION_FAILED", one + "Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{"list too long", "kiln-name=big", `{"pots":[{"clay":"red"},{"clay":"red"},{"clay":"red"}]}`, "FIELD_VALIDATION_FAILED", one + "Value at 'pots' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{"member of a list", "kiln-name=big", `{"pots":[{"clay":"red"},{"age":1}]}`, "FIELD_VALIDATION_FAILED", one + "Value null at 'pots.2.member.clay' failed to satisfy constraint: Member must not be null"},
		{"two at once", "kiln-name=big", `{"marks":{"X1":"green"}}`, "FIELD_VALIDATION_FAILED", "2 validation errors detected: Value 'X1' at 'marks' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+; Value 'green' at 'marks.X1.member' failed to satisfy constraint: Member must satisfy enum value set: [red, blue]"},
		{"NUL", "kiln-name=big", `{"untested":["a\u0000"]}`, "FIELD_VALIDATION_FAILED", one + "Value at 'untested.1.member' failed to satisfy constraint: Member must be UTF-8 text without NUL"},
		{"number not a number", "kiln-name=big&max-results=x", "", "CANNOT_PARSE", "limit: expected an integer of 32 bits"},
		{"number overflows", "kiln-name=big&max-results=4294967297", "", "CANNOT_PARSE", "limit: expected an integer of 32 bits"},
		{"boolean in capitals", "kiln-name=big&dry=True", "", "CANNOT_PARSE", "dry: expected true or false"},
		{"broken escape", "kiln-name=%zz", "", "CANNOT_PARSE", "the query string cannot be read"},
		{"not UTF-8", "kiln-name=%ff", "", "CANNOT_PARSE", "kiln: not valid UTF-8"},
		{"not JSON", "kiln-name=big", `{"note":`, "CANNOT_PARSE", "the request body is not valid JSON"},
		{"cut off in null", "kiln-name=big", `{"note":n`, "CANNOT_PARSE", "the request body is not valid JSON"},
		{"not an object", "kiln-name=big", `[]`, "CANNOT_PARSE", "the request body is not a JSON object"},
		{"null", "kiln-name=big", `null`, "CANNOT_PARSE", "the request body is not a JSON object"},
		{"two values", "kiln-name=big", `{} {}`, "CANNOT_PARSE", "the request body has more than one JSON value"},
		{"repeated member", "kiln-name=big", `{"note":"a","note":"b"}`, "CANNOT_PARSE", "the request body is not valid JSON"},
		{"broken UTF-8", "kiln-name=big", "{\"note\":\"\xff\"}", "CANNOT_PARSE", "the request body is not valid JSON"},
		{"string for a list", "kiln-name=big", `{"pots":"x"}`, "CANNOT_PARSE", "pots: expected a list"},
		{"number for a string", "kiln-name=big", `{"note":1}`, "CANNOT_PARSE", "note: expected a string"},
		{"fraction for an integer", "kiln-name=big", `{"heat":1.5}`, "CANNOT_PARSE", "heat: expected an integer of 64 bits"},
		{"string for a boolean", "kiln-name=big", `{"fast":"true"}`, "CANNOT_PARSE", "fast: expected a bool"},
		{"list for an object", "kiln-name=big", `{"best":[]}`, "CANNOT_PARSE", "best: expected an object"},
		{"inside a list", "kiln-name=big", `{"pots":[{"clay":true}]}`, "CANNOT_PARSE", "pots.1.member.clay: expected a string"},
		{"null in a list", "kiln-name=big", `{"untested":[null]}`, "CANNOT_PARSE", "untested.1.member: null is not a value"},
		{"nested too deep", "kiln-name=big", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "CANNOT_PARSE", "the request body is nested deeper than 32 levels"},
		{"body too large", "kiln-name=big", `{"note":"` + strings.Repeat("x", 5000) + `"}`, "OTHER", "the request body is larger than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newKiln().do("POST", "/v1/pots?"+c.query, c.body)
			want := fmt.Sprintf(`{"__type":"ValidationException","message":%q,"reason":%q}`, c.message, c.reason)
			if d := cmp.Diff(want, w.Body.String()); d != "" || w.Code != http.StatusBadRequest {
				t.Fatalf("status %d\n%s", w.Code, d)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name string
		out  *makeOutput
		want string
	}{
		{"nothing given", nil, `{"count":0,"pots":[],"marks":{}}`},
		{"absent and empty", &makeOutput{}, `{"count":0,"pots":[],"marks":{}}`},
		{"whole second", &makeOutput{Fired: restjson.At(time.Unix(1700000000, 0))}, `{"count":0,"fired":1700000000,"pots":[],"marks":{}}`},
		{"fraction", &makeOutput{Fired: restjson.At(time.UnixMilli(1700000000050))}, `{"count":0,"fired":1700000000.05,"pots":[],"marks":{}}`},
		{"before 1970", &makeOutput{Fired: restjson.At(time.UnixMilli(-1500))}, `{"count":0,"fired":-1.5,"pots":[],"marks":{}}`},
		{"no HTML escapes, maps sorted", &makeOutput{Name: `<a&"b">`, Marks: map[string]string{"b": "2", "a": "1"}}, `{"name":"<a&\"b\">","count":0,"pots":[],"marks":{"a":"1","b":"2"}}`},
		{"broken text is mended", &makeOutput{Name: "a\xff"}, `{"name":"a` + "\ufffd" + `","count":0,"pots":[],"marks":{}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiln()
			k.result = c.out
			w := k.do("POST", "/v1/pots?kiln-name=big", "")
			if d := cmp.Diff(c.want, w.Body.String()); d != "" || w.Code != http.StatusOK {
				t.Fatalf("status %d\n%s", w.Code, d)
			}
			want := http.Header{"Content-Type": {"application/json"}, "X-Amzn-Requestid": {"req-1"}, "Content-Length": {fmt.Sprint(len(c.want))}}
			if d := cmp.Diff(want, w.Header()); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		kind   string
		body   string
		retry  string
	}{
		{"denied", fault.New(fault.Denied, "no"), 403, "AccessDeniedException", `"message":"no"`, ""},
		{"conflict", fault.About(fault.Conflict, "domain", "d", "is there"), 409, "ConflictException", `"message":"is there","resourceId":"d","resourceType":"domain"`, ""},
		{"not found, wrapped", fmt.Errorf("x: %w", fault.About(fault.NotFound, "package", "p", "gone")), 404, "ResourceNotFoundException", `"message":"gone","resourceId":"p","resourceType":"package"`, ""},
		{"no resource type", fault.About(fault.NotFound, "", "/npm/*", "gone"), 404, "ResourceNotFoundException", `"message":"gone","resourceId":"/npm/*"`, ""},
		{"quota", fault.About(fault.Quota, "repository", "r", "full"), 402, "ServiceQuotaExceededException", `"message":"full","resourceId":"r","resourceType":"repository"`, ""},
		{"throttled", &fault.Error{Kind: fault.Throttled, Message: "slow", RetryAfter: 1500 * time.Millisecond}, 429, "ThrottlingException", `"message":"slow"`, "2"},
		{"throttled without a time", fault.New(fault.Throttled, "slow"), 429, "ThrottlingException", `"message":"slow"`, "1"},
		{"invalid", fault.New(fault.Invalid, "bad"), 400, "ValidationException", `"message":"bad","reason":"OTHER"`, ""},
		{"invalid with a reason", &fault.Error{Kind: fault.Invalid, Message: "bad key", Reason: "ENCRYPTION_KEY_ERROR"}, 400, "ValidationException", `"message":"bad key","reason":"ENCRYPTION_KEY_ERROR"`, ""},
		{"too large", fault.New(fault.TooLarge, "big"), 400, "ValidationException", `"message":"big","reason":"OTHER"`, ""},
		{"upstream", fault.New(fault.Upstream, "remote is down"), 502, "InternalServerException", `"message":"remote is down"`, ""},
		{"unavailable", &fault.Error{Kind: fault.Unavailable, Message: "closing", RetryAfter: time.Second}, 503, "ServiceUnavailableException", `"message":"closing"`, "1"},
		{"unauthenticated", fault.New(fault.Unauthenticated, "who"), 403, "UnrecognizedClientException", `"message":"who"`, ""},
		{"expired token", sigv4.ExpiredToken(), 403, "ExpiredTokenException", `"message":"The security token included in the request is expired"`, ""},
		{"unclassified", errors.New("secret"), 500, "InternalServerException", `"message":"` + fault.Message(errors.New("x")) + `"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiln()
			k.err = c.err
			w := k.do("POST", "/v1/pots?kiln-name=big", "")
			want := fmt.Sprintf(`{"__type":%q,%s}`, c.kind, c.body)
			if d := cmp.Diff(want, w.Body.String()); d != "" || w.Code != c.status {
				t.Fatalf("status %d\n%s", w.Code, d)
			}
			got := map[string]string{}
			for _, h := range []string{"x-amzn-ErrorType", "x-amzn-RequestId", "Retry-After"} {
				got[h] = w.Header().Get(h)
			}
			if d := cmp.Diff(map[string]string{"x-amzn-ErrorType": c.kind, "x-amzn-RequestId": "req-1", "Retry-After": c.retry}, got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestHandler_UnknownRoute(t *testing.T) {
	for _, target := range []string{"GET /v1/pots", "POST /v1/pots/", "POST /v1/none"} {
		method, path, _ := strings.Cut(target, " ")
		k := newKiln()
		w := k.do(method, path, "")
		if w.Code != 404 || w.Header().Get("x-amzn-ErrorType") != "UnknownOperationException" || len(k.order) > 0 || k.status != 404 {
			t.Fatalf("%s: status %d, %v, order %v", target, w.Code, w.Header(), k.order)
		}
	}
}

func TestHandler_Streams(t *testing.T) {
	k := newKiln()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("PUT", "/v1/pot?name=a%20b%0D%0Ax", strings.NewReader(strings.Repeat("x", 10000)))
	r.Header.Set("x-amz-content-sha256", "hash-")
	k.ServeHTTP(w, r)
	if d := cmp.Diff("hash-"+strings.Repeat("x", 10000), w.Body.String()); d != "" {
		t.Fatal(d)
	}
	want := http.Header{"X-Name": {"a bx"}, "Content-Type": {"application/octet-stream"}, "X-Amzn-Requestid": {"req-1"}, "X-Content-Type-Options": {"nosniff"}}
	if d := cmp.Diff(want, w.Header()); d != "" {
		t.Fatal(d)
	}
	if k.order[0] != "authenticate streaming=true" {
		t.Fatal(k.order)
	}
}

type breaking struct{ closed bool }

func (b *breaking) Read([]byte) (int, error) { return 0, errors.New("disk gone") }
func (b *breaking) Close() error             { b.closed = true; return nil }

func TestHandler_BrokenStreamAbortsTheAnswer(t *testing.T) {
	k := newKiln()
	b := &breaking{}
	k.stream, k.length = b, 9
	s := httptest.NewServer(k)
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/v1/pot", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Fatal("the client believes it has everything")
	}
	s.Close() // waits for the handler
	if !b.closed || k.failed == nil {
		t.Fatalf("closed %v, reported %v", b.closed, k.failed)
	}
}

func TestHandler_DoInProcess(t *testing.T) {
	k := newKiln()
	k.result = &makeOutput{Name: "n"}
	c := &restjson.Call{Principal: "ann"}
	out, err := k.Do(t.Context(), c, "MakePots", &makeInput{Kiln: "big"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(k.result, out); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff([]string{"access", "authorize ann kiln:MakePots big", "do"}, k.order); d != "" {
		t.Fatal(d)
	}
	if _, err := k.Do(t.Context(), c, "MakePots", &makeInput{Kiln: "BIG"}); !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v, want invalid", err)
	}
	if _, err := k.Do(t.Context(), c, "MakePots", &fetchInput{}); err == nil {
		t.Fatal("an input of another operation was accepted")
	}
}

func TestRow_Fields(t *testing.T) {
	row := newKiln().Rows()[0]
	got := map[string]string{}
	for _, f := range row.Fields() {
		got[f.Member()] = fmt.Sprintf("%s %s %s %v %s", f.In, f.Wire, f.Kind, f.Required, f.Shape)
	}
	want := map[string]string{
		"kiln": "query kiln-name string true Word", "glaze": "query glaze string false Glaze", "limit": "query max-results int false Age",
		"dry": "query dry bool false ", "note": "json note string false ", "pots": "json pots list false Pots", "marks": "json marks map false Marks",
		"best": "json best struct false ", "heat": "json heat int false ", "fast": "json fast bool false ", "firedAt": "json firedAt timestamp false ",
		"trace": "header X-Trace string false ", "untested": "json untested list false ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if row.Name() != "MakePots" || row.Doc() != "Makes pots." || row.OutputStream() || row.InputStream() || !newKiln().Rows()[1].OutputStream() {
		t.Fatal("the row does not describe itself")
	}
}

func panics[In, Out any](op restjson.Op[In, Out]) (text string) {
	defer func() { text, _ = recover().(string) }()
	if op.Name == "" {
		op.Name, op.Method, op.Path = "X", "GET", "/"
		op.Access = func(*restjson.Call, *In) []restjson.Need { return nil }
	}
	if op.Do == nil {
		op.Do = func(context.Context, *restjson.Call, *In) (*Out, error) { return nil, nil }
	}
	restjson.New(op)
	return ""
}

type none struct{}

func TestNew_PanicsOnAWrongOperation(t *testing.T) {
	for name, text := range map[string]string{
		"Access and Do are required": panics(restjson.Op[none, none]{Name: "X", Method: "GET", Path: "/"}),
		`tag requird:"true"`: panics(restjson.Op[struct {
			A string `query:"a" requird:"true"`
		}, none]{}),
		"bound to nothing": panics(restjson.Op[struct{ A string }, none]{}),
		"bound twice": panics(restjson.Op[struct {
			A string `query:"a"`
			B string `query:"a"`
		}, none]{}),
		"has no meaning here": panics(restjson.Op[none, struct {
			A string `query:"a"`
		}]{}),
		"cannot be bound to a query": panics(restjson.Op[struct {
			A []string `query:"a"`
		}, none]{}),
		"must be a pointer": panics(restjson.Op[struct {
			A int32 `query:"a" validate:"Age"`
		}, none]{}),
		"cannot be bound": panics(restjson.Op[struct {
			A func() `json:"a"`
		}, none]{}),
		"besides other body members": panics(restjson.Op[struct {
			A io.ReadCloser `body:"stream"`
			B string        `json:"b"`
		}, none]{}),
		"not a plain exported field": panics(restjson.Op[struct {
			a string `query:"a"`
		}, none]{}),
		"nested.A: is bound to nothing": panics(restjson.Op[struct {
			L []nested `json:"l"`
		}, none]{}),
	} {
		if !strings.Contains(text, name) {
			t.Errorf("got panic %q, want one with %q", text, name)
		}
	}
}

type nested struct{ A string }

func TestNewHandler_PanicsOnAWrongTable(t *testing.T) {
	row := newKiln().Rows()[0]
	cfg := restjson.Config{
		Authenticate: func(*http.Request, int64, bool) (any, io.Reader, error) { return nil, nil, nil },
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Shapes:       shapes,
	}
	for name, c := range map[string]struct {
		rows []restjson.Row
		edit func(*restjson.Config)
	}{
		"are both POST /v1/pots":     {[]restjson.Row{row, row}, func(*restjson.Config) {}},
		"no shape Glaze":             {[]restjson.Row{row}, func(c *restjson.Config) { c.Shapes = maps.Clone(shapes); delete(c.Shapes, "Glaze") }},
		"Authenticate and Authorize": {nil, func(c *restjson.Config) { c.Authorize = nil }},
		"missing closing":            {nil, func(c *restjson.Config) { c.Shapes = restjson.Shapes{"X": {Pattern: "("}} }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			c.edit(&cfg)
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name) {
					t.Errorf("got panic %q, want one with %q", text, name)
				}
			}()
			restjson.NewHandler(c.rows, cfg)
		})
	}
}

func TestConfig_DescribesTheConnection(t *testing.T) {
	var got restjson.Call
	h := restjson.NewHandler(nil, restjson.Config{
		Authenticate: func(*http.Request, int64, bool) (any, io.Reader, error) { return nil, nil, nil },
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Done:         func(_ context.Context, c *restjson.Call, _ int, _ error) { got = *c },
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "[::ffff:192.0.2.1]:99"
	r.Header.Set("User-Agent", "ua")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got.RequestID == "" || got.Time.IsZero() {
		t.Fatalf("no request id or time in %+v", got)
	}
	if d := cmp.Diff("192.0.2.1 ua false", fmt.Sprint(got.SourceIP, " ", got.UserAgent, " ", got.Secure)); d != "" {
		t.Fatal(d)
	}
}

func TestTime_RoundTrip(t *testing.T) {
	for _, ms := range []int64{0, 1, 999, 1700000000123, -1, -1500, 253402300799999} {
		want := restjson.Time{Time: time.UnixMilli(ms).UTC()}
		text, err := want.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got restjson.Time
		if err := got.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); d != "" {
			t.Fatalf("%s: %s", text, d)
		}
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("kiln-name=big&glaze=red", `{"pots":[{"clay":"red","age":3}],"marks":{"on":"red"},"heat":1,"firedAt":1e3}`)
	f.Add("kiln-name=%00&dry=true", `{"note":"\ud800"}`)
	f.Add("=&&;", `[[[[`)
	f.Fuzz(func(t *testing.T, query, body string) {
		k := newKiln()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/v1/pots", strings.NewReader(body))
		r.URL.RawQuery = query
		k.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if w.Code == http.StatusOK {
			if q, err := url.ParseQuery(query); err != nil || q.Get("kiln-name") != k.made.Kiln {
				t.Fatalf("kiln %q from %q", k.made.Kiln, query)
			}
		}
	})
}
