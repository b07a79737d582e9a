package store

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// The circuit breaker of a deployment opens when a ping fails, and operations that are slow, lose their connection or find no server
// have one sent. A query that is refused, or that is merely slow, opens nothing: on a shared deployment it would take down the other
// tenants. While the breaker is open operations fail at once, and one goroutine pings until the deployment answers.
const (
	slowAfter     = 1200 * time.Millisecond // of an operation; with the ping a tenant knows within 3 s
	pingTimeout   = 1 * time.Second
	retryInterval = 1 * time.Second // between pings while the breaker is open
)

// check pings the deployment in the background and opens the breaker if it does not answer.
func (d *deployment) check() {
	if !d.pinging.CompareAndSwap(false, true) {
		return
	}
	started := d.goInBackground(func() {
		defer d.pinging.Store(false)
		if err := d.ping(); err != nil {
			d.open(err)
		}
	})
	if !started {
		d.pinging.Store(false)
	}
}

func (d *deployment) ping() error {
	ctx, cancel := context.WithTimeout(d.life, pingTimeout)
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
	return client.Ping(ctx, nil)
}

// open opens the breaker, if it is not open yet: what is in flight ends, and what comes fails at once.
func (d *deployment) open(cause error) *Unavailable {
	outage, begins := d.begin(d.unavailable(retryDown, cause))
	if begins {
		d.logger.Warn("the database is down, its tenants get 503 until it answers", zap.Error(outage.Cause))
		d.goInBackground(d.pingUntilUp)
	}
	return outage
}

// begin makes outage the present one, unless there is one already, which it returns, or it is our own end that the ping felt.
func (d *deployment) begin(outage *Unavailable) (present *Unavailable, begins bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil {
		return d.outage, false
	}
	if d.life.Err() != nil {
		return outage, false
	}
	d.outage, d.since = outage, time.Now()
	d.endUp(outage)
	return outage, true
}

func (d *deployment) pingUntilUp() {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-ticker.C:
			if d.ping() == nil {
				d.closeBreaker()
				return
			}
		}
	}
}

func (d *deployment) closeBreaker() {
	d.mu.Lock()
	lasted := time.Since(d.since)
	d.outage, d.since = nil, time.Now()
	d.up, d.endUp = context.WithCancelCause(d.life)
	d.mu.Unlock()
	d.logger.Info("the database answers again", zap.Duration("outage", lasted))
}
