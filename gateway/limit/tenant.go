package limit

import (
	"sync/atomic"
	"time"
)

// Tenant holds the counts of one tenant. Its methods may be called at once from any number of goroutines.
type Tenant struct {
	id      uint64
	plan    atomic.Pointer[plan]
	arrival atomic.Int64 // of the tenant's rate; see rate
	active  atomic.Int64 // requests being answered
	open    atomic.Int64 // connections

	warned  atomic.Int64 // when the last warning was due, in nanoseconds since 1970
	refused atomic.Int64 // since then

	line // guarded by the queue
}

// plan is Settings in the form that decisions need. It is immutable.
type plan struct {
	tenant, client           rate
	burst, clientBurst       int
	concurrency, connections int
	weight                   int
}

func newPlan(s Settings) *plan {
	p := &plan{concurrency: s.Concurrency, connections: s.Connections, weight: max(s.Weight, 1)}
	p.tenant, p.burst = newRate(s.Rate, s.Burst)
	p.client, p.clientBurst = newRate(s.ClientRate, s.ClientBurst)
	return p
}

// Done ends what Admit began.
func (t *Tenant) Done() { t.active.Add(-1) }

// Connect counts a connection; false means that there are too many. If it is true, Disconnect must be called once.
func (t *Tenant) Connect() bool {
	if most := t.plan.Load().connections; t.open.Add(1) > int64(most) && most > 0 {
		t.open.Add(-1)
		return false
	}
	return true
}

// Disconnect ends what Connect began.
func (t *Tenant) Disconnect() { t.open.Add(-1) }

// warnEvery is how often a person hears of one tenant.
const warnEvery = time.Minute

// Warn counts a refusal. Once a minute it returns how many there were since it last did, else 0.
func (t *Tenant) Warn(now time.Time) int64 {
	n, last := t.refused.Add(1), t.warned.Load()
	if now.UnixNano()-last < int64(warnEvery) || !t.warned.CompareAndSwap(last, now.UnixNano()) {
		return 0
	}
	t.refused.Add(-n)
	return n
}
