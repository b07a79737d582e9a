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

// handshakes say which connections have to wait before their handshake.
type handshakes struct {
	*limit.Handshakes
	waiting  atomic.Int64
	stopping chan struct{} // closed by a shutdown, behind which nobody waits
	attacks  limit.Warnings
	floods   limit.Warnings
}

func newHandshakes() handshakes {
	return handshakes{Handshakes: limit.NewHandshakes(), stopping: make(chan struct{})}
}

// punish notes an attack over HTTP/2, which has ended its connection.
func (g *Gateway) punish(c *http2.Conn, budget string) {
	g.observer.Attacked(budget)
	client, now := c.Carrier().(*carrier).addr, g.clock()
	if !g.isShared(client) {
		g.handshakes.Punish(client, now)
	}
	if n := g.handshakes.attacks.Warn(now); n > 0 {
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
// many wait.
func (g *Gateway) awaitTurn(c *connection) bool {
	client := addrOf(c.RemoteAddr())
	if g.isShared(client) {
		return true
	}
	h := &g.handshakes
	wait, ok := h.Turn(client, g.registry.Current().Gateway().ClientHandshakes, g.clock())
	if wait == 0 {
		return true
	}
	g.tellFlood(client)
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > mostWaiting || !ok {
		g.observer.Connection(HandshakeRefused)
		_ = c.Close()
		return false
	}
	g.observer.Connection(HandshakeDelayed)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.stopping:
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
	if g.handshakes.Waits(client, g.registry.Current().Gateway().ClientHandshakes, g.clock()) {
		g.tellFlood(client)
		g.observer.Connection(HandshakeRefused)
		return false
	}
	if verified {
		g.handshaken(remote)
	}
	return true
}

// handshaken counts a handshake of HTTP/3 whose client is where it says.
func (g *Gateway) handshaken(remote net.Addr) {
	if client := addrOf(remote); !g.isShared(client) {
		_, _ = g.handshakes.Turn(client, g.registry.Current().Gateway().ClientHandshakes, g.clock())
	}
}

func (g *Gateway) tellFlood(client netip.Addr) {
	if n := g.handshakes.floods.Warn(g.clock()); n > 0 {
		g.log.Warn("a client opens too many connections, and they have to wait: if it is a proxy, list it in gateway.trusted_proxies; else find out who it is, or raise gateway.client_handshakes",
			zap.Stringer("client", client), zap.Int64("connections", n))
	}
}
