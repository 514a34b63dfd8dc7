package generic

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

const (
	jsonType  = "application/json"
	assetType = "application/octet-stream" // whatever it is: browsers must not run it

	readMethods = "GET, HEAD"
)

// Serve implements format.Format: NAMESPACE/NAME lists a package,
// NAMESPACE/NAME/VERSION/ASSET is one file, to get and to put.
func (f Format) Serve(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "other"
	parts := strings.Split(r.Path, "/")
	if len(parts) != 2 && len(parts) != 4 {
		return fault.New(fault.NotFound, "there is nothing at this address; packages are at NAMESPACE/NAME, their files at NAMESPACE/NAME/VERSION/ASSET")
	}
	for i, p := range parts {
		var err error
		if parts[i], err = format.Segment(p); err != nil {
			return err
		}
	}
	c, err := f.Normalize(artifact.Coordinates{Namespace: parts[0], Name: parts[1]})
	if err != nil {
		return err
	}
	if len(parts) == 2 {
		return serveList(w, r, c)
	}
	switch version, name := parts[2], parts[3]; r.Method {
	case http.MethodGet, http.MethodHead:
		return serveAsset(w, r, c, version, name)
	case http.MethodPut:
		if r.URL.Query().Has("part") {
			return putPart(w, r, c, version, name)
		}
		return put(w, r, c, version, name)
	case http.MethodPost:
		return assemble(w, r, c, version, name)
	}
	return format.NotAllowed(r.Method, readMethods+", PUT, POST")
}

// The answers, in the words of the API.
type (
	listingBody struct {
		Format    artifact.Format `json:"format"`
		Namespace string          `json:"namespace"`
		Package   string          `json:"package"`
		Versions  []versionBody   `json:"versions"`
	}
	versionBody struct {
		Version  string      `json:"version"`
		Revision string      `json:"revision"`
		Assets   []assetBody `json:"assets"`
	}
	assetBody struct {
		Name   string     `json:"name"`
		Size   int64      `json:"size"`
		Hashes hashesBody `json:"hashes"`
	}
	hashesBody struct {
		MD5    string `json:"MD5"`
		SHA1   string `json:"SHA-1"`
		SHA256 string `json:"SHA-256"`
		SHA512 string `json:"SHA-512"`
	}
	publishedBody struct {
		Format          artifact.Format `json:"format"`
		Namespace       string          `json:"namespace"`
		Package         string          `json:"package"`
		Version         string          `json:"version"`
		VersionRevision string          `json:"versionRevision"`
		Status          artifact.Status `json:"status"`
		Asset           assetBody       `json:"asset"`
	}
)

func describe(a artifact.Asset) assetBody {
	return assetBody{Name: a.Name, Size: a.Size, Hashes: hashesBody{
		MD5: a.Digests.Hex(digest.MD5), SHA1: a.Digests.Hex(digest.SHA1),
		SHA256: a.Digests.Hex(digest.SHA256), SHA512: a.Digests.Hex(digest.SHA512),
	}}
}

// serveList answers with the Published versions of a package, oldest first.
func serveList(w http.ResponseWriter, r *format.Request, c artifact.Coordinates) error {
	r.Operation = "list"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return format.NotAllowed(r.Method, readMethods)
	}
	doc, err := r.Repo.Document(r.Context(), c, registry.Variant{Name: "versions"}, jsonType, renderList)
	if err != nil {
		return err
	}
	doc.ServeHTTP(w, r.Request)
	return nil
}

func renderList(_ context.Context, l *registry.Listing, w io.Writer) error {
	out := listingBody{Format: artifact.Generic, Namespace: l.Coordinates.Namespace, Package: l.Coordinates.Name, Versions: []versionBody{}}
	for _, v := range l.Versions {
		if v.Status != artifact.Published {
			continue
		}
		one := versionBody{Version: v.Number, Revision: v.Revision, Assets: make([]assetBody, len(v.Assets))}
		for i, a := range v.Assets {
			one.Assets[i] = describe(a)
		}
		out.Versions = append(out.Versions, one)
	}
	return json.MarshalWrite(w, out)
}

func serveAsset(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, version, name string) error {
	r.Operation = "asset"
	content, err := r.Repo.Asset(r.Context(), c, version, name)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", assetType)
	h.Set("X-Content-Type-Options", "nosniff")
	return content.ServeHTTP(w, r.Request)
}

// put takes one file. Permission, names and headers are checked before the body
// is asked for, so a client that waits for 100 Continue sends it only then.
func put(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, version, name string) error {
	r.Operation = "publish"
	ctx := r.Context()
	if err := r.Repo.MayPublish(ctx, c); err != nil {
		return err
	}
	if err := artifact.CheckName("version", version); err != nil {
		return err
	}
	if err := artifact.CheckAssetName(name); err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the query cannot be read")
	}
	status, err := statusWanted(query)
	if err != nil {
		return err
	}
	promised, err := promise(r.Header)
	if err != nil {
		return err
	}
	staged, err := r.Repo.Stage(ctx, c, name, registry.Announced(r.Body, r.ContentLength))
	if err != nil {
		return err
	}
	if has := staged.Digests.Hex(digest.SHA256); promised != "" && promised != has {
		return fault.New(fault.Invalid, "the body does not have the hash of the header x-amz-content-sha256 but %s", has)
	}
	return publish(w, r, c, version, status, staged)
}

// publish makes a staged file one of a version and says what came of it.
func publish(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, version string, status artifact.Status, staged registry.Staged) error {
	v, err := r.Repo.Publish(r.Context(), c, registry.Publication{Version: version, Assets: []registry.Staged{staged}, Status: status})
	if err != nil {
		return err
	}
	body, err := json.Marshal(publishedBody{
		Format: c.Format, Namespace: c.Namespace, Package: c.Name, Version: v.Number, VersionRevision: v.Revision, Status: v.Status,
		Asset: describe(staged.Asset),
	})
	if err != nil {
		return err
	}
	return format.Respond(w, http.StatusCreated, jsonType, body)
}

// statusWanted reads ?unfinished=true, which says that more files will follow.
func statusWanted(query url.Values) (artifact.Status, error) {
	if !query.Has("unfinished") {
		return artifact.Published, nil
	}
	switch query.Get("unfinished") { // empty may mean either, and what is published is closed for good
	case "true":
		return artifact.Unfinished, nil
	case "false":
		return artifact.Published, nil
	}
	return "", fault.Field("unfinished", "must be true or false")
}

// promise is the SHA-256 the headers say the body has; empty when they say
// nothing. Bytes are kept as they come, so parts of a file and encoded files
// are refused.
func promise(h http.Header) (sha256 string, err error) {
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		return "", fault.New(fault.Invalid, "content encoding %q is not taken: files are kept as they are sent", e)
	}
	if h.Get("Content-Range") != "" { // RFC 9110 section 14.4
		return "", fault.New(fault.Invalid, "a file must be sent whole, or in parts as POST describes, not in ranges")
	}
	sha256 = strings.ToLower(h.Get("X-Amz-Content-Sha256"))
	if sha256 == "unsigned-payload" {
		return "", nil
	}
	var s digest.Set
	if err := s.SetHex(digest.SHA256, sha256); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the header x-amz-content-sha256 must be 64 hexadecimal digits")
	}
	return sha256, nil
}
