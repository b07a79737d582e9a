package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newLimiter(c Config, concurrency int, tenants map[string]Settings) *Limiter {
	l := New(c)
	l.Update(concurrency, tenants)
	return l
}

var someone = netip.MustParseAddr("192.0.2.1")

func TestRate(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {Rate: 10, Burst: 5}, "b": {}})
	a, start := l.Tenant("a"), l.base.Add(time.Hour)
	f := func(after time.Duration, want int) {
		t.Helper()
		passed := 0
		for range 100 {
			refused := l.Admit(a, someone, start.Add(after))
			if refused.Reason == None {
				passed++
			} else if refused.Reason != Rate || refused.After <= 0 || refused.After > 100*time.Millisecond {
				t.Fatalf("%+v after %v", refused, after)
			}
		}
		if passed != want {
			t.Errorf("%d passed after %v, want %d", passed, after, want)
		}
	}
	f(0, 5)                    // the burst
	f(99*time.Millisecond, 0)  // not yet
	f(100*time.Millisecond, 1) // one in a tenth of a second
	f(400*time.Millisecond, 3) // what was refused costs nothing
	f(time.Hour, 5)            // no more than a burst is saved up
	f(59*time.Minute, 0)       // a clock that went back
	if refused := l.Admit(l.Tenant("b"), someone, start); refused.Reason != None {
		t.Errorf("%+v for a tenant without limits", refused)
	}
}

func TestBurstFollowsRate(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {Rate: 7}})
	passed := 0
	for l.Admit(l.Tenant("a"), someone, l.base).Reason == None {
		passed++
	}
	if passed != 21 {
		t.Errorf("%d at once, want three seconds' worth", passed)
	}
}

func TestClientRate(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {ClientRate: 1, ClientBurst: 2}, "b": {ClientRate: 1, ClientBurst: 2}})
	f := func(slug, client string, want bool) {
		t.Helper()
		refused := l.Admit(l.Tenant(slug), netip.MustParseAddr(client), l.base)
		if got := refused.Reason == None; got != want || !got && refused.Reason != ClientRate {
			t.Errorf("%s at %s: %+v, want it to pass: %v", client, slug, refused, want)
		}
	}
	f("a", "192.0.2.1", true)
	f("a", "192.0.2.1", true)
	f("a", "192.0.2.1", false)
	f("a", "::ffff:192.0.2.1", false) // the same in IPv6
	f("a", "192.0.2.2", true)         // another
	f("b", "192.0.2.1", true)         // the same at another tenant
	f("a", "2001:db8:0:1::1", true)
	f("a", "2001:db8:0:1:ffff::2", true) // one /64
	f("a", "2001:db8:0:1::3", false)
	f("a", "2001:db8:0:2::1", true)
}

func TestConcurrencyAndConnections(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {Concurrency: 2, Connections: 1}})
	a := l.Tenant("a")
	for _, want := range []Reason{None, None, Concurrency, Concurrency} {
		if got := l.Admit(a, someone, l.base).Reason; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	a.Done()
	if got := l.Admit(a, someone, l.base).Reason; got != None {
		t.Errorf("%v after one has ended", got)
	}
	if !a.Connect() || a.Connect() || a.Connect() {
		t.Error("not one connection of three")
	}
	a.Disconnect()
	if !a.Connect() {
		t.Error("no connection after one was closed")
	}
}

// TestUpdateKeepsCounts changes limits while they are used up.
func TestUpdateKeepsCounts(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {Rate: 1, Burst: 2, Concurrency: 2}, "b": {}})
	a := l.Tenant("a")
	_, _ = l.Admit(a, someone, l.base), l.Admit(a, someone, l.base)
	l.Update(1, map[string]Settings{"a": {Rate: 1, Burst: 3, Concurrency: 3}})
	if l.Tenant("a") != a || l.Tenant("b") != nil {
		t.Fatal("the tenants are not those of the update")
	}
	if got := l.Admit(a, someone, l.base); got.Reason != None {
		t.Errorf("%+v for the third of three", got)
	}
	if got := l.Admit(a, someone, l.base); got.Reason != Rate || got.Quota != 3 {
		t.Errorf("%+v for the fourth of three", got)
	}
	// What was used up of a lower rate is held against a higher one as one burst.
	l.Update(1, map[string]Settings{"a": {Rate: 1000, Burst: 10, Concurrency: 3}})
	if got := l.Admit(a, someone, l.base); got.Reason != Rate {
		t.Errorf("%+v", got)
	}
	if got := l.Admit(a, someone, l.base.Add(time.Millisecond)); got.Reason != Concurrency {
		t.Errorf("%+v a millisecond later, of which there are a thousand in a second", got)
	}
}

// TestExactCounts has many goroutines at one limit.
func TestExactCounts(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"rate": {Rate: 1, Burst: 1000}, "client": {ClientRate: 1, ClientBurst: 1000}, "at once": {Concurrency: 1000}})
	for slug, a := range *l.tenants.Load() {
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 500 {
					if l.Admit(a, someone, l.base).Reason == None {
						passed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if passed.Load() != 1000 {
			t.Errorf("%s: %d passed, want 1000", slug, passed.Load())
		}
	}
}

func TestWarn(t *testing.T) {
	l := newLimiter(Config{}, 1, map[string]Settings{"a": {}})
	a, now, told := l.Tenant("a"), time.Unix(1e9, 0), int64(0)
	for i := range 601 { // ten a second
		told += a.Warn(now.Add(time.Duration(i) * 100 * time.Millisecond))
		if want := int64(1 + i/600*600); told != want {
			t.Fatalf("%d told of after %d, want %d", told, i+1, want)
		}
	}
}

func TestFields(t *testing.T) {
	f := func(r Refusal, retry, policy, limit string) {
		t.Helper()
		got := fmt.Sprintf("%s|%s|%s", r.AppendRetryAfter(nil), r.AppendPolicy(nil), r.AppendLimit(nil))
		if want := retry + "|" + policy + "|" + limit; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(Refusal{Reason: Rate, After: 10 * time.Millisecond, Quota: 300, Window: 3 * time.Second}, "1", `"rate";q=300;w=3`, `"rate";r=0;t=1`)
	f(Refusal{Reason: ClientRate, After: 1001 * time.Millisecond, Quota: 1, Window: time.Millisecond}, "2", `"client_rate";q=1;w=1`, `"client_rate";r=0;t=2`)
	f(Refusal{Reason: Concurrency, After: time.Second, Quota: 5}, "1", `"concurrency";q=5;qu="concurrent-requests"`, `"concurrency";r=0;t=1`)
	if Saturated().HasPolicy() {
		t.Error("the process's own capacity is no quota of a client")
	}
}
