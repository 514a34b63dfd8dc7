// Package upstream speaks to outside registries ("remotes") and remembers what
// they said: one request per document and lifetime, whoever asks, and the last
// good answer when the remote is down.
//
// Remote is the port a format implements: pure knowledge of addresses and
// documents. Cache adds freshness, single flight, negative answers and
// persistence. A remote's raw document is kept; everything served is derived
// from it.
package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"packhouse/internal/artifact"
)

// ErrNotModified is what List returns when the remote confirmed that the
// document named by the validator is still current (HTTP 304).
var ErrNotModified = errors.New("remote document not modified")

// Validator identifies a version of a remote document for a conditional
// request (RFC 9110 section 8.8).
type Validator struct {
	ETag         string // as sent, with quotes
	LastModified string // as sent
}

// Get performs one GET at a remote: bounded, retried, guarded against private
// addresses, with the connection's credentials. The caller closes the body.
// Answers outside 2xx and 304 come back as errors with a fault kind: NotFound
// for 404 and 410, Upstream for anything that may heal.
type Get func(ctx context.Context, url string, header http.Header) (*http.Response, error)

// Document is a remote's answer about one package as it came, before parsing.
type Document struct {
	Body []byte // decoded of any transfer or content encoding
	Validator
}

// Listing is what a remote document says about one package. Slices of raw JSON
// in it point into the document's bytes and are valid as long as those are.
type Listing struct {
	Versions []ListedVersion   // in the document's own order
	Tags     map[string]string // npm dist-tags; nil for formats without
	Modified time.Time         // zero when the document does not say
	Doc      any               // the format's own view of the whole document, for its renderer

	size int64 // bytes of the document it was read from
}

// ListedVersion is one version in a Listing.
type ListedVersion struct {
	Number    string
	Manifest  []byte        // the format's metadata of this version, raw
	Published time.Time     // zero when the document does not say
	Unlisted  bool          // yanked or unlisted at the remote
	Assets    []ListedAsset // empty when the document does not list files
}

// ListedAsset is one file of a ListedVersion.
type ListedAsset struct {
	Name      string // the name it is stored under here
	URL       string // absolute
	Size      int64  // bytes; 0 when unknown
	Integrity string // Subresource Integrity metadata (W3C SRI), may hold several digests; empty when unknown
	Guessed   bool   // named by a rule, not by the remote: that it has none is no failure
}

// Remote is one outside registry of a format. Implementations are stateless
// and safe for concurrent use.
type Remote interface {
	// List fetches the document about c; ErrNotModified when prev is current.
	List(ctx context.Context, get Get, c artifact.Coordinates, prev Validator) (Document, error)
	// Parse reads a document that List returned, now or in an earlier process.
	Parse(c artifact.Coordinates, doc []byte) (*Listing, error)
	// Locate finds one asset of one version: in the listing for formats whose
	// documents list files, by rule for the others. NotFound when there is none.
	Locate(c artifact.Coordinates, version, asset string, l *Listing) (ListedAsset, error)
}

// Addressed is a Remote whose files have addresses by rule, as in a Maven
// repository: what no document lists can be fetched all the same. Its Locate
// takes a nil Listing and gives assets that are Guessed.
type Addressed interface {
	Remote
	// Version is what the rule says of a version: which files usually belong to
	// it. NotFound for a version that never comes from this remote.
	Version(c artifact.Coordinates, number string) (ListedVersion, error)
}

// Verifier is a Remote that keeps digests of assets apart from its listings.
type Verifier interface {
	// Integrity gives what ListedAsset.Integrity would say of an asset; empty
	// when the remote says nothing.
	Integrity(ctx context.Context, get Get, a ListedAsset) (string, error)
}
