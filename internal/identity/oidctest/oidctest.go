// Package oidctest is an OpenID Connect issuer on loopback, as CI services have
// one, for tests.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer signs tokens and serves what is needed to verify them.
type Issuer struct {
	URL    string // as in the claim iss
	server *httptest.Server

	mu       sync.Mutex
	keys     []jose.JSONWebKey // private
	asked    map[string]int    // requests by path
	override map[string]http.HandlerFunc
	made     int
}

// New starts an issuer with an RS256, an ES256 and an EdDSA key. path is that of
// its address, as in "/realms/ci"; it may be empty.
func New(t testing.TB, path string) *Issuer {
	t.Helper()
	i := &Issuer{asked: map[string]int{}, override: map[string]http.HandlerFunc{}}
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL + path
	i.AddKeys(t)
	return i
}

// The paths below the address of an issuer.
const (
	Discovery = "/.well-known/openid-configuration"
	KeySet    = "/keys"
)

// AddKeys makes a key of each kind; new tokens are signed with them.
func (i *Issuer) AddKeys(t testing.TB) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range []struct {
		key       crypto.Signer
		algorithm jose.SignatureAlgorithm
	}{{rsaKey, jose.RS256}, {ecKey, jose.ES256}, {edKey, jose.EdDSA}} {
		i.made++
		i.keys = append(i.keys, jose.JSONWebKey{Key: k.key, KeyID: fmt.Sprint("key-", i.made), Algorithm: string(k.algorithm), Use: "sig"})
	}
}

// Override has a path below the address answered otherwise; nil undoes it.
func (i *Issuer) Override(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.override[path] = h
}

// Asked is how often a path below the address was asked for.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[min(len(r.URL.Path), len(i.URL)-len(i.server.URL)):]
	i.mu.Lock()
	i.asked[path]++
	other := i.override[path]
	set := jose.JSONWebKeySet{}
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	i.mu.Unlock()
	switch {
	case other != nil:
		other(w, r)
	case path == Discovery:
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + KeySet}) // the test notices
	case path == KeySet:
		_ = json.NewEncoder(w).Encode(set) // the test notices
	default:
		http.NotFound(w, r)
	}
}

// Claims are those of a good token for an audience and a subject.
func (i *Issuer) Claims(audience any, subject string, now time.Time) map[string]any {
	return map[string]any{
		"iss": i.URL, "aud": audience, "sub": subject,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// Token is a token with the claims of Claims and more, signed with RS256.
func (i *Issuer) Token(t testing.TB, audience any, subject string, now time.Time, more map[string]any) string {
	t.Helper()
	claims := i.Claims(audience, subject, now)
	maps.Copy(claims, more)
	return i.Sign(t, jose.RS256, claims)
}

// Sign signs claims with the newest key of an algorithm. A nil claim is left
// out.
func (i *Issuer) Sign(t testing.TB, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	i.mu.Lock()
	var key jose.JSONWebKey
	for _, k := range i.keys {
		if k.Algorithm == string(algorithm) {
			key = k
		}
	}
	i.mu.Unlock()
	return Sign(t, algorithm, key, claims)
}

// Sign signs claims with any key that jose takes.
func Sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]any{}
	for name, value := range claims {
		if value != nil {
			kept[name] = value
		}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
