package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
	"packhouse/internal/flight"
	"packhouse/internal/outbound"
)

// How the keys of issuers are kept.
const (
	keysFresh   = time.Hour        // not asked for again that long, unless a token names an unknown one
	keysStale   = 24 * time.Hour   // good that long when the issuer cannot be asked
	keysAgain   = 30 * time.Second // between two questions to one issuer, however many tokens come
	fetchTime   = 10 * time.Second // for both documents
	maxDocument = 512 << 10        // bytes of either
	maxIssuers  = 1024             // remembered; when there are more all are forgotten
	maxKeys     = 100              // of one issuer
	minRSA      = 2048             // bits
	maxRSA      = 8192             // bits: larger ones only cost time
)

const discoveryPath = ".well-known/openid-configuration" // OpenID Connect Discovery 1.0, section 4

// issuers has the keys of the issuers that accounts trust.
type issuers struct {
	outbound *outbound.Client
	flights  flight.Group[issuer, *issuerKeys]

	mu    sync.Mutex
	known map[issuer]*issuerKeys
}

// issuer is an issuer as an account has registered it. What is known of it is
// not shared by accounts that differ in what they may have the server ask.
type issuer struct {
	address string
	// guarded is for accounts other than the operator's: their administrators
	// must not learn through us what is on our networks. So the address is one
	// for anybody, and of a failure they are told no more than that it was one.
	guarded bool
}

// issuerKeys is what is known of one issuer. It never changes.
type issuerKeys struct {
	keys    []jose.JSONWebKey // public ones for signatures
	fetched time.Time         // when they came; zero: never
	asked   time.Time         // when the issuer was asked last
	failure error             // of the last question; nil: it was answered
}

func newIssuers(client *outbound.Client) *issuers {
	return &issuers{outbound: client, flights: flight.Group[issuer, *issuerKeys]{Timeout: fetchTime}, known: map[issuer]*issuerKeys{}}
}

// verify checks the signature of a token of an issuer.
func (i *issuers) verify(ctx context.Context, from issuer, t *webToken, now func() time.Time) error {
	at := now()
	known := i.get(from)
	if known == nil || at.Sub(known.fetched) >= keysFresh || len(known.fitting(t)) == 0 {
		var err error
		if known, err = i.refresh(ctx, from, now); err != nil {
			return err
		}
	}
	if known.fetched.IsZero() || at.Sub(known.fetched) >= keysStale {
		return from.unreachable(known)
	}
	fitting := known.fitting(t)
	if len(fitting) == 0 {
		return badToken("Couldn't retrieve verification key from your identity provider: %s has no key %s for this token; "+
			"when it is new, try again in %d seconds", from.address, clip(t.keyID()), int(keysAgain/time.Second))
	}
	for _, key := range fitting {
		if _, err := t.signed.Verify(key.Key); err == nil {
			return nil
		}
	}
	return badToken("The signature of the ID Token is not that of %s", from.address)
}

// unreachable is the error of a question that has failed.
func (i issuer) unreachable(known *issuerKeys) error {
	why := fault.Message(known.failure) + ". The server has to reach that address"
	if i.guarded {
		why = "it cannot be reached. For this account the server asks public addresses only, and those that the setting allow-outbound has"
	}
	return &WebError{
		Code: WebUnreachable, cause: known.failure,
		Message: fmt.Sprintf("The keys of %s cannot be had: %s; the issuer is asked again after %s",
			i.address, why, known.asked.Add(keysAgain).UTC().Format(time.RFC3339)),
	}
}

func (i *issuers) get(from issuer) *issuerKeys {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known[from]
}

