package sigv4_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"packhouse/internal/sigv4"
)

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// encoder writes the signed aws-chunked form, independently of the decoder.
type encoder struct {
	key      []byte
	at       time.Time
	previous string
}

func newEncoder(at time.Time, seed string) *encoder {
	key := []byte("AWS4" + secret)
	for _, s := range []string{at.UTC().Format("20060102"), "eu-central-1", "codeartifact", "aws4_request"} {
		key = hmacOf(key, s)
	}
	return &encoder{key, at.UTC(), seed}
}

func (e *encoder) sign(kind string, hashes ...string) string {
	text := []string{kind, e.at.Format("20060102T150405Z"), e.at.Format("20060102") + "/eu-central-1/codeartifact/aws4_request", e.previous}
	e.previous = hex.EncodeToString(hmacOf(e.key, strings.Join(append(text, hashes...), "\n")))
	return e.previous
}

func (e *encoder) chunk(data string) string {
	s := fmt.Sprintf("%x;chunk-signature=%s\r\n%s", len(data), e.sign("AWS4-HMAC-SHA256-PAYLOAD", hash(""), hash(data)), data)
	if data != "" {
		s += "\r\n"
	}
	return s
}

func (e *encoder) trailer(name, value string) string {
	return fmt.Sprintf("%s:%s\r\nx-amz-trailer-signature:%s\r\n", name, value, e.sign("AWS4-HMAC-SHA256-TRAILER", hash(name+":"+value+"\n")))
}

func crc(body string) string {
	h := crc32.NewIEEE()
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// chunkedRequest is a request whose headers are signed for the given form and
// whose body is made from the seed signature.
func chunkedRequest(t testing.TB, form, trailer string, decoded int, body func(*encoder) string) *http.Request {
	at := time.Unix(1e9, 0)
	r := signed(t, "POST", "http://h.test/v1/package/version/publish", "", form, at, func(r *http.Request) {
		r.Header.Set("X-Amz-Content-Sha256", form)
		if decoded >= 0 {
			r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(decoded))
		}
		if trailer != "" {
			r.Header.Set("X-Amz-Trailer", trailer)
		}
	})
	c, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(iotest.HalfReader(strings.NewReader(body(newEncoder(at, c.Signature)))))
	return r
}

const (
	signedForm   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTail   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTail = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	crcName      = "x-amz-checksum-crc32"
)

func TestOpen_ChunkedRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.StringN(1, 200, 300)).Draw(rt, "parts")
		body := strings.Join(parts, "")
		form := rapid.SampledFrom([]string{signedForm, signedTail, unsignedTail}).Draw(rt, "form")
		trailer := ""
		if form != signedForm && rapid.Bool().Draw(rt, "trailer") {
			trailer = crcName
		}
		r := chunkedRequest(t, form, trailer, len(body), func(e *encoder) string {
			var b strings.Builder
			for _, p := range append(parts, "") {
				switch {
				case form != unsignedTail:
					b.WriteString(e.chunk(p))
				case p == "":
					b.WriteString("0\r\n")
				default:
					fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
				}
			}
			if trailer != "" && form == signedTail {
				b.WriteString(e.trailer(crcName, crc(body)))
			} else if trailer != "" {
				b.WriteString(crcName + ":" + crc(body) + "\r\n")
			}
			return b.String() + "\r\n"
		})
		got, err := open(r, stream, time.Unix(1e9, 0))
		if err != nil || got != body {
			rt.Fatalf("got %q, %v, want %q", got, err, body)
		}
	})
}

