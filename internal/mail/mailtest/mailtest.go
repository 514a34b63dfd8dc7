// Package mailtest plays an SMTP relay on loopback.
package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is what a relay was given.
type Mail struct{ Login, From, To, Data string }

// Server is a relay.
type Server struct {
	Address string
	Client  *tls.Config // of clients that trust it

	tls     *tls.Config
	atOnce  bool
	mu      sync.Mutex
	answers map[string]string
	mails   []Mail
	news    chan struct{}
}

// New starts a relay without TLS.
func New(tb testing.TB) *Server { return start(tb, &Server{}) }

// NewTLS starts one that offers STARTTLS or, when atOnce, speaks TLS from the
// first byte.
func NewTLS(tb testing.TB, atOnce bool) *Server {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return start(tb, &Server{
		atOnce: atOnce, Client: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
	})
}

func start(tb testing.TB, s *Server) *Server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.Address, s.answers, s.news = l.Addr().String(), map[string]string{}, make(chan struct{}, 1000)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				s.talk(conn)
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return s
}

// Answer has a command answered with a line from now on; an empty one ends that.
func (s *Server) Answer(command, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = line
}

// Received is what has come so far.
func (s *Server) Received() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Await waits for n mails. A server that was killed holds its own for a minute.
func (s *Server) Await(tb testing.TB, n int) []Mail {
	tb.Helper()
	late := time.After(3 * time.Minute)
	for {
		if got := s.Received(); len(got) >= n {
			return got
		}
		select {
		case <-s.news:
		case <-late:
			tb.Fatalf("%d of %d mails have come", len(s.Received()), n)
		}
	}
}

func (s *Server) talk(conn net.Conn) {
	if s.atOnce {
		conn = tls.Server(conn, s.tls)
	}
	r := bufio.NewReader(conn)
	say := func(text string) { _, _ = fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 relay.test")
	secure := s.atOnce
	var m Mail
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		word = strings.ToUpper(word)
		s.mu.Lock()
		answer := s.answers[word]
		s.mu.Unlock()
		switch {
		case answer != "":
			say(answer)
		case word == "EHLO":
			if s.tls != nil && !secure {
				say("250-relay.test\r\n250 STARTTLS")
			} else {
				say("250-relay.test\r\n250 AUTH PLAIN")
			}
		case word == "STARTTLS" && s.tls != nil:
			say("220 go ahead")
			conn = tls.Server(conn, s.tls)
			r, secure = bufio.NewReader(conn), true
		case word == "AUTH":
			login, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			m.Login = string(login)
			say("235 welcome")
		case word == "MAIL":
			m.From, _, _ = strings.Cut(strings.TrimPrefix(rest, "FROM:"), " ")
			say("250 ok")
		case word == "RCPT":
			m.To = strings.TrimPrefix(rest, "TO:")
			say("250 ok")
		case word == "DATA":
			say("354 go ahead")
			for m.Data = ""; ; {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				m.Data += strings.TrimPrefix(line, ".")
			}
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 taken")
			s.news <- struct{}{}
		case word == "QUIT":
			say("221 bye")
			return
		default:
			say("500 what")
		}
	}
}
