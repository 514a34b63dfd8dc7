package pypi

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// maxVersion is what the API allows for a version number, in bytes.
const maxVersion = 255

// version is a version of PEP 440. Numbers are kept as digits without leading
// zeros: nothing bounds them.
type version struct {
	epoch   string
	release []string
	pre     string // a, b, rc or empty
	preN    string
	post    string // empty: none
	dev     string // empty: none
	local   []string
}

// The grammar of PEP 440, appendix B.
var versionPattern = regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
	`(?:[-_.]?(alpha|beta|preview|pre|rc|a|b|c)[-_.]?([0-9]+)?)?` +
	`(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]+)?)?` +
	`(?:[-_.]?(dev)[-_.]?([0-9]+)?)?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// parseVersion reads any spelling that PEP 440 lets pass.
func parseVersion(text string) (v version, ok bool) {
	if len(text) > maxVersion {
		return v, false
	}
	m := versionPattern.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return v, false
	}
	v.epoch = number(m[1])
	for n := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, number(n))
	}
	if m[3] != "" {
		v.preN = number(m[4])
		switch m[3] {
		case "a", "alpha":
			v.pre = "a"
		case "b", "beta":
			v.pre = "b"
		default:
			v.pre = "rc"
		}
	}
	switch {
	case m[5] != "":
		v.post = number(m[5])
	case m[6] != "":
		v.post = number(m[7])
	}
	if m[8] != "" {
		v.dev = number(m[9])
	}
	if m[10] != "" {
		v.local = strings.FieldsFunc(m[10], func(r rune) bool { return r == '-' || r == '_' || r == '.' })
		for i, part := range v.local {
			if digits(part) {
				v.local[i] = number(part)
			}
		}
	}
	return v, len(v.String()) <= maxVersion
}

// number is a run of digits without leading zeros; none is 0.
func number(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// NormalizeVersion implements registry.Numbering: the normal form of PEP 440.
func (Format) NormalizeVersion(number string) string {
	if v, ok := parseVersion(number); ok {
		return v.String()
	}
	return number
}

// String is the normal form of PEP 440. Zeros at the end of the release stay:
// 1.0 and 1.0.0 are equal, and each is shown as it was written.
func (v version) String() string {
	var b strings.Builder
	if v.epoch != "0" {
		b.WriteString(v.epoch + "!")
	}
	b.WriteString(strings.Join(v.release, "."))
	if v.pre != "" {
		b.WriteString(v.pre + v.preN)
	}
	if v.post != "" {
		b.WriteString(".post" + v.post)
	}
	if v.dev != "" {
		b.WriteString(".dev" + v.dev)
	}
	if len(v.local) > 0 {
		b.WriteString("+" + strings.Join(v.local, "."))
	}
	return b.String()
}

// stable tells whether v is neither a pre-release nor a development release.
func (v version) stable() bool { return v.pre == "" && v.dev == "" }

// significant is the release without zeros at its end.
func (v version) significant() []string {
	r := v.release
	for len(r) > 1 && r[len(r)-1] == "0" {
		r = r[:len(r)-1]
	}
	return r
}

// key is equal for versions that are the same release.
func (v version) key() string {
	v.release = v.significant()
	return v.String()
}

// sameRelease tells whether two numbers name one release (1.0 and 1.0.0); what
// PEP 440 does not know is the same as itself only.
func sameRelease(a, b string) bool { return a == b || releaseKey(a) == releaseKey(b) }

func releaseKey(text string) string {
	if v, ok := parseVersion(text); ok {
		return v.key()
	}
	return text
}

// compareVersions orders as PEP 440 says, so that 1.0 and 1.0.0 are equal. What
// is none of its versions comes before all that are.
func compareVersions(a, b string) int {
	va, okA := parseVersion(a)
	vb, okB := parseVersion(b)
	switch {
	case okA && okB:
		return va.compare(vb)
	case okA:
		return 1
	case okB:
		return -1
	}
	return strings.Compare(a, b)
}

func (v version) compare(o version) int {
	return cmp.Or(
		compareNumbers(v.epoch, o.epoch),
		slices.CompareFunc(v.significant(), o.significant(), compareNumbers),
		cmp.Compare(v.preRank(), o.preRank()),
		compareNumbers(v.preN, o.preN),
		compareNumbers(v.post, o.post), // no post-release is "", the shortest
		cmp.Compare(v.finalRank(), o.finalRank()),
		compareNumbers(v.dev, o.dev),
		slices.CompareFunc(v.local, o.local, compareLocal),
	)
}

// preRank orders 1.0.dev1, 1.0a1, 1.0b1, 1.0rc1, 1.0.
func (v version) preRank() int {
	switch v.pre {
	case "a":
		return 1
	case "b":
		return 2
	case "rc":
		return 3
	}
	if v.post == "" && v.dev != "" {
		return 0
	}
	return 4
}

// finalRank puts a development release before what it leads to.
func (v version) finalRank() int {
	if v.dev != "" {
		return 0
	}
	return 1
}

// compareNumbers compares digits without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// compareLocal orders parts of local versions: words before numbers.
func compareLocal(a, b string) int {
	switch na, nb := digits(a), digits(b); {
	case na && nb:
		return compareNumbers(a, b)
	case na:
		return 1
	case nb:
		return -1
	}
	return strings.Compare(a, b)
}
