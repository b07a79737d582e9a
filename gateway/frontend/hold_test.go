package frontend

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHoldServesAllKinds holds requests of every kind, which must arrive once.
func TestHoldServesAllKinds(t *testing.T) {
	var got sync.Map
	upstream := absentUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := got.LoadOrStore(r.Method+r.URL.Path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		size := 0
		for buffer := make([]byte, 4096); ; {
			n, err := r.Body.Read(buffer)
			size += n
			if err != nil {
				break
			}
		}
		fmt.Fprintf(w, "%s %d", r.Method, size)
	})
	s := newSite(t, Config{}, heldTenant(upstream.url(), 10*time.Second))
	var all sync.WaitGroup
	ask := func(method, path, fields, body, want string) {
		all.Go(func() {
			b := s.browse(t)
			defer b.Close()
			b.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n%s", method, path, fields, body))
			if a := b.receive(method); a.status != 200 || a.body != want {
				t.Errorf("%s: %d %q", method, a.status, a.body)
			}
		})
	}
	ask("GET", "/", "", "", "GET 0")
	ask("HEAD", "/", "", "", "")
	ask("POST", "/small", "Content-Length: 2\r\n", "hi", "POST 2")
	ask("POST", "/large", "Content-Length: 100000\r\n", strings.Repeat("x", 100_000), "POST 100000")
	ask("PUT", "/chunked", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", "PUT 3")
	eventually(t, "all wait", func() bool { return s.waitingFor(upstream.url()) == 5 })
	upstream.start()
	all.Wait()
	count := 0
	got.Range(func(request, n any) bool {
		count++
		if times := n.(*atomic.Int64).Load(); times != 1 {
			t.Errorf("%s arrived %d times", request, times)
		}
		return true
	})
	if count != 5 {
		t.Errorf("%d of 5 requests arrived", count)
	}
}

// waitingFor is how many requests wait for the upstream at u to come back.
func (s *site) waitingFor(u *url.URL) int { return s.pool.get(u, time.Now()).outage.room.waiting() }

// TestHoldEnds lets requests wait in vain.
func TestHoldEnds(t *testing.T) {
	f := func(hold time.Duration) {
		t.Helper()
		upstream := absentUpstream(t, nil)
		s := newSite(t, Config{}, heldTenant(upstream.url(), hold))
		began := time.Now()
		a := s.get(t, "/", "Accept: application/json")
		if a.status != 502 || !strings.Contains(a.body, "upstream_refused") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if took := time.Since(began); took < hold {
			t.Fatalf("answered after %s", took)
		}
	}

	f(0)
	f(300 * time.Millisecond)
}

