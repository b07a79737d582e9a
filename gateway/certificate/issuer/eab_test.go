package issuer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"metahub/gateway/certificate/acmetest"
)

// hmacKey is 32 bytes in base64url without padding.
const hmacKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG"

func bound(o *acmetest.Options) { o.EAB = map[string]string{"kid-1": hmacKey} }

func TestEAB(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, bound)
	failure(t, e.issuer(t, ca, nil), Order{Domain: "eab.example"}, Refused, "external account", "set eab")
	wrong := e.issuer(t, ca, func(c *Config) { c.EAB = &EAB{KeyID: "kid-2", HMACKey: hmacKey} })
	failure(t, wrong, Order{Domain: "eab.example"}, Refused, "refused to open an account")
	// As CAs show it: in the plain alphabet, padded.
	padded := strings.NewReplacer("-", "+", "_", "/").Replace(hmacKey) + "="
	a := e.issuer(t, ca, func(c *Config) { c.EAB = &EAB{KeyID: "kid-1", HMACKey: padded} })
	mustObtain(t, a, ca, Order{Domain: "eab.example"})
}

func TestEABByEmail(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, bound)
	asked := 0
	answer := fmt.Sprintf(`{"success":true,"eab_kid":"kid-1","eab_hmac_key":%q}`, hmacKey)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method != http.MethodPost || r.PostFormValue("email") != "admin@ensotek.example" {
			t.Errorf("%s with e-mail %q", r.Method, r.PostFormValue("email"))
		}
		fmt.Fprint(w, answer)
	}))
	defer api.Close()
	zero := func(email string) *ACME {
		return e.issuer(t, ca, func(c *Config) { c.Name, c.Email, c.EABEndpoint = ZeroSSL, email, api.URL })
	}
	failure(t, zero(""), Order{Domain: "zero.example"}, Refused, "set email")
	if asked != 0 {
		t.Error("credentials were asked for without an e-mail address")
	}
	full := answer
	answer = `{"success":false,"error":{"code":2900,"type":"invalid_email"}}`
	failure(t, zero("admin@ensotek.example"), Order{Domain: "zero.example"}, Refused, "invalid_email")
	answer = `<html>busy</html>`
	failure(t, zero("admin@ensotek.example"), Order{Domain: "zero.example"}, Unavailable, "not JSON")
	answer = full
	mustObtain(t, zero("admin@ensotek.example"), ca, Order{Domain: "zero.example"})
	before := asked
	mustObtain(t, zero("admin@ensotek.example"), ca, Order{Domain: "zero2.example"})
	if asked != before {
		t.Error("an account that there is needs no credentials again")
	}
}

func TestConfigIsChecked(t *testing.T) {
	e := newEdge(t)
	f := func(c Config, want ...string) {
		t.Helper()
		c.Storage, c.Challenges = e.storage, e.challenges
		a, err := New(c)
		if len(want) == 0 {
			if err != nil {
				t.Error(err)
			} else if a.Name() != c.Name {
				t.Errorf("name %q", a.Name())
			}
			return
		}
		for _, word := range want {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v says nothing of %q", err, word)
			}
		}
	}
	f(Config{Name: "letsencrypt"})
	f(Config{Name: "letsencrypt-staging"})
	f(Config{Name: "zerossl"})
	f(Config{Name: "step", Directory: "https://ca.example/acme/acme/directory"})
	f(Config{Name: "pebble", Directory: "http://127.0.0.1:14000/dir"})
	f(Config{Name: "step"}, `"step"`, "needs the URL")
	f(Config{Name: "step", Directory: "http://ca.example/dir"}, "https://")
	f(Config{Name: "step", Directory: "ca.example"}, "not a URL")
	// All faults at once, and no secret.
	f(Config{Name: "step", EAB: &EAB{KeyID: "kid", HMACKey: "no base64 !"}}, "needs the URL", "HMAC key of eab")
	if _, err := New(Config{Name: "step", Directory: "https://ca.example", EAB: &EAB{KeyID: "kid", HMACKey: "s3cret !"}}); strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v shows the key", err)
	}
	if _, err := New(Config{Name: "letsencrypt"}); err == nil || !strings.Contains(err.Error(), "storage") {
		t.Errorf("without a storage: %v", err)
	}
}
