package storage

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// waitForTurn returns when a lock may have become free: this process freed one, or some time has passed. The pauses grow, and differ from
// waiter to waiter, so that those who began at once do not ask at once.
func waitForTurn(ctx context.Context, freed <-chan struct{}, attempt int) error {
	pause := min(firstPause<<min(attempt, 10), longestPause)
	timer := time.NewTimer(pause/2 + rand.N(pause))
	defer timer.Stop()
	select {
	case <-freed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *leases) renewUntil(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.renewAll(ctx)
		}
	}
}

// renewAll renews what is held, within the time until the next pass.
func (l *leases) renewAll(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			l.logger.Error("renewing locks failed", zap.Any("panic", r), zap.Stack("stack"))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, h := range l.renewable() {
		l.renew(ctx, h.name, h.lease)
	}
}

func (l *leases) renew(ctx context.Context, name string, own *lease) {
	own.table.Lock()
	defer own.table.Unlock()
	l.mu.Lock()
	skip := own.ending || own.lost
	if !skip && !own.lasts() {
		// Not renewed any more, even if it could be: another may be about to take it.
		own.lost, skip = true, true
		l.logger.Error("a lock could not be renewed in time and is lost", zap.String("lock", name))
	}
	own.claim.renewals++ // at each attempt, since one that seems to have failed may have been seen
	c, begun := own.claim, time.Now()
	l.mu.Unlock()
	if skip {
		return
	}
	err := l.table.renew(ctx, name, c)

	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		own.renewed = begun
	case errors.Is(err, errTaken):
		own.lost = true
		l.logger.Error("a lock was taken over by another process", zap.String("lock", name))
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		l.logger.Warn("a lock cannot be renewed, trying again", zap.String("lock", name), zap.Error(err))
	}
}

type namedLease struct {
	name string
	*lease
}

// renewable are the leases that are held and not being released, those first whose renewal is the longest ago.
func (l *leases) renewable() []namedLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []namedLease
	for name, own := range l.held {
		if own.claim.token != 0 && !own.ending {
			all = append(all, namedLease{name, own})
		}
	}
	slices.SortFunc(all, func(a, b namedLease) int { return a.renewed.Compare(b.renewed) })
	return all
}
