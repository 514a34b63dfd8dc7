package mail_test

import (
	"context"
	"io"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"packhouse/internal/fault"
	"packhouse/internal/mail"
	"packhouse/internal/mail/mailtest"
)

func relay(s *mailtest.Server) *mail.Relay {
	return &mail.Relay{
		Address: s.Address, From: "Packhouse <packhouse@example.test>", Security: mail.Plain,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
}

func TestSend(t *testing.T) {
	s := mailtest.New(t)
	err := relay(s).Send(t.Context(), mail.Letter{ID: "id-1", To: "ann@example.test", Subject: "Stühle\r\nBcc: eve@example.test", Text: "line\n.\nä <b>\r\n"})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Received()
	if len(got) != 1 || got[0].From != "<packhouse@example.test>" || got[0].To != "<ann@example.test>" {
		t.Fatalf("%+v", got)
	}
	m, err := netmail.ReadMessage(strings.NewReader(got[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": `"Packhouse" <packhouse@example.test>`, "To": "ann@example.test", "Subject": "=?utf-8?q?St=C3=BChle__Bcc:_eve@example.test?=", "Bcc": "",
		"Message-Id": "<id-1@example.test>", "Date": "Fri, 02 Jan 2026 03:04:05 +0000", "Content-Type": "text/plain; charset=utf-8", "Auto-Submitted": "auto-generated",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || strings.ReplaceAll(string(text), "\r\n", "\n") != "line\n.\nä <b>\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSend_WithPasswordAndTLS(t *testing.T) {
	for _, security := range []string{mail.StartTLS, mail.TLS} {
		s := mailtest.NewTLS(t, security == mail.TLS)
		r := relay(s)
		r.Security, r.TLS, r.User, r.Password = security, s.Client, "ann", "secret"
		if err := r.Send(t.Context(), mail.Letter{To: "bob@example.test"}); err != nil {
			t.Errorf("%s: %v", security, err)
		}
		if got := s.Received(); len(got) != 1 || got[0].Login != "\x00ann\x00secret" {
			t.Errorf("%s: %+v", security, got)
		}
	}
	s := mailtest.New(t) // which does not offer TLS
	r := relay(s)
	r.Security = mail.StartTLS
	if err := r.Send(t.Context(), mail.Letter{To: "bob@example.test"}); err == nil || len(s.Received()) != 0 {
		t.Errorf("without TLS: %v", err)
	}
}

func TestSend_Refused(t *testing.T) {
	for reply, kind := range map[string]fault.Kind{
		"550 no such mailbox": fault.Invalid, "451 try later": fault.Upstream, "535 your password": fault.Upstream, "nonsense": fault.Upstream,
	} {
		s := mailtest.New(t)
		s.Answer("RCPT", reply)
		err := relay(s).Send(t.Context(), mail.Letter{To: "bob@example.test"})
		if !fault.Is(err, kind) || strings.Contains(fault.Message(err), "mailbox") {
			t.Errorf("%s: %v", reply, err)
		}
	}
	gone := relay(&mailtest.Server{Address: "127.0.0.1:1"})
	if err := gone.Send(t.Context(), mail.Letter{To: "bob@example.test"}); !fault.Is(err, fault.Upstream) {
		t.Error(err)
	}
	for _, to := range []string{"", "bob", "Bob <bob@example.test>", "bob@example.test\r\nBcc: x@example.test", "a@b.test, c@d.test", "<bob@example.test>"} {
		if err := gone.Send(t.Context(), mail.Letter{To: to}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", to, err)
		}
	}
}

// A relay that says nothing does not hold the sender longer than it will wait.
func TestSend_EndsInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = relay(&mailtest.Server{Address: l.Addr().String()}).Send(ctx, mail.Letter{To: "bob@example.test"})
	if !fault.Is(err, fault.Upstream) || !strings.Contains(fault.Message(err), "in time") {
		t.Error(err)
	}
}

func FuzzCheckAddress(f *testing.F) {
	for _, s := range []string{"ann@example.test", "", "a@b\r\nc", `"a b"@c.test`, "a@[127.0.0.1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if mail.CheckAddress(s) == nil && (strings.ContainsAny(s, "\r\n<>") || !strings.Contains(s, "@")) {
			t.Errorf("%q", s)
		}
	})
}
