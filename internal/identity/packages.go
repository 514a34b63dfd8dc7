package identity

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"packhouse/internal/fault"
)

// AuthenticatePackages tells who sends a request to a package endpoint
// (section 5): the holder of a token, or nobody in particular when there is no
// Authorization header. Credentials that are there must be good: else
// fault.Unauthenticated, whose text tells expired from invalid and says what
// to do. Which domain a token is for is checked with the permissions.
func (s *Service) AuthenticatePackages(r *http.Request) (Caller, error) {
	now := s.now()
	headers := r.Header["Authorization"]
	if len(headers) == 0 || len(headers) == 1 && headers[0] == "" {
		return s.caller(nil, r, now), nil
	}
	if len(headers) > 1 {
		return Caller{}, refused("the request has more than one Authorization header")
	}
	generation := s.db.Generation() // before anything is read
	a, ok := s.tokens.get(headers[0])
	if !ok || a.generation != generation {
		var err error
		if a, err = s.admit(r.Context(), headers[0], a, generation); err != nil {
			return Caller{}, err
		}
	}
	if err := a.claims.current(now); err != nil {
		s.tokens.remove(headers[0])
		return Caller{}, err
	}
	return s.caller(a.subject, r, now), nil
}

// admitted is a token that was found good in a generation. It never changes.
type admitted struct {
	generation uint64
	claims     claims
	subject    *Subject
}

// admit verifies what the header holds and remembers the outcome if it is
// good. known is what an earlier generation found, or nil.
func (s *Service) admit(ctx context.Context, header string, known *admitted, generation uint64) (*admitted, error) {
	ring, err := s.keyring(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the signing keys: %w", err)
	}
	a := &admitted{generation: generation}
	if known != nil {
		a.claims = known.claims
	} else {
		token, err := presented(header)
		if err != nil {
			return nil, err
		}
		if a.claims, err = ring.unseal(token); err != nil {
			return nil, refused("the token is invalid: this server did not issue it, or it has been cut or changed")
		}
	}
	if err := a.claims.current(s.now()); err != nil {
		return nil, err
	}
	// The key is asked for again: it may have been deleted since.
	if key, ok := ring.byID[a.claims.keyID]; !ok || s.now().After(key.retireAfter) {
		return nil, refused("the token is invalid: the key that signed it has been retired")
	}
	subject, err := s.subject(ctx, a.claims.actor)
	switch {
	case fault.Is(err, fault.NotFound):
		s.tokens.remove(header)
		return nil, refused("the token is invalid: its user or role has been deleted")
	case err != nil:
		return nil, fmt.Errorf("look up the token's user: %w", err)
	}
	subject.Token = a.claims.Token
	a.subject = subject
	s.tokens.put(header, a)
	return a, nil
}

// maxTokens bounds the headers remembered; one takes about 1 KB.
const maxTokens = 4096

// tokenCache remembers good Authorization headers. The text itself is the key:
// that is compared whole, so that no collision can let anybody in, while a hash
// strong enough to stand for it would cost as much as all else on the way
// (SHA-256: 0.4 us). Only good headers come in, and maps of strings have secret
// seeds, so neither size nor timing can be played with from outside.
//
// It has two halves. When the young one is full it becomes the old one, and
// what nobody has used since is forgotten.
type tokenCache struct {
	mu         sync.RWMutex
	young, old map[string]*admitted
}

func (c *tokenCache) get(header string) (*admitted, bool) {
	c.mu.RLock()
	a, ok := c.young[header]
	if ok {
		c.mu.RUnlock()
		return a, true
	}
	a, ok = c.old[header]
	c.mu.RUnlock()
	if ok {
		c.put(header, a)
	}
	return a, ok
}

func (c *tokenCache) put(header string, a *admitted) {
	header = strings.Clone(header) // do not hold on to the whole request
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[header]; !ok && len(c.young) >= maxTokens/2 || c.young == nil {
		c.young, c.old = make(map[string]*admitted), c.young
	}
	c.young[header] = a
}

func (c *tokenCache) remove(header string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, header)
	delete(c.old, header)
}
