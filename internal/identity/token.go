package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"aidanwoods.dev/go-paseto"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

// How long tokens may live (specification section 5).
const (
	MinTokenDuration = 900 * time.Second
	MaxTokenDuration = 43200 * time.Second
)

// How long signing keys live.
const (
	rotateEvery = 30 * 24 * time.Hour
	// outlive is for how long a key must verify after its last signature. The
	// hour is for replicas that have not heard of its successor yet.
	outlive = MaxUserSession + time.Hour
)

const (
	tokenPrefix = "v4.local."
	maxToken    = 1024 // bytes; our own are under 500
)

// claims is what is inside a token.
type claims struct {
	keyID string // the signing key
	actor actor
	Token
}

// current refuses a token that has expired.
func (c *claims) current(now time.Time) error {
	if now.Before(c.Expires) {
		return nil
	}
	return refused("the token expired at %s", c.Expires.UTC().Format(time.RFC3339))
}

// IssueToken makes a token that lets whoever holds it act as caller in one
// domain's package endpoints; domainOwner is the domain's account. duration is
// 900..43200 s, or 0 for the rest of the caller's session and for the longest
// when there is none; else fault.Invalid. The root user gets none: fault.Denied
// (section 5). Whether caller may have one is checked before.
// The token is of letters, digits and ".-_", and shorter than 1 KB.
func (s *Service) IssueToken(ctx context.Context, caller Caller, domainOwner, domain string, duration time.Duration) (token string, expires time.Time, err error) {
	if duration != 0 && (duration < MinTokenDuration || duration > MaxTokenDuration) {
		return "", time.Time{}, fault.Field("durationSeconds", "must be 0 or %d to %d seconds",
			int(MinTokenDuration/time.Second), int(MaxTokenDuration/time.Second))
	}
	p := caller.Principal()
	switch p.Type {
	case policy.User, policy.AssumedRole:
	case policy.Anonymous:
		return "", time.Time{}, fault.New(fault.Unauthenticated, "credentials required")
	case policy.Root:
		return "", time.Time{}, fault.New(fault.Denied, "User: %s is not authorized to perform: codeartifact:GetAuthorizationToken because the root user of an account cannot have a token", p)
	case policy.Service, policy.Federated:
		return "", time.Time{}, fault.New(fault.Denied, "User: %s is not authorized to perform: codeartifact:GetAuthorizationToken because only users and roles can have a token", p)
	}
	key, err := s.signer(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("find the key to sign a token with: %w", err)
	}
	issued := s.now().UTC().Truncate(time.Second)
	session := caller.Subject().Session
	switch {
	case duration != 0:
		expires = issued.Add(duration)
	case session.Expires.IsZero():
		expires = issued.Add(MaxTokenDuration)
	default:
		expires = session.Expires
		if latest := issued.Add(MaxTokenDuration); expires.After(latest) {
			expires = latest
		}
	}
	who := actor{id: p.UserID, began: session.Began, context: session.context}
	if p.Type == policy.AssumedRole {
		who.id, who.session, _ = strings.Cut(p.UserID, ":")
	}
	if err := s.keepContext(ctx, who.context, expires); err != nil {
		return "", time.Time{}, err
	}
	token = seal(key, claims{actor: who, Token: Token{Owner: domainOwner, Domain: domain, Issued: issued, Expires: expires}})
	return token, expires, nil
}

// The names of our claims; issue and expiry have those of PASETO.
const (
	claimActor   = "sub"
	claimSession = "ses"
	claimBegan   = "beg"
	claimContext = "ctx"
	claimOwner   = "own"
	claimDomain  = "dom"
)

func (a actor) write(t *paseto.Token) {
	t.SetString(claimActor, a.id)
	if a.session != "" {
		t.SetString(claimSession, a.session)
	}
	if a.context != "" {
		t.SetString(claimContext, a.context)
	}
	if !a.began.IsZero() {
		t.SetTime(claimBegan, a.began)
	}
}

func readActor(t *paseto.Token) (a actor, err error) {
	a.id, err = t.GetString(claimActor)
	a.session, _ = t.GetString(claimSession) // these three may be absent
	a.context, _ = t.GetString(claimContext)
	a.began, _ = t.GetTime(claimBegan)
	return a, err
}

func seal(key signingKey, c claims) string {
	t := paseto.NewToken()
	c.actor.write(&t)
	t.SetString(claimOwner, c.Owner)
	t.SetString(claimDomain, c.Domain)
	t.SetIssuedAt(c.Issued)
	t.SetExpiration(c.Expires)
	t.SetFooter([]byte(key.id))
	return t.V4Encrypt(key.secret, nil)
}

var errForeign = errors.New("not a token of this house")

