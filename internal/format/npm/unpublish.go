package npm

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// unpublish answers {package}/-rev/{rev}. PUT brings the packument back without
// the versions to remove, DELETE removes the package. Both must name the
// revision they saw: a version published meanwhile is missing from the
// document too, and nobody asked to remove that.
func unpublish(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, rev string) error {
	r.Operation = "unpublish"
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return format.NotAllowed(r.Method, "PUT, DELETE")
	}
	rev, err := format.Segment(rev)
	if err != nil {
		return err
	}
	l, err := r.Repo.Listing(r.Context(), c)
	if err != nil {
		return err
	}
	var left map[string]bool
	if r.Method == http.MethodPut {
		if left, err = readVersions(r, c); err != nil {
			return err
		}
	}
	if rev != revision(l) {
		return fault.About(fault.Conflict, "package", fullName(c), "the package has changed since it was read; read it again")
	}
	if r.Method == http.MethodDelete {
		if err := r.Repo.Unpublish(r.Context(), c, nil); err != nil {
			return err
		}
		return format.Respond(w, http.StatusOK, jsonType, []byte(`{"ok":true}`))
	}
	var removed []string
	for i := range l.Versions {
		if v := &l.Versions[i]; v.Status == artifact.Published && !left[v.Number] {
			removed = append(removed, v.Number)
		}
	}
	if len(removed) > 0 {
		if err := r.Repo.Unpublish(r.Context(), c, removed); err != nil {
			return err
		}
	}
	return format.Respond(w, http.StatusOK, jsonType, quotedID(c))
}

// readVersions reads which versions a packument has. One without a versions
// member changes something else (owners, stars), which is not kept here; taking
// it for the removal of everything would be the worst of misunderstandings.
func readVersions(r *format.Request, c artifact.Coordinates) (map[string]bool, error) {
	body, err := format.Body(r.Request)
	if err != nil {
		return nil, err
	}
	b, err := format.ReadBody(body, maxDocument)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Name     string         `json:"name"`
		Versions jsontext.Value `json:"versions"`
	}
	if err := json.Unmarshal(b, &doc, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the document is not a packument")
	}
	cur, ok := walk(doc.Versions)
	if !ok {
		return nil, fault.New(fault.Invalid, "the document has no versions; owners and stars are not kept here")
	}
	if doc.Name != "" && doc.Name != fullName(c) {
		return nil, fault.New(fault.Invalid, "the document is about %q, its address about %q", clip(doc.Name), fullName(c))
	}
	left := map[string]bool{}
	for m, more := cur.next(); more; m, more = cur.next() {
		left[string(m.name)] = true
	}
	return left, nil
}

// deleteTarball answers DELETE {package}/-/{file}/-rev/{rev}, the second half
// of npm's unpublish. The first half took the version away, so what is no
// longer here is fine.
func deleteTarball(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, rest string) error {
	r.Operation = "unpublish"
	file, _, ok := strings.Cut(rest, "/-rev/")
	if !ok {
		return errNoAddress
	}
	version, err := cutVersion(c, file)
	if err != nil {
		return err
	}
	if err := r.Repo.Unpublish(r.Context(), c, []string{version}); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return format.Respond(w, http.StatusOK, jsonType, []byte(`{"ok":true}`))
}
