package mail

import (
	"slices"

	"github.com/wneessen/go-mail/smtp"
)

// signIn is the way to sign in that the server knows, PLAIN (RFC 4616) or else LOGIN. Both refuse to send a password without TLS. The library's own
// choice does not see that a connection of our dialer is TLS from the beginning.
type signIn struct {
	user, password, host string
	chosen               smtp.Auth
}

// Start implements smtp.Auth.
func (s *signIn) Start(server *smtp.ServerInfo) (protocol string, answer []byte, err error) {
	s.chosen = smtp.PlainAuth("", s.user, s.password, s.host, false)
	if !slices.Contains(server.Auth, "PLAIN") && slices.Contains(server.Auth, "LOGIN") {
		s.chosen = smtp.LoginAuth(s.user, s.password, s.host, false)
	}
	return s.chosen.Start(server)
}

// Next implements smtp.Auth.
func (s *signIn) Next(fromServer []byte, more bool) ([]byte, error) {
	return s.chosen.Next(fromServer, more)
}
