package maven

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

const (
	xmlType  = "text/xml; charset=utf-8"
	textType = "text/plain; charset=utf-8"
	jarType  = "application/java-archive"
	fileType = "application/octet-stream" // whatever it is: browsers must not run it

	allMethods = "GET, HEAD, PUT"
)

// Serve implements format.Format: the addresses of section 11.3.
func (Format) Serve(w http.ResponseWriter, r *format.Request) error {
	r.Operation = "other"
	path, finish := cutFinishing(r.Path)
	a, err := parseAddress(path)
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if a.file == metadataFile {
			r.Operation = "metadata"
			return serveMetadata(w, r, a)
		}
		r.Operation = "asset"
		return serveAsset(w, r, a)
	case http.MethodPut:
		r.Operation = "publish"
		return put(w, r, a, finish)
	}
	return format.NotAllowed(r.Method, allMethods)
}

// serveMetadata answers with a document that is made here, or its checksum.
func serveMetadata(w http.ResponseWriter, r *format.Request, a address) error {
	ctx := r.Context()
	var doc *registry.Document
	var err error
	switch {
	case a.version != "":
		doc, err = r.Repo.Document(ctx, a.c, registry.Variant{Name: "snapshot " + a.version}, xmlType, renderSnapshot(a.version))
	case a.c.Name == "":
		return serveGroup(w, r, a)
	default:
		doc, err = r.Repo.Document(ctx, a.c, registry.Variant{Name: "package"}, xmlType, renderPackage)
		if fault.Is(err, fault.NotFound) && a.group != "" {
			return serveGroup(w, r, a)
		}
	}
	if err != nil {
		return err
	}
	sums, err := doc.Digests()
	if err != nil {
		return err
	}
	if a.sum == 0 {
		setChecksums(w.Header(), sums)
		doc.ServeHTTP(w, r.Request)
		return nil
	}
	return respondText(w, r, sums.Hex(a.sum))
}

// serveAsset answers with a file or its checksum.
func serveAsset(w http.ResponseWriter, r *format.Request, a address) error {
	ctx := r.Context()
	if err := checkVersion(a.version); err != nil {
		return err
	}
	if err := artifact.CheckAssetName(a.file); err != nil {
		return err
	}
	content, err := find(ctx, r.Repo, a)
	if err != nil {
		return err
	}
	if a.sum != 0 {
		sums, err := content.Digests(ctx)
		if err != nil {
			return err
		}
		return respondText(w, r, sums.Hex(a.sum))
	}
	h := w.Header()
	h["Content-Type"] = contentType(a.file)
	h["X-Content-Type-Options"] = nosniff
	// Of what is still arriving nothing is known yet.
	if sums := content.Asset.Digests; sums.Known()&digest.SHA1 != 0 {
		setChecksums(h, sums)
	}
	return content.ServeHTTP(w, r.Request)
}

// setChecksums tells clients that know these headers what they would else make a
// request of its own for: of metadata, after which a deployment may have come
// between the two.
func setChecksums(h http.Header, sums digest.Set) {
	h["X-Checksum-Sha1"] = []string{sums.Hex(digest.SHA1)}
	h["X-Checksum-Md5"] = []string{sums.Hex(digest.MD5)}
}

// find gives a file. Those of a snapshot's builds are all asked for below its
// folder; what is asked for by the name of the snapshot itself is the newest
// build's.
func find(ctx context.Context, repo *registry.Repo, a address) (*registry.Content, error) {
	content, err := repo.Asset(ctx, a.c, a.version, a.file)
	if !fault.Is(err, fault.NotFound) || !isCurrent(a.version) {
		return content, err
	}
	f, ok := cutBuild(a.c, a.version, a.file)
	if !ok {
		return nil, err
	}
	if f.build != (build{}) {
		return repo.Asset(ctx, a.c, base(a.version)+f.build.String(), a.file)
	}
	l, e := repo.Listing(ctx, a.c)
	if e != nil {
		return nil, err
	}
	for _, v := range buildsOf(l, a.version) {
		if v.Number != a.version {
			break
		}
		for _, asset := range v.Assets {
			if built, ok := cutBuild(a.c, a.version, asset.Name); ok && built.rest == f.rest {
				return repo.Asset(ctx, a.c, a.version, asset.Name)
			}
		}
	}
	return nil, err
}

//nolint:gochecknoglobals // shared by all answers, never written
var (
	nosniff   = []string{"nosniff"}
	jarTypes  = []string{jarType}
	pomTypes  = []string{textType} // as text: a browser runs what is in XML
	fileTypes = []string{fileType}
)

func contentType(file string) []string {
	switch {
	case strings.HasSuffix(file, ".jar"):
		return jarTypes
	case strings.HasSuffix(file, ".pom"), strings.HasSuffix(file, ".asc"):
		return pomTypes
	}
	return fileTypes
}

// respondText answers with a checksum.
func respondText(w http.ResponseWriter, r *format.Request, text string) error {
	h := w.Header()
	h.Set("Content-Type", textType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "private, no-cache")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text))
	}
	return nil
}
