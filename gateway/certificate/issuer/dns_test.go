package issuer

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"metahub/gateway/certificate/acmetest"
	"metahub/tenant"
)

// A wildcard by DNS-01: the record goes by a signed update (RFC 2136, RFC 8945) to a BIND, which Pebble resolves through.
func TestDNS01(t *testing.T) {
	bind := acmetest.StartBIND(t, "wild.example", "plain.example")
	e := newEdge(t)
	ca := e.start(t, func(o *acmetest.Options) { o.DNS = bind.Address })
	provider, err := NewDNSProvider("rfc2136", map[string]string{
		"server": bind.Address, "key_name": "metahub", "key_alg": "hmac-sha256", "key": bind.Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := e.issuer(t, ca, func(c *Config) { c.Resolver = bind.Address })
	leaf := mustObtain(t, a, ca, Order{Domain: "*.wild.example", DNS: provider})
	if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != "*.wild.example" {
		t.Errorf("names %q", leaf.DNSNames)
	}
	mustObtain(t, a, ca, Order{Domain: "plain.example", DNS: provider})
	for _, zone := range []string{"wild.example", "plain.example"} {
		if records := bind.TXT(t, "_acme-challenge."+zone); len(records) > 0 {
			t.Errorf("%q: %q were left in the zone", zone, records)
		}
	}

	wrong := make([]byte, 32)
	rand.Read(wrong)
	locked, err := NewDNSProvider("rfc2136", map[string]string{
		"server": bind.Address, "key_name": "metahub", "key": base64.StdEncoding.EncodeToString(wrong),
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := failure(t, a, Order{Domain: "*.wild.example", DNS: locked}, Rejected, "_acme-challenge.wild.example")
	if strings.Contains(fmt.Sprint(failed.Err), base64.StdEncoding.EncodeToString(wrong)) {
		t.Error("the key is in the error")
	}
}

func TestDNSProviderSettings(t *testing.T) {
	f := func(kind string, settings map[string]string, want ...string) {
		t.Helper()
		provider, err := NewDNSProvider(kind, settings)
		if len(want) == 0 && (err != nil || provider == nil) {
			t.Errorf("%s: %v", kind, err)
		}
		for _, word := range want {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v says nothing of %q", kind, err, word)
			}
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v shows a value", kind, err)
		}
	}
	f("cloudflare", map[string]string{"api_token": "s3cret"})
	f("hetzner", map[string]string{"api_token": "s3cret"})
	f("route53", map[string]string{"access_key_id": "s3cret", "secret_access_key": "s3cret", "region": "eu-central-1"})
	f("rfc2136", map[string]string{"server": "192.0.2.1", "key_name": "metahub", "key": "c2VjcmV0"})
	f("rfc2136", map[string]string{"server": "[2001:db8::1]", "key_name": "metahub", "key": "c2VjcmV0", "key_alg": "HMAC-SHA512."})
	// Everything that is wrong, at once.
	f("rfc2136", map[string]string{"server": "s3cret", "zone": "s3cret"}, `needs "key_name"`, `needs "key"`, `no setting "zone"`, "key_alg")
	f("rfc2136", map[string]string{"server": "192.0.2.1", "key_name": "k", "key": "s3cret!"}, "not base64")
	f("rfc2136", map[string]string{"server": "192.0.2.1", "key_name": "k", "key": "c2VjcmV0", "key_alg": "rot13"}, "hmac-sha256")
	f("route53", map[string]string{"access_key_id": "s3cret"}, "secret_access_key")
	f("route53", map[string]string{"region": "eu-central-1"})
	f("godaddy", nil, "cloudflare, hetzner, rfc2136, route53")
}

// Whatever tenants.yaml may name can be opened, and nothing else.
func TestDNSKindsAreThoseOfTheConfiguration(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(openers())), tenant.DNSKinds(); !slices.Equal(got, want) {
		t.Errorf("%q can be opened, and %q be declared", got, want)
	}
}
