package nuget

import (
	"io"
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// notKept are the members of a remote's entry that are about the remote, or
// that this house says itself.
func notKept() []string {
	return []string{"@id", "@type", "@context", "packageContent", "listed", "published", "licenseFound", "commitId", "commitTimeStamp"}
}

// Merge implements registry.Inspector: what a package says of itself replaces
// what a remote claims; deprecation and the like stay.
func (Format) Merge(manifest, facts []byte) ([]byte, error) {
	all := map[string]jsontext.Value{}
	if manifest != nil {
		if err := json.Unmarshal(manifest, &all, lenient()); err != nil {
			return nil, fault.Wrap(fault.Upstream, err, "the remote's entry cannot be read")
		}
		for _, name := range notKept() {
			delete(all, name)
		}
	}
	said := map[string]jsontext.Value{}
	if err := json.Unmarshal(facts, &said, lenient()); err != nil {
		return nil, err
	}
	maps.Copy(all, said)
	if len(said["dependencyGroups"]) == 0 {
		delete(all, "dependencyGroups")
	}
	return json.Marshal(all, lenient(), json.Deterministic(true))
}
