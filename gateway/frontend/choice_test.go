package frontend

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/tenant"
)

// naming is an upstream that answers with its name.
func naming(t testing.TB, name string) *url.URL {
	return netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }))
}

func balanced(balance tenant.Balance, hold time.Duration, list ...tenant.Upstream) *tenant.Tenant {
	t := upstreamTenant(nil)
	t.Frontend.Upstreams, t.Balance, t.Limits.Hold = list, balance, hold
	return t
}

// answers asks n times and returns how often each body came. Everything must be answered with 200.
func (s *site) answers(t testing.TB, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	b := s.browse(t)
	defer b.Close()
	for range n {
		b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		a := b.receive("GET")
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		counts[a.body]++
	}
	return counts
}

func TestBalance(t *testing.T) {
	a, b, c := naming(t, "a"), naming(t, "b"), naming(t, "c")
	f := func(balance tenant.Balance, list []tenant.Upstream, want map[string]int) {
		t.Helper()
		s := newSite(t, Config{}, balanced(balance, 0, list...))
		if got := s.answers(t, 60); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", balance, got, want)
		}
	}

	f("", []tenant.Upstream{{URL: a, Weight: 1}, {URL: b, Weight: 1}, {URL: c, Weight: 1}}, map[string]int{"a": 20, "b": 20, "c": 20})
	f(tenant.RoundRobin, []tenant.Upstream{{URL: a, Weight: 3}, {URL: b, Weight: 2}, {URL: c, Weight: 1}}, map[string]int{"a": 30, "b": 20, "c": 10})
	// One request at a time: all have as few connections.
	f(tenant.LeastConnections, []tenant.Upstream{{URL: a, Weight: 1}, {URL: b, Weight: 1}}, map[string]int{"a": 30, "b": 30})
}

// TestLeastConnections keeps one upstream busy, so that the other gets what comes.
func TestLeastConnections(t *testing.T) {
	let, arrived := make(chan struct{}), make(chan struct{}, 1)
	slow := netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-let
		}
		fmt.Fprint(w, "slow")
	}))
	quick := netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "quick") }))
	s := newSite(t, Config{}, balanced(tenant.LeastConnections, 0, tenant.Upstream{URL: slow, Weight: 1}, tenant.Upstream{URL: quick, Weight: 1}))
	b := s.browse(t)
	b.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
	receive(t, "the slow request", arrived)
	if got := s.answers(t, 20); got["quick"] != 20 {
		t.Errorf("%v", got)
	}
	close(let)
	if a := b.receive("GET"); a.body != "slow" {
		t.Error(a.body)
	}
	for _, u := range []*url.URL{slow, quick} {
		eventually(t, "no connection is in use", func() bool { return s.pool.get(u, time.Now()).busy.Load() == 0 })
	}
}

// TestFailover has upstreams that fail in several ways beside a good one: every visitor gets an answer, and soon only the good one is asked.
func TestFailover(t *testing.T) {
	good := naming(t, "good")
	f := func(bad *url.URL, asked *atomic.Int64) {
		t.Helper()
		for _, balance := range []tenant.Balance{tenant.RoundRobin, tenant.LeastConnections} {
			s := newSite(t, Config{}, balanced(balance, 10*time.Second, tenant.Upstream{URL: bad, Weight: 1}, tenant.Upstream{URL: good, Weight: 1}))
			asked.Store(0)
			if got := s.answers(t, 50); got["good"] != 50 {
				t.Errorf("%v", got)
			}
			if n := asked.Load(); n > faultsInRow {
				t.Errorf("%s: a bad upstream was asked %d times", balance, n)
			}
			if !s.pool.get(bad, time.Now()).standing.isOut(time.Now()) {
				t.Errorf("%s: it is not out", balance)
			}
		}
	}

	var asked atomic.Int64
	f(absentUpstream(t, nil).url(), &asked)
	f(rawUpstream(t, func(c *scripted) { asked.Add(1); _, _ = c.request() }), &asked)
	f(rawUpstream(t, func(c *scripted) { asked.Add(1) }), &asked)
}

