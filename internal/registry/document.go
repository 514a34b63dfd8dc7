package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/maypok86/otter/v2"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// Bodies up to inMemory are kept on the heap, larger ones in files from which
// the kernel sends them: nearly every client takes the compressed form, and that
// of most packages is smaller.
const inMemory = 16 << 10

// gzipLevel trades the one compression against every transfer.
const gzipLevel = 6

// documentKey names a finished document.
type documentKey struct {
	repository string
	c          artifact.Coordinates
	v          Variant
}

// Document is a listing in one finished form, plain and compressed: the bytes
// that many requests are answered with. It is immutable but for its freshness,
// and safe for concurrent use.
type Document struct {
	err         error // a remembered refusal: the package does not exist
	contentType []string
	plain, gzip body
	stamp       stamp
	parts       []part
	freshUntil  atomic.Int64 // unix nanoseconds
	digests     func() (digest.Set, error)
}

// part is one remote document that went into a Document.
type part struct {
	source *upstream.Source
	body   string // as in upstream.Record; empty: the remote had no such package
}

// body is one encoding of a document.
type body struct {
	mem    []byte
	file   string // where it is when not in memory
	size   int64
	etag   []string // ready to be put into a header
	length []string
}

var (
	headerVary    = []string{"Accept, Accept-Encoding"}
	headerGzip    = []string{"gzip"}
	headerNoCache = []string{"private, no-cache"} // keep it, but ask each time: a publish must be seen
)

// ServeHTTP answers with the document: 304 when the client has it, compressed
// when the client can read that.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	b := &d.plain
	if d.gzip.size > 0 && acceptsGzip(r.Header["Accept-Encoding"]) {
		b = &d.gzip
	}
	h["Content-Type"] = d.contentType
	h["Vary"] = headerVary
	h["Etag"] = b.etag
	h["Cache-Control"] = headerNoCache
	if match := r.Header["If-None-Match"]; len(match) > 0 && etagMatches(match[0], d.plain.etag, d.gzip.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if b == &d.gzip {
		h["Content-Encoding"] = headerGzip
	}
	h["Content-Length"] = b.length
	if r.Method == http.MethodHead {
		return
	}
	if b.file == "" {
		_, _ = w.Write(b.mem)
		return
	}
	f, err := os.Open(b.file)
	if err != nil { // out of file descriptors, or somebody tidied up: the client retries
		for _, k := range []string{"Content-Length", "Content-Encoding", "Etag"} {
			h.Del(k)
		}
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.Copy(w, f) // sendfile
	_ = f.Close()
}

// Digests are those of the plain form, for formats whose clients ask for the
// checksum of a document in a request of its own. They are computed once.
func (d *Document) Digests() (digest.Set, error) { return d.digests() }

// sums digests a body.
func (b *body) sums() (digest.Set, error) {
	if b.file == "" {
		return digest.Of(b.mem), nil
	}
	f, err := os.Open(b.file)
	if err != nil {
		return digest.Set{}, fault.Wrap(fault.Unavailable, err, "the server cannot read its cache folder")
	}
	defer f.Close()
	h := digest.NewHasher()
	if _, err := io.Copy(h, f); err != nil {
		return digest.Set{}, fault.Wrap(fault.Unavailable, err, "the server cannot read its cache folder")
	}
	return h.Sum(), nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as gzip is
// concerned.
func acceptsGzip(values []string) bool {
	for _, v := range values {
		_, rest, ok := strings.Cut(v, "gzip")
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, ",")
		if _, q, ok := strings.Cut(rest, "q="); ok {
			if weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64); err == nil && weight == 0 {
				continue
			}
		}
		return true
	}
	return false
}

// etagMatches does the weak comparison of If-None-Match (RFC 9110 section
// 13.1.2) with either encoding's tag.
func etagMatches(header string, tags ...[]string) bool {
	for _, t := range tags {
		if len(t) > 0 && (header == t[0] || strings.Contains(header, t[0])) {
			return true
		}
	}
	return strings.TrimSpace(header) == "*"
}

// weight is what the document counts against the memory bound; what lies in
// files counts a little, which bounds the files too.
func (d *Document) weight(perFileByte int64) uint32 {
	w := int64(512) + int64(len(d.plain.mem)) + int64(len(d.gzip.mem))
	if d.plain.file != "" {
		w += d.plain.size / perFileByte
	}
	if d.gzip.file != "" {
		w += d.gzip.size / perFileByte
	}
	return uint32(min(w, 1<<31))
}

// documents is the bounded cache of finished documents. The file of one is
// removed when nobody holds the document any more, not when the cache lets go of
// it: that may happen before the request it was made for has been answered.
type documents struct {
	cache *otter.Cache[documentKey, *Document]
	dir   string
}

func newDocuments(dir string, memory, files int64) (*documents, error) {
	// What an earlier process left cannot be trusted to match anything.
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("clear the folder of finished documents: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of finished documents: %w", err)
	}
	perFileByte := max(files/memory, 1)
	d := &documents{dir: dir}
	cache, err := otter.New(&otter.Options[documentKey, *Document]{
		MaximumWeight: uint64(memory),
		Weigher: func(k documentKey, doc *Document) uint32 {
			return doc.weight(perFileByte) + uint32(min(len(k.v.Base)+len(k.c.Namespace)+len(k.c.Name), 1<<20)) // Base may hold any Host
		},
	})
	d.cache = cache
	return d, err
}

