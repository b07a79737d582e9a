package gateway

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"metahub/tenant"
)

// proxied makes a gateway behind proxies go by the clock.
func (c *standing) proxied(s *tenant.Gateway, g *Gateway) {
	proxied(s, g)
	c.keep(g)
}

// assailFrom floods a gateway behind a proxy with PING from an address until the connection is cut off.
func (w *world) assailFrom(address string) {
	w.Helper()
	c, err := w.beginHTTP2(w.socketOf(address), "anna.test")
	if err != nil {
		w.Fatal(err)
	}
	defer c.close()
	ended := make(chan ending, 1)
	go func() { ended <- c.await(nil) }()
	for err == nil && !c.cut.Load() {
		if err = c.WritePing(false, [8]byte{}); err == nil {
			err = c.flush()
		}
	}
	if e := <-ended; !e.said || e.code != calm {
		w.Fatalf("the flood ended with %v", e)
	}
}

// socketOf is a connection that a proxy has opened for an address.
func (w *world) socketOf(address string) net.Conn {
	w.Helper()
	socket, err := net.Dial("tcp", w.https.String())
	if err != nil {
		w.Fatal(err)
	}
	return &together{socket, introduction(w, 2, netip.AddrPortFrom(netip.MustParseAddr(address), 5000).String(), 0)}
}

// enter opens a connection of an address, completes its handshake and closes it.
func (w *world) enter(address string) error {
	w.Helper()
	c, err := w.beginHTTP2(w.socketOf(address), "bert.test")
	if err == nil {
		c.close()
	}
	return err
}

// pass has a connection of an address served, which does not have to wait.
func (w *world) pass(address string) {
	w.Helper()
	before := w.paced()
	if err := w.enter(address); err != nil || w.paced() > before {
		w.Errorf("a connection of %s had to wait: %v, or %v", address, w.paced() > before, err)
	}
}

// come opens a connection of an address, and begins no handshake on it.
func (w *world) come(address string) {
	w.Helper()
	socket := w.socketOf(address)
	w.Cleanup(func() { _ = socket.Close() })
	if _, err := socket.Write([]byte("\x16")); err != nil {
		w.Fatal(err)
	}
}

// paced is how many connections had to wait, or were refused.
func (w *world) paced() int {
	return w.counts.event(ConnectionDelayed) + w.counts.event(ConnectionRefused)
}

func TestAttackerWaits(t *testing.T) { t.Run("http2 engine", attackerWaits) }

func attackerWaits(t *testing.T) {
	clock := new(standing)
	w := start(t, clock.proxied)
	attacker, other := "198.51.100.7", "198.51.100.8"
	w.assailFrom(attacker)
	w.pass(other)
	began := time.Now()
	if err := w.enter(attacker); err != nil || time.Since(began) < time.Second {
		t.Errorf("the attacker came in again after %v, %v", time.Since(began), err)
	}
	if n := w.counts.event(ConnectionDelayed); n != 1 {
		t.Errorf("%d connections had to wait", n)
	}
	clock.move(time.Minute)
	w.pass(attacker)
	if lines := w.logs.find("msg", "a client attacks over HTTP/2"); len(lines) != 1 || lines[0]["client"] != attacker || lines[0]["budget"] != "ping" {
		t.Errorf("logged %v", lines)
	}
}

// TestSharedAddressesAreSpared attacks from addresses behind which all visitors may be.
func TestSharedAddressesAreSpared(t *testing.T) { t.Run("http2 engine", spare) }

func spare(t *testing.T) {
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		proxied(s, g)
		s.TrustedProxies = append(s.TrustedProxies, netip.MustParsePrefix("203.0.113.0/24"))
		s.ProxyProtocol = append(s.ProxyProtocol, netip.MustParsePrefix("198.51.100.9/32"))
	})
	for _, address := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.3.4", "fe80::1", "fd00::1", "203.0.113.5", "198.51.100.9"} {
		w.assailFrom(address)
		w.pass(address)
	}
}

// TestCrowdOfAttackers has more connections come from one address than may wait.
func TestCrowdOfAttackers(t *testing.T) { t.Run("http2 engine", crowd) }

func crowd(t *testing.T) {
	w := start(t, new(standing).proxied)
	w.assailFrom("198.51.100.7")
	const many = 60
	for range many {
		w.come("198.51.100.7")
	}
	await(t, "all to be counted", func() bool { return w.paced() == many })
	if waiting := w.counts.event(ConnectionDelayed); waiting != 31 { // after 2 s, and every fifth of a second up to 8 s
		t.Errorf("%d of %d wait, want 31", waiting, many)
	}
	w.pass("198.51.100.8")
}

