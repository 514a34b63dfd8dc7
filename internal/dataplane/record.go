package dataplane

import (
	"net/http"
	"strings"
	"sync/atomic"

	"packhouse/internal/artifact"
	"packhouse/internal/audit"
	"packhouse/internal/format"
	"packhouse/internal/identity"
	"packhouse/internal/registry"
)

const servicePrefix = "codeartifact:"

// record says in an access record what a request was about, as far as its
// address tells.
func record(e *audit.Entry, method string, p place, caller identity.Caller) {
	e.Source, e.Event = audit.CodeArtifact, "PublishPackageVersion"
	if reads(method) {
		e.Event, e.ReadOnly = "ReadFromRepository", true
	}
	e.About(p.id)
	e.Package.Format, e.Path = artifact.Format(p.format), p.rest
	e.Subject = caller.Subject()
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// did adds what was done. The event of a package request is the action it needed.
func did(e *audit.Entry, d registry.Deed) {
	if d.Action == "" {
		return
	}
	e.Event = strings.TrimPrefix(d.Action, servicePrefix)
	e.ReadOnly = e.Event == "ReadFromRepository"
	if d.Package.Name != "" {
		e.Package, e.Version, e.Versions = d.Package, d.Version, d.Versions
	}
}

// witness has the record of a request that may change something committed with
// the change; nil where there is nothing to witness.
func (h *Handler) witness(w http.ResponseWriter, req *format.Request, caller identity.Caller, p place) *audit.Witness {
	x, ok := w.(exchange)
	if !ok || h.opt.Audit == nil || reads(req.Method) {
		return nil
	}
	known := audit.Entry{ID: x.Entry().ID, Method: req.Method, Client: caller.Facts().SourceIP, Agent: req.UserAgent()}
	record(&known, req.Method, p, caller)
	known.Administrator = req.Repo.Administrator()
	var deed atomic.Pointer[registry.Deed] // changes may be made on other goroutines
	req.Repo.Follow(func(d registry.Deed) { deed.Store(&d) })
	witness := h.opt.Audit.Witness(func() audit.Entry {
		e := known
		if d := deed.Load(); d != nil {
			did(&e, *d)
		}
		return e
	})
	req.Request = req.WithContext(witness.Context(req.Context()))
	return witness
}
