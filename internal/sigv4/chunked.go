package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // one of the trailing checksums clients may choose, not a signature
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"packhouse/internal/fault"
)

const (
	maxChunk    = 16 << 20 // bytes of a signed chunk, which is held until its signature is checked; SDKs send 64 KiB to 1 MiB
	maxLine     = 4 << 10  // bytes of a chunk header or trailer line
	maxTrailers = 16

	// crc64NVME is the reversed polynomial of CRC-64/NVME.
	crc64NVME = 0x9a6c9329ac4bc9b5
)

var emptyHash = hex.EncodeToString(sha256.New().Sum(nil))

// chunked unwraps an aws-chunked body:
//
//	size-in-hex[;chunk-signature=HEX] CRLF data CRLF ... 0[;...] CRLF [name:value CRLF ...] CRLF
//
// (Amazon S3 API reference, "Signature calculations: transferring a payload
// in multiple chunks"). Nothing of a signed chunk is given out before its
// signature holds.
type chunked struct {
	r        *bufio.Reader
	signed   bool
	trailer  bool
	key      []byte
	cred     Credential
	previous string // signature of the chunk before, or of the request
	announce map[string]hash.Hash
	length   int64 // x-amz-decoded-content-length, -1 when not given
	total    int64 // bytes given out

	data *bytes.Reader // rest of a signed chunk
	left int64         // rest of an unsigned one
	err  error
}

// newChunked reads the headers that announce the form of the body. A checksum
// trailer of an unknown algorithm is accepted unchecked.
func newChunked(body io.Reader, r *http.Request, c Credential, key []byte, form string) (*chunked, error) {
	k := &chunked{
		r:        bufio.NewReaderSize(body, maxLine),
		signed:   form != unsignedTrailer,
		trailer:  form != streamingPayload,
		key:      key,
		cred:     c,
		previous: c.Signature,
		announce: map[string]hash.Hash{},
		length:   -1,
		data:     bytes.NewReader(nil),
	}
	if v := r.Header.Get("X-Amz-Decoded-Content-Length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return nil, badChunk("x-amz-decoded-content-length is not a number")
		}
		k.length = n
	}
	if k.trailer {
		for name := range strings.SplitSeq(r.Header.Get("X-Amz-Trailer"), ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" {
				continue
			}
			if len(k.announce) == maxTrailers {
				return nil, badChunk("too many trailers")
			}
			k.announce[name] = checksum(name)
		}
	}
	return k, nil
}

// checksum is the hash a trailer of that name carries, nil when not known.
func checksum(name string) hash.Hash {
	switch name {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(crc64NVME))
	case "x-amz-checksum-sha1":
		return sha1.New() //nolint:gosec // the client chose it; it detects damage, not forgery
	case "x-amz-checksum-sha256":
		return sha256.New()
	default:
		return nil
	}
}

