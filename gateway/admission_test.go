package gateway

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/limit"
	"metahub/gateway/wire"
	"metahub/tenant"
)

// limitTenant gives a tenant of a running gateway other limits, as a reload does.
func (w *world) limitTenant(slug string, change func(*tenant.Limits)) {
	list := tenants()
	for _, t := range list {
		if t.Slug == slug {
			change(&t.Limits)
		}
	}
	w.registry.Publish(tenant.NewDirectory(*w.registry.Current().Gateway(), list))
}

func TestRateIsLimited(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, stopClock)
		w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = 1, 3 })
		c := w.client(http2, "")
		for range 3 {
			if got := w.do(c, "GET", "https://anna.test/", ""); got.StatusCode != 200 || got.Header.Get("RateLimit") != "" {
				t.Errorf("status %d within the burst, RateLimit %q", got.StatusCode, got.Header.Get("RateLimit"))
			}
		}
		f := func(path string, want ...string) {
			t.Helper()
			got := w.do(c, "GET", "https://anna.test"+path, "")
			h := got.Header
			if got.StatusCode != 429 || h.Get("Retry-After") != "1" || h.Get("RateLimit-Policy") != `"rate";q=3;w=3` || h.Get("RateLimit") != `"rate";r=0;t=1` {
				t.Errorf("%s: status %d, %v", path, got.StatusCode, h)
			}
			for _, w := range append(want, h.Get("X-Request-Id")) {
				if w == "" || !strings.Contains(got.body, w) {
					t.Errorf("%s: %q lacks %q", path, got.body, w)
				}
			}
		}
		f("/", "<h1", "429")
		f("/api/x", `"code":"rate_limited"`)
		if got := w.do(c, "GET", "https://bert.test/", ""); got.StatusCode != 200 {
			t.Errorf("status %d for a neighbour", got.StatusCode)
		}
		if w.counts.limits("anna", "rate") != 2 || w.counts.limits("bert", "rate") != 0 {
			t.Errorf("counted %v", w.counts.limited)
		}
		lines := w.logs.find("msg", "a tenant is over a limit")
		if len(lines) != 1 || lines[0]["tenant"] != "anna" || lines[0]["limit"] != "rate" || lines[0]["level"] != "warn" {
			t.Errorf("logged %v", lines)
		}
		// A reload that lifts the limit is in force at once.
		w.limitTenant("anna", func(*tenant.Limits) {})
		if got := w.do(c, "GET", "https://anna.test/", ""); got.StatusCode != 200 {
			t.Errorf("status %d without a limit", got.StatusCode)
		}
	})
}

// TestClientIsWhoTheGatewaySaysItIs takes the address from a trusted proxy only.
func TestClientIsWhoTheGatewaySaysItIs(t *testing.T) {
	limited := func(l *tenant.Limits) { l.ClientRate, l.ClientBurst = 1, 1 }
	f := func(w *world, client string, status int) {
		t.Helper()
		got := w.do(w.client(false, ""), "GET", "https://anna.test/", "", "X-Forwarded-For: "+client)
		if got.StatusCode != status {
			t.Errorf("%s: status %d, want %d", client, got.StatusCode, status)
		}
		if policy := got.Header.Get("RateLimit-Policy"); status == 429 && policy != `"client_rate";q=1;w=1` {
			t.Errorf("policy %q", policy)
		}
	}
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		trustLoopback(s, g)
		stopClock(s, g)
	})
	w.limitTenant("anna", limited)
	f(w, "192.0.2.1", 200)
	f(w, "192.0.2.1", 429)
	f(w, "192.0.2.2", 200)
	f(w, "192.0.2.3, 192.0.2.2", 429) // what stands left of the client is its own claim
	f(w, "2001:db8::1", 200)
	f(w, "2001:db8::2", 429)
	f(w, "2001:db8:0:1::1", 200)

	w = start(t, stopClock)
	w.limitTenant("anna", limited)
	f(w, "192.0.2.1", 200)
	f(w, "192.0.2.2", 429)
}

