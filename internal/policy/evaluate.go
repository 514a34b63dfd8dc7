package policy

import (
	"fmt"
	"strings"
)

// Request is one question: may the principal do this action on this resource?
type Request struct {
	Principal       Principal
	Action          string           // "codeartifact:ReadFromRepository"; case does not matter
	Resource        string           // its ARN, or "*" for actions without a resource
	ResourceAccount string           // the account that owns the resource (specification 6.3)
	Context         ConditionContext // nil means no key has a value
	// IdentityOnly leaves resource policies out, their denies too, so that the
	// owner cannot lock itself out (Put*PermissionsPolicy), and for actions
	// that only identity policies can grant (sts:GetServiceBearerToken).
	IdentityOnly bool
}

// Policies are the documents that apply to a request. Nil elements are skipped.
type Policies struct {
	Identity []*Document // of the user and its groups, or of the role
	Boundary []*Document // permissions boundary; nil is none, empty allows nothing
	Session  []*Document // session policies; nil is none, empty allows nothing
	Resource []*Document // of the domain or repository asked about
}

// Kind says where a document stands.
type Kind uint8

// The kinds of policy. RootUser is not a document but the root user's own right.
const (
	Identity Kind = iota
	Boundary
	Session
	Resource
	RootUser
)

var (
	kindNames   = [...]string{"identity-based policy", "permissions boundary", "session policy", "resource-based policy", "root user"}
	kindPlurals = [...]string{"identity-based policies", "permissions boundaries", "session policies", "resource-based policies"}
)

// String is the kind in AWS's words, for messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "policy"
}

// Reason is the way a decision came about.
type Reason uint8

// The reasons. The zero value denies.
const (
	ImplicitDeny Reason = iota // nothing allowed it
	ExplicitDeny               // a Deny statement matched
	Allowed
)

// String is the reason in AWS's words.
func (r Reason) String() string {
	switch r {
	case ExplicitDeny:
		return "explicitDeny"
	case Allowed:
		return "allowed"
	case ImplicitDeny:
	}
	return "implicitDeny"
}

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool
	Reason  Reason
	// Kind is the kind of policy that decided; for an implicit deny, the kind
	// that would have had to allow.
	Kind Kind
	// Statement is the statement that decided; nil for an implicit deny and
	// for the root user's own right. It is shared: do not change it.
	Statement *StatementRef
	// Silent are, for an implicit deny, the kinds of policy that had a say and
	// no statement that allows the request.
	Silent Kinds
}

// Kinds is a set of kinds of policy.
type Kinds uint8

// limits are the kinds that take away and give nothing.
const limits Kinds = 1<<Boundary | 1<<Session

// Has tells whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Refusal is the text of an access-denied error for those who are told no
// more than what they asked for: callers of other accounts.
func Refusal(r *Request) string {
	return "User: " + r.Principal.String() + " is not authorized to perform: " + r.Action + " on resource: " + r.Resource
}

// Message is the text of an access-denied error, worded as AWS words it.
func (d Decision) Message(r *Request) string {
	if d.Reason == ExplicitDeny {
		return Refusal(r) + " with an explicit deny in " + article(d.Kind.String())
	}
	return Refusal(r) + " because no " + d.Kind.String() + " allows the " + r.Action + " action"
}

