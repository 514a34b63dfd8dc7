package identity

import (
	"net/netip"
	"time"

	"packhouse/internal/policy"
)

// Subject is who calls: the part of a caller that is the same in all its
// requests. It is shared between requests and never changed once made.
type Subject struct {
	Principal   policy.Principal
	AccessKeyID string // of a signed request; empty for a token
	Token       Token  // of a request by token; zero else
	Session     Session
}

// Session is what is known of temporary credentials; zero for long-term ones.
type Session struct {
	Began    time.Time
	Expires  time.Time          // zero when the request came with a token made in the session
	Policies []*policy.Document // limit what the session may do; nil: no limit
	context  string             // id of the catalog.Session, if there is one

	federated map[string][]string // condition keys of the web identity, if it began with one
}

// Token is what an issued token says of itself.
type Token struct {
	Owner   string // account that owns the token's domain; empty: no token
	Domain  string // the only domain the token is good for
	Issued  time.Time
	Expires time.Time
}

// Facts is what is known of one request.
type Facts struct {
	Time      time.Time
	SourceIP  netip.Addr
	UserAgent string
	Region    string // the region of the endpoint
	Secure    bool   // the client speaks TLS, to us or to a trusted proxy
}

// Caller is who makes a request and what is known of the request. It is as
// small as a pointer; copies are the same caller. The zero Caller is anonymous.
type Caller struct{ call *call }

// call is all that is allocated for a request.
type call struct {
	subject *Subject
	facts   Facts
}

// NewCaller makes a caller; a nil subject is anonymous. Everything that
// comes over the network goes through Service instead.
func NewCaller(s *Subject, f Facts) Caller { return Caller{&call{s, f}} }

// Subject is who calls, nil when Anonymous. Do not change it.
func (c Caller) Subject() *Subject {
	if c.call == nil {
		return nil
	}
	return c.call.subject
}

// Anonymous tells whether the request came without credentials.
func (c Caller) Anonymous() bool { return c.Subject() == nil }

// nobody is the principal of anonymous callers.
var nobody policy.Principal

// Principal is the caller as policies see it. Do not change it.
func (c Caller) Principal() *policy.Principal {
	if s := c.Subject(); s != nil {
		return &s.Principal
	}
	return &nobody
}

// ARN names the caller; empty when Anonymous.
func (c Caller) ARN() string { return c.Principal().ARN }

// Account is the caller's account, 12 digits; empty when Anonymous.
func (c Caller) Account() string { return c.Principal().Account }

// Name is the caller's short name for people and logs: of a user its name, of
// a role's session the session's, else the principal's ARN or "anonymous".
func (c Caller) Name() string {
	switch p := c.Principal(); p.Type {
	case policy.User:
		return p.UserName
	case policy.AssumedRole:
		return lastPart(p.ARN)
	default:
		return p.String()
	}
}

// AccessKeyID is the key that signed the request; empty when none did.
func (c Caller) AccessKeyID() string {
	if s := c.Subject(); s != nil {
		return s.AccessKeyID
	}
	return ""
}

// Token is the token the request came with; zero when it came without.
func (c Caller) Token() Token {
	if s := c.Subject(); s != nil {
		return s.Token
	}
	return Token{}
}

// Scope is the one domain the caller is limited to, with its owner; limited is
// false for a caller who may act in every domain.
func (c Caller) Scope() (owner, domain string, limited bool) {
	s := c.Subject()
	if s == nil || s.Token.Owner == "" {
		return "", "", false
	}
	return s.Token.Owner, s.Token.Domain, true
}

// Session are the policies that limit the caller's session; nil without limit.
func (c Caller) Session() []*policy.Document {
	if s := c.Subject(); s != nil {
		return s.Session.Policies
	}
	return nil
}

// Temporary tells whether the caller signed with temporary credentials.
func (c Caller) Temporary() bool {
	s := c.Subject()
	return s != nil && !s.Session.Began.IsZero()
}

// Facts is what is known of the request.
func (c Caller) Facts() Facts {
	if c.call == nil {
		return Facts{}
	}
	return c.call.facts
}

// Describe fills in what conditions of policies may ask about the caller.
func (c Caller) Describe(f *policy.Facts) {
	known := c.Facts()
	f.Principal = *c.Principal()
	if s := c.Subject(); s != nil {
		f.TokenIssuedAt = s.Session.Began
		f.Extra = s.Session.federated
	}
	f.Time = known.Time
	f.SourceIP = known.SourceIP
	f.UserAgent = known.UserAgent
	f.Region = known.Region
	f.SecureTransport = known.Secure
}
