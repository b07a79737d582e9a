package mail

import (
	"net/url"
	"testing"

	"github.com/wneessen/go-mail"
)

// No password goes over a network in the clear.
func TestPolicy(t *testing.T) {
	f := func(server string, want mail.TLSPolicy) {
		t.Helper()
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy(u); got != want {
			t.Errorf("%q: %v, want %v", server, got, want)
		}
	}
	f("smtp://mail.example.com", mail.TLSMandatory)
	f("smtp://10.0.0.1", mail.TLSMandatory)
	f("smtp://localhost.example.com", mail.TLSMandatory)
	f("smtp://u:p@localhost", mail.TLSMandatory)
	f("smtp://u:p@127.0.0.1:2525", mail.TLSMandatory)
	f("smtps://u:p@mail.example.com", mail.NoTLS) // it is there
	f("smtp://localhost:25", mail.NoTLS)
	f("smtp://127.0.0.1", mail.NoTLS)
	f("smtp://[::1]:25", mail.NoTLS)
}