// Document gives one form of the merged listing of c as finished bytes. render
// runs only when there is none or something it depends on has changed, once
// for any number of callers. NotFound when nothing is visible.
func (r *Repo) Document(ctx context.Context, c artifact.Coordinates, v Variant, contentType string, render Render) (*Document, error) {
	r.does(readAction, c, "")
	if err := r.MayRead(ctx); err != nil {
		return nil, err
	}
	s := r.service
	k := documentKey{r.node.repo.ID, c, v}
	d, ok := s.documents.cache.GetIfPresent(k)
	if ok && d.stamp.current(s) && s.opt.Now().UnixNano() < d.freshUntil.Load() {
		s.observe(c.Format, "document-hit")
		return d, d.err
	}
	asked := s.stampOf(r.node.graph.domain.ID, c)
	finish := func(ctx context.Context) (*Document, error) { return s.finish(ctx, r.node, k, contentType, render) }
	d, err := s.builds.Do(ctx, k, finish)
	if err == nil && d.stamp.before(&asked) { // begun by another request, before a change that this one must see
		d, err = s.builds.Do(ctx, k, finish)
	}
	if err != nil {
		return nil, err
	}
	return d, d.err
}

// finish brings the document of k up to date.
func (s *Service) finish(ctx context.Context, n *node, k documentKey, contentType string, render Render) (*Document, error) {
	if d, ok := s.documents.cache.GetIfPresent(k); ok && d.stamp.current(s) {
		if s.opt.Now().UnixNano() < d.freshUntil.Load() || s.reconfirm(ctx, d, k.c) {
			return d, nil
		}
	}
	s.observe(k.c.Format, "document-miss")
	st := s.stampOf(n.graph.domain.ID, k.c)
	n, err := s.current(ctx, n)
	if err != nil {
		return nil, err
	}
	l, err := s.merge(ctx, n, k.c)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return &Document{stamp: st, err: err}, nil
	}
	d := &Document{stamp: st, contentType: []string{contentType}}
	if err != nil {
		d.err = err
	} else if err := s.documents.write(ctx, d, l, render); err != nil {
		return nil, err
	}
	d.parts = l.parts
	d.freshUntil.Store(l.freshUntil.UnixNano())
	s.documents.cache.Set(k, d)
	return d, nil
}

// reconfirm asks the remotes again and tells whether the document stands as it
// is: the usual end of a lifetime, which costs no rendering.
func (s *Service) reconfirm(ctx context.Context, d *Document, c artifact.Coordinates) bool {
	until := s.opt.Now().Add(forever)
	for _, p := range d.parts {
		st, err := s.remotes.Check(ctx, p.source, c)
		if err != nil || st.Body != p.body {
			return false
		}
		until = earlier(until, st.FreshUntil)
	}
	d.freshUntil.Store(until.UnixNano())
	return true
}

// forever is the lifetime of what depends on rows alone: the stamps tell when
// it ends.
const forever = 365 * 24 * time.Hour

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// write renders l into both encodings at once, so that a large document never
// stands in memory whole.
func (c *documents) write(ctx context.Context, d *Document, l *Listing, render Render) (err error) {
	plain, packed := newSink(c.dir), newSink(c.dir)
	defer func() {
		if err != nil {
			plain.discard()
			packed.discard()
		}
	}()
	zip, err := gzip.NewWriterLevel(packed, gzipLevel)
	if err != nil {
		return err
	}
	if err := render(ctx, l, io.MultiWriter(plain, zip)); err != nil {
		return fmt.Errorf("render %s: %w", l.Coordinates, err)
	}
	if err := zip.Close(); err != nil {
		return err
	}
	if d.plain, err = plain.body(""); err != nil {
		return err
	}
	d.digests = sync.OnceValues(d.plain.sums)
	// The compressed form is another representation: it has its own strong tag.
	tag := strings.TrimSuffix(d.plain.etag[0], `"`) + `-gz"`
	if d.gzip, err = packed.body(tag); err != nil {
		return err
	}
	for _, file := range []string{d.plain.file, d.gzip.file} {
		if file != "" {
			runtime.AddCleanup(d, func(file string) { _ = os.Remove(file) }, file) // who has it open goes on
		}
	}
	return nil
}

// sink takes a body into memory and moves it to a file when it grows.
type sink struct {
	dir  string
	mem  bytes.Buffer
	file *os.File
	size int64
	sum  hash.Hash
}

func newSink(dir string) *sink { return &sink{dir: dir, sum: sha256.New()} }

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	s.sum.Write(p)
	s.size += int64(len(p))
	if s.file == nil {
		if s.mem.Len()+len(p) <= inMemory {
			return s.mem.Write(p)
		}
		f, err := os.Create(filepath.Join(s.dir, strings.ToLower(rand.Text())))
		if err != nil {
			return 0, fault.Wrap(fault.Unavailable, err, "the server cannot write to its cache folder")
		}
		s.file = f
		if _, err := f.Write(s.mem.Bytes()); err != nil {
			return 0, fault.Wrap(fault.Unavailable, err, "the server cannot write to its cache folder")
		}
		s.mem = bytes.Buffer{}
	}
	n, err := s.file.Write(p)
	if err != nil {
		err = fault.Wrap(fault.Unavailable, err, "the server cannot write to its cache folder")
	}
	return n, err
}

// body closes the sink; an empty tag means one made from the content.
func (s *sink) body(tag string) (body, error) {
	if tag == "" {
		tag = `"` + hex.EncodeToString(s.sum.Sum(nil)[:16]) + `"`
	}
	b := body{size: s.size, etag: []string{tag}, length: []string{strconv.FormatInt(s.size, 10)}}
	if s.file == nil {
		b.mem = bytes.Clone(s.mem.Bytes())
		return b, nil
	}
	b.file = s.file.Name()
	return b, s.file.Close()
}

func (s *sink) discard() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
