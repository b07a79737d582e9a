package orders

import (
	"slices"
	"strings"
	"time"
)

// Status is what an administrator wants to know of one domain. Times are UTC, and zero where there is none.
type Status struct {
	Domain string `json:"domain"`
	Tenant string `json:"tenant,omitempty"`
	State  State  `json:"state"`
	// Since is when it came into this state. A retry that fails in the same way does not begin it anew.
	Since time.Time `json:"since,omitzero"`
	// Position counts from 1 among all that are queued; 0 where a domain waits for a limit of its own, see Error and NextTry.
	Position int `json:"position,omitempty"`
	// ETA estimates when a queued order will be done.
	ETA time.Time `json:"eta,omitzero"`
	// Issuer, NotAfter and RenewAt are of the certificate that is served, whatever the state.
	Issuer   string    `json:"issuer,omitempty"`
	NotAfter time.Time `json:"not_after,omitzero"`
	RenewAt  time.Time `json:"renew_at,omitzero"`
	// NextTry is when a domain is looked at again that failed, has left or waits for a limit.
	NextTry time.Time `json:"next_try,omitzero"`
	// Attempts is how many have failed since the last success.
	Attempts int `json:"attempts,omitempty"`
	// Error is the last failure, or the limit that it waits for.
	Error string `json:"error,omitempty"`
}

// turn is a place in the queue.
type turn struct {
	position int // from 1
	counted  int // from 1, among those that count against limits; 0 for others
}

// take steps on by one that is served from a lane.
func (t *turn) take(l lane) {
	t.position++
	if l.isCounted() {
		t.counted++
	}
}

// in is the turn as it is for the one from a lane that was taken last.
func (t turn) in(l lane) turn {
	if !l.isCounted() {
		t.counted = 0
	}
	return t
}

// spot is a domain and its place in the queue.
type spot struct {
	entry *entry
	turn  turn
}

// Status tells of all domains in a state, or of all where filter is empty, by domain.
func (q *Queue) Status(filter State) []Status {
	spots := q.spots(filter)
	slices.SortFunc(spots, func(a, b spot) int { return strings.Compare(a.entry.name, b.entry.name) }) // names never change
	found, turns, c := q.describeAll(spots, filter)
	for i := range found {
		c.estimate(&found[i], turns[i])
	}
	return found
}

// spots lists the domains that a filter may pass, in no order: those in the lanes by their turn, then the others.
func (q *Queue) spots(filter State) []spot {
	q.mu.Lock()
	defer q.mu.Unlock()
	wanted := len(q.domains)
	if filter != "" {
		wanted = q.countOf(filter)
	}
	spots := make([]spot, 0, wanted)
	passes := func(e *entry) bool { return !e.gone && (filter == "" || e.state.state() == filter) }
	place := turn{}
	for _, l := range q.order(q.now()) {
		for _, item := range q.lanes[l].sorted() {
			if place.take(l); passes(item.entry) {
				spots = append(spots, spot{item.entry, place.in(l)})
			}
		}
	}
	for _, e := range q.domains {
		if !e.isWaiting() && passes(e) {
			spots = append(spots, spot{entry: e})
		}
	}
	return spots
}

// describeAll copies what is known of domains that are in a state still.
func (q *Queue) describeAll(spots []spot, filter State) ([]Status, []turn, clerk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	found, turns := make([]Status, 0, len(spots)), make([]turn, 0, len(spots))
	for _, s := range spots {
		if s.entry.gone || filter != "" && s.entry.state.state() != filter {
			continue
		}
		found, turns = append(found, q.describe(s.entry)), append(turns, s.turn)
	}
	return found, turns, q.clerk(q.now())
}

func (q *Queue) countOf(state State) int {
	for i, n := range q.counts {
		if stateIndex(i).state() == state {
			return n
		}
	}
	return 0
}

// StatusOf tells of one domain; ok is false for one that is not wanted.
func (q *Queue) StatusOf(domain string) (status Status, ok bool) {
	status, place, c, ok := q.glance(domain)
	c.estimate(&status, place)
	return status, ok
}

func (q *Queue) glance(domain string) (status Status, place turn, c clerk, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	e := q.find(domain)
	if e == nil {
		return status, place, q.clerk(now), false
	}
	return q.describe(e), q.turnOf(e, now), q.clerk(now), true
}

// Counts tells how many domains are in each state, all states included.
func (q *Queue) Counts() map[State]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := make(map[State]int, stateCount)
	for i, n := range q.counts {
		counts[stateIndex(i).state()] = n
	}
	return counts
}

func (q *Queue) describe(e *entry) Status {
	s := Status{Domain: e.name, Tenant: e.tenant, State: e.state.state(), Since: e.since.time(), Issuer: e.issuer, NotAfter: e.notAfter.time(), RenewAt: e.renewAt.time()}
	if e.trouble != nil {
		s.Attempts, s.Error = int(e.trouble.attempts), e.trouble.sentence
	}
	if at, ok := q.schedule.key(e); ok && e.state != active && !e.isWaiting() {
		s.NextTry = moment(at).time()
	}
	return s
}

// clerk estimates how long orders will take.
type clerk struct {
	now, heldUntil moment
	heldWhy        string
	took           time.Duration // of one order with all workers at it
	pace           func(int) time.Duration
}

func (q *Queue) clerk(now moment) clerk {
	return clerk{now: now, heldUntil: q.heldUntil, heldWhy: q.heldWhy, took: q.took / time.Duration(q.workers), pace: q.pace}
}

// estimate fills in what a place in the queue means.
func (c clerk) estimate(s *Status, place turn) {
	if s.State != Queued {
		return
	}
	if place.position == 0 { // it waits for a limit
		s.ETA = s.NextTry
		return
	}
	s.Position = place.position
	wait := time.Duration(place.position) * c.took
	eta := c.now.add(wait)
	if place.counted > 0 {
		eta = max(eta, c.now.add(c.pace(place.counted)), c.heldUntil)
		if s.Error == "" && c.now < c.heldUntil {
			s.Error = c.heldWhy
		}
	}
	s.ETA = eta.time()
}

// order lists the lanes as they are served: while counted orders are held, the others pass them.
func (q *Queue) order(now moment) []lane {
	lanes := make([]lane, 0, laneCount)
	for l := range laneCount {
		lanes = append(lanes, l)
	}
	if now < q.heldUntil {
		slices.SortStableFunc(lanes, func(a, b lane) int {
			switch {
			case a.isCounted() == b.isCounted():
				return 0
			case b.isCounted():
				return -1
			default:
				return 1
			}
		})
	}
	return lanes
}

// turnOf tells the place of one; it looks at the keys only.
func (q *Queue) turnOf(e *entry, now moment) turn {
	var place turn
	if !e.isWaiting() {
		return place
	}
	for _, l := range q.order(now) {
		ahead := q.lanes[l].len()
		if l == e.lane {
			ahead = q.lanes[l].rank(e)
		}
		place.position += ahead
		if l.isCounted() {
			place.counted += ahead
		}
		if l == e.lane {
			break
		}
	}
	return place.in(e.lane)
}
