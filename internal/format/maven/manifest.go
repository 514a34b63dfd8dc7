package maven

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
)

// manifest is what is kept of a version beside its files, as JSON.
type manifest struct {
	// Build names, in a version that is a snapshot, the build whose files these
	// are: TIMESTAMP-NUMBER.
	Build string `json:"build,omitempty"`
	POM   *pom   `json:"pom,omitzero"` // an empty one says that it has come
	// Prefix is what a Maven plugin calls its goals by.
	Prefix string `json:"prefix,omitempty"`
	// Mismatched has, of an Unfinished version, the assets of which a checksum
	// was put that is not theirs, with the algorithms.
	Mismatched map[string][]string `json:"mismatched,omitempty"`
}

// readManifest reads a stored manifest; nil gives an empty one.
func readManifest(stored []byte) (m manifest, err error) {
	if len(stored) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(stored, &m); err != nil {
		return m, fault.Wrap(fault.Internal, err, "a stored manifest cannot be read")
	}
	return m, nil
}

// encode is the form that is stored: the same for the same content.
func (m manifest) encode() ([]byte, error) { return json.Marshal(m, json.Deterministic(true)) }

// change makes a Publication's Merge of what is to change in a manifest. One
// that would be empty is none.
func change(fn func(m *manifest, isNew bool) error) func(held []byte) ([]byte, error) {
	return func(held []byte) ([]byte, error) {
		m, err := readManifest(held)
		if err != nil {
			return nil, err
		}
		if err := fn(&m, held == nil); err != nil {
			return nil, err
		}
		b, err := m.encode()
		if held == nil && string(b) == "{}" {
			return nil, err
		}
		return b, err
	}
}

// add takes over the facts of one file.
func (m *manifest) add(facts manifest) {
	if facts.POM != nil {
		m.POM = facts.POM
	}
	if facts.Prefix != "" {
		m.Prefix = facts.Prefix
	}
}

// mismatch notes how a checksum that was put for an asset compares.
func (m *manifest) mismatch(asset string, sum digest.Algorithm, differs bool) {
	wrong := slices.DeleteFunc(slices.Clone(m.Mismatched[asset]), func(s string) bool { return s == sum.String() })
	if differs {
		wrong = append(wrong, sum.String())
		slices.Sort(wrong)
	}
	switch {
	case len(wrong) > 0:
		if m.Mismatched == nil {
			m.Mismatched = map[string][]string{}
		}
		m.Mismatched[asset] = wrong
	default:
		delete(m.Mismatched, asset)
	}
}

// whole refuses a version of which a checksum did not fit.
func (m *manifest) whole(version string) error {
	if len(m.Mismatched) == 0 {
		return nil
	}
	var names []string
	for name := range m.Mismatched {
		names = append(names, name)
	}
	slices.Sort(names)
	return fault.About(fault.Invalid, "package-version", version,
		"version %s is not published: the checksum that was put of %s is not that of the bytes that arrived; delete the version and upload it again, or put the right checksum",
		version, strings.Join(names, ", "))
}

// Inspect implements registry.Inspector: a POM tells what its version is; no
// other file may be the page that a remote puts in its place.
func (f Format) Inspect(c artifact.Coordinates, version, asset string, content io.ReaderAt, size int64) ([]byte, error) {
	facts, err := inspect(c, version, asset, content, size)
	if err != nil || facts == nil {
		return nil, err
	}
	return facts.encode()
}

// Merge implements registry.Inspector.
func (Format) Merge(stored, facts []byte) ([]byte, error) {
	more, err := readManifest(facts)
	if err != nil {
		return nil, err
	}
	return change(func(m *manifest, _ bool) error {
		m.add(more)
		return nil
	})(stored)
}

// inspect gives the facts in one file, nil when it says nothing.
func inspect(c artifact.Coordinates, version, asset string, content io.ReaderAt, size int64) (*manifest, error) {
	switch {
	case strings.HasSuffix(asset, ".pom"):
		if size > maxXML {
			return nil, nil
		}
		text := make([]byte, size)
		if _, err := content.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		p, err := readPOM(text)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "it is not a POM")
		}
		if !isMain(c, version, asset, ".pom") {
			return nil, nil
		}
		return &manifest{POM: p}, nil
	case isPage(asset, content):
		return nil, fault.New(fault.Invalid, "it is a web page")
	case isMain(c, version, asset, ".jar"):
		if prefix := goalPrefix(content, size); prefix != "" {
			return &manifest{Prefix: prefix}, nil
		}
	}
	return nil, nil
}

// isMain tells whether an asset is the file of a version without classifier and
// with the given extension.
func isMain(c artifact.Coordinates, version, asset, ext string) bool {
	if asset == c.Name+"-"+version+ext {
		return true
	}
	f, ok := cutBuild(c, version, asset)
	return ok && f.rest == ext
}

// isPage tells whether a file that should be none is an HTML page.
func isPage(asset string, content io.ReaderAt) bool {
	if strings.HasSuffix(asset, ".html") || strings.HasSuffix(asset, ".htm") {
		return false
	}
	var head [64]byte
	n, _ := content.ReadAt(head[:], 0)
	text := bytes.ToLower(bytes.TrimLeft(head[:n], "\ufeff \t\r\n"))
	return bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html"))
}

// Describe implements registry.Ecosystem (section 11.9). A version whose POM has
// not come yet says nothing.
func (Format) Describe(c artifact.Coordinates, stored []byte) (artifact.Details, error) {
	d := artifact.Details{DisplayName: c.Name}
	m, err := readManifest(stored)
	if err != nil || m.POM == nil {
		return d, err
	}
	if m.POM.Name != "" {
		d.DisplayName = m.POM.Name
	}
	d.Summary, d.HomePage, d.Source = m.POM.Description, m.POM.URL, m.POM.SCM
	for _, l := range m.POM.Licenses {
		d.Licenses = append(d.Licenses, artifact.License(l))
	}
	for _, one := range m.POM.Dependencies {
		d.Dependencies = append(d.Dependencies, artifact.Dependency{Namespace: one.Group, Package: one.Artifact, Type: one.Type, Requirement: one.Version})
	}
	return d, nil
}