// refresh asks an issuer for its keys, unless it was asked just before. Callers
// that come at once share the question.
func (i *issuers) refresh(ctx context.Context, from issuer, now func() time.Time) (*issuerKeys, error) {
	recent := func() (*issuerKeys, bool) {
		known := i.get(from)
		return known, known != nil && now().Sub(known.asked) < keysAgain
	}
	if known, ok := recent(); ok {
		return known, nil
	}
	return i.flights.Do(ctx, from, func(ctx context.Context) (*issuerKeys, error) {
		before, ok := recent()
		if ok {
			return before, nil
		}
		next := &issuerKeys{asked: now()}
		keys, err := i.fetch(ctx, from)
		switch {
		case err == nil:
			next.keys, next.fetched = keys, next.asked
		case before != nil:
			next.keys, next.fetched, next.failure = before.keys, before.fetched, err
		default:
			next.failure = err
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		if len(i.known) >= maxIssuers {
			clear(i.known)
		}
		i.known[from] = next
		return next, nil
	})
}

// fetch reads the discovery document and the keys it names. The host of the
// issuer is trusted unless it is guarded; others have to be public ones.
func (i *issuers) fetch(ctx context.Context, from issuer) ([]jose.JSONWebKey, error) {
	base, err := url.Parse(from.address)
	if err != nil {
		return nil, fault.New(fault.Upstream, "its address cannot be read")
	}
	options := outbound.RemoteOptions{Name: base.Host}
	if from.guarded {
		options = outbound.RemoteOptions{Name: "issuer", Untrusted: true} // anybody could fill the metrics with names
	}
	remote, err := i.outbound.Remote(base, options)
	if err != nil {
		return nil, fault.New(fault.Upstream, "its address is %w", err)
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := document(ctx, remote, discoveryPath, &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != from.address {
		return nil, fault.New(fault.Upstream, "%s says that the issuer is %s; register that one", discoveryPath, clip(discovery.Issuer))
	}
	at, err := url.Parse(discovery.Keys)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != base.Scheme {
		return nil, fault.New(fault.Upstream, "the jwks_uri of %s is not an https address", discoveryPath)
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := document(ctx, remote, discovery.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fault.New(fault.Upstream, "there are %d of them, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err == nil && usable(key) { // others are for other purposes
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Upstream, "there is none for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// document reads a JSON document.
func document(ctx context.Context, remote *outbound.Remote, address string, to any) error {
	res, err := remote.Get(ctx, address, maxDocument)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fault.Wrap(fault.Upstream, err, "%s is not the JSON it should be", address)
	}
	return nil
}

// usable tells whether a key can be of a signature we take.
func usable(key jose.JSONWebKey) bool {
	return (key.Use == "" || key.Use == "sig") && algorithmOf(key) != "" && (key.Algorithm == "" || key.Algorithm == string(algorithmOf(key)))
}

// algorithmOf is the signature that a key is for; empty: none we take.
func algorithmOf(key jose.JSONWebKey) jose.SignatureAlgorithm {
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSA && bits <= maxRSA {
			return jose.RS256
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jose.ES256
		}
	case ed25519.PublicKey:
		return jose.EdDSA
	}
	return ""
}

func (t *webToken) keyID() string { return t.signed.Signatures[0].Protected.KeyID }

// fitting are the keys a token may be signed with: those of its algorithm with
// the id that it names, if it names one.
func (k *issuerKeys) fitting(t *webToken) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	head := t.signed.Signatures[0].Protected
	for _, key := range k.keys {
		if string(algorithmOf(key)) == head.Algorithm && (head.KeyID == "" || head.KeyID == key.KeyID) {
			found = append(found, key)
		}
	}
	return found
}

// CheckIssuer refuses what cannot be the address of an issuer. It is https,
// except on this machine itself; a query, a fragment or a user make it none.
// So does a host that could be taken for a service: the keys of conditions
// begin with it, and "aws:SourceIp" must not be a claim.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.String() != issuer:
		return errors.New("want an address like https://issuer.example.test/path")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#"):
		return errors.New("want an address without user, query and fragment")
	case !strings.ContainsAny(ProviderName(issuer), ".:/") && !isLoopback(u.Hostname()):
		return errors.New("the host has to be a full name, with a dot")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the address has to begin with https://")
}

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}
