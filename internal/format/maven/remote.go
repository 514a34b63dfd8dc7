package maven

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/upstream"
)

// remote is another Maven repository, seen as its client.
type remote struct{ base string }

var (
	_ upstream.Addressed = remote{}
	_ upstream.Verifier  = remote{}
)

// List implements upstream.Remote: the metadata of a package, or of a group, see
// groupCoordinates.
func (r remote) List(ctx context.Context, get upstream.Get, c artifact.Coordinates, prev upstream.Validator) (upstream.Document, error) {
	header := http.Header{"Accept": {"*/*"}}
	if prev.ETag != "" {
		header.Set("If-None-Match", prev.ETag)
	}
	if prev.LastModified != "" {
		header.Set("If-Modified-Since", prev.LastModified)
	}
	address := r.base + folder(c) + metadataFile
	if isGroup(c) {
		address = r.base + folder(c)
		address = strings.TrimSuffix(address, "/")
	}
	resp, err := get(ctx, address, header)
	if err != nil {
		return upstream.Document{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return upstream.Document{}, upstream.ErrNotModified
	}
	body, err := readAll(resp.Body, maxXML)
	if err != nil {
		return upstream.Document{}, fmt.Errorf("metadata of %s: %w", c, err)
	}
	return upstream.Document{
		Body:      body,
		Validator: upstream.Validator{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")},
	}, nil
}

func readAll(r io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil && fault.Of(err) == fault.Internal:
		return nil, fault.Wrap(fault.Upstream, err, "the remote broke off its answer")
	case err != nil:
		return nil, err
	case int64(len(body)) > most:
		return nil, fault.New(fault.Upstream, "the remote's answer is larger than %d bytes", most)
	}
	return body, nil
}

// Parse implements upstream.Remote. Of a package only the numbers are taken: what
// latest and release are is worked out here. Snapshots never come from outside.
func (r remote) Parse(c artifact.Coordinates, doc []byte) (*upstream.Listing, error) {
	m, err := readMetadata(doc)
	if err != nil {
		return nil, err
	}
	l := &upstream.Listing{Doc: metadata{Plugins: m.Plugins[:min(len(m.Plugins), maxPlugins)]}}
	if isGroup(c) {
		for _, p := range joinPlugins(nil, m.Plugins[:min(len(m.Plugins), maxPlugins)]) {
			l.Versions = append(l.Versions, upstream.ListedVersion{Number: p.ArtifactID}) // so that there is something to see
		}
		return l, nil
	}
	if m.Versioning == nil {
		return l, nil
	}
	l.Modified = parseUpdated(m.Versioning.LastUpdated)
	seen := make(map[string]bool, len(m.Versioning.Versions))
	for _, number := range m.Versioning.Versions {
		if seen[number] || isSnapshot(number) || checkVersion(number) != nil {
			continue
		}
		seen[number] = true
		l.Versions = append(l.Versions, upstream.ListedVersion{Number: number})
	}
	return l, nil
}

// Version implements upstream.Addressed: the POM and the jar. Of the sources and
// the documentation, which most clients never ask for, one request each brings
// them when somebody does; fetching them with every POM that a client looks at
// while it chooses versions would multiply what a build costs.
func (r remote) Version(c artifact.Coordinates, number string) (upstream.ListedVersion, error) {
	v := upstream.ListedVersion{Number: number}
	for _, name := range []string{pomName(c, number), c.Name + "-" + number + ".jar"} {
		a, err := r.Locate(c, number, name, nil)
		if err != nil {
			return upstream.ListedVersion{}, err
		}
		v.Assets = append(v.Assets, a)
	}
	return v, nil
}

// Locate implements upstream.Remote: any file is where the layout says.
func (r remote) Locate(c artifact.Coordinates, version, asset string, _ *upstream.Listing) (upstream.ListedAsset, error) {
	if isSnapshot(version) || isGroup(c) || asset == metadataFile {
		return upstream.ListedAsset{}, fault.About(fault.NotFound, "package-version", version, "version %s of %s never comes from outside", version, c)
	}
	return upstream.ListedAsset{
		Name: asset, URL: r.base + folder(c) + url.PathEscape(version) + "/" + url.PathEscape(asset), Guessed: true,
	}, nil
}

// maxChecksum bounds the file of a checksum, in bytes.
const maxChecksum = 4 << 10

// Integrity implements upstream.Verifier. SHA-1 is asked for first: every
// repository has it, the stronger ones are missing for most files, and what it
// guards against is damage on the way.
func (r remote) Integrity(ctx context.Context, get upstream.Get, a upstream.ListedAsset) (string, error) {
	for _, sum := range []digest.Algorithm{digest.SHA1, digest.SHA256} {
		text, err := fetchChecksum(ctx, get, a.URL+"."+sum.String())
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		var s digest.Set
		if err := s.SetHex(sum, checksumIn(string(text), sum)); err != nil || s.Known() == 0 {
			return "", fault.Wrap(fault.Upstream, err, "the checksum of %s cannot be read", a.Name)
		}
		return s.SRI(sum), nil
	}
	return "", nil
}

func fetchChecksum(ctx context.Context, get upstream.Get, address string) ([]byte, error) {
	resp, err := get(ctx, address, http.Header{"Accept": {"*/*"}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAll(resp.Body, maxChecksum)
}

// checksumIn finds a checksum in the text of its file, in lower case; empty when
// there is none. The forms in use: "hex", "hex  file", "SHA1(file)= hex",
// "file: hex".
func checksumIn(text string, sum digest.Algorithm) string {
	for word := range strings.FieldsSeq(text) {
		if len(word) == 2*sum.Size() && strings.Trim(word, "0123456789abcdefABCDEF") == "" {
			return strings.ToLower(word)
		}
	}
	return ""
}
