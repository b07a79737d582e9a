package tenant

import (
	"bytes"
	"strings"
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	f := func(host, wantName, wantPort string) {
		t.Helper()
		name, port, err := CanonicalHost(nil, []byte(host))
		if err != nil || string(name) != wantName || string(port) != wantPort {
			t.Errorf("CanonicalHost(%q) = %q, %q, %v; want %q, %q", host, name, port, err, wantName, wantPort)
		}
	}
	f("ensotek.de", "ensotek.de", "")
	f("Ensotek.DE", "ensotek.de", "")
	f("ensotek.de.", "ensotek.de", "")
	f("ENSOTEK.de.:8443", "ensotek.de", "8443")
	f("ensotek.de:1", "ensotek.de", "1")
	f("ensotek.de:65535", "ensotek.de", "65535")
	f("localhost", "localhost", "")
	f("xn--kln-sna.example", "xn--kln-sna.example", "")
	f("my_app.example.com", "my_app.example.com", "") // below a wildcard
	f("-a-.example.com", "-a-.example.com", "")
	f("127.0.0.1:80", "127.0.0.1", "80")
	f("2130706433", "2130706433", "")
	f("[::1]", "[::1]", "")
	f("[2001:DB8:0:0::1]:443", "[2001:db8::1]", "443")
	f(strings.Repeat("a", 63)+".de", strings.Repeat("a", 63)+".de", "")
	f(longHost(253), longHost(253), "")
	f(longHost(253)+".", longHost(253), "")
}

// longHost returns a name of n bytes in labels of at most 63.
func longHost(n int) string {
	return strings.Repeat(strings.Repeat("a", 49)+".", 6)[:n-1] + "b"
}

func TestCanonicalHostRefuses(t *testing.T) {
	f := func(host string) {
		t.Helper()
		if name, port, err := CanonicalHost(nil, []byte(host)); err == nil {
			t.Errorf("CanonicalHost(%q) = %q, %q; want an error", host, name, port)
		}
	}
	// nothing, or nothing but punctuation
	f("")
	f(".")
	f("..")
	f(":")
	f(":443")
	f(".:443")
	// dots
	f("ensotek.de..")
	f(".ensotek.de")
	f("enso..tek.de")
	// ports
	f("ensotek.de:")
	f("ensotek.de:0")
	f("ensotek.de:0443")
	f("ensotek.de:65536")
	f("ensotek.de:99999999999999999999")
	f("ensotek.de:+443")
	f("ensotek.de:443:443")
	f("ensotek.de:https")
	f("ensotek.de:443 ")
	// what is no host
	f("a.test@evil.test")
	f("user:password@evil.test")
	f("ensotek.de/path")
	f("http://ensotek.de")
	f("ensotek.de?x")
	f("ensotek.de#x")
	f("ensotek.de\\evil.test")
	f("enso tek.de")
	f(" ensotek.de")
	f("ensotek.de\t")
	f("ensotek.de\r\nX-Tenant: radanor")
	f("ensotek.de\x00")
	f("ensotek.de,radanor.com")
	f("ensotek%2ede")
	f("*.ensotek.de")
	f("köln.example")
	f("k\xf6ln.example")
	f("ensotek\u3002de") // a full stop to IDNA only
	// lengths
	f(strings.Repeat("a", 64) + ".de")
	f(longHost(254))
	// IPv6
	f("::1")
	f("[::1")
	f("::1]")
	f("[]")
	f("[::1]x")
	f("[::1]x:443")
	f("[::1%25eth0]")
	f("[127.0.0.1]")
	f("[ensotek.de]")
}

func TestCanonicalHostAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 64)
	for _, host := range []string{"ensotek.de", "ensotek.de:8443", "Ensotek.DE.:8443", "a.test@evil.test"} {
		wire := []byte(host)
		if n := testing.AllocsPerRun(100, func() { _, _, _ = CanonicalHost(dst, wire) }); n != 0 {
			t.Errorf("CanonicalHost(%q) allocates %v times", host, n)
		}
	}
}

func TestCanonicalHostLeavesItsInput(t *testing.T) {
	wire := []byte("Ensotek.DE:443")
	if _, _, err := CanonicalHost(make([]byte, 0, 64), wire); err != nil || string(wire) != "Ensotek.DE:443" {
		t.Errorf("the input is now %q, %v", wire, err)
	}
}

func TestCanonicalName(t *testing.T) {
	f := func(domain, want string) {
		t.Helper()
		if name, err := CanonicalName(domain); err != nil || name != want {
			t.Errorf("CanonicalName(%q) = %q, %v; want %q", domain, name, err, want)
		}
	}
	f("Ensotek.DE.", "ensotek.de")
	f("*.Ensotek.de", "*.ensotek.de")
	f("Köln.example", "xn--kln-sna.example")
	f("*.köln.example", "*.xn--kln-sna.example")
	f("XN--KLN-SNA.example", "xn--kln-sna.example")
	f("straße.example", "xn--strae-oqa.example") // as browsers do, not "strasse"
	f("bücher\u3002example", "xn--bcher-kva.example")
	f("ｅｎｓｏｔｅｋ.de", "ensotek.de")
	f("ab--cd.example", "ab--cd.example")
	f("localhost", "localhost")
	f("4u.example", "4u.example")
}

// A domain is not longer than what a certificate's file can be called.
func TestLongDomains(t *testing.T) {
	f := func(domain, want string) {
		t.Helper()
		_, err := CanonicalName(domain)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%d characters: %v, want %q", len(domain), err, want)
		}
	}
	f(longHost(251), "")
	f(longHost(251)+".", "")
	f("*."+longHost(249), "")
	f(longHost(252), "has 252 characters, and 251 is the most for which a certificate can be kept: use a shorter name")
	f("*."+longHost(250), "has 250 characters, and 249 is the most for which a certificate can be kept: use a shorter name")
}

func FuzzCanonicalHost(f *testing.F) {
	for _, seed := range []string{"ensotek.de", "ENSOTEK.de.:443", "[::1]:80", "a..", "a:", "a.test@evil.test", "k\xf6ln", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		name, port, err := CanonicalHost(nil, wire)
		if err != nil {
			return
		}
		if len(name) == 0 || len(name) > maxHostLen {
			t.Fatalf("%q gives a name of %d bytes", wire, len(name))
		}
		if i := bytes.IndexFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_[]:", r) }); i >= 0 {
			t.Fatalf("%q gives %q, with a byte that no host has", wire, name)
		}
		again, none, err := CanonicalHost(nil, name)
		if err != nil || !bytes.Equal(again, name) || len(none) > 0 {
			t.Fatalf("%q gives %q, which gives %q, %q, %v", wire, name, again, none, err)
		}
		if bytes.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' }) {
			t.Fatalf("%q gives the port %q", wire, port)
		}
	})
}

func FuzzCanonicalName(f *testing.F) {
	for _, seed := range []string{"ensotek.de", "*.Köln.example.", "xn--kln-sna.example", "*.*", "192.0.2.7", "a\u3002b", "＊.example", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, domain string) {
		name, err := CanonicalName(domain)
		if err != nil {
			return
		}
		if again, err := CanonicalName(name); err != nil || again != name {
			t.Fatalf("%q gives %q, which gives %q, %v", domain, name, again, err)
		}
		exact := []byte(strings.TrimPrefix(name, "*."))
		if wire, _, err := CanonicalHost(nil, exact); err != nil || !bytes.Equal(wire, exact) {
			t.Fatalf("%q gives %q, which no request can ask for: %q, %v", domain, name, wire, err)
		}
	})
}