// Detail says what Message leaves out: the statement that decided or, where
// none did, where nothing was found. It names policies and statements and tells
// nothing of what they say. p are the policies that were evaluated.
func (d Decision) Detail(p *Policies) string {
	if d.Statement != nil {
		return "decided by " + d.Statement.String()
	}
	var silent []string
	for k, docs := range [...][]*Document{p.Identity, p.Boundary, p.Session, p.Resource} {
		if !d.Silent.Has(Kind(k)) {
			continue
		}
		n := 0
		for _, doc := range docs {
			if doc != nil {
				n++
			}
		}
		silent = append(silent, fmt.Sprintf("%s (%d)", kindPlurals[k], n))
	}
	return "found no allow in: " + strings.Join(silent, ", ")
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// Evaluate decides (specification 6.2). It allocates nothing unless a
// statement has policy variables or the context does.
func Evaluate(r Request, p Policies) Decision {
	identity := scan(&r, p.Identity, Identity, false)
	if identity.deny != nil {
		return denied(identity.deny, Identity)
	}
	boundary := scan(&r, p.Boundary, Boundary, false)
	if boundary.deny != nil {
		return denied(boundary.deny, Boundary)
	}
	session := scan(&r, p.Session, Session, false)
	if session.deny != nil {
		return denied(session.deny, Session)
	}
	var resource found
	if !r.IdentityOnly {
		resource = scan(&r, p.Resource, Resource, p.Boundary != nil)
		if resource.deny != nil {
			return denied(resource.deny, Resource)
		}
	}

	// What the resource policy gives to the caller itself stands alone in the
	// owner's account. Callers that belong to no account have nothing else.
	sameAccount := r.Principal.Account != "" && r.Principal.Account == r.ResourceAccount
	granted := resource.grant
	if granted == grantDirect && r.Principal.Type == User && p.Session != nil {
		granted = grantLimited
	}
	switch {
	case !r.Principal.Type.hasIdentity():
		if granted == grantDirect {
			return allowed(resource.allow, Resource)
		}
		return Decision{Kind: Resource, Silent: 1 << Resource}
	case sameAccount && granted == grantDirect:
		return allowed(resource.allow, Resource)
	}

	right, kind := identity.allow, Identity
	if right == nil && r.Principal.Type == Root {
		kind = RootUser
	}
	hasRight := right != nil || kind == RootUser
	if !hasRight && sameAccount && granted == grantLimited {
		right, kind, hasRight = resource.allow, Resource, true
	}
	var silent Kinds
	mark := func(k Kind, isSilent bool) bool {
		if isSilent {
			silent |= 1 << k
		}
		return isSilent
	}
	mark(Identity, identity.allow == nil && kind != RootUser)
	mark(Resource, resource.allow == nil && !r.IdentityOnly)
	bounded := mark(Boundary, p.Boundary != nil && boundary.allow == nil)
	limited := mark(Session, p.Session != nil && session.allow == nil)
	switch {
	case !hasRight:
		return Decision{Kind: Identity, Silent: silent}
	case !sameAccount && granted == grantNone:
		return Decision{Kind: Resource, Silent: silent}
	case bounded:
		return Decision{Kind: Boundary, Silent: silent & limits}
	case limited:
		return Decision{Kind: Session, Silent: silent & limits}
	}
	return allowed(right, kind)
}

func allowed(s *statement, kind Kind) Decision {
	d := Decision{Allowed: true, Reason: Allowed, Kind: kind}
	if s != nil {
		d.Statement = &s.ref
	}
	return d
}

func denied(s *statement, kind Kind) Decision {
	return Decision{Reason: ExplicitDeny, Kind: kind, Statement: &s.ref}
}

// found is what the documents of one kind say.
type found struct {
	deny  *statement // the first that matches; nothing else counts then
	allow *statement // the first, or in resource policies the one of the closest grant
	grant grant      // how allow names the caller; grantDirect outside resource policies
}

// scan reads the documents of one kind; bounded says that the caller has a
// permissions boundary.
func scan(r *Request, docs []*Document, kind Kind, bounded bool) found {
	var f found
	for _, d := range docs {
		if d == nil || f.grant == grantDirect && !d.hasDeny {
			continue
		}
		for i := range d.statements {
			s := &d.statements[i]
			if s.effect == Allow && f.grant == grantDirect {
				continue
			}
			g, m := s.match(r, kind, bounded)
			if m.part != matched {
				continue
			}
			if s.effect == Deny {
				return found{deny: s}
			}
			if g > f.grant {
				f.allow, f.grant = s, g
			}
		}
	}
	return f
}

// missedPart says which element of a statement did not match.
type missedPart uint8

const (
	matched missedPart = iota
	missedAction
	missedResource
	missedPrincipal
	missedCondition
)

type miss struct {
	part      missedPart
	condition int // missedCondition: which
}

// match compares the cheap elements first. A statement without a principal
// names nobody in a resource policy; one without a resource is about the
// resource it is attached to. NotPrincipal exempts nobody with a permissions
// boundary, as the IAM guide warns.
func (s *statement) match(r *Request, kind Kind, bounded bool) (grant, miss) {
	if !s.actions.match(r.Action) {
		return grantNone, miss{part: missedAction}
	}
	if s.resources.present {
		if !s.resources.match(s.effect, r.Resource, r.Context) {
			return grantNone, miss{part: missedResource}
		}
	} else if kind != Resource {
		return grantNone, miss{part: missedResource}
	}
	g := grantDirect
	if s.principals != nil {
		if !s.principals.negated || !bounded {
			g = s.principals.match(&r.Principal)
		}
	} else if kind == Resource {
		g = grantNone
	}
	if g == grantNone {
		return grantNone, miss{part: missedPrincipal}
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r.Context) {
			return grantNone, miss{part: missedCondition, condition: i}
		}
	}
	return g, miss{}
}
