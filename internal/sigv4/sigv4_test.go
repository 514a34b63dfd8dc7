package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"packhouse/internal/fault"
	"packhouse/internal/sigv4"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var (
	whole  = sigv4.Payload{Limit: 1 << 20}
	stream = sigv4.Payload{Streaming: true}
)

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// signed signs a request with the SDK's signer and passes it over the wire
// format, as a server would meet it.
func signed(t testing.TB, method, target, body, payloadHash string, at time.Time, edit func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if edit != nil {
		edit(r)
		creds.SessionToken = r.Header.Get("X-Amz-Security-Token")
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, payloadHash, "codeartifact", "eu-central-1", at); err != nil {
		t.Fatal(err)
	}
	return wire(t, r)
}

func wire(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// open parses and opens with the secret of these tests.
func open(r *http.Request, p sigv4.Payload, now time.Time) (string, error) {
	c, err := sigv4.Parse(r)
	if err != nil {
		return "", err
	}
	body, err := sigv4.Open(r, c, secret, p, now)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(body)
	return string(text), err
}

// code is the AWS code of an error, or its kind when it has none.
func code(err error) string {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Code
	}
	if err == nil {
		return ""
	}
	return fault.Of(err).String()
}

func TestOpen_RecordedClients(t *testing.T) {
	files, err := filepath.Glob("testdata/requests/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded requests: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			read := func(raw []byte) (*http.Request, sigv4.Credential) {
				r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
				if err != nil {
					t.Fatal(err)
				}
				c, err := sigv4.Parse(r)
				if err != nil {
					t.Fatal(err)
				}
				return r, c
			}
			r, c := read(raw)
			p, want := whole, ""
			if strings.Contains(name, "publish") {
				p = stream
			}
			if strings.Contains(name, "false-hash") {
				want = "invalid"
			}
			if _, err := open(r, p, c.Time); code(err) != want {
				t.Fatalf("got error %v, want code %q", err, want)
			}
			r, c = read(raw)
			if _, err := sigv4.Open(r, c, secret+"x", p, c.Time); code(err) != sigv4.CodeInvalid {
				t.Fatalf("another secret: got %v", err)
			}
			for _, line := range []string{"domain=dom", "Action=", "X-Amz-Date: 2"} {
				bent := bytes.Replace(raw, []byte(line), []byte(line+"0"), 1)
				if bytes.Equal(bent, raw) || strings.HasPrefix(line, "X-Amz-Date") {
					continue
				}
				r, c := read(bent)
				if _, err := sigv4.Open(r, c, secret, p, c.Time); code(err) != sigv4.CodeInvalid {
					t.Fatalf("changed %q: got %v", line, err)
				}
			}
		})
	}
}

func TestOpen_PathThatLooksLikeAnAddress(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, path := range []string{"/://", "/a://b/c", "/http://x/y"} {
		r := signed(t, "GET", "http://h.test"+path, "", hash(""), at, func(*http.Request) {})
		if _, err := open(r, whole, at); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOpen_AgreesWithSDKSigner(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune(" !\"#$%&'()*+,-./0:;<=>?@AZ[\\]^_`az{|}~é日\u00a0")), 0, 12, -1)
	value := rapid.StringMatching(`[!-~]([ !-~]{0,12}[!-~])?`)
	rapid.Check(t, func(rt *rapid.T) {
		u := url.URL{Scheme: "http", Host: rapid.SampledFrom([]string{"127.0.0.1:8080", "h.test", "H.test:80"}).Draw(rt, "host")}
		u.Path = "/" + strings.Join(rapid.SliceOfN(text, 0, 4).Draw(rt, "path"), "/")
		q := url.Values{}
		for range rapid.IntRange(0, 5).Draw(rt, "params") {
			q.Add(text.Draw(rt, "name"), text.Draw(rt, "value"))
		}
		u.RawQuery = q.Encode()
		method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE"}).Draw(rt, "method")
		body := rapid.String().Draw(rt, "body")
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "at"), 0).UTC()
		r := signed(t, method, u.String(), body, hash(body), at, func(r *http.Request) {
			for range rapid.IntRange(0, 3).Draw(rt, "headers") {
				r.Header.Add(rapid.SampledFrom([]string{"X-Amz-Meta-A", "Content-Type", "x-b"}).Draw(rt, "header"), value.Draw(rt, "header value"))
			}
			if rapid.Bool().Draw(rt, "session") {
				r.Header.Set("X-Amz-Security-Token", "tok/en+==")
			}
		})
		now := at.Add(time.Duration(rapid.Int64Range(-int64(sigv4.MaxSkew), int64(sigv4.MaxSkew)).Draw(rt, "skew")))
		got, err := open(r, whole, now)
		if err != nil {
			rt.Fatalf("%s %s: %v", method, r.RequestURI, err)
		}
		if got != body {
			rt.Fatal(cmp.Diff(body, got))
		}
	})
}

