package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"

	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// contentKey names one asset as seen from one repository.
type contentKey struct {
	repository    string
	c             artifact.Coordinates
	version, name string
}

// Content is one asset ready to be sent: stored, or arriving from outside.
type Content struct {
	Asset   artifact.Asset // digests unknown while it arrives
	Version artifact.Version

	changing bool // other bytes may take the name, see Traits

	service *Service
	ref     blob.Ref
	small   []byte // the bytes, when few
	etag    []string
	length  []string
	stamp   stamp

	arrival *arrival // nil when stored
}

// contents is the bounded cache of stored assets that were asked for.
type contents struct {
	cache *otter.Cache[contentKey, *Content]
}

const smallAsset = 32 << 10 // assets up to this size are kept in memory

func newContents(memory int64) (*contents, error) {
	cache, err := otter.New(&otter.Options[contentKey, *Content]{
		MaximumWeight: uint64(memory),
		Weigher:       func(_ contentKey, c *Content) uint32 { return uint32(len(c.small) + 768) },
	})
	return &contents{cache}, err
}

// newContent prepares a stored asset.
func (s *Service) newContent(st stamp, space string, v artifact.Version, a artifact.Asset) *Content {
	sha := a.Digests.Hex(digest.SHA256)
	return &Content{
		Asset: a, Version: v, service: s, stamp: st,
		ref:    blob.Ref{Space: space, SHA256: sha},
		etag:   []string{`"` + sha + `"`},
		length: []string{strconv.FormatInt(a.Size, 10)},
	}
}

// Open gives the asset's bytes; it waits until an arriving asset is complete.
// The caller closes it.
func (c *Content) Open(ctx context.Context) (blob.Reader, error) {
	if c.arrival != nil {
		if err := c.settle(ctx); err != nil {
			return nil, err
		}
	}
	return c.service.blobs.Open(ctx, c.ref)
}

// settle waits for an arriving asset and becomes the stored one.
func (c *Content) settle(ctx context.Context) error {
	info, err := c.arrival.wait(ctx)
	if err != nil {
		return err
	}
	asset := artifact.Asset{Name: c.Asset.Name, Size: info.Size, Digests: info.Digests}
	*c = *c.service.newContent(c.stamp, info.Ref.Space, c.Version, asset) // what comes from outside does not change
	return nil
}

var (
	headerBytes     = []string{"bytes"}
	headerImmutable = []string{"private, max-age=31536000, immutable"}
)

// ServeHTTP sends the asset: whole, a range of it, or 304. The handler has set
// Content-Type. What arrives from outside is sent as it comes; when it turns
// out wrong, the connection is broken off before the end
// (http.ErrAbortHandler), so that no client takes it for complete. An error is
// returned only when nothing has been written.
func (c *Content) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	if c.arrival != nil {
		if r.Header.Get("Range") == "" && r.Method == http.MethodGet {
			return c.follow(w, r)
		}
		if err := c.settle(r.Context()); err != nil {
			return err
		}
	}
	h := w.Header()
	h["Etag"] = c.etag
	h["Cache-Control"] = headerImmutable
	if c.changing {
		h["Cache-Control"] = headerNoCache
	}
	if match := r.Header["If-None-Match"]; len(match) > 0 && etagMatches(match[0], c.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Header["Range"] != nil {
		return c.serveRange(w, r)
	}
	h["Accept-Ranges"] = headerBytes
	if r.Method == http.MethodHead {
		h["Content-Length"] = c.length
		return nil
	}
	if c.small != nil {
		h["Content-Length"] = c.length
		_, _ = w.Write(c.small)
		return nil
	}
	f, err := c.service.blobs.Open(r.Context(), c.ref)
	if err != nil {
		return c.lost(err)
	}
	defer f.Close()
	h["Content-Length"] = c.length
	if file, ok := f.(blob.Filer); ok {
		_, err = io.Copy(w, file.File()) // sendfile
	} else {
		_, err = io.Copy(w, f)
	}
	abortOn(err)
	return nil
}

func (c *Content) serveRange(w http.ResponseWriter, r *http.Request) error {
	if c.small != nil {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.small))
		return nil
	}
	f, err := c.service.blobs.Open(r.Context(), c.ref)
	if err != nil {
		return c.lost(err)
	}
	defer f.Close()
	if file, ok := f.(blob.Filer); ok {
		http.ServeContent(w, r, "", time.Time{}, file.File())
		return nil
	}
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// lost explains a row whose bytes are gone.
func (c *Content) lost(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fault.Wrap(fault.Internal, err, "the stored bytes of %s %s are missing", c.Version.Number, c.Asset.Name)
	}
	return err
}

// follow sends an asset while it arrives.
func (c *Content) follow(w http.ResponseWriter, r *http.Request) error {
	a := c.arrival
	f, err := a.writer.NewReader(r.Context())
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	if a.size >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(a.size, 10)}
	}
	n, err := f.WriteTo(w)
	if err != nil && n == 0 { // a file small enough to be held back whole: still time to say so
		h.Del("Content-Length")
		return err
	}
	abortOn(err)
	return nil
}

func abortOn(err error) {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}
