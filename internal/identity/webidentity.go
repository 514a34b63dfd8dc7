package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/policy"
)

const (
	maxWebToken = 20000       // bytes; STS takes no longer ones
	webSkew     = time.Minute // by which the clocks of issuers may differ from ours
)

// signatures are those that tokens of issuers may have. A shared secret (HS256)
// is none we could have, and "none" is none at all.
var signatures = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// WebError is why a web identity was refused, with the code STS has for it.
// Its chain holds a fault.Error of kind Invalid with the same message.
type WebError struct {
	Code    string // InvalidIdentityToken, ExpiredTokenException or IDPCommunicationError
	Message string // safe to show
	cause   error
}

// The codes of WebError.
const (
	WebInvalid     = "InvalidIdentityToken"
	WebExpired     = "ExpiredTokenException"
	WebUnreachable = "IDPCommunicationError"
)

// Error is the code and the message.
func (e *WebError) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap classifies the error.
func (e *WebError) Unwrap() error {
	return &fault.Error{Kind: fault.Invalid, Message: e.Message, Cause: e.cause}
}

func badToken(format string, args ...any) error {
	return &WebError{Code: WebInvalid, Message: fmt.Sprintf(format, args...)}
}

// WebIdentity is somebody whom an issuer vouches for.
type WebIdentity struct {
	Provider catalog.OIDCProvider
	Subject  string
	Audience string              // the client id the token is for
	Tags     map[string]string   // for the session
	Keys     map[string][]string // condition keys: HOST/PATH:CLAIM, with the text of the claim
}

// ProviderName is the part of a provider's ARN that names the issuer, and what
// its condition keys begin with: the address without its scheme.
func ProviderName(issuer string) string {
	_, name, _ := strings.Cut(issuer, "://")
	return name
}

// Caller is the identity as the caller of one request.
func (w *WebIdentity) caller() *Subject {
	return &Subject{Principal: policy.Principal{Type: policy.Federated, ARN: w.Provider.ARN, UserID: w.Provider.ARN + ":" + w.Audience + ":" + w.Subject}}
}

// WebIdentity verifies a token of an issuer that an account trusts, and gives
// who it is for as the caller of a request of these facts. Whoever that is has
// no rights but those a trust policy gives. Errors are *WebError.
//
// Nothing is asked of an issuer before all has been checked that can be without
// its keys, and then at most every keysAgain: callers need no credentials.
func (s *Service) WebIdentity(ctx context.Context, account, token string, f Facts) (WebIdentity, Caller, error) {
	parsed, err := parseWebToken(token)
	if err != nil {
		return WebIdentity{}, Caller{}, err
	}
	provider, err := s.provider(ctx, account, parsed.issuer)
	if err != nil {
		return WebIdentity{}, Caller{}, err
	}
	audience, err := parsed.check(provider, s.now())
	if err != nil {
		return WebIdentity{}, Caller{}, err
	}
	from := issuer{address: provider.Issuer, guarded: provider.Account != s.account}
	if err := s.issuers.verify(ctx, from, parsed, s.now); err != nil {
		return WebIdentity{}, Caller{}, err
	}
	w := WebIdentity{Provider: provider, Subject: parsed.subject, Audience: audience}
	if w.Tags, err = parsed.tags(); err != nil {
		return WebIdentity{}, Caller{}, err
	}
	w.Keys = parsed.keys(ProviderName(provider.Issuer))
	f.Region = s.region
	return w, NewCaller(w.caller(), f), nil
}

// provider finds whom an account trusts for an issuer.
func (s *Service) provider(ctx context.Context, account, issuer string) (catalog.OIDCProvider, error) {
	known, err := s.providers.Get(ctx, s.db, account, func(tx *catalog.Tx) ([]catalog.OIDCProvider, error) { return tx.OIDCProviders(account) })
	if err != nil {
		return catalog.OIDCProvider{}, fmt.Errorf("look up the providers of an account: %w", err)
	}
	for _, p := range known {
		if p.Issuer == issuer {
			return p, nil
		}
	}
	return catalog.OIDCProvider{}, badToken("No OpenIDConnect provider found in your account for %s: the address has to be that of the provider to the letter; "+
		"aws iam create-open-id-connect-provider makes one", clip(issuer))
}

