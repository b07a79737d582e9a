package api

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	firstWait     = time.Second      // doubled by each further failure
	failuresKept  = 15 * time.Minute // since the last one
	trustKept     = 30 * 24 * time.Hour
	attemptSets   = 2048
	attemptsInSet = 8
)

// patience is how many failures are free before the first wait, and how long a wait may become.
type patience struct {
	free    int32
	longest time.Duration
}

// An account is tried from one address, an address tries any accounts, and an account is tried from any address. The last two are shared
// by people who have nothing to do with each other, so that waits are short: enough to make guessing hopeless, and too short to lock out.
var (
	pairPatience     = patience{5, failuresKept}
	addressPatience  = patience{20, time.Minute}
	accountPatience  = patience{50, time.Minute}
	registerPatience = patience{10, failuresKept}
	// Mails to an account, and from an address to any.
	mailPatience        = patience{3, failuresKept}
	mailAddressPatience = patience{10, failuresKept}
)

// attempts slows down who guesses passwords. Its memory is fixed. Where a set is full the tenant that has most of it gives way, with what is
// longest ago: one tenant's flood washes out nobody else's failures.
type attempts struct {
	seed maphash.Seed
	mu   sync.Mutex
	sets [attemptSets][attemptsInSet]attempt
}

type attempt struct {
	key      uint64
	owner    uint64 // the tenant
	last     time.Time
	failures int32
	trusted  bool // the account has signed in from this address
}

func newAttempts() *attempts { return &attempts{seed: maphash.MakeSeed()} }

// counter is what one kind of failure is counted under.
type counter struct {
	key, owner uint64
	patience   *patience
}

func (a *attempts) counter(slug, account, address string, p *patience) counter {
	return counter{maphash.Comparable(a.seed, [4]string{slug, account, address}), maphash.String(a.seed, slug), p}
}

// login is one attempt to sign in: the account from the address, the address, and the account. The seed is random, so nobody can choose
// accounts that collide.
type login []counter

func (a *attempts) login(slug, account, address string) login {
	address = network(address)
	return login{
		a.counter(slug, account, address, &pairPatience),
		a.counter(slug, "", address, &addressPatience),
		a.counter(slug, account, "", &accountPatience),
	}
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

// begin counts an attempt as failed until succeed or undo takes it back, so that many at once are not all free. It returns under what it
// was counted. A wait says that the attempt must not be made; then it is not counted.
func (a *attempts) begin(l login, now time.Time) (counted login, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.find(l[0].key, now); e != nil && e.trusted {
		l = l[:2] // who guesses from elsewhere does not keep the owner out
	}
	return l, a.count(l, now)
}

// register counts an attempt to make an account, or says how long to wait.
func (a *attempts) register(slug, address string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count([]counter{a.counter(slug, "register", network(address), &registerPatience)}, now)
}

// mail counts a mail to an account, or says how long to wait.
func (a *attempts) mail(slug, account, address string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count([]counter{
		a.counter(slug, account, "mail", &mailPatience), // which is no address of a network
		a.counter(slug, "", "mail from "+network(address), &mailAddressPatience),
	}, now)
}

func (a *attempts) count(counters []counter, now time.Time) (wait time.Duration) {
	for _, c := range counters {
		if e := a.find(c.key, now); e != nil {
			wait = max(wait, c.patience.wait(e, now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, c := range counters {
		e := a.entry(c, now)
		e.failures++
		e.last = now
	}
	return 0
}

// fail has the wait begin now, however long the attempt took.
func (a *attempts) fail(l login, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range l {
		if e := a.find(c.key, now); e != nil {
			e.last = now
		}
	}
}

// succeed forgets the failures of the account from the address, and that this one was counted.
func (a *attempts) succeed(l login, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.entry(l[0], now) = attempt{key: l[0].key, owner: l[0].owner, last: now, trusted: true}
	a.takeBack(l[1:], now)
}

// undo takes back one attempt that could not be judged.
func (a *attempts) undo(l login, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takeBack(l, now)
}

func (a *attempts) takeBack(counters []counter, now time.Time) {
	for _, c := range counters {
		if e := a.find(c.key, now); e != nil && e.failures > 0 {
			e.failures--
		}
	}
}

// find returns the entry of a key, or nil.
func (a *attempts) find(key uint64, now time.Time) *attempt {
	set := &a.sets[key%attemptSets]
	for i := range set {
		if e := &set[i]; e.key == key && !e.over(now) {
			if e.trusted && now.Sub(e.last) >= failuresKept {
				e.failures = 0
			}
			return e
		}
	}
	return nil
}

func (e *attempt) over(now time.Time) bool {
	kept := failuresKept
	if e.trusted {
		kept = trustKept
	}
	return now.Sub(e.last) >= kept
}

// entry returns the entry of a counter, in the place of another one if need be.
func (a *attempts) entry(c counter, now time.Time) *attempt {
	if e := a.find(c.key, now); e != nil {
		return e
	}
	set := &a.sets[c.key%attemptSets]
	victim, most := &set[0], -1
	for i := range set {
		e := &set[i]
		if e.over(now) {
			victim = e
			break
		}
		held := 0
		for j := range set {
			if set[j].owner == e.owner {
				held++
			}
		}
		if held > most || held == most && e.last.Before(victim.last) {
			victim, most = e, held
		}
	}
	*victim = attempt{key: c.key, owner: c.owner}
	return victim
}

func (p *patience) wait(e *attempt, now time.Time) time.Duration {
	over := e.failures - p.free
	if over < 0 {
		return 0
	}
	wait := p.longest
	if over < 10 { // 2^10 s is beyond the longest wait
		wait = min(firstWait<<over, p.longest)
	}
	return wait - now.Sub(e.last)
}
