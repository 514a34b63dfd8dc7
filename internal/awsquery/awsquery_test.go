package awsquery_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/awsquery"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

const (
	stsSpace = "https://sts.amazonaws.com/doc/2011-06-15/"
	iamSpace = "https://iam.amazonaws.com/doc/2010-05-08/"
)

type none struct{}

type identity struct {
	Arn     string `json:"Arn"`
	UserID  string `json:"UserId"`
	Account string `json:"Account"`
}

type tag struct {
	Key   string `json:"Key" required:"true" validate:"Word"`
	Value string `json:"Value"`
}

type policyARN struct {
	Arn string `json:"arn"`
}

type assumeInput struct {
	RoleArn         string      `json:"RoleArn" required:"true"`
	RoleSessionName string      `json:"RoleSessionName" required:"true" validate:"Word"`
	DurationSeconds *int32      `json:"DurationSeconds"`
	PolicyArns      []policyARN `json:"PolicyArns"`
	Tags            []tag       `json:"Tags"`
	TransitiveKeys  []string    `json:"TransitiveTagKeys"`
}

type credentials struct {
	AccessKeyID string         `json:"AccessKeyId"`
	Secret      string         `json:"SecretAccessKey"`
	Token       string         `json:"SessionToken"`
	Expiration  *restjson.Time `json:"Expiration"`
}

type assumeOutput struct {
	Credentials      *credentials `json:"Credentials"`
	PackedPolicySize int32        `json:"PackedPolicySize"`
	SourceIdentity   string       `json:"SourceIdentity,omitempty"`
}

type box struct {
	Name  *string           `json:"Name"`
	Count *int64            `json:"Count"`
	Open  bool              `json:"Open"`
	Since *restjson.Time    `json:"Since"`
	Marks map[string]string `json:"Marks"`
	Words []string          `json:"Words"`
	Inner *box              `json:"Inner"`
	Boxes []box             `json:"Boxes"`
}

type boxOutput struct {
	Name  string             `json:"Name,omitempty"`
	Count int64              `json:"Count"`
	Open  bool               `json:"IsOpen"`
	Since *restjson.Time     `json:"Since,omitzero"`
	Marks map[string]string  `json:"Marks"`
	Words []string           `json:"Words"`
	Gone  []string           `json:"Gone,omitempty"`
	Inner *identity          `json:"Inner,omitzero"`
	Boxes []restjson.Time    `json:"Times,omitempty"`
	Deep  map[string][]int64 `json:"Deep,omitempty"`
}

// desk is a handler and what its operations have seen.
type desk struct {
	*awsquery.Handler
	assumed *assumeInput
	boxed   *box
	out     *boxOutput
	err     error
	auth    error
	call    restjson.Call
	status  int
}

func op[In, Out any](name string, do func(*restjson.Call, *In) (*Out, error)) restjson.Row {
	return restjson.New(restjson.Op[In, Out]{
		Name: name, Method: "POST", Path: "/",
		Access: func(*restjson.Call, *In) []restjson.Need { return nil },
		Do:     func(_ context.Context, c *restjson.Call, in *In) (*Out, error) { return do(c, in) },
	})
}

func newDesk() *desk {
	d := &desk{}
	d.Handler = awsquery.NewHandler([]awsquery.Service{
		{Namespace: stsSpace, Version: "2011-06-15", Rows: []restjson.Row{
			op("GetCallerIdentity", func(*restjson.Call, *none) (*identity, error) {
				return &identity{"arn:aws:iam::111122223333:user/a<b>&c", "AIDA", "111122223333"}, d.err
			}),
			op("AssumeRole", func(_ *restjson.Call, in *assumeInput) (*assumeOutput, error) {
				d.assumed = in
				return &assumeOutput{&credentials{"AK", "SK", "tok/en+==", restjson.At(time.UnixMilli(1700000000250))}, 6, ""}, d.err
			}),
		}},
		{Namespace: iamSpace, Version: "2010-05-08", Rows: []restjson.Row{
			op("PutBox", func(_ *restjson.Call, in *box) (*boxOutput, error) { d.boxed = in; return d.out, d.err }),
			op("DeleteUser", func(*restjson.Call, *none) (*none, error) { return nil, d.err }),
		}},
	}, restjson.Config{
		Authenticate: func(r *http.Request, _ int64, streaming bool) (any, io.Reader, error) { return "bob", r.Body, d.auth },
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Shapes:       restjson.Shapes{"Word": {Min: 2, Pattern: "[a-z]+"}},
		Describe:     func(*http.Request) restjson.Call { return restjson.Call{RequestID: "req-1"} },
		Done:         func(_ context.Context, c *restjson.Call, status int, _ error) { d.call, d.status = *c, status },
		BodyLimit:    4096,
	})
	return d
}

