package adopt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// today is far from the machine's clock, so that a test notices who looks at that.
var today = time.Date(2031, 5, 20, 12, 0, 0, 0, time.UTC)

func days(n int) time.Time { return today.Add(time.Duration(n) * 24 * time.Hour) }

// authority is a CA of a test: a root, and an intermediate that issues.
type authority struct {
	t         testing.TB
	root      *x509.Certificate
	issuing   *x509.Certificate
	rootKey   crypto.Signer
	signerKey crypto.Signer
	serial    *int64
}

// newAuthority names its intermediate as a public CA does.
func newAuthority(t testing.TB, organization, name string) authority {
	t.Helper()
	a := authority{t: t, rootKey: newKey(t), signerKey: newKey(t), serial: new(int64)}
	ca := func(subject pkix.Name) *x509.Certificate {
		*a.serial++
		return &x509.Certificate{SerialNumber: big.NewInt(*a.serial), Subject: subject, NotBefore: days(-1000), NotAfter: days(1000),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root := ca(pkix.Name{Organization: []string{organization}, CommonName: name + " Root"})
	a.root = sign(t, root, root, a.rootKey.Public(), a.rootKey)
	a.issuing = sign(t, ca(pkix.Name{Organization: []string{organization}, CommonName: name}), a.root, a.signerKey.Public(), a.rootKey)
	return a
}

func letsEncrypt(t testing.TB) authority { return newAuthority(t, "Let's Encrypt", "E7") }

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// leaf certifies a key for names, from ten days ago for ninety.
func (a authority) leaf(key crypto.Signer, change func(*x509.Certificate), names ...string) *x509.Certificate {
	a.t.Helper()
	*a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(*a.serial), NotBefore: days(-10), NotAfter: days(80), DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(template)
	}
	return sign(a.t, template, a.issuing, key.Public(), a.signerKey)
}

// files are the PEM texts that a client writes for one certificate.
type files struct{ cert, chain, full, key string }

func (a authority) files(names ...string) files { return a.changed(nil, names...) }

func (a authority) changed(change func(*x509.Certificate), names ...string) files {
	a.t.Helper()
	key := newKey(a.t)
	cert, chain := encode(a.leaf(key, change, names...)), encode(a.issuing)
	return files{cert, chain, cert + chain, encodeKey(a.t, key)}
}

// until makes a certificate that expires on another day.
func until(n int) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotAfter = days(n) }
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(chain ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range chain {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.String()
}

func encodeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	text, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t testing.TB, content string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, target string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
}

// lineage writes what certbot keeps of one certificate: links in live/ into archive/, which has an older one too.
func lineage(t testing.TB, etc, name string, now, older files) {
	t.Helper()
	for number, f := range map[string]files{"1": older, "2": now} {
		for kind, text := range map[string]string{"cert": f.cert, "chain": f.chain, "fullchain": f.full, "privkey": f.key} {
			write(t, text, etc, "archive", name, kind+number+".pem")
		}
	}
	for _, kind := range []string{"cert", "chain", "fullchain", "privkey"} {
		link(t, filepath.Join("..", "..", "archive", name, kind+"2.pem"), etc, "live", name, kind+".pem")
	}
	write(t, "This directory contains your keys and certificates.\n", etc, "live", name, "README")
}

// storeJSON is acme.json as Traefik writes it since version 2.
func storeJSON(t testing.TB, resolvers map[string][]files) string {
	t.Helper()
	store := map[string]any{}
	for resolver, list := range resolvers {
		var entries []any
		for _, f := range list {
			entries = append(entries, map[string]any{"domain": map[string]any{"main": mainName(t, f), "sans": []string{"x"}},
				"certificate": base64.StdEncoding.EncodeToString([]byte(f.full)), "key": base64.StdEncoding.EncodeToString([]byte(f.key)), "Store": "default"})
		}
		store[resolver] = map[string]any{"Account": map[string]any{"Email": "a@b.test", "Registration": map[string]any{"body": map[string]any{"contact": []string{"x"}}},
			"PrivateKey": "AAAA"}, "Certificates": entries}
	}
	text, err := json.MarshalIndent(store, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mainName(t testing.TB, f files) string {
	t.Helper()
	block, _ := pem.Decode([]byte(f.full))
	if block == nil {
		return "torn.test"
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(leaf.DNSNames) == 0 {
		return "nameless.test"
	}
	return leaf.DNSNames[0]
}

// expectation is a Found in short: "domain source path".
func expectFound(t *testing.T, got Findings, want ...string) {
	t.Helper()
	var have []string
	for _, f := range got.Found {
		have = append(have, f.Record.Domain+" "+f.Source+" "+f.Path)
		sound(t, f)
	}
	if !slices.Equal(have, want) {
		t.Errorf("found\n  %s\nwant\n  %s\nunread %q", strings.Join(have, "\n  "), strings.Join(want, "\n  "), got.Unread)
	}
}

// expectUnread wants these sentences' beginnings, in this order; each is "path: reason".
func expectUnread(t *testing.T, got Findings, want ...string) {
	t.Helper()
	if len(got.Unread) != len(want) {
		t.Errorf("unread are %d, want %d:\n%q", len(got.Unread), len(want), got.Unread)
		return
	}
	for i, u := range got.Unread {
		if text := u.Path + ": " + u.Reason; !strings.HasPrefix(text, want[i]) {
			t.Errorf("unread %d is\n  %s\nwant\n  %s", i, text, want[i])
		}
	}
}

// sound checks what a handshake relies on.
func sound(t *testing.T, f Found) {
	t.Helper()
	r := f.Record
	var chain []*x509.Certificate
	for _, der := range r.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%s: %v", r.Domain, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 || !chain[0].Equal(r.Leaf) || !belongs(r.Leaf, r.Key) {
		t.Fatalf("%s: leaf, key and chain do not fit", r.Domain)
	}
	for i := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			t.Errorf("%s: certificate %d: %v", r.Domain, i+1, err)
		}
	}
	if !slices.Contains(f.Names, r.Domain) || r.Adopted != f.Source+" "+f.Path {
		t.Errorf("%s: names %q, adopted %q", r.Domain, f.Names, r.Adopted)
	}
}
