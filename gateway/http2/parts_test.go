package http2

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"metahub/gateway/message"
)

func TestBudget(t *testing.T) {
	var a account
	now := time.Unix(1000, 0)
	a.open(now)
	for b := range budgets {
		if allowances[b].name == "" || allowances[b].burst <= 0 || allowances[b].perSecond <= 0 {
			t.Errorf("budget %d allows %+v", b, allowances[b])
		}
		for i := range allowances[b].burst {
			if !a.spend(b, now) {
				t.Fatalf("%s: nothing left after %d", allowances[b].name, i)
			}
		}
		if a.spend(b, now) {
			t.Errorf("%s: more than its burst", allowances[b].name)
		}
		if !a.spend(b, now.Add(time.Minute)) {
			t.Errorf("%s: nothing came back", allowances[b].name)
		}
	}
}

func TestWindow(t *testing.T) {
	now := time.Unix(1000, 0)
	w := window{size: 1000, most: 4000, left: 1000, since: now}
	f := func(n int32, passed, trip time.Duration, want, size int32) {
		t.Helper()
		if !w.receive(n) {
			t.Fatalf("%d bytes do not fit", n)
		}
		now = now.Add(passed)
		if got := w.release(n, now, trip); got != want || w.size != size || w.left > w.size {
			t.Errorf("announced %d of a window of %d, want %d of %d", got, w.size, want, size)
		}
	}
	f(499, time.Hour, time.Second, 0, 1000)
	f(1, time.Hour, time.Second, 500, 1000)       // a slow client's window stays
	f(500, time.Second, time.Second, 1500, 2000)  // one that is used up within a round trip grows
	f(1000, time.Second, time.Second, 3000, 4000) // up to its bound
	f(2000, time.Second, time.Second, 2000, 4000)
	if w.receive(4001) {
		t.Error("more than the window was let through")
	}
}

func TestIsSecure(t *testing.T) {
	f := func(version, suite uint16, want bool) {
		t.Helper()
		if got := isSecure(secured{state: tls.ConnectionState{Version: version, CipherSuite: suite}}); got != want {
			t.Errorf("%#x with %s: %v", version, tls.CipherSuiteName(suite), got)
		}
	}
	f(tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256, true)
	f(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true)
	f(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false)
	f(tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false)
	f(tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false)
}

type secured struct {
	net.Conn
	state tls.ConnectionState
}

func (s secured) ConnectionState() tls.ConnectionState { return s.state }

// TestNext is the order in which streams are sent.
func TestNext(t *testing.T) {
	c := &Conn{window: 1000}
	unsaid, urgent := message.Unsaid, message.Priority{Urgency: 1}
	whole, turns := message.Priority{Urgency: 2}, message.Priority{Urgency: 2, Incremental: true}
	stream := func(id uint32, p message.Priority, window int32) *Stream {
		return &Stream{id: id, priority: p, window: window, queued: true, pending: []byte("x")}
	}
	f := func(want uint32, queue ...*Stream) {
		t.Helper()
		c.queue = queue
		if got := c.next(); got == nil && want != 0 || got != nil && got.id != want {
			t.Errorf("%+v is next, want %d", got, want)
		}
	}
	f(0)
	f(3, stream(1, unsaid, 0), stream(3, unsaid, 10)) // the window of the first is shut
	f(5, stream(1, unsaid, 10), stream(5, urgent, 10))
	f(1, stream(5, whole, 10), stream(1, whole, 10)) // one after the other
	f(5, stream(5, turns, 10), stream(1, turns, 10)) // in turns
	f(1, stream(5, turns, 10), stream(1, whole, 10))
	c.alternate = true
	f(5, stream(5, turns, 10), stream(1, whole, 10))
	c.window = 0
	f(0, stream(1, unsaid, 10))
}
