package adopt

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/caddyserver/certmagic"
)

const (
	// maxKeys bounds the keys of one file; a combined file has one.
	maxKeys = 10
	// maxKeyDER bounds a private key in bytes; RSA of maxRSA bits needs 4.7 KB. Reading a longer one would take seconds.
	maxKeyDER = 6 << 10
	// maxRSA is in bits, and what TLS clients written in Go accept.
	maxRSA = 8192
	// maxTold bounds the certificates of a file that is told about when one of them is damaged; longer files are lists of CAs.
	maxTold = 10
)

// bundle is what the PEM text of one file holds.
type bundle struct {
	certificates []*x509.Certificate
	keys         []crypto.Signer
	// fault is a sentence without its subject, "is empty: …", and never quotes the text; what is in the bundle can be used nevertheless.
	fault string
}

// readBundle reads PEM text. A text that is cut short gives nothing but a fault, since half a chain looks like a whole one.
func (c *chains) readBundle(text []byte) bundle {
	if len(bytes.TrimSpace(text)) == 0 {
		return bundle{fault: "is empty: put the PEM text there"}
	}
	var b bundle
	blocks, unread := 0, 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		switch {
		case block.Type == "CERTIFICATE":
			if certificate := c.parse(block.Bytes); certificate != nil {
				b.certificates = append(b.certificates, certificate)
			} else {
				unread = blocks
			}
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			b.addKey(block)
		}
	}
	switch {
	case bytes.Count(text, []byte("-----BEGIN ")) > blocks:
		return bundle{fault: "is cut short or damaged: copy it again from where it was made"}
	case unread > 0 && len(b.certificates) < maxTold && b.fault == "":
		b.fault = fmt.Sprintf("holds a certificate that cannot be read (PEM block %d): ask its issuer for it again", unread)
	}
	return b
}

// addKey drops the text of an error: nothing about a key goes into a sentence.
func (b *bundle) addKey(block *pem.Block) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		b.fault = "is protected by a passphrase: write the key without one, as openssl pkey does"
		return
	case block.Type == "OPENSSH PRIVATE KEY":
		return // of no certificate
	case len(b.keys) == maxKeys:
		b.fault = fmt.Sprintf("holds more than %d private keys: put each into its own file", maxKeys)
		return
	}
	if len(block.Bytes) <= maxKeyDER {
		if key, err := certmagic.PEMDecodePrivateKey(pem.EncodeToMemory(block)); err == nil {
			b.keys = append(b.keys, key)
			return
		}
	}
	b.fault = fmt.Sprintf("holds a private key that cannot be read: write an ECDSA, Ed25519 or RSA key, of at most %d bits, as PEM", maxRSA)
}

// publicID is the same for a certificate and its key; ok is false for keys that nothing here can use.
func publicID(public crypto.PublicKey) (id [sha256.Size]byte, ok bool) {
	if hugeRSA(public) {
		return id, false
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return id, false
	}
	return sha256.Sum256(der), true
}

func belongs(c *x509.Certificate, key crypto.Signer) bool {
	public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}

func hugeRSA(public crypto.PublicKey) bool {
	key, ok := public.(*rsa.PublicKey)
	return ok && key.N.BitLen() > maxRSA
}
