package gateway

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/http2"
	"metahub/gateway/limit"
)

// mostWaiting is how many connections wait for their turn at once, of all addresses.
const mostWaiting = 1024

// arrivals say which connections have to wait before anything is read of them.
type arrivals struct {
	*limit.Arrivals
	waiting  atomic.Int64
	stopping chan struct{} // closed by a shutdown, behind which nobody waits
	attacks  limit.Warnings
	paced    limit.Warnings
}

func newArrivals() arrivals {
	return arrivals{Arrivals: limit.NewArrivals(), stopping: make(chan struct{})}
}

// punish notes an attack over HTTP/2, which has ended its connection.
func (g *Gateway) punish(c *http2.Conn, budget string) {
	g.observer.Attacked(budget)
	client, now := c.Carrier().(*carrier).addr, g.clock()
	if !g.isShared(client) {
		g.arrivals.Punish(client, now)
	}
	if n := g.arrivals.attacks.Warn(now); n > 0 {
		g.log.Warn("a client attacks over HTTP/2: its connections are ended, and its next ones have to wait",
			zap.Stringer("client", client), zap.String("budget", budget), zap.Int64("attacks", n))
	}
}

// sharedSpace is RFC 6598's, which carriers use within their networks.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// isShared reports whether an address is one that all visitors may come from: a proxy's, or one of a network that is not public, as the
// gateway of a container is. None of its connections waits for others.
func (g *Gateway) isShared(a netip.Addr) bool {
	settings := g.registry.Current().Gateway()
	return !a.IsGlobalUnicast() || a.IsPrivate() || sharedSpace.Contains(a) || isIn(settings.TrustedProxies, a) || isIn(settings.ProxyProtocol, a)
}

// awaitTurn has a connection wait whose address opens too many, or has attacked. It reports false when it closed the connection, since too
// many wait: handshakes cost more than most requests, and each connection takes a file descriptor.
func (g *Gateway) awaitTurn(c *connection) bool {
	client := addrOf(c.RemoteAddr())
	if g.isShared(client) {
		return true
	}
	a := &g.arrivals
	wait, ok := a.Turn(client, g.registry.Current().Gateway().ClientConnectionRate, g.clock())
	if wait == 0 {
		return true
	}
	g.tellWaiting(client)
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > mostWaiting || !ok {
		g.observer.Connection(ConnectionRefused)
		_ = c.Close()
		return false
	}
	g.observer.Connection(ConnectionDelayed)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.stopping:
	}
	return true
}

// mayCome is awaitTurn for HTTP/3, on which nobody waits: a client that is refused goes on over TCP. An address that may be forged is not
// counted, lest it be somebody else's.
func (g *Gateway) mayCome(remote net.Addr, verified bool) bool {
	client := addrOf(remote)
	if g.isShared(client) {
		return true
	}
	if g.arrivals.Waits(client, g.registry.Current().Gateway().ClientConnectionRate, g.clock()) {
		g.tellWaiting(client)
		g.observer.Connection(ConnectionRefused)
		return false
	}
	if verified {
		g.countHTTP3(remote)
	}
	return true
}

// countHTTP3 counts a connection of HTTP/3 whose client is where it says.
func (g *Gateway) countHTTP3(remote net.Addr) {
	if client := addrOf(remote); !g.isShared(client) {
		_, _ = g.arrivals.Turn(client, g.registry.Current().Gateway().ClientConnectionRate, g.clock())
	}
}

// tellWaiting counts a connection that has to wait, or is refused, for the log.
func (g *Gateway) tellWaiting(client netip.Addr) {
	if n := g.arrivals.paced.Warn(g.clock()); n > 0 {
		g.log.Warn("connections of a client have to wait, since it opens too many or has attacked: if it is a proxy, list it in gateway.trusted_proxies; if it may open as many, raise gateway.client_connection_rate",
			zap.Stringer("client", client), zap.Int64("connections", n))
	}
}
