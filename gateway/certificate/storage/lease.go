package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// leaseTime is how long a holder may count on a lock after it last renewed it.
	leaseTime = 15 * time.Second
	// renewEvery is how often a holder renews.
	renewEvery = 5 * time.Second
	// deadAfter is how long a lock must stay as it is until its holder counts as gone. Holder and taker each measure with their own clock,
	// which only has to run, not to be right: the holder from before a renewal, the taker from after it has seen it. The difference to
	// leaseTime is for clocks that do not run equally fast.
	deadAfter = leaseTime + time.Second
	// maxSightings bounds what is remembered of the locks of others.
	maxSightings = 4096
)

// lockTable is where the locks of all processes are written down.
type lockTable interface {
	// take makes the caller the holder of a lock that is free, or that is still just what dead says. Otherwise the claim is zero and the
	// sighting says what is there.
	take(ctx context.Context, name string, dead sighting) (claim, sighting, error)
	// renew writes c down anew; errTaken when another has the lock.
	renew(ctx context.Context, name string, c claim) error
	// release frees a lock; errTaken when another has it.
	release(ctx context.Context, name string, c claim) error
}

// sighting is what a lock looks like; it differs after each renewal. Empty means nothing.
type sighting string

// claim is one holding of a lock.
type claim struct {
	token    int64  // greater than those of all former holders; above 0
	renewals int64  // differs at each renewal
	owner    string // a random text
}

// errTaken is what a lockTable says of a claim that does not hold the lock any more.
var errTaken = errors.New("another process has taken over the lock")

// leases are the locks that this process holds. One goroutine renews them all.
type leases struct {
	table   lockTable
	logger  *zap.Logger
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	held   map[string]*lease
	freed  chan struct{}       // closed, and made anew, when one of held ends
	seen   map[string]observed // locks of others
}

// lease is one lock in this process: being taken while its claim is zero, then held until Unlock, even when lost. Its fields belong to
// leases.mu.
type lease struct {
	table sync.Mutex // held during a call to the table, so that a late renewal cannot undo a release

	claim   claim
	renewed time.Time // when the renewal that succeeded last began
	lost    bool
	ending  bool
}

type observed struct {
	sighting sighting
	since    time.Time
}

func newLeases(table lockTable, logger *zap.Logger) *leases {
	ctx, stop := context.WithCancel(context.Background())
	l := &leases{
		table:  table,
		logger: logger,
		stop:   stop,
		held:   map[string]*lease{},
		freed:  make(chan struct{}),
		seen:   map[string]observed{},
	}
	l.running.Go(func() { l.renewUntil(ctx) })
	return l
}

// lock waits until the lock is had.
func (l *leases) lock(ctx context.Context, name string) error {
	for attempt := 0; ; attempt++ {
		freed := l.nextFreed() // before the attempt, so that none is missed
		ok, err := l.tryLock(ctx, name)
		if ok || err != nil {
			return err
		}
		if err := waitForTurn(ctx, freed, attempt); err != nil {
			return err
		}
	}
}

// tryLock takes the lock if it can be had now. A lock that this process holds, or has lost and not unlocked yet, cannot: Unlock is given a
// name only and must not release the lock of a successor.
func (l *leases) tryLock(ctx context.Context, name string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	name, err := lockName(name)
	if err != nil {
		return false, err
	}
	own, dead, err := l.reserve(name)
	if own == nil {
		return false, err
	}
	begun := time.Now()
	c, sighting, err := l.take(ctx, name, dead)
	if err == nil && c.token != 0 {
		if dead != "" {
			l.logger.Warn("took over a lock whose holder is gone", zap.String("lock", name), zap.Int64("token", c.token))
		}
		return l.begin(ctx, name, own, c, begun)
	}
	l.giveUp(name, sighting)
	if err != nil {
		return false, fmt.Errorf("the lock %q cannot be taken: %w", name, err)
	}
	return false, nil
}

// reserve keeps other goroutines of this process away from a lock that is being taken.
func (l *leases) reserve(name string) (own *lease, dead sighting, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, "", errClosed
	}
	if l.held[name] != nil {
		return nil, "", nil
	}
	own = &lease{}
	l.held[name] = own
	if o, ok := l.seen[name]; ok && time.Since(o.since) >= deadAfter {
		dead = o.sighting
	}
	return own, dead, nil
}

func (l *leases) take(ctx context.Context, name string, dead sighting) (claim, sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return l.table.take(ctx, name, dead)
}

// begin makes a reservation a lease, unless the storage was closed meanwhile.
func (l *leases) begin(ctx context.Context, name string, own *lease, c claim, begun time.Time) (bool, error) {
	l.mu.Lock()
	own.claim, own.renewed = c, begun
	own.ending = l.closed
	delete(l.seen, name)
	l.mu.Unlock()
	if own.ending {
		return false, errors.Join(errClosed, l.release(ctx, name, own))
	}
	return true, nil
}

// giveUp ends a reservation and remembers what was seen instead of a free lock.
func (l *leases) giveUp(name string, s sighting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name) // nobody is told: it did not become free, and a waiter would only wake itself
	switch {
	case s == "":
		delete(l.seen, name)
	case l.seen[name].sighting != s:
		if len(l.seen) >= maxSightings {
			clear(l.seen) // which only makes takers wait longer
		}
		l.seen[name] = observed{sighting: s, since: time.Now()}
	}
}

// end forgets a lock that was held, and wakes who waits for it in this process.
func (l *leases) end(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name)
	close(l.freed)
	l.freed = make(chan struct{})
}

func (l *leases) nextFreed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.freed
}

// unlock releases a lock even when ctx has ended: otherwise others would wait for the end of the lease.
func (l *leases) unlock(ctx context.Context, name string) error {
	name, err := lockName(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	own := l.held[name]
	l.mu.Unlock()
	if !l.claimEnd(own) {
		return fmt.Errorf("the lock %q is not held by this process", name)
	}
	return l.release(ctx, name, own)
}

func (l *leases) release(ctx context.Context, name string, own *lease) error {
	defer l.end(name)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	own.table.Lock()
	defer own.table.Unlock()
	if err := l.table.release(ctx, name, own.claim); err != nil && !errors.Is(err, errTaken) {
		return fmt.Errorf("the lock %q cannot be released and stays until its lease ends: %w", name, err)
	}
	return nil
}

// holding returns the claim to a lock while its lease lasts.
func (l *leases) holding(name string) (claim, error) {
	name, err := lockName(name)
	if err != nil {
		return claim{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.held[name]
	if own == nil || own.claim.token == 0 || own.ending {
		return claim{}, fmt.Errorf("the lock %q is not held by this process: %w", name, ErrLockLost)
	}
	if !own.lasts() {
		return claim{}, fmt.Errorf("lock %q: %w", name, ErrLockLost)
	}
	return own.claim, nil
}

func (own *lease) lasts() bool { return !own.lost && time.Since(own.renewed) < leaseTime }

// close stops the renewals and releases what is held.
func (l *leases) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.running.Wait()
	var faults []error
	for _, h := range l.renewable() {
		if ctx.Err() != nil {
			return fmt.Errorf("locks stay until their leases end: %w", ctx.Err())
		}
		if l.claimEnd(h.lease) {
			faults = append(faults, l.release(ctx, h.name, h.lease))
		}
	}
	return errors.Join(faults...)
}

// claimEnd reports whether the caller is the one who is to release a lock.
func (l *leases) claimEnd(own *lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own == nil || own.claim.token == 0 || own.ending {
		return false
	}
	own.ending = true
	return true
}

func randomID() string {
	var id [12]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