func TestOpen_ChunkedRefuses(t *testing.T) {
	plain := func(s string) func(*encoder) string { return func(*encoder) string { return s } }
	for _, c := range []struct {
		name, form, trailer string
		decoded             int
		body                func(*encoder) string
		want, prefix        string
	}{
		{"chunk changed", signedForm, "", 6, func(e *encoder) string {
			return e.chunk("abc") + strings.Replace(e.chunk("def"), "def", "dEf", 1) + e.chunk("") + "\r\n"
		}, sigv4.CodeInvalid, "abc"},
		{"chunks swapped", signedForm, "", 6, func(e *encoder) string {
			a, b := e.chunk("abc"), e.chunk("def")
			return b + a + e.chunk("") + "\r\n"
		}, sigv4.CodeInvalid, ""},
		{"last chunk left out", signedForm, "", -1, func(e *encoder) string { return e.chunk("abc") }, "invalid", "abc"},
		{"end forged", signedForm, "", -1, func(e *encoder) string {
			return e.chunk("abc") + "0;chunk-signature=" + strings.Repeat("0", 64) + "\r\n\r\n"
		}, sigv4.CodeInvalid, "abc"},
		{"unsigned chunk", signedForm, "", 3, plain("3\r\nabc\r\n0\r\n\r\n"), "invalid", ""},
		{"huge chunk", signedForm, "", -1, plain("ffffffffff;chunk-signature=0\r\n"), "too-large", ""},
		{"trailer not signed", signedTail, crcName, 3, func(e *encoder) string {
			return e.chunk("abc") + e.chunk("") + crcName + ":" + crc("abc") + "\r\n\r\n"
		}, "invalid", "abc"},
		{"trailer changed", signedTail, crcName, 3, func(e *encoder) string {
			return e.chunk("abc") + e.chunk("") + strings.Replace(e.trailer(crcName, crc("abc")), crc("abc"), crc("abd"), 1) + "\r\n"
		}, sigv4.CodeInvalid, "abc"},
		{"trailer after the signature", signedTail, crcName + ",x-b", 3, func(e *encoder) string {
			return e.chunk("abc") + e.chunk("") + e.trailer(crcName, crc("abc")) + "x-b:1\r\n\r\n"
		}, "invalid", "abc"},
		{"wrong checksum", unsignedTail, crcName, 3, plain("3\r\nabc\r\n0\r\n" + crcName + ":" + crc("abd") + "\r\n\r\n"), "invalid", "abc"},
		{"trailer missing", unsignedTail, crcName, 3, plain("3\r\nabc\r\n0\r\n\r\n"), "invalid", "abc"},
		{"trailer not announced", unsignedTail, "", 3, plain("3\r\nabc\r\n0\r\nx-a:1\r\n\r\n"), "invalid", "abc"},
		{"shorter than announced", unsignedTail, "", 4, plain("3\r\nabc\r\n0\r\n\r\n"), "invalid", "abc"},
		{"longer than announced", unsignedTail, "", 2, plain("3\r\nabc\r\n0\r\n\r\n"), "invalid", ""},
		{"chunk longer than its size", unsignedTail, "", -1, plain("2\r\nabc\r\n0\r\n\r\n"), "invalid", "ab"},
		{"size not a number", unsignedTail, "", -1, plain("-1\r\n"), "invalid", ""},
		{"bare line feeds", unsignedTail, "", -1, plain("3\nabc\n0\n\n"), "invalid", ""},
		{"endless header", unsignedTail, "", -1, plain(strings.Repeat("0", 9000)), "invalid", ""},
		{"nothing", unsignedTail, "", -1, plain(""), "invalid", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := open(chunkedRequest(t, c.form, c.trailer, c.decoded, c.body), stream, time.Unix(1e9, 0))
			if code(err) != c.want || got != c.prefix {
				t.Fatalf("got %q, %v, want %q, code %q", got, err, c.prefix, c.want)
			}
		})
	}
}

func TestOpen_ChunkedChecksums(t *testing.T) {
	const body = "123456789"
	for name, want := range map[string]string{ // the check values of the CRC catalogue; digests of the same text
		"x-amz-checksum-crc32":     "cbf43926",
		"x-amz-checksum-crc32c":    "e3069283",
		"x-amz-checksum-crc64nvme": "ae8b14860a799888",
		"x-amz-checksum-sha1":      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"x-amz-checksum-sha256":    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		t.Run(name, func(t *testing.T) {
			sum, err := hex.DecodeString(want)
			if err != nil {
				t.Fatal(err)
			}
			r := chunkedRequest(t, unsignedTail, name, len(body), func(*encoder) string {
				return "9\r\n" + body + "\r\n0\r\n" + name + ":" + base64.StdEncoding.EncodeToString(sum) + "\r\n\r\n"
			})
			if _, err := open(r, stream, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), true)
	f.Add([]byte("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"), true)
	f.Add([]byte("1;chunk-signature=00\r\na\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, unsigned bool) {
		form := signedTail
		if unsigned {
			form = unsignedTail
		}
		r := chunkedRequest(t, form, "", -1, func(*encoder) string { return "" })
		r.Body = io.NopCloser(bytes.NewReader(raw))
		got, err := open(r, stream, time.Unix(1e9, 0))
		if err == nil && !unsigned {
			t.Fatal("chunks nobody signed were accepted")
		}
		if len(got) > len(raw) {
			t.Fatalf("%d bytes decoded from %d", len(got), len(raw))
		}
	})
}
