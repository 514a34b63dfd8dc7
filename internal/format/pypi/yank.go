package pypi

import (
	"net/http"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// yankedName is the last part of the addresses to yank at.
const yankedName = "yanked"

// maxReason bounds the reason of a yank, in bytes.
const maxReason = 4 << 10

// yank withdraws the files of a version, or one of them (PEP 592): installers
// pass over them unless exactly that version is asked for. PUT with the reason
// as plain text, which may be empty; DELETE takes it back. A file that comes to a
// yanked version is yanked too. It is for versions published to this repository:
// of others their index says whether they are yanked.
func yank(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, number, name string) error {
	r.Operation = "yank"
	ctx := r.Context()
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return format.NotAllowed(r.Method, "GET, HEAD, PUT, DELETE")
	}
	if err := r.Repo.MayPutMetadata(ctx, c); err != nil {
		return err
	}
	var wanted yanked
	if r.Method == http.MethodPut {
		reason, err := format.ReadBody(r.Body, maxReason)
		if err != nil {
			return err
		}
		wanted = yanked{Yes: true, Reason: strings.Join(strings.Fields(clean(reason)), " ")}
	}
	// A file that came from an upstream after its version is in no manifest here.
	held := name != ""
	if held {
		content, err := r.Repo.Peek(ctx, c, number, name)
		held = err == nil && content != nil
	}
	found := missing(c, number)
	_, err := r.Repo.Amend(ctx, c, func(v artifact.Version) ([]byte, error) {
		if !sameRelease(v.Number, number) {
			return nil, nil
		}
		if v.Origin.Type == artifact.External {
			return nil, fault.About(fault.Conflict, "package-version", v.Number, "version %s of %s comes from outside, where it is said whether it is yanked; make it Unlisted to have it passed over here", v.Number, c.Name)
		}
		m, err := parseManifest(v.Manifest)
		if err != nil {
			return nil, err
		}
		if held && m.file(name) == nil {
			m.put(file{Name: name, Yanked: m.Yanked})
		}
		if name != "" && m.file(name) == nil {
			return nil, fault.About(fault.NotFound, "asset", name, "version %s of %s has no file %s", v.Number, c.Name, name)
		}
		found = nil
		changed := false
		if name == "" && m.Yanked != wanted {
			m.Yanked, changed = wanted, true
		}
		for i := range m.Files {
			if f := &m.Files[i]; (name == "" || f.Name == name) && f.Yanked != wanted {
				f.Yanked, changed = wanted, true
			}
		}
		if !changed {
			return nil, nil
		}
		return m.encode()
	})
	if err != nil {
		return err
	}
	if found != nil {
		return found
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
