package limit

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func address4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// TestHostileAddresses floods a table with addresses that are all to be remembered. It must not grow beyond its bound, and not forget
// the address that has used up most.
func TestHostileAddresses(t *testing.T) {
	const capacity = 1 << 16
	a, r := newAddresses(capacity), rate{interval: 1e9, depth: 100e9}
	loud := netip.MustParseAddr("198.51.100.1")
	for a.take(1, loud, r, 0) == 0 {
	}
	for n := range uint32(4 * capacity) {
		a.take(1, address4(n), r, 0)
	}
	if got := a.capacity(); got != capacity {
		t.Errorf("places for %d, want %d", got, capacity)
	}
	if a.take(1, loud, r, 0) == 0 {
		t.Error("an address that is over its limit was forgotten for others")
	}
}

// TestMillionAddresses counts how many of a million addresses are forgotten, all of which have used up as much.
func TestMillionAddresses(t *testing.T) {
	a, r, wrong := newAddresses(2<<20), rate{interval: 1e9, depth: 1e9}, 0
	for round := range 2 {
		for n := range uint32(1_000_000) {
			if limited := a.take(1, address4(n), r, 0) > 0; limited != (round == 1) {
				wrong++
			}
		}
	}
	t.Logf("%d of 1,000,000 forgotten, %d MiB", wrong, a.capacity()*16>>20)
	if wrong > 20_000 || a.capacity() > 2<<20 {
		t.Errorf("%d of a million addresses forgotten, with places for %d", wrong, a.capacity())
	}
}

// TestQuietAddressesTakeNoRoom sends many addresses that have used nothing up when the next one comes.
func TestQuietAddressesTakeNoRoom(t *testing.T) {
	a, r := newAddresses(1<<20), rate{interval: 1e7, depth: 3e9}
	for n := range uint32(1_000_000) {
		a.take(1, address4(n), r, int64(n)*1e6)
	}
	if got := a.capacity(); got > 4*shards*setSize {
		t.Errorf("places for %d addresses, where ten at once are to be remembered", got)
	}
}
