package adopt

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"slices"
)

const (
	// maxChain bounds a chain; real ones have two to four certificates.
	maxChain = 10
	// maxTries bounds the certificates of one subject that are tried as an issuer.
	maxTries = 8
	// maxShared bounds the CA certificates that are kept to be shared; there are some hundred in the world.
	maxShared = 10_000
	// maxDER bounds a certificate in bytes, and maxCA that of a CA; real ones have 1 to 2 KB, with 2,000 names some 60.
	maxDER, maxCA = 128 << 10, 8 << 10
)

// chains puts certificates into order. It keeps one copy of each CA certificate and what it has found out about it, since ten thousand
// chains have the same few. Not for use by several goroutines at once.
type chains struct {
	shared map[[sha256.Size]byte]*x509.Certificate
	issued map[pair]bool // among shared ones
}

type pair struct{ child, issuer *x509.Certificate }

func newChains() *chains {
	return &chains{shared: map[[sha256.Size]byte]*x509.Certificate{}, issued: map[pair]bool{}}
}

// parse returns nil for what is not a certificate.
func (c *chains) parse(der []byte) *x509.Certificate {
	id := sha256.Sum256(der)
	if known, ok := c.shared[id]; ok {
		return known
	}
	if len(der) > maxDER {
		return nil
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil || certificate.IsCA && len(der) > maxCA {
		return nil
	}
	if certificate.IsCA && len(c.shared) < maxShared {
		c.shared[id] = certificate
	}
	return certificate
}

// order returns the chain of a leaf, each certificate issued by the next (RFC 8446 §4.4.2), from those in its own file and, where they
// do not go on, from those beside it. It ends where no issuer is found.
func (c *chains) order(leaf *x509.Certificate, own []*x509.Certificate, beside issuers) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for last := leaf; len(chain) < maxChain && !selfIssued(last); last = chain[len(chain)-1] {
		next := c.issuerOf(last, own, chain)
		if next == nil {
			next = c.issuerOf(last, beside[string(last.RawIssuer)], chain)
			if next != nil && selfIssued(next) {
				break // a root need not be sent; one in the own file is left there
			}
		}
		if next == nil {
			break
		}
		chain = append(chain, next)
	}
	return chain
}

func (c *chains) issuerOf(child *x509.Certificate, candidates, chain []*x509.Certificate) *x509.Certificate {
	tries := 0
	for _, candidate := range candidates {
		if !bytes.Equal(candidate.RawSubject, child.RawIssuer) || slices.Contains(chain, candidate) || tries == maxTries {
			continue
		}
		tries++
		if c.signed(child, candidate) {
			return candidate
		}
	}
	return nil
}

func (c *chains) signed(child, issuer *x509.Certificate) bool {
	link := pair{child, issuer}
	if known, ok := c.issued[link]; ok {
		return known
	}
	signed := !hugeRSA(issuer.PublicKey) && child.CheckSignatureFrom(issuer) == nil
	if child.IsCA && len(c.issued) < maxShared {
		c.issued[link] = signed
	}
	return signed
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func selfSigned(c *x509.Certificate) bool {
	return selfIssued(c) && !hugeRSA(c.PublicKey) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// issuers are CA certificates by their raw subject.
type issuers map[string][]*x509.Certificate

func (i issuers) add(certificate *x509.Certificate) {
	subject := string(certificate.RawSubject)
	if !slices.Contains(i[subject], certificate) && len(i[subject]) < maxTries && len(i) < maxShared {
		i[subject] = append(i[subject], certificate)
	}
}
