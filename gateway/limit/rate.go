package limit

import (
	"sync/atomic"
	"time"
)

// rate is a limit in the form of the generic cell rate algorithm (GCRA): all that is kept of who is limited is one number, the arrival,
// at which as many requests as were counted would have come at exactly the rate. It may be ahead of the clock by depth. Whoever has an
// arrival in the past has not used anything up. All times are in nanoseconds. The zero value does not limit.
type rate struct {
	interval int64 // between two requests
	depth    int64 // burst * interval
}

// newRate also returns the burst, which follows the rate where it is 0.
func newRate(perSecond, burst int) (rate, int) {
	if perSecond <= 0 {
		return rate{}, 0
	}
	if burst <= 0 {
		burst = 3 * perSecond
	}
	interval := int64(time.Second) / int64(perSecond)
	return rate{interval: interval, depth: int64(burst) * interval}, burst
}

func (r rate) limits() bool { return r.interval > 0 }

// window is how long a burst that was used up takes to come back.
func (r rate) window() time.Duration { return time.Duration(r.depth) }

// take counts a request; wait is 0 if it may go on, else the time until one may. An arrival that is further ahead than the rate allows,
// as after a reload that lowered it, counts as a burst used up.
func (r rate) take(arrival, now int64) (next, wait int64) {
	arrival = min(max(arrival, now), now+r.depth)
	if ahead := arrival + r.interval - now; ahead > r.depth {
		return arrival, ahead - r.depth
	}
	return arrival + r.interval, 0
}

// reserve is take for who can wait for up to patience: one that has to is counted too, and goes on at a time of its own.
func (r rate) reserve(arrival, now, patience int64) (next, wait int64, ok bool) {
	arrival = min(max(arrival, now), now+r.depth+patience)
	if wait = max(arrival+r.interval-now-r.depth, 0); wait > patience {
		return arrival, wait, false
	}
	return arrival + r.interval, wait, true
}

// takeShared is take on an arrival that others take from at the same time.
func (r rate) takeShared(arrival *atomic.Int64, now int64) (wait int64) {
	for {
		before := arrival.Load()
		next, wait := r.take(before, now)
		if next == before || arrival.CompareAndSwap(before, next) {
			return wait
		}
	}
}
