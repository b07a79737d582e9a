package gateway

import (
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/http2"
	"metahub/gateway/limit"
)

// mostPenalized is how many connections wait for their turn at once, of all addresses.
const mostPenalized = 1024

// penalties are what the addresses of attackers have to wait for: a handshake costs the process more than any attack that it puts an end to.
type penalties struct {
	*limit.Penalties
	waiting  atomic.Int64
	warnings limit.Warnings
	stopping chan struct{} // closed by a shutdown, which nobody waits behind
}

func newPenalties() penalties {
	return penalties{Penalties: limit.NewPenalties(), stopping: make(chan struct{})}
}

// punish notes an attack over HTTP/2, which has ended its connection. An address that others come from as well is spared.
func (g *Gateway) punish(c *http2.Conn, budget string) {
	g.observer.Attacked(budget)
	client, now := c.Carrier().(*carrier).addr, g.clock()
	if !g.isShared(client) {
		g.penalties.Add(client, now)
	}
	if n := g.penalties.warnings.Warn(now); n > 0 {
		g.log.Warn("a client attacks over HTTP/2: its connections are ended, and its next ones have to wait",
			zap.Stringer("client", client), zap.String("budget", budget), zap.Int64("attacks", n))
	}
}

// sharedSpace is RFC 6598's, which carriers use within their networks.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// isShared reports whether an address is one that all visitors may come from: a trusted proxy's, or one of a network that is not public, as the
// gateway of a container is.
func (g *Gateway) isShared(a netip.Addr) bool {
	return !a.IsGlobalUnicast() || a.IsPrivate() || sharedSpace.Contains(a) || isIn(g.registry.Current().Gateway().TrustedProxies, a)
}

// awaitTurn has a connection of an address that has attacked wait. It reports false when it closed the connection, since too many wait.
func (g *Gateway) awaitTurn(c *connection) bool {
	p := &g.penalties
	wait, ok := p.Turn(addrOf(c.RemoteAddr()), g.clock())
	if wait == 0 {
		return true
	}
	if !ok || p.waiting.Add(1) > mostPenalized {
		if ok {
			p.waiting.Add(-1)
		}
		g.observer.Connection(PenaltyRefused)
		_ = c.Close()
		return false
	}
	defer p.waiting.Add(-1)
	g.observer.Connection(PenaltyDelayed)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.stopping:
	}
	return true
}
