// Package record is how an issued certificate is kept: one text of PEM blocks, so that one write replaces chain and key together.
//
//	text, err := record.Format(record.Record{Domain: "ensotek.de", Issuer: "letsencrypt", Chain: chain, Key: key})
//	err = storage.Store(ctx, record.StorageKey("ensotek.de"), text)
//	r, err := record.Parse("ensotek.de", text)
//
// A text begins with comment lines, then come the chain, the leaf first, and the leaf's key; nginx, HAProxy and openssl read such a file as it is.
package record

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"metahub/gateway/certificate/spread"
)

// Folder is the prefix of all records in the storage.
const Folder = "certificates"

// Record is one issued certificate with its key. It is immutable once made.
type Record struct {
	// Domain is a canonical host name, perhaps a wildcard, "*.example.com".
	Domain string
	// Issuer is the key of the issuer that signed it, "letsencrypt"; of an adopted certificate it may be empty.
	Issuer string
	// Adopted says where a certificate was taken over from; empty for one that was ordered.
	Adopted string
	// Chain is DER, the leaf first.
	Chain [][]byte
	// Key is the leaf's private key.
	Key crypto.Signer
	// Leaf is the first of Chain.
	Leaf *x509.Certificate
}

// StorageKey is where a domain's record is kept: "certificates/ensotek.de.pem", and "certificates/_.ensotek.de.pem" for a wildcard.
func StorageKey(domain string) string {
	return Folder + "/" + strings.Replace(domain, "*.", "_.", 1) + ".pem"
}

// DomainOf is the reverse of StorageKey; ok is false for other keys.
func DomainOf(storageKey string) (domain string, ok bool) {
	name, below := strings.CutPrefix(storageKey, Folder+"/")
	name, isPEM := strings.CutSuffix(name, ".pem")
	if !below || !isPEM || name == "" || strings.ContainsRune(name, '/') {
		return "", false
	}
	return strings.Replace(name, "_.", "*.", 1), true
}

// The comment lines of a text.
const (
	issuerLine  = "# issuer: "
	adoptedLine = "# adopted: "
)

// Format writes a record down.
func Format(r Record) ([]byte, error) {
	if len(r.Chain) == 0 || r.Key == nil {
		return nil, errors.New("a record needs a chain and a key")
	}
	var text bytes.Buffer
	for _, line := range []struct{ name, value string }{{issuerLine, r.Issuer}, {adoptedLine, r.Adopted}} {
		if value := strings.Join(strings.Fields(line.value), " "); value != "" {
			text.WriteString(line.name + value + "\n")
		}
	}
	for _, der := range r.Chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	key, err := certmagic.PEMEncodePrivateKey(r.Key)
	if err != nil {
		return nil, err
	}
	text.Write(key)
	return text.Bytes(), nil
}

// ErrTorn is what a text is that was cut short, is empty, or whose key is not the certificate's: it counts as absent.
var ErrTorn = errors.New("the certificate file is empty, cut short or damaged")

// Parse reads the record of a domain. An error wraps ErrTorn and quotes nothing of the text, which may be a key.
func Parse(domain string, text []byte) (*Record, error) {
	r := &Record{Domain: domain}
	r.readComments(text)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			r.Chain = append(r.Chain, block.Bytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && r.Key == nil:
			key, err := certmagic.PEMDecodePrivateKey(pem.EncodeToMemory(block))
			if err != nil {
				return nil, fmt.Errorf("%w: its key cannot be read", ErrTorn)
			}
			r.Key = key
		}
	}
	if len(r.Chain) == 0 || r.Key == nil {
		return nil, fmt.Errorf("%w: it holds no chain with a key", ErrTorn)
	}
	leaf, err := x509.ParseCertificate(r.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("%w: its first certificate cannot be read", ErrTorn)
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(r.Key.Public()) {
		return nil, fmt.Errorf("%w: its key does not belong to its certificate", ErrTorn)
	}
	r.Leaf = leaf
	return r, nil
}

func (r *Record) readComments(text []byte) {
	for line := range strings.Lines(string(text[:min(len(text), 1024)])) {
		line = strings.TrimRight(line, "\r\n")
		if issuer, ok := strings.CutPrefix(line, issuerLine); ok {
			r.Issuer = issuer
		} else if adopted, ok := strings.CutPrefix(line, adoptedLine); ok {
			r.Adopted = adopted
		} else {
			return
		}
	}
}

// RenewAt is when a certificate is to be renewed where its CA does not say (RFC 9773): between six and seven and a half tenths of its
// life, at a moment that follows from the domain. So a thousand certificates that were made, or adopted, on one day do not come due on one.
func RenewAt(domain string, notBefore, notAfter time.Time) time.Time {
	life := notAfter.Sub(notBefore)
	if life <= 0 {
		return notBefore
	}
	return notBefore.Add(time.Duration((0.6 + 0.15*spread.Of(domain)) * float64(life)))
}
