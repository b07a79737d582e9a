package api

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	freeAttempts  = 5                // failures before the first wait
	firstWait     = time.Second      // doubled by each further failure
	longestWait   = 15 * time.Minute // also how long failures are remembered
	attemptSets   = 2048
	attemptsInSet = 8
)

// attempts slows down who guesses passwords: after a few failures for one account from one address of a tenant each further one costs
// twice the wait. Its memory is fixed; where a set is full the failure that is longest ago is forgotten.
type attempts struct {
	seed maphash.Seed
	mu   sync.Mutex
	sets [attemptSets][attemptsInSet]attempt
}

type attempt struct {
	key      uint64
	failures int
	last     time.Time
}

func newAttempts() *attempts { return &attempts{seed: maphash.MakeSeed()} }

// key identifies one account from one address. The seed is random, so nobody can choose accounts that collide.
func (a *attempts) key(slug, account, address string) uint64 {
	return maphash.Comparable(a.seed, [3]string{slug, account, network(address)})
}

// network is the address, or its /64 for IPv6, of which one subscriber has all.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// begin counts an attempt as failed until succeed or undo takes it back, so that many at once are not all free. A wait says that the attempt
// must not be made.
func (a *attempts) begin(key uint64, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entry(key, now)
	if wait = e.wait(now); wait > 0 {
		return wait
	}
	e.failures++
	e.last = now
	return 0
}

// succeed forgets the failures of key.
func (a *attempts) succeed(key uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.entry(key, now) = attempt{}
}

// undo takes back one attempt that could not be judged.
func (a *attempts) undo(key uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.entry(key, now); e.failures > 0 {
		e.failures--
	}
}

// entry returns the place of key, which may be another one's that is older.
func (a *attempts) entry(key uint64, now time.Time) *attempt {
	set := &a.sets[key%attemptSets]
	oldest := &set[0]
	for i := range set {
		e := &set[i]
		if e.key == key && now.Sub(e.last) < longestWait {
			return e
		}
		if e.last.Before(oldest.last) {
			oldest = e
		}
	}
	*oldest = attempt{key: key}
	return oldest
}

func (e *attempt) wait(now time.Time) time.Duration {
	over := e.failures - freeAttempts
	if over < 0 {
		return 0
	}
	wait := longestWait
	if over < 10 { // 2^10 s is beyond the longest wait
		wait = min(firstWait<<over, longestWait)
	}
	return wait - now.Sub(e.last)
}
