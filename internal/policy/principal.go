package policy

import (
	"fmt"
	"slices"
	"strings"

	"packhouse/internal/arn"
)

// PrincipalType says what kind of caller a principal is.
type PrincipalType uint8

// The types. The zero value has no rights but those a resource policy gives to
// everybody.
const (
	Anonymous PrincipalType = iota
	User
	AssumedRole
	Root
	Service   // a service of this installation acting by itself
	Federated // a web or SAML identity that is about to assume a role
)

var principalTypeNames = [...]string{
	Anonymous: "Anonymous", User: "User", AssumedRole: "AssumedRole", Root: "Account", Service: "Service", Federated: "FederatedUser",
}

// String is the value of the condition key aws:PrincipalType.
func (t PrincipalType) String() string {
	if int(t) < len(principalTypeNames) {
		return principalTypeNames[t]
	}
	return "Unknown"
}

// hasIdentity tells whether callers of this type belong to an account, whose
// identity policies have a say.
func (t PrincipalType) hasIdentity() bool {
	return t == User || t == AssumedRole || t == Root
}

// Principal is the caller of a request.
type Principal struct {
	Type     PrincipalType
	ARN      string            // user, role session (sts), root; Federated: the provider; empty when Anonymous or Service
	Account  string            // 12 digits; empty when Anonymous or Service
	UserID   string            // unique id; for a session ROLEID:SESSIONNAME
	UserName string            // User only
	RoleARN  string            // AssumedRole only: the role, with its path
	Groups   []string          // User only: ARNs of its groups
	Service  string            // Service only: its name, for example events.amazonaws.com
	Tags     map[string]string // of the user, or of the role and session
}

// String names the principal for messages.
func (p *Principal) String() string {
	switch {
	case p.ARN != "":
		return p.ARN
	case p.Service != "":
		return p.Service
	}
	return strings.ToLower(p.Type.String())
}

// principals is a Principal or NotPrincipal element.
type principals struct {
	negated bool
	star    bool // written as the bare "*"
	entries []principalEntry
}

type principalEntry struct {
	group string // AWS, Service, Federated or CanonicalUser
	kind  entryKind
	text  string // as written
	match string // what the caller's value is compared with
}

type entryKind uint8

const (
	entryAnybody entryKind = iota
	entryAccount
	entryARN
	entryService
	entryFederated
	entryNobody // known to AWS, never a caller here
)

func parsePrincipalEntry(group, text string) (principalEntry, error) {
	e := principalEntry{group: group, text: text, match: text}
	switch group {
	case "AWS":
		return parseAWSPrincipal(e)
	case "Service":
		e.kind = entryService
	case "Federated":
		e.kind = entryFederated
	case "CanonicalUser":
		e.kind = entryNobody
	default:
		return e, fmt.Errorf("unknown principal type %q", group)
	}
	if text == "" || strings.ContainsAny(text, "*?") {
		return e, fmt.Errorf("invalid principal %q", text)
	}
	return e, nil
}

func parseAWSPrincipal(e principalEntry) (principalEntry, error) {
	if e.text == "*" {
		e.kind = entryAnybody
		return e, nil
	}
	if isAccount(e.text) {
		e.kind = entryAccount
		return e, nil
	}
	name, err := arn.Parse(e.text)
	if err != nil || !isAccount(name.Account) || name.Region != "" || strings.ContainsAny(e.text, "*?") {
		return e, fmt.Errorf("invalid principal %q", e.text)
	}
	kind := name.Kind()
	switch {
	case name.Service == "iam" && name.Resource == "root":
		e.kind, e.match = entryAccount, name.Account
	case name.Service == "iam" && (kind == "user" || kind == "role" || kind == "group") && name.Name() != "" && kind != name.Resource,
		name.Service == "sts" && (kind == "assumed-role" || kind == "federated-user") && name.Name() != "" && kind != name.Resource:
		e.kind = entryARN
	default:
		return e, fmt.Errorf("invalid principal %q", e.text)
	}
	return e, nil
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// grant says how closely a Principal element names the caller; more is closer.
type grant uint8

const (
	grantNone    grant = iota
	grantAccount       // the caller's account: its identity policies still decide
	grantLimited       // a role or group of the caller: boundary and session policies still limit
	grantDirect        // the caller itself, or everybody
)

func (ps *principals) match(p *Principal) grant {
	if ps.negated {
		for i := range ps.entries {
			if ps.entries[i].grants(p) >= grantLimited {
				return grantNone
			}
		}
		return grantDirect
	}
	best := grantNone
	for i := range ps.entries {
		best = max(best, ps.entries[i].grants(p))
	}
	return best
}

func (e *principalEntry) grants(p *Principal) grant {
	switch e.kind {
	case entryAnybody:
		return grantDirect
	case entryAccount:
		switch {
		case p.Account != e.match:
			return grantNone
		case p.Type == Root:
			return grantDirect
		}
		return grantAccount
	case entryARN:
		switch {
		case e.match == p.ARN && p.Type != Federated:
			return grantDirect
		case p.RoleARN == e.match, slices.Contains(p.Groups, e.match):
			return grantLimited
		}
	case entryService:
		if p.Type == Service && p.Service == e.match {
			return grantDirect
		}
	case entryFederated:
		if p.Type == Federated && p.ARN == e.match {
			return grantDirect
		}
	case entryNobody:
	}
	return grantNone
}
