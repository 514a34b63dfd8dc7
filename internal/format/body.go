package format

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"

	"packhouse/internal/fault"
)

// BodyError classifies a failure to read a request's body: TooLarge when a
// http.MaxBytesReader stopped it, Invalid when the client left or broke it off.
// What has a kind already keeps it.
func BodyError(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Wrap(fault.TooLarge, err, "the request is larger than %d bytes", limit.Limit)
	}
	return fault.Wrap(fault.Invalid, err, "the request's body ends early or cannot be read")
}

// Body is the request's body without its content encoding; gzip is the only
// one understood. The caller bounds what it reads: a small body may unfold to
// any size.
func Body(r *http.Request) (io.Reader, error) {
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return r.Body, nil
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, BodyError(err)
		}
		return z, nil
	}
	return nil, fault.New(fault.Invalid, "content encoding %q is not understood; send gzip or none", r.Header.Get("Content-Encoding"))
}

// AtLeast is how many bytes a file within a request's body has at least, when the
// rest of the body has no more than besides: what can be known before it is read.
// 0 when nothing is.
func AtLeast(r *http.Request, besides int64) int64 {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return 0
	}
	return max(r.ContentLength-besides, 0)
}

// ReadBody reads a body of at most limit bytes; TooLarge beyond.
func ReadBody(body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, BodyError(err)
	}
	if int64(len(b)) > limit {
		return nil, fault.New(fault.TooLarge, "the request is larger than %d bytes", limit)
	}
	return b, nil
}

// Respond writes a finished answer.
func Respond(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		return nil //nolint:nilerr // the client left; the answer was given
	}
	return nil
}
