package shelf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"metahub/gateway/certificate/record"
)

func TestPutAndLookup(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	absentFrom(t, s, "ensotek.de")

	first := a.simple(t, "ensotek.de")
	put(t, s, "ensotek.de", first)
	serves(t, s, "ensotek.de", first) // packed
	serves(t, s, "ensotek.de", first) // parsed
	absentFrom(t, s, "www.ensotek.de")
	absentFrom(t, s, "")

	second := a.simple(t, "ensotek.de")
	put(t, s, "ensotek.de", second)
	serves(t, s, "ensotek.de", second)
	if got := s.Stats(); got.Packed != 1 || got.Parsed != 1 || got.Hits != 1 || got.Cold != 2 {
		t.Errorf("stats %+v", got)
	}

	s.remove("ensotek.de")
	s.remove("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	if got := s.Stats(); got.Packed != 0 || got.Parsed != 0 || s.tails.size() != 0 {
		t.Errorf("stats %+v, chains of %d bytes", got, s.tails.size())
	}
}

func TestWildcard(t *testing.T) {
	a := newAuthority(t, "E7")
	disk := newDisk()
	s := New(Config{Load: disk.load})
	text := a.simple(t, "*.ensotek.de")
	disk.write("*.ensotek.de", text)
	s.Expect("*.ensotek.de")
	absentFrom(t, s, "ensotek.de")
	serves(t, s, ".ensotek.de", text)
	if _, ok := s.Info("*.ensotek.de"); !ok {
		t.Error("no info under the domain's own name")
	}
	s.remove("*.ensotek.de")
	absentFrom(t, s, ".ensotek.de")
}

func TestExpired(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	put(t, s, "ensotek.de", a.simple(t, "ensotek.de"))
	info, _ := s.Info("ensotek.de")
	key := []byte("ensotek.de")
	if s.Lookup(key, info.NotAfter.Add(time.Second)) != nil {
		t.Error("a packed certificate served past its end")
	}
	if s.Lookup(key, info.NotAfter) == nil {
		t.Error("its last second belongs to a certificate (RFC 5280 §4.1.2.5)")
	}
	if s.Lookup(key, info.NotAfter.Add(time.Second)) != nil {
		t.Error("a parsed certificate served past its end")
	}
	if got := s.Stats(); got.Expired != 2 {
		t.Errorf("stats %+v", got)
	}
	if _, ok := s.Leaf("ensotek.de"); !ok {
		t.Error("the leaf of an expired certificate is needed for its renewal")
	}
}

func TestInfoAndLeaf(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	var want Info
	text := a.text(t, "ensotek.de", newKey(t), func(c *x509.Certificate, r *record.Record) {
		c.DNSNames = []string{"ensotek.de", "www.ensotek.de"}
		c.IPAddresses = []net.IP{net.IPv4(203, 0, 113, 7)}
		r.Adopted = "/etc/letsencrypt/live/ensotek.de"
		want = Info{c.NotBefore.Truncate(time.Second).UTC(), c.NotAfter.Truncate(time.Second).UTC(), "letsencrypt", "E7", r.Adopted, 3}
	})
	if got := put(t, s, "ensotek.de", text); got != want {
		t.Errorf("Put = %+v, want %+v", got, want)
	}
	if got, ok := s.Info("ensotek.de"); !ok || got != want {
		t.Errorf("Info = %+v, want %+v", got, want)
	}
	if leaf, ok := s.Leaf("ensotek.de"); !ok || leaf.DNSNames[1] != "www.ensotek.de" {
		t.Errorf("Leaf = %v, %v", leaf, ok)
	}
	if _, ok := s.Info("radanor.de"); ok {
		t.Error("info of an absent domain")
	}
	if _, ok := s.Leaf("radanor.de"); ok {
		t.Error("leaf of an absent domain")
	}
}

func TestPutTorn(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	good := a.simple(t, "ensotek.de")
	put(t, s, "ensotek.de", good)
	f := func(domain string, text []byte) {
		t.Helper()
		if _, err := s.Put(domain, text); !errors.Is(err, record.ErrTorn) {
			t.Errorf("Put = %v", err)
		}
		serves(t, s, "ensotek.de", good)
	}
	// the certificate before stays
	f("ensotek.de", nil)
	f("ensotek.de", good[:len(good)/2])
	f("ensotek.de", append(make([]byte, maxText), good...))
	// no host name
	f("", good)
	f("*", good)
	f(strings.Repeat("a.", 128)+"de", good)
}

// TestEviction fills the parsed level far beyond its capacity.
func TestEviction(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{Capacity: shards})
	texts := map[string][]byte{}
	for i := range 200 {
		domain := strconv.Itoa(i) + ".example.de"
		texts[domain] = a.simple(t, domain)
		put(t, s, domain, texts[domain])
	}
	for range 3 {
		for domain, text := range texts {
			serves(t, s, domain, text)
		}
	}
	if got := s.Stats(); got.Parsed > shards || got.Packed != 200 {
		t.Errorf("stats %+v", got)
	}
}

// TestHandedOut serves with a certificate whose memory was given back long ago.
func TestHandedOut(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	text := a.simple(t, "ensotek.de")
	put(t, s, "ensotek.de", text)
	held := serves(t, s, "ensotek.de", text)
	want, err := record.Parse("ensotek.de", text)
	if err != nil {
		t.Fatal(err)
	}
	others := [][]byte{a.simple(t, "ensotek.de"), newAuthority(t, "E8").simple(t, "ensotek.de")}
	for i := range 2000 { // several chunks
		put(t, s, "ensotek.de", others[i%2])
	}
	if got := s.Stats().Bytes; got > 2*chunkSize {
		t.Errorf("one certificate in %d bytes", got)
	}
	runtime.GC()
	same(t, held, want)
	digest := make([]byte, 32)
	if _, err := held.PrivateKey.(crypto.Signer).Sign(rand.Reader, digest, crypto.SHA256); err != nil {
		t.Error(err)
	}
}

// TestHandshakes completes real handshakes with each kind of key.
func TestHandshakes(t *testing.T) {
	a := newAuthority(t, "E7")
	s := New(Config{})
	f := func(name string, key crypto.Signer, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, name, a.text(t, name, key, nil))
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if err := handshake(s, a, name, version); err != nil {
				t.Errorf("%s, %s: %v", name, tls.VersionName(version), err)
			}
		}
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f("p256.example.de", p256, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	f("p384.example.de", p384, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	f("rsa.example.de", rsa2048, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	f("ed25519.example.de", ed, err)
}

func handshake(s *Shelf, a authority, name string, version uint16) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	failed := make(chan error, 1)
	go func() {
		failed <- tls.Server(far, &tls.Config{
			SessionTicketsDisabled: true, // nobody reads them from the pipe
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return s.Lookup([]byte(hello.ServerName), time.Now()), nil
			},
		}).Handshake()
	}()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	client := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: name, MaxVersion: version})
	if err := client.Handshake(); err != nil {
		return err
	}
	return <-failed
}

func TestWarmLookupAllocatesNothing(t *testing.T) {
	s := New(Config{})
	put(t, s, "ensotek.de", newAuthority(t, "E7").simple(t, "ensotek.de"))
	now := time.Now()
	f := func(name string) {
		t.Helper()
		key := []byte(name)
		s.Lookup(key, now)
		if n := testing.AllocsPerRun(100, func() { s.Lookup(key, now) }); n != 0 {
			t.Errorf("%v allocations for %q", n, name)
		}
	}
	f("ensotek.de")
	// an unknown one allocates nothing either
	f("a-rather-long-and-unknown-name-that-fits-no-small-buffer.ensotek.de")
}
