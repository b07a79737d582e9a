package shelf

import (
	"crypto/x509"
	"fmt"

	"metahub/gateway/certificate/record"
)

const (
	// maxText bounds a record's text, so that every entry fits into a chunk; real ones have four to ten KiB.
	maxText = 128 << 10
	// maxName is the longest key; a host name has 253 bytes.
	maxName = 255
	// maxNote bounds the texts about a certificate, which come from outside.
	maxNote = 255
)

var (
	errTooLarge = fmt.Errorf("%w: it is larger than %d KiB", record.ErrTorn, maxText>>10)
	errNoName   = fmt.Errorf("%w: it is kept under what is no host name", record.ErrTorn)
	errNoKey    = fmt.Errorf("%w: its key is of an unknown kind", record.ErrTorn)
)

// content is one certificate on its way into an entry.
type content struct {
	name      []byte // the key of a Lookup
	kind      kind
	key       []byte
	leaf      []byte
	chain     [][]byte // what follows the leaf
	tail      uint32   // where tails keep chain
	notBefore int64    // seconds since 1970
	notAfter  int64
	names     uint16
	issuer    string
	signedBy  string
	adopted   string
}

func contentOf(name []byte, r *record.Record) (content, error) {
	kind, key, err := packKey(r.Key)
	if err != nil {
		return content{}, errNoKey
	}
	return content{
		name:      name,
		kind:      kind,
		key:       key,
		leaf:      r.Chain[0],
		chain:     r.Chain[1:],
		notBefore: r.Leaf.NotBefore.Unix(),
		notAfter:  r.Leaf.NotAfter.Unix(),
		names:     uint16(len(r.Leaf.DNSNames) + len(r.Leaf.IPAddresses)), // maxText leaves no room for more
		issuer:    clip(r.Issuer),
		signedBy:  clip(signedBy(r.Leaf)),
		adopted:   clip(r.Adopted),
	}, nil
}

// signedBy is what a browser shows as the issuer.
func signedBy(leaf *x509.Certificate) string {
	if leaf.Issuer.CommonName != "" {
		return leaf.Issuer.CommonName
	}
	return leaf.Issuer.String()
}

func clip(text string) string { return text[:min(len(text), maxNote)] }