// Read gives the decoded bytes; io.EOF only after the last chunk, its
// trailers and the announced length have been checked.
func (k *chunked) Read(p []byte) (int, error) {
	for {
		if k.err != nil {
			return 0, k.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if k.data.Len() > 0 {
			n, _ := k.data.Read(p)
			k.account(p[:n])
			return n, nil
		}
		if k.left > 0 {
			n, err := k.r.Read(p[:min(int64(len(p)), k.left)])
			k.left -= int64(n)
			k.account(p[:n])
			if err != nil {
				k.err = early(err)
			} else if k.left == 0 {
				k.err = k.crlf()
			}
			if n > 0 {
				return n, nil
			}
			continue
		}
		k.err = k.next()
	}
}

func (k *chunked) account(p []byte) {
	k.total += int64(len(p))
	for _, h := range k.announce {
		if h != nil {
			h.Write(p)
		}
	}
}

// next reads a chunk header and, when chunks are signed, the chunk. It gives
// io.EOF after a good end of the body.
func (k *chunked) next() error {
	line, err := k.line()
	if err != nil {
		return err
	}
	text, ext, _ := strings.Cut(line, ";")
	size, err := strconv.ParseUint(strings.TrimSpace(text), 16, 62)
	if err != nil {
		return badChunk("a chunk size is not a hexadecimal number")
	}
	if k.length >= 0 && k.total+int64(size) > k.length {
		return badChunk("the body is longer than x-amz-decoded-content-length")
	}
	if !k.signed {
		if size == 0 {
			return k.finish()
		}
		k.left = int64(size)
		return nil
	}
	if size > maxChunk {
		return fault.New(fault.TooLarge, "a chunk of the request body is larger than %d bytes", maxChunk)
	}
	signature, ok := strings.CutPrefix(strings.TrimSpace(ext), "chunk-signature=")
	if !ok {
		return badChunk("a chunk has no chunk-signature")
	}
	// Grown as the bytes arrive: the size is only a claim.
	var data bytes.Buffer
	if _, err := io.CopyN(&data, k.r, int64(size)); err != nil {
		return early(err)
	}
	sum := sha256.Sum256(data.Bytes())
	if err := k.check("AWS4-HMAC-SHA256-PAYLOAD", signature, emptyHash, hex.EncodeToString(sum[:])); err != nil {
		return err
	}
	if size == 0 {
		return k.finish()
	}
	k.data = bytes.NewReader(data.Bytes())
	return k.crlf()
}

// check compares the signature of a chunk or trailer and makes it the
// previous one of the next.
func (k *chunked) check(kind, signature string, hashes ...string) error {
	text := append([]string{kind, k.cred.Time.Format(timeFormat), k.cred.scope(), k.previous}, hashes...)
	want := sign(k.key, strings.Join(text, "\n"))
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return mismatch()
	}
	k.previous = want
	return nil
}

// finish reads what follows the empty chunk: trailers when announced, and an
// empty line.
func (k *chunked) finish() error {
	var canonical strings.Builder
	seen := map[string]string{}
	for {
		line, err := k.line()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if _, announced := k.announce[name]; !ok || !k.trailer || seen[name] != "" || value == "" ||
			!announced && name != "x-amz-trailer-signature" {
			return badChunk("a trailer is malformed, repeated or was not announced in x-amz-trailer")
		}
		seen[name] = value
		if name != "x-amz-trailer-signature" {
			canonical.WriteString(name + ":" + value + "\n")
			continue
		}
		if !k.signed {
			continue
		}
		sum := sha256.Sum256([]byte(canonical.String()))
		if err := k.check("AWS4-HMAC-SHA256-TRAILER", value, hex.EncodeToString(sum[:])); err != nil {
			return err
		}
		// Nothing may follow the signature: it would not be covered.
		if rest, err := k.line(); err != nil || rest != "" {
			return badChunk("a trailer follows the trailer signature")
		}
		break
	}
	if k.signed && len(k.announce) > 0 && seen["x-amz-trailer-signature"] == "" {
		return badChunk("the trailers are not signed")
	}
	for name, h := range k.announce {
		if seen[name] == "" {
			return badChunk("the announced trailer " + name + " is missing")
		}
		if h != nil && seen[name] != base64.StdEncoding.EncodeToString(h.Sum(nil)) {
			return badChunk("the body does not have the checksum of the trailer " + name)
		}
	}
	if k.length >= 0 && k.total != k.length {
		return badChunk("the body is shorter than x-amz-decoded-content-length")
	}
	return io.EOF
}

// line reads up to CRLF; without any byte left it is an early end.
func (k *chunked) line() (string, error) {
	raw, err := k.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", badChunk("a chunk header is too long")
	}
	if err != nil {
		return "", early(err)
	}
	text, ok := strings.CutSuffix(string(raw), "\r\n")
	if !ok {
		return "", badChunk("a line does not end in CRLF")
	}
	return text, nil
}

func (k *chunked) crlf() error {
	line, err := k.line()
	if err == nil && line != "" {
		err = badChunk("a chunk is longer than its size")
	}
	return err
}

func badChunk(what string) error {
	return fault.New(fault.Invalid, "malformed aws-chunked body: %s", what)
}

func early(err error) error {
	if err == io.EOF { //nolint:errorlint // a reader returns it bare
		err = io.ErrUnexpectedEOF
	}
	return fault.Wrap(fault.Invalid, err, "the request body ended early")
}
