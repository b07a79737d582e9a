package orders

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// TestMovingIn orders a thousand new domains at a CA that counts for itself: it must never have to say no, all must be done as soon as
// its limits allow, and the estimates must have said so.
func TestMovingIn(t *testing.T) {
	limits := NewLimits(newMemory(), System, nil)
	pace := func(n int) time.Duration { return limits.Wait("letsencrypt", LetsEncrypt(), n) }
	simulate(t, func(c *Config) { c.Pace = pace }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		var mu sync.Mutex
		var orders []time.Time
		ca.usual = func(ctx context.Context, job Job) (Have, error) {
			later, err := limits.Reserve(ctx, request(job.Domain))
			if err != nil {
				return Have{}, err
			}
			if later != nil {
				return Have{}, later
			}
			mu.Lock()
			orders = append(orders, time.Now())
			if n := len(orders); n > 300 && orders[n-1].Sub(orders[n-301]) < 3*time.Hour {
				t.Errorf("order %d is one too many", n)
			}
			mu.Unlock()
			time.Sleep(3 * time.Second)
			return fresh90(0), nil
		}
		var all []string
		for i := range 1000 {
			all = append(all, fmt.Sprintf("customer%03d.de", i))
		}
		q.Start()
		q.Set(names(all...))
		pass(10 * time.Minute)
		if counts := q.Counts(); counts[Active] != 300 || counts[Queued] != 700 {
			t.Errorf("after ten minutes: %v", counts)
		}
		last := want(t, q, "customer999.de", Queued)
		if last.Position != 700 {
			t.Errorf("the last one: %+v", last)
		}
		pass(time.Until(last.ETA) + 5*time.Minute)
		if status := want(t, q, "customer999.de", Active); status.Since.Sub(last.ETA).Abs() > 5*time.Minute {
			t.Errorf("the last one was expected at %v and done at %v", last.ETA, status.Since)
		}
		if counts := q.Counts(); counts[Active] != 1000 || time.Since(ca.began) > 9*time.Hour+20*time.Minute {
			t.Errorf("after %v: %v", time.Since(ca.began), counts)
		}
	})
}
