package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"metahub/tenant"
)

// deliverTimeout bounds one attempt to deliver a mail.
const deliverTimeout = 20 * time.Second

// final is an error that another attempt would give as well.
type final struct{ error }

func isFinal(err error) bool { return errors.As(err, new(final)) }

// deliver hands a mail to the tenant's server. Its errors name no address of a person and no password.
func (o *Outbox) deliver(by tenant.Mail, m *Message) error {
	message, err := compose(by, m)
	if err != nil {
		return final{err}
	}
	ctx, cancel := context.WithTimeout(o.ctx, deliverTimeout)
	defer cancel()
	client, err := o.client(ctx, by)
	if err != nil {
		return final{err}
	}
	err = client.DialAndSendWithContext(ctx, message)
	var refusal *mail.SendError
	if !errors.As(err, &refusal) {
		return err
	}
	err = fmt.Errorf("the mail server answers %d: %v", refusal.ErrorCode(), refusal.Reason) // the rest repeats who gets the mail
	if refusal.IsTemp() || refusal.ErrorCode() == 0 {
		return err
	}
	return final{err}
}

func compose(by tenant.Mail, m *Message) (*mail.Msg, error) {
	message := mail.NewMsg(mail.WithEncoding(mail.EncodingQP), mail.WithNoDefaultUserAgent())
	if err := message.From(by.From); err != nil {
		return nil, errors.New("the sender is none")
	}
	if err := message.To(m.To); err != nil {
		return nil, errors.New("the address of the account is none")
	}
	message.Subject(strings.Map(onOneLine, m.Subject))
	message.SetDate()
	message.SetMessageIDWithValue(rand.Text() + "@" + domain(by.From)) // the library would name this machine
	message.SetGenHeader("Auto-Submitted", "auto-generated")           // RFC 3834 §5
	message.SetBodyString(mail.TypeTextPlain, m.Text)
	return message, nil
}

func onOneLine(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// client is one connection to come, which ends with ctx. A password never goes over a connection without TLS.
func (o *Outbox) client(ctx context.Context, by tenant.Mail) (*mail.Client, error) {
	server, err := url.Parse(by.Server.Reveal())
	if err != nil {
		return nil, errors.New("the address of the mail server is none")
	}
	host := server.Hostname()
	secure := &tls.Config{ServerName: host, RootCAs: o.config.Roots, MinVersion: tls.VersionTLS12}
	options := []mail.Option{
		mail.WithTimeout(deliverTimeout),
		mail.WithHELO(domain(by.From)), // the name of this machine is nobody's business
		mail.WithTLSConfig(secure),
		mail.WithDialContextFunc(dialer(ctx, server.Scheme == "smtps", secure)),
		mail.WithTLSPolicy(policy(server)),
		mail.WithPort(port(server)),
	}
	if password, ok := server.User.Password(); ok {
		options = append(options, mail.WithSMTPAuthCustom(&signIn{user: server.User.Username(), password: password, host: host}))
	}
	return mail.NewClient(host, options...)
}

// dialer makes connections that are closed when ctx ends, whatever is being waited for on them.
func dialer(ctx context.Context, begins bool, secure *tls.Config) mail.DialContextFunc {
	return func(dial context.Context, network, address string) (net.Conn, error) {
		plain := &net.Dialer{}
		connect := plain.DialContext
		if begins {
			connect = (&tls.Dialer{NetDialer: plain, Config: secure}).DialContext
		}
		conn, err := connect(dial, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
}

func port(server *url.URL) int {
	if n, err := strconv.Atoi(server.Port()); err == nil {
		return n
	}
	if server.Scheme == "smtps" {
		return mail.DefaultPortSSL
	}
	return mail.DefaultPortTLS
}

// policy demands STARTTLS, but of a connection that is TLS already, and of a server on this machine that takes no password: such a one seldom
// has a certificate for its address.
func policy(server *url.URL) mail.TLSPolicy {
	if server.Scheme == "smtps" {
		return mail.NoTLS
	}
	ip := net.ParseIP(server.Hostname())
	if here := server.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); here && server.User == nil {
		return mail.NoTLS
	}
	return mail.TLSMandatory
}

// domain is that of a sender.
func domain(from string) string {
	if address, err := netmail.ParseAddress(from); err == nil {
		if _, domain, ok := strings.Cut(address.Address, "@"); ok {
			return domain
		}
	}
	return "localhost"
}
