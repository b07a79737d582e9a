package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"metahub/gateway/frontend"
	"metahub/tenant"
)

// fault is one way in which an upstream is broken, and what that comes to. docs/frontends.md has the same table.
type fault struct {
	name   string
	answer func(c net.Conn) // nil: nobody listens
	status int
	code   string // of the page, and of the one warning; "" for an answer that has begun
	body   string // that arrives whole
	cut    string // why the body does not, as the access log says it
}

const (
	garbled = "upstream_bad_response"
	head    = "HTTP/1.1 200 OK\r\n"
	chunks  = head + "Transfer-Encoding: chunked\r\n\r\n"
	five    = head + "Content-Length: 5\r\n\r\n"
)

// faults are not told apart by methods or protocols of clients.
var faults = []fault{
	{name: "does not run", status: 502, code: "upstream_refused"},
	{name: "hangs", answer: hang, status: 504, code: "upstream_timeout"},
	{name: "hangs inside the head", answer: then("HTTP/1.1 200", hang), status: 504, code: "upstream_timeout"},
	{name: "drips the head", answer: dripping(head+strings.Repeat("X: y\r\n", 10_000), 10*time.Millisecond), status: 504, code: "upstream_timeout"},
	{name: "is killed", answer: reset, status: 502, code: "upstream_closed"},
	{name: "closes instead of answering", answer: say(""), status: 502, code: "upstream_closed"},
	{name: "closes inside the head", answer: say(head + "Content-Le"), status: 502, code: "upstream_closed"},

	{name: "two lengths", answer: say(head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), status: 502, code: garbled},
	{name: "two lengths in one field", answer: say(head + "Content-Length: 5, 6\r\n\r\nhello"), status: 502, code: garbled},
	{name: "length and chunks", answer: say(head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), status: 502, code: garbled},
	{name: "a negative length", answer: say(head + "Content-Length: -5\r\n\r\nhello"), status: 502, code: garbled},
	{name: "a length beyond 64 bits", answer: say(head + "Content-Length: 18446744073709551621\r\n\r\nhello"), status: 502, code: garbled},
	{name: "another coding", answer: say(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), status: 502, code: garbled},
	{name: "a folded field", answer: say(head + "X: a\r\n b\r\n\r\n"), status: 502, code: garbled},
	{name: "a space before the colon", answer: say(head + "Content-Length : 5\r\n\r\nhello"), status: 502, code: garbled},
	{name: "a NUL in a value", answer: say(head + "X: a\x00b\r\n\r\n"), status: 502, code: garbled},
	{name: "a CR in a value", answer: say(head + "X: a\rSet-Cookie: b=c\r\n\r\n"), status: 502, code: garbled},
	{name: "line feeds alone", answer: say("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), status: 502, code: garbled},
	{name: "a head of 100 KiB", answer: say(head + strings.Repeat("X: y\r\n", 20_000) + "\r\n"), status: 502, code: garbled},
	{name: "a line of 100 KiB", answer: say(head + "X: " + strings.Repeat("y", 100<<10) + "\r\n\r\n"), status: 502, code: garbled},
	{name: "1xx without end", answer: say(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)), status: 502, code: garbled},
	{name: "101 unasked", answer: say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), status: 502, code: garbled},
	{name: "HTTP/0.9", answer: say("<html>hello</html>\n"), status: 502, code: garbled},
	{name: "HTTP/2", answer: say("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\x00\xff\xff\x00\x05\x00\x00\x40\x00\n"), status: 502, code: garbled},
	{name: "HTTP/2 in letters", answer: say("HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), status: 502, code: garbled},
	{name: "another protocol", answer: say("SSH-2.0-OpenSSH_9.2p1\r\n"), status: 502, code: garbled},
	{name: "another protocol, which waits", answer: then("220 smtp ready\r\n", hang), status: 502, code: garbled},
	{name: "a status of two digits", answer: say("HTTP/1.1 20 OK\r\n\r\n"), status: 502, code: garbled},

	{name: "closes inside the body", answer: say(head + "Content-Length: 10\r\n\r\nhello"), status: 200, cut: "unexpected EOF"},
	{name: "closes inside a chunk", answer: say(chunks + "a\r\nhello"), status: 200, cut: "unexpected EOF"},
	{name: "closes before the last chunk", answer: say(chunks + "5\r\nhello\r\n"), status: 200, cut: "unexpected EOF"},
	{name: "is killed inside the body", answer: then(head+"Content-Length: 10\r\n\r\nhello", reset), status: 200, cut: "read tcp"},
	{name: "hangs inside the body", answer: then(head+"Content-Length: 10\r\n\r\nhello", hang), status: 200, cut: "read tcp"},
	{name: "a chunk beyond 64 bits", answer: say(chunks + "5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"), status: 200, cut: "malformed answer: a chunk size"},
	{name: "a negative chunk", answer: say(chunks + "5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n"), status: 200, cut: "malformed answer: a chunk"},
	{name: "garbage between chunks", answer: say(chunks + "5\r\nhello!\r\n0\r\n\r\n"), status: 200, cut: "malformed answer: a chunk"},

	{name: "drips the body", answer: dripping(five+"hello", 5*time.Millisecond), status: 200, body: "hello"},
	{name: "answers twice", answer: say(five + "hello" + five + "other"), status: 200, body: "hello"},
	{name: "says more than its length", answer: say(five + "hello, and more"), status: 200, body: "hello"},
	{name: "trailers that frame", answer: say(chunks + "5\r\nhello\r\n0\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n"), status: 200, body: "hello"},
}

// TestFaultsOfUpstreams breaks an upstream in every way there is. Each time the visitor gets the right status or a body that is plainly cut
// short, the administrator hears of it once, and a neighbour is served as ever.
func TestFaultsOfUpstreams(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := startFaulty(t)
			done := make(chan struct{})
			neighbour := make(chan latencies, 1)
			go func() { neighbour <- w.visitUntil(http2, "https://near.test/", done) }()
			var all sync.WaitGroup
			for i, f := range faults {
				all.Go(func() { w.meet(http2, f, slugOf(i)) })
			}
			all.Wait()
			close(done)
			l := <-neighbour
			t.Logf("the neighbour, asked %d times: %v", len(l.sorted), l)
			if l.failed > 0 || l.at(1) > soon {
				t.Errorf("the neighbour noticed: %d requests failed, the slowest took %v", l.failed, l.at(1))
			}
			// A client of the faulty tenants may go on asking: their connections are sound.
			w.meet(http2, faults[0], slugOf(0))
		})
	})
}