// TestHoldIsBounded fills the room. Nobody hammers the upstream meanwhile, another tenant still finds a place, and clients that leave
// give theirs back.
func TestHoldIsBounded(t *testing.T) {
	upstream := absentUpstream(t, func(http.ResponseWriter, *http.Request) {})
	s := newSite(t, Config{}, heldTenant(upstream.url(), patience))
	up := s.pool.get(upstream.url(), time.Now())
	up.outage.room.size = 8

	var waiting []*browser
	for i := range 4 {
		b := s.browse(t)
		b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		waiting = append(waiting, b)
		eventually(t, "it waits", func() bool { return s.waitingFor(upstream.url()) == i+1 })
	}
	a := s.get(t, "/", "Accept: application/json")
	if a.status != 503 || string(a.header.Peek("Retry-After")) == "" || !strings.Contains(a.body, `"upstream_busy"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if !up.outage.room.enter("radanor") {
		t.Error("one tenant leaves no place to another")
	}
	up.outage.room.leave("radanor")

	for _, b := range waiting {
		b.Close()
	}
	eventually(t, "those who left wait no more", func() bool { return s.waitingFor(upstream.url()) == 0 })
	eventually(t, "nobody looks for the upstream then", func() bool {
		up.outage.mu.Lock()
		defer up.outage.mu.Unlock()
		return !up.outage.looking
	})
}

// TestHoldProbesOnce counts how often an upstream is asked while many wait.
func TestHoldProbesOnce(t *testing.T) {
	var o outage
	var started sync.WaitGroup
	o.room.size, o.probes = 2000, &started
	refusal := errors.New("refused")
	now := time.Now()
	dials := 0
	for range 1000 {
		if o.mayDial(now) == nil {
			dials++
			o.refused(refusal, now)
		}
		if !o.room.enter("a") {
			t.Fatal("no place")
		}
	}
	if dials != 1 {
		t.Errorf("%d dials in one moment", dials)
	}
	var probing, probes atomic.Int64
	probe := func() bool {
		defer probing.Add(-1)
		if probing.Add(1) > 1 {
			t.Error("two probes at once")
		}
		if probes.Add(1) < 3 {
			return false
		}
		o.connected()
		return true
	}
	var over <-chan struct{}
	for range 1000 {
		c, ok := o.watch(now, probe)
		if !ok {
			t.Fatal("nobody waits")
		}
		over = c
	}
	receive(t, "the end of the outage", over)
	started.Wait()
	if n := probes.Load(); n != 3 {
		t.Errorf("%d probes", n)
	}
}

// TestLongOutage is an upstream that has been gone for so long that nobody waits for it.
func TestLongOutage(t *testing.T) {
	upstream := absentUpstream(t, func(http.ResponseWriter, *http.Request) {})
	s := newSite(t, Config{}, heldTenant(upstream.url(), patience))
	up := s.pool.get(upstream.url(), time.Now())
	up.outage.refused(errors.New("connection refused"), time.Now().Add(-longOutage-time.Second))
	up.outage.refused(errors.New("connection refused"), time.Now().Add(-longOutage/2))
	if a := s.get(t, "/"); a.status != 502 {
		t.Fatalf("%d", a.status)
	}
	upstream.start()
	if a := s.get(t, "/"); a.status != 200 {
		eventually(t, "it is back", func() bool { return s.get(t, "/").status == 200 })
	}
	if up.outage.on.Load() {
		t.Error("the outage has not ended")
	}
}

// TestCloseEndsHold closes the Server while requests wait.
func TestCloseEndsHold(t *testing.T) {
	upstream := absentUpstream(t, nil)
	s := newSite(t, Config{}, heldTenant(upstream.url(), patience))
	b := s.browse(t)
	b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	eventually(t, "it waits", func() bool { return s.waitingFor(upstream.url()) == 1 })
	s.Close()
	if a := b.receive("GET"); a.status != 502 {
		t.Fatalf("%d", a.status)
	}
}

func TestRoom(t *testing.T) {
	f := func(size int, slugs string, want string) {
		t.Helper()
		r := room{size: size}
		got := ""
		for _, slug := range strings.Split(slugs, "") {
			switch {
			case slug == strings.ToUpper(slug):
				r.leave(strings.ToLower(slug))
				got += "-"
			case r.enter(slug):
				got += "+"
			default:
				got += "0"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", slugs, got, want)
		}
	}

	// One tenant gets half.
	f(4, "aaaa", "++00")
	// The next gets half of what is left.
	f(4, "aaabb", "++0+0")
	f(8, "aaaabbb", "++++++0")
	// Who leaves makes room.
	f(4, "aaaAa", "++0-+")
	f(2, "aabAb", "+0+-0")
}

// TestStoppedInTheMoment cuts off the first request on each of two new connections, as an upstream does that stops. What may be asked for
// twice is asked again, the rest is not.
func TestStoppedInTheMoment(t *testing.T) {
	f := func(method, fields string, hold time.Duration, wantStatus int, wantSent int64) {
		t.Helper()
		var got atomic.Int64
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err == nil && got.Add(1) > 2 {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			}
		})
		s := newSite(t, Config{}, heldTenant(upstream, hold))
		b := s.browse(t)
		b.send(method + " / HTTP/1.1\r\nHost: a.test\r\n" + fields)
		if a := b.receive(method); a.status != wantStatus || got.Load() != wantSent {
			t.Errorf("%s: %d, and the upstream got it %d times", method, a.status, got.Load())
		}
	}

	f("GET", "\r\n", time.Second, 200, 3)
	f("GET", "\r\n", 0, 502, 1)
	f("POST", "Content-Length: 2\r\n\r\nhi", time.Second, 502, 1)
	f("PUT", "Content-Length: 2\r\n\r\nhi", time.Second, 502, 1)
	f("PUT", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", time.Second, 502, 1)
}
