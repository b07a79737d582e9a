package gateway

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"metahub/tenant"
)

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

// enter opens a connection of an address, and returns how long that took.
func (w *world) enter(address string) (time.Duration, error) {
	w.Helper()
	began := time.Now()
	c, err := w.beginHTTP2(w.socketOf(address), "bert.test")
	if err == nil {
		c.close()
	}
	return time.Since(began), err
}

func TestAttackerWaits(t *testing.T) { t.Run("http2 engine", attackerWaits) }

func attackerWaits(t *testing.T) {
	w := start(t, proxied)
	attacker, other := "198.51.100.7", "198.51.100.8"
	w.assailFrom(attacker)
	if took, err := w.enter(other); err != nil || took > time.Second {
		t.Errorf("another address came in after %v, %v", took, err)
	}
	if took, err := w.enter(attacker); err != nil || took < time.Second {
		t.Errorf("the attacker came in again after %v, %v", took, err)
	}
	if n := w.counts.event(PenaltyDelayed); n != 1 {
		t.Errorf("%d connections had to wait", n)
	}
	if took, err := w.enter(attacker); err != nil || took > time.Second {
		t.Errorf("the attacker came in after %v, %v, and has waited already", took, err)
	}
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
	})
	for _, address := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.3.4", "fe80::1", "fd00::1", "203.0.113.5"} {
		w.assailFrom(address)
		if took, err := w.enter(address); err != nil || took > time.Second {
			t.Errorf("%s came in after %v, %v", address, took, err)
		}
	}
	if n := w.counts.event(PenaltyDelayed); n > 0 {
		t.Errorf("%d connections had to wait", n)
	}
}

// TestCrowdOfAttackers has more connections come from one address than may wait.
func TestCrowdOfAttackers(t *testing.T) { t.Run("http2 engine", crowd) }

func crowd(t *testing.T) {
	w := start(t, proxied)
	w.assailFrom("198.51.100.7")
	const many = 60
	socket := make([]net.Conn, many)
	for i := range socket {
		socket[i] = w.socketOf("198.51.100.7")
		defer socket[i].Close()
		if _, err := socket[i].Write([]byte("\x16")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all to be counted", func() bool { return w.counts.event(PenaltyDelayed)+w.counts.event(PenaltyRefused) == many })
	if refused := w.counts.event(PenaltyRefused); refused < many/4 || refused > many/2 {
		t.Errorf("%d of %d were refused", refused, many)
	}
	if took, err := w.enter("198.51.100.8"); err != nil || took > time.Second {
		t.Errorf("another address came in after %v, %v", took, err)
	}
}

// TestNobodyWaitsAtTheEnd serves who waits for its turn when a shutdown begins, at once.
func TestNobodyWaitsAtTheEnd(t *testing.T) { t.Run("http2 engine", waitNoLonger) }

func waitNoLonger(t *testing.T) {
	w := start(t, proxied)
	w.assailFrom("198.51.100.7")
	w.penalties.Add(netip.MustParseAddr("198.51.100.7"), time.Now())
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
	await(t, "the connection", func() bool { return w.counts.event(PenaltyDelayed) > 0 })
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

// TestAttackerOverHTTP3 refuses HTTP/3 to an address that has attacked.
func TestAttackerOverHTTP3(t *testing.T) {
	w := start(t, nil)
	w.patience = 2 * time.Second
	if got := w.do(w.clientHTTP3(""), "GET", "https://anna.test/", ""); got.StatusCode != 200 {
		t.Fatalf("status %d", got.StatusCode)
	}
	w.penalties.Add(netip.MustParseAddr("127.0.0.1"), time.Now())
	began := time.Now()
	if got, err := w.clientHTTP3("").Get("https://anna.test/"); err == nil {
		t.Errorf("status %d for an address that has attacked", got.StatusCode)
	} else if time.Since(began) > w.patience {
		t.Errorf("refused after %v", time.Since(began))
	}
	await(t, "the count", func() bool { return w.counts.event(PenaltyRefused) > 0 })
}
