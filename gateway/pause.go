package gateway

import (
	"sync/atomic"
	"time"
)

const (
	// freeRefusals is how many more requests of a connection may be refused than go on before it is slowed down. A page that asks for its
	// pictures once too often is not.
	freeRefusals = 8
	// longestPause is less than any Retry-After.
	longestPause = 256 * time.Millisecond
	// browserConnections is how many connections a browser opens to a site over HTTP/1.1. One with streams takes their place.
	browserConnections = 6
	// longestHold is for how long a refusal is held back at most, give or take a pause: about what all streams of a connection take.
	longestHold = 6 * time.Second
	// mostHeld is how many refusals are held back at once, of all connections; the next one leaves at once. Each takes its stream's memory.
	mostHeld = 4096
)

// pauseAfter is how long nothing is read from a connection of which n more requests were refused than went on.
func pauseAfter(n int) time.Duration {
	if n <= freeRefusals {
		return 0
	}
	return min(time.Millisecond<<min(n-freeRefusals-1, 16), longestPause)
}

// refusals are the requests of a connection that were refused for a rate, more than those that went on. Streams count at once.
type refusals struct {
	n     atomic.Int32
	begun atomic.Int64 // when the first refusal was held back, in unix nanoseconds
	due   atomic.Int64 // when the last one is due
}

// add counts one more, and returns how many there are, up to a bound.
func (r *refusals) add(most int32) int {
	n := r.n.Add(1)
	if n > most {
		r.n.Add(-1)
	}
	return int(min(n, most))
}

// remove forgets one.
func (r *refusals) remove() {
	if r.n.Load() > 0 && r.n.Add(-1) < 0 {
		r.n.Add(1)
	}
}

// hold is how long a refusal is held back. As many leave in a pause as from a browser's connections of HTTP/1.1, but together: that is one
// write, and the processor is woken once for it.
func (r *refusals) hold(pause time.Duration, at time.Time) time.Duration {
	now := at.UnixNano()
	r.begun.CompareAndSwap(0, now)
	for {
		before := r.due.Load()
		due := min(max(before, now)+int64(pause)/browserConnections, now+int64(longestHold))
		if !r.due.CompareAndSwap(before, due) {
			continue
		}
		begun := r.begun.Load()
		pauses := (due - begun + int64(pause) - 1) / int64(pause)
		return time.Duration(begun + pauses*int64(pause) - now)
	}
}

// slow notes that the request was refused for its rate, and slows its connection down: whoever floods waits for itself instead of taking
// processors from the others. Of HTTP/1.1 the next request is read later. Streams have a connection in common with others that may go on, with
// windows and answers under way, so that this goes on being read, and the refusals themselves leave later: a client has only so many streams. The
// connection of a proxy is that of many clients, and is not slowed down.
func (x *exchange) slow() {
	if x.trusts(x.peer.addr) {
		return
	}
	c := x.peer.connection
	const most = freeRefusals + 16
	if !x.peer.http2 && !x.peer.http3 {
		c.guard.Pause(pauseAfter(c.refusals.add(most)))
		return
	}
	n := c.refusals.add(most * browserConnections)
	if pause := pauseAfter(n / browserConnections); pause > 0 {
		x.hold(pause)
	}
}

// hold waits until a refusal may leave, unless the client does not.
func (x *exchange) hold(pause time.Duration) {
	g := x.gateway
	stream, ok := x.ctx.Conn().(*streamConn)
	if !ok || g.draining.Load() {
		return
	}
	if g.held.Add(1) > mostHeld {
		g.held.Add(-1)
		return
	}
	defer g.held.Add(-1)
	timer := time.NewTimer(x.peer.connection.refusals.hold(pause, time.Now()))
	defer timer.Stop()
	left := make(chan struct{})
	defer stream.OnLeave(func() { close(left) })()
	select {
	case <-timer.C:
	case <-left:
	}
}

// quicken notes that the request may go on.
func (x *exchange) quicken() {
	x.peer.connection.refusals.remove()
}
