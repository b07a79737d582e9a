package issuer

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"

	"metahub/gateway/certificate/acmetest"
)

func TestOneAccountAcrossRestarts(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	for i, domain := range []string{"one.example", "two.example", "three.example"} {
		mustObtain(t, e.issuer(t, ca, func(c *Config) { c.Email = "admin@ensotek.example" }), ca, Order{Domain: domain})
		if ca.NewAccounts() != 1 {
			t.Fatalf("after start %d there are %d accounts, want 1", i+1, ca.NewAccounts())
		}
	}
	if stored := storedAccountOf(t, e, ca); len(stored.Contact) != 1 || stored.Contact[0] != "mailto:admin@ensotek.example" {
		t.Errorf("contact %q", stored.Contact)
	}
}

// Killed after the CA made the account and before its URL was written: the key was written first, so the account is found again.
func TestKilledBetweenRegisteringAndWriting(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "one.example"})
	stored := storedAccountOf(t, e, ca)
	location := stored.Location
	stored.Location = ""
	storeAccountOf(t, e, ca, stored)

	mustObtain(t, e.issuer(t, ca, nil), ca, Order{Domain: "two.example"})
	if again := storedAccountOf(t, e, ca); again.Location != location {
		t.Errorf("account %q, want %q again", again.Location, location)
	}
	if ca.NewAccounts() != 1 {
		t.Errorf("%d accounts, want 1", ca.NewAccounts())
	}
}

// The key is in the storage when the CA hears of it.
func TestKeyIsWrittenBeforeRegistering(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	checked := false
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/sign-me-up" {
			checked = true
			if stored := storedAccountOf(t, e, ca); stored.Location != "" || !strings.Contains(stored.Key, "PRIVATE KEY") {
				t.Errorf("stored before registering: location %q, key of %d bytes", stored.Location, len(stored.Key))
			}
		}
		return false
	})
	mustObtain(t, a, ca, Order{Domain: "one.example"})
	if !checked {
		t.Error("no account was made")
	}
}

func TestAccountThatTheCAForgot(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "one.example"})
	ca.Restart()
	mustObtain(t, a, ca, Order{Domain: "two.example"})
	if ca.NewAccounts() != 2 {
		t.Errorf("%d accounts, want a second", ca.NewAccounts())
	}
	mustObtain(t, e.issuer(t, ca, nil), ca, Order{Domain: "three.example"})
	if ca.NewAccounts() != 2 {
		t.Errorf("%d accounts: the new one was not stored", ca.NewAccounts())
	}
}

// A CA that denies every account is asked for one more, not for ever.
func TestAccountDeniedForEver(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	orders := 0
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != newOrderPath {
			return false
		}
		orders++
		return problem(w, http.StatusBadRequest, "accountDoesNotExist", "no such account")
	})
	failure(t, a, Order{Domain: "one.example"}, Refused, "accountDoesNotExist", "no such account")
	if orders != 2 {
		t.Errorf("%d new orders were sent, want 2", orders)
	}
}

func TestDamagedAccountFile(t *testing.T) {
	f := func(name, text string) {
		t.Helper()
		e := newEdge(t)
		ca := e.start(t, nil)
		if err := e.storage.Store(t.Context(), accountKey(ca.Directory()), []byte(text)); err != nil {
			t.Fatal(err)
		}
		a, logs := e.observed(t, ca, nil)
		mustObtain(t, a, ca, Order{Domain: "one.example"})
		if n := logs.FilterMessageSnippet("damaged").Len(); n != 1 {
			t.Errorf("%s: said %d times that the file is damaged, want once", name, n)
		}
		if stored := storedAccountOf(t, e, ca); stored.Location == "" {
			t.Errorf("%s: the file was not repaired", name)
		}
	}
	f("empty", "")
	f("torn", `{"directory":"https://`)
	f("no key", `{"location":"https://127.0.0.1/acct/1"}`)
	f("no key in it", `{"key":"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"}`)
}

// Two gateways on one storage, started at once on nothing.
func TestOneAccountOfTwoGateways(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	other := *e
	other.storage = &certmagic.FileStorage{Path: e.storage.(*certmagic.FileStorage).Path}
	first, second := e.issuer(t, ca, nil), other.issuer(t, ca, nil)
	done := make(chan error, 2)
	for domain, a := range map[string]*ACME{"one.example": first, "two.example": second} {
		go func() {
			_, err := obtain(t, a, ca, Order{Domain: domain, Key: testKey(t)})
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if ca.NewAccounts() != 1 {
		t.Errorf("%d accounts, want 1", ca.NewAccounts())
	}
}

func TestAccountKeys(t *testing.T) {
	f := func(directory, want string) {
		t.Helper()
		if got := accountKey(directory); got != want {
			t.Errorf("%q is kept at %q, want %q", directory, got, want)
		}
	}
	production, _ := DirectoryOf(LetsEncrypt)
	f(production, "acme/acme-v02.api.letsencrypt.org-directory-5e76d315/account.json")
	if accountKey("https://ca.example/a/b") == accountKey("https://ca.example/a-b") {
		t.Error("two directories share an account")
	}
	if key := accountKey("https://ca.example/../../" + strings.Repeat("x", 500)); strings.Contains(key, "..") || len(key) > 200 {
		t.Errorf("key %q", key)
	}
}

func storedAccountOf(t testing.TB, e *edge, ca *acmetest.CA) (stored storedAccount) {
	t.Helper()
	text, err := e.storage.Load(t.Context(), accountKey(ca.Directory()))
	if err != nil {
		t.Error(err)
		return stored
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Error(err)
	}
	return stored
}

func storeAccountOf(t testing.TB, e *edge, ca *acmetest.CA, stored storedAccount) {
	t.Helper()
	text, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.storage.Store(t.Context(), accountKey(ca.Directory()), text); err != nil {
		t.Fatal(err)
	}
}
