// Package sigv4 verifies requests signed with AWS Signature Version 4 in the
// Authorization header, and the bodies that such signatures cover. It knows
// neither users nor clocks: the caller looks the secret up and gives the time.
//
// The usual order is Parse, look up the secret of Credential.AccessKeyID,
// check Credential.Region, Service and SecurityToken, then Open, which
// verifies the signature and gives the body back as far as it can be trusted.
// Verify alone is for callers that have hashed the body themselves.
//
// What surprises: the path is escaped twice, as for every service but S3; and
// what counts is the request line as it came over the wire, so a prefix that
// a handler in front has stripped from r.URL is still part of the signature.
// Presigned URLs are not accepted.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"

	// MaxSkew is how far the time of a request may be from ours, either way.
	MaxSkew = 15 * time.Minute

	maxSignedHeaders = 100 // names in SignedHeaders; SDKs sign about ten
)

// Credential is what the headers of a request claim. Nothing in it is
// verified but its form.
type Credential struct {
	AccessKeyID   string
	Date          string // YYYYMMDD of the scope; equals the day of Time
	Region        string
	Service       string
	SignedHeaders []string  // lower-case, as sent; holds "host"
	Signature     string    // 64 hex digits
	SecurityToken string    // X-Amz-Security-Token, signed; empty for long-term keys
	Time          time.Time // of signing, UTC
}

func (c Credential) scope() string {
	return c.Date + "/" + c.Region + "/" + c.Service + "/" + terminator
}

