package restjson

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
)

// Config is what stands before the operations.
type Config struct {
	// Authenticate tells who calls and gives the body as far as it can be
	// trusted. limit is the most bytes of body to hold in memory; streaming
	// says that the operation reads the body as a stream. Required.
	Authenticate func(r *http.Request, limit int64, streaming bool) (principal any, body io.Reader, err error)

	// Authorize gives nil when all needs are permitted, else usually a
	// fault.Denied. It is not called without needs. Required.
	Authorize func(ctx context.Context, c *Call, needs []Need) error

	Shapes Shapes // every shape the rows name

	// Describe makes the Call of a request. By default the address is that of
	// the connection and the request id is random.
	Describe func(r *http.Request) Call

	// Begin, if set, gives the context in which a call that has been permitted
	// is done.
	Begin func(ctx context.Context, c *Call) context.Context

	// Done, if set, hears of every call after its answer: once each, with the
	// status and the error behind it. Call.Operation is empty for unknown routes.
	Done func(ctx context.Context, c *Call, status int, err error)

	BodyLimit int64 // bytes of a body that is not a stream; 0 is DefaultBodyLimit
}

// DefaultBodyLimit is generous for the largest input, a policy document or
// a hundred versions with their revisions.
const DefaultBodyLimit = 1 << 20

// Gate is a Config ready for use, shared with package awsquery.
type Gate struct {
	authenticate func(r *http.Request, limit int64, streaming bool) (any, io.Reader, error)
	authorize    func(ctx context.Context, c *Call, needs []Need) error
	describe     func(r *http.Request) Call
	begin        func(ctx context.Context, c *Call) context.Context
	done         func(ctx context.Context, c *Call, status int, err error)
	limit        int64
	rules        rules
}

// NewGate panics when the configuration lacks a required part, or does not
// have the shapes the rows name.
func NewGate(cfg Config, rows []Row) *Gate {
	if cfg.Authenticate == nil || cfg.Authorize == nil {
		panic("restjson: Authenticate and Authorize are required")
	}
	g := &Gate{cfg.Authenticate, cfg.Authorize, cfg.Describe, cfg.Begin, cfg.Done, cfg.BodyLimit, nil}
	if g.describe == nil {
		g.describe = describe
	}
	if g.begin == nil {
		g.begin = func(ctx context.Context, _ *Call) context.Context { return ctx }
	}
	if g.done == nil {
		g.done = func(context.Context, *Call, int, error) {}
	}
	if g.limit == 0 {
		g.limit = DefaultBodyLimit
	}
	var err error
	if g.rules, err = compile(cfg.Shapes); err != nil {
		panic(fmt.Sprintf("restjson: %v", err))
	}
	for _, r := range rows {
		if err := g.rules.covers(r.in); err != nil {
			panic(fmt.Sprintf("restjson: operation %s: %v", r.name, err))
		}
	}
	return g
}

func describe(r *http.Request) Call {
	c := Call{RequestID: rand.Text(), UserAgent: r.UserAgent(), Secure: r.TLS != nil, Time: time.Now()}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.SourceIP = a.Addr().Unmap()
	}
	return c
}

// Describe makes the Call of a request.
func (g *Gate) Describe(r *http.Request) Call { return g.describe(r) }

// Authenticate gives the caller and the body.
func (g *Gate) Authenticate(r *http.Request, streaming bool) (principal any, body io.Reader, err error) {
	return g.authenticate(r, g.limit, streaming)
}

// Limit is the most bytes of a body that is not a stream.
func (g *Gate) Limit() int64 { return g.limit }

// ReadAll reads a body that is not a stream; one that is compressed costs no more
// than another.
func (g *Gate) ReadAll(r *http.Request, body io.Reader) ([]byte, error) {
	if r.Header.Get("Content-Encoding") == "gzip" { // some clients, for some operations
		plain, err := gzip.NewReader(io.LimitReader(body, g.limit+1))
		if err != nil {
			return nil, notGzip(err)
		}
		data, err := g.readAll(plain)
		return data, notGzip(err)
	}
	return g.readAll(body)
}

// notGzip tells what a client got wrong from what else went wrong.
func notGzip(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return cannotParse("the request body is not valid gzip")
	}
	if _, ok := errors.AsType[flate.CorruptInputError](err); ok {
		return cannotParse("the request body is not valid gzip")
	}
	return err
}

func (g *Gate) readAll(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, g.limit+1))
	if err == nil && int64(len(data)) > g.limit {
		err = fault.New(fault.TooLarge, "the request body is larger than %d bytes", g.limit)
	}
	return data, err
}

// Done reports an answered call.
func (g *Gate) Done(ctx context.Context, c *Call, status int, err error) { g.done(ctx, c, status, err) }

