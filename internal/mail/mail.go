// Package mail hands messages to an SMTP relay (RFC 5321), one connection each.
//
// The relay is the operator's and trusted with its address, which is not checked
// as those of webhooks are. What it refuses for good (replies 5yz) is
// fault.Invalid, all else may be tried again.
package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"packhouse/internal/fault"
)

// How a connection to a relay is protected.
const (
	StartTLS = "starttls" // required, after a greeting in plain text
	TLS      = "tls"      // from its first byte
	Plain    = "none"     // not at all; then no password is sent but to this machine
)

// Relay is an SMTP server that takes mail from us.
type Relay struct {
	Address        string // HOST:PORT
	User, Password string // none without User
	From           string // address, with or without a name
	Security       string // StartTLS, TLS or Plain
	TLS            *tls.Config
	Now            func() time.Time
}

// Letter is one mail to one address.
type Letter struct {
	ID      string // of the Message-ID, the same whenever it is sent again
	To      string
	Subject string
	Text    string // UTF-8
}

// CheckAddress tells whether mail can be sent to an address. Errors are
// fault.Invalid.
func CheckAddress(address string) error {
	a, err := mail.ParseAddress(address)
	if err != nil || a.Name != "" || a.Address != address || strings.ContainsAny(address, "\r\n<>") {
		return fault.New(fault.Invalid, "%q is not an email address", address)
	}
	return nil
}

// Send gives a letter to the relay.
func (r *Relay) Send(ctx context.Context, l Letter) error {
	if err := CheckAddress(l.To); err != nil {
		return err
	}
	from, err := mail.ParseAddress(r.From)
	if err != nil {
		return fault.New(fault.Unavailable, "the address that mail is sent from cannot be read")
	}
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return fault.New(fault.Unavailable, "the address of the mail relay cannot be read")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return fault.Wrap(fault.Upstream, err, "the mail relay cannot be reached")
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // all that is under way fails then
	defer stop()
	if err := r.converse(conn, host, from, l); err != nil {
		return refused(ctx, err)
	}
	return nil
}

func (r *Relay) converse(conn net.Conn, host string, from *mail.Address, l Letter) error {
	config := r.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if r.Security == TLS {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello("localhost"); err != nil {
		return err
	}
	if r.Security == StartTLS {
		if err := c.StartTLS(config); err != nil {
			return err
		}
	}
	if r.User != "" {
		if err := c.Auth(smtp.PlainAuth("", r.User, r.Password, host)); err != nil {
			return err
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(l.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(r.compose(from, l)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has been taken
	return nil
}

// compose writes a message (RFC 5322) that no content can add headers to.
func (r *Relay) compose(from *mail.Address, l Letter) []byte {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", l.To},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(l.Subject))},
		{"Date", now().UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + oneLine(l.ID) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody answers by machine
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(l.Text, "\r\n", "\n"))) // a buffer does not fail
	_ = w.Close()
	return b.Bytes()
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// refused tells what the relay has said, which may be repeated to people.
func refused(ctx context.Context, err error) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	switch {
	case ctx.Err() != nil:
		return fault.Wrap(fault.Upstream, err, "the mail relay did not answer in time")
	case !ok:
		return fault.Wrap(fault.Upstream, err, "the mail relay broke off")
	case reply.Code >= 500 && reply.Code != 530 && reply.Code != 535: // those two are about our password
		return fault.Wrap(fault.Invalid, err, "the mail relay refused it: %d", reply.Code)
	}
	return fault.Wrap(fault.Upstream, err, "the mail relay answered %d", reply.Code)
}
