package npm

import (
	"io"
	"net/http"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

const (
	jsonType        = "application/json"
	abbreviatedType = "application/vnd.npm.install-v1+json"
	tarballType     = "application/octet-stream"
)

const readMethods = "GET, HEAD"

// Serve implements format.Format: the addresses of section 11.1.
func (Format) Serve(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "other"
	if rest, ok := strings.CutPrefix(r.Path, "-/"); ok {
		return serveSpecial(w, r, rest)
	}
	if spec, ok := repeated(r); ok {
		return serveAttestations(w, r, spec)
	}
	c, rest, err := cutName(r.Path)
	if err != nil {
		return err
	}
	if rest == "" {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return servePackument(w, r, c)
		case http.MethodPut:
			return put(w, r, c)
		}
		return format.NotAllowed(r.Method, readMethods+", PUT")
	}
	if file, ok := strings.CutPrefix(rest, "-/"); ok {
		return serveTarball(w, r, c, file)
	}
	if rev, ok := strings.CutPrefix(rest, "-rev/"); ok {
		return unpublish(w, r, c, rev)
	}
	return serveManifest(w, r, c, rest)
}

func isRead(r *format.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

func servePackument(w http.ResponseWriter, r *format.Request, c artifact.Coordinates) error {
	r.Operation = "packument"
	var doc *registry.Document
	var err error
	if format.Accept(r.Header["Accept"], jsonType, abbreviatedType) == 1 {
		doc, err = r.Repo.Document(r.Context(), c, registry.Variant{Name: "abbreviated", Base: r.Base}, abbreviatedType, renderAbbreviated(r.Base))
	} else {
		doc, err = r.Repo.Document(r.Context(), c, registry.Variant{Name: "full", Base: r.Base}, jsonType, renderFull(r.Base))
	}
	if err != nil {
		return err
	}
	doc.ServeHTTP(w, r.Request)
	return nil
}

func serveTarball(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, file string) error {
	r.Operation = "tarball"
	if r.Method == http.MethodDelete {
		return deleteTarball(w, r, c, file)
	}
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods+", DELETE")
	}
	version, err := cutVersion(c, file)
	if err != nil {
		return err
	}
	content, err := r.Repo.Asset(r.Context(), c, version, assetName)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = tarballTypes
	return content.ServeHTTP(w, r.Request)
}

var tarballTypes = []string{tarballType} //nolint:gochecknoglobals // shared by all answers, never written

// serveManifest answers GET {package}/{version or tag}. An Unlisted version is
// found by its number, as its tarball is, and by no tag.
func serveManifest(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, which string) error {
	r.Operation = "manifest"
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	which, err := format.Segment(which)
	if err != nil {
		return err
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	v := find(l, which)
	if v == nil {
		v = find(l, distTags(l)[which])
	}
	if v == nil {
		return fault.About(fault.NotFound, "package-version", fullName(c)+"@"+which, "not_found")
	}
	body, err := appendManifest(nil, r.Base, c, v)
	if err != nil {
		return err
	}
	return format.Respond(w, http.StatusOK, jsonType, body)
}

func find(l *registry.Listing, version string) *registry.Listed {
	for i := range l.Versions {
		if l.Versions[i].Number == version {
			return &l.Versions[i]
		}
	}
	return nil
}

// serveSpecial answers what is below "-/".
func serveSpecial(w http.ResponseWriter, r *format.Request, rest string) error {
	if p, ok := strings.CutPrefix(rest, "package/"); ok {
		return serveTags(w, r, p)
	}
	if p, ok := strings.CutPrefix(rest, attestationsPath); ok {
		return serveAttestations(w, r, p)
	}
	switch rest {
	case keysPath:
		return serveKeys(w, r)
	case "ping":
		r.Operation = "ping"
		return answer(w, r, "{}")
	case "whoami":
		r.Operation = "whoami"
		return whoami(w, r)
	case "v1/search":
		r.Operation = "search"
		return search(w, r)
	case "npm/v1/security/advisories/bulk":
		r.Operation = "audit"
		return audit(w, r, "{}")
	case "npm/v1/security/audits", "npm/v1/security/audits/quick":
		r.Operation = "audit"
		return audit(w, r, emptyReport)
	}
	return errNoAddress
}

// answer gives a fixed document to whoever may read the repository.
func answer(w http.ResponseWriter, r *format.Request, body string) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	if err := r.Repo.MayRead(r.Context()); err != nil {
		return err
	}
	return format.Respond(w, http.StatusOK, jsonType, []byte(body))
}

func whoami(w http.ResponseWriter, r *format.Request) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	if err := r.Repo.MayRead(r.Context()); fault.Is(err, fault.Unauthenticated) {
		return err
	}
	name := r.Repo.CallerName() // known even where it may not read
	return format.Respond(w, http.StatusOK, jsonType, append(quote([]byte(`{"username":`), name), '}'))
}

// emptyReport is a report of "npm audit" (before npm 7) and yarn classic with
// no findings.
const emptyReport = `{"actions":[],"advisories":{},"muted":[],"metadata":{"vulnerabilities":{"info":0,"low":0,"moderate":0,"high":0,"critical":0},` +
	`"dependencies":0,"devDependencies":0,"optionalDependencies":0,"totalDependencies":0}}`

// maxAudit bounds what is read of an audit request, in bytes as sent.
const maxAudit = 16 << 20

// audit answers with no findings: the house knows no advisories yet, and a
// failure would break every "npm audit" in CI. The question is read and thrown
// away; it is not sent on, for it names the caller's private packages.
func audit(w http.ResponseWriter, r *format.Request, report string) error {
	if r.Method != http.MethodPost {
		return format.NotAllowed(r.Method, http.MethodPost)
	}
	if err := r.Repo.MayRead(r.Context()); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxAudit+1))
	if err != nil {
		return format.BodyError(err)
	}
	if n > maxAudit {
		return fault.New(fault.TooLarge, "the request is larger than %d bytes", maxAudit)
	}
	return format.Respond(w, http.StatusOK, jsonType, []byte(report))
}
