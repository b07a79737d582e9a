package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestPenalties(t *testing.T) {
	p := NewPenalties()
	now := p.base.Add(time.Hour)
	attacker, other := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10")
	turn := func(from netip.Addr, want time.Duration) {
		t.Helper()
		if wait, ok := p.Turn(from, now); !ok || wait != want {
			t.Errorf("%v waits for %v (%v), want %v", from, wait, ok, want)
		}
	}
	turn(attacker, 0)
	turn(attacker, 0)
	p.Add(attacker, now)
	turn(attacker, penalty)
	turn(attacker, penalty+turnInterval)
	turn(other, 0)
	if !p.Owes(attacker, now) || p.Owes(other, now) {
		t.Error("not the attacker owes something, or not it alone")
	}
	if wait, ok := p.Turn(netip.MustParseAddr("::ffff:203.0.113.9"), now); !ok || wait != penalty+2*turnInterval {
		t.Errorf("the same address in IPv6's form waits for %v", wait)
	}

	now = now.Add(penalty + 3*turnInterval)
	turn(attacker, 0)
	if p.Owes(attacker, now) {
		t.Error("it owes something after it has waited")
	}

	for range 100 {
		p.Add(attacker, now)
	}
	turn(attacker, mostForAttack)
	served := 1
	for ; ; served++ {
		if wait, ok := p.Turn(attacker, now); !ok {
			break
		} else if wait > longestTurn {
			t.Fatalf("one waits for %v", wait)
		}
	}
	if want := int((longestTurn-mostForAttack)/turnInterval) + 1; served != want {
		t.Errorf("%d connections wait, want %d", served, want)
	}
	p.Add(attacker, now) // does not shorten what is owed
	if _, ok := p.Turn(attacker, now); ok {
		t.Error("another attack has made room")
	}
}

// TestPenaltyOfANetwork attacks from one address of a /64 network: the others are the same customer's.
func TestPenaltyOfANetwork(t *testing.T) {
	p := NewPenalties()
	now := p.base
	p.Add(netip.MustParseAddr("2001:db8:1:2::1"), now)
	if !p.Owes(netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), now) {
		t.Error("an address of the same network owes nothing")
	}
	if p.Owes(netip.MustParseAddr("2001:db8:1:3::1"), now) {
		t.Error("one of another network owes something")
	}
}

// TestPenaltiesOfMany attacks from more addresses than are remembered, at once: memory is bounded, and who was innocent is served.
func TestPenaltiesOfMany(t *testing.T) {
	p := NewPenalties()
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for i := range mostPenalized / 4 {
				a := netip.AddrFrom4([4]byte{100, byte(part), byte(i >> 8), byte(i)})
				p.Add(a, p.base)
				p.Turn(a, p.base)
				p.Owes(a, p.base)
			}
		})
	}
	all.Wait()
	if n := p.addresses.capacity(); n > mostPenalized {
		t.Errorf("there are places for %d addresses", n)
	}
	for i := range 1000 {
		if a := netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", i>>8, i&255)); p.Owes(a, p.base) {
			t.Fatalf("%v owes something", a)
		}
	}
}

func BenchmarkTurnOfAnInnocent(b *testing.B) {
	p := NewPenalties()
	p.Add(netip.MustParseAddr("203.0.113.9"), p.base)
	a := netip.MustParseAddr("203.0.113.10")
	b.ReportAllocs()
	for b.Loop() {
		p.Turn(a, p.base)
	}
}