func TestOpen_RefusesWhatWasChangedAfterSigning(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	const target, body = "http://h.test/v1/domain?domain=dom&domain-owner=1", `{"a":1}`
	for _, c := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"method", func(r *http.Request) { r.Method = "PUT" }},
		{"path", func(r *http.Request) { r.RequestURI = "/v1/domains?domain=dom&domain-owner=1" }},
		{"query value", func(r *http.Request) { r.RequestURI = "/v1/domain?domain=dam&domain-owner=1" }},
		{"query added", func(r *http.Request) { r.RequestURI += "&x=1" }},
		{"host", func(r *http.Request) { r.Host = "other.test" }},
		{"signed header", func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "2") }},
		{"signed header repeated", func(r *http.Request) { r.Header.Add("X-Amz-Meta-A", "1") }},
		{"time", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260304T050608Z") }},
		{"body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"a":2}`)) }},
		{"payload hash replaced", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }},
		{"region", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "eu-central-1", "eu-west-1", 1))
		}},
		{"header no longer signed", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ";x-amz-meta-a", "", 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := signed(t, "POST", target, body, hash(body), at, func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "1") })
			c.edit(r)
			if _, err := open(r, whole, at); code(err) != sigv4.CodeInvalid {
				t.Fatalf("got %v, want %s", err, sigv4.CodeInvalid)
			}
		})
	}
}

func TestParse_Refuses(t *testing.T) {
	const good = "AWS4-HMAC-SHA256 Credential=AK/20260304/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
		"0000000000000000000000000000000000000000000000000000000000000000"
	for _, c := range []struct{ name, auth, date, token, want string }{
		{"nothing", "", "20260304T050607Z", "", sigv4.CodeMissing},
		{"another scheme", "Bearer x", "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"no signature", strings.Split(good, ", Sig")[0], "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"short signature", good[:len(good)-2], "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"upper-case signature", good[:len(good)-1] + "A", "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"four parts of scope", strings.Replace(good, "/r/s", "/r", 1), "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"empty region", strings.Replace(good, "/r/s", "//s", 1), "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"repeated part", good + ", Signature=1", "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"unsorted headers", strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1), "20260304T050607Z", "", sigv4.CodeIncomplete},
		{"host unsigned", strings.Replace(good, "host;", "", 1), "20260304T050607Z", "", sigv4.CodeInvalid},
		{"no date", good, "", "", sigv4.CodeIncomplete},
		{"odd date", good, "2026-03-04", "", sigv4.CodeIncomplete},
		{"date of another day", good, "20260305T050607Z", "", sigv4.CodeInvalid},
		{"token unsigned", good, "20260304T050607Z", "tok", sigv4.CodeInvalid},
		{"good", good, "20260304T050607Z", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for name, v := range map[string]string{"Authorization": c.auth, "X-Amz-Date": c.date, "X-Amz-Security-Token": c.token} {
				if v != "" {
					h.Set(name, v)
				}
			}
			_, err := sigv4.Parse(&http.Request{Header: h})
			if code(err) != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err != nil && !fault.Is(err, fault.Unauthenticated) {
				t.Fatalf("kind %v, want unauthenticated", fault.Of(err))
			}
		})
	}
}

func TestParse_DateHeaderServesWithoutAmzDate(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	h := http.Header{}
	h.Set("Date", at.Format(http.TimeFormat))
	h.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260304/r/s/aws4_request,SignedHeaders=date;host,Signature="+hash(""))
	c, err := sigv4.Parse(&http.Request{Header: h})
	if err != nil || !c.Time.Equal(at) {
		t.Fatalf("got %v, %v, want %v", c.Time, err, at)
	}
}

