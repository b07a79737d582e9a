package shelf

import (
	"errors"
	"testing"
	"time"

	"metahub/gateway/certificate/record"
)

// FuzzPut feeds a shelf what a disk or a network may hand over.
func FuzzPut(f *testing.F) {
	a := newAuthority(f, "E7")
	good := a.simple(f, "ensotek.de")
	f.Add("ensotek.de", good)
	f.Add("*.ensotek.de", good[:len(good)-40])
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, domain string, text []byte) {
		s := newShelf(Config{Load: func(string) ([]byte, error) { return text, nil }}, heapChunk)
		_, err := s.Put(domain, text)
		if err != nil && !errors.Is(err, record.ErrTorn) {
			t.Fatalf("Put = %v", err)
		}
		early := time.Unix(-1<<40, 0)
		if got := s.Lookup(keyOf(domain), early); (got != nil) != (err == nil) {
			t.Fatalf("Lookup = %v after %v", got, err)
		}
		if _, ok := s.Leaf(domain); ok != (err == nil) {
			t.Fatalf("Leaf is there: %v, after %v", ok, err)
		}
		s.remove(domain)
		s.Expect(domain)
		if got := s.Lookup(keyOf(domain), early); (got != nil) != (err == nil) {
			t.Fatalf("Lookup = %v, and Put failed with %v", got, err)
		}
	})
}