func (d *desk) post(body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
	return w
}

func client(t *testing.T, d *desk) *sts.Client {
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	return sts.New(sts.Options{
		BaseEndpoint: &s.URL, Region: "eu-central-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}, nil
		}),
	})
}

func TestSDK_GetCallerIdentity(t *testing.T) {
	d := newDesk()
	out, err := client(t, d).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{*out.Arn, *out.UserId, *out.Account}
	if diff := cmp.Diff([]string{"arn:aws:iam::111122223333:user/a<b>&c", "AIDA", "111122223333"}, got); diff != "" {
		t.Fatal(diff)
	}
	if d.call.Operation != "GetCallerIdentity" || d.call.Principal != "bob" || d.status != 200 {
		t.Fatalf("reported %+v, status %d", d.call, d.status)
	}
}

func TestSDK_AssumeRoleNestsBothWays(t *testing.T) {
	d := newDesk()
	out, err := client(t, d).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::1:role/r"), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(900),
		PolicyArns: []ststypes.PolicyDescriptorType{{Arn: aws.String("p1")}, {Arn: aws.String("p2")}},
		Tags:       []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("a&b=c d+é")}, {Key: aws.String("empty"), Value: aws.String("")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &assumeInput{
		RoleArn: "arn:aws:iam::1:role/r", RoleSessionName: "session", DurationSeconds: aws.Int32(900),
		PolicyArns: []policyARN{{"p1"}, {"p2"}}, Tags: []tag{{"team", "a&b=c d+é"}, {"empty", ""}},
	}
	if diff := cmp.Diff(want, d.assumed); diff != "" {
		t.Fatal(diff)
	}
	if *out.Credentials.SessionToken != "tok/en+==" || !out.Credentials.Expiration.Equal(time.UnixMilli(1700000000250)) || *out.PackedPolicySize != 6 { //nolint:staticcheck // the model still has it
		t.Fatalf("got %+v", out.Credentials)
	}
}

func TestSDK_ReadsErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		code   string
		fault  smithy.ErrorFault
		status int
	}{
		{"kind", fault.New(fault.NotFound, "no <user>"), "NoSuchEntity", smithy.FaultClient, 404},
		{"own code", awsquery.WithCode("DeleteConflict", fault.New(fault.Conflict, "no <user>")), "DeleteConflict", smithy.FaultClient, 409},
		{"signature", &sigv4.Error{Code: sigv4.CodeInvalid, Message: "no <user>"}, "SignatureDoesNotMatch", smithy.FaultClient, 403},
		{"throttled", fault.New(fault.Throttled, "no <user>"), "Throttling", smithy.FaultClient, 400},
		{"unavailable", fault.New(fault.Unavailable, "no <user>"), "ServiceUnavailable", smithy.FaultServer, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.err = c.err
			_, err := client(t, d).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			e, ok := errors.AsType[smithy.APIError](err)
			if !ok || e.ErrorCode() != c.code || e.ErrorMessage() != "no <user>" || d.status != c.status {
				t.Fatalf("got %v, status %d, want %s, %d", err, d.status, c.code, c.status)
			}
		})
	}
}

func TestErrors_Envelope(t *testing.T) {
	d := newDesk()
	d.err = errors.New("secret")
	w := d.post("Action=GetCallerIdentity&Version=2011-06-15")
	want := `<ErrorResponse xmlns="` + stsSpace + `"><Error><Type>Receiver</Type><Code>ServiceFailure</Code><Message>` +
		"internal error; the server&#39;s log has the details under this request id</Message></Error><RequestId>req-1</RequestId></ErrorResponse>\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != 500 || w.Header().Get("x-amzn-RequestId") != "req-1" {
		t.Fatalf("status %d, %v\n%s", w.Code, w.Header(), diff)
	}
}

