package issuer

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// What a chain may be.
const (
	maxChainText   = 64 << 10
	maxChainLength = 10
)

// parseChain reads the chain that a CA sent and refuses one that cannot be served for the domain with its key. The roots are not asked:
// browsers know theirs.
func parseChain(text []byte, domain string, public crypto.PublicKey, now time.Time) (chain [][]byte, err error) {
	if len(text) > maxChainText {
		return nil, fmt.Errorf("the chain is larger than %d bytes", maxChainText)
	}
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the chain holds a %q", clip(block.Type, 60))
		}
		if len(certificates) == maxChainLength {
			return nil, fmt.Errorf("the chain has more than %d certificates", maxChainLength)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("the chain holds a certificate that cannot be read")
		}
		certificates = append(certificates, certificate)
		chain = append(chain, block.Bytes)
	}
	if len(certificates) == 0 {
		return nil, errors.New("the chain is empty")
	}
	return chain, checkLeaf(certificates, domain, public, now)
}

func checkLeaf(chain []*x509.Certificate, domain string, public crypto.PublicKey, now time.Time) error {
	leaf := chain[0]
	if !covers(leaf, domain) {
		return fmt.Errorf("the certificate is not for %s", domain)
	}
	if key, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !key.Equal(public) {
		return errors.New("the certificate is for another key")
	}
	if !now.Before(leaf.NotAfter) {
		return fmt.Errorf("the certificate expired on %s", leaf.NotAfter.UTC().Format(time.DateTime))
	}
	if len(chain) > 1 && leaf.CheckSignatureFrom(chain[1]) != nil {
		return errors.New("the second certificate of the chain did not sign the first")
	}
	return nil
}

func covers(leaf *x509.Certificate, domain string) bool {
	for _, name := range leaf.DNSNames {
		if name == domain {
			return true
		}
	}
	return false
}
