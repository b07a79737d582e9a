package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/sync/singleflight"
)

// maxLeaves bounds how many issued certificates are in memory, at about 2 KiB each. The least used make room; they are issued again
// when they are asked for.
const maxLeaves = 16384

// held is a certificate ready to serve. It is immutable.
type held struct {
	certificate *tls.Certificate
	issuer      string
	notAfter    time.Time
	renewAt     time.Time // from then on a handshake asks for a new one
}

// leaves are the certificates that an issuer makes at the first handshake of each domain and again when two thirds of their life are
// gone. They live in memory only, so that ten thousand tenants cost nothing at a start.
type leaves struct {
	issuer  certmagic.Issuer
	cache   *cache
	flights singleflight.Group
}

func newLeaves(issuer certmagic.Issuer, capacity int) *leaves {
	return &leaves{issuer: issuer, cache: newCache(capacity)}
}

// lookup returns the certificate under a key, unless it is missing or due for renewal. It does not allocate.
func (l *leaves) lookup(key []byte, now time.Time) *held {
	if leaf := l.cache.get(key); leaf != nil && now.Before(leaf.renewAt) {
		return leaf
	}
	return nil
}

// obtain issues the certificate of a domain, once for all handshakes that wait for it, and holds no lock meanwhile. When that fails,
// the one at hand serves to its end.
func (l *leaves) obtain(domain string) (*tls.Certificate, error) {
	key := key(domain)
	issued, err, _ := l.flights.Do(key, func() (any, error) {
		if leaf := l.lookup([]byte(key), time.Now()); leaf != nil { // the flight before this one
			return leaf, nil
		}
		// A handshake's own context would let one impatient client fail all that wait with it.
		leaf, err := issue(context.Background(), l.issuer, domain)
		if err != nil {
			return nil, err
		}
		l.cache.put(key, leaf)
		return leaf, nil
	})
	if err == nil {
		return issued.(*held).certificate, nil
	}
	if old := l.cache.get([]byte(key)); old != nil && time.Now().Before(old.notAfter) {
		return old.certificate, nil
	}
	return nil, fmt.Errorf("no certificate for %q: %w", domain, err)
}

// issue makes a key and has an issuer certify it for one domain.
func issue(ctx context.Context, issuer certmagic.Issuer, domain string) (*held, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{domain}}, key)
	if err != nil {
		return nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	issued, err := issuer.Issue(ctx, request)
	if err != nil {
		return nil, err
	}
	return holdIssued(issued.Certificate, key)
}

// holdIssued keeps DER and key only: a parsed leaf would cost three times the memory and no server side of crypto/tls reads it.
func holdIssued(chainPEM []byte, key crypto.Signer) (*held, error) {
	certificate := &tls.Certificate{PrivateKey: key}
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		certificate.Certificate = append(certificate.Certificate, block.Bytes)
	}
	if len(certificate.Certificate) == 0 {
		return nil, fmt.Errorf("the issuer answered without a certificate")
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return nil, err
	}
	return hold(certificate, leaf), nil
}

// hold notes of a leaf what a handshake and a status page need.
func hold(certificate *tls.Certificate, leaf *x509.Certificate) *held {
	return &held{
		certificate: certificate,
		issuer:      issuerName(leaf),
		notAfter:    leaf.NotAfter,
		renewAt:     leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3),
	}
}

// issuerName is what a browser shows as the issuer.
func issuerName(leaf *x509.Certificate) string {
	if leaf.Issuer.CommonName != "" {
		return leaf.Issuer.CommonName
	}
	return leaf.Issuer.String()
}
