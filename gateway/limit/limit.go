// Package limit decides whether a request of a tenant may go on, and whose turn it is when the process has more to do than it can.
//
//	limiter := limit.New(limit.Config{})
//	limiter.Update(concurrency, tenants)      // at the start and at each reload
//	t := limiter.Tenant("ensotek")
//	if refused := limiter.Admit(t, client, now); refused.Reason != limit.None { … 429 or 503 }
//	defer t.Done()
//	if !limiter.Enter(t, slot, now) { … 503 }
//	defer limiter.Leave(slot)                 // once the head of the answer is there
//
// Rates are kept as one number each (GCRA), without a goroutine or a timer. Client addresses share a table of bounded size. It knows
// nothing of HTTP, reads no clock but its own, and writes no log.
package limit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what New needs; zero values stand for the defaults.
type Config struct {
	// Addresses is how many client addresses are remembered at once, at 16 bytes each; by default 2,097,152, which is 32 MiB. It is
	// rounded up to a power of two.
	Addresses int
	// Patience is how long a request may wait for its turn; by default one second.
	Patience time.Duration
	// Lease is how long a request may keep a slot that others wait for; by default ten milliseconds. Whoever takes longer is waiting
	// for something else than this process.
	Lease time.Duration
}

// Settings are the limits of one tenant. A zero means that there is none.
type Settings struct {
	// Rate is in requests a second, Burst how many may come at once; 0 for three seconds' worth.
	Rate, Burst int
	// ClientRate and ClientBurst are the same for one client address, or one /64 network of IPv6.
	ClientRate, ClientBurst int
	Concurrency             int // requests being answered
	Connections             int
	Weight                  int // of the tenant's share; 0 counts as 1
}

// Limiter keeps the counts of all tenants. Its methods may be called at once from any number of goroutines; those that every request
// passes allocate nothing.
type Limiter struct {
	base      time.Time // of all times, which are in nanoseconds since
	addresses *addresses
	queue     *queue

	updating sync.Mutex
	made     uint64 // tenants, ever
	tenants  atomic.Pointer[map[string]*Tenant]
}

// New makes a Limiter that knows no tenant yet.
func New(c Config) *Limiter {
	base := time.Now()
	l := &Limiter{
		base:      base,
		addresses: newAddresses(orDefault(c.Addresses, 2<<20)),
		queue:     newQueue(base, orDefault(c.Patience, time.Second), orDefault(c.Lease, 10*time.Millisecond)),
	}
	l.tenants.Store(&map[string]*Tenant{})
	return l
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Update makes tenants, by slug, those that there are. One that was there keeps its counts. concurrency is how many slots the process
// has.
func (l *Limiter) Update(concurrency int, tenants map[string]Settings) {
	l.updating.Lock()
	defer l.updating.Unlock()
	before, next := *l.tenants.Load(), make(map[string]*Tenant, len(tenants))
	plans := map[Settings]*plan{} // most tenants have the same, which then stays in the processor's cache
	for slug, settings := range tenants {
		t := before[slug]
		if t == nil {
			l.made++
			t = &Tenant{id: l.made}
		}
		if plans[settings] == nil {
			plans[settings] = newPlan(settings)
		}
		t.plan.Store(plans[settings])
		next[slug] = t
	}
	l.tenants.Store(&next)
	l.queue.resize(concurrency)
}

// Tenant returns the counts of a tenant, or nil for a slug that is not known.
func (l *Limiter) Tenant(slug string) *Tenant { return (*l.tenants.Load())[slug] }

// Admit counts a request from client and decides whether it may go on. If so, Done must be called once when its answer has ended. The
// client is asked first, so that what one of them is refused costs the tenant nothing.
func (l *Limiter) Admit(t *Tenant, client netip.Addr, at time.Time) Refusal {
	now, p := int64(at.Sub(l.base)), t.plan.Load()
	if p.client.limits() {
		if wait := l.addresses.take(t.id, client, p.client, now); wait > 0 {
			return Refusal{Reason: ClientRate, After: time.Duration(wait), Quota: p.clientBurst, Window: p.client.window()}
		}
	}
	if p.tenant.limits() {
		if wait := p.tenant.takeShared(&t.arrival, now); wait > 0 {
			return Refusal{Reason: Rate, After: time.Duration(wait), Quota: p.burst, Window: p.tenant.window()}
		}
	}
	if n := t.active.Add(1); p.concurrency > 0 && n > int64(p.concurrency) {
		t.active.Add(-1)
		return Refusal{Reason: Concurrency, After: retryAfter, Quota: p.concurrency}
	}
	return Refusal{}
}

// retryAfter is advice where nothing says when there will be room.
const retryAfter = time.Second

// Saturated is the Refusal of a request whose turn did not come.
func Saturated() Refusal { return Refusal{Reason: Saturation, After: retryAfter} }
