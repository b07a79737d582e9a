package limit

import (
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	penalty       = 2 * time.Second        // for an attack
	mostForAttack = 4 * time.Second        // that an address is made to wait for attacks alone
	turnInterval  = 200 * time.Millisecond // between two connections of an address that has to wait
	longestTurn   = 8 * time.Second        // that a connection waits; one that would have to wait for longer is refused
	mostPenalized = 1 << 16                // addresses, at 16 bytes each
)

// Penalties have those client addresses wait that have attacked, so that an attacker who is cut off cannot spend the process's time on
// handshakes by coming back at once. What an address owes is one number, the time at which its next connection may go on. An attack moves
// that ahead, and as long as it is ahead, so does each connection: they go on one after the other. An IPv6 address stands for its /64
// network. Methods may be called at once from any number of goroutines.
type Penalties struct {
	base      time.Time // of all times, which are in nanoseconds since
	addresses *addresses
	over      atomic.Int64 // when no address will owe anything any more
}

// NewPenalties makes Penalties of which nobody owes anything.
func NewPenalties() *Penalties {
	return &Penalties{base: time.Now(), addresses: newAddresses(mostPenalized)}
}

// Add notes that client has attacked.
func (p *Penalties) Add(client netip.Addr, at time.Time) {
	now := int64(at.Sub(p.base))
	key := p.addresses.key(0, client)
	s := p.addresses.shard(key)
	s.mu.Lock()
	e := s.find(key, now, p.addresses.most)
	e.arrival = max(e.arrival, min(max(e.arrival, now)+int64(penalty), now+int64(mostForAttack)))
	p.extend(e.arrival)
	s.mu.Unlock()
}

// Turn says how long a new connection of client has to wait; ok is false if it is not to be served at all.
func (p *Penalties) Turn(client netip.Addr, at time.Time) (wait time.Duration, ok bool) {
	p.owing(client, at, func(e *address, owed int64) {
		wait = time.Duration(owed)
		if ok = wait <= longestTurn; ok {
			e.arrival += int64(turnInterval)
			p.extend(e.arrival)
		}
	})
	return wait, ok || wait == 0
}

// Owes reports whether a connection of client would have to wait now.
func (p *Penalties) Owes(client netip.Addr, at time.Time) (owes bool) {
	p.owing(client, at, func(*address, int64) { owes = true })
	return owes
}

// owing calls f with the place of client and what it owes, in nanoseconds, if that is more than nothing.
func (p *Penalties) owing(client netip.Addr, at time.Time, f func(e *address, owed int64)) {
	now := int64(at.Sub(p.base))
	if p.over.Load() <= now {
		return
	}
	key := p.addresses.key(0, client)
	s := p.addresses.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.look(key); e != nil && e.arrival > now {
		f(e, e.arrival-now)
	}
}

func (p *Penalties) extend(arrival int64) {
	for {
		before := p.over.Load()
		if arrival <= before || p.over.CompareAndSwap(before, arrival) {
			return
		}
	}
}
