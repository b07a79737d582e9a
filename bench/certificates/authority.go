package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"metahub/gateway/certificate/record"
)

// authority signs certificates that are as large as a public CA's: with an intermediate, access locations, a policy and as many bytes as
// two signed certificate timestamps take.
type authority struct {
	root, intermediate *x509.Certificate
	key                crypto.Signer
}

func newAuthority() (*authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root, err := sign(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Bench"}, CommonName: "Bench Root X1"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	intermediate, err := sign(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Bench"}, CommonName: "E1"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, root, key.Public(), rootKey)
	return &authority{root: root, intermediate: intermediate, key: key}, err
}

// record is a domain's certificate as the storage keeps it.
func (a *authority) record(domain string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	timestamps := make([]byte, 2*119)
	rand.Read(timestamps)
	leaf, err := sign(&x509.Certificate{
		DNSNames: []string{domain}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IssuingCertificateURL: []string{"http://e1.i.bench.example/"}, CRLDistributionPoints: []string{"http://e1.c.bench.example/42.crl"},
		Policies:        []x509.OID{mustOID(2, 23, 140, 1, 2, 1)},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: timestamps}},
	}, a.intermediate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return record.Format(record.Record{
		Domain: domain, Issuer: "https://127.0.0.1:1/directory", Chain: [][]byte{leaf.Raw, a.intermediate.Raw}, Key: key,
	})
}

func mustOID(arcs ...uint64) x509.OID {
	oid, err := x509.OIDFromInts(arcs)
	if err != nil {
		panic(fmt.Sprint(arcs, err))
	}
	return oid
}

// sign fills in what all certificates have; without an issuer they sign themselves.
func sign(template, issuer *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	template.SerialNumber, template.SubjectKeyId = serial, id[:20]
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	if issuer == nil {
		issuer = template
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(signed)
}
