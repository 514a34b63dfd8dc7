package nuget

import (
	"io"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
)

// Inspect implements registry.Inspector: a package from outside must be the one
// it was asked for as, and its nuspec says what it is.
func (Format) Inspect(c artifact.Coordinates, version, asset string, content io.ReaderAt, size int64) ([]byte, error) {
	if asset != packageFile(c, version) {
		return nil, fault.New(fault.Invalid, "not the name of a package's file")
	}
	m, found, number, err := readPackage(content, size)
	if err != nil {
		return nil, err
	}
	if found.Name != c.Name || number != version {
		return nil, fault.New(fault.Invalid, "the package in it is %s %s", clip(found.Name), number)
	}
	return m.manifest()
}

// manifest is what is stored of a version.
func (m *metadata) manifest() ([]byte, error) {
	return json.Marshal(m, lenient(), json.Deterministic(true))
}

// Merge implements registry.Inspector. What a package is, it says itself; of a
// remote's claims those stay that are made afterwards, of deprecation and
// vulnerabilities.
func (Format) Merge(manifest, facts []byte) ([]byte, error) {
	m, err := readMetadata(facts)
	if err != nil {
		return nil, err
	}
	if manifest != nil {
		claims, err := readMetadata(manifest)
		if err != nil {
			return nil, fault.Wrap(fault.Upstream, err, "the remote's entry cannot be read")
		}
		m.Deprecation, m.Vulnerabilities = claims.Deprecation, claims.Vulnerabilities
	}
	return m.manifest()
}
