package orders

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestNeverTooMany is the promise: whatever happens in simulated weeks, no window of any rule ever holds more than it allows.
func TestNeverTooMany(t *testing.T) {
	f := func(seed uint64) {
		t.Helper()
		chance, clock := random(seed), newHandClock()
		storage := newMemory()
		rules := Rules{Orders: Limit{20, time.Hour}, Registered: Limit{7, day}, Set: Limit{3, 2 * day}, Failures: Limit{2, time.Hour}}
		two := []*Limits{NewLimits(storage, clock, nil), NewLimits(storage, clock, nil)}
		var seen []done
		end := clock.Now().Add(14 * day)
		for clock.Now().Before(end) {
			l := two[chance.IntN(2)]
			r := Request{Issuer: "ca", Rules: rules, Domain: fmt.Sprintf("h%d.d%d.de", chance.IntN(5), chance.IntN(30)), Renewal: chance.IntN(3) == 0}
			later := reserve(t, l, r)
			switch {
			case later != nil && !later.Until.After(clock.Now()):
				t.Fatalf("seed %d: told to wait until now", seed)
			case later != nil:
			case chance.IntN(10) == 0:
				if err := l.Refund(context.Background(), r); err != nil {
					t.Fatal(err)
				}
			case chance.IntN(10) == 0:
				seen = append(seen, done{r, clock.Now(), false})
				if err := l.Failed(context.Background(), "ca", r.Domain); err != nil {
					t.Fatal(err)
				}
			default:
				seen = append(seen, done{r, clock.Now(), true})
			}
			if chance.IntN(4) > 0 {
				clock.move(time.Duration(chance.Int64N(int64(10 * time.Minute))))
			}
		}
		all := func(done) string { return "" }
		name := func(d done) string { return d.Domain }
		inWindows(t, seed, seen, rules.Orders, all)
		inWindows(t, seed, only(seen, func(d done) bool { return d.issued && !d.Renewal }), rules.Registered, func(d done) string { return registeredDomain(d.Domain) })
		inWindows(t, seed, only(seen, func(d done) bool { return d.issued }), rules.Set, name)
		inWindows(t, seed, only(seen, func(d done) bool { return !d.issued }), rules.Failures, name)
		if len(seen) < 500 {
			t.Errorf("seed %d: %d orders only", seed, len(seen))
		}
		if size := storage.total(); size > 100_000 {
			t.Errorf("seed %d: %d bytes are kept", seed, size)
		}
	}
	for seed := range uint64(8) {
		f(seed)
	}
}

// done is an order that reached the CA.
type done struct {
	Request
	at     time.Time
	issued bool // else its authorization failed
}

func only(all []done, keep func(done) bool) (kept []done) {
	for _, d := range all {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// inWindows checks that in no window there are more orders of one group than a limit allows.
func inWindows(t *testing.T, seed uint64, all []done, limit Limit, group func(done) string) {
	t.Helper()
	groups := map[string][]time.Time{}
	for _, d := range all {
		times := append(groups[group(d)], d.at)
		groups[group(d)] = times
		if n := len(times); n > limit.N && times[n-1].Sub(times[n-1-limit.N]) < limit.Per {
			t.Fatalf("seed %d: %d of %q within %v", seed, limit.N+1, group(d), times[n-1].Sub(times[n-1-limit.N]))
		}
	}
}

// Wait tells the truth about the orders that follow, one after the other.
func TestWait(t *testing.T) {
	f := func(orders, n int, wanted time.Duration) {
		t.Helper()
		clock := newHandClock()
		limits := NewLimits(newMemory(), clock, nil)
		rules := Rules{Orders: Limit{3, time.Hour}}
		for i := range orders {
			reserve(t, limits, Request{Issuer: "ca", Rules: rules, Domain: fmt.Sprintf("h%d.de", i)})
			clock.move(time.Minute)
		}
		if got := limits.Wait("ca", rules, n); got != wanted {
			t.Errorf("after %d orders number %d waits %v, want %v", orders, n, got, wanted)
		}
	}
	window := time.Hour + margin
	f(0, 0, 0)
	f(0, 3, 0)
	f(0, 4, window)
	f(0, 10, 3*window)
	f(2, 1, 0)
	f(2, 2, window-2*time.Minute)
	f(2, 3, window-1*time.Minute)
	f(2, 4, window)
	f(2, 5, 2*window-2*time.Minute)
	f(3, 1, window-3*time.Minute)
	limits := NewLimits(newMemory(), newHandClock(), nil)
	if got := limits.Wait("ca", Rules{}, 1000); got != 0 {
		t.Errorf("without rules: %v", got)
	}
	if err := limits.Hold(context.Background(), "ca", limits.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := limits.Wait("ca", LetsEncrypt(), 301); got != 4*time.Hour+margin {
		t.Errorf("on hold: %v", got)
	}
}
