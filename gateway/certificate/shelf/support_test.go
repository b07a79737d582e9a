package shelf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io/fs"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/gateway/certificate/record"
)

// authority is a certificate authority of a test: an intermediate and the key that signs.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB, name string) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{Country: []string{"US"}, Organization: []string{"Test Encrypt"}, CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: random(20),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// text issues a certificate like those of public authorities, about 1 KB of DER, and writes it down with its chain.
func (a authority) text(t testing.TB, domain string, key crypto.Signer, change func(*x509.Certificate, *record.Record)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(random(16)),
		Subject:      pkix.Name{CommonName: domain},
		DNSNames:     []string{domain},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          random(20),
		OCSPServer:            []string{"http://e7.o.authority.example"},
		IssuingCertificateURL: []string{"http://e7.i.authority.example/"},
		CRLDistributionPoints: []string{"http://e7.c.authority.example/85.crl"},
		Policies:              []x509.OID{policy},
		ExtraExtensions:       []pkix.Extension{timestamps()},
	}
	r := record.Record{Domain: domain, Issuer: "letsencrypt", Key: key}
	if change != nil {
		change(template, &r)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	r.Chain = [][]byte{der, a.cert.Raw}
	text, err := record.Format(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// simple is text with a new key.
func (a authority) simple(t testing.TB, domain string) []byte {
	t.Helper()
	return a.text(t, domain, newKey(t), nil)
}

var policy = must(x509.OIDFromInts([]uint64{2, 23, 140, 1, 2, 1}))

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// timestamps is as large as two signed certificate timestamps (RFC 6962 §3.3).
func timestamps() pkix.Extension {
	return pkix.Extension{
		Id:    asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2},
		Value: must(asn1.Marshal(random(2 + 2*119))),
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// disk is a local storage that counts how it is asked.
type disk struct {
	mu    sync.Mutex
	texts map[string][]byte
	err   error
	loads atomic.Int64
}

func newDisk() *disk { return &disk{texts: map[string][]byte{}} }

func (d *disk) load(domain string) ([]byte, error) {
	d.loads.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	text, ok := d.texts[domain]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return text, nil
}

func (d *disk) write(domain string, text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts[domain] = text
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func put(t testing.TB, s *Shelf, domain string, text []byte) Info {
	t.Helper()
	info, err := s.Put(domain, text)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// serves fails the test unless s answers for key with the certificate in text, able to sign and with its whole chain.
func serves(t testing.TB, s *Shelf, key string, text []byte) *tls.Certificate {
	t.Helper()
	got := s.Lookup([]byte(key), time.Now())
	if got == nil {
		t.Fatalf("no certificate for %q", key)
	}
	want, err := record.Parse(key, text)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	return got
}

func same(t testing.TB, got *tls.Certificate, want *record.Record) {
	t.Helper()
	if len(got.Certificate) != len(want.Chain) {
		t.Fatalf("a chain of %d, want %d", len(got.Certificate), len(want.Chain))
	}
	for i := range want.Chain {
		if !bytes.Equal(got.Certificate[i], want.Chain[i]) {
			t.Fatalf("certificate %d of the chain is another", i)
		}
	}
	if !got.PrivateKey.(interface{ Equal(crypto.PrivateKey) bool }).Equal(want.Key) {
		t.Fatal("the key is another")
	}
}

func absentFrom(t testing.TB, s *Shelf, key string) {
	t.Helper()
	if s.Lookup([]byte(key), time.Now()) != nil {
		t.Fatalf("there is a certificate for %q", key)
	}
}

// remove forgets a domain, as a lookup does whose file has gone.
func (s *Shelf) remove(domain string) {
	key := keyOf(domain)
	sh, hash := s.shardOf(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.drop(hash, key)
	s.faults.forget(domain)
}
