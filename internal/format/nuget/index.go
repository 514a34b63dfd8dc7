package nuget

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"packhouse/internal/format"
)

// resource is an entry of the service index (service-index.md).
type resource struct {
	ID            string `json:"@id"`
	Type          string `json:"@type"`
	ClientVersion string `json:"clientVersion,omitempty"`
}

// resources are all a client may look for. Each asks for the newest type it
// knows, and old ones give up when theirs is missing, so every type is listed.
//
// RepositorySignatures is left out on purpose: it would promise that every
// package is signed with certificates listed there, and what is published here
// is not. VulnerabilityInfo and Catalog are left out because nothing is known
// of the one and nothing here reads the other.
func resources(base string) []resource {
	var all []resource
	add := func(path string, types ...string) {
		for _, t := range types {
			all = append(all, resource{ID: base + path, Type: t})
		}
	}
	add(flatPath, "PackageBaseAddress/3.0.0")
	for _, h := range hives {
		add(h.path, h.types...)
	}
	all = append(all, resource{ID: base + newest().path, Type: "RegistrationsBaseUrl/Versioned", ClientVersion: "4.3.0-alpha"})
	add(searchPath, "SearchQueryService", "SearchQueryService/3.0.0-beta", "SearchQueryService/3.0.0-rc", "SearchQueryService/3.5.0")
	add(autocompletePath, "SearchAutocompleteService", "SearchAutocompleteService/3.0.0-beta", "SearchAutocompleteService/3.0.0-rc", "SearchAutocompleteService/3.5.0")
	add(publishPath, "PackagePublish/2.0.0")
	add(symbolsPath, "SymbolPackagePublish/4.9.0")
	add(flatPath+"{lower_id}/{lower_version}/readme", "ReadmeUriTemplate/6.13.0")
	return all
}

func serveIndex(w http.ResponseWriter, r *format.Request) error {
	if !isRead(r) {
		return format.NotAllowed(r.Method, readMethods)
	}
	if err := r.Repo.MayRead(r.Context()); err != nil {
		return err
	}
	return respond(w, r, struct {
		Version   string     `json:"version"`
		Resources []resource `json:"resources"`
	}{"3.0.0", resources(r.Base)})
}

// respond answers a read with a document made for it: with an ETag, since
// clients keep these for half an hour and ask again.
func respond(w http.ResponseWriter, r *format.Request, doc any) error {
	body, err := json.Marshal(doc, lenient(), json.Deterministic(true))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	h.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r.Request, "", time.Time{}, bytes.NewReader(body))
	return nil
}
