package pypi

import (
	"crypto/sha256"
	"encoding/hex"
	"html"
	"net/http"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// Media types of the simple API (PEP 691).
const (
	jsonType   = "application/vnd.pypi.simple.v1+json"
	latestJSON = "application/vnd.pypi.simple.latest+json"
	htmlType   = "application/vnd.pypi.simple.v1+html"
	latestHTML = "application/vnd.pypi.simple.latest+html"
	plainHTML  = "text/html; charset=utf-8"
)

const readMethods = "GET, HEAD"

var errNoAddress = fault.New(fault.NotFound, "there is nothing at this address; the index is at simple/")

// Serve implements format.Format: the addresses of section 11.2.
func (Format) Serve(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "other"
	switch {
	case r.Path == "":
		return serveRoot(w, r)
	case r.Path == "simple":
		return redirect(w, r, "simple/")
	case strings.HasPrefix(r.Path, "simple/"):
		return serveSimple(w, r, r.Path[len("simple/"):])
	case strings.HasPrefix(r.Path, "pypi/"):
		return serveJSON(w, r, r.Path[len("pypi/"):])
	}
	return errNoAddress
}

func serveRoot(w http.ResponseWriter, r *format.Request) error {
	if r.Method != http.MethodPost {
		return format.NotAllowed(r.Method, http.MethodPost)
	}
	r.Operation = "publish"
	return publish(w, r)
}

func isRead(r *format.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// serveSimple answers what is below simple/.
func serveSimple(w http.ResponseWriter, r *format.Request, rest string) error {
	if rest == "" {
		return serveNames(w, r)
	}
	first, rest, slash := strings.Cut(rest, "/")
	name, err := format.Segment(first)
	if err != nil {
		return err
	}
	c, err := coordinates(name)
	if err != nil {
		return err
	}
	if rest != "" {
		return serveFile(w, r, c, rest)
	}
	r.Operation = "index"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	switch {
	case c.Name != name && slash:
		return redirect(w, r, "../"+c.Name+"/")
	case !slash:
		return redirect(w, r, c.Name+"/")
	}
	return serveIndex(w, r, c)
}

// redirect leads to another address of this repository, relative to the one
// asked for, so that it holds behind any proxy.
func redirect(w http.ResponseWriter, r *format.Request, to string) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	if err := r.Repo.MayRead(r.Context()); err != nil {
		return err
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
	return nil
}

// The forms of an index, by their place in accepted.
const (
	asHTML = iota
	asPlainHTML
	asJSON
)

// accepted chooses the form of an index; who asks for none in particular gets
// HTML, which all clients read.
func accepted(r *format.Request) int {
	switch format.Accept(r.Header["Accept"], "text/html", htmlType, latestHTML, jsonType, latestJSON) {
	case 0:
		return asPlainHTML
	case 1, 2:
		return asHTML
	}
	return asJSON
}

func serveIndex(w http.ResponseWriter, r *format.Request, c artifact.Coordinates) error {
	var doc *registry.Document
	var err error
	switch accepted(r) {
	case asJSON:
		doc, err = r.Repo.Document(r.Context(), c, registry.Variant{Name: "json"}, jsonType, renderJSON)
	case asHTML:
		doc, err = r.Repo.Document(r.Context(), c, registry.Variant{Name: "html"}, htmlType, renderHTML)
	default:
		doc, err = r.Repo.Document(r.Context(), c, registry.Variant{Name: "text/html"}, plainHTML, renderHTML)
	}
	if err != nil {
		return err
	}
	doc.ServeHTTP(w, r.Request)
	return nil
}

// serveNames lists the projects that the repository and its upstreams hold.
func serveNames(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "projects"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	found, err := r.Repo.Packages(r.Context(), artifact.PyPI, nil)
	if err != nil {
		return err
	}
	var b []byte
	contentType := plainHTML
	switch accepted(r) {
	case asJSON:
		contentType = jsonType
		b = append(b, `{"meta":{"api-version":"`+apiVersion+`"},"projects":[`...)
		for i, c := range found {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(append(b, `{"name":`...), quoted(c.Name)...), '}')
		}
		b = append(b, "]}"...)
	case asHTML:
		contentType = htmlType
		fallthrough
	default:
		b = append(b, "<!DOCTYPE html>\n<html>\n  <head>\n    <meta name=\"pypi:repository-version\" content=\""+apiVersion+
			"\">\n    <title>Simple index</title>\n  </head>\n  <body>\n"...)
		for _, c := range found {
			name := html.EscapeString(c.Name)
			b = append(b, "    <a href=\""+name+"/\">"+name+"</a><br/>\n"...)
		}
		b = append(b, "  </body>\n</html>\n"...)
	}
	w.Header().Set("Vary", "Accept")
	return answer(w, r, contentType, b, "private, no-cache")
}

// answer sends bytes with an ETag, or 304.
func answer(w http.ResponseWriter, r *format.Request, contentType string, b []byte, cache string) error {
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", cache)
	if match := r.Header.Get("If-None-Match"); strings.Contains(match, tag) || strings.TrimSpace(match) == "*" {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return format.Respond(w, http.StatusOK, contentType, b)
}

// forever is how long what never changes may be kept.
const forever = "private, max-age=31536000, immutable"

// serveFile answers simple/{project}/{version}/{file}, its metadata and
// provenance, and the addresses to yank at.
func serveFile(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, rest string) error {
	rest, err := format.Unescape(rest)
	if err != nil {
		return err
	}
	number, file, ok := strings.Cut(rest, "/")
	if v, sound := parseVersion(number); sound {
		number = v.String()
	} else {
		ok = false
	}
	if !ok {
		return errNoAddress
	}
	if which, isYank := strings.CutSuffix("/"+file, "/"+yankedName); isYank && !isRead(r) {
		return yank(w, r, c, number, strings.TrimPrefix(which, "/"))
	}
	if strings.Contains(file, "/") {
		return errNoAddress
	}
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	if name, ok := strings.CutSuffix(file, metadataSuffix); ok && isWheel(name) {
		r.Operation = "metadata"
		return serveMetadata(w, r, c, number, name)
	}
	if name, ok := strings.CutSuffix(file, provenanceSuffix); ok {
		r.Operation = "provenance"
		body, err := r.Repo.Beside(r.Context(), c, number, name+provenanceSuffix)
		if err != nil {
			return err
		}
		if !jsontext.Value(body).IsValid() {
			return fault.New(fault.Upstream, "the remote's provenance of %s is not JSON", name)
		}
		return answer(w, r, "application/vnd.pypi.integrity.v1+json", body, forever)
	}
	r.Operation = "file"
	content, err := r.Repo.Asset(r.Context(), c, number, file)
	if fault.Is(err, fault.NotFound) {
		if held := otherSpelling(r, c, number); held != "" {
			content, err = r.Repo.Asset(r.Context(), c, held, file)
		}
	}
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = fileType(file)
	return content.ServeHTTP(w, r.Request)
}

// otherSpelling finds the release that number names under another number, as
// 1.0 for 1.0.0; empty when there is none.
func otherSpelling(r *format.Request, c artifact.Coordinates, number string) string {
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return ""
	}
	for i := range l.Versions {
		if held := l.Versions[i].Number; held != number && sameRelease(held, number) {
			return held
		}
	}
	return ""
}

//nolint:gochecknoglobals // shared by all answers, never written
var (
	zipTypes  = []string{"application/zip"}
	gzipTypes = []string{"application/gzip"}
	byteTypes = []string{"application/octet-stream"}
)

func fileType(file string) []string {
	switch strings.ToLower(path.Ext(file)) {
	case ".whl", ".zip", ".egg":
		return zipTypes
	case ".gz", ".tgz":
		return gzipTypes
	}
	return byteTypes
}

// serveMetadata answers with the core metadata of a wheel (PEP 658): those that
// its remote keeps beside it, else those in the wheel.
func serveMetadata(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, number, file string) error {
	ctx := r.Context()
	body, err := r.Repo.Beside(ctx, c, number, file+metadataSuffix)
	if err == nil && besideOf(c, body) != nil {
		return answer(w, r, metadataType, body, forever)
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Upstream) {
		return err
	}
	doc, err := r.Repo.Derive(ctx, c, number, file, "core-metadata", metadataType, extractMetadata(file, c.Name))
	if err != nil {
		return err
	}
	doc.ServeHTTP(w, r.Request)
	return nil
}

// besideOf reads the core metadata that a remote gave for a wheel of a project;
// nil for what is another thing, as the page of a proxy that asks to log in.
func besideOf(c artifact.Coordinates, body []byte) *metadata {
	m, ok := parseMetadata(body)
	if !ok || !validName(m.Name) || normal(m.Name) != c.Name {
		return nil
	}
	return m
}

const metadataType = "text/plain; charset=utf-8"