// clip keeps what is repeated of a token short.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// webToken is a token as it reads, before it is verified.
type webToken struct {
	signed    *jose.JSONWebSignature
	issuer    string
	subject   string
	audiences []string
	expires   time.Time
	issued    time.Time
	notBefore time.Time // zero: not said
	claims    map[string]jsontext.Value
}

// parseWebToken reads a token of the compact form (RFC 7519).
func parseWebToken(token string) (*webToken, error) {
	if len(token) > maxWebToken {
		return nil, badToken("The ID Token is longer than %d characters", maxWebToken)
	}
	signed, err := jose.ParseSignedCompact(strings.TrimSpace(token), signatures) // files of tokens end with a new line
	if _, algorithm := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); algorithm {
		return nil, badToken("The ID Token is not signed with RS256, ES256 or EdDSA; have the issuer use one of them")
	}
	if err != nil || len(signed.Signatures) != 1 {
		return nil, badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	t := &webToken{signed: signed}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &t.claims); err != nil || t.claims == nil {
		return nil, badToken("The ID Token provided is not a valid JWT: its claims are not a JSON object")
	}
	for _, claim := range []struct {
		name string
		read func(name string) error
	}{
		{"iss", func(name string) error { return t.text(name, &t.issuer) }},
		{"sub", func(name string) error { return t.text(name, &t.subject) }},
		{"aud", t.readAudiences},
		{"exp", func(name string) error { return t.moment(name, &t.expires) }},
		{"iat", func(name string) error { return t.moment(name, &t.issued) }},
	} {
		if _, ok := t.claims[claim.name]; !ok {
			return nil, badToken("Missing a required claim: %s", claim.name)
		}
		if err := claim.read(claim.name); err != nil {
			return nil, err
		}
	}
	if _, ok := t.claims["nbf"]; ok {
		if err := t.moment("nbf", &t.notBefore); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *webToken) text(name string, to *string) error {
	if err := json.Unmarshal(t.claims[name], to); err != nil || *to == "" {
		return badToken("The claim %s of the ID Token is not text", name)
	}
	return nil
}

// moment reads a NumericDate: seconds, maybe with a fraction.
func (t *webToken) moment(name string, to *time.Time) error {
	var seconds float64
	if err := json.Unmarshal(t.claims[name], &seconds); err != nil || seconds < 0 || seconds > maxMoment {
		return badToken("The claim %s of the ID Token is not a time", name)
	}
	*to = time.Unix(int64(seconds), 0).UTC()
	return nil
}

const maxMoment = 1 << 40 // seconds since 1970: far enough

func (t *webToken) readAudiences(name string) error {
	if t.claims[name].Kind() == '"' {
		t.audiences = make([]string, 1)
		return t.text(name, &t.audiences[0])
	}
	if err := json.Unmarshal(t.claims[name], &t.audiences); err != nil || len(t.audiences) == 0 {
		return badToken("The claim %s of the ID Token is neither text nor a list of texts", name)
	}
	return nil
}

// check is all that can be said against a token without the keys of its
// issuer; it gives the client id that the token is for. Of the provider no more
// is told than the token says itself.
func (t *webToken) check(p catalog.OIDCProvider, now time.Time) (audience string, err error) {
	i := slices.IndexFunc(t.audiences, func(a string) bool { return slices.Contains(p.ClientIDs, a) })
	switch {
	case i < 0:
		return "", badToken("Incorrect token audience: the token is for %s; have the issuer name a client id of the provider, "+
			"or add this one: aws iam add-client-id-to-open-id-connect-provider", clip(strings.Join(t.audiences, ", ")))
	case !now.Before(t.expires.Add(webSkew)):
		return "", &WebError{Code: WebExpired, Message: fmt.Sprintf("Token expired: current date/time %s must be before the expiration date/time %s; ask the issuer for a new one",
			now.UTC().Format(time.RFC3339), t.expires.Format(time.RFC3339))}
	case t.issued.After(now.Add(webSkew)):
		return "", badToken("The ID Token was issued at %s, which is in the future; check the clocks of the issuer and of this server", t.issued.Format(time.RFC3339))
	case t.notBefore.After(now.Add(webSkew)):
		return "", badToken("The ID Token is not good before %s; check the clocks of the issuer and of this server", t.notBefore.Format(time.RFC3339))
	}
	return t.audiences[i], nil
}

