package identity_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
)

func basic(userinfo string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
}

func TestAuthenticatePackages_Forms(t *testing.T) {
	h := newHouse(t)
	token := h.token(t)
	for _, c := range []struct{ name, header string }{
		{"bearer", "Bearer " + token},
		{"bearer in lower case", "bearer " + token},
		{"basic as aws", basic("aws:" + token)},
		{"basic as token", basic("token:" + token)},
		{"basic without a user", basic(":" + token)},
		{"basic without padding", strings.TrimRight(basic("aws:"+token), "=")},
		{"raw", token},
		{"raw with the newline of a provider", token + "\n"},
		{"bearer with blanks", "Bearer   " + token + " "},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second is remembered
				caller, err := h.AuthenticatePackages(packageRequest(c.header))
				if err != nil {
					t.Fatal(err)
				}
				owner, name, limited := caller.Scope()
				got := []any{caller.ARN(), owner, name, limited, caller.Facts().SourceIP.String(), caller.Facts().UserAgent}
				want := []any{"arn:aws:iam::123456789012:user/admin", account, domain, true, "192.0.2.7", "npm/11.0.0"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAuthenticatePackages_NothingIsAnonymous(t *testing.T) {
	h := newHouse(t)
	for _, headers := range [][]string{nil, {""}} {
		caller, err := h.AuthenticatePackages(packageRequest(headers...))
		if err != nil {
			t.Fatal(err)
		}
		if !caller.Anonymous() || caller.Account() != "" || caller.Name() != "anonymous" || !caller.Facts().SourceIP.IsValid() {
			t.Errorf("%q: got %s of %q", headers, caller.Name(), caller.Account())
		}
	}
}

func TestAuthenticatePackages_Refuses(t *testing.T) {
	h := newHouse(t)
	other := newHouse(t)
	token, foreign := h.token(t), other.token(t)
	for _, c := range []struct {
		name    string
		headers []string
		text    string
	}{
		{"empty bearer", []string{"Bearer "}, "empty"},
		{"bearer alone", []string{"Bearer"}, "empty"},
		{"empty basic", []string{basic("aws:")}, "empty"},
		{"basic without a colon", []string{basic("aws")}, "no password"},
		{"basic that is not base64", []string{"Basic %%%"}, "not base64"},
		{"other scheme", []string{"Digest " + token}, "scheme"},
		{"signature", []string{"AWS4-HMAC-SHA256 Credential=x"}, "scheme"},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, "more than one"},
		{"variable not expanded", []string{"Bearer ${TOKEN}"}, "invalid"},
		{"signature of another key", []string{"Bearer " + foreign}, "invalid"},
		{"cut", []string{"Bearer " + token[:len(token)-1]}, "invalid"},
		{"changed", []string{"Bearer " + token[:50] + flip(token[50]) + token[51:]}, "invalid"},
		{"footer alone", []string{"Bearer v4.local." + token[strings.LastIndexByte(token, '.'):]}, "invalid"},
		{"too long", []string{"Bearer " + token + strings.Repeat("A", 5000)}, "longer"},
		{"long", []string{"Bearer " + token + strings.Repeat("A", 1000)}, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := h.AuthenticatePackages(packageRequest(c.headers...))
			if !fault.Is(err, fault.Unauthenticated) || !strings.Contains(fault.Message(err), c.text) ||
				!strings.Contains(fault.Message(err), "packhouse login") {
				t.Errorf("got %v, want something about %q", err, c.text)
			}
			if !caller.Anonymous() {
				t.Errorf("a refused request is of %s", caller.Name())
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), foreign)) {
				t.Error("the token is in the error")
			}
		})
	}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestAuthenticatePackages_ExpiryCountsOnEveryRequest(t *testing.T) {
	h := newHouse(t)
	token, expires, err := h.IssueToken(t.Context(), h.caller(t), account, domain, identity.MinTokenDuration)
	if err != nil {
		t.Fatal(err)
	}
	r := packageRequest("Bearer " + token)
	h.clock.advance(identity.MinTokenDuration - 2*time.Second)
	if _, err := h.AuthenticatePackages(r); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(2 * time.Second)
	for range 2 { // remembered, then not
		_, err := h.AuthenticatePackages(r)
		if !fault.Is(err, fault.Unauthenticated) || !strings.Contains(fault.Message(err), "expired at "+expires.Format(time.RFC3339)) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAuthenticatePackages_DeletedUserIsOutAtOnce(t *testing.T) {
	h := newHouse(t)
	r := packageRequest("Bearer " + h.token(t))
	if _, err := h.AuthenticatePackages(r); err != nil {
		t.Fatal(err)
	}
	h.deleteAdmin(t)
	if _, err := h.AuthenticatePackages(r); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("deleted user: %v", err)
	}
	h.update(t, func(tx *catalog.Tx) error {
		return tx.InsertUser(catalog.User{Account: account, Name: "admin", Path: "/", ID: "AIDASOMEBODYELSE"})
	})
	if _, err := h.AuthenticatePackages(r); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another user of that name: %v", err)
	}
}

