// Package nuget speaks version 3 of the NuGet protocol to NuGet, dotnet and the
// editors built on them, and as a client to remote sources
// (NuGet/docs.microsoft.com-nuget, docs/api).
//
// A stored manifest is an object in the words of a registration's catalogEntry:
// a remote's as it came, or made of the nuspec inside a package. Everything
// served is made of manifests again, so an entry never leads outside.
//
// Two spellings of an ID or a version are one package here: both are kept in
// their normalised form, lower case, and the publisher's spelling is what the
// manifest says. A package's symbols are a further file of its version.
package nuget

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// Format is the NuGet package format. It has no state.
type Format struct{}

var (
	_ format.Format      = Format{}
	_ registry.Inspector = Format{}
)

// New makes the format.
func New() Format { return Format{} }

// Name implements registry.Ecosystem.
func (Format) Name() artifact.Format { return artifact.NuGet }

// Traits implements registry.Ecosystem: the package comes first and its symbols
// may follow at any time.
func (Format) Traits() registry.Traits { return registry.Traits{Growth: registry.GrowsAlways} }

// Normalize implements registry.Ecosystem: an ID counts in lower case
// (section 2.3).
func (Format) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) {
	if c.Namespace != "" {
		return artifact.Coordinates{}, fault.Field("namespace", "NuGet packages have none")
	}
	c.Format, c.Name = artifact.NuGet, strings.ToLower(c.Name)
	if !validID(c.Name) {
		return artifact.Coordinates{}, errID
	}
	return c, nil
}

// Compare implements registry.Ecosystem.
func (Format) Compare(a, b string) int { return compare(a, b) }

// Remote implements registry.Ecosystem.
func (Format) Remote(base string) upstream.Remote { return newRemote(base) }

// maxID is the longest ID NuGet takes, in characters.
const maxID = 100

var errID = fault.Field("package", "a NuGet package ID has 1 to 100 letters, digits and underscores, with single dots or dashes between them")

// validID holds an ID to NuGet's own rule: runs of word characters with single
// dots or dashes between them.
func validID(id string) bool {
	if id == "" || len(id) > maxID && utf8.RuneCountInString(id) > maxID || !utf8.ValidString(id) {
		return false
	}
	separated := true // a separator may not come now
	for _, r := range id {
		switch {
		case r == '.' || r == '-':
			if separated {
				return false
			}
			separated = true
			continue
		case r < utf8.RuneSelf:
			if !asciiWord(byte(r)) {
				return false
			}
		case !unicode.In(r, unicode.L, unicode.Mn, unicode.Nd, unicode.Pc):
			return false
		}
		separated = false
	}
	return !separated
}

func asciiWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// normalID tells whether an ID is plain ASCII in its normalised form, which the
// addresses clients ask for nearly always are.
func normalID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return validID(id)
}

// packageFile is the name a version's package is stored and served under.
func packageFile(c artifact.Coordinates, version string) string {
	return c.Name + "." + version + packageExt
}

// symbolsFile is that of its symbols.
func symbolsFile(c artifact.Coordinates, version string) string {
	return c.Name + "." + version + symbolsExt
}

const (
	packageExt = ".nupkg"
	symbolsExt = ".snupkg"
)
