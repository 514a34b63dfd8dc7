package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"aidanwoods.dev/go-paseto"

	"packhouse/internal/arn"
	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
	"packhouse/internal/sigv4"
)

// MaxUserSession is the longest that temporary credentials of a user live.
const MaxUserSession = 36 * time.Hour

// maxSessionToken is the longest session token looked at, in bytes; our own are
// under 1 KB.
const maxSessionToken = 4096

// actor is who a token stands for. Users and roles are named by their unique
// ids: another one of the same name is somebody else.
type actor struct {
	id      string    // AIDA... or AROA...
	session string    // name of a role's session
	began   time.Time // of the session; zero: long-term credentials
	context string    // id of a catalog.Session, or empty
}

// Context is what a session was given besides its role.
type Context struct {
	Tags       map[string]string `json:"tags,omitempty"`
	Policies   []string          `json:"policies,omitempty"`   // documents
	PolicyARNs []string          `json:"policyArns,omitempty"` // managed policies; their present versions count
	Federated  *Federation       `json:"federated,omitempty"`  // of a web identity
}

// limited tells whether there are session policies.
func (c *Context) limited() bool { return len(c.Policies)+len(c.PolicyARNs) > 0 }

// Credentials are temporary ones, at the only time they are told.
type Credentials struct {
	AccessKeyID string
	Secret      catalog.Secret
	Token       catalog.Secret
	Expires     time.Time
}

// AssumeRole makes credentials for a session of a role. Whether the caller may
// is checked before, and whether the duration is one the role allows.
func (s *Service) AssumeRole(ctx context.Context, role catalog.Role, session string, given Context, duration time.Duration) (Credentials, error) {
	who := actor{id: role.ID, session: session}
	if len(given.Tags) > 0 || given.limited() || given.Federated != nil {
		text, err := json.Marshal(given)
		if err != nil {
			return Credentials{}, fmt.Errorf("keep the context of a session: %w", err)
		}
		sum := sha256.Sum256(text)
		who.context = base64.RawURLEncoding.EncodeToString(sum[:])
		err = s.db.Update(ctx, func(tx *catalog.Tx) error { return tx.PutSession(who.context, string(text), s.now().Add(duration)) })
		if err != nil {
			return Credentials{}, fmt.Errorf("keep the context of a session: %w", err)
		}
	}
	return s.credentials(ctx, who, duration)
}

// UserSession makes credentials for a user that end with a time.
func (s *Service) UserSession(ctx context.Context, caller Caller, duration time.Duration) (Credentials, error) {
	return s.credentials(ctx, actor{id: caller.Principal().UserID}, duration)
}

// keepContext has the context of a session live until a token needs it no more.
func (s *Service) keepContext(ctx context.Context, id string, expires time.Time) error {
	if id == "" {
		return nil
	}
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		text, err := tx.Session(id)
		if err != nil {
			return err
		}
		return tx.PutSession(id, text, expires)
	})
}

// The names of the claims that only session tokens have.
const (
	claimKey    = "kid"
	claimSecret = "sec"
)

// forSessions keeps session tokens and the tokens of package clients apart:
// neither can be used as the other.
const forSessions = "session"

func (s *Service) credentials(ctx context.Context, who actor, duration time.Duration) (Credentials, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return Credentials{}, fmt.Errorf("find the key to sign a session with: %w", err)
	}
	who.began = s.now().UTC().Truncate(time.Second)
	c := Credentials{AccessKeyID: sessionID + rand.Text()[:16], Secret: newSecret(), Expires: who.began.Add(duration)}
	t := paseto.NewToken()
	who.write(&t)
	t.SetString(claimKey, c.AccessKeyID)
	t.SetString(claimSecret, string(c.Secret))
	t.SetIssuedAt(who.began)
	t.SetExpiration(c.Expires)
	t.SetFooter([]byte(key.id))
	c.Token = catalog.Secret(t.V4Encrypt(key.secret, []byte(forSessions)))
	return c, nil
}