func slugOf(fault int) string { return fmt.Sprintf("f%02d", fault) }

// startFaulty runs a gateway with a tenant for each fault, and "near" whose upstream is well.
func startFaulty(t testing.TB) *world {
	t.Helper()
	w := start(t, func(_ *tenant.Gateway, g *Gateway) {
		frontends := frontend.New(frontend.Config{Logger: g.log, Timings: frontend.Timings{Body: time.Second}})
		t.Cleanup(frontends.Close)
		g.frontends = frontends
	})
	well := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "well") }))
	t.Cleanup(well.Close)
	at, err := url.Parse(well.URL)
	if err != nil {
		t.Fatal(err)
	}
	limits := tenant.Limits{Body: 1 << 20, Timeout: time.Minute}
	all := []*tenant.Tenant{{Slug: "near", Domains: []string{"near.test"}, Enabled: true, Limits: limits, Frontend: tenant.Frontend{URL: at}}}
	for i, f := range faults {
		slug := slugOf(i)
		l := limits
		if f.code == "upstream_timeout" {
			l.Timeout = 300 * time.Millisecond
		}
		all = append(all, &tenant.Tenant{Slug: slug, Domains: []string{slug + ".test"}, Enabled: true, Limits: l, Frontend: tenant.Frontend{URL: broken(t, f.answer)}})
	}
	w.registry.Publish(tenant.NewDirectory(settings(), all))
	return w
}

// broken is an upstream that reads the head of a request and answers as a fault does.
func broken(t testing.TB, answer func(c net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := &url.URL{Scheme: "http", Host: l.Addr().String()}
	if answer == nil {
		l.Close()
		return at
	}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		connections.Wait()
	})
	return at
}

func say(text string) func(c net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

func then(text string, next func(c net.Conn)) func(c net.Conn) {
	return func(c net.Conn) {
		say(text)(c)
		time.Sleep(20 * time.Millisecond) // so that the text arrives before a reset drops it
		next(c)
	}
}

func dripping(text string, pause time.Duration) func(c net.Conn) {
	return func(c net.Conn) {
		for i := range text {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// hang does nothing until the gateway closes.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// warnEvery is how often one kind of failure of an upstream is warned of.
const warnEvery = 10 * time.Second

// meet asks a tenant three times and checks what came, and what was logged.
func (w *world) meet(http2 bool, f fault, slug string) {
	const times = 3
	c := w.client(http2, "")
	before, begun := len(w.logs.find("tenant", slug)), time.Now()
	for range times {
		response, err := c.Get("https://" + slug + ".test/")
		if err != nil && f.cut != "" && isHTTP3(w) {
			continue // the end of a stream may overtake what was sent before (RFC 9000 §3.2)
		}
		if err != nil {
			w.Errorf("%s: no answer: %v", f.name, err)
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		switch {
		case response.StatusCode != f.status:
			w.Errorf("%s: status %d, want %d: %.300s", f.name, response.StatusCode, f.status, body)
		case (err != nil) != (f.cut != ""):
			w.Errorf("%s: body %q, %v", f.name, body, err)
		case f.body != "" && string(body) != f.body:
			w.Errorf("%s: body %q, want %q", f.name, body, f.body)
		case response.Header.Get("Set-Cookie") != "" || len(response.Trailer) > 0:
			w.Errorf("%s: %v, trailers %v", f.name, response.Header, response.Trailer)
		}
	}
	lines := func() []map[string]any { return w.logs.find("tenant", slug)[before:] }
	access := func() (found []map[string]any) {
		for _, line := range lines() {
			if line["logger"] == "access" {
				found = append(found, line)
			}
		}
		return found
	}
	await(w, "the access log of "+slug, func() bool { return len(access()) == times })
	for _, line := range access() {
		if cut, _ := line["error"].(string); line["status"] != float64(f.status) || !strings.HasPrefix(cut, f.cut) || (cut == "") != (f.cut == "") {
			w.Errorf("%s: the access log says %v, %q", f.name, line["status"], cut)
		}
	}
	warned := slices.DeleteFunc(lines(), func(line map[string]any) bool { return line["level"] != "warn" })
	switch {
	case f.code == "" && len(warned) > 0, len(warned) > 1+int(time.Since(begun)/warnEvery):
		w.Errorf("%s: warned %v", f.name, warned)
	case before == 0 && f.code != "" && (len(warned) == 0 || warned[0]["code"] != f.code):
		w.Errorf("%s: warned %v, want %s once", f.name, warned, f.code)
	}
}

// visitUntil asks for a page again and again until done is closed.
func (w *world) visitUntil(http2 bool, url string, done <-chan struct{}) (l latencies) {
	c := w.client(http2, "")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		begun := time.Now()
		response, err := c.Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if err != nil || response.StatusCode != 200 {
			l.failed++
		}
		l.sorted = append(l.sorted, time.Since(begun))
		select {
		case <-tick.C:
		case <-done:
			slices.Sort(l.sorted)
			return l
		}
	}
}
