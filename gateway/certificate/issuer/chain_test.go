package issuer

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"
)

func TestParseChain(t *testing.T) {
	good, public := selfSigned(t, "ensotek.example", time.Hour)
	expired, expiredKey := selfSigned(t, "ensotek.example", -time.Minute)
	wildcard, wildcardKey := selfSigned(t, "*.ensotek.example", time.Hour)
	stranger, _ := selfSigned(t, "stranger.example", time.Hour)

	f := func(text []byte, domain string, public crypto.PublicKey, want string) {
		t.Helper()
		_, err := parseChain(text, domain, public, time.Now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(good, "ensotek.example", public, "")
	f(wildcard, "*.ensotek.example", wildcardKey, "")
	// A wildcard was not ordered for the domain, though it would do.
	f(wildcard, "www.ensotek.example", wildcardKey, "not for www.ensotek.example")
	f(good, "ensotek.example", wildcardKey, "another key")
	f(expired, "ensotek.example", expiredKey, "expired")
	f(nil, "ensotek.example", public, "empty")
	f([]byte("<html>"), "ensotek.example", public, "empty")
	f([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "ensotek.example", public, "cannot be read")
	f(append(bytes.Clone(good), stranger...), "ensotek.example", public, "did not sign")
	f(bytes.Repeat(good, 11), "ensotek.example", public, "more than 10")
	f(make([]byte, maxChainText+1), "ensotek.example", public, "larger")
	f(append([]byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), good...), "ensotek.example", public, "holds a")
}

func selfSigned(t testing.TB, name string, life time.Duration) (chain []byte, public crypto.PublicKey) {
	t.Helper()
	key := testKey(t)
	template := &x509.Certificate{DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key.Public()
}

func portOf(listener net.Listener) int { return listener.Addr().(*net.TCPAddr).Port }

func tlsCertificate(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	chain, _ := selfSigned(t, name, time.Hour)
	block, _ := pem.Decode(chain)
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}}
}
