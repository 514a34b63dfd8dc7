package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"packhouse/internal/fault"
)

// Values of x-amz-content-sha256 that are not a hash.
const (
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamingPayload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

const contentHash = "X-Amz-Content-Sha256"

// Payload says how much of a body an operation takes.
type Payload struct {
	Limit     int64 // bytes of a body held in memory; ignored when Streaming
	Streaming bool  // the body is a stream of any size, trusted only once it has ended in io.EOF
}

// Open verifies the signature and gives the body.
//
// When p.Streaming is false the body is read, up to p.Limit bytes (more is
// fault.TooLarge), and has been verified when Open returns; the hash is that
// of the body itself, so UNSIGNED-PAYLOAD and chunked forms are CodeInvalid.
//
// When it is true the headers are verified and the body comes as a reader.
// x-amz-content-sha256 is required and decides: for a hash, the reader ends in
// fault.Invalid instead of io.EOF when the body has another one; the
// aws-chunked forms are unwrapped and checked chunk by chunk and trailer by
// trailer; UNSIGNED-PAYLOAD is passed through. Whoever keeps the bytes must
// therefore wait for io.EOF before making them visible.
func Open(r *http.Request, c Credential, secret string, p Payload, now time.Time) (io.Reader, error) {
	if !p.Streaming {
		return openWhole(r, c, secret, p.Limit, now)
	}
	sent := r.Header.Values(contentHash)
	if len(sent) != 1 || sent[0] == "" {
		return nil, fault.Field("assetSHA256", "the header x-amz-content-sha256 is required")
	}
	if err := Verify(r, c, secret, sent[0], now); err != nil {
		return nil, err
	}
	body := io.Reader(http.NoBody)
	if r.Body != nil {
		body = r.Body
	}
	switch sent[0] {
	case unsignedPayload:
		return body, nil
	case unsignedTrailer, streamingPayload, streamingTrailer:
		return newChunked(body, r, c, signingKey(c, secret), sent[0])
	}
	if b, err := hex.DecodeString(sent[0]); err != nil || len(b) != sha256.Size {
		return nil, fault.Field("assetSHA256", "the header x-amz-content-sha256 must be 64 hexadecimal digits, %s or one of the STREAMING values", unsignedPayload)
	}
	return &verified{r: body, h: sha256.New(), want: strings.ToLower(sent[0])}, nil
}

func openWhole(r *http.Request, c Credential, secret string, limit int64, now time.Time) (io.Reader, error) {
	if err := checkTime(c, now); err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var data []byte
	if r.Body != nil {
		var err error
		if data, err = io.ReadAll(io.LimitReader(r.Body, limit+1)); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the request body ended early")
		}
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(limit)
	}
	sum := sha256.Sum256(data)
	have := hex.EncodeToString(sum[:])
	hashed := have
	if sent := r.Header.Values(contentHash); len(sent) > 0 {
		if len(sent) > 1 || !strings.EqualFold(sent[0], have) {
			return nil, mismatch()
		}
		hashed = sent[0] // as signed: the case of its digits counts
	}
	if err := Verify(r, c, secret, hashed, now); err != nil {
		return nil, err
	}
	return bytes.NewReader(data), nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the request body is larger than %d bytes", limit)
}

// verified passes a stream through and compares its hash where it ends.
type verified struct {
	r    io.Reader
	h    hash.Hash
	want string // lower-case hex
	err  error
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.r.Read(p)
	v.h.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(v.h.Sum(nil)) != v.want { //nolint:errorlint // a reader returns it bare
		err = fault.Field("assetSHA256", "the body does not have the hash of the header x-amz-content-sha256")
	}
	v.err = err
	return n, err
}
