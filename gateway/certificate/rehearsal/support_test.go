package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// world is an Internet in which 203.0.113.7 is the real socket 127.113.0.7, 198.51.100.4 is 127.100.0.4 and 2001:db8::7 is 127.6.0.7.
type world struct {
	t       testing.TB
	zone    *zone
	port    int
	tokens  sync.Map // "host token" → key authorization
	open    atomic.Int64
	dropped sync.Map // netip.Addr whose packets are lost
	logs    *observer.ObservedLogs
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, zone: newZone(t)}
	probe, err := net.Listen("tcp", "127.1.1.1:0")
	if err != nil {
		t.Skipf("this system has one loopback address only: %v", err)
	}
	defer probe.Close()
	w.port = probe.Addr().(*net.TCPAddr).Port
	return w
}

// loopback is where an address of the world really is.
func loopback(address netip.Addr) netip.Addr {
	raw := address.As16()
	if address.Is4() {
		return netip.AddrFrom4([4]byte{127, raw[14], 0, raw[15]})
	}
	return netip.AddrFrom4([4]byte{127, 6, 0, raw[15]})
}

// rehearsal is one at which only the network's edge is replaced.
func (w *world) rehearsal(ours ...string) *Rehearsal {
	core, logs := observer.New(zap.DebugLevel)
	w.logs = logs
	config := Config{Resolver: w.zone.address, Port: w.port, Announce: w.announce, Logger: zap.New(core)}
	for _, address := range ours {
		config.Addresses = append(config.Addresses, netip.MustParseAddr(address))
	}
	r := New(config)
	r.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		if _, lost := w.dropped.Load(to.Addr()); lost {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return dial(ctx, netip.AddrPortFrom(loopback(to.Addr()), to.Port()))
	}
	r.routed = func(netip.Addr) bool { return true }
	r.resolver.patience, r.visit = time.Second, 3*time.Second
	return r
}

func (w *world) announce(_ context.Context, host, token, keyAuthorization string) (func(), error) {
	w.open.Add(1)
	w.tokens.Store(host+" "+token, keyAuthorization)
	return func() { w.open.Add(-1); w.tokens.Delete(host + " " + token) }, nil
}

// ServeHTTP is this server.
func (w *world) ServeHTTP(rw http.ResponseWriter, request *http.Request) {
	token := strings.TrimPrefix(request.URL.Path, "/.well-known/acme-challenge/")
	answer, ok := w.tokens.Load(request.Host + " " + token)
	if !ok {
		http.NotFound(rw, request)
		return
	}
	io.WriteString(rw, answer.(string)+"\r\n")
}

// site serves at an address of the world.
func (w *world) site(address string, handler http.Handler) *httptest.Server {
	w.t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = w.listen(address)
	server.Start()
	w.t.Cleanup(server.Close)
	return server
}

func (w *world) listen(address string) net.Listener {
	w.t.Helper()
	at := netip.AddrPortFrom(loopback(netip.MustParseAddr(address)), uint16(w.port))
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	return listener
}

// raw answers each connection at an address by hand.
func (w *world) raw(address string, answer func(net.Conn)) {
	w.t.Helper()
	listener := w.listen(address)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { defer conn.Close(); answer(conn) })
		}
	})
	w.t.Cleanup(func() { listener.Close(); running.Wait() })
}

// points makes records of addresses.
func (w *world) points(domain string, addresses ...string) {
	w.t.Helper()
	for _, address := range addresses {
		kind := "A"
		if strings.Contains(address, ":") {
			kind = "AAAA"
		}
		w.zone.add(w.t, fmt.Sprintf("%s. 60 IN %s %s", domain, kind, address))
	}
}

var stranger = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "welcome to nginx") })

// public is a domain at a CA on the Internet.
func public(domain string) Subject { return Subject{Domain: domain, Public: true} }

// wantFault compares the whole sentence.
func wantFault(t testing.TB, err error, elsewhere bool, sentence string) {
	t.Helper()
	var fault *Fault
	if !errors.As(err, &fault) {
		t.Fatalf("not a fault: %v\nbut wanted: %s", err, sentence)
	}
	if fault.Sentence != sentence || fault.Error() != sentence || fault.Elsewhere != elsewhere {
		t.Errorf("the fault is\n%s (elsewhere: %t)\nand not\n%s (elsewhere: %t)", fault.Sentence, fault.Elsewhere, sentence, elsewhere)
	}
}

func wantInconclusive(t testing.TB, err error) {
	t.Helper()
	var fault *Fault
	if !errors.Is(err, ErrInconclusive) || errors.As(err, &fault) {
		t.Fatalf("not inconclusive: %v", err)
	}
}

func wantRight(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("all is right and yet: %v", err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}
