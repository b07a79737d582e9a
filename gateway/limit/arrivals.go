package limit

import (
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	arrivalBurst    = 10              // seconds' worth of connections that an address may open at once
	arrivalPatience = 2 * time.Second // that a connection waits for its turn by the rate
	mostPaced       = 1 << 18         // addresses, at 16 bytes each

	penalty       = 2 * time.Second        // for an attack
	mostForAttack = 4 * time.Second        // that an address is made to wait for attacks alone
	penalizedTurn = 200 * time.Millisecond // between two connections of an address that waits for an attack
	penalizedWait = 8 * time.Second        // at most, for a connection
	mostPenalized = 1 << 16                // addresses, at 16 bytes each
)

// Arrivals decide when a new connection may go on, whose handshake costs the process more than most of what comes behind it. One client
// address opens so many a second and no more: whoever opens one for each request of a flood waits for itself. And one that has attacked
// waits for some seconds, so that who is cut off gains nothing by coming back at once. An IPv6 address stands for its /64 network. Methods may
// be called at once from any number of goroutines.
type Arrivals struct {
	base      time.Time // of all times, which are in nanoseconds since
	paced     *addresses
	penalized *addresses   // when the next connection of an address may go on; each one that waits moves it ahead
	over      atomic.Int64 // when no address will be penalized any more
}

// NewArrivals makes Arrivals of which none has come yet.
func NewArrivals() *Arrivals {
	return &Arrivals{base: time.Now(), paced: newAddresses(mostPaced), penalized: newAddresses(mostPenalized)}
}

// Punish notes that client has attacked.
func (a *Arrivals) Punish(client netip.Addr, at time.Time) {
	now := a.since(at)
	a.penalized.change(a.penalized.key(0, client), now, func(e *address) {
		e.arrival = max(e.arrival, min(max(e.arrival, now)+int64(penalty), now+int64(mostForAttack)))
		a.extend(e.arrival)
	})
}

// Turn counts a new connection of client, of which perSecond may come on average, or any number if that is 0, and says how long it has to
// wait; ok is false if it is not to be served at all.
func (a *Arrivals) Turn(client netip.Addr, perSecond int, at time.Time) (wait time.Duration, ok bool) {
	now, ok := a.since(at), true
	var paced, penalized int64
	if perSecond > 0 {
		r, _ := newRate(perSecond, arrivalBurst*perSecond)
		a.paced.change(a.paced.key(0, client), now, func(e *address) {
			e.arrival, paced, ok = r.reserve(e.arrival, now, int64(arrivalPatience))
		})
	}
	if ok && a.over.Load() > now {
		a.penalized.look(a.penalized.key(0, client), func(e *address) {
			if penalized = max(e.arrival-now, 0); penalized == 0 {
				return
			}
			if ok = penalized <= int64(penalizedWait); ok {
				e.arrival += int64(penalizedTurn)
				a.extend(e.arrival)
			}
		})
	}
	return time.Duration(max(paced, penalized)), ok
}

// Waits reports whether a connection of client would have to wait now. It counts nothing.
func (a *Arrivals) Waits(client netip.Addr, perSecond int, at time.Time) (waits bool) {
	now := a.since(at)
	if perSecond > 0 {
		r, _ := newRate(perSecond, arrivalBurst*perSecond)
		a.paced.look(a.paced.key(0, client), func(e *address) {
			_, wait, _ := r.reserve(e.arrival, now, int64(arrivalPatience))
			waits = wait > 0
		})
	}
	if a.over.Load() > now {
		a.penalized.look(a.penalized.key(0, client), func(e *address) { waits = waits || e.arrival > now })
	}
	return waits
}

func (a *Arrivals) since(at time.Time) int64 { return int64(at.Sub(a.base)) }

func (a *Arrivals) extend(arrival int64) {
	for {
		before := a.over.Load()
		if arrival <= before || a.over.CompareAndSwap(before, arrival) {
			return
		}
	}
}
