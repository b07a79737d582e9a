package tenant

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Mail is how mails of a tenant are sent.
type Mail struct {
	// Server is smtp://user:password@host:587, which is asked for STARTTLS, or smtps://…:465, which begins with TLS.
	Server Secret
	// From is the sender, as "Name <address>" or an address (RFC 5322 §3.4).
	From string
}

// IsZero reports whether no mail is sent: it takes both.
func (m Mail) IsZero() bool { return m.Server.IsZero() || m.From == "" }

var mailKeys = []string{"server", "from"}

// mail reads how the tenant's mails are sent; "off" sends none.
func (e *entry) mail() {
	n := e.fields[keyMail]
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		if v, ok := e.says(keyMail, ""); ok {
			e.check(keyMail, v.at, checkMailOff(v.text))
			e.tenant.Mail = Mail{}
		}
		return
	}
	fields := e.mapping(n, "mail", mailKeys)
	m := &e.tenant.Mail
	var err error
	if v, ok := e.decoder.text(fields[0], "mail.server"); ok {
		if m.Server, err = readMailServer(v.text, e.secrets()); err != nil {
			e.fault(v.at, "mail.server %v", err)
			return
		}
	}
	if v, ok := e.decoder.text(fields[1], "mail.from"); ok {
		if m.From, err = readSender(v.text); err != nil {
			e.fault(v.at, "mail.from %v", err)
			return
		}
	}
	if err := m.complete(); err != nil {
		e.fault(e.place(n), "mail %v", err)
	}
}

// compileDefaultMail returns how tenants send mail of which nothing is said.
func (s *settings) compileDefaultMail() (m Mail) {
	var err error
	v := s.text("defaults.mail")
	if v.text != "" {
		s.check("defaults.mail", v.at, checkMailOff(v.text))
	}
	if v = s.text("defaults.mail.server"); v.text != "" {
		m.Server, err = readMailServer(v.text, s.secrets)
		s.check("defaults.mail.server", v.at, err)
	}
	if v = s.text("defaults.mail.from"); v.text != "" {
		m.From, err = readSender(v.text)
		s.check("defaults.mail.from", v.at, err)
	}
	return m
}

func checkMailOff(text string) error {
	if text != "off" {
		return fmt.Errorf("%q is neither \"off\" nor keys with values: write {server: \"smtp://user:${SMTP_PASSWORD}@mail.example.com:587\", from: \"Shop <shop@example.com>\"}", clip(text))
	}
	return nil
}

// complete finds half of what it takes, which may stand in defaults alone, for tenants that add the other.
func (m Mail) complete() error {
	switch {
	case m.Server.IsZero() && m.From != "":
		return errors.New("has a from and no server: add one like \"smtp://user:${SMTP_PASSWORD}@mail.example.com:587\"")
	case !m.Server.IsZero() && m.From == "":
		return errors.New("has a server and no from: add one like \"Shop <shop@example.com>\"")
	}
	return nil
}

// readMailServer reads the address of a server. Its errors continue a sentence that begins with the key, and quote nothing: any part may be a
// password.
func readMailServer(text string, secrets secretReader) (Secret, error) {
	text, err := secrets.reveal(text)
	if err != nil {
		return Secret{}, err
	}
	return NewSecret(text), checkMailServer(text)
}

func checkMailServer(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("cannot be read: write it like smtp://user:password@mail.example.com:587, with \"@\", \":\", \"/\", \"?\" and \"%\" percent-encoded in the password")
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return errors.New("is no mail server: it begins with smtp://, or with smtps:// for TLS from the beginning")
	case u.Hostname() == "" || strings.ContainsFunc(u.Hostname(), unicode.IsSpace):
		return errors.New("has no host: write it like smtp://user:password@mail.example.com:587")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has something behind the host and port: leave it out")
	}
	if _, set := u.User.Password(); u.User != nil && (u.User.Username() == "" || !set) {
		return errors.New("has a user without a password, or the other way round: write both, or neither")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("has a port that is none: write one from 1 to 65535, or leave it out")
		}
	}
	return nil
}

// readSender reads a sender, and writes it as it stands in a mail.
func readSender(text string) (string, error) {
	address, err := mail.ParseAddress(text)
	if err != nil {
		return "", fmt.Errorf("%q is no sender: write it like \"Shop <shop@example.com>\"", clip(text))
	}
	return address.String(), nil
}