// Parse reads the Authorization header, the time and the security token.
// Errors are of type *Error: CodeMissing when the request is not signed,
// CodeIncomplete when a part is absent or malformed, CodeInvalid when the
// parts contradict each other.
func Parse(r *http.Request) (Credential, error) {
	var c Credential
	auth := r.Header.Values("Authorization")
	if len(auth) == 0 {
		return c, &Error{Code: CodeMissing, Message: "Missing Authentication Token"}
	}
	if len(auth) > 1 {
		return c, incomplete("more than one Authorization header")
	}
	scheme, params, _ := strings.Cut(strings.TrimSpace(auth[0]), " ")
	if scheme != algorithm {
		return c, incomplete("Authorization header must use %s", algorithm)
	}
	var credential, signed string
	seen := map[string]bool{}
	for part := range strings.SplitSeq(params, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if seen[name] {
			return c, incomplete("Authorization header repeats '%s'", name)
		}
		seen[name] = true
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			signed = value
		case "Signature":
			c.Signature = value
		}
	}
	for name, value := range map[string]string{"Credential": credential, "SignedHeaders": signed, "Signature": c.Signature} {
		if value == "" {
			return c, incomplete("Authorization header requires '%s' parameter", name)
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || slices.Contains(scope, "") || scope[4] != terminator {
		return c, incomplete("Credential must have exactly 5 slash-delimited elements: keyid/date/region/service/%s", terminator)
	}
	c.AccessKeyID, c.Date, c.Region, c.Service = scope[0], scope[1], scope[2], scope[3]
	if b, err := hex.DecodeString(c.Signature); err != nil || len(b) != sha256.Size || strings.ToLower(c.Signature) != c.Signature {
		return c, incomplete("Signature must be 64 lower-case hexadecimal digits")
	}

	c.SignedHeaders = strings.Split(signed, ";")
	if len(c.SignedHeaders) > maxSignedHeaders {
		return c, incomplete("SignedHeaders names more than %d headers", maxSignedHeaders)
	}
	for i, name := range c.SignedHeaders {
		if name == "" || name != strings.ToLower(name) || i > 0 && c.SignedHeaders[i-1] >= name {
			return c, incomplete("SignedHeaders must be lower-case, sorted and without repeats")
		}
	}
	if !slices.Contains(c.SignedHeaders, "host") {
		return c, invalid("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}

	t, err := requestTime(r)
	if err != nil {
		return c, err
	}
	c.Time = t
	if day := t.Format(dateFormat); day != c.Date {
		return c, invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'", c.Date, day)
	}
	switch tokens := r.Header.Values("X-Amz-Security-Token"); {
	case len(tokens) > 1:
		return c, incomplete("more than one X-Amz-Security-Token header")
	case len(tokens) == 1 && !slices.Contains(c.SignedHeaders, "x-amz-security-token"):
		return c, invalid("'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.")
	case len(tokens) == 1:
		c.SecurityToken = tokens[0]
	}
	return c, nil
}

// requestTime prefers X-Amz-Date over Date, as the protocol says.
func requestTime(r *http.Request) (time.Time, error) {
	if v := r.Header.Values("X-Amz-Date"); len(v) > 0 {
		t, err := time.Parse(timeFormat, v[0])
		if err != nil || len(v) > 1 {
			return t, incomplete("Date must be in ISO-8601 'basic format' such as %s", timeFormat)
		}
		return t, nil
	}
	v := r.Header.Values("Date")
	if len(v) != 1 {
		return time.Time{}, incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if t, err := time.Parse(timeFormat, v[0]); err == nil {
		return t, nil
	}
	t, err := http.ParseTime(v[0])
	if err != nil {
		return t, incomplete("Date header cannot be read")
	}
	return t.UTC(), nil
}

// Verify checks that the request was signed with secret within MaxSkew of
// now and has a payload of the given hash: 64 hex digits, or the literal value
// of x-amz-content-sha256. It does not read the body. Errors are *Error with
// CodeInvalid, whose message says whether the time or the signature is wrong.
func Verify(r *http.Request, c Credential, secret, payloadHash string, now time.Time) error {
	if err := checkTime(c, now); err != nil {
		return err
	}
	if secret == "" || !matches(r, c, signingKey(c, secret), payloadHash) {
		return mismatch()
	}
	return nil
}

func checkTime(c Credential, now time.Time) error {
	now = now.UTC()
	early, late := now.Add(-MaxSkew), now.Add(MaxSkew)
	minutes := int(MaxSkew / time.Minute)
	switch {
	case c.Time.Before(early):
		return invalid("Signature expired: %s is now earlier than %s (%s - %d min.)",
			c.Time.Format(timeFormat), early.Format(timeFormat), now.Format(timeFormat), minutes)
	case c.Time.After(late):
		return invalid("Signature not yet current: %s is still later than %s (%s + %d min.)",
			c.Time.Format(timeFormat), late.Format(timeFormat), now.Format(timeFormat), minutes)
	}
	return nil
}

func matches(r *http.Request, c Credential, key []byte, payloadHash string) bool {
	tail := canonicalHeaders(r, c.SignedHeaders) + "\n" + strings.Join(c.SignedHeaders, ";") + "\n" + payloadHash
	for line := range canonicalLines(r) {
		digest := sha256.Sum256([]byte(line + tail))
		want := sign(key, strings.Join([]string{algorithm, c.Time.Format(timeFormat), c.scope(), hex.EncodeToString(digest[:])}, "\n"))
		if hmac.Equal([]byte(want), []byte(c.Signature)) {
			return true
		}
	}
	return false
}

func signingKey(c Credential, secret string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.Date, c.Region, c.Service, terminator} {
		key = mac(key, part)
	}
	return key
}

func sign(key []byte, text string) string { return hex.EncodeToString(mac(key, text)) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalHeaders is one "name:value\n" for each signed name. The Go server
// keeps some headers out of r.Header; they are put back here.
func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		var values []string
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(max(r.ContentLength, 0), 10)}
		case "transfer-encoding":
			values = r.TransferEncoding
		default:
			values = r.Header.Values(name)
		}
		b.WriteString(name)
		b.WriteByte(':')
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ServiceOf is the service that a request says it is signed for, in its header or
// its address; empty when it does not say. Nothing has been verified.
func ServiceOf(r *http.Request) string {
	scope := r.URL.Query().Get("X-Amz-Credential")
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		scope, _, _ = strings.Cut(rest, ",")
	}
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) < 5 { // KEY/DATE/REGION/SERVICE/aws4_request, and a KEY may have slashes
		return ""
	}
	return parts[len(parts)-2]
}
