// Package pypi speaks the protocols of Python package indexes to pip, uv,
// poetry, pdm, pipenv and twine, and as a client to remote indexes: the simple
// repository API (PEP 503, 592, 629, 658, 691, 700, 714, 740, 792), the upload
// form of the legacy API, and the JSON of pypi/{project}/json.
//
// Versions are stored under the normal form of PEP 440. Two spellings of one
// release (1.0 and 1.0.0) are one version here, under the spelling that came
// first; see numbers in publish.go and group in remote.go. A version's manifest
// is JSON of our own: the core metadata of its best file, and what the index
// says of each file.
package pypi

import (
	"io"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// Format is the PyPI package format. It has no state.
type Format struct{}

var (
	_ format.Format      = Format{}
	_ registry.Inspector = Format{}
)

// New makes the format.
func New() Format { return Format{} }

// Name implements registry.Ecosystem.
func (Format) Name() artifact.Format { return artifact.PyPI }

// Traits implements registry.Ecosystem: a version takes further files at any
// time, and comes from outside with all it has.
func (Format) Traits() registry.Traits {
	return registry.Traits{Growth: registry.GrowsAlways, Whole: true}
}

var errName = fault.Field("package", "not a name of a Python project: use letters, digits and . _ - with a letter or digit at both ends")

// Normalize implements registry.Ecosystem (PEP 503).
func (Format) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) {
	if c.Namespace != "" {
		return artifact.Coordinates{}, fault.Field("namespace", "Python projects have no namespace")
	}
	return coordinates(c.Name)
}

func coordinates(name string) (artifact.Coordinates, error) {
	if !validName(name) {
		return artifact.Coordinates{}, errName
	}
	return artifact.Coordinates{Format: artifact.PyPI, Name: normal(name)}, nil
}

// Compare implements registry.Ecosystem: as PEP 440 orders, which makes 1.0 and
// 1.0.0 equal.
func (Format) Compare(a, b string) int { return compareVersions(a, b) }

// Remote implements registry.Ecosystem. base is a simple index.
func (Format) Remote(base string) upstream.Remote { return remote{base: base} }

// Inspect implements registry.Inspector: what a wheel or sdist from outside says
// of itself. One that says it is something else is not let in, since
// installers would take it for that; one that says nothing is.
func (Format) Inspect(c artifact.Coordinates, _, asset string, content io.ReaderAt, size int64) ([]byte, error) {
	d, ok := parseFileName(asset, c.Name)
	if !ok {
		return nil, nil
	}
	found, err := readDistribution(d, content, size)
	if err != nil || found.metadata == nil {
		return nil, err
	}
	if err := found.agree(c.Name, d); err != nil {
		return nil, err
	}
	f := facts{File: asset, Metadata: found.metadata.facts()}
	if d.kind == wheel {
		f.SHA256 = found.sum()
	}
	return json.Marshal(f, json.Deterministic(true))
}

// Merge implements registry.Inspector.
func (Format) Merge(stored, added []byte) ([]byte, error) {
	m, err := parseManifest(stored)
	if err != nil {
		return nil, err
	}
	var f facts
	if err := json.Unmarshal(added, &f); err != nil || f.Metadata == nil {
		return nil, fault.Wrap(fault.Internal, err, "the facts of a file cannot be read")
	}
	m.merge(f)
	return m.encode()
}
