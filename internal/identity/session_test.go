package identity_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/identity"
	"packhouse/internal/sigv4"
)

// deploy makes a role and credentials of a session of it.
func (h *house) deploy(t testing.TB, given identity.Context) (identity.Credentials, catalog.Role) {
	t.Helper()
	role := catalog.Role{Account: account, Name: "deploy", Path: "/ci/", ID: identity.NewID(identity.RoleID), MaxSession: time.Hour}
	h.update(t, func(tx *catalog.Tx) error { return tx.InsertRole(role) })
	c, err := h.AssumeRole(t.Context(), role, "build-7", given, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c, role
}

func (h *house) session(t testing.TB, c identity.Credentials) (identity.Caller, error) {
	t.Helper()
	s := h.signature()
	s.id, s.secret, s.session = c.AccessKeyID, string(c.Secret), string(c.Token)
	caller, _, err := h.AuthenticateAPI(signed(t, s, ""), sigv4.Payload{Limit: 1 << 10}, "codeartifact")
	return caller, err
}

func TestSession_ExpiresAndSaysSo(t *testing.T) {
	h := newHouse(t)
	c, _ := h.deploy(t, identity.Context{})
	h.clock.advance(time.Hour - 2*time.Second)
	caller, err := h.session(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if caller.ARN() != "arn:aws:sts::123456789012:assumed-role/deploy/build-7" || caller.Name() != "build-7" || !caller.Temporary() || caller.AccessKeyID() != c.AccessKeyID {
		t.Errorf("the caller is %+v", caller.Subject())
	}
	h.clock.advance(3 * time.Second)
	_, err = h.session(t, c)
	var refused *sigv4.Error
	if !errors.As(err, &refused) || refused.Code != sigv4.CodeExpired {
		t.Errorf("got %v", err)
	}
}

func TestSession_LongestOutlivesARotationOfKeys(t *testing.T) {
	h := newHouse(t)
	c, err := h.UserSession(t.Context(), h.caller(t), identity.MaxUserSession)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.RotateKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.advance(identity.MaxUserSession - 2*time.Second)
	if _, err := h.session(t, c); err != nil {
		t.Error(err)
	}
}

func TestSession_SigningKeyThatIsGoneEndsIt(t *testing.T) {
	h := newHouse(t)
	c, _ := h.deploy(t, identity.Context{})
	h.update(t, func(tx *catalog.Tx) error { return tx.DeleteSigningKeys(h.clock.now().Add(1000 * time.Hour)) })
	if _, err := h.session(t, c); err == nil {
		t.Error("it goes on")
	}
}

func TestCredentials_AreNotLogged(t *testing.T) {
	h := newHouse(t)
	c, _ := h.deploy(t, identity.Context{})
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); len(text) > 500 {
		t.Errorf("secrets are shown: %s", text)
	}
}

func TestIssueToken_ForASessionFits(t *testing.T) {
	h := newHouse(t)
	c, _ := h.deploy(t, identity.Context{Tags: map[string]string{"team": "red"}})
	caller, err := h.session(t, c)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := h.IssueToken(t.Context(), caller, account, domain, 0)
	if err != nil || len(token) >= 700 {
		t.Errorf("%d characters, %v", len(token), err)
	}
	h.clock.advance(2 * time.Hour)
	token, _, err = h.IssueToken(t.Context(), caller, account, domain, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AuthenticatePackages(packageRequest("Bearer " + token)); err == nil {
		t.Error("a token for the rest of a session that is over is good")
	}
}

func BenchmarkAuthenticateSession(b *testing.B) {
	h := newHouse(b)
	c, _ := h.deploy(b, identity.Context{Tags: map[string]string{"team": "red"}})
	s := h.signature()
	s.id, s.secret, s.session = c.AccessKeyID, string(c.Secret), string(c.Token)
	r := signed(b, s, "")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := h.AuthenticateAPI(r, sigv4.Payload{Limit: 1 << 10}, "codeartifact"); err != nil {
			b.Fatal(err)
		}
	}
}
