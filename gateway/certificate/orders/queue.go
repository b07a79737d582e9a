// Package orders decides when which certificate is ordered.
//
//	queue := orders.New(orders.Config{Do: obtain, Ask: renewalInfo, Pace: pace, Logger: logger})
//	queue.Set(domains) // again after each reload
//	queue.Start()
//	defer queue.Stop()
//
// A heap by due time wakes domains, lanes say whose turn it is, and a bounded pool of workers does the work through Config.Do. A domain
// that fails goes back to the heap and holds no worker. Limits mirrors what a CA allows, so that orders stop before the CA says so.
//
// The package knows nothing of ACME, DNS, keys or files: it is handed functions, and it speaks to no network itself.
package orders

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	defaultWorkers   = 8
	defaultTimeout   = 5 * time.Minute
	defaultAskSpread = 6 * time.Hour
	// maxNudges is how many calls of Front may wait to be looked at.
	maxNudges = 4096
	// firstGuess is how long an order takes until one has been seen.
	firstGuess = 5 * time.Second
)

// Config is what a Queue is made of. Do is required.
type Config struct {
	// Clock is System where nil. Timeouts run by the real clock all the same.
	Clock Clock
	// Workers is how many jobs run at once, 8 where 0. Jobs that have failed before get three quarters of them at most.
	Workers int
	// Timeout bounds one Do, 5 minutes where 0.
	Timeout time.Duration
	// Do obtains, stores and publishes one certificate, and returns it. It heeds ctx. Besides Later, ErrElsewhere and DNSFault it may
	// return errors with the methods RetryAfter() time.Duration, and Transient() bool where the CA is to blame and not the domain.
	Do func(ctx context.Context, job Job) (Have, error)
	// Ask returns when the CA wants a domain's certificate renewed (RFC 9773), zero where it does not say, and when to ask again, zero
	// for never. Nil: it is never asked.
	Ask func(ctx context.Context, domain string) (renewAt, askAgain time.Time, err error)
	// AskSpread is over how long the first questions are spread after the start, 6 hours where 0.
	AskSpread time.Duration
	// Pace returns how long it takes until n more counted orders may have begun, for estimates; see Limits.Wait. Nil: no time at all.
	Pace func(n int) time.Duration
	// Random returns numbers in [0, 1) for jitter; rand.Float64 where nil. It is never called twice at once.
	Random func() float64
	// Logger may be nil.
	Logger *zap.Logger
}

// Job is what a worker is asked to do.
type Job struct {
	Domain, Tenant string
	// Have is what is served now; nil: nothing.
	Have *Have
	// Attempt is how many have failed before this one.
	Attempt int
	// ARI says that the CA itself asks for this renewal (RFC 9773).
	ARI bool
	// Forced says that an administrator asks for it, whatever the certificate's age.
	Forced bool
}

// Have is a certificate.
type Have struct {
	NotBefore, NotAfter time.Time
	// RenewAt is when to renew it unless the CA says otherwise; two thirds of its life where zero.
	RenewAt time.Time
	// Issuer is the name of the CA that signed it.
	Issuer string
}

// Domain is one of those that want a certificate.
type Domain struct {
	// Name is canonical: lower case, punycode, no final dot; perhaps "*.example.com".
	Name, Tenant string
	// Have is what is served now; nil is no news.
	Have *Have
}

// Queue is the scheduler. It runs one job per domain at a time, and as many as there are workers in all. Its methods may be called at
// once from any number of goroutines, except that Start and Stop are each called once.
type Queue struct {
	clock     Clock
	do        func(context.Context, Job) (Have, error)
	askCA     func(context.Context, string) (time.Time, time.Time, error)
	pace      func(int) time.Duration
	random    func() float64
	timeout   time.Duration
	askSpread time.Duration
	logger    *zap.Logger

	workers     int
	maxRetrying int

	ctx      context.Context
	cancel   context.CancelFunc
	parts    sync.WaitGroup
	wakeLoop chan struct{}
	nudges   chan string
	alarm    alarm // the loop's own

	mu         sync.Mutex // guards all below; never held while anything slow is done
	domains    map[string]*entry
	issuers    map[string]string // one copy of each name
	counts     [stateCount]int
	generation uint8
	round      int64            // of the domain that was taken last among the new ones
	turns      map[string]int64 // of each tenant's last domain that waits
	schedule   heap             // by when something is to happen
	asks       heap             // by when the CA is asked next
	lanes      [laneCount]heap
	running    int
	retrying   int
	asking     int
	heldUntil  moment // no counted job starts before
	heldWhy    string // until then
	heldReason uint32 // fingerprint of the reason that the log had last
	heldSaid   moment
	took       time.Duration // moving average of an order
}

// New returns a queue that does nothing before Start, but takes and tells all.
func New(config Config) *Queue {
	q := &Queue{
		clock: config.Clock, do: config.Do, askCA: config.Ask, pace: config.Pace, random: config.Random,
		timeout: config.Timeout, askSpread: config.AskSpread, logger: config.Logger, workers: config.Workers,
		wakeLoop: make(chan struct{}, 1), nudges: make(chan string, maxNudges),
		domains: map[string]*entry{}, issuers: map[string]string{}, turns: map[string]int64{},
		schedule: heap{slot: slotSchedule}, asks: heap{slot: slotAsk}, took: firstGuess,
	}
	for l := range q.lanes {
		q.lanes[l].slot = slotLane
	}
	q.setDefaults()
	q.maxRetrying = max(1, q.workers-max(1, q.workers/4))
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

func (q *Queue) setDefaults() {
	if q.clock == nil {
		q.clock = System
	}
	if q.workers <= 0 {
		q.workers = defaultWorkers
	}
	if q.timeout <= 0 {
		q.timeout = defaultTimeout
	}
	if q.askSpread <= 0 {
		q.askSpread = defaultAskSpread
	}
	if q.pace == nil {
		q.pace = func(int) time.Duration { return 0 }
	}
	if q.random == nil {
		q.random = rand.Float64
	}
	if q.logger == nil {
		q.logger = zap.NewNop()
	}
}

// Start begins to work.
func (q *Queue) Start() { q.parts.Go(q.loop) }

// Stop cancels the jobs that are running and waits for them. What they were about is told as it was.
func (q *Queue) Stop() {
	q.cancel()
	q.parts.Wait()
}

// wake has the loop look at what has changed. It never blocks.
func (q *Queue) wake() {
	select {
	case q.wakeLoop <- struct{}{}:
	default:
	}
}

// now is the clock's time; tests move it.
func (q *Queue) now() moment { return momentOf(q.clock.Now()) }

// find returns the entry of a wanted domain, or nil.
func (q *Queue) find(domain string) *entry {
	if e := q.domains[domain]; e != nil && !e.gone {
		return e
	}
	return nil
}

func (q *Queue) setState(e *entry, state stateIndex, now moment) {
	if e.state == state {
		return
	}
	q.counts[e.state]--
	q.counts[state]++
	e.state, e.since = state, now
}