// TestFailoverSendsOnce lets an upstream cut off what may not be sent twice: nobody else gets it.
func TestFailoverSendsOnce(t *testing.T) {
	var got atomic.Int64
	cut := func() tenant.Upstream {
		return tenant.Upstream{URL: rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err == nil {
				got.Add(1)
			}
		}), Weight: 1}
	}
	f := func(method, fields string, want int64) {
		t.Helper()
		s := newSite(t, Config{}, balanced("", 0, cut(), cut(), cut(), cut()))
		got.Store(0)
		b := s.browse(t)
		b.send(method + " / HTTP/1.1\r\nHost: a.test\r\n" + fields)
		if a := b.receive(method); a.status != 502 || got.Load() != want {
			t.Errorf("%s: %d, sent %d times", method, a.status, got.Load())
		}
	}

	f("POST", "Content-Length: 2\r\n\r\nhi", 1)
	f("PUT", "Content-Length: 2\r\n\r\nhi", 1)
	f("GET", "\r\n", maxSends)
}

// TestPostFindsAnother is a POST whose first upstream is not there, which is safe to send elsewhere.
func TestPostFindsAnother(t *testing.T) {
	s := newSite(t, Config{}, balanced("", 0, tenant.Upstream{URL: absentUpstream(t, nil).url(), Weight: 1}, tenant.Upstream{URL: naming(t, "good"), Weight: 1}))
	for range 4 {
		b := s.browse(t)
		b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000))
		if a := b.receive("POST"); a.status != 200 || a.body != "good" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
}

// TestAllAreGone holds requests until any of the upstreams is back.
func TestAllAreGone(t *testing.T) {
	hello := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }
	first, second := absentUpstream(t, hello), absentUpstream(t, hello)
	s := newSite(t, Config{}, balanced("", 10*time.Second, tenant.Upstream{URL: first.url(), Weight: 1}, tenant.Upstream{URL: second.url(), Weight: 1}))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if a := s.get(t, "/"); a.status != 200 || a.body != "hello" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	eventually(t, "all wait", func() bool { return s.waitingFor(first.url())+s.waitingFor(second.url()) == 10 })
	second.start()
	all.Wait()
}

func TestStanding(t *testing.T) {
	var s standing
	now := time.Unix(1_000_000, 0)
	outAt := func(after time.Duration) bool { return s.isOut(now.Add(after)) }
	s.fault(now)
	s.fault(now)
	s.answered(now)
	s.fault(now)
	s.fault(now)
	if outAt(0) {
		t.Error("out although it answered in between")
	}
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 120, 120} {
		for range faultsInRow {
			s.fault(now)
		}
		want *= time.Second
		if !outAt(want-time.Millisecond) || outAt(want) {
			t.Errorf("out until %s, want %s", time.Unix(0, s.out.Load()).Sub(now), want)
		}
		if s.accepts(now.Add(want - time.Millisecond)) {
			t.Error("it accepts while it is out")
		}
		now = now.Add(want)
	}
	accepted := func(after time.Duration) (n int) {
		for range 1000 {
			if s.accepts(now.Add(after)) {
				n++
			}
		}
		return n
	}
	if n := accepted(0); n < 1 || n > 200 {
		t.Errorf("%d of 1000 accepted at its return", n)
	}
	if n := accepted(returnIn / 2); n < 400 || n > 700 {
		t.Errorf("%d of 1000 accepted half way", n)
	}
	if n := accepted(returnIn); n != 1000 {
		t.Errorf("%d of 1000 accepted after its return", n)
	}
	s.answered(now.Add(returnIn + 1))
	for range faultsInRow {
		s.fault(now)
	}
	if !outAt(firstOut-time.Millisecond) || outAt(firstOut) {
		t.Error("the time out did not begin anew")
	}
}
