package limit

import "sync/atomic"

// Tenant holds the counts of one tenant. Its methods may be called at once from any number of goroutines.
type Tenant struct {
	id      uint64
	plan    atomic.Pointer[plan]
	arrival atomic.Int64 // of the tenant's rate; see rate
	active  atomic.Int64 // requests being answered
	open    atomic.Int64 // connections

	Warnings
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
