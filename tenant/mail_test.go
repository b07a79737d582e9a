package tenant

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A kept version sends mail as before, and no log shows the password.
func TestKeptMail(t *testing.T) {
	f := func(m Mail, ok bool) {
		t.Helper()
		before := &Tenant{
			Slug: "a", Domains: []string{"a.example.com"}, Database: Database{Name: "a"}, JWTSecret: NewSecret("x"), Enabled: true,
			Limits: Limits{Body: 1, Timeout: time.Second}, Files: defaultFiles(), Compress: AllCodings(), Cache: defaultCache(), Mail: m,
		}
		back, err := keep(before).tenant()
		if (err == nil) != ok || ok && back.Mail != m {
			t.Errorf("%v comes back as %v, %v", m, back.Mail, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", before, before, before); strings.Contains(text, "hunter2") {
			t.Errorf("printed is %s", text)
		}
	}
	f(Mail{}, true)
	f(Mail{NewSecret("smtp://u:hunter2@mail.example.com:587"), "\"A\" <a@example.com>"}, true)
	f(Mail{NewSecret("smtp://mail.example.com"), ""}, true)
	f(Mail{NewSecret("http://u:hunter2@mail.example.com"), "<a@example.com>"}, false)
	f(Mail{NewSecret("smtp://mail.example.com"), "a\r\nBcc: b@example.com"}, false)
}

func TestMailIsSentWithServerAndSender(t *testing.T) {
	f := func(m Mail, none bool) {
		t.Helper()
		if m.IsZero() != none {
			t.Errorf("%v: %v", m, m.IsZero())
		}
	}
	f(Mail{}, true)
	f(Mail{Server: NewSecret("smtp://mail.example.com")}, true)
	f(Mail{From: "<a@example.com>"}, true)
	f(Mail{NewSecret("smtp://mail.example.com"), "<a@example.com>"}, false)
}
