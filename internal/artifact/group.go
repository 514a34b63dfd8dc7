package artifact

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// GroupMode is the PackageGroupOriginRestrictionMode enum word.
type GroupMode string

// The modes.
const (
	GroupAllow         GroupMode = "ALLOW"
	GroupAllowSpecific GroupMode = "ALLOW_SPECIFIC_REPOSITORIES"
	GroupBlock         GroupMode = "BLOCK"
	GroupInherit       GroupMode = "INHERIT" // as the parent group says
)

// Way is the PackageGroupOriginRestrictionType enum word: a way for versions to
// come into a repository.
type Way string

// The ways.
const (
	ByPublishing       Way = "PUBLISH"
	ByInternalUpstream Way = "INTERNAL_UPSTREAM" // from an upstream repository
	ByExternalUpstream Way = "EXTERNAL_UPSTREAM" // from an external connection
)

// Ways lists every way.
func Ways() []Way { return []Way{ByExternalUpstream, ByInternalUpstream, ByPublishing} }

// WayRule is what a package group says about one way.
type WayRule struct {
	Mode         GroupMode
	Repositories []string // GroupAllowSpecific: the names of those that may, sorted
}

// permits tells whether the rule, which is not GroupInherit, lets versions into
// a repository.
func (r WayRule) permits(repository string) bool {
	switch r.Mode {
	case GroupAllow:
		return true
	case GroupAllowSpecific:
		_, ok := slices.BinarySearch(r.Repositories, repository)
		return ok
	case GroupBlock, GroupInherit:
	}
	return false
}

// Group is a package group: a pattern with a rule for every way.
type Group struct {
	Pattern Pattern
	Rules   map[Way]WayRule
}

// Groups are all package groups of a domain, arranged: who is whose parent and
// which group a package belongs to. They are immutable; nil is a domain where
// everything is allowed.
type Groups struct {
	sorted     []*PlacedGroup // by pattern
	byPattern  map[Pattern]*PlacedGroup
	variations map[Pattern][]*PlacedGroup // by the variation of their patterns
}

// PlacedGroup is a group in its hierarchy.
type PlacedGroup struct {
	Group
	Parent *PlacedGroup // nil: the root
}

// ArrangeGroups arranges groups, whose patterns differ, the root among them.
func ArrangeGroups(groups []Group) *Groups {
	g := &Groups{
		byPattern:  make(map[Pattern]*PlacedGroup, len(groups)),
		variations: make(map[Pattern][]*PlacedGroup, len(groups)),
	}
	for _, group := range groups {
		p := &PlacedGroup{Group: group}
		g.sorted = append(g.sorted, p)
		g.byPattern[group.Pattern] = p
	}
	slices.SortFunc(g.sorted, func(a, b *PlacedGroup) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
	for _, p := range g.sorted {
		v := p.Pattern.variation()
		g.variations[v] = append(g.variations[v], p)
		for wider := range p.Pattern.wider() {
			if parent, ok := g.byPattern[wider]; ok {
				p.Parent = parent
				break
			}
		}
	}
	return g
}

// All lists the groups by pattern.
func (g *Groups) All() []*PlacedGroup { return g.sorted }

// Find gives the group of a pattern, nil when there is none.
func (g *Groups) Find(p Pattern) *PlacedGroup { return g.byPattern[p] }

// Effective gives what applies to a way: the rule of the nearest group, this
// one or an ancestor, that does not inherit, and that group.
func (p *PlacedGroup) Effective(w Way) (WayRule, *PlacedGroup) {
	for p.Rules[w].Mode == GroupInherit && p.Parent != nil {
		p = p.Parent
	}
	return p.Rules[w], p
}

// Membership ties a package to the one group that applies to it. The zero
// value belongs to none: everything is allowed.
type Membership struct {
	Group *PlacedGroup
	// Weak: the package is but a variation of what the pattern says, so nothing
	// new of it may come in by any way.
	Weak bool
}

// Of finds the group of a package: the most specific whose pattern matches it
// or a variation of it; of equally specific ones one that it matches exactly.
func (g *Groups) Of(c Coordinates) Membership {
	if g == nil {
		return Membership{}
	}
	exact := ExactPattern(c)
	strong := firstOf(g.byPattern, exact)
	weak := firstOf(g.variations, exact.variation())
	switch {
	case weak == nil || strong != nil && strong.Pattern.compareSpecificity(weak[0].Pattern) >= 0:
		return Membership{Group: strong}
	default:
		return Membership{Group: weak[0], Weak: true}
	}
}

// firstOf finds what m has for p or the next wider pattern.
func firstOf[T any](m map[Pattern]T, p Pattern) (none T) {
	if found, ok := m[p]; ok {
		return found
	}
	for wider := range p.wider() {
		if found, ok := m[wider]; ok {
			return found
		}
	}
	return none
}

// Permits tells whether the group lets new versions of the package into a
// repository, given by its name, by some way.
func (m Membership) Permits(w Way, repository string) bool {
	if m.Group == nil {
		return true
	}
	if m.Weak {
		return false
	}
	rule, _ := m.Group.Effective(w)
	return rule.permits(repository)
}

// variation is the pattern with the variations of its parts, for looking up.
func (p Pattern) variation() Pattern {
	p.namespace, p.name = variation(p.namespace), variation(p.name)
	return p
}

// compareSpecificity is positive when p is more specific than q, both of
// them matching one package.
func (p Pattern) compareSpecificity(q Pattern) int {
	length := func(p Pattern) int {
		part, _ := p.prefix()
		return utf8.RuneCountInString(variation(part))
	}
	return cmp.Or(cmp.Compare(p.breadth, q.breadth), cmp.Compare(length(p), length(q)))
}