func TestAuthenticatePackages_RenamedUserStaysItself(t *testing.T) {
	h := newHouse(t)
	r := packageRequest("Bearer " + h.token(t))
	if _, err := h.AuthenticatePackages(r); err != nil {
		t.Fatal(err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.UpdateUser(account, "admin", "root-of-it-all", "/ops/") })
	caller, err := h.AuthenticatePackages(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:iam::123456789012:user/ops/root-of-it-all"; caller.ARN() != want {
		t.Errorf("got %s, want %s", caller.ARN(), want)
	}
}

func TestAuthenticatePackages_RemembersABoundedNumber(t *testing.T) {
	h := newHouse(t)
	token := h.token(t)
	kept := packageRequest("Bearer " + token)
	for i := range identity.MaxTokens + 100 { // one token in many spellings
		for _, r := range []*http.Request{packageRequest(basic(strconv.Itoa(i) + ":" + token)), kept} {
			if _, err := h.AuthenticatePackages(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := h.RememberedTokens(); n > identity.MaxTokens || n < identity.MaxTokens/2 {
		t.Errorf("%d headers are remembered", n)
	}
}

// TestAuthenticatePackages_WarmCostsOneAllocation: the caller's facts; the token
// itself is looked up by its hash.
func TestAuthenticatePackages_WarmCostsOneAllocation(t *testing.T) {
	h := newHouse(t)
	r := packageRequest("Bearer " + h.token(t))
	authenticate := func() {
		if _, err := h.AuthenticatePackages(r); err != nil {
			t.Fatal(err)
		}
	}
	authenticate()
	if n := testing.AllocsPerRun(200, authenticate); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestIssueToken_Durations(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		asked, want time.Duration
		refused     bool
	}{
		{asked: 0, want: 12 * time.Hour},
		{asked: 900 * time.Second, want: 900 * time.Second},
		{asked: 43200 * time.Second, want: 12 * time.Hour},
		{asked: time.Second, refused: true},
		{asked: 899 * time.Second, refused: true},
		{asked: 43201 * time.Second, refused: true},
		{asked: -time.Second, refused: true},
	} {
		_, expires, err := h.IssueToken(t.Context(), h.caller(t), account, domain, c.asked)
		if fault.Is(err, fault.Invalid) != c.refused {
			t.Errorf("%v: %v", c.asked, err)
		}
		if want := h.clock.now().Truncate(time.Second).Add(c.want); !c.refused && !expires.Equal(want) {
			t.Errorf("%v: expires %v, want %v", c.asked, expires, want)
		}
	}
}

func TestIssueToken_FitsIntoURLsAndHeaders(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("d", 50)
	token, _, err := h.IssueToken(t.Context(), h.caller(t), account, long, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(token) >= 600 || !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(token) {
		t.Errorf("%d characters: %s", len(token), token)
	}
}

func TestIssueToken_OnlyForUsers(t *testing.T) {
	h := newHouse(t)
	root := identity.NewCaller(&identity.Subject{Principal: rootPrincipal()}, identity.Facts{})
	if _, _, err := h.IssueToken(t.Context(), root, account, domain, 0); !fault.Is(err, fault.Denied) {
		t.Errorf("root: %v", err)
	}
	if _, _, err := h.IssueToken(t.Context(), identity.Caller{}, account, domain, 0); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("anonymous: %v", err)
	}
}

func (h *house) signingKeys(t testing.TB) (ids []string) {
	t.Helper()
	err := h.db.View(t.Context(), func(tx *catalog.Tx) error {
		keys, err := tx.SigningKeys()
		ids = nil
		for _, k := range keys {
			ids = append(ids, k.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestRotateKeys_OldTokensStayGoodUntilTheyExpire(t *testing.T) {
	h := newHouse(t)
	old := packageRequest("Bearer " + h.token(t))
	if err := h.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := packageRequest("Bearer " + h.token(t))
	if n := len(h.signingKeys(t)); n != 2 {
		t.Fatalf("%d keys after a rotation", n)
	}
	h.clock.advance(identity.MaxTokenDuration - 2*time.Second)
	if _, err := h.AuthenticatePackages(old); err != nil {
		t.Errorf("old token shortly before its end: %v", err)
	}
	if _, err := h.AuthenticatePackages(fresh); err != nil {
		t.Errorf("fresh token: %v", err)
	}
	h.clock.advance(identity.MaxUserSession)
	if err := h.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(h.signingKeys(t)); n != 2 {
		t.Errorf("%d keys: the first was of no more use", n)
	}
}

// insertUnusableKey adds a signing key that is none, newer than the others.
func (h *house) insertUnusableKey(t testing.TB, id string) {
	t.Helper()
	h.update(t, func(tx *catalog.Tx) error {
		return tx.InsertSigningKey(catalog.SigningKey{
			ID: id, Secret: []byte("short"), Created: h.clock.now().Add(time.Second), RetireAfter: h.clock.now().Add(1000 * time.Hour),
		})
	})
}

func TestSigningKeys_OneThatCannotBeUsedIsLeftOutAndToldOnce(t *testing.T) {
	var log strings.Builder
	h := newHouse(t, identity.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	old := packageRequest("Bearer " + h.token(t))
	h.insertUnusableKey(t, "key-damaged")
	for range 2 { // the second time with keys that have changed
		h.ForgetTokens()
		for _, r := range []*http.Request{old, packageRequest("Bearer " + h.token(t))} {
			if _, err := h.AuthenticatePackages(r); err != nil {
				t.Error(err)
			}
		}
		if err := h.RotateKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "key-damaged"); n != 1 || strings.Contains(log.String(), "short") {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	if !slices.Contains(h.signingKeys(t), "key-damaged") {
		t.Error("a rotation has deleted the key, which may be good elsewhere")
	}
}

func TestSigningKeys_NoneThatCanBeUsedIsAnError(t *testing.T) {
	h := newHouse(t)
	caller := h.caller(t)
	h.insertUnusableKey(t, "key-damaged")
	if token, _, err := h.IssueToken(t.Context(), caller, account, domain, 0); err == nil || !strings.Contains(err.Error(), "key-damaged") {
		t.Errorf("got %q, %v", token, err)
	}
}

func TestRotateKeysIfDue_Every30Days(t *testing.T) {
	h := newHouse(t)
	for _, step := range []struct {
		after   time.Duration
		rotated bool
	}{{0, true}, {0, false}, {29 * 24 * time.Hour, false}, {24 * time.Hour, true}, {time.Hour, false}} {
		h.clock.advance(step.after)
		rotated, err := h.RotateKeysIfDue(t.Context())
		if err != nil || rotated != step.rotated {
			t.Errorf("after %v: %v, %v", step.after, rotated, err)
		}
	}
}

func TestIssueToken_RotatesWhenNobodyElseDoes(t *testing.T) {
	h := newHouse(t)
	h.token(t)
	h.clock.advance(32 * 24 * time.Hour)
	if _, err := h.AuthenticatePackages(packageRequest("Bearer " + h.token(t))); err != nil {
		t.Error(err)
	}
	if n := len(h.signingKeys(t)); n != 1 {
		t.Errorf("%d keys", n) // the first was retired long ago
	}
}

func TestAuthenticatePackages_DeletedKeyEndsItsTokens(t *testing.T) {
	h := newHouse(t)
	r := packageRequest("Bearer " + h.token(t))
	if _, err := h.AuthenticatePackages(r); err != nil {
		t.Fatal(err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.DeleteSigningKeys(h.clock.now().Add(1000 * time.Hour)) })
	if _, err := h.AuthenticatePackages(r); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestService_ManyAtOnce(t *testing.T) {
	h := newHouse(t)
	caller := h.caller(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				token, _, err := h.IssueToken(context.Background(), caller, account, domain, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					if _, err := h.AuthenticatePackages(packageRequest("Bearer " + token)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := h.RotateKeys(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func FuzzAuthenticatePackages(f *testing.F) {
	h := newHouse(f)
	token := h.token(f)
	for _, seed := range []string{
		"", "Bearer", "Bearer " + token, token, basic("aws:" + token), "Basic !", "Basic Og==", "Digest x",
		"v4.local.", "v4.local.AAAA.AAAA", "v4.local..", strings.Replace(token, "v4", "v3", 1), "Bearer " + token + ".x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		caller, err := h.AuthenticatePackages(packageRequest(header))
		switch {
		case err != nil && !fault.Is(err, fault.Unauthenticated):
			t.Errorf("%q: %v", header, err)
		case err == nil && !caller.Anonymous() && !carries(header, token):
			t.Errorf("%q lets %s in", header, caller.Name())
		case err == nil && caller.Anonymous() && header != "":
			t.Errorf("%q is anonymous", header)
		}
	})
}

// carries tells whether the token is in the header, as text or in base64.
func carries(header, token string) bool {
	if strings.Contains(header, token) {
		return true
	}
	_, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	b, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(rest), "="))
	return strings.Contains(string(b), token)
}

func BenchmarkAuthenticatePackages(b *testing.B) {
	h := newHouse(b)
	token := h.token(b)
	for _, c := range []struct{ name, header string }{
		{"bearer", "Bearer " + token}, {"basic", basic("aws:" + token)}, {"anonymous", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := identity.New(h.db, identity.Options{})
			r := packageRequest(c.header)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.AuthenticatePackages(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("first of a token", func(b *testing.B) {
		r := packageRequest("Bearer " + token)
		s := identity.New(h.db, identity.Options{})
		b.ReportAllocs()
		for b.Loop() {
			s.ForgetTokens()
			if _, err := s.AuthenticatePackages(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		s := identity.New(h.db, identity.Options{})
		b.RunParallel(func(p *testing.PB) {
			r := packageRequest("Bearer " + token)
			for p.Next() {
				if _, err := s.AuthenticatePackages(r); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkIssueToken(b *testing.B) {
	h := newHouse(b)
	caller := h.caller(b)
	for b.Loop() {
		if _, _, err := h.IssueToken(b.Context(), caller, account, domain, 0); err != nil {
			b.Fatal(err)
		}
	}
}
