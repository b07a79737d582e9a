package frontend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAnswerPassesThrough(t *testing.T) {
	upstream, _ := answering(t, "HTTP/1.1 200 Fine\r\nServer: theirs\r\nx-Odd-CASE: kept\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n"+
		"Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nTrailer: X-T\r\n"+
		"Content-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello")
	s := proxied(t, upstream)

	b := s.browse(t)
	b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	const want = "HTTP/1.1 200 OK\r\nServer: theirs\r\nContent-Encoding: gzip, br\r\nContent-Length: 5\r\nx-Odd-CASE: kept\r\n" +
		"Set-Cookie: b=2; Path=/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n\r\nhello"
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		m, err := b.reader.Read(got[n:])
		if err != nil {
			t.Fatalf("%q, %v", got[:n], err)
		}
		n += m
	}
	if string(got) != want {
		t.Fatalf("the client got\n%q\nwant\n%q", got, want)
	}
}

// TestAnswerFraming gives answers framed in every way to requests of every kind; the connection must be usable afterwards.
func TestAnswerFraming(t *testing.T) {
	f := func(method, answer string, wantStatus int, wantBody string, wantLength string) {
		t.Helper()
		upstream := rawUpstream(t, func(c *scripted) {
			for {
				if _, err := c.request(); err != nil {
					return
				}
				c.say(answer)
				if !strings.Contains(answer, "Content-Length") && !strings.Contains(answer, "chunked") && wantBody != "" {
					return // until close
				}
			}
		})
		s := proxied(t, upstream)
		b := s.browse(t)
		for range 3 {
			b.send(method + " / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			a := b.receive(method)
			if a.status != wantStatus || a.body != wantBody || a.err != nil {
				t.Fatalf("%s, %q: %d %q %v", method, answer, a.status, a.body, a.err)
			}
			if got := string(a.header.Peek("Content-Length")); got != wantLength {
				t.Fatalf("%s, %q: Content-Length %q, want %q", method, answer, got, wantLength)
			}
		}
	}

	f("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "5")
	f("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", "0")
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "hello", "5")
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", 200, "hello", "")
	f("GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", "")
	f("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "5")
	f("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "5")
	large := strings.Repeat("0123456789abcdef", 20_000)
	f("GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large), 200, large, fmt.Sprint(len(large)))
	f("GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), 200, large, "")
	// No body, whatever the fields say.
	f("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "", "5")
	f("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", "")
	f("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "")
	f("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n", 304, "", "5")
	f("GET", "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nsorry", 500, "sorry", "5")
}

func TestHTTP10ClientGetsWholeBody(t *testing.T) {
	upstream, _ := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n")
	b := proxied(t, upstream).browse(t)
	b.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
	a := b.receive("GET")
	if a.body != "hello" || string(a.header.Peek("Content-Length")) != "5" || len(a.header.Peek("Transfer-Encoding")) > 0 {
		t.Fatalf("%q\n%s", a.body, a.header)
	}
}

// TestMalformedAnswers gives every malformed head and body; none may reach the client as a sound answer, nor spoil the next exchange.
func TestMalformedAnswers(t *testing.T) {
	var answer atomic.Value
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.request(); err == nil {
			c.say(answer.Load().(string))
		}
	})
	s := proxied(t, upstream)
	for _, raw := range malformedHeads {
		answer.Store(raw)
		a := s.get(t, "/", "Accept: application/json")
		if a.status != 502 || !strings.Contains(a.body, `"code":"upstream_bad_response","request_id":"r1"`) {
			t.Errorf("%.60q: %d %s", raw, a.status, a.body)
		}
	}
	answer.Store("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	if a := s.get(t, "/"); a.status != 502 {
		t.Errorf("101 that was not asked for: %d", a.status)
	}
	for _, raw := range malformedChunks {
		answer.Store("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw)
		if a := s.get(t, "/"); a.status != 200 || a.err == nil {
			t.Errorf("%.60q: %d, the body looks complete: %q", raw, a.status, a.body)
		}
	}
}

// TestBodyCutShort closes in the middle of bodies, so that the client must see that something is missing.
func TestBodyCutShort(t *testing.T) {
	f := func(answer string) {
		t.Helper()
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err == nil {
				c.say(answer)
			}
		})
		if a := proxied(t, upstream).get(t, "/"); a.status != 200 || a.err == nil {
			t.Fatalf("%q: %d, the body looks complete: %q", answer, a.status, a.body)
		}
	}

	f("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
	f("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
}

func TestUpstreamFailures(t *testing.T) {
	f := func(upstream *url.URL, wantStatus int, wantCode string) {
		t.Helper()
		core, logs := observer.New(zap.WarnLevel)
		tn := upstreamTenant(upstream)
		if wantStatus == 504 { // else a busy machine must not be taken for a slow upstream
			tn.Limits.Timeout = 50 * time.Millisecond
		}
		s := newSite(t, Config{Logger: zap.New(core)}, tn)
		for range 5 {
			a := s.get(t, "/", "Accept: application/json")
			if a.status != wantStatus || !strings.Contains(a.body, `"code":"`+wantCode+`","request_id":"r1"`) {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if entries := logs.FilterField(zap.String("code", wantCode)).All(); len(entries) != 1 || entries[0].ContextMap()["upstream"] != upstream.Host {
			t.Fatalf("logged %v", entries)
		}
	}

	closedPort := rawUpstream(t, func(*scripted) {})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedPort.Host = listener.Addr().String()
	listener.Close()

	f(closedPort, 502, "upstream_refused")
	// It takes the connection and says nothing, or not enough.
	f(rawUpstream(t, func(c *scripted) { c.untilClosed() }), 504, "upstream_timeout")
	f(rawUpstream(t, func(c *scripted) { c.say("HTTP/1.1 200 OK\r\n"); c.untilClosed() }), 504, "upstream_timeout")
	// It closes without an answer.
	f(rawUpstream(t, func(c *scripted) { _, _ = c.request() }), 502, "upstream_closed")
	f(rawUpstream(t, func(c *scripted) { _, _ = c.request(); c.say("HTTP/1.1 200") }), 502, "upstream_closed")
	// It does not speak TLS.
	plain := rawUpstream(t, func(c *scripted) { c.say("HTTP/1.1 400 Bad Request\r\n\r\n") })
	f(&url.URL{Scheme: "https", Host: plain.Host}, 502, "upstream_tls")
}

// TestTLS speaks to an https upstream whose certificate is trusted, and to one whose is not.
func TestTLS(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.Header.Get("X-Tenant"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	upstream, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())

	s := newSite(t, Config{TLS: &tls.Config{RootCAs: trusted}}, upstreamTenant(upstream))
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		if a := s.ask(t, method, "/"); a.status != 200 || a.body != method+" anastasia" {
			t.Fatalf("%d %q", a.status, a.body)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}

	untrusting := newSite(t, Config{}, upstreamTenant(upstream))
	if a := untrusting.get(t, "/", "Accept: application/json"); a.status != 502 || !strings.Contains(a.body, "upstream_tls") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestKeepAlive counts the connections that an upstream sees.
func TestKeepAlive(t *testing.T) {
	f := func(answer string, wantConnections int64) {
		t.Helper()
		var connections atomic.Int64
		upstream := rawUpstream(t, func(c *scripted) {
			connections.Add(1)
			for {
				if _, err := c.request(); err != nil {
					return
				}
				c.say(answer)
			}
		})
		s := proxied(t, upstream)
		for range 10 {
			if a := s.get(t, "/"); a.status != 200 || a.body != "hello" {
				t.Fatalf("%d %q", a.status, a.body)
			}
		}
		if n := connections.Load(); n != wantConnections {
			t.Fatalf("%q: %d connections, want %d", answer, n, wantConnections)
		}
	}

	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", 1)
	f("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 10)
	f("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 10)
	// Bytes beyond the answer are never taken for the next one.
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 10)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nevil", 10)
}

// TestStaleConnection closes each connection after one answer without saying so, as a restarted upstream does.
func TestStaleConnection(t *testing.T) {
	f := func(request string, closed bool) {
		t.Helper()
		var got atomic.Int64
		answered := make(chan struct{}, 10)
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err != nil {
				return
			}
			got.Add(1)
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			if !closed {
				// The end of the connection crosses the next request on its way.
				if _, err := c.request(); err != nil {
					return
				}
			}
			c.Close()
			answered <- struct{}{}
		})
		s := proxied(t, upstream)
		b := s.browse(t)
		for range 2 {
			b.send(request)
			if a := b.receive("GET"); a.status != 200 || a.body != "hello" {
				t.Fatalf("%q: %d %q", request, a.status, a.body)
			}
			if closed {
				receive(t, "the upstream's close", answered)
			}
		}
		if n := got.Load(); n != 2 {
			t.Fatalf("%q: the upstream answered %d requests", request, n)
		}
	}

	const get, post = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"
	f(get, true)
	f(post, true)
	f(get, false)
}

// TestNoRetry is a request that may not be sent twice, on a connection that ends without an answer.
func TestNoRetry(t *testing.T) {
	var got atomic.Int64
	upstream := rawUpstream(t, func(c *scripted) {
		for {
			request, err := c.request()
			if err != nil {
				return
			}
			if strings.HasPrefix(request, "POST") {
				got.Add(1)
				return
			}
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		}
	})
	s := proxied(t, upstream)
	if a := s.get(t, "/"); a.status != 200 {
		t.Fatal(a.status)
	}
	if a := s.ask(t, "POST", "/"); a.status != 502 {
		t.Fatal(a.status)
	}
	if n := got.Load(); n != 1 {
		t.Fatalf("the upstream got it %d times", n)
	}
}

// TestAnswerNobodyAskedFor is an upstream that sends a second answer a moment after the first. It must never pass for the answer to
// another request, which may well be another tenant's.
func TestAnswerNobodyAskedFor(t *testing.T) {
	sent := make(chan struct{}, 10)
	upstream := rawUpstream(t, func(c *scripted) {
		for {
			if _, err := c.request(); err != nil {
				return
			}
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			c.untilClosedOr(20 * time.Millisecond) // so that it is no part of the first answer's packet
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			sent <- struct{}{}
		}
	})
	s := proxied(t, upstream)
	for range 3 {
		if a := s.get(t, "/"); a.status != 200 || a.body != "hello" {
			t.Fatalf("%d %q", a.status, a.body)
		}
		receive(t, "the answer nobody asked for", sent)
	}
}

// TestIdleConnectionsClose waits for the sweep.
func TestIdleConnectionsClose(t *testing.T) {
	ended := make(chan struct{}, 10)
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.request(); err == nil {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		}
		c.untilClosed()
		ended <- struct{}{}
	})
	s := newSite(t, Config{Timings: Timings{Idle: 20 * time.Millisecond}}, upstreamTenant(upstream))
	if a := s.get(t, "/"); a.status != 200 {
		t.Fatal(a.status)
	}
	receive(t, "the end of the idle connection", ended)
}

func TestPoolIsSharedByOriginOnly(t *testing.T) {
	p := newPool(nil, Timings{}.orDefaults(), nil, zap.NewNop())
	defer p.close()
	at := func(raw string) *upstream {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return p.get(u, time.Now())
	}
	ups := []*upstream{at("http://a.test"), at("http://b.test"), at("https://a.test"), at("http://a.test:81")}
	for i, up := range ups {
		if slices.Index(ups, up) != i {
			t.Errorf("%s is shared", up)
		}
	}
	if at("http://a.test") != ups[0] {
		t.Error("the same origin has two pools")
	}
	for _, want := range []string{"a.test:80", "b.test:80", "a.test:443", "a.test:81"} {
		if got := ups[0].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		ups = ups[1:]
	}

	p.forget(time.Now().Add(time.Hour))
	if n := len(p.all()); n != 0 {
		t.Errorf("%d upstreams after an hour without a request", n)
	}
}
