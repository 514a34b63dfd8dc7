package npm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// remote is another npm registry, seen as its client.
type remote struct{ base string }

// maxPackument bounds a remote's document, in bytes after decoding. The largest
// public one is near 40 MB.
const maxPackument = 128 << 20

// List implements upstream.Remote. It asks for the full form, from which both
// forms are served: the abbreviated one has no publish times.
func (r remote) List(ctx context.Context, get upstream.Get, c artifact.Coordinates, prev upstream.Validator) (upstream.Document, error) {
	header := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}}
	if prev.ETag != "" {
		header.Set("If-None-Match", prev.ETag)
	}
	if prev.LastModified != "" {
		header.Set("If-Modified-Since", prev.LastModified)
	}
	resp, err := get(ctx, r.base+escapedName(c), header)
	if err != nil {
		return upstream.Document{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return upstream.Document{}, upstream.ErrNotModified
	}
	body, err := readDocument(resp, maxPackument)
	if err != nil {
		return upstream.Document{}, fmt.Errorf("packument of %s: %w", fullName(c), err)
	}
	return upstream.Document{
		Body:      body,
		Validator: upstream.Validator{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")},
	}, nil
}

// escapedName is the name as one path segment.
func escapedName(c artifact.Coordinates) string {
	if c.Namespace == "" {
		return c.Name
	}
	return "@" + c.Namespace + "%2f" + c.Name
}

// usualRatio is a little more than how many times smaller gzip makes a
// packument: it only saves growing a buffer.
const usualRatio = 5

// readDocument reads a body and makes sure it can be a JSON object, so that a
// log-in page never takes the place of a good document. limit is in bytes after
// decoding.
func readDocument(resp *http.Response, limit int64) ([]byte, error) {
	var b bytes.Buffer
	content, size := io.Reader(resp.Body), resp.ContentLength
	if resp.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fault.Wrap(fault.Upstream, err, "the remote's answer is not the gzip it claims to be")
		}
		content, size = unzip, size*usualRatio
	}
	if size > 0 && size <= limit {
		b.Grow(int(size) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(content, limit+1)); err != nil {
		if fault.Of(err) != fault.Internal {
			return nil, err
		}
		return nil, fault.Wrap(fault.Upstream, err, "the remote broke off its answer")
	}
	if int64(b.Len()) > limit {
		return nil, fault.New(fault.Upstream, "the remote's answer is larger than %d bytes", limit)
	}
	body := b.Bytes()
	if i := skipSpace(body, 0); i == len(body) || body[i] != '{' {
		kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		return nil, fault.New(fault.Upstream, "the remote answered with %q where a JSON object belongs", kind)
	}
	return body, nil
}