// TestFloodOfConnections opens more from one address than gateway.client_connection_rate lets through.
func TestFloodOfConnections(t *testing.T) {
	clock := new(standing)
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		clock.proxied(s, g)
		s.ClientConnectionRate = 1
	})
	flooder, other := "198.51.100.7", "198.51.100.8"
	for range 10 { // at once
		w.pass(flooder)
	}
	const many = 40
	for range many {
		w.come(flooder)
	}
	await(t, "all to be counted", func() bool { return w.paced() == many })
	if waiting := w.counts.event(ConnectionDelayed); waiting != 2 { // one second, and two
		t.Errorf("%d of %d connections wait, want 2", waiting, many)
	}
	w.pass(other)
	plain, err := net.Dial("tcp", w.http.String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_, _ = io.WriteString(plain, introduction(t, 2, flooder+":5000", 0)+"GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n")
	if answer, err := io.ReadAll(plain); len(answer) > 0 {
		t.Errorf("over plain HTTP it is answered %q, %v", answer, err)
	}
	clock.move(3 * time.Second)
	w.pass(flooder)
	lines := w.logs.find("msg", "connections of a client have to wait")
	if len(lines) != 1 || lines[0]["client"] != flooder {
		t.Errorf("logged %v", lines)
	}
	settings := *w.registry.Current().Gateway()
	settings.ClientConnectionRate = 0
	w.registry.Publish(tenant.NewDirectory(settings, tenants()))
	for range 20 {
		w.pass(flooder)
	}
}

// TestNobodyWaitsAtTheEnd serves who waits for its turn when a shutdown begins, at once.
func TestNobodyWaitsAtTheEnd(t *testing.T) { t.Run("http2 engine", waitNoLonger) }

func waitNoLonger(t *testing.T) {
	w := start(t, new(standing).proxied)
	w.assailFrom("198.51.100.7")
	w.arrivals.Punish(netip.MustParseAddr("198.51.100.7"), w.clock())
	answered := make(chan error, 1)
	go func() {
		c, err := w.beginHTTP2(w.socketOf("198.51.100.7"), "anna.test")
		if err == nil {
			defer c.close()
			if err = c.ask(1, true, "GET", "/"); err == nil {
				err = c.flush()
			}
		}
		if err == nil {
			err = c.awaitEnd(1)
		}
		answered <- err
	}()
	await(t, "the connection", func() bool { return w.counts.event(ConnectionDelayed) > 0 })
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if err := w.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil || time.Since(began) > 2500*time.Millisecond {
		t.Errorf("the request that waited ended with %v after %v", err, time.Since(began))
	}
}

// TestPacedHTTP3 refuses HTTP/3 to an address that would have to wait, and counts handshakes for none that may be forged. That a connection
// comes from a public address cannot be had on the loopback, so this asks as quic-go does.
func TestPacedHTTP3(t *testing.T) {
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		s.ClientConnectionRate = 1
		stopClock(s, g)
	})
	come := func(address string, verified bool) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err := w.http3.arrive(ctx, &quic.ClientInfo{RemoteAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)), AddrVerified: verified})
		return err
	}
	for range 50 {
		if err := come("198.51.100.7:4000", false); err != nil {
			t.Fatalf("an address that may be forged: %v", err)
		}
	}
	served := 0
	for ; come("198.51.100.7:4000", true) == nil; served++ {
	}
	if served != 10 {
		t.Errorf("%d handshakes of one address were served, want 10", served)
	}
	if err := come("198.51.100.7:4000", false); err == nil {
		t.Error("a handshake without a proven address is served where one with it is not")
	}
	if err := come("198.51.100.8:4000", true); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.arrivals.Punish(netip.MustParseAddr("198.51.100.9"), w.clock())
	if err := come("198.51.100.9:4000", true); err == nil {
		t.Error("an address that has attacked is served")
	}
	for range 50 {
		if err := come("192.168.1.1:4000", true); err != nil {
			t.Fatalf("an address that many share: %v", err)
		}
	}
	if n := w.counts.event(ConnectionRefused); n != 3 {
		t.Errorf("counted %d, want 3", n)
	}
	if got := w.do(w.clientHTTP3(""), "GET", "https://anna.test/", ""); got.StatusCode != 200 {
		t.Errorf("status %d", got.StatusCode)
	}
}
