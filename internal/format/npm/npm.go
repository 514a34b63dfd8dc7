// Package npm speaks the protocol of the npm registry to npm, pnpm, yarn and
// bun, and as a client to remote registries (npm/registry REGISTRY-API.md and
// responses/package-metadata.md).
//
// A stored manifest is the version object of a packument as raw JSON; nothing
// of it is re-encoded on the way through, so signatures, attestations and
// fields nobody here has heard of survive. Two places do change:
// dist.tarball is rewritten whenever a manifest is served, and publishing
// recomputes dist.integrity and dist.shasum.
package npm

import (
	"strings"

	"deps.dev/util/semver"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

// assetName is the name every version's one asset is stored under (section 11.1).
const assetName = "package.tgz"

// Format is the npm package format. It has no state.
type Format struct{}

var _ format.Format = Format{}

// New makes the format.
func New() Format { return Format{} }

// Name implements registry.Ecosystem.
func (Format) Name() artifact.Format { return artifact.NPM }

// Traits implements registry.Ecosystem: versions come whole, and never again.
func (Format) Traits() registry.Traits { return registry.Traits{FullName: fullName} }

// Normalize implements registry.Ecosystem. npm has nothing to normalise: names
// are case-sensitive. A scope may be given with its "@".
func (Format) Normalize(c artifact.Coordinates) (artifact.Coordinates, error) {
	c.Format = artifact.NPM
	c.Namespace = strings.TrimPrefix(c.Namespace, "@")
	if err := checkName(c.Namespace, c.Name); err != nil {
		return artifact.Coordinates{}, err
	}
	return c, nil
}

// Remote implements registry.Ecosystem.
func (Format) Remote(base string) upstream.Remote { return remote{base: base} }

// maxName is the longest name, scope included, that npm ever took.
const maxName = 214

var (
	errName   = fault.Field("package", "not a name npm accepts: use letters, digits and ~ - . _ and no leading dot, dash or underscore")
	errTooBig = fault.Field("package", "an npm name has at most 214 characters")
)

// checkName holds names to the rules old public packages keep
// (validate-npm-package-name, validForOldPackages): upper case and !~*'() are
// fine, what would need escaping in a URL is not.
func checkName(scope, name string) error {
	length := len(name)
	if scope != "" {
		length += len("@/") + len(scope)
	}
	if length > maxName {
		return errTooBig
	}
	if name == "" || !urlSafe(name) || name[0] == '.' || name[0] == '-' {
		return errName
	}
	if scope == "" {
		if name[0] == '_' || strings.EqualFold(name, "node_modules") || strings.EqualFold(name, "favicon.ico") {
			return errName
		}
		return nil
	}
	if !urlSafe(scope) || scope[0] == '.' || scope[0] == '-' {
		return errName
	}
	return nil
}

// urlSafe tells whether encodeURIComponent would leave s as it is.
func urlSafe(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == '!', c == '~', c == '*', c == '\'', c == '(', c == ')':
		default:
			return false
		}
	}
	return true
}

// fullName is @scope/name or name.
func fullName(c artifact.Coordinates) string {
	if c.Namespace == "" {
		return c.Name
	}
	return "@" + c.Namespace + "/" + c.Name
}

// maxVersion is what the API allows for a version number, in bytes.
const maxVersion = 255

// versionSafe tells whether a version number can be named in addresses and by
// the API. It is looser than SemVer: old public packages are not strict.
func versionSafe(v string) bool {
	if v == "" || len(v) > maxVersion || v[0] == '.' {
		return false
	}
	for i := range len(v) {
		switch c := v[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == '+', c == '~':
		default:
			return false
		}
	}
	return true
}

// parsed is a strict Semantic Version 2.0.0 cut into its parts.
type parsed struct {
	core       [3]string
	prerelease string
}

// parseStrict reads a Semantic Version 2.0.0 whose numbers fit what JavaScript
// counts exactly, as node-semver demands.
func parseStrict(s string) (v parsed, ok bool) {
	if len(s) > maxVersion {
		return v, false
	}
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !identifiers(build, true) {
		return v, false
	}
	s, prerelease, hasPrerelease := strings.Cut(s, "-")
	if hasPrerelease && !identifiers(prerelease, false) {
		return v, false
	}
	v.prerelease = prerelease
	for i := range v.core {
		n, rest, more := strings.Cut(s, ".")
		if !number(n) || len(n) > 16 || len(n) == 16 && n > "9007199254740991" || more != (i < 2) {
			return v, false
		}
		v.core[i], s = n, rest
	}
	return v, true
}

func number(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	return digits(s)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func identifiers(s string, build bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || !build && digits(id) && !number(id) {
			return false
		}
		for i := range len(id) {
			switch c := id[i]; {
			case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-':
			default:
				return false
			}
		}
	}
	return true
}

// Kind implements registry.Kinds: what has identifiers behind a dash precedes the
// release (SemVer section 9).
func (Format) Kind(version string) artifact.Kind {
	if v, strict := parseStrict(version); strict && v.prerelease != "" {
		return artifact.PrereleaseKind
	}
	return artifact.ReleaseKind
}

// Compare implements registry.Ecosystem: precedence of SemVer section 11, then
// the text so that the order is total. What is not strict SemVer comes first.
func (Format) Compare(a, b string) int { return compare(a, b) }

func compare(a, b string) int {
	va, strictA := parseStrict(a)
	vb, strictB := parseStrict(b)
	switch {
	case strictA && strictB:
		for i := range va.core {
			if c := compareNumbers(va.core[i], vb.core[i]); c != 0 {
				return c
			}
		}
		if c := comparePrereleases(va.prerelease, vb.prerelease); c != 0 {
			return c
		}
	case strictA:
		return 1
	case strictB:
		return -1
	default:
		if c := semver.NPM.Compare(a, b); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func comparePrereleases(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return 1
	case b == "":
		return -1
	}
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if x == y {
			continue
		}
		switch nx, ny := digits(x), digits(y); {
		case nx && ny:
			return compareNumbers(x, y)
		case nx:
			return -1
		case ny:
			return 1
		}
		return strings.Compare(x, y)
	}
	return len(a) - len(b)
}

// checkTag refuses tag names a client would take for a version range.
func checkTag(tag string) error {
	if tag == "" || len(tag) > maxName || !urlSafe(tag) || tag[0] == '.' {
		return fault.Field("tag", "a tag has 1 to 214 letters, digits and ~ - . _ ! * ' ( )")
	}
	if _, err := semver.NPM.ParseConstraint(tag); err == nil {
		return fault.Field("tag", "tag name must not be a valid SemVer range: %s", tag)
	}
	return nil
}