// sessionKey is the key of temporary credentials. All of it is in the token,
// which only we can have encrypted; the database is asked whether the user or
// role is still there, and only when something has changed. Errors are
// *sigv4.Error, or NotFound when whoever it was is gone.
func (s *Service) sessionKey(ctx context.Context, id, token string) (accessKey, error) {
	ring, err := s.keyring(ctx)
	if err != nil {
		return accessKey{}, fmt.Errorf("load the signing keys: %w", err)
	}
	t, keyID, err := ring.open(token, maxSessionToken, []byte(forSessions))
	if err != nil || s.now().After(ring.byID[keyID].retireAfter) {
		return accessKey{}, sigv4.UnknownKey()
	}
	var errs [4]error
	var owner, secret string
	var expires time.Time
	who, err := readActor(t)
	owner, errs[0] = t.GetString(claimKey)
	secret, errs[1] = t.GetString(claimSecret)
	expires, errs[2] = t.GetExpiration()
	errs[3] = err
	switch err := errors.Join(errs[:]...); {
	case err != nil:
		return accessKey{}, fmt.Errorf("read a session token: %w", err)
	case owner != id:
		return accessKey{}, sigv4.UnknownKey()
	case !s.now().Before(expires):
		return accessKey{}, sigv4.ExpiredToken()
	}
	subject, err := s.subject(ctx, who)
	if err != nil {
		return accessKey{}, err
	}
	subject.AccessKeyID, subject.Session.Expires = id, expires
	return accessKey{secret: catalog.Secret(secret), active: true, subject: subject}, nil
}

// subject finds who an actor is now; NotFound when the user or role has been
// deleted or the context of the session is over. The result is the caller's to
// complete.
func (s *Service) subject(ctx context.Context, a actor) (*Subject, error) {
	p, err := s.actors.Get(ctx, s.db, a.id, func(tx *catalog.Tx) (*policy.Principal, error) { return findActor(tx, a.id) })
	if err != nil {
		return nil, err
	}
	subject := &Subject{Principal: *p, Session: Session{Began: a.began, context: a.context}}
	if p.Type == policy.AssumedRole {
		subject.Principal.ARN = arn.AssumedRole(p.Account, lastPart(p.RoleARN), a.session).String()
		subject.Principal.UserID += ":" + a.session
	}
	if a.context == "" {
		return subject, nil
	}
	given, err := s.contexts.Get(ctx, s.db, a.context, func(tx *catalog.Tx) (*sessionContext, error) { return findContext(tx, a.context) })
	if err != nil {
		return nil, err
	}
	subject.Principal.Tags, subject.Session.Policies, subject.Session.federated = given.tags, given.policies, given.federated
	return subject, nil
}

// findActor makes a principal of a user, or of a role without its session.
func findActor(tx *catalog.Tx, id string) (*policy.Principal, error) {
	if !strings.HasPrefix(id, RoleID) {
		u, err := tx.UserByID(id)
		if err != nil {
			return nil, err
		}
		p := userPrincipal(u)
		return &p, nil
	}
	r, err := tx.RoleByID(id)
	if err != nil {
		return nil, err
	}
	return &policy.Principal{
		Type: policy.AssumedRole, Account: r.Account, UserID: r.ID, RoleARN: arn.Role(r.Account, r.Path, r.Name).String(),
	}, nil
}

// sessionContext is a Context ready for use.
type sessionContext struct {
	tags     map[string]string
	policies []*policy.Document // nil: no limit

	federated map[string][]string // condition keys
}

func findContext(tx *catalog.Tx, id string) (*sessionContext, error) {
	text, err := tx.Session(id)
	if err != nil {
		return nil, err
	}
	var given Context
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, fmt.Errorf("context of session %s: %w", id, err)
	}
	c := &sessionContext{tags: given.Tags}
	if given.Federated != nil {
		c.federated = given.Federated.facts()
	}
	if given.limited() {
		c.policies = []*policy.Document{} // not nil: a limit that allows nothing yet
	}
	documents := given.Policies
	for _, name := range given.PolicyARNs {
		if m := policy.ManagedByARN(name); m != nil {
			c.policies = append(c.policies, m.Document)
			continue
		}
		v, err := tx.PolicyVersion(name, 0)
		switch {
		case fault.Is(err, fault.NotFound): // it might have held a deny: nothing is allowed any more
			c.policies = []*policy.Document{}
			return c, nil
		case err != nil:
			return nil, err
		}
		documents = append(documents, v.Document)
	}
	for _, document := range documents {
		d, err := policy.Parse([]byte(document))
		if err != nil { // refuse: it might be a deny
			return nil, fmt.Errorf("context of session %s: a policy cannot be read: %s", id, err.Error())
		}
		c.policies = append(c.policies, d.Named("a session policy"))
	}
	return c, nil
}