func TestDecode(t *testing.T) {
	since := restjson.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for _, c := range []struct {
		name, form string
		want       box
	}{
		{"nothing", "", box{}},
		{"plain values", "Name=a+b&Count=-7&Open=true&Since=2026-01-02T03:04:05Z", box{Name: aws.String("a b"), Count: aws.Int64(-7), Open: true, Since: since}},
		{"empty text is set, empty number is not", "Name=&Count=", box{Name: aws.String("")}},
		{"list by number, not by order", "Words.member.10=c&Words.member.2=b&Words.member.1=a", box{Words: []string{"a", "b", "c"}}},
		{"flat list", "Words.1=a&Words.2=b", box{Words: []string{"a", "b"}}},
		{"empty list and map", "Words=&Marks=", box{Words: []string{}, Marks: map[string]string{}}},
		{"map", "Marks.entry.1.key=k&Marks.entry.1.value=v&Marks.entry.2.key=e&Marks.entry.2.value=", box{Marks: map[string]string{"k": "v", "e": ""}}},
		{"nested", "Inner.Name=x&Inner.Boxes.member.1.Words.member.1=y", box{Inner: &box{Name: aws.String("x"), Boxes: []box{{Words: []string{"y"}}}}}},
		{"unknown ignored, first of repeated", "Other.member.1=x&Name=a&Name=b&.=1&Words.member.1=a", box{Name: aws.String("a"), Words: []string{"a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			if w := d.post("Action=PutBox&Version=2010-05-08&" + c.form); w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(&c.want, d.boxed); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestDecode_ParametersOfTheQueryServeToo(t *testing.T) {
	d := newDesk()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("GET", "/?Action=PutBox&Name=a", nil))
	if w.Code != 200 || *d.boxed.Name != "a" {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, form, code, message string }{
		{"no action", "Version=2010-05-08", "MissingAction", "the request has no Action"},
		{"unknown action", "Action=Nope&Version=2010-05-08", "InvalidAction", "Could not find operation Nope for version 2010-05-08"},
		{"action of another version", "Action=PutBox&Version=2011-06-15", "InvalidAction", "Could not find operation PutBox for version 2011-06-15"},
		{"broken form", "Action=%zz", "MalformedQueryString", "the request body is not a form"},
		{"too large", "Action=PutBox&Name=" + strings.Repeat("x", 5000), "ValidationError", "the request body is larger than 4096 bytes"},
		{"not a number", "Action=PutBox&Count=x", "ValidationError", "Count: expected an integer of 64 bits"},
		{"not a boolean", "Action=PutBox&Open=1", "ValidationError", "Open: expected true or false"},
		{"not a time", "Action=PutBox&Since=now", "ValidationError", "Since: expected an ISO 8601 timestamp"},
		{"a struct for a text", "Action=PutBox&Name.x=1", "ValidationError", "Name: expected a plain value"},
		{"a text for a list", "Action=PutBox&Words=a", "ValidationError", "Words: expected numbered elements"},
		{"index zero", "Action=PutBox&Words.member.0=a", "ValidationError", "Words: 0 is not a number from 1 to 1000"},
		{"index too large", "Action=PutBox&Words.member.1001=a", "ValidationError", "Words: 1001 is not a number from 1 to 1000"},
		{"entry without a value", "Action=PutBox&Marks.entry.1.key=a", "ValidationError", "Marks.entry.1: expected a key and a value"},
		{"too many parts", "Action=PutBox&" + strings.Repeat("a.", 20) + "a=1", "ValidationError", "the parameter name " + strings.Repeat("a.", 20) + "a has more than 16 parts"},
		{"required", "Action=AssumeRole&RoleSessionName=ab", "ValidationError", "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null"},
		{"nested shape", "Action=AssumeRole&RoleArn=r&RoleSessionName=ab&Tags.member.1.Key=A", "ValidationError", "2 validation errors detected: Value 'A' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 2; Value 'A' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newDesk().post(c.form)
			var got struct {
				Error struct{ Code, Message string }
			}
			if err := xml.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.code+": "+c.message, got.Error.Code+": "+got.Error.Message); diff != "" || w.Code != 400 {
				t.Fatalf("status %d\n%s", w.Code, diff)
			}
		})
	}
}

func TestRefuses_UnauthenticatedBeforeTheFormIsRead(t *testing.T) {
	d := newDesk()
	d.auth = sigv4.UnknownKey()
	if w := d.post("Action=%zz"); w.Code != 403 || !strings.Contains(w.Body.String(), "<Code>InvalidClientTokenId</Code>") {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name string
		out  *boxOutput
		want string
	}{
		{"empty", nil, "<Count>0</Count><IsOpen>false</IsOpen><Marks></Marks><Words></Words>"},
		{
			"full",
			&boxOutput{
				Name: "a<\x01", Count: -1, Open: true, Since: restjson.At(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600))),
				Marks: map[string]string{"b": "2", "a": "1"}, Words: []string{"x", ""}, Inner: &identity{Arn: "i"},
				Boxes: []restjson.Time{{Time: time.Unix(0, 0)}}, Deep: map[string][]int64{"d": {1}},
			},
			"<Name>a&lt;\ufffd</Name><Count>-1</Count><IsOpen>true</IsOpen><Since>2026-01-02T02:04:05.006Z</Since>" +
				"<Marks><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></Marks>" +
				"<Words><member>x</member><member></member></Words><Inner><Arn>i</Arn><UserId></UserId><Account></Account></Inner>" +
				"<Times><member>1970-01-01T00:00:00Z</member></Times><Deep><entry><key>d</key><value><member>1</member></value></entry></Deep>",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.out = c.out
			w := d.post("Action=PutBox")
			want := `<PutBoxResponse xmlns="` + iamSpace + `"><PutBoxResult>` + c.want +
				"</PutBoxResult><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata></PutBoxResponse>\n"
			if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != 200 || w.Header().Get("Content-Type") != "text/xml" {
				t.Fatalf("status %d %v\n%s", w.Code, w.Header(), diff)
			}
		})
	}
}

