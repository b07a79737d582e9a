package shelf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"metahub/gateway/certificate/record"
)

// filled is a shelf with n certificates, all packed, and its keys.
func filled(b *testing.B, n, capacity int) (*Shelf, [][]byte) {
	b.Helper()
	a := newAuthority(b, "E7")
	s := New(Config{Capacity: capacity})
	keys := make([][]byte, n)
	for i := range keys {
		domain := fmt.Sprintf("%d.example.de", i)
		keys[i] = []byte(domain)
		put(b, s, domain, a.simple(b, domain))
	}
	b.ReportAllocs()
	b.ResetTimer()
	return s, keys
}

func BenchmarkWarm(b *testing.B) {
	for _, n := range []int{1, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, keys := filled(b, n, 2*n+16*shards)
			now := time.Now()
			for _, key := range keys {
				s.Lookup(key, now)
			}
			b.ResetTimer()
			for i := range b.N {
				s.Lookup(keys[i%n], now)
			}
		})
	}
}

// BenchmarkWarmParallel shows what handshakes cost each other: of one host, whose lock they share, and of many.
func BenchmarkWarmParallel(b *testing.B) {
	for _, n := range []int{1, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, keys := filled(b, n, 2*n+16*shards)
			now := time.Now()
			for _, key := range keys {
				s.Lookup(key, now)
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					s.Lookup(keys[i%n], now)
				}
			})
		})
	}
}

// BenchmarkWarmWhilePut has one goroutine replace certificates without pause.
func BenchmarkWarmWhilePut(b *testing.B) {
	s, keys := filled(b, 2000, 8000)
	now := time.Now()
	text := newAuthority(b, "E7").simple(b, "ensotek.de")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.Put("ensotek.de", text)
			}
		}
	}()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			s.Lookup(keys[i%len(keys)], now)
		}
	})
	close(stop)
	<-done
}

// BenchmarkCold parses at each lookup.
func BenchmarkCold(b *testing.B) {
	s, keys := filled(b, 2000, shards)
	now := time.Now()
	for i := range b.N {
		s.Lookup(keys[i%len(keys)], now)
	}
}

// BenchmarkParse compares the kinds of keys, and shows what tls.Certificate.Leaf would add.
func BenchmarkParse(b *testing.B) {
	a := newAuthority(b, "E7")
	f := func(name string, key crypto.Signer, leaf bool) {
		b.Run(name, func(b *testing.B) {
			r, err := record.Parse("ensotek.de", a.text(b, "ensotek.de", key, nil))
			if err != nil {
				b.Fatal(err)
			}
			c, err := contentOf([]byte("ensotek.de"), r)
			if err != nil {
				b.Fatal(err)
			}
			m := material{kind: c.kind, key: c.key, leaf: c.leaf, chain: c.chain}
			b.ReportAllocs()
			for b.Loop() {
				certificate, err := m.certificate()
				if err == nil && leaf {
					certificate.Leaf, err = x509.ParseCertificate(m.leaf)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("p256", newKey(b), false)
	f("p256+leaf", newKey(b), true)
	f("p384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), false)
	f("rsa2048", must(rsa.GenerateKey(rand.Reader, 2048)), false)
	f("rsa4096", must(rsa.GenerateKey(rand.Reader, 4096)), false)
}

func BenchmarkPut(b *testing.B) {
	s := New(Config{})
	text := newAuthority(b, "E7").simple(b, "ensotek.de")
	b.ReportAllocs()
	for b.Loop() {
		put(b, s, "ensotek.de", text)
	}
}

func BenchmarkExpect100000(b *testing.B) {
	domains := make([]string, 100000)
	for i := range domains {
		domains[i] = fmt.Sprintf("%d.example.de", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		New(Config{}).Expect(domains...)
	}
}