// Handler serves a table of operations.
type Handler struct {
	gate  *Gate
	rows  []Row
	route map[string]Row // by method and path
	named map[string]Row
}

// NewHandler panics when two rows have the same name or the same method and
// path, and where NewGate does.
func NewHandler(rows []Row, cfg Config) *Handler {
	h := &Handler{NewGate(cfg, rows), rows, map[string]Row{}, map[string]Row{}}
	for _, r := range rows {
		key := r.method + " " + r.path
		if other, ok := h.route[key]; ok {
			panic(fmt.Sprintf("restjson: %s and %s are both %s", other.name, r.name, key))
		}
		if _, ok := h.named[r.name]; ok {
			panic("restjson: two operations are named " + r.name)
		}
		h.route[key], h.named[r.name] = r, r
	}
	return h
}

// Rows is the table.
func (h *Handler) Rows() []Row { return h.rows }

// Do runs the operation of that name in this process: in is its *In, the
// result its *Out. The call is validated and authorised like any other.
func (h *Handler) Do(ctx context.Context, c *Call, operation string, in any) (any, error) {
	r, ok := h.named[operation]
	if !ok {
		return nil, fmt.Errorf("no operation %s", operation)
	}
	return r.Run(ctx, h.gate, c, in)
}

// ServeHTTP answers one request. r.URL.Path is the path of the operation, so
// a prefix must have been stripped. It does not recover panics; a stream that
// breaks after its headers are out ends in http.ErrAbortHandler, the only way
// to tell the client.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := h.gate.describe(r)
	row, ok := h.route[r.Method+" "+r.URL.Path]
	if !ok {
		writeUnknown(w, c.RequestID)
		h.gate.done(ctx, &c, http.StatusNotFound, nil)
		return
	}
	c.Operation = row.name
	out, err := h.call(row, &c, r)
	if err != nil {
		WriteError(w, c.RequestID, err)
		_, status := Exception(err)
		h.gate.done(ctx, &c, status, err)
		return
	}
	if row.OutputStream() {
		h.stream(ctx, w, row, &c, out)
		return
	}
	text, err := Encode(out)
	if err != nil {
		WriteError(w, c.RequestID, err)
		h.gate.done(ctx, &c, http.StatusInternalServerError, err)
		return
	}
	writeJSON(w, c.RequestID, http.StatusOK, text)
	h.gate.done(ctx, &c, http.StatusOK, nil)
}

func (h *Handler) call(row Row, c *Call, r *http.Request) (any, error) {
	principal, body, err := h.gate.Authenticate(r, row.InputStream())
	if err != nil {
		return nil, err
	}
	c.Principal, c.Length = principal, announced(r)
	if body == nil {
		body = http.NoBody
	}
	in := row.newInput()
	if err := decode(r, body, h.gate.limit, in, row.in); err != nil {
		return nil, err
	}
	return row.Run(r.Context(), h.gate, c, in)
}

// announced is how long a request says that its body is, without the framing of
// AWS chunks.
func announced(r *http.Request) int64 {
	if v := r.Header.Get("X-Amz-Decoded-Content-Length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return -1
	}
	return r.ContentLength
}

// stream writes an output whose body is a stream, and closes it.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, row Row, c *Call, out any) {
	v := reflect.ValueOf(out).Elem()
	var body io.ReadCloser
	head := w.Header()
	for _, m := range row.out.members[row.out.root] {
		f := v.Field(m.index)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		switch {
		case m.In == "body":
			body, _ = f.Interface().(io.ReadCloser)
		case f.IsZero():
		case f.CanInt():
			head.Set(m.Wire, strconv.FormatInt(f.Int(), 10))
		case f.Kind() == reflect.Bool:
			head.Set(m.Wire, strconv.FormatBool(f.Bool()))
		default:
			head.Set(m.Wire, cleanLine(f.String()))
		}
	}
	if body == nil {
		err := fault.New(fault.Internal, "operation %s gave no stream", row.name)
		clear(head)
		WriteError(w, c.RequestID, err)
		h.gate.done(ctx, c, http.StatusInternalServerError, err)
		return
	}
	defer body.Close()
	if head.Get("Content-Type") == "" {
		head.Set("Content-Type", "application/octet-stream")
	}
	head.Set("X-Content-Type-Options", "nosniff") // the bytes are anybody's
	head.Set("X-Amzn-RequestId", c.RequestID)
	w.WriteHeader(http.StatusOK)
	_, err := io.Copy(w, body)
	h.gate.done(ctx, c, http.StatusOK, err)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Encode writes an output as JSON.
func Encode(out any) ([]byte, error) { return json.Marshal(out, encoding()) }

// encoding is how answers are written: equal values give equal bytes, and text
// that some package smuggled in as broken UTF-8 is mended, not fatal.
func encoding() json.Options {
	return json.JoinOptions(json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}