func TestConcurrencyIsLimited(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.limitTenant("anna", func(l *tenant.Limits) { l.Concurrency = 2 })
		end, begun := make(chan struct{}), make(chan struct{}, 2)
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
			if string(ctx.Path()) == "/stream" {
				begun <- struct{}{}
				ctx.Response.ImmediateHeaderFlush = true
				ctx.SetBodyStream(&body{Reader: until{end}}, -1)
			}
		})
		c := w.client(http2, "")
		var streams sync.WaitGroup
		for range 2 {
			streams.Go(func() { w.do(c, "GET", "https://anna.test/stream", "") })
			<-begun
		}
		got := w.do(c, "GET", "https://anna.test/", "")
		if got.StatusCode != 503 || got.Header.Get("RateLimit-Policy") != `"concurrency";q=2;qu="concurrent-requests"` || got.Header.Get("Retry-After") != "1" {
			t.Errorf("status %d, %v", got.StatusCode, got.Header)
		}
		if got := w.do(c, "GET", "https://anna.test/api/x", ""); got.StatusCode != 503 || got.Header.Get("RateLimit") != `"concurrency";r=0;t=1` ||
			got.Header.Get("Retry-After") != "1" || !strings.Contains(got.body, `"code":"too_many_at_once"`) {
			t.Errorf("the API: status %d, %v, %s", got.StatusCode, got.Header, got.body)
		}
		if got := w.do(c, "GET", "https://bert.test/", ""); got.StatusCode != 200 {
			t.Errorf("status %d for a neighbour", got.StatusCode)
		}
		close(end)
		streams.Wait()
		await(t, "room", func() bool { return w.do(c, "GET", "https://anna.test/", "").StatusCode == 200 })
	})
}

// until is a body that ends when a channel is closed.
type until struct{ end <-chan struct{} }

func (u until) Read([]byte) (int, error) {
	<-u.end
	return 0, io.EOF
}

// TestStreamsHoldNoSlot has more streams than slots, and more requests that their upstream keeps waiting.
func TestStreamsHoldNoSlot(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, func(s *tenant.Gateway, _ *Gateway) { s.Concurrency = 1 })
		end := make(chan struct{})
		begun := make(chan struct{}, 8)
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
			switch string(ctx.Path()) {
			case "/stream":
				ctx.Response.ImmediateHeaderFlush = true
				ctx.SetBodyStream(&body{Reader: until{end}}, -1)
				begun <- struct{}{}
			case "/poll":
				begun <- struct{}{}
				<-end
			}
		})
		c := w.client(http2, "")
		var waiting sync.WaitGroup
		for i := range 8 {
			waiting.Go(func() { w.do(c, "GET", "https://anna.test/"+[]string{"stream", "poll"}[i%2], "") })
		}
		for range 8 {
			<-begun
		}
		if got := w.do(c, "GET", "https://bert.test/", ""); got.StatusCode != 200 {
			t.Errorf("status %d for a neighbour", got.StatusCode)
		}
		close(end)
		waiting.Wait()
	})
}

// TestSaturation has one slot, whose request keeps it. There is no quota to tell of, only when to come again.
func TestSaturation(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, func(s *tenant.Gateway, g *Gateway) {
			s.Concurrency = 1
			g.limiter = limit.New(limit.Config{Patience: 20 * time.Millisecond, Lease: time.Hour})
		})
		end, begun := make(chan struct{}), make(chan struct{}, 1)
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
			if string(ctx.Path()) == "/long" {
				begun <- struct{}{}
				<-end
			}
		})
		c := w.client(http2, "")
		var long sync.WaitGroup
		long.Go(func() { w.do(c, "GET", "https://anna.test/long", "") })
		<-begun
		f := func(path, want string) {
			t.Helper()
			got := w.do(c, "GET", "https://bert.test"+path, "")
			if h := got.Header; got.StatusCode != 503 || h.Get("Retry-After") != "1" || h.Get("RateLimit") != "" || h.Get("RateLimit-Policy") != "" || !strings.Contains(got.body, want) {
				t.Errorf("%s: status %d, %v, %s", path, got.StatusCode, h, got.body)
			}
		}
		f("/", "<h1")
		f("/api/x", `"code":"saturated"`)
		close(end)
		long.Wait()
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	w := start(t, nil)
	w.limitTenant("anna", func(l *tenant.Limits) { l.Connections = 2 })
	first := w.dial("anna.test")
	w.dial("www.anna.test") // another name of the same tenant
	refused := func() bool {
		c, err := tls.Dial("tcp", w.https.String(), &tls.Config{ServerName: "anna.test", RootCAs: w.roots})
		if err == nil {
			c.Close()
		}
		return err != nil
	}
	if !refused() {
		t.Error("a third connection was taken")
	}
	if w.counts.limits("anna", "connections") != 1 {
		t.Errorf("counted %v", w.counts.limited)
	}
	w.dial("bert.test")
	first.Close()
	await(t, "room for another connection", func() bool { return !refused() })
}

