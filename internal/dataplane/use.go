package dataplane

import (
	"net/http"
	"strings"

	"packhouse/internal/registry"
	"packhouse/internal/usage"
)

// kinds are what is counted of what a request was answered with.
var kinds = [...]usage.Kind{registry.AnswerOther: usage.Other, registry.AnswerAsset: usage.Asset, registry.AnswerDocument: usage.Document}

// use says what a request was, for who counts it.
func (v *visit) use(u *usage.Request, d registry.Deed) {
	u.DomainID, u.RepositoryID = v.request.Repo.RowID()
	u.Owner, u.Domain, u.Repository = v.place.id.Owner, v.place.id.Domain, v.place.id.Name
	u.Package, u.Version = d.Package, d.Version
	if !reads(v.request.Method) { // of a publish the bytes that came are another figure
		return
	}
	u.Kind, u.Fetched, u.External = kinds[d.Answer], d.Fetched, d.External
	u.Download = u.Kind == usage.Asset && v.request.Method == http.MethodGet && fromStart(v.request.Header.Get("Range"))
}

// fromStart tells whether a Range asks for the first byte: a download that is
// fetched in parts, or taken up again, is one.
func fromStart(header string) bool {
	return header == "" || strings.HasPrefix(header, "bytes=0-")
}
