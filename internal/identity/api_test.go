package identity_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/catalog"
	"packhouse/internal/fault"
	"packhouse/internal/identity"
	"packhouse/internal/sigv4"
)

var whole = sigv4.Payload{Limit: 1 << 20}

func TestAuthenticateAPI_GivesCallerAndBody(t *testing.T) {
	h := newHouse(t)
	r := signed(t, h.signature(), `{"maxResults":1}`)
	r.Header.Set("User-Agent", "aws-cli/2")
	caller, body, err := h.AuthenticateAPI(r, whole, "codeartifact")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		caller.ARN(), caller.Account(), caller.Name(), caller.AccessKeyID(),
		caller.Facts().SourceIP.String(), caller.Facts().UserAgent, caller.Facts().Region, string(text),
	}
	want := []string{
		"arn:aws:iam::123456789012:user/admin", account, "admin", h.admin.ID,
		"192.0.2.7", "aws-cli/2", region, `{"maxResults":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, _, limited := caller.Scope(); limited || caller.Anonymous() {
		t.Errorf("limited %v, anonymous %v", limited, caller.Anonymous())
	}
}

func TestAuthenticateAPI_Refuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*signature)
		prep func(*testing.T, *house)
		late func(*http.Request)
		code string
		text string
	}{
		{name: "unknown key", edit: func(s *signature) { s.id = "AKIAUNKNOWNUNKNOWN22" }, code: sigv4.CodeUnknown},
		{name: "wrong secret", edit: func(s *signature) { s.secret += "x" }, code: sigv4.CodeInvalid, text: "does not match"},
		{name: "inactive key", code: sigv4.CodeUnknown, prep: func(t *testing.T, h *house) {
			t.Helper()
			h.update(t, func(tx *catalog.Tx) error { return tx.SetAccessKeyStatus(h.admin.ID, catalog.KeyInactive) })
		}},
		{name: "deleted user", code: sigv4.CodeUnknown, prep: func(t *testing.T, h *house) {
			t.Helper()
			h.deleteAdmin(t)
		}},
		{name: "session token of a long-term key", edit: func(s *signature) { s.session = "abc" }, code: sigv4.CodeUnknown},
		{name: "other service", edit: func(s *signature) { s.service = "s3" }, code: sigv4.CodeInvalid, text: "'codeartifact'"},
		{name: "other region", edit: func(s *signature) { s.region = "us-east-1" }, code: sigv4.CodeInvalid, text: region},
		{name: "clock 20 minutes slow", edit: func(s *signature) { s.at = s.at.Add(-20 * time.Minute) }, code: sigv4.CodeInvalid, text: "expired"},
		{name: "clock 20 minutes fast", edit: func(s *signature) { s.at = s.at.Add(20 * time.Minute) }, code: sigv4.CodeInvalid, text: "not yet current"},
		{name: "unsigned", late: func(r *http.Request) { r.Header.Del("Authorization") }, code: sigv4.CodeMissing},
		{name: "token instead of a signature", late: func(r *http.Request) { r.Header.Set("Authorization", "Bearer v4.local.x") }, code: sigv4.CodeIncomplete},
		{name: "changed body", late: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{ }")) }, code: sigv4.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			if c.prep != nil {
				c.prep(t, h)
			}
			s := h.signature()
			if c.edit != nil {
				c.edit(&s)
			}
			r := signed(t, s, "{}")
			if c.late != nil {
				c.late(r)
			}
			caller, body, err := h.AuthenticateAPI(r, whole, "codeartifact")
			var failed *sigv4.Error
			if !errors.As(err, &failed) || failed.Code != c.code || !strings.Contains(failed.Message, c.text) {
				t.Errorf("got %v, want %s about %q", err, c.code, c.text)
			}
			if !caller.Anonymous() || body != nil {
				t.Errorf("a refused request has caller %v and body %v", caller.Name(), body)
			}
		})
	}
}

func TestAuthenticateAPI_KeyMadeInactiveIsOutAtOnce(t *testing.T) {
	h := newHouse(t)
	if _, _, err := h.AuthenticateAPI(signed(t, h.signature(), ""), whole, "codeartifact"); err != nil {
		t.Fatal(err)
	}
	h.update(t, func(tx *catalog.Tx) error { return tx.SetAccessKeyStatus(h.admin.ID, catalog.KeyInactive) })
	if _, _, err := h.AuthenticateAPI(signed(t, h.signature(), ""), whole, "codeartifact"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestAuthenticateAPI_GlobalServicesAreSignedForTheFirstRegion(t *testing.T) {
	h := newHouse(t)
	for _, service := range []string{"iam", "sts"} {
		for _, signedFor := range []string{"us-east-1", region} {
			s := h.signature()
			s.service, s.region = service, signedFor
			if _, _, err := h.AuthenticateAPI(signed(t, s, ""), whole, "iam", "sts"); err != nil {
				t.Errorf("%s in %s: %v", service, signedFor, err)
			}
		}
	}
}

func TestAuthenticateAPI_BodyOverTheLimit(t *testing.T) {
	h := newHouse(t)
	_, _, err := h.AuthenticateAPI(signed(t, h.signature(), "12345"), sigv4.Payload{Limit: 4}, "codeartifact")
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestAuthenticateAPI_SourceBehindTrustedProxy(t *testing.T) {
	h := newHouse(t)
	s := identity.New(h.db, identity.Options{Region: region, TrustedProxies: prefixes("192.0.2.0/24")})
	r := signed(t, h.signature(), "")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Forwarded-Proto", "https")
	caller, _, err := s.AuthenticateAPI(r, whole, "codeartifact")
	if err != nil {
		t.Fatal(err)
	}
	if f := caller.Facts(); f.SourceIP.String() != "203.0.113.9" || !f.Secure {
		t.Errorf("got %v, secure %v", f.SourceIP, f.Secure)
	}
}
