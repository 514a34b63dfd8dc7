// Package maven speaks the repository layout of Maven to mvn, Gradle, sbt, Ivy
// and their like, and as a client to remote repositories (section 11.3).
//
// A package is groupId and artifactId, its files are the assets of a version,
// whatever their names. Nothing in the layout says that a version is complete:
// it is Unfinished until its maven-metadata.xml is put, or until somebody says
// so otherwise. Metadata that is served is always made here, from what is
// Published; checksums of everything are computed, never taken over.
//
// What the manifest of a version holds is in manifest.go; how the builds of a
// snapshot are kept, in snapshot.go.
package maven

import (
	"io"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// Format is the Maven package format. It has no state.
type Format struct{}

var (
	_ format.Format      = Format{}
	_ registry.Inspector = Format{}
)

// New makes the format.
func New() Format { return Format{} }

// Name implements registry.Ecosystem.
func (Format) Name() artifact.Format { return artifact.Maven }

// Traits implements registry.Ecosystem: files may always be added, a version
// comes from outside with those that usually belong to it, and snapshots change.
func (Format) Traits() registry.Traits {
	return registry.Traits{Growth: registry.GrowsAlways, Whole: true, Changing: isSnapshot}
}

// Normalize implements registry.Ecosystem. Names are exact. They are held to
// what Maven itself takes for an id (letters, digits and _ - .), so that each
// has one address; metadataFile is no name, since its address is taken.
func (Format) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) {
	c.Format = artifact.Maven
	if err := checkGroup(c.Namespace); err != nil {
		return artifact.Coordinates{}, err
	}
	if err := artifact.CheckName("package", c.Name); err != nil {
		return artifact.Coordinates{}, err
	}
	if !isID(c.Name) || c.Name == metadataFile {
		return artifact.Coordinates{}, fault.Field("package", "not an artifactId: use letters, digits and _ - .")
	}
	return c, nil
}

// checkGroup holds a groupId to what can be an address: ids with dots between.
func checkGroup(group string) error {
	if err := artifact.CheckName("namespace", group); err != nil {
		return err
	}
	for part := range strings.SplitSeq(group, ".") {
		if part == "" || !isID(part) {
			return fault.Field("namespace", "not a groupId: use letters, digits, _ and -, with single dots between")
		}
	}
	return nil
}

func isID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

// checkVersion holds a version to what can be named everywhere (the characters
// that Maven's own validation refuses, and those of the API).
func checkVersion(version string) error {
	if err := artifact.CheckName("version", version); err != nil {
		return err
	}
	if strings.ContainsAny(version, `:"<>|?*[](){},`) {
		return fault.Field("version", `must not hold any of : " < > | ? * [ ] ( ) { } ,`)
	}
	return nil
}

// Readme implements registry.Ecosystem: Maven has none (section 11.3).
func (Format) Readme([]byte, []artifact.Asset, func(string) (io.ReadCloser, error)) (string, error) {
	return "", fault.New(fault.NotFound, "maven packages have no readme")
}

// Remote implements registry.Ecosystem.
func (Format) Remote(base string) upstream.Remote { return remote{base: base} }
