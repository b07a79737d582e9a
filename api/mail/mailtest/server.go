// Package mailtest is a mail server for tests: a real one that keeps what it gets in memory.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// User and Password sign in to the server.
const User, Password = "gateway", "hunter2"

// Mail is what the server got.
type Mail struct {
	From, To, Subject, Text string
	Header                  netmail.Header
	TLS                     bool
}

// Server keeps mails.
type Server struct {
	// Mails are those that came, the first 100.
	Mails chan Mail
	// Roots sign its certificate.
	Roots *x509.CertPool
	// Refusals is how many more mails are refused for the time being.
	Refusals atomic.Int32
	// Permanent has mails refused for good.
	Permanent atomic.Bool
	scheme    string
	host      string
}

// New runs a server on a port of this machine until the test ends. It takes no mails before who sends them has signed in, and nobody signs in
// before STARTTLS.
func New(t testing.TB) *Server {
	t.Helper()
	return newServer(t, "smtp")
}

// NewTLS runs one that begins with TLS.
func NewTLS(t testing.TB) *Server {
	t.Helper()
	return newServer(t, "smtps")
}

func newServer(t testing.TB, scheme string) *Server {
	t.Helper()
	certificate, roots := newCertificate(t)
	s := &Server{Mails: make(chan Mail, 100), Roots: roots, scheme: scheme}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.host = listener.Addr().String()
	server := smtp.NewServer(s)
	server.Domain = "mailtest"
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	if scheme == "smtps" {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return s
}

// URL is the server's, with the right password.
func (s *Server) URL() string { return s.scheme + "://" + User + ":" + Password + "@" + s.host }

// Host is the server's address.
func (s *Server) Host() string { return s.host }

// NewSession implements smtp.Backend.
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server   *Server
	conn     *smtp.Conn
	signedIn bool
	from, to string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return errors.New("wrong password")
		}
		s.signedIn = true
		return nil
	}), nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	if !s.signedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	if s.server.Permanent.Load() {
		return &smtp.SMTPError{Code: 550, Message: "no such " + to}
	}
	if s.server.Refusals.Add(-1) >= 0 {
		return &smtp.SMTPError{Code: 451, Message: "later"}
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		return err
	}
	_, isTLS := s.conn.TLSConnectionState()
	s.server.Mails <- Mail{s.from, s.to, m.Header.Get("Subject"), strings.ReplaceAll(string(text), "\r\n", "\n"), m.Header, isTLS}
	return nil
}

func newCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
