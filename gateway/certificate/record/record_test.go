package record

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"os"
)

// newRecord makes a record with a certificate that its own key has signed.
func newRecord(t testing.TB, domain string, key crypto.Signer) Record {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return Record{Domain: domain, Issuer: "letsencrypt", Chain: [][]byte{der, der}, Key: key}
}

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"p256": p256, "p384": p384, "rsa": rsaKey, "ed25519": edKey}
}

func TestFormatAndParse(t *testing.T) {
	for name, key := range keys(t) {
		r := newRecord(t, "ensotek.de", key)
		r.Adopted = "certbot\n/etc/letsencrypt"
		text, err := Format(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Parse("ensotek.de", text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Domain != "ensotek.de" || got.Issuer != "letsencrypt" || got.Adopted != "certbot /etc/letsencrypt" ||
			!slices.EqualFunc(got.Chain, r.Chain, bytes.Equal) || got.Leaf.DNSNames[0] != "ensotek.de" {
			t.Errorf("%s: came back as %+v", name, got)
		}
		if public := got.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !public.Equal(key.Public()) {
			t.Errorf("%s: another key came back", name)
		}
	}
}

// Other programs read such a file as it is.
func TestOpensslReadsIt(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	text, err := Format(newRecord(t, "ensotek.de", keys(t)["p256"]))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"x509", "-noout", "-in", path}, {"pkey", "-noout", "-in", path}} {
		if out, err := exec.Command(openssl, arguments...).CombinedOutput(); err != nil {
			t.Errorf("openssl %v: %v: %s", arguments, err, out)
		}
	}
}

func TestDamagedTextsCountAsAbsent(t *testing.T) {
	text, err := Format(newRecord(t, "ensotek.de", keys(t)["p256"]))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Format(newRecord(t, "ensotek.de", keys(t)["p256"]))
	if err != nil {
		t.Fatal(err)
	}
	chain := text[:bytes.Index(text, []byte("-----BEGIN EC PRIVATE"))]
	key := other[bytes.Index(other, []byte("-----BEGIN EC PRIVATE")):]
	f := func(what string, damaged []byte) {
		t.Helper()
		if r, err := Parse("ensotek.de", damaged); !errors.Is(err, ErrTorn) || r != nil {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
	f("empty", nil)
	f("no key", chain)
	f("no chain", key)
	f("another certificate's key", append(slices.Clone(chain), key...))
	f("zeros", make([]byte, len(text)))
	for at := range len(text) - 2 { // the last line break may be gone
		if _, err := Parse("ensotek.de", text[:at]); !errors.Is(err, ErrTorn) {
			t.Fatalf("cut at %d of %d: %v", at, len(text), err)
		}
	}
}

func TestStorageKeys(t *testing.T) {
	f := func(domain, key string) {
		t.Helper()
		if got := StorageKey(domain); got != key {
			t.Errorf("StorageKey(%q) = %q, want %q", domain, got, key)
		}
		if got, ok := DomainOf(key); !ok || got != domain {
			t.Errorf("DomainOf(%q) = %q, %v, want %q", key, got, ok, domain)
		}
	}
	f("ensotek.de", "certificates/ensotek.de.pem")
	f("*.ensotek.de", "certificates/_.ensotek.de.pem")
	for _, key := range []string{"", "certificates", "certificates/.pem", "certificates/a/b.pem", "certificates/a.key", "acme/a.pem"} {
		if domain, ok := DomainOf(key); ok {
			t.Errorf("DomainOf(%q) = %q", key, domain)
		}
	}
}

// Ten thousand certificates of one day come due spread over a seventh of their life, each always at the same moment.
func TestRenewalsAreSpread(t *testing.T) {
	notBefore := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	notAfter := notBefore.Add(90 * 24 * time.Hour)
	perDay := map[int]int{}
	for i := range 10_000 {
		domain := fmt.Sprintf("customer-%d.example", i)
		at := RenewAt(domain, notBefore, notAfter)
		if at != RenewAt(domain, notBefore, notAfter) {
			t.Fatal("another moment at the second call")
		}
		perDay[int(at.Sub(notBefore).Hours()/24)]++
	}
	for day, n := range perDay {
		if day < 54 || day > 67 || n > 900 {
			t.Errorf("day %d: %d renewals", day, n)
		}
	}
	if at := RenewAt("a", notAfter, notBefore); at != notAfter {
		t.Errorf("a life of less than nothing gives %v", at)
	}
}

func FuzzParse(f *testing.F) {
	text, err := Format(newRecord(f, "ensotek.de", keys(f)["p256"]))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("# issuer: x\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse("ensotek.de", text)
		if err != nil {
			return
		}
		again, err := Format(*r)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if second, err := Parse("ensotek.de", again); err != nil || !slices.EqualFunc(r.Chain, second.Chain, bytes.Equal) {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
