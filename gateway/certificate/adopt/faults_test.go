package adopt

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func repeat(text string, times int) string { return strings.Repeat(text, times) }

// TestFaults says of each pair of files what is wrong with it.
func TestFaults(t *testing.T) {
	ca := letsEncrypt(t)
	good := ca.files("ensotek.de")
	f := func(crt, key string, sentences ...string) {
		t.Helper()
		folder := t.TempDir()
		write(t, crt, folder, "x.crt")
		write(t, key, folder, "x.key")
		got := Find([]string{folder}, today)
		expectFound(t, got)
		for i := range sentences {
			sentences[i] = folder + "/" + sentences[i]
		}
		expectUnread(t, got, sentences...)
	}
	refused := func(change func(*x509.Certificate), sentence string, names ...string) {
		t.Helper()
		bad := ca.changed(change, names...)
		f(bad.full, bad.key, "x.crt: "+sentence)
	}

	// the key of another certificate
	f(good.full, ca.files("other.de").key, `x.crt: does not belong to the key in "x.key": put in the two files that were made together`)
	// the days
	refused(until(-2), "expired on 2031-05-18: it is of no use any more", "ensotek.de")
	refused(func(c *x509.Certificate) { c.NotBefore = days(1) }, "is not valid before 2031-05-21T12:00:00Z", "ensotek.de")
	// the use and the names
	refused(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "is not for servers", "ensotek.de")
	refused(nil, "names no host")
	refused(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }, `is for "192.0.2.1" only`)
	refused(nil, `is for "under_score.de" only`, "under_score.de")
	// cut short, at different places
	f(good.full[:len(good.full)/2], good.key, "x.crt: is cut short or damaged")
	f(good.full[:len(good.full)-40], good.key, "x.crt: is cut short or damaged") // in the chain
	f(good.full, good.key[:60], "x.key: is cut short or damaged")
	f(good.full, "", "x.key: is empty")
	f("", good.key, "x.crt: is empty")
	// what is no certificate or key
	f(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), good.key, "x.crt: holds a certificate that cannot be read (PEM block 1)")
	f(good.full, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "x.key: holds a private key that cannot be read")
	f(good.full, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, maxKeyDER+1)})), "x.key: holds a private key that cannot be read")
	f(good.full, repeat("x", maxFile+1), "x.key: is larger than 1048576 bytes")
	f(good.full, "# nothing yet", `x.crt: has no private key beside it: put the key there as "x.key"`)
	f(good.full, repeat(encodeKey(t, newKey(t)), maxKeys)+good.key, "x.key: holds more than 10 private keys")
	// keys with a passphrase, in both of their forms
	f(good.full, string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})), "x.key: is protected by a passphrase: write the key without one")
	f(good.full, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})),
		"x.key: is protected by a passphrase")
	// certificates behind the leaf that are not its issuers
	f(good.cert+encode(newAuthority(t, "", "Other").issuing), good.key, "x.crt: is followed by certificates that did not issue it")
	// issuers that browsers do not accept
	for organization, name := range map[string]string{"(STAGING) Let's Encrypt": "(STAGING) Ersatz Edamame E1", "": "Fake LE Intermediate X1"} {
		bad := newAuthority(t, organization, name).files("ensotek.de")
		f(bad.full, bad.key, fmt.Sprintf("x.crt: was issued by a test CA, %q", name))
	}
	selfMade := func(subject string, isCA bool) (crt, key string) {
		signer := newKey(t)
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject}, DNSNames: []string{"ensotek.de"},
			NotBefore: days(-1), NotAfter: days(1), IsCA: isCA, BasicConstraintsValid: true}
		return encode(sign(t, c, c, signer.Public(), signer)), encodeKey(t, signer)
	}
	crt, key := selfMade("ensotek.de", false)
	f(crt, key, "x.crt: is self-signed: browsers do not accept it")
	crt, key = selfMade("ensotek.de", true) // as openssl req -x509 makes it
	f(crt, key, "x.crt: is self-signed: browsers do not accept it")
	crt, key = selfMade("TRAEFIK DEFAULT CERT", false)
	f(crt, key, "x.crt: is the certificate that Traefik makes up")
}

// TestPassedOver is about what is nobody's fault: but a path that brings nothing is said to.
func TestPassedOver(t *testing.T) {
	ca := letsEncrypt(t)
	f := func(content string, name string) {
		t.Helper()
		folder := t.TempDir()
		write(t, content, folder, name)
		got := Find([]string{folder}, today)
		expectFound(t, got)
		expectUnread(t, got, folder+": holds no certificate that could be taken")
	}
	f(encode(ca.root, ca.issuing), "ca.pem")
	f(encode(ca.issuing)+encodeKey(t, ca.signerKey), "ca.pem")
	f(encodeKey(t, newKey(t)), "alone.key")
	f("not PEM", "notes.pem")
	f(ca.files("a.test").full, "readme.txt")
	f(`{"a": [1, 2`, "other.json")
	f("", "empty.json")
	f(string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("x")})), "id.key")
}

