package shelf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
)

// packKey returns a key's short form. PKCS #8 takes 138 bytes for a P-256 key, half of which is the public key that the leaf has as well.
func packKey(key crypto.Signer) (kind, []byte, error) {
	if ec, ok := key.(*ecdsa.PrivateKey); ok && ec.Curve == elliptic.P256() {
		scalar, err := ec.Bytes()
		return p256, scalar, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pkcs8, der, err
}

func unpackKey(kind kind, packed []byte) (crypto.Signer, error) {
	if kind == p256 {
		return ecdsa.ParseRawPrivateKey(elliptic.P256(), packed)
	}
	key, err := x509.ParsePKCS8PrivateKey(packed)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}
