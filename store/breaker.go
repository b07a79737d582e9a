package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.uber.org/zap"
)

// A circuit breaker opens when a ping fails, and operations that are slow, lose their connection or find no server have one sent. A query
// that is refused, or that is merely slow, opens nothing: on a shared deployment it would take down the other tenants. While the breaker
// is open operations fail at once, and one goroutine pings until the deployment answers.
const (
	slowAfter     = 1200 * time.Millisecond // of an operation; with the ping a tenant knows within 3 s
	pingTimeout   = 1 * time.Second
	retryInterval = 1 * time.Second // between pings while the breaker is open
)

// breaker is the circuit breaker of a deployment for the operations of one read preference's mode. There is one for each, so that what a
// secondary may answer goes on while there is no primary.
type breaker struct {
	of      *deployment
	pref    *readpref.ReadPref // of the pings
	pinging atomic.Bool

	mu     sync.Mutex
	outage *Unavailable
	since  time.Time
	up     context.Context // ends with the next outage, whose *Unavailable is its cause, or with the deployment
	endUp  context.CancelCauseFunc
}

func newBreaker(d *deployment, mode readpref.Mode) *breaker {
	pref, _ := readpref.New(mode) // fails for options alone
	b := &breaker{of: d, pref: pref, since: time.Now()}
	b.up, b.endUp = context.WithCancelCause(d.life)
	return b
}

// available returns a context that ends with the next outage, or the error of the present one.
func (b *breaker) available() (up context.Context, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage != nil {
		return nil, b.outage
	}
	return b.up, nil
}

// state is the present outage, or nil, and when it began or the one before ended.
func (b *breaker) state() (*Unavailable, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage, b.since
}

// check pings the deployment in the background and opens the breaker if it does not answer.
func (b *breaker) check() {
	if !b.pinging.CompareAndSwap(false, true) {
		return
	}
	started := b.of.goInBackground(func() {
		defer b.pinging.Store(false)
		if err := b.of.ping(b.pref); err != nil {
			b.open(err)
		}
	})
	if !started {
		b.pinging.Store(false)
	}
}

func (d *deployment) ping(pref *readpref.ReadPref) error {
	ctx, cancel := context.WithTimeout(d.life, d.silent)
	defer cancel()
	client, err := d.connected(ctx)
	if err != nil {
		return err
	}
	if d.server != nil {
		// The process that ran the server for us may be gone; then it is our turn.
		if err := d.server.start(); err != nil {
			return err
		}
	}
	return client.Ping(ctx, pref)
}

// open opens the breaker, if it is not open yet: what is in flight ends, and what comes fails at once.
func (b *breaker) open(cause error) *Unavailable {
	outage, begins := b.begin(b.of.unavailable(retryDown, cause))
	if begins {
		b.of.logger.Warn("the database is down, its tenants get 503 until it answers", b.field(), zap.Error(outage.Cause))
		b.of.goInBackground(b.pingUntilUp)
	}
	return outage
}

// field tells the breakers of a deployment apart in the log.
func (b *breaker) field() zap.Field { return zap.Stringer("read_preference", b.pref.Mode()) }

// begin makes outage the present one, unless there is one already, which it returns, or it is our own end that the ping felt.
func (b *breaker) begin(outage *Unavailable) (present *Unavailable, begins bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage != nil {
		return b.outage, false
	}
	if b.of.life.Err() != nil {
		return outage, false
	}
	b.outage, b.since = outage, time.Now()
	b.endUp(outage)
	return outage, true
}

func (b *breaker) pingUntilUp() {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-b.of.life.Done():
			return
		case <-ticker.C:
			if b.of.ping(b.pref) == nil {
				b.close()
				return
			}
		}
	}
}

func (b *breaker) close() {
	b.mu.Lock()
	lasted := time.Since(b.since)
	b.outage, b.since = nil, time.Now()
	b.up, b.endUp = context.WithCancelCause(b.of.life)
	b.mu.Unlock()
	b.of.logger.Info("the database answers again", b.field(), zap.Duration("outage", lasted))
}