// keys are the condition keys of a token: its claims that are text, numbers,
// truth values, or lists of these. Keys have no case, claims do: of claims that
// differ in case alone the one in lower case counts, which is how the standard
// ones are written, else none.
func (t *webToken) keys(name string) map[string][]string {
	folded := map[string][]string{}
	for claim := range t.claims {
		folded[strings.ToLower(claim)] = append(folded[strings.ToLower(claim)], claim)
	}
	keys := map[string][]string{}
	for lower, spellings := range folded {
		claim := spellings[0]
		if len(spellings) > 1 {
			if !slices.Contains(spellings, lower) {
				continue
			}
			claim = lower
		}
		if values := claimTexts(t.claims[claim]); len(values) > 0 {
			keys[name+":"+claim] = values
		}
	}
	return keys
}

// claimTexts are the values of a claim as conditions see them.
func claimTexts(v jsontext.Value) []string {
	switch v.Kind() {
	case '[':
		var list []jsontext.Value
		if json.Unmarshal(v, &list) != nil {
			return nil
		}
		var all []string
		for _, item := range list {
			if item.Kind() != '[' {
				all = append(all, claimTexts(item)...)
			}
		}
		return all
	case '"':
		var text string
		if json.Unmarshal(v, &text) != nil {
			return nil
		}
		return []string{text}
	case '0', 't', 'f':
		return []string{string(v)}
	default:
		return nil
	}
}

// tagsClaim is what issuers put tags for the session into, as AWS reads them.
const tagsClaim = "https://aws.amazon.com/tags"

func (t *webToken) tags() (map[string]string, error) {
	v, ok := t.claims[tagsClaim]
	if !ok {
		return nil, nil //nolint:nilnil // no tags
	}
	var given struct {
		Tags       map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	}
	if err := json.Unmarshal(v, &given); err != nil {
		return nil, badToken("The claim %s of the ID Token cannot be read", tagsClaim)
	}
	if len(given.Transitive) > 0 {
		return nil, badToken("The claim %s of the ID Token has transitive_tag_keys, which this server does not support", tagsClaim)
	}
	tags := make(map[string]string, len(given.Tags))
	for key, values := range given.Tags {
		if len(values) != 1 {
			return nil, badToken("The claim %s of the ID Token has not exactly one value for a tag", tagsClaim)
		}
		tags[key] = values[0]
	}
	return tags, nil
}

// Federation is what remains of a web identity in its session: conditions may
// ask for it.
type Federation struct {
	Provider string              `json:"provider"` // ARN
	Keys     map[string][]string `json:"keys"`
}

// Federation keeps of the claims those that AWS keeps too.
func (w *WebIdentity) Federation() *Federation {
	f := &Federation{Provider: w.Provider.ARN, Keys: map[string][]string{}}
	name := ProviderName(w.Provider.Issuer)
	for _, claim := range []string{"aud", "sub", "amr"} {
		if values, ok := w.Keys[name+":"+claim]; ok {
			f.Keys[name+":"+claim] = values
		}
	}
	return f
}

// facts are the condition keys of a session, in lower case.
func (f *Federation) facts() map[string][]string {
	keys := make(map[string][]string, len(f.Keys)+1)
	for key, values := range f.Keys {
		keys[strings.ToLower(key)] = values
	}
	keys["aws:federatedprovider"] = []string{f.Provider}
	return keys
}
