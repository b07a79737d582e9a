package limit

import (
	"container/heap"
	"sync"
	"time"
)

const (
	mostWaiting    = 1024  // requests of one tenant
	mostWaitingAll = 16384 // requests of all

	// aloneAfter is how long nobody but one tenant must have asked until there is nobody to protect from it: so many times the slots may then
	// go on at once besides. To wait for a turn costs a fifth of what a small page takes.
	aloneAfter = time.Second
	aloneMore  = 4
)

// queue hands out the slots of the process. While there are free ones, whoever comes takes one. Else tenants take turns: each turn moves
// a tenant back by 1/weight, and the one that is furthest in front is next (start-time fair queueing). One that comes back after a
// while starts level with the others, so nobody saves up turns.
//
// A slot that others wait for is given back after a lease even if its request goes on: that request waits on an upstream or a database,
// not on this process, and would let a tenant with a slow one keep all the others out.
//
// Of a tenant that is alone more requests go on than there are slots. The first one of another tenant finds the slots as it always does: the
// next that is given back is its own.
type queue struct {
	base            time.Time
	patience, lease time.Duration

	mu       sync.Mutex
	size     int
	busy     int
	held     list  // the oldest first
	turns    turns // tenants with waiting requests
	arrivals list  // all waiting requests, the oldest first
	waiting  int
	turn     uint64 // where the tenant stood that was last served
	timer    *time.Timer
	armed    bool // the timer is set: somebody waits, or did

	latest *Tenant // to ask
	alone  int64   // since when nobody else has, in nanoseconds since base
	beyond int     // requests that go on without a slot
}

// Slot is one request's place, waiting or held. Its zero value is ready; it is used for one request at a time, and not copied.
type Slot struct {
	place   link // among those of its tenant that wait, or those that are held
	arrival link // among all that wait
	tenant  *Tenant
	since   int64     // it waits, or is held, in nanoseconds since base
	granted chan bool // whether, once it is decided
	beyond  bool      // its request goes on without
}

func newQueue(base time.Time, patience, lease time.Duration) *queue {
	q := &queue{base: base, patience: patience, lease: lease, size: 1}
	q.timer = time.AfterFunc(time.Hour, q.lapse)
	q.timer.Stop()
	return q
}

func (q *queue) now() int64 { return int64(time.Since(q.base)) }

func (q *queue) resize(size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.size = max(size, 1)
	q.advance(q.now())
}

// Enter waits for a slot, until the limiter's patience ends. If it returns true, Leave must follow.
func (l *Limiter) Enter(t *Tenant, s *Slot, at time.Time) bool {
	q := l.queue
	q.mu.Lock()
	now := int64(at.Sub(q.base))
	if t != q.latest {
		q.latest, q.alone = t, now
	}
	if q.waiting == 0 && q.free(now) {
		q.hold(s, now)
		q.mu.Unlock()
		return true
	}
	if q.waiting == 0 && now-q.alone >= int64(aloneAfter) && q.beyond < aloneMore*q.size {
		q.beyond++
		s.beyond = true
		q.mu.Unlock()
		return true
	}
	if t.count >= mostWaiting || q.waiting >= mostWaitingAll {
		q.mu.Unlock()
		return false
	}
	q.line(t, s, now)
	q.mu.Unlock()
	return <-s.granted
}

// Leave gives the slot back if it is still held.
func (l *Limiter) Leave(s *Slot) {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.beyond {
		s.beyond = false
		q.beyond--
	}
	if s.place.in == nil {
		return
	}
	s.place.leave()
	q.busy--
	if q.waiting > 0 {
		q.advance(q.now())
	}
}

// free reports whether a slot is, or has become so because its lease has ended.
func (q *queue) free(now int64) bool {
	for q.busy >= q.size {
		oldest := q.held.first
		if oldest == nil || now-oldest.slot.since < int64(q.lease) {
			return false
		}
		oldest.leave()
		q.busy--
	}
	return true
}

func (q *queue) hold(s *Slot, now int64) {
	s.since = now
	q.held.append(&s.place, s)
	q.busy++
}

// line puts a request behind the others of its tenant.
func (q *queue) line(t *Tenant, s *Slot, now int64) {
	if s.granted == nil {
		s.granted = make(chan bool, 1)
	}
	s.tenant, s.since = t, now
	t.waiting.append(&s.place, s)
	q.arrivals.append(&s.arrival, s)
	t.count++
	q.waiting++
	if t.count == 1 {
		t.turn = max(t.turn, q.turn)
		heap.Push(&q.turns, t)
	}
	q.advance(q.now())
}

// unline ends the wait of a request, and with it its tenant's place if no other one waits.
func (q *queue) unline(s *Slot) {
	t := s.tenant
	s.place.leave()
	s.arrival.leave()
	s.tenant = nil
	t.count--
	q.waiting--
	if t.count == 0 {
		heap.Remove(&q.turns, t.index)
		return
	}
	heap.Fix(&q.turns, t.index)
}

// advance gives free slots to whoever is next, and turns away who has waited for too long.
func (q *queue) advance(now int64) {
	for q.waiting > 0 && q.free(now) {
		t := q.turns[0]
		s := t.waiting.first.slot
		q.turn = t.turn
		t.turn += wholeTurn / uint64(t.plan.Load().weight)
		q.unline(s)
		q.hold(s, now)
		s.granted <- true
	}
	for q.waiting > 0 && now-q.arrivals.first.slot.since >= int64(q.patience) {
		s := q.arrivals.first.slot
		q.unline(s)
		s.granted <- false
	}
	q.arm(now)
}

// arm sets the timer to when the next lease or the next patience ends, while somebody waits. One timer for all of them, which is left alone once
// it is set, costs next to nothing; one for each was half the price of a wait.
func (q *queue) arm(now int64) {
	if q.waiting == 0 || q.armed {
		return
	}
	q.armed = true
	next := min(q.held.first.slot.since+int64(q.lease), q.arrivals.first.slot.since+int64(q.patience))
	q.timer.Reset(max(time.Duration(next-now), time.Millisecond))
}

// lapse is called when a lease or somebody's patience may have ended.
func (q *queue) lapse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = false
	q.advance(q.now())
}
