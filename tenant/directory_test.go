package tenant

import "testing"

func TestLookup(t *testing.T) {
	ensotek := &Tenant{Slug: "ensotek", Domains: []string{"ensotek.de", "*.ensotek.de"}}
	radanor := &Tenant{Slug: "radanor", Domains: []string{"shop.ensotek.de", "radanor.com"}}
	d := NewDirectory(Gateway{APIHosts: []string{"api.example.com"}, UnknownHost: "radanor"}, []*Tenant{ensotek, radanor})
	f := func(host string, want *Tenant) {
		t.Helper()
		if got, ok := d.Lookup([]byte(host)); got != want || ok != (want != nil) {
			t.Errorf("Lookup(%q) = %v, %t; want %v", host, got, ok, want)
		}
	}
	f("ensotek.de", ensotek)
	f("www.ensotek.de", ensotek)
	f("shop.ensotek.de", radanor) // the exact name goes first
	f("a.shop.ensotek.de", nil)   // a wildcard stands for one label
	f("ensotek.de.evil.com", nil) // no match by part of the name
	f("evil-ensotek.de", nil)
	f("evilensotek.de", nil)
	f("radanor.com", radanor)
	f("www.radanor.com", nil)
	f("de", nil)
	f("", nil)
	f(".ensotek.de", nil)
	f("*.ensotek.de", ensotek) // a label like others: CanonicalHost lets no such name through
	if d.Unknown() != radanor {
		t.Errorf("Unknown() = %v", d.Unknown())
	}
	if !d.IsAPIHost([]byte("api.example.com")) || d.IsAPIHost([]byte("ensotek.de")) {
		t.Error("IsAPIHost does not know its hosts")
	}
	if got, ok := d.Tenant([]byte("ensotek")); got != ensotek || !ok {
		t.Errorf("Tenant(ensotek) = %v, %t", got, ok)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	d := NewDirectory(Gateway{}, []*Tenant{{Slug: "a", Domains: []string{"a.example.com", "*.b.example.com"}}})
	for _, host := range []string{"a.example.com", "x.b.example.com", "nobody.example.com"} {
		wire := []byte(host)
		if n := testing.AllocsPerRun(100, func() { d.Lookup(wire); d.IsAPIHost(wire); d.Tenant(wire) }); n != 0 {
			t.Errorf("a lookup of %q allocates %v times", host, n)
		}
	}
}
