package frontend

import (
	"slices"
	"sync"
	"time"
)

const (
	// defaultConnections stands in for a tenant's limit that is not set.
	defaultConnections = 256
	// maxQueued is how many requests wait for a free connection of one upstream, of which one tenant alone gets half. It is no less than
	// maxHeld, so that those who waited for a restart find a place when it is over.
	maxQueued = maxHeld
)

// gate bounds the connections in use to one upstream. Who finds none free waits in line with the requests of the same tenant, and the
// tenant that uses the fewest gets the next one. Its methods may be called by any number of goroutines at once.
type gate struct {
	room room

	mu     sync.Mutex
	used   int
	shares map[string]*share
	lines  []*share // those with somebody waiting
}

// share is what one tenant uses of a gate.
type share struct {
	gate *gate
	used int
	line []*ticket
}

// ticket is one who waits.
type ticket struct {
	limit int
	ready chan struct{} // closed when a connection is free for its holder
}

// enter takes a connection for the tenant with slug while fewer than limit are in use, by all tenants. It returns false where none is free;
// else leave must follow.
func (g *gate) enter(slug string, limit int) (*share, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.share(slug)
	if g.used >= limit {
		return s, false
	}
	g.used++
	s.used++
	return s, true
}

// share returns the share of a tenant; it allocates only for one that has not been there lately.
func (g *gate) share(slug string) *share {
	s := g.shares[slug]
	if s == nil {
		if g.shares == nil {
			g.shares = map[string]*share{}
		}
		s = &share{gate: g}
		g.shares[slug] = s
	}
	return s
}

// queue is enter for one who would wait: until the ticket is ready, or abandon.
func (g *gate) queue(slug string, limit int) (*share, *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.share(slug)
	t := &ticket{limit: limit, ready: make(chan struct{})}
	if len(s.line) == 0 {
		g.lines = append(g.lines, s)
	}
	s.line = append(s.line, t)
	g.admit() // one may have become free since enter
	return s, t
}

// abandon ends the wait of a ticket. A connection that has just become free for it goes to the next.
func (s *share) abandon(t *ticket) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	at := slices.Index(s.line, t)
	if at < 0 {
		s.gate.used--
		s.used--
		s.gate.admit()
		return
	}
	s.line = slices.Delete(s.line, at, at+1)
	if len(s.line) == 0 {
		s.gate.drop(s)
	}
}

// leave gives a connection back.
func (s *share) leave() {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.used--
	s.used--
	s.gate.admit()
}

// admit gives free connections to those who wait: the first in the line of the tenant that uses the fewest.
func (g *gate) admit() {
	for {
		var next *share
		for _, s := range g.lines {
			if g.used < s.line[0].limit && (next == nil || s.used < next.used) {
				next = s
			}
		}
		if next == nil {
			return
		}
		g.used++
		next.used++
		close(next.line[0].ready)
		next.line = slices.Delete(next.line, 0, 1)
		if len(next.line) == 0 {
			g.drop(next)
		}
	}
}

func (g *gate) drop(s *share) {
	at := slices.Index(g.lines, s)
	g.lines = slices.Delete(g.lines, at, at+1)
}

// forget drops the shares of tenants that use nothing.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slug, s := range g.shares {
		if s.used == 0 && len(s.line) == 0 {
			delete(g.shares, slug)
		}
	}
}

// enter passes the gate of the upstream, if a connection is free or becomes so in time. Of several upstreams it takes one where it is.
func (x *exchange) enter() error {
	for {
		var free bool
		if x.share, free = x.upstream.gate.enter(x.tenant.Slug, x.mostConnections()); free {
			return nil
		}
		if x.choice.exhausted() {
			return x.queue()
		}
		x.choose()
	}
}

// queue waits in line. After a restart an upstream is slow at first and has many to answer, so that those who come then wait as if it were
// not there yet.
func (x *exchange) queue() error {
	gate := &x.upstream.gate
	if !gate.room.enter(x.tenant.Slug) {
		return errCrowded
	}
	defer gate.room.leave(x.tenant.Slug)
	s, ticket := gate.queue(x.tenant.Slug, x.mostConnections())
	x.share = s
	until := time.Now().Add(x.server.timings.Queue)
	if held := x.upstream.outage.lastEnd().Add(x.tenant.Limits.Hold); held.After(until) {
		until = held
	}
	err := x.wait(ticket.ready, until)
	if err == nil {
		return nil
	}
	s.abandon(ticket)
	if err == errWaited {
		return errCrowded
	}
	return err
}

func (x *exchange) mostConnections() int {
	if n := x.tenant.Limits.UpstreamConnections; n > 0 {
		return n
	}
	return defaultConnections
}
