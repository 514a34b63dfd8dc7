package pypi

import (
	"path"
	"slices"
	"strings"

	"packhouse/internal/artifact"
)

// kind is what sort of distribution a file is: the word of the upload form.
type kind string

// The kinds. Others are served when a remote has them, and not taken here.
const (
	sdist kind = "sdist"
	wheel kind = "bdist_wheel"
	other kind = "other"
)

// distribution is what a file name says.
type distribution struct {
	name    string // as it is written there
	version version
	kind    kind
	tags    string // of a wheel: build and compatibility tags
	suffix  string // of what is no wheel
}

// key is equal for files that only differ in how their project and version are
// spelled.
func (d distribution) key() string {
	return normal(d.name) + "-" + d.version.key() + "-" + strings.ToLower(d.tags+d.suffix)
}

// sdistSuffixes are those of source distributions, of which PEP 527 has left
// the first two.
var sdistSuffixes = []string{".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.z", ".tar"}

// parseFileName reads the name of a file of a project, whose normalised name is
// given; empty when it is not known yet, where the last dash decides. ok is
// false for what is no distribution of it.
func parseFileName(file, project string) (d distribution, ok bool) {
	if artifact.CheckAssetName(file) != nil {
		return d, false
	}
	lower := strings.ToLower(file)
	switch {
	case strings.HasSuffix(lower, ".whl"):
		return parseWheelName(file[:len(file)-len(".whl")], project)
	case strings.HasSuffix(lower, ".egg"): // name-version-py3.8[-platform].egg
		parts := strings.Split(file[:len(file)-len(".egg")], "-")
		if len(parts) < 2 || project == "" {
			return d, false
		}
		d, ok = splitName(parts[0]+"-"+strings.ReplaceAll(parts[1], "_", "-"), project)
		d.kind, d.suffix = other, strings.Join(append(parts[2:], ".egg"), "-")
		return d, ok
	case strings.HasSuffix(lower, ".exe") || strings.HasSuffix(lower, ".msi"): // name-version.win32[-py2.7].exe
		stem := file[:len(file)-len(".exe")]
		at := strings.LastIndex(strings.ToLower(stem), ".win")
		if at < 0 || project == "" {
			return d, false
		}
		d, ok = splitName(stem[:at], project)
		d.kind, d.suffix = other, file[at:]
		return d, ok
	}
	for _, suffix := range sdistSuffixes {
		if strings.HasSuffix(lower, suffix) {
			d, ok = splitName(file[:len(file)-len(suffix)], project)
			d.kind, d.suffix = sdist, suffix
			return d, ok
		}
	}
	return d, false
}

// parseWheelName reads name-version[-build]-python-abi-platform.
func parseWheelName(stem, project string) (d distribution, ok bool) {
	parts := strings.Split(stem, "-")
	if len(parts) != 5 && len(parts) != 6 {
		return d, false
	}
	if slices.Contains(parts, "") {
		return d, false
	}
	if len(parts) == 6 && (parts[2][0] < '0' || parts[2][0] > '9') {
		return d, false
	}
	d = distribution{name: parts[0], kind: wheel, tags: strings.Join(parts[2:], "-")}
	if !validName(d.name) || project != "" && normal(d.name) != project {
		return d, false
	}
	d.version, ok = parseVersion(strings.ReplaceAll(parts[1], "_", "-"))
	return d, ok
}

// splitName reads name-version, either of which may hold dashes.
func splitName(stem, project string) (d distribution, ok bool) {
	for at := strings.LastIndexByte(stem, '-'); at > 0; at = strings.LastIndexByte(stem[:at], '-') {
		d.name = stem[:at]
		if project != "" && normal(d.name) != project {
			continue
		}
		if d.version, ok = parseVersion(stem[at+1:]); ok && validName(d.name) {
			return d, true
		}
	}
	return d, false
}

// taken tells whether a file of that name may be published: sdists as
// PEP 527 leaves them, and wheels.
func (d distribution) taken() bool {
	return d.kind == wheel || d.kind == sdist && (d.suffix == ".tar.gz" || d.suffix == ".zip")
}

// maxName is the longest name the API takes.
const maxName = 255

// validName tells whether s is a name by the core metadata specification:
// letters, digits and . _ - with a letter or digit at both ends.
func validName(s string) bool {
	if s == "" || len(s) > maxName || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// normal is the normalised form of a valid name (PEP 503): lower case, and each
// run of . _ - one dash.
func normal(name string) string {
	if isNormal(name) {
		return name
	}
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.' || c == '_' || c == '-':
			if len(b) > 0 && b[len(b)-1] == '-' {
				continue
			}
			b = append(b, '-')
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isNormal(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c == '.' || c == '_' || c >= 'A' && c <= 'Z' || c == '-' && i > 0 && name[i-1] == '-' {
			return false
		}
	}
	return true
}

// metadataSuffix is what the address of a wheel's core metadata ends with
// (PEP 658), provenanceSuffix that of its provenance here.
const (
	metadataSuffix   = ".metadata"
	provenanceSuffix = ".provenance"
)

func isWheel(file string) bool { return strings.EqualFold(path.Ext(file), ".whl") }
