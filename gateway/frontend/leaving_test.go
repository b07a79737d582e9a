package frontend

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAnOutageEndsOldConnections has a server leave as Node.js does: it listens no more, answers on the connections that it has for as long
// as requests come, and has not left while there is one. Each outage must end those from before it.
func TestAnOutageEndsOldConnections(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	connections := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(open)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "ok")
	})
	track := func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open[c] = true
		case http.StateClosed:
			delete(open, c)
		}
	}
	upstream := absentUpstream(t, nil)
	s := newSite(t, Config{}, heldTenant(upstream.url(), patience))
	ask := func(path string) *browser {
		b := s.browse(t)
		b.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		return b
	}
	answered := func(b *browser) {
		t.Helper()
		if a := b.receive("GET"); a.status != 200 || a.body != "ok" {
			t.Fatalf("%d %q", a.status, a.body)
		}
	}

	for range 2 {
		listener := listenAgain(t, "tcp", upstream.address)
		leaving := &http.Server{Handler: handler, ConnState: track}
		served := make(chan error, 1)
		go func() { served <- leaving.Serve(listener) }()
		slow := ask("/slow")
		receive(t, "a request", arrived)
		listener.Close()
		<-served

		held := ask("/")
		eventually(t, "it waits", func() bool { return s.waitingFor(upstream.url()) == 1 })
		release <- struct{}{}
		answered(slow)
		eventually(t, "the server may leave", func() bool { return connections() == 0 })

		upstream.handler = handler
		upstream.start()
		answered(held)
		answered(ask("/"))
		eventually(t, "connections are kept again", func() bool {
			up := s.pool.get(upstream.url(), time.Now())
			up.mu.Lock()
			defer up.mu.Unlock()
			return len(up.idle) > 0
		})
		upstream.stop()
	}
}

// TestQueueAfterARestart has an upstream come back that is slow at first: who waited for it, and who comes then, waits for longer than where
// there was no restart.
func TestQueueAfterARestart(t *testing.T) {
	slow := &slowUpstream{let: make(chan struct{})}
	upstream := absentUpstream(t, slow.ServeHTTP)
	tn := heldTenant(upstream.url(), patience)
	tn.Limits.UpstreamConnections = 1
	const queue = 50 * time.Millisecond
	s := newSite(t, Config{Timings: Timings{Queue: queue}}, tn)
	up := s.pool.get(upstream.url(), time.Now())
	var waiting []*browser
	ask := func() {
		b := s.browse(t)
		b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		waiting = append(waiting, b)
	}
	ask()
	ask()
	eventually(t, "they wait", func() bool { return s.waitingFor(upstream.url()) == 2 })
	upstream.start()
	eventually(t, "one is there, one in line", func() bool { return slow.here.Load() == 1 && up.gate.room.waiting() == 1 })
	ask()
	eventually(t, "one more is in line", func() bool { return up.gate.room.waiting() == 2 })
	time.Sleep(4 * queue)
	close(slow.let)
	for _, b := range waiting {
		if a := b.receive("GET"); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestIsAbsent(t *testing.T) {
	f := func(op string, errno syscall.Errno, want bool) {
		t.Helper()
		err := error(&net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError("connect", errno)})
		if got := isAbsent(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}

	f("dial", syscall.ECONNREFUSED, true)
	f("dial", syscall.ENOENT, true) // a socket's path
	f("dial", syscall.ECONNRESET, true)
	f("read", syscall.ECONNRESET, false) // of a TLS handshake
	f("dial", syscall.EHOSTUNREACH, false)
}
