package identity_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/identity/oidctest"
	"packhouse/internal/outbound"
	"packhouse/internal/policy"
)

const subject = "repo:corp/app:ref:refs/heads/main"

// trust registers an issuer for the audience "packhouse".
func (h *house) trust(t testing.TB, i *oidctest.Issuer) catalog.OIDCProvider {
	t.Helper()
	return h.trustIn(t, account, i)
}

func (h *house) trustIn(t testing.TB, account string, i *oidctest.Issuer) catalog.OIDCProvider {
	t.Helper()
	p := catalog.OIDCProvider{
		Account: account, ARN: "arn:aws:iam::" + account + ":oidc-provider/" + identity.ProviderName(i.URL), ID: "OIDC" + account + i.URL,
		Issuer: i.URL, ClientIDs: []string{"packhouse", "other"},
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.InsertOIDCProvider(p) })
	return p
}

func (h *house) web(t testing.TB, token string) (identity.WebIdentity, identity.Caller, error) {
	t.Helper()
	w, c, err := h.WebIdentity(t.Context(), account, token, identity.Facts{Time: h.clock.now(), SourceIP: netip.MustParseAddr("192.0.2.7")})
	return w, c, err
}

// wantWeb compares the code of a refusal and looks for a text in it.
func wantWeb(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *identity.WebError
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) || !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestWebIdentity_GoodTokenOfEachAlgorithm(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "/realms/ci")
	p := h.trust(t, i)
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		claims := i.Claims([]string{"elsewhere", "packhouse"}, subject, h.clock.now())
		claims["amr"], claims["run"], claims["protected"], claims["nested"], claims["SUB"] = []any{"mfa", "otp"}, 7, true, map[string]any{"a": "b"}, "forged"
		w, c, err := h.web(t, i.Sign(t, algorithm, claims))
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		name := identity.ProviderName(i.URL)
		iat := fmt.Sprint(claims["iat"])
		want := map[string][]string{
			name + ":iss": {i.URL}, name + ":sub": {subject}, name + ":aud": {"elsewhere", "packhouse"}, name + ":amr": {"mfa", "otp"},
			name + ":run": {"7"}, name + ":protected": {"true"}, name + ":iat": {iat}, name + ":nbf": {iat}, name + ":exp": {fmt.Sprint(claims["exp"])},
		}
		if diff := cmp.Diff(want, w.Keys); diff != "" {
			t.Error(diff)
		}
		if w.Subject != subject || w.Audience != "packhouse" || w.Provider.ARN != p.ARN {
			t.Errorf("got %+v", w)
		}
		if c.Principal().Type != policy.Federated || c.ARN() != p.ARN || c.Account() != "" || c.Facts().Region != region {
			t.Errorf("the caller is %+v", c.Subject())
		}
		if diff := cmp.Diff(&identity.Federation{Provider: p.ARN, Keys: map[string][]string{
			name + ":sub": {subject}, name + ":aud": {"elsewhere", "packhouse"}, name + ":amr": {"mfa", "otp"},
		}}, w.Federation()); diff != "" {
			t.Error(diff)
		}
	}
	if n := i.Asked(oidctest.KeySet); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestWebIdentity_Refuses(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	stranger := oidctest.New(t, "")
	now := h.clock.now()
	with := func(name string, value any) string {
		return i.Token(t, "packhouse", subject, now, map[string]any{name: value})
	}
	good := i.Token(t, "packhouse", subject, now, nil)
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload, err := json.Marshal(i.Claims("packhouse", subject, now))
	if err != nil {
		t.Fatal(err)
	}
	seconds := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, c := range map[string]struct{ token, code, text string }{
		"not a token":               {"nonsense", identity.WebInvalid, "not a valid JWT"},
		"empty":                     {"", identity.WebInvalid, "not a valid JWT"},
		"JSON form":                 {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, identity.WebInvalid, "not a valid JWT"},
		"too long":                  {strings.Repeat("x", 20001), identity.WebInvalid, "longer than 20000"},
		"alg none":                  {encode(`{"alg":"none"}`) + "." + parts[1] + ".", identity.WebInvalid, "RS256, ES256 or EdDSA"},
		"alg none, signed":          {encode(`{"alg":"none","kid":"key-1"}`) + "." + parts[1] + "." + parts[2], identity.WebInvalid, "RS256, ES256 or EdDSA"},
		"HS256":                     {oidctest.Sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), i.Claims("packhouse", subject, now)), identity.WebInvalid, "RS256, ES256 or EdDSA"},
		"claims changed":            {parts[0] + "." + encode(strings.Replace(string(payload), "main", "evil", 1)) + "." + parts[2], identity.WebInvalid, "signature"},
		"no signature":              {parts[0] + "." + parts[1] + ".", identity.WebInvalid, ""},
		"key of another issuer":     {stranger.Sign(t, jose.RS256, i.Claims("packhouse", subject, now)), identity.WebInvalid, "signature"},
		"unknown key":               {oidctest.Sign(t, jose.RS256, jose.JSONWebKey{Key: mustRSA(t), KeyID: "none"}, i.Claims("packhouse", subject, now)), identity.WebInvalid, "no key none"},
		"key id of another alg":     {oidctest.Sign(t, jose.RS256, jose.JSONWebKey{Key: mustRSA(t), KeyID: "key-2"}, i.Claims("packhouse", subject, now)), identity.WebInvalid, "no key key-2"},
		"unknown issuer":            {stranger.Token(t, "packhouse", subject, now, nil), identity.WebInvalid, "No OpenIDConnect provider found in your account for " + stranger.URL},
		"issuer with a slash more":  {with("iss", i.URL+"/"), identity.WebInvalid, "No OpenIDConnect provider"},
		"claims are a list":         {sign(t, `[1]`), identity.WebInvalid, "not a JSON object"},
		"claims are null":           {sign(t, `null`), identity.WebInvalid, "not a JSON object"},
		"claim twice":               {sign(t, `{"iss":"a","iss":"b"}`), identity.WebInvalid, "not a JSON object"},
		"no issuer":                 {with("iss", nil), identity.WebInvalid, "claim: iss"},
		"no subject":                {with("sub", nil), identity.WebInvalid, "claim: sub"},
		"empty subject":             {with("sub", ""), identity.WebInvalid, "sub"},
		"subject is a number":       {with("sub", 7), identity.WebInvalid, "sub"},
		"no audience":               {with("aud", nil), identity.WebInvalid, "claim: aud"},
		"audience is a number":      {with("aud", 7), identity.WebInvalid, "aud"},
		"audiences none":            {with("aud", []string{}), identity.WebInvalid, "aud"},
		"another audience":          {with("aud", "somebody"), identity.WebInvalid, "Incorrect token audience: the token is for somebody"},
		"audience, part of one":     {with("aud", "pack"), identity.WebInvalid, "Incorrect token audience"},
		"no expiry":                 {with("exp", nil), identity.WebInvalid, "claim: exp"},
		"expiry is text":            {with("exp", "tomorrow"), identity.WebInvalid, "exp"},
		"expiry is beyond all time": {with("exp", 1e300), identity.WebInvalid, "exp"},
		"no time of issue":          {with("iat", nil), identity.WebInvalid, "claim: iat"},
		"not before is no time":     {with("nbf", true), identity.WebInvalid, "nbf"},
		"expired":                   {with("exp", seconds(-61*time.Second)), identity.WebExpired, "ask the issuer for a new one"},
		"from the future":           {with("iat", seconds(2*time.Minute)), identity.WebInvalid, "clocks"},
		"not good yet":              {with("nbf", seconds(2*time.Minute)), identity.WebInvalid, "clocks"},
		"tags are text":             {with("https://aws.amazon.com/tags", "x"), identity.WebInvalid, "tags"},
		"tags are transitive":       {with("https://aws.amazon.com/tags", map[string]any{"transitive_tag_keys": []string{"a"}}), identity.WebInvalid, "transitive"},
		"tag with two values":       {with("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"a": []string{"b", "c"}}}), identity.WebInvalid, "exactly one"},
	} {
		t.Run(name, func(t *testing.T) {
			w, caller, err := h.web(t, c.token)
			wantWeb(t, err, c.code, c.text)
			if w.Subject != "" || !caller.Anonymous() {
				t.Errorf("got %+v", w)
			}
			if strings.Contains(fmt.Sprint(err), parts[2]) {
				t.Error("the error repeats the signature")
			}
		})
	}
	if _, _, err := h.web(t, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if _, _, err := h.WebIdentity(t.Context(), "999999999999", good, identity.Facts{}); err == nil {
		t.Error("another account trusts the issuer too")
	}
}

func TestWebIdentity_SmallSkewIsForgiven(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	now := h.clock.now()
	for _, token := range []string{
		i.Token(t, "packhouse", subject, now.Add(50*time.Second), nil),
		i.Token(t, "other", subject, now, map[string]any{"exp": now.Add(-50 * time.Second).Unix()}),
		i.Token(t, "other", subject, now, map[string]any{"exp": float64(now.Add(time.Minute).Unix()) + 0.5, "nbf": nil}),
	} {
		if _, _, err := h.web(t, token); err != nil {
			t.Error(err)
		}
	}
}

func TestWebIdentity_Tags(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	w, _, err := h.web(t, i.Token(t, "packhouse", subject, h.clock.now(), map[string]any{
		"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}},
	}))
	if diff := cmp.Diff(map[string]string{"team": "red"}, w.Tags); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestWebIdentity_NewKeysAreFoundAndQuestionsAreBounded(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	token := func() string { return i.Token(t, "packhouse", subject, h.clock.now(), nil) }
	if _, _, err := h.web(t, token()); err != nil {
		t.Fatal(err)
	}
	i.AddKeys(t)
	_, _, err := h.web(t, token())
	wantWeb(t, err, identity.WebInvalid, "try again in 30 seconds")
	h.clock.advance(31 * time.Second)
	for range 20 { // junk must not make the issuer be asked more than once
		junk := oidctest.Sign(t, jose.ES256, jose.JSONWebKey{Key: mustEC(t), KeyID: "junk"}, i.Claims("packhouse", subject, h.clock.now()))
		_, _, err := h.web(t, junk)
		wantWeb(t, err, identity.WebInvalid, "no key junk")
	}
	if _, _, err := h.web(t, token()); err != nil {
		t.Error(err)
	}
	if n := i.Asked(oidctest.KeySet); n != 2 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestWebIdentity_NothingIsAskedForTokensThatAreNoGoodAnyway(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	now := h.clock.now()
	for _, token := range []string{
		i.Token(t, "somebody", subject, now, nil), i.Token(t, "packhouse", subject, now.Add(-time.Hour), nil),
		oidctest.New(t, "").Token(t, "packhouse", subject, now, nil), "x.y.z",
	} {
		if _, _, err := h.web(t, token); err == nil {
			t.Error("it is good")
		}
	}
	if n := i.Asked(oidctest.Discovery); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestWebIdentity_CallersAtOnceShareAQuestion(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	token := i.Token(t, "packhouse", subject, h.clock.now(), nil)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, _, err := h.WebIdentity(t.Context(), account, token, identity.Facts{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := i.Asked(oidctest.KeySet); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestWebIdentity_IssuerThatFails(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	token := func() string { return i.Token(t, "packhouse", subject, h.clock.now(), nil) }
	gone := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }
	i.Override(oidctest.Discovery, gone)
	for range 3 {
		_, _, err := h.web(t, token())
		wantWeb(t, err, identity.WebUnreachable, "answered 403")
	}
	if n := i.Asked(oidctest.Discovery); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	i.Override(oidctest.Discovery, nil)
	h.clock.advance(31 * time.Second)
	if _, _, err := h.web(t, token()); err != nil {
		t.Fatal(err)
	}
	i.Override(oidctest.Discovery, gone) // what is known serves on, for a day
	for _, later := range []time.Duration{2 * time.Hour, 21 * time.Hour} {
		h.clock.advance(later)
		if _, _, err := h.web(t, token()); err != nil {
			t.Errorf("after %v: %v", later, err)
		}
	}
	h.clock.advance(2 * time.Hour)
	_, _, err := h.web(t, token())
	wantWeb(t, err, identity.WebUnreachable, "answered 403")
}

// tenant is an account that is not the operator's.
const tenant = "222222222222"

func TestWebIdentity_IssuerOfAnotherAccountOnALocalAddressIsNotAsked(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	h.trustIn(t, tenant, i)
	token := i.Token(t, "packhouse", subject, h.clock.now(), nil)
	refused := func() {
		t.Helper()
		_, _, err := h.WebIdentity(t.Context(), tenant, token, identity.Facts{})
		wantWeb(t, err, identity.WebUnreachable, "allow-outbound")
		if text := fault.Message(err); strings.Contains(text, "not public") || !strings.Contains(text, "cannot be reached") {
			t.Errorf("it tells what is there: %s", text)
		}
	}
	refused()
	if n := i.Asked(oidctest.Discovery); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	if _, _, err := h.web(t, token); err != nil {
		t.Errorf("the operator's account: %v", err)
	}
	h.clock.advance(31 * time.Second)
	refused() // the keys that the other account has are not for this one
}

func TestWebIdentity_IssuerOfAnotherAccountThatIsAllowed(t *testing.T) {
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	h, good, bad := newHouse(t, identity.Options{Outbound: client}), oidctest.New(t, ""), oidctest.New(t, "")
	h.trustIn(t, tenant, good)
	h.trustIn(t, tenant, bad)
	if _, _, err := h.WebIdentity(t.Context(), tenant, good.Token(t, "packhouse", subject, h.clock.now(), nil), identity.Facts{}); err != nil {
		t.Error(err)
	}
	bad.Override(oidctest.Discovery, http.NotFound)
	_, _, err = h.WebIdentity(t.Context(), tenant, bad.Token(t, "packhouse", subject, h.clock.now(), nil), identity.Facts{})
	wantWeb(t, err, identity.WebUnreachable, "cannot be reached")
	if text := fault.Message(err); strings.Contains(text, "404") {
		t.Errorf("it tells what was answered: %s", text)
	}
}

func TestWebIdentity_KeysOfTheDayAreAskedForEveryHour(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	h.trust(t, i)
	for range 3 {
		if _, _, err := h.web(t, i.Token(t, "packhouse", subject, h.clock.now(), nil)); err != nil {
			t.Fatal(err)
		}
		h.clock.advance(40 * time.Minute)
	}
	if n := i.Asked(oidctest.KeySet); n != 2 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestWebIdentity_DocumentsThatAreWrong(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	elsewhere := httptest.NewServer(text(`{"keys":[]}`))
	t.Cleanup(elsewhere.Close)
	short, err := json.Marshal(map[string]any{"keys": []any{jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "key-1", Algorithm: "HS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		discovery, keys http.HandlerFunc
		want            string
	}{
		"no JSON":                   {text("<html>"), nil, "not the JSON"},
		"too large":                 {text(`{"x":"` + strings.Repeat("x", 600<<10) + `"}`), nil, "more than the limit"},
		"another issuer":            {text(`{"issuer":"https://other.test","jwks_uri":"https://other.test/keys"}`), nil, "https://other.test"},
		"no keys in it":             {nil, text(`{"keys":[]}`), "there is none"},
		"a shared secret":           {nil, text(string(short)), "there is none"},
		"keys are missing":          {nil, http.NotFound, "answered 404"},
		"led to a private address":  {nil, http.RedirectHandler(strings.Replace(elsewhere.URL, "127.0.0.1", "127.0.0.2", 1), http.StatusFound).ServeHTTP, "not public"},
		"discovery led to the same": {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, nil, "not public"},
	} {
		t.Run(name, func(t *testing.T) {
			h, i := newHouse(t), oidctest.New(t, "")
			h.trust(t, i)
			i.Override(oidctest.Discovery, c.discovery)
			i.Override(oidctest.KeySet, c.keys)
			_, _, err := h.web(t, i.Token(t, "packhouse", subject, h.clock.now(), nil))
			wantWeb(t, err, identity.WebUnreachable, c.want)
		})
	}
}

func TestWebIdentity_ProviderThatIsRemovedIsOutAtOnce(t *testing.T) {
	h, i := newHouse(t), oidctest.New(t, "")
	p := h.trust(t, i)
	token := i.Token(t, "packhouse", subject, h.clock.now(), nil)
	if _, _, err := h.web(t, token); err != nil {
		t.Fatal(err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.DeleteOIDCProvider(p) })
	_, _, err := h.web(t, token)
	wantWeb(t, err, identity.WebInvalid, "No OpenIDConnect provider")
}

func TestCheckIssuer(t *testing.T) {
	for issuer, ok := range map[string]bool{
		"https://issuer.test": true, "https://issuer.test/": true, "https://issuer.test/realms/ci": true, "https://issuer.test:8443": true,
		"https://gitlab/x": true, "http://127.0.0.1:80": true, "http://localhost": true, "http://[::1]:1/x": true,
		"http://issuer.test": false, "http://10.0.0.1": false, "ftp://issuer.test": false, "issuer.test": false, "https://": false, "https:///x": false,
		"https://u@issuer.test": false, "https://u:p@issuer.test": false, "https://issuer.test?x=1": false, "https://issuer.test?": false, "https://issuer.test#": false,
		"https://aws": false, "https://sts": false, "https://issuer.test/a b": false, "HTTPS://issuer.test": false, "": false, "https://%zz": false,
	} {
		if err := identity.CheckIssuer(issuer); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

func FuzzWebIdentity(f *testing.F) {
	h, i := newHouse(f), oidctest.New(f, "")
	h.trust(f, i)
	good := i.Token(f, "packhouse", subject, h.clock.now(), nil)
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(i.Token(f, []any{"packhouse", 1, nil}, subject, h.clock.now(), nil))
	f.Add(sign(f, `{"iss":1e999,"sub":"\ud800"}`))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		w, _, err := h.WebIdentity(t.Context(), account, token, identity.Facts{})
		if err == nil && w.Subject != subject {
			t.Errorf("%q is %s", token, w.Subject)
		}
		var refused *identity.WebError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