func TestNamedFileThatIsNone(t *testing.T) {
	folder := t.TempDir()
	write(t, "hello", folder, "notes.txt")
	got := Find([]string{filepath.Join(folder, "notes.txt"), filepath.Join(folder, "gone")}, today)
	expectUnread(t, got, folder+"/gone: is not there", folder+"/notes.txt: holds no PEM certificate and no PEM key")
	write(t, encode(letsEncrypt(t).root), folder, "root.txt")
	expectUnread(t, Find([]string{filepath.Join(folder, "root.txt")}, today), folder+"/root.txt: holds no certificate that could be taken")
}

func TestKeyFaultOfNamedFile(t *testing.T) {
	folder := t.TempDir()
	write(t, letsEncrypt(t).files("a.test").full, folder, "x.crt")
	write(t, string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})), folder, "x.key")
	expectUnread(t, Find([]string{filepath.Join(folder, "x.crt")}, today), folder+`/x.crt: needs the key in "x.key", which is protected by a passphrase`)
}

// TestOrderIsRepaired: where all certificates are there, their order is put right.
func TestOrderIsRepaired(t *testing.T) {
	ca := newAuthority(t, "Customer GmbH", "Customer CA")
	f := func(length int, text func(own files) string) {
		t.Helper()
		folder := t.TempDir()
		own := ca.files("a.test")
		write(t, text(own), folder, "x.crt")
		write(t, own.key, folder, "x.key")
		got := Find([]string{folder}, today)
		expectFound(t, got, "a.test pem "+folder+"/x.crt")
		expectUnread(t, got)
		if len(got.Found) == 1 && len(got.Found[0].Record.Chain) != length {
			t.Errorf("the chain has %d certificates, want %d", len(got.Found[0].Record.Chain), length)
		}
	}
	other := newAuthority(t, "Other", "Other CA")
	root := encode(ca.root)
	f(2, func(own files) string { return own.full })
	f(2, func(own files) string { return own.chain + own.cert })
	f(3, func(own files) string { return root + own.chain + own.cert })
	f(3, func(own files) string { return own.cert + root + own.chain })
	f(2, func(own files) string { return own.cert + own.cert + own.chain + own.chain })
	f(2, func(own files) string { return own.cert + encode(other.issuing) + own.chain })
	f(1, func(own files) string { return own.cert })
	f(2, func(own files) string { return "subject=CN = a\n" + own.full + "trailing words" })
}

// TestCrossSignedLoop: two CAs that certify each other do not make an endless chain.
func TestCrossSignedLoop(t *testing.T) {
	a, b := newAuthority(t, "A", "A"), newAuthority(t, "B", "B")
	cross := func(subject *x509.Certificate, issuer authority) *x509.Certificate {
		return sign(t, subject, issuer.issuing, subject.PublicKey, issuer.signerKey)
	}
	folder := t.TempDir()
	own := a.files("a.test")
	write(t, own.cert+encode(cross(a.issuing, b), cross(b.issuing, a)), folder, "x.crt")
	write(t, own.key, folder, "x.key")
	expectFound(t, Find([]string{folder}, today), "a.test pem "+folder+"/x.crt")
}

func TestDuplicates(t *testing.T) {
	ca := letsEncrypt(t)
	folder := t.TempDir()
	put := func(stem string, f files) {
		write(t, f.full, folder, stem+".crt")
		write(t, f.key, folder, stem+".key")
	}
	put("a", ca.changed(until(30), "a.test", "b.test", "c.test"))
	put("b", ca.changed(until(50), "a.test", "b.test"))
	put("c", ca.changed(until(40), "a.test"))
	put("d", ca.changed(func(c *x509.Certificate) { c.NotAfter, c.NotBefore = days(50), days(-1) }, "b.test"))
	got := Find([]string{folder}, today)
	expectFound(t, got, "a.test pem "+folder+"/b.crt", "b.test pem "+folder+"/d.crt", "c.test pem "+folder+"/a.crt")
	expectUnread(t, got,
		folder+`/a.crt: holds an older certificate for "a.test": the one in "`+folder+`/b.crt" is newer`,
		folder+`/a.crt: holds an older certificate for "b.test": the one in "`+folder+`/d.crt" is newer`,
		folder+`/c.crt: holds an older certificate for "a.test": the one in "`+folder+`/b.crt" is newer`,
		folder+`/b.crt: holds an older certificate for "b.test": the one in "`+folder+`/d.crt" is newer`)
}

func TestNamesThatCannotBeKept(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).changed(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} },
		"A.test", "a.test", "b_c.test", "*.*.test", "*.a.test", "a b")
	write(t, f.full+f.key, folder, "x.pem")
	got := Find([]string{folder}, today)
	expectFound(t, got, "*.a.test pem "+folder+"/x.pem", "a.test pem "+folder+"/x.pem")
	expectUnread(t, got, folder+`/x.pem: is also for ["b_c.test" "*.*.test" "a b" "192.0.2.1"], which`)
}

func TestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ca := letsEncrypt(t)
	folder := t.TempDir()
	write(t, encode(ca.leaf(key, nil, "a.test"), ca.issuing), folder, "fullchain.pem")
	write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), folder, "privkey.pem")
	expectFound(t, Find([]string{folder}, today), "a.test pem "+folder+"/fullchain.pem")
}

func TestHugeRSAKeyIsNotUsed(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), maxRSA)
	if _, ok := publicID(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}); ok {
		t.Error("a key that takes seconds to use is used")
	}
}