// unseal verifies a token whatever its time.
func (k keyring) unseal(token string) (claims, error) {
	t, keyID, err := k.open(token, maxToken, nil)
	if err != nil {
		return claims{}, err
	}
	c := claims{keyID: keyID}
	var errs [5]error
	c.actor, errs[0] = readActor(t)
	c.Owner, errs[1] = t.GetString(claimOwner)
	c.Domain, errs[2] = t.GetString(claimDomain)
	c.Issued, errs[3] = t.GetIssuedAt()
	c.Expires, errs[4] = t.GetExpiration()
	return c, errors.Join(errs[:]...)
}

// open decrypts what was encrypted for a purpose.
func (k keyring) open(token string, longest int, purpose []byte) (t *paseto.Token, keyID string, err error) {
	if len(token) > longest || !strings.HasPrefix(token, tokenPrefix) {
		return nil, "", errForeign
	}
	parser := paseto.MakeParser(nil)
	footer, err := parser.UnsafeParseFooter(paseto.V4Local, token)
	if err != nil {
		return nil, "", errForeign
	}
	key, ok := k.byID[string(footer)]
	if !ok {
		return nil, "", errForeign
	}
	if t, err = parser.ParseV4Local(key.secret, token, purpose); err != nil {
		return nil, "", errForeign
	}
	return t, key.id, nil
}

// signingKey is a catalog.SigningKey ready for use.
type signingKey struct {
	id          string
	secret      paseto.V4SymmetricKey
	created     time.Time
	retireAfter time.Time
}

// keyring holds the signing keys of one generation.
type keyring struct {
	newest signingKey // zero without keys
	byID   map[string]signingKey
}

// loadKeyring leaves out keys that cannot be used, such as one whose row is
// damaged: only the tokens signed with them are no good then.
func (s *Service) loadKeyring(tx *catalog.Tx) (keyring, error) {
	rows, err := tx.SigningKeys()
	if err != nil {
		return keyring{}, err
	}
	ring := keyring{byID: make(map[string]signingKey, len(rows))}
	var failed error
	for _, row := range rows {
		secret, err := paseto.V4SymmetricKeyFromBytes(row.Secret)
		if err = cmp.Or(row.Unreadable, err); err != nil {
			failed = errors.Join(failed, fmt.Errorf("signing key %s: %w", row.ID, err))
			if _, told := s.unusable.LoadOrStore(row.ID, true); !told {
				s.log.Error("a signing key cannot be used: the tokens signed with it are refused", slog.String("key", row.ID), slog.Any("error", err))
			}
			continue
		}
		ring.newest = signingKey{id: row.ID, secret: secret, created: row.Created, retireAfter: row.RetireAfter}
		ring.byID[row.ID] = ring.newest
	}
	if len(ring.byID) == 0 && failed != nil {
		return keyring{}, failed
	}
	return ring, nil
}

func (s *Service) keyring(ctx context.Context) (keyring, error) {
	return s.signers.Get(ctx, s.db, struct{}{}, s.loadKeyring)
}

// due tells whether the next token needs a new key.
func (k keyring) due(now time.Time) bool {
	return k.newest.id == "" || now.Sub(k.newest.created) >= rotateEvery
}

// signer is the key to sign with, made if there is none fit for it.
func (s *Service) signer(ctx context.Context) (signingKey, error) {
	ring, err := s.keyring(ctx)
	if err != nil {
		return signingKey{}, err
	}
	if ring.due(s.now()) {
		if _, err := s.rotate(ctx, false); err != nil {
			return signingKey{}, err
		}
		if ring, err = s.keyring(ctx); err != nil {
			return signingKey{}, err
		}
	}
	return ring.newest, nil
}

// RotateKeys has a new key sign from now on. Tokens signed before stay good
// until they expire; after that their key is deleted.
func (s *Service) RotateKeys(ctx context.Context) error {
	_, err := s.rotate(ctx, true)
	return err
}

// RotateKeysIfDue is RotateKeys when the signing key is 30 days old or there
// is none, and tells whether it was so. Call it from time to time.
func (s *Service) RotateKeysIfDue(ctx context.Context) (rotated bool, err error) {
	return s.rotate(ctx, false)
}

func (s *Service) rotate(ctx context.Context, always bool) (rotated bool, err error) {
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		rotated = false
		ring, err := s.loadKeyring(tx)
		if err != nil {
			return err
		}
		now := s.now().UTC()
		if !always && !ring.due(now) {
			return nil // another replica was faster
		}
		rotated = true
		if err := retire(tx, now); err != nil {
			return err
		}
		return tx.InsertSigningKey(catalog.SigningKey{
			ID: tx.NewID(), Secret: secret[:], Created: now, RetireAfter: now.Add(rotateEvery + outlive),
		})
	})
	if err != nil {
		return false, fmt.Errorf("rotate the signing keys: %w", err)
	}
	return rotated, nil
}

// retire lets the keys there are verify only as long as tokens need it, and
// deletes those that none needs.
func retire(tx *catalog.Tx, now time.Time) error {
	if err := tx.DeleteSigningKeys(now); err != nil {
		return err
	}
	return tx.LimitSigningKeys(now.Add(outlive))
}
