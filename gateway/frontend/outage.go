package frontend

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// probeEvery is the time between two attempts to connect to an upstream that refuses connections.
	probeEvery = 50 * time.Millisecond
	// longOutage is when an outage is no restart any more, and nobody waits for its end.
	longOutage = time.Minute
	// maxHeld is how many requests wait for one upstream, of which one tenant alone gets half.
	maxHeld = 2048
)

// outage is a time in which an upstream takes no connections, as during a restart. While requests wait for its end one goroutine looks
// for it, so that the upstream meets one attempt at a time and not one a request.
type outage struct {
	on   atomic.Bool   // all that a request looks at while the upstream is well
	past atomic.Uint32 // outages that have begun
	room room

	mu      sync.Mutex
	since   time.Time     // when it began
	ended   time.Time     // when the last one did
	tried   time.Time     // when a connection was last refused
	cause   error         // how
	over    chan struct{} // closed at its end
	looking bool          // the goroutine runs
	stopped bool          // it never shall again
	probes  *sync.WaitGroup
}

// isAbsent reports whether err says that nobody listens, rather than that somebody does not answer. A socket that may not be opened counts
// too: many servers make theirs first, and give it its permissions a moment later. So does a connection that is reset before the dial has
// ended: it was in the line of a listener that has just closed.
func isAbsent(err error) bool {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || isForbidden(err) {
		return true
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.ECONNRESET)
}

// isForbidden reports whether err says that this process may not open a socket.
func isForbidden(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.EACCES) && errors.As(err, &op) && op.Net == "unix"
}

// mayDial reports whether a request may try to connect now: always while the upstream is well, else once in a while. When it may not,
// the error is how the last attempt ended.
func (o *outage) mayDial(now time.Time) error {
	if !o.on.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.on.Load() || now.Sub(o.tried) >= probeEvery {
		o.tried = now
		return nil
	}
	return o.cause
}

// refused notes that nobody listens.
func (o *outage) refused(cause error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.on.Load() {
		o.over = make(chan struct{})
		o.since = now
		o.past.Add(1)
		o.on.Store(true)
	}
	if now.Sub(o.tried) > longOutage {
		o.since = now // nobody has asked for so long that it may have been well in between
	}
	o.tried, o.cause = now, cause
}

// connected ends the outage, and all waits for its end.
func (o *outage) connected() {
	if !o.on.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.on.Load() {
		o.on.Store(false)
		o.ended = time.Now()
		close(o.over)
	}
}

// lastEnd is when the last outage ended.
func (o *outage) lastEnd() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// watch returns a channel that is closed at the end of the outage, which probe is called to find. ok is false if the outage is so long
// that nobody should wait.
func (o *outage) watch(now time.Time, probe func() bool) (over <-chan struct{}, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.on.Load():
		return itIsOver, true
	case o.stopped, now.Sub(o.since) > longOutage:
		return nil, false
	case !o.looking:
		o.looking = true
		o.probes.Go(func() { o.look(probe) })
	}
	return o.over, true
}

var itIsOver = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// look calls probe until it finds the upstream well or nobody waits.
func (o *outage) look(probe func() bool) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		<-tick.C
		if o.rests() || probe() && o.rests() {
			return
		}
	}
}

// rests ends the search if there is nothing to look for.
func (o *outage) rests() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.on.Load() && !o.stopped && o.room.waiting() > 0 {
		return false
	}
	o.looking = false
	return true
}

// stop ends all waits, and the search.
func (o *outage) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	if o.on.Load() {
		o.on.Store(false)
		close(o.over)
	}
}

// hold waits until the upstream takes connections again, for as long as the tenant's requests may. cause is how the last attempt ended.
func (x *exchange) hold(cause error) error {
	now := time.Now()
	if x.held.IsZero() {
		x.held = now.Add(x.tenant.Limits.Hold)
	}
	up := x.upstream
	if !now.Before(x.held) {
		return dialError{cause}
	}
	if !up.outage.room.enter(x.tenant.Slug) {
		return errCrowded
	}
	defer up.outage.room.leave(x.tenant.Slug)
	over, ok := up.outage.watch(now, up.probe)
	if !ok {
		return dialError{cause}
	}
	until := x.held
	if soon := now.Add(lookElsewhere); x.choice.url == nil && soon.Before(until) {
		until = soon
	}
	err := x.wait(over, until)
	if err == errWaited && until.Equal(x.held) {
		return dialError{cause}
	}
	if err == errWaited {
		return nil
	}
	return err
}

// lookElsewhere is how long a request waits for one of several upstreams before it tries the next, which may be back first.
const lookElsewhere = 4 * probeEvery

// errCrowded is a request that finds no place to wait.
var errCrowded = errors.New("too many requests wait for the upstream")
