package certificate

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// maxChain bounds a chain; real ones have two to four certificates.
const maxChain = 10

// pemPair is the content of a certificate file and a key file for one host, or for some of several. The names are for the sentences about
// them.
type pemPair struct {
	hosts              []string
	chainFile, keyFile string
	chainPEM, keyPEM   []byte
}

// certificate checks what a browser would: that the key belongs to the certificate, that the certificate is for the host, for servers
// and for this day, and that the chain is in order (RFC 8446 §4.4.2). An error names the file, what is wrong and what to do; it never
// quotes the key.
func (p pemPair) certificate(now time.Time) (*held, error) {
	chain, err := p.chain()
	if err != nil {
		return nil, err
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	if err := p.checkMatch(chain, key); err != nil {
		return nil, err
	}
	if err := p.checkLeaf(chain[0], now); err != nil {
		return nil, err
	}
	if err := p.checkOrder(chain); err != nil {
		return nil, err
	}
	c := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, link := range chain {
		c.Certificate = append(c.Certificate, link.Raw)
	}
	return hold(c, chain[0]), nil
}

func (p pemPair) chain() ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(p.chainPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(chain) == maxChain {
			return nil, fmt.Errorf("%q holds more than %d certificates: leave the host's own and its intermediates", p.chainFile, maxChain)
		}
		link, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%q: certificate %d cannot be read, ask its issuer for it again: %w", p.chainFile, len(chain)+1, err)
		}
		chain = append(chain, link)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%q holds no PEM certificate: write the host's own, then its intermediates", p.chainFile)
	}
	return chain, nil
}

// key returns the first private key in the file; openssl writes EC PARAMETERS before it.
func (p pemPair) key() (crypto.Signer, error) {
	for block, rest := pem.Decode(p.keyPEM); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("%q is protected by a passphrase: write the key without one, as openssl pkey does", p.keyFile)
		}
		key, err := certmagic.PEMDecodePrivateKey(pem.EncodeToMemory(block))
		if err != nil { // its text is dropped: nothing about a key goes into a log
			return nil, fmt.Errorf("%q holds a private key that cannot be read: write an RSA, ECDSA or Ed25519 key as PEM", p.keyFile)
		}
		return key, nil
	}
	return nil, fmt.Errorf("%q holds no PEM private key: write the key of the certificate in %q", p.keyFile, p.chainFile)
}

func (p pemPair) checkMatch(chain []*x509.Certificate, key crypto.Signer) error {
	belongs := func(c *x509.Certificate) bool {
		public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(key.Public())
	}
	switch i := slices.IndexFunc(chain, belongs); {
	case i == 0:
		return nil
	case i > 0:
		return fmt.Errorf("%q begins with the certificate of %q: put the host's own certificate first, then its intermediates", p.chainFile, subjectName(chain[0]))
	}
	return fmt.Errorf("%q is not the key of the certificate in %q: put in the two files that were made together", p.keyFile, p.chainFile)
}

func (p pemPair) checkLeaf(leaf *x509.Certificate, now time.Time) error {
	if !slices.ContainsFunc(p.hosts, func(host string) bool { return covers(leaf, host) }) {
		return p.foreign(leaf)
	}
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("%q expired on %s: put in a renewed certificate and its key", p.chainFile, leaf.NotAfter.Format(time.DateOnly))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("%q is not valid before %s: check the clock of this machine, or wait", p.chainFile, leaf.NotBefore.Format(time.RFC3339))
	}
	if usages := leaf.ExtKeyUsage; len(usages)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(usages, x509.ExtKeyUsageServerAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		return fmt.Errorf("%q is not for servers: get a certificate with the extended key usage serverAuth", p.chainFile)
	}
	return nil
}

func (p pemPair) foreign(leaf *x509.Certificate) error {
	if len(p.hosts) == 1 {
		return fmt.Errorf("%q is for %s and not for %q: get a certificate with that name, or move the files to the folder of a host that it names", p.chainFile, namesOf(leaf), p.hosts[0])
	}
	return fmt.Errorf("%q is for %s and for no domain of the tenant: get a certificate with one of its domains, or correct certificate.files", p.chainFile, namesOf(leaf))
}

func (p pemPair) checkOrder(chain []*x509.Certificate) error {
	for i, issuer := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("%q: certificate %d (%q) did not issue certificate %d: write the host's own first, then each one's issuer", p.chainFile, i+2, subjectName(issuer), i+1)
		}
	}
	return nil
}

// covers wants a wildcard to be named as such; VerifyHostname knows only real hosts.
func covers(leaf *x509.Certificate, host string) bool {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		for _, name := range leaf.DNSNames {
			if strings.EqualFold(name, "*."+parent) {
				return true
			}
		}
		return false
	}
	return leaf.VerifyHostname(host) == nil
}

func namesOf(leaf *x509.Certificate) string {
	switch n := len(leaf.DNSNames); {
	case n == 0:
		return "no host name"
	case n > 5:
		return fmt.Sprintf("%q and %d more", leaf.DNSNames[:5], n-5)
	}
	return fmt.Sprintf("%q", leaf.DNSNames)
}

func subjectName(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.String()
}
