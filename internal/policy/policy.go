// Package policy reads IAM policy documents and decides requests by them, as
// AWS does (specification section 6); it is pure and safe for concurrent use.
//
// Parse turns a document into a compiled Document, once; Evaluate takes a
// Request and the documents that apply to it, by kind, and answers with a
// Decision that names the statement that decided. Trace answers the same and
// says of every statement why it matched or not. Who loads the documents and
// who owns the resource is the caller's business (package access).
//
// The rules that surprise, each as AWS documents it:
//   - An explicit deny wins wherever it stands.
//   - Within one account a resource policy that names the caller grants alone;
//     one that names the account only lets the account's identity policies
//     decide. Across accounts both sides must allow.
//   - A grant to a user, to a role session or to "*" is not limited by
//     permissions boundaries and session policies; a grant to a role is. We
//     differ for a user who acts under a session policy: it always limits.
//   - The root user may do everything in its own account unless denied.
//   - NotPrincipal exempts only whom it names: naming the account exempts its
//     root user, not its users. It exempts nobody who has a permissions boundary.
//   - A missing key satisfies negated operators, IfExists and ForAllValues, and
//     fails everything else. ForAnyValue and ForAllValues override IfExists.
//   - A policy variable without exactly one value in the request equals nothing:
//     negated operators are satisfied, others are not, and no resource matches.
package policy

import (
	"strings"

	"packhouse/internal/arn"
)

// The document versions AWS knows. Only the newer one has policy variables; a
// document without a version is of the older.
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// Document is a parsed and compiled policy. It never changes.
type Document struct {
	name       string
	version    string // as written; empty when absent
	id         string
	statements []statement
	size       int  // characters of the text it was parsed from
	hasDeny    bool // lets Evaluate skip a document once it has its Allow
}

// Named gives a copy of d whose statements carry name in their references, so
// that a decision can say which policy decided. It is read in a sentence, as in
// "Statement[0] of NAME": "inline policy limits of group developers".
func (d *Document) Named(name string) *Document {
	c := *d
	c.name = name
	c.statements = append([]statement(nil), d.statements...)
	for i := range c.statements {
		c.statements[i].ref.Document = name
	}
	return &c
}

// Name is the name given by Named.
func (d *Document) Name() string { return d.name }

// Len is the number of statements.
func (d *Document) Len() int { return len(d.statements) }

// StatementRef points at one statement of one document.
type StatementRef struct {
	Document string // the document's name, when it has one
	Sid      string // the statement's Sid, when it has one
	Index    int    // counted from 0
	// Start and End are where the statement stands in the text, as the simulator
	// of IAM counts: just behind its opening and its closing brace.
	Start, End Position
}

// Position is a place in the text of a document: the character of that line and
// column, both counted from 1.
type Position struct{ Line, Column int }

// Effect is what a statement does to the requests it matches.
type Effect bool

// The two effects.
const (
	Allow Effect = true
	Deny  Effect = false
)

// String is the word used in documents.
func (e Effect) String() string {
	if e == Allow {
		return "Allow"
	}
	return "Deny"
}

type statement struct {
	ref        StatementRef
	effect     Effect
	principals *principals // nil when the element is absent
	actions    actions
	resources  resources
	conditions []condition
}

type actions struct {
	negated  bool // NotAction
	text     []string
	patterns []glob
}

type resources struct {
	present  bool // trust policies have no resource: theirs is the role
	negated  bool // NotResource
	text     []string
	patterns []glob
}

// glob is a wildcard text sorted by how cheaply it can be matched.
type glob struct {
	kind     globKind
	literal  string      // the text before the first wildcard
	rest     arn.Pattern // from the first wildcard on
	template *template   // globVariable only
}

type globKind uint8

const (
	globGeneral globKind = iota
	globAny
	globLiteral
	globPrefix
	globVariable
)

func newGlob(p arn.Pattern) glob {
	literal, rest := p.Cut()
	g := glob{literal: literal, rest: rest}
	switch {
	case rest == "":
		g.kind = globLiteral
	case rest.IsAnyRun() && literal == "":
		g.kind = globAny
	case rest.IsAnyRun():
		g.kind = globPrefix
	}
	return g
}

// match compares with regard to case; v is verdictUnresolved when a variable
// of the pattern has no value.
func (g *glob) match(s string, ctx ConditionContext) verdict {
	ok := false
	switch g.kind {
	case globAny:
		return yes
	case globLiteral:
		ok = s == g.literal
	case globPrefix:
		ok = strings.HasPrefix(s, g.literal)
	case globGeneral:
		ok = strings.HasPrefix(s, g.literal) && g.rest.Match(s[len(g.literal):])
	case globVariable:
		p, resolved := g.template.expand(ctx)
		if !resolved {
			return unresolved
		}
		ok = p.Match(s)
	}
	return verdictOf(ok)
}

// matchFold compares without regard to ASCII case; g was made from lower-case
// text without variables.
func (g *glob) matchFold(s string) bool {
	switch g.kind { //nolint:exhaustive // the rest has nothing of its own
	case globAny:
		return true
	case globLiteral:
		return len(s) == len(g.literal) && hasPrefixFold(s, g.literal)
	case globPrefix:
		return hasPrefixFold(s, g.literal)
	}
	return hasPrefixFold(s, g.literal) && g.rest.MatchFold(s[len(g.literal):])
}

// hasPrefixFold compares from the end of the prefix: actions of one service
// start alike and differ there.
func hasPrefixFold(s, lowerPrefix string) bool {
	if len(s) < len(lowerPrefix) {
		return false
	}
	for i := len(lowerPrefix) - 1; i >= 0; i-- {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lowerPrefix[i] {
			return false
		}
	}
	return true
}

func (a *actions) match(action string) bool {
	for i := range a.patterns {
		if a.patterns[i].matchFold(action) {
			return !a.negated
		}
	}
	return a.negated
}

// match tells whether a statement of that effect is about a resource. A variable
// without a value matches no resource; what NotResource means then AWS leaves
// open: we let it deny and not allow.
func (rs *resources) match(effect Effect, resource string, ctx ConditionContext) bool {
	open := false
	for i := range rs.patterns {
		switch rs.patterns[i].match(resource, ctx) {
		case yes:
			return !rs.negated
		case unresolved:
			open = true
		case no:
		}
	}
	return rs.negated && (!open || effect == Deny)
}

// verdict is the outcome of one comparison.
type verdict uint8

const (
	no verdict = iota
	yes
	unresolved // a policy variable had no single value
)

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}
