package certificate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestPEMPair(t *testing.T) {
	root := newIssuerKit(t, "Customer Root")
	middle := root.under("Customer Intermediate")
	const host = "ensotek.example"
	names := []string{host, "*.ensotek.example"}
	chainPEM, keyPEM := middle.pair(names, nil, middle.cert)

	judge := func(host string, chainPEM, keyPEM []byte) error {
		pair := pemPair{hosts: []string{host}, chainFile: "fullchain.pem", keyFile: "privkey.pem", chainPEM: chainPEM, keyPEM: keyPEM}
		_, err := pair.certificate(time.Now())
		return err
	}
	good := func(host string, chainPEM, keyPEM []byte) {
		t.Helper()
		if err := judge(host, chainPEM, keyPEM); err != nil {
			t.Errorf("%v", err)
		}
	}
	bad := func(host string, chainPEM, keyPEM []byte, sentence string) {
		t.Helper()
		err := judge(host, chainPEM, keyPEM)
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("the error is %v, want %q in it", err, sentence)
		}
	}
	changed := func(change func(*x509.Certificate)) (chainPEM, keyPEM []byte) {
		t.Helper()
		return middle.pair(names, change, middle.cert)
	}

	// leaf and intermediate, with the root, and alone
	good(host, chainPEM, keyPEM)
	good(host, append(bytes.Clone(chainPEM), encodeChain(root.cert)...), keyPEM)
	own, ownKey := root.pair(names, nil)
	good(host, own, ownKey)

	// a wildcard covers one label and is asked for by its own name
	good("shop.ensotek.example", chainPEM, keyPEM)
	good("*.ensotek.example", chainPEM, keyPEM)
	bad("a.shop.ensotek.example", chainPEM, keyPEM, `is for ["ensotek.example" "*.ensotek.example"] and not for "a.shop.ensotek.example"`)
	bad("*.shop.ensotek.example", chainPEM, keyPEM, "and not for")
	bad("*.example", chainPEM, keyPEM, "and not for")
	upper, upperKey := root.pair([]string{"*.ENSOTEK.example"}, nil)
	good("*.ensotek.example", upper, upperKey)

	// text around the blocks, and what openssl writes before a key
	good(host, append([]byte("subject=CN = ensotek\n"), chainPEM...), append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), keyPEM...))

	// RSA, in both of its forms
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaChain := encodeChain(root.sign(rsaKey.Public(), func(c *x509.Certificate) { c.DNSNames = names }))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	good(host, rsaChain, encodeKey(t, rsaKey))
	good(host, rsaChain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))

	// no certificate or key in the file
	bad(host, nil, keyPEM, `"fullchain.pem" holds no PEM certificate`)
	bad(host, chainPEM[:200], keyPEM, `"fullchain.pem" holds no PEM certificate`)
	bad(host, keyPEM, keyPEM, `"fullchain.pem" holds no PEM certificate`)
	bad(host, chainPEM, nil, `"privkey.pem" holds no PEM private key`)
	bad(host, chainPEM, keyPEM[:100], `"privkey.pem" holds no PEM private key`)
	bad(host, chainPEM, chainPEM, `"privkey.pem" holds no PEM private key`)
	bad(host, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), keyPEM, "certificate 1 cannot be read")
	bad(host, chainPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "cannot be read: write an RSA")
	bad(host, bytes.Repeat(chainPEM, 6), keyPEM, "more than 10 certificates")

	// keys with a passphrase, in both of their forms
	bad(host, chainPEM, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "passphrase")
	bad(host, chainPEM, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}}), "passphrase")

	// the key of another certificate
	bad(host, chainPEM, ownKey, `"privkey.pem" is not the key of the certificate in "fullchain.pem"`)
	bad(host, rsaChain, keyPEM, "is not the key")

	// the wrong order
	leafPEM, leafKey := middle.pair(names, nil)
	bad(host, append(encodeChain(middle.cert), leafPEM...), leafKey, `begins with the certificate of "Customer Intermediate"`)
	bad(host, append(bytes.Clone(leafPEM), encodeChain(root.cert, middle.cert)...), leafKey, `certificate 2 ("Customer Root") did not issue certificate 1`)
	bad(host, append(bytes.Clone(leafPEM), leafPEM...), leafKey, "did not issue certificate 1")

	// another host, and none
	stranger, strangerKey := root.pair([]string{"evil.example"}, nil)
	bad(host, stranger, strangerKey, `is for ["evil.example"] and not for "ensotek.example"`)
	nameless, namelessKey := root.pair(nil, nil)
	bad(host, nameless, namelessKey, "is for no host name")
	many, manyKey := root.pair([]string{"a.test", "b.test", "c.test", "d.test", "e.test", "f.test", "g.test"}, nil)
	bad(host, many, manyKey, "and 2 more")

	// the wrong time and the wrong use
	expired, expiredKey := changed(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	bad(host, expired, expiredKey, "expired on")
	early, earlyKey := changed(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	bad(host, early, earlyKey, "is not valid before")
	client, clientKey := changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	bad(host, client, clientKey, "is not for servers")
	server, serverKey := changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	good(host, server, serverKey)
}

// Whatever is in the two files, judging them ends in a certificate that fits or in a sentence without the key.
func FuzzPEMPair(f *testing.F) {
	kit := newIssuerKit(f, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{"ensotek.example"}, nil, kit.cert)
	f.Add(chainPEM, keyPEM)
	f.Add(keyPEM, chainPEM)
	f.Add(chainPEM[:len(chainPEM)/2], keyPEM[:len(keyPEM)/2])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte(nil), []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, chainPEM, keyPEM []byte) {
		pair := pemPair{hosts: []string{"ensotek.example"}, chainFile: "fullchain.pem", keyFile: "privkey.pem", chainPEM: chainPEM, keyPEM: keyPEM}
		got, err := pair.certificate(time.Now())
		if err != nil {
			for line := range strings.Lines(string(keyPEM)) {
				if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
					t.Fatalf("the error quotes the key file: %v", err)
				}
			}
			return
		}
		leaf, err := x509.ParseCertificate(got.certificate.Certificate[0])
		if err != nil || leaf.VerifyHostname("ensotek.example") != nil || !time.Now().Before(got.notAfter) {
			t.Fatalf("a certificate was taken that does not fit: %v", err)
		}
	})
}
