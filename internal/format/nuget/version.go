package nuget

import (
	"strconv"
	"strings"
)

// maxVersion is the longest version taken, in bytes: with the longest ID it
// still makes the name of an asset.
const maxVersion = 128

// version is a NuGet version: one to four numbers, then labels and build
// metadata as in Semantic Versioning 2.0.0.
type version struct {
	part       [4]uint64
	prerelease string // without the dash
	build      string // without the plus
	canonical  bool   // it was written in its normalised form
}

// parseVersion reads a version as lenient as NuGet does: missing numbers are
// zero, numbers and labels may have leading zeros. Numbers fit 31 bits.
func parseVersion(s string) (v version, ok bool) {
	if s == "" || len(s) > maxVersion {
		return v, false
	}
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !labels(build) {
		return v, false
	}
	s, prerelease, hasPrerelease := strings.Cut(s, "-")
	if hasPrerelease && !labels(prerelease) {
		return v, false
	}
	v.prerelease, v.build = prerelease, build
	v.canonical = !hasBuild && !hasUpper(prerelease)
	n := 0
	for more := true; more; n++ {
		var digits string
		digits, s, more = strings.Cut(s, ".")
		if n == len(v.part) || !number(digits) {
			return v, false
		}
		if len(digits) > 1 && digits[0] == '0' {
			v.canonical = false
		}
		for i := range len(digits) {
			if v.part[n] = v.part[n]*10 + uint64(digits[i]-'0'); v.part[n] > 1<<31-1 {
				return v, false
			}
		}
	}
	if n < 3 || n == 4 && v.part[3] == 0 {
		v.canonical = false
	}
	return v, true
}

func number(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// labels tells whether s is identifiers between dots.
func labels(s string) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" {
			return false
		}
		for i := range len(id) {
			if c := id[i]; c != '-' && (c == '_' || !asciiWord(c)) {
				return false
			}
		}
	}
	return true
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

// normalize gives the spelling a version is known under (section 2.3): no
// leading zeros, three numbers or four when the last is not zero, no build
// metadata, lower case. It allocates only for a version that is spelled
// otherwise.
func normalize(s string) (string, bool) {
	v, ok := parseVersion(s)
	if !ok {
		return "", false
	}
	if v.canonical {
		return s, true
	}
	b := make([]byte, 0, len(s)+4)
	for i, n := range v.part {
		if i == 3 && n == 0 {
			break
		}
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, n, 10)
	}
	if v.prerelease != "" {
		b = append(append(b, '-'), strings.ToLower(v.prerelease)...)
	}
	return string(b), true
}

// NormalizeVersion implements registry.Numbering.
func (Format) NormalizeVersion(number string) string {
	if n, ok := normalize(number); ok {
		return n
	}
	return number
}

// semVer2 tells whether only clients that know Semantic Versioning 2.0.0 can
// read a version: it has build metadata, or dots in its labels.
func semVer2(s string) bool {
	v, ok := parseVersion(s)
	return ok && (v.build != "" || strings.IndexByte(v.prerelease, '.') >= 0)
}

// isPrerelease tells whether a version has labels.
func isPrerelease(s string) bool {
	s, _, _ = strings.Cut(s, "+")
	return strings.IndexByte(s, '-') >= 0
}

// compare orders versions by precedence, without regard to case, then by their
// text so that the order is total. What is no version comes first.
func compare(a, b string) int {
	va, okA := parseVersion(a)
	vb, okB := parseVersion(b)
	switch {
	case okA && okB:
		for i := range va.part {
			if va.part[i] != vb.part[i] {
				if va.part[i] < vb.part[i] {
					return -1
				}
				return 1
			}
		}
		if c := comparePrereleases(va.prerelease, vb.prerelease); c != 0 {
			return c
		}
	case okA:
		return 1
	case okB:
		return -1
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
		if c := compareLabels(x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// compareLabels orders numbers by value, before words.
func compareLabels(x, y string) int {
	switch nx, ny := number(x), number(y); {
	case nx && ny:
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(x, y)
	case nx:
		return -1
	case ny:
		return 1
	}
	return strings.Compare(strings.ToLower(x), strings.ToLower(y))
}

// normalRange gives a dependency's range as registrations write it: a bare
// version means that or a later one. What is no range is left as it is, for the
// client to judge.
func normalRange(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "(, )"
	}
	if v, ok := normalizeKeepingCase(s); ok {
		return "[" + v + ", )"
	}
	opening, closing := s[0], s[len(s)-1]
	if len(s) < 3 || opening != '[' && opening != '(' || closing != ']' && closing != ')' {
		return s
	}
	low, high, both := strings.Cut(s[1:len(s)-1], ",")
	for _, end := range []*string{&low, &high} {
		*end = strings.TrimSpace(*end)
		if *end == "" {
			continue
		}
		v, ok := normalizeKeepingCase(*end)
		if !ok {
			return s
		}
		*end = v
	}
	if !both {
		return string(opening) + low + string(closing)
	}
	return string(opening) + low + ", " + high + string(closing)
}

func normalizeKeepingCase(s string) (string, bool) {
	v, ok := parseVersion(s)
	if !ok {
		return "", false
	}
	n, _ := normalize(s)
	if v.prerelease != "" {
		n = n[:len(n)-len(v.prerelease)] + v.prerelease
	}
	return n, true
}

// rangeNeedsSemVer2 tells whether an end of a range is a version of Semantic
// Versioning 2.0.0.
func rangeNeedsSemVer2(s string) bool {
	for end := range strings.SplitSeq(strings.Trim(s, "[]() "), ",") {
		if semVer2(strings.TrimSpace(end)) {
			return true
		}
	}
	return false
}
