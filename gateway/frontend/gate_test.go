package frontend

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/tenant"
)

// slowUpstream answers when it is let, and knows how many requests it has at once.
type slowUpstream struct {
	let        chan struct{}
	here, most atomic.Int64
}

func (u *slowUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := u.here.Add(1)
	for most := u.most.Load(); n > most && !u.most.CompareAndSwap(most, n); most = u.most.Load() {
	}
	if r.URL.Path == "/events" {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
	}
	<-u.let
	u.here.Add(-1)
}

func capped(s *slowUpstream, t testing.TB, connections int) *tenant.Tenant {
	tn := upstreamTenant(netUpstream(t, s))
	tn.Limits.UpstreamConnections = connections
	return tn
}

// TestConnectionsAreCapped sends many requests at once: the upstream never has more than it may, and all are answered.
func TestConnectionsAreCapped(t *testing.T) {
	upstream := &slowUpstream{let: make(chan struct{})}
	tn := capped(upstream, t, 3)
	s := newSite(t, Config{Timings: Timings{Queue: patience}}, tn)
	up := s.pool.get(tn.Frontend.URL, time.Now())
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if a := s.get(t, "/"); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	eventually(t, "three are answered and the others wait", func() bool { return upstream.here.Load() == 3 && up.gate.room.waiting() == 17 })
	close(upstream.let)
	all.Wait()
	if n := upstream.most.Load(); n != 3 {
		t.Errorf("%d requests at once", n)
	}
	eventually(t, "nothing is in use", func() bool { return up.gate.inUse() == 0 && up.busy.Load() == 0 })
	up.gate.forget()
	if n := len(up.gate.shares); n != 0 {
		t.Errorf("%d shares are kept", n)
	}
}

func (g *gate) inUse() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

// TestQueueEnds waits in vain for a connection; it fills the queue; and it leaves.
func TestQueueEnds(t *testing.T) {
	busy := func(s *site, what string) {
		t.Helper()
		a := s.get(t, "/", "Accept: application/json")
		if a.status != 503 || len(a.header.Peek("Retry-After")) == 0 || !strings.Contains(a.body, `"upstream_busy"`) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	f := func(queue time.Duration, then func(s *site, up *upstream)) {
		t.Helper()
		upstream := &slowUpstream{let: make(chan struct{})}
		tn := capped(upstream, t, 1)
		s := newSite(t, Config{Timings: Timings{Queue: queue}}, tn)
		first := s.browse(t)
		first.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		eventually(t, "the only connection is in use", func() bool { return upstream.here.Load() == 1 })
		then(s, s.pool.get(tn.Frontend.URL, time.Now()))
		close(upstream.let)
		if a := first.receive("GET"); a.status != 200 {
			t.Error(a.status)
		}
		if a := s.get(t, "/"); a.status != 200 {
			t.Errorf("afterwards: %d", a.status)
		}
	}
	f(400*time.Millisecond, func(s *site, _ *upstream) { busy(s, "it waited in vain") })
	f(2*patience, func(s *site, up *upstream) {
		up.gate.room.size = 2
		second := s.browse(t)
		second.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		eventually(t, "one waits", func() bool { return up.gate.room.waiting() == 1 })
		busy(s, "the queue is full") // which it is told at once, as its own patience is less than the queue's
		second.Close()
		eventually(t, "it waits no more", func() bool { return up.gate.room.waiting() == 0 && len(up.gate.lines) == 0 })
	})
}

// TestEventsTakeNoPlace keeps a stream of events open while another request needs the only connection.
func TestEventsTakeNoPlace(t *testing.T) {
	upstream := &slowUpstream{let: make(chan struct{})}
	tn := capped(upstream, t, 1)
	s := newSite(t, Config{}, tn)
	up := s.pool.get(tn.Frontend.URL, time.Now())
	first := s.browse(t)
	first.send("GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n")
	eventually(t, "the stream is open", func() bool { return upstream.here.Load() == 1 && up.gate.inUse() == 0 })
	second := s.browse(t)
	second.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	eventually(t, "the other is there too", func() bool { return upstream.here.Load() == 2 })
	close(upstream.let)
	for _, b := range []*browser{first, second} {
		if a := b.receive("GET"); a.status != 200 {
			t.Error(a.status)
		}
	}
	eventually(t, "nothing is in use", func() bool { return up.gate.inUse() == 0 })
}

// TestGateIsFair floods one upstream by one tenant, and has another come last.
func TestGateIsFair(t *testing.T) {
	var g gate
	var flood []*share
	for range 4 {
		s, ok := g.enter("a", 4)
		if !ok {
			t.Fatal("no place")
		}
		flood = append(flood, s)
	}
	if _, ok := g.enter("b", 4); ok {
		t.Fatal("a place too many")
	}
	ready := func(t *ticket) bool {
		select {
		case <-t.ready:
			return true
		default:
			return false
		}
	}
	_, a1 := g.queue("a", 4)
	_, a2 := g.queue("a", 4)
	b, b1 := g.queue("b", 4)
	_, c1 := g.queue("c", 2) // it would only go where fewer than two are in use
	if ready(a1) || ready(b1) || ready(c1) {
		t.Fatal("nobody has left")
	}
	flood[0].leave()
	if ready(a1) || !ready(b1) {
		t.Error("the tenant with the fewest connections was not the first")
	}
	b.abandon(b1) // it has left in the moment in which it was its turn
	if !ready(a1) || ready(a2) || ready(c1) {
		t.Error("its place went to nobody")
	}
	flood[0].abandon(a2)
	for range 3 {
		flood[0].leave()
	}
	if !ready(c1) || g.used != 2 || len(g.lines) != 0 {
		t.Errorf("%d in use, %d in line", g.used, len(g.lines))
	}
}
