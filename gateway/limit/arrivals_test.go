package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	attacker = netip.MustParseAddr("203.0.113.9")
	innocent = netip.MustParseAddr("203.0.113.10")
)

// door is Arrivals at a time that stands still.
type door struct {
	*testing.T
	*Arrivals
	now time.Time
}

func newDoor(t *testing.T) *door {
	a := NewArrivals()
	return &door{t, a, a.base.Add(time.Hour)}
}

// turn has a connection come, which is to wait.
func (d *door) turn(from netip.Addr, perSecond int, want time.Duration) {
	d.Helper()
	if waits := d.Waits(from, perSecond, d.now); waits != (want > 0) {
		d.Errorf("%v waits: %v, want for %v", from, waits, want)
	}
	if wait, ok := d.Turn(from, perSecond, d.now); !ok || wait != want {
		d.Errorf("%v waits for %v (%v), want %v", from, wait, ok, want)
	}
}

func TestPenalty(t *testing.T) {
	d := newDoor(t)
	d.turn(attacker, 0, 0)
	d.Punish(attacker, d.now)
	d.turn(attacker, 0, penalty)
	d.turn(attacker, 0, penalty+penalizedTurn)
	d.turn(innocent, 0, 0)
	d.turn(netip.MustParseAddr("::ffff:203.0.113.9"), 0, penalty+2*penalizedTurn)

	d.now = d.now.Add(penalty + 3*penalizedTurn)
	d.turn(attacker, 0, 0)

	for range 100 {
		d.Punish(attacker, d.now)
	}
	d.turn(attacker, 0, mostForAttack)
	served := 1
	for ; ; served++ {
		if wait, ok := d.Turn(attacker, 0, d.now); !ok {
			break
		} else if wait > penalizedWait {
			t.Fatalf("one waits for %v", wait)
		}
	}
	if want := int((penalizedWait-mostForAttack)/penalizedTurn) + 1; served != want {
		t.Errorf("%d connections wait, want %d", served, want)
	}
	d.Punish(attacker, d.now) // does not shorten what is owed
	if _, ok := d.Turn(attacker, 0, d.now); ok {
		t.Error("another attack has made room")
	}
}

func TestRateOfConnections(t *testing.T) {
	d := newDoor(t)
	const rate = 50
	for range rate * arrivalBurst {
		d.turn(attacker, rate, 0)
	}
	for n := range 100 {
		d.turn(attacker, rate, time.Duration(n+1)*time.Second/rate)
	}
	for range 3 {
		if _, ok := d.Turn(attacker, rate, d.now); ok {
			t.Error("one more is served")
		}
	}
	d.turn(innocent, rate, 0)
	d.turn(attacker, 0, 0) // a reload has taken the limit away
	d.now = d.now.Add(time.Second)
	for n := range rate { // what was refused has cost nothing
		d.turn(attacker, rate, time.Second+time.Duration(n+1)*time.Second/rate)
	}
	d.now = d.now.Add(time.Minute)
	d.turn(attacker, rate, 0)
}

// TestRateAndPenalty waits for whichever takes longer.
func TestRateAndPenalty(t *testing.T) {
	d := newDoor(t)
	for range arrivalBurst {
		d.turn(attacker, 1, 0)
	}
	d.Punish(attacker, d.now)
	d.turn(attacker, 1, penalty)
	d.now = d.now.Add(penalty + time.Second)
	d.turn(attacker, 1, 0)
}

// TestArrivalsOfANetwork attacks from one address of a /64 network: the others are the same customer's.
func TestArrivalsOfANetwork(t *testing.T) {
	d := newDoor(t)
	for range arrivalBurst {
		d.turn(netip.MustParseAddr("2001:db8:1:2::1"), 1, 0)
	}
	d.turn(netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), 1, time.Second)
	d.turn(netip.MustParseAddr("2001:db8:1:3::1"), 1, 0)
	d.Punish(netip.MustParseAddr("2001:db8:1:2::1"), d.now)
	d.turn(netip.MustParseAddr("2001:db8:1:2:7::"), 0, penalty)
	d.turn(netip.MustParseAddr("2001:db8:1:3::1"), 0, 0)
}

// TestArrivalsOfMany attacks from more addresses than are remembered, at once: memory is bounded, and who was innocent is served.
func TestArrivalsOfMany(t *testing.T) {
	d := newDoor(t)
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for i := range mostPaced / 6 {
				a := netip.AddrFrom4([4]byte{100, byte(part), byte(i >> 8), byte(i)})
				d.Punish(a, d.now)
				d.Turn(a, 50, d.now)
				d.Waits(a, 50, d.now)
			}
		})
	}
	all.Wait()
	if paced, penalized := d.paced.capacity(), d.penalized.capacity(); paced > mostPaced || penalized > mostPenalized {
		t.Errorf("there are places for %d and %d addresses", paced, penalized)
	}
	for i := range 1000 {
		d.turn(netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", i>>8, i&255)), 50, 0)
	}
}

func BenchmarkTurn(b *testing.B) {
	a := NewArrivals()
	a.Punish(attacker, a.base)
	at := a.base
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		a.Turn(innocent, 50, at)
	}
}
