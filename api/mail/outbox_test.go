package mail_test

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"metahub/api/mail"
	"metahub/api/mail/mailtest"
	"metahub/tenant"
)

// patience is how long a test waits for what it does not measure.
const patience = time.Minute

func tenantOf(slug, server string) *tenant.Tenant {
	return &tenant.Tenant{Slug: slug, Mail: tenant.Mail{Server: tenant.NewSecret(server), From: `"Bücher" <shop@example.com>`}}
}

func newOutbox(t *testing.T, server *mailtest.Server) (*mail.Outbox, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o := mail.NewOutbox(mail.Config{Logger: zap.New(core), Roots: server.Roots, Pauses: []time.Duration{time.Millisecond, time.Millisecond}})
	t.Cleanup(o.Close)
	return o, logs
}

func message(to string) func(context.Context) (*mail.Message, error) {
	return func(context.Context) (*mail.Message, error) {
		return &mail.Message{To: to, Subject: "Ihr Gruß\r\nBcc: evil@example.com", Text: "Guten Tag,\n.\nüber " + strings.Repeat("x", 200) + "\n"}, nil
	}
}

func received(t *testing.T, s *mailtest.Server) mailtest.Mail {
	t.Helper()
	select {
	case m := <-s.Mails:
		return m
	case <-time.After(patience):
		t.Fatal("no mail comes")
		panic("unreachable")
	}
}

func awaitLog(t *testing.T, logs *observer.ObservedLogs) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if all := logs.All(); len(all) > 0 {
			return fmt.Sprint(all[0].Message, all[0].ContextMap())
		}
	}
	t.Fatal("nothing is logged")
	return ""
}

func TestSend(t *testing.T) {
	t.Run("STARTTLS", func(t *testing.T) { testSend(t, mailtest.New(t)) })
	t.Run("TLS", func(t *testing.T) { testSend(t, mailtest.NewTLS(t)) })
}

func testSend(t *testing.T, s *mailtest.Server) {
	o, _ := newOutbox(t, s)
	s.Refusals.Store(2) // it is tried again
	if err := o.Send(tenantOf("a", s.URL()), message("ada@example.org")); err != nil {
		t.Fatal(err)
	}
	m := received(t, s)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Subject)
	if err != nil || subject != "Ihr Gruß  Bcc: evil@example.com" || m.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, %v, Bcc %q", subject, err, m.Header.Get("Bcc"))
	}
	if want := "Guten Tag,\n.\nüber " + strings.Repeat("x", 200) + "\n"; m.Text != want || m.From != "shop@example.com" || m.To != "ada@example.org" || !m.TLS {
		t.Errorf("got %+v", m)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(m.Header.Get("Message-Id"), "@example.com>") || m.Header.Get("User-Agent") != "" || m.Header.Get("Date") == "" {
		t.Errorf("header %v", m.Header)
	}
}

// What is not delivered is told of once, without a password or the address of a person.
func TestRefusedMails(t *testing.T) {
	f := func(name, want string, prepare func(s *mailtest.Server) (server, to string)) {
		t.Run(name, func(t *testing.T) {
			s := mailtest.New(t)
			server, to := prepare(s)
			o, logs := newOutbox(t, s)
			if name == "unknown signer" {
				other := mailtest.New(t)
				o, logs = newOutbox(t, other)
			}
			if err := o.Send(tenantOf("a", server), message(to)); err != nil {
				t.Fatal(err)
			}
			log := awaitLog(t, logs)
			if !strings.Contains(log, want) || strings.Contains(log, "ada@") || strings.Contains(log, mailtest.Password) || !strings.Contains(log, "tenant:a") {
				t.Errorf("the log says %s", log)
			}
			if len(s.Mails) != 0 {
				t.Error("it was delivered")
			}
		})
	}
	const ada = "ada@example.org"
	f("for good", "550", func(s *mailtest.Server) (string, string) { s.Permanent.Store(true); return s.URL(), ada })
	f("again and again", "451", func(s *mailtest.Server) (string, string) { s.Refusals.Store(99); return s.URL(), ada })
	f("wrong password", "", func(s *mailtest.Server) (string, string) { return "smtp://gateway:wrong@" + s.Host(), ada })
	f("unknown signer", "certificate", func(s *mailtest.Server) (string, string) { return s.URL(), ada })
	f("no address", "the address of the account is none", func(s *mailtest.Server) (string, string) {
		return s.URL(), "ada@example.org\r\nRCPT TO:<x@example.org>"
	})
	f("nobody listens", "refused", func(*mailtest.Server) (string, string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "smtp://" + l.Addr().String(), ada
	})
}

// Many tenants' servers take connections and say nothing. The mails of another are sent all the same, and a full lane is full for its own
// tenant alone.
func TestDeadServersHoldUpTheirOwnTenantsAlone(t *testing.T) {
	s := mailtest.New(t)
	o, _ := newOutbox(t, s)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	dead := func(i int) *tenant.Tenant { return tenantOf(fmt.Sprint("dead", i), "smtp://"+silent.Addr().String()) }
	for i := range 20 {
		if err := o.Send(dead(i), message("ada@example.org")); err != nil {
			t.Fatal(err)
		}
	}
	full := 0
	for range 60 {
		if err := o.Send(dead(0), message("ada@example.org")); errors.Is(err, mail.ErrFull) {
			full++
		}
	}
	if full == 0 {
		t.Error("a lane has no end")
	}
	for range 5 {
		if err := o.Send(tenantOf("alive", s.URL()), message("ada@example.org")); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		received(t, s)
	}
	// The end waits for nobody.
	ended := make(chan struct{})
	go func() { o.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the outbox does not end")
	}
	if err := o.Send(tenantOf("alive", s.URL()), message("ada@example.org")); err == nil {
		t.Error("a closed outbox takes mails")
	}
}

func TestNothingToSend(t *testing.T) {
	s := mailtest.New(t)
	o, logs := newOutbox(t, s)
	var made sync.WaitGroup
	made.Add(2)
	a := tenantOf("a", s.URL())
	for range 2 {
		err := o.Send(a, func(context.Context) (*mail.Message, error) { defer made.Done(); return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	made.Wait()
	if err := o.Send(a, func(context.Context) (*mail.Message, error) { panic("broken") }); err != nil {
		t.Fatal(err)
	}
	if log := awaitLog(t, logs); !strings.Contains(log, "broken") {
		t.Errorf("the log says %s", log)
	}
	if err := o.Send(a, message("ada@example.org")); err != nil {
		t.Fatal(err)
	}
	received(t, s)
}