func TestEncode_NoMembersNoResult(t *testing.T) {
	w := newDesk().post("Action=DeleteUser&Version=2010-05-08")
	want := `<DeleteUserResponse xmlns="` + iamSpace + `"><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata></DeleteUserResponse>` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Fatal(diff)
	}
}

func TestNewHandler_PanicsOnAWrongTable(t *testing.T) {
	row := op("X", func(*restjson.Call, *none) (*none, error) { return nil, nil })
	query := op("Y", func(*restjson.Call, *struct {
		A string `query:"a"`
	},
	) (*none, error) {
		return nil, nil
	})
	for want, services := range map[string][]awsquery.Service{
		"no services":                          nil,
		"two operations are named X":           {{Namespace: stsSpace, Version: "1", Rows: []restjson.Row{row, row}}},
		"operation Y: A is not a json member":  {{Namespace: stsSpace, Version: "1", Rows: []restjson.Row{query}}},
		"Authenticate and Authorize are requi": {{Namespace: stsSpace, Version: "1", Rows: []restjson.Row{row}}},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("got panic %q, want one with %q", text, want)
				}
			}()
			awsquery.NewHandler(services, restjson.Config{})
		})
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("Name=a&Words.member.1=x&Marks.entry.1.key=k&Marks.entry.1.value=v&Inner.Count=1&Since=2026-01-02T03:04:05Z")
	f.Add("Words.member.=x&Words..=y&.&=&Boxes.member.1.Boxes.1.Name=%00")
	f.Fuzz(func(t *testing.T, text string) {
		d := newDesk()
		d.out = &boxOutput{Name: text, Marks: map[string]string{text: text}}
		w := d.post("Action=PutBox&" + text)
		if w.Code != 200 && w.Code != 400 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if err := xml.Unmarshal(w.Body.Bytes(), new(struct{ XMLName xml.Name })); err != nil {
			t.Fatalf("not XML: %v\n%s", err, w.Body)
		}
		if form, err := url.ParseQuery("Action=PutBox&" + text); err == nil && w.Code == 200 && form.Get("Action") == "PutBox" && form.Has("Name") {
			if d.boxed.Name == nil || *d.boxed.Name != form.Get("Name") {
				t.Fatalf("Name of %q became %v", text, d.boxed.Name)
			}
		}
	})
}