func TestOpen_Skew(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"just in time", at.Add(sigv4.MaxSkew), ""},
		{"expired", at.Add(sigv4.MaxSkew + time.Second), "Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T052108Z - 15 min.)"},
		{"not yet", at.Add(-sigv4.MaxSkew - time.Second), "Signature not yet current: 20260304T050607Z is still later than 20260304T050606Z (20260304T045106Z + 15 min.)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(signed(t, "GET", "http://h.test/", "", hash(""), at, nil), whole, c.now)
			got := ""
			if err != nil {
				got = fault.Message(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestOpen_WholeBodyOverTheLimit(t *testing.T) {
	at := time.Unix(1e9, 0)
	body := strings.Repeat("x", 101)
	_, err := open(signed(t, "POST", "http://h.test/", body, hash(body), at, nil), sigv4.Payload{Limit: 100}, at)
	if !fault.Is(err, fault.TooLarge) {
		t.Fatalf("got %v, want too large", err)
	}
}

func TestOpen_Streams(t *testing.T) {
	at := time.Unix(1e9, 0)
	for _, c := range []struct{ name, sent, body, want string }{
		{"right hash", hash("abc"), "abc", ""},
		{"upper-case hash", strings.ToUpper(hash("abc")), "abc", ""},
		{"wrong hash", hash("abd"), "abc", "invalid"},
		{"empty body", hash(""), "", ""},
		{"unsigned", "UNSIGNED-PAYLOAD", "abc", ""},
		{"not a hash", "xyz", "abc", "invalid"},
		{"no header", "", "abc", "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := signed(t, "POST", "http://h.test/", c.body, c.sent, at, func(r *http.Request) {
				if c.sent != "" {
					r.Header.Set("X-Amz-Content-Sha256", c.sent)
				}
			})
			got, err := open(r, stream, at)
			if code(err) != c.want || err == nil && got != c.body {
				t.Fatalf("got %q, %v, want %q, %q", got, err, c.body, c.want)
			}
		})
	}
}

func TestQueryCode(t *testing.T) {
	got := map[string]string{}
	for _, c := range []string{sigv4.CodeMissing, sigv4.CodeIncomplete, sigv4.CodeUnknown, sigv4.CodeInvalid, sigv4.CodeExpired} {
		got[c] = (&sigv4.Error{Code: c}).QueryCode()
	}
	want := map[string]string{
		sigv4.CodeMissing: "MissingAuthenticationToken", sigv4.CodeIncomplete: "IncompleteSignature",
		sigv4.CodeUnknown: "InvalidClientTokenId", sigv4.CodeInvalid: "SignatureDoesNotMatch", sigv4.CodeExpired: "ExpiredToken",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// FuzzOpen looks for requests that break the parser, and for signed ones that
// stop agreeing with the SDK's signer.
func FuzzOpen(f *testing.F) {
	f.Add("/v1/domain", "domain=a&b=%2f+c", "AWS4-HMAC-SHA256 Credential=a/20010909/r/s/aws4_request, SignedHeaders=host, Signature=00", "x  y ")
	f.Add("//a/./b/../%zz", "&=&a=%", "AWS4-HMAC-SHA256 ,,=,", "")
	f.Add("/é%E9;x", "a;b=c", "", "\t")
	f.Fuzz(func(t *testing.T, path, query, auth, header string) {
		at := time.Unix(1e9, 0)
		raw := &http.Request{Method: "GET", URL: &url.URL{Path: path}, Host: "h.test", Header: http.Header{}, RequestURI: path + "?" + query}
		raw.Header.Set("Authorization", auth)
		raw.Header.Set("X-Amz-Date", "20010909T014640Z")
		if _, err := open(raw, whole, at); err == nil {
			t.Fatal("a signature nobody made was accepted")
		}

		u, err := url.Parse("http://h.test/" + strings.TrimLeft(path, "/"))
		if err != nil || u.Host != "h.test" || u.Opaque != "" || u.Fragment != "" {
			return
		}
		u.RawQuery = url.Values{"q": {query, path}, query: {header}}.Encode()
		value := strings.Join(strings.FieldsFunc(header, func(r rune) bool { return r <= ' ' || r >= 127 }), " ")
		r := signed(t, "POST", u.String(), query, hash(query), at, func(r *http.Request) { r.Header.Set("X-Amz-Meta-V", value) })
		if _, err := open(r, whole, at); err != nil {
			t.Fatalf("%s: %v", r.RequestURI, err)
		}
	})
}
