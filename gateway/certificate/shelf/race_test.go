package shelf

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestAtOnce does everything at once, on memory that the race detector sees and on memory that is unmapped under whoever should not
// look at it any more.
func TestAtOnce(t *testing.T) {
	a := newAuthority(t, "E7")
	b := newAuthority(t, "E8")
	const domains, each = 8, 4
	var names []string
	var texts [][][]byte
	for i := range domains {
		names = append(names, fmt.Sprintf("%d.example.de", i))
		texts = append(texts, nil)
		for j := range each {
			texts[i] = append(texts[i], []authority{a, b}[j%2].simple(t, names[i]))
		}
	}
	f := func(name string, newChunk chunkMaker) {
		t.Run(name, func(t *testing.T) {
			disk := newDisk()
			for i := range domains {
				disk.write(names[i], texts[i][0])
			}
			s := newShelf(Config{Load: disk.load, Capacity: shards}, newChunk)
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() { work(t, s, names, texts, rand.New(rand.NewPCG(uint64(worker), 0))) })
			}
			all.Wait()
			for i := range domains {
				put(t, s, names[i], texts[i][1])
				serves(t, s, names[i], texts[i][1])
				s.remove(names[i])
			}
			if got := s.Stats(); got.Packed+got.Expected+got.Parsed != 0 || s.tails.size() != 0 {
				t.Errorf("stats %+v, chains of %d bytes", got, s.tails.size())
			}
		})
	}
	f("mmap", newChunk)
	f("heap", heapChunk)
}

func work(t *testing.T, s *Shelf, names []string, texts [][][]byte, random *rand.Rand) {
	for range 2500 {
		i := random.IntN(len(names))
		switch random.IntN(10) {
		case 0, 1, 2:
			if _, err := s.Put(names[i], texts[i][random.IntN(len(texts[i]))]); err != nil {
				t.Error(err)
			}
		case 3:
			s.remove(names[i])
		case 4:
			s.Expect(names[i])
		case 5:
			if info, ok := s.Info(names[i]); ok && (info.Issuer != "letsencrypt" || info.Names != 1) {
				t.Errorf("Info = %+v", info)
			}
			s.Stats()
		case 6:
			if leaf, ok := s.Leaf(names[i]); ok && leaf.DNSNames[0] != names[i] {
				t.Errorf("the leaf of %q is for %q", names[i], leaf.DNSNames[0])
			}
		default:
			checkWhole(t, s, names[i])
		}
	}
}

// checkWhole wants a certificate's parts to belong together, whichever it is.
func checkWhole(t *testing.T, s *Shelf, name string) {
	got := s.Lookup([]byte(name), time.Now())
	if got == nil {
		return
	}
	leaf, err := x509.ParseCertificate(got.Certificate[0])
	if err != nil {
		t.Error(err)
		return
	}
	issuer, err := x509.ParseCertificate(got.Certificate[1])
	if err != nil {
		t.Error(err)
		return
	}
	public := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if leaf.DNSNames[0] != name || !bytes.Equal(leaf.RawIssuer, issuer.RawSubject) || !public.Equal(got.PrivateKey.(crypto.Signer).Public()) {
		t.Errorf("the certificate of %q is pieced together", name)
	}
}

// TestSlowParse ends after its certificate has been replaced, or removed.
func TestSlowParse(t *testing.T) {
	a := newAuthority(t, "E7")
	old, young := a.simple(t, "ensotek.de"), a.simple(t, "ensotek.de")
	f := func(change func(*Shelf), check func(*Shelf)) {
		t.Helper()
		s := New(Config{})
		put(t, s, "ensotek.de", old)
		key := []byte("ensotek.de")
		sh, hash := s.shardOf(key)
		found := sh.find(hash, key, time.Now().Unix())
		change(s)
		if s.parse(sh, hash, key, found.material) == nil {
			t.Error("what was copied is good enough for this handshake")
		}
		check(s)
	}
	f(func(s *Shelf) { put(t, s, "ensotek.de", young) }, func(s *Shelf) { serves(t, s, "ensotek.de", young) })
	f(func(s *Shelf) { s.remove("ensotek.de") }, func(s *Shelf) { absentFrom(t, s, "ensotek.de") })
}
