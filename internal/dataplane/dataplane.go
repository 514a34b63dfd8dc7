// Package dataplane is the HTTP side of packages: it locates the repository a
// request addresses, authenticates the caller, opens the repository and hands
// over to its format; errors come back and are logged and written here, once.
//
// Paths are taken apart as they came, still escaped: scoped npm names arrive as
// "@scope%2fname", and neither decoding nor cleaning may change what they mean.
package dataplane

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
	"packhouse/internal/usage"
)

// Prefix is where path-style package endpoints begin.
const Prefix = "/repo/"

// Options are what a Handler works with.
type Options struct {
	Registry     *registry.Service
	Formats      []format.Format
	Authenticate func(*http.Request) (identity.Caller, error)
	URL          string // what clients reach the server as, without trailing slash; empty: from the request's Host
	Logger       *slog.Logger
	Audit        *audit.Trail // keeps the records of changes; nil: nobody does
	// Scheme tells how the client reached the server; needed where URL is empty.
	Scheme func(*http.Request) string
}

// Handler serves package endpoints.
type Handler struct {
	opt     Options
	formats map[string]format.Format
}

// New makes a Handler.
func New(opt Options) *Handler {
	h := &Handler{opt: opt, formats: map[string]format.Format{}}
	for _, f := range opt.Formats {
		h.formats[string(f.Name())] = f
	}
	return h
}

// place is what a path addresses.
type place struct {
	id     artifact.RepositoryID
	format string
	rest   string // below the repository's root, escaped
}

// locate reads a path-style address: /repo/OWNER/DOMAIN/FORMAT/REPOSITORY/rest.
func locate(path string) (p place, ok bool) {
	s, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return p, false
	}
	p.id.Owner, s, _ = strings.Cut(s, "/")
	p.id.Domain, s, _ = strings.Cut(s, "/")
	p.format, s, ok = strings.Cut(s, "/")
	if !ok {
		return p, false
	}
	p.id.Name, p.rest, _ = strings.Cut(s, "/")
	return p, p.id.Owner != "" && p.id.Domain != "" && p.format != "" && p.id.Name != ""
}

// locateHost reads a virtual-host-style address (section 2.4): the host is
// DOMAIN-OWNER.d.codeartifact.REGION.SUFFIX and the path /FORMAT/REPOSITORY/rest.
func locateHost(host, path string) (p place, ok bool) {
	label, more, ok := strings.Cut(host, ".")
	if !ok || !strings.HasPrefix(more, "d.codeartifact.") {
		return p, false
	}
	const accountDigits = 12
	dash := len(label) - accountDigits - 1
	if dash < 1 || label[dash] != '-' {
		return p, false
	}
	p.id.Domain, p.id.Owner = label[:dash], label[dash+1:]
	for _, c := range []byte(p.id.Owner) {
		if c < '0' || c > '9' {
			return p, false
		}
	}
	s := strings.TrimPrefix(path, "/")
	p.format, s, ok = strings.Cut(s, "/")
	if !ok {
		return p, false
	}
	p.id.Name, p.rest, _ = strings.Cut(s, "/")
	return p, p.format != "" && p.id.Name != ""
}

// Serves tells whether a request is one for package endpoints.
func (h *Handler) Serves(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, Prefix) {
		return true
	}
	_, ok := locateHost(r.Host, r.URL.EscapedPath())
	return ok
}

// exchange is what the outermost handler wants to hear of a request; its
// response writer implements it.
type exchange interface {
	Describe(format, operation, repository, principal string)
	Failed(kind string)
	RequestID() string
	Entry() *audit.Entry
	Usage() *usage.Request
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	p, ok := locate(path)
	virtual := false
	if !ok {
		p, virtual = locateHost(r.Host, path)
		ok = virtual
	}
	f := h.formats[p.format]
	if !ok || f == nil {
		h.nowhere(w, p)
		return
	}
	v := visit{place: p, request: format.Request{Request: r, Path: p.rest, Base: h.base(r, p, virtual)}}
	x, _ := w.(exchange)
	var err error
	if x != nil {
		defer func() { v.describe(x, r.Method, err) }() // also when the client breaks a download off, which is a panic
	}
	err = h.serve(w, &v, f)
	if err == nil {
		return
	}
	kind := fault.Of(err)
	if x != nil {
		x.Failed(kind.String())
	}
	if kind == fault.Internal && r.Context().Err() == nil {
		h.log(r, err, x)
	}
	if _, ok := errors.AsType[misplaced](err); ok {
		// The dialect of a format that is not there would hide why.
		http.Error(w, fault.Message(err), http.StatusNotFound)
		return
	}
	f.WriteError(w, &v.request, err)
}

// misplaced is what the address of a format ends in that the repository is not
// for.
type misplaced struct{ error }

func (m misplaced) Unwrap() error { return m.error }

// visit is one request and what becomes known of it.
type visit struct {
	place   place
	request format.Request
	caller  identity.Caller
	witness *audit.Witness
}

// describe tells the outermost handler what the request was, for metrics, log
// and access record.
func (v *visit) describe(x exchange, method string, err error) {
	x.Describe(v.place.format, v.request.Operation, v.place.id.Name, v.caller.ARN())
	e := x.Entry()
	record(e, method, v.place, v.caller)
	if v.request.Repo != nil {
		e.Administrator = v.request.Repo.Administrator()
		deed := v.request.Repo.Deed()
		did(e, deed)
		v.use(x.Usage(), deed)
	}
	e.Witnessed = v.witness.Kept()
	e.Failed(err)
}

func (h *Handler) serve(w http.ResponseWriter, v *visit, f format.Format) (err error) {
	req := &v.request
	if v.caller, err = h.opt.Authenticate(req.Request); err != nil {
		return err
	}
	ctx := req.Context()
	if req.Repo, err = h.opt.Registry.Open(ctx, v.caller, v.place.id); err != nil {
		return err
	}
	switch err := req.Repo.Holds(ctx, f.Name()); {
	case fault.Is(err, fault.NotFound):
		return misplaced{err}
	case err != nil:
		return err
	}
	v.witness = h.witness(w, req, v.caller, v.place)
	return f.Serve(w, req)
}

// base is the repository's endpoint as the client of this request reaches it.
func (h *Handler) base(r *http.Request, p place, virtual bool) string {
	base := h.opt.URL
	if base == "" || virtual {
		base = h.opt.Scheme(r) + "://" + r.Host
	}
	if virtual {
		return base + "/" + p.format + "/" + p.id.Name + "/"
	}
	return base + Prefix + p.id.Owner + "/" + p.id.Domain + "/" + p.format + "/" + p.id.Name + "/"
}

// nowhere answers for addresses that name no format.
func (h *Handler) nowhere(w http.ResponseWriter, p place) {
	text := "not found: package endpoints have the form " + Prefix + "ACCOUNT/DOMAIN/FORMAT/REPOSITORY/; get-repository-endpoint tells yours"
	for _, known := range artifact.Formats() {
		if p.format == string(known) {
			text = "this server does not serve " + p.format + " packages yet"
		}
	}
	http.Error(w, text, http.StatusNotFound)
}

func (h *Handler) log(r *http.Request, err error, x exchange) {
	id := ""
	if x != nil {
		id = x.RequestID()
	}
	if errors.Is(err, http.ErrAbortHandler) {
		return
	}
	h.opt.Logger.ErrorContext(r.Context(), "package request failed", slog.String("id", id), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.Any("error", err))
}
