package maven

import (
	"cmp"
	"slices"
	"strings"
)

// Compare implements registry.Ecosystem: the order of Maven's ComparableVersion
// (POM reference, "Version Order Specification"), then the text so that the
// order is total: 1, 1.0 and 1-ga are equal to Maven and three versions here.
func (Format) Compare(a, b string) int { return compare(a, b) }

func compare(a, b string) int { return compareParsed(parseVersion(a), parseVersion(b)) }

// parsedVersion is a version cut into its items. In Maven a dash, and any change
// between digits and other characters, opens a list inside the list so far; since
// it always is the last item, the lists stand here one after the other.
type parsedVersion struct {
	text  string
	lists [][]item
}

// item is a number, without leading zeros, or a qualifier in lower case.
type item struct {
	number bool
	text   string
}

// null tells whether an item counts as if it were not there.
func (i item) null() bool { return i.text == "" }

func parseVersion(version string) parsedVersion {
	p := parsedVersion{text: version, lists: [][]item{nil}}
	add := func(i item) { last := len(p.lists) - 1; p.lists[last] = append(p.lists[last], i) }
	open := func() { p.lists = append(p.lists, nil) }
	v := strings.ToLower(version)
	for v != "" {
		end := 1
		digits := isDigit(v[0])
		if v[0] != '.' && v[0] != '-' {
			for end < len(v) && v[end] != '.' && v[end] != '-' && isDigit(v[end]) == digits {
				end++
			}
			followed := end < len(v) && isDigit(v[end])
			if digits {
				add(item{true, strings.TrimLeft(v[:end], "0")})
			} else {
				add(item{false, qualifier(v[:end], followed)})
			}
			if v = v[end:]; v == "" {
				break
			}
			if v[0] != '.' && v[0] != '-' {
				open()
				continue
			}
		} else {
			add(item{number: true}) // nothing before a separator is a zero
		}
		if v[0] == '-' {
			open()
		}
		v = v[1:]
	}
	p.trim()
	return p
}

// trim removes what does not count: items that are null before a list's end or
// the next list, and lists with nothing in them.
func (p *parsedVersion) trim() {
	for i := len(p.lists) - 1; i >= 0; i-- {
		l := p.lists[i]
		for len(l) > 0 && l[len(l)-1].null() {
			l = l[:len(l)-1]
		}
		p.lists[i] = l
		if len(l) == 0 && i == len(p.lists)-1 && i > 0 {
			p.lists = p.lists[:i]
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// qualifier gives the spelling that is compared.
func qualifier(q string, beforeDigit bool) string {
	if beforeDigit {
		switch q {
		case "a":
			return "alpha"
		case "b":
			return "beta"
		case "m":
			return "milestone"
		}
	}
	switch q {
	case "ga", "final", "release":
		return ""
	case "cr":
		return "rc"
	}
	return q
}

// qualifiers are those with an order of their own; "" is the release itself.
var qualifiers = []string{"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"} //nolint:gochecknoglobals // a table, never written

func rank(q string) int {
	if i := slices.Index(qualifiers, q); i >= 0 {
		return i
	}
	return len(qualifiers)
}

const released = 5 // the rank of ""

func compareParsed(a, b parsedVersion) int {
	return cmp.Or(compareLists(a.lists, b.lists), strings.Compare(a.text, b.text))
}

// compareLists compares the first lists, whose last items are the lists after.
func compareLists(a, b [][]item) int {
	var x, y []item
	if len(a) > 0 {
		x = a[0]
	}
	if len(b) > 0 {
		y = b[0]
	}
	for i := 0; ; i++ {
		l, r := at(x, i), at(y, i)
		lList, rList := i == len(x) && len(a) > 1, i == len(y) && len(b) > 1
		lNone, rNone := i > len(x) || l == nil && !lList, i > len(y) || r == nil && !rList
		var c int
		switch {
		case lNone && rNone:
			return 0
		case lList && rList:
			return compareLists(a[1:], b[1:])
		case lList:
			c = compareList(a[1:], r)
		case rList:
			c = -compareList(b[1:], l)
		default:
			c = compareItems(l, r)
		}
		if c != 0 {
			return c
		}
	}
}

func at(l []item, i int) *item {
	if i < len(l) {
		return &l[i]
	}
	return nil
}

// compareList compares a list with what is no list: nothing, a number, which
// comes after it (1-1 < 1.1), or a qualifier, which comes before (1-sp < 1-1).
func compareList(l [][]item, other *item) int {
	switch {
	case other == nil:
		return compareLists(l, nil)
	case other.number:
		return -1
	}
	return 1
}

// compareItems compares two items, nil being none.
func compareItems(l, r *item) int {
	switch {
	case l == nil && r == nil:
		return 0
	case l == nil:
		return -compareItems(r, nil)
	case r == nil && l.number:
		return cmp.Compare(len(l.text), 0)
	case r == nil:
		return cmp.Compare(rank(l.text), released)
	case l.number != r.number:
		if l.number {
			return 1
		}
		return -1
	case l.number:
		return cmp.Or(cmp.Compare(len(l.text), len(r.text)), strings.Compare(l.text, r.text))
	}
	return cmp.Or(cmp.Compare(rank(l.text), rank(r.text)), strings.Compare(l.text, r.text))
}