// TestQUICConnectionsAreLimited counts them with those of TCP.
func TestQUICConnectionsAreLimited(t *testing.T) {
	w := start(t, nil)
	w.limitTenant("anna", func(l *tenant.Limits) { l.Connections = 2 })
	w.dial("anna.test")
	second := w.clientHTTP3("")
	if got := w.do(second, "GET", "https://anna.test/", ""); got.StatusCode != 200 {
		t.Fatalf("status %d", got.StatusCode)
	}
	if _, err := w.clientHTTP3("").Get("https://anna.test/"); err == nil {
		t.Error("a third connection was taken")
	}
	if w.counts.limits("anna", "connections") == 0 { // a client may try again by itself
		t.Errorf("counted %v", w.counts.limited)
	}
	second.CloseIdleConnections()
	await(t, "room for another connection", func() bool {
		response, err := w.clientHTTP3("").Get("https://anna.test/")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
}

// TestExpectationIsCountedOnce sends a request whose body is asked for first: one of the two that may come.
func TestExpectationIsCountedOnce(t *testing.T) {
	w := start(t, stopClock)
	w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst, l.Concurrency = 1, 2, 1 })
	c := w.dial("anna.test")
	r := bufio.NewReader(c)
	expect := func(line string) {
		t.Helper()
		if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(got, line) {
			t.Fatalf("%q, %v; want %q", got, err, line)
		}
	}
	for range 2 {
		expect("HTTP/1.1 100 ")
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := w.read(r, "POST"); got.StatusCode != 200 {
			t.Fatalf("status %d", got.StatusCode)
		}
	}
	expect("HTTP/1.1 429 ") // before its body was sent
}

// TestAbandonedExpectation closes connections on which a body was asked for; what was counted for it must not stay.
func TestAbandonedExpectation(t *testing.T) {
	w := start(t, nil)
	w.limitTenant("anna", func(l *tenant.Limits) { l.Concurrency = 1 })
	for range 3 {
		c := w.dial("anna.test")
		if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 100 ") {
			t.Fatalf("%q, %v", got, err)
		}
		c.Close()
		await(t, "room", func() bool { return w.do(w.client(false, ""), "GET", "https://anna.test/", "").StatusCode == 200 })
	}
}

// TestExactLimitOverSockets has 20 clients of both protocols at one limit.
func TestExactLimitOverSockets(t *testing.T) {
	w := start(t, stopClock)
	w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = 1, 100 })
	var mu sync.Mutex
	var clients sync.WaitGroup
	statuses := map[int]int{}
	for i := range 20 {
		c := w.client(i%2 == 0, "")
		clients.Go(func() {
			for range 10 {
				got := w.do(c, "GET", "https://anna.test/", "")
				mu.Lock()
				statuses[got.StatusCode]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if statuses[http.StatusOK] != 100 || statuses[429] != 100 {
		t.Errorf("%v, want 100 at once and no more", statuses)
	}
}

// BenchmarkRefusal is what a request costs that the tenant's rate refuses.
func BenchmarkRefusal(b *testing.B) {
	g := quiet(b)
	list := tenants()
	list[0].Limits.Rate, list[0].Limits.Burst = 1, 1
	g.registry.Publish(tenant.NewDirectory(settings(), list))
	c := &connection{Conn: stub{}, set: &g.connections}
	c.serveHTTP1(c, wire.Limits{})
	var ctx fasthttp.RequestCtx
	ctx.Init2(&plainConn{peer: peer{connection: c, text: []byte("192.0.2.1"), serverName: []byte("anna.test")}}, nil, false)
	raw := fmt.Appendf(nil, "GET /about?x=1 HTTP/1.1\r\n%s\r\n", browserHeader)
	readAndHandle(b, &ctx, raw, g.handle)
}
