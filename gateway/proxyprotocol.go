package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

// proxyBuffer holds what is read besides the header: usual ones fit, longer ones are read in steps.
const proxyBuffer = 256

// introduce reads for whom a proxy of gateway.proxy_protocol has opened c. It reports false when it closed the connection, since the
// header is missing or malformed: as long as it is not known who asks, nothing may be answered. Other peers speak for themselves, and a
// header of theirs is no TLS and no request.
func (g *Gateway) introduce(c *connection) bool {
	if proxies := g.registry.Current().Gateway().ProxyProtocol; len(proxies) == 0 || !isIn(proxies, addrOf(c.RemoteAddr())) {
		return true
	}
	if err := c.readProxyHeader(g.limits.Header); err != nil {
		g.observer.Connection(ProxyRefused)
		g.log.Debug("no proxy header came", zap.Stringer("proxy", c.RemoteAddr()), zap.Error(err))
		_ = c.Close()
		return false
	}
	return true
}

// readProxyHeader takes the client's address from a header of version 1 or 2, all of which must come within limit, and keeps what came
// behind it. A connection of the proxy's own, and one whose client has no address of IP, stay the proxy's.
func (c *connection) readProxyHeader(limit time.Duration) error {
	if err := c.Conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(c.Conn, proxyBuffer)
	header, err := proxyproto.Read(reader)
	if err != nil {
		return fmt.Errorf("the PROXY protocol: %w", err)
	}
	if reader.Buffered() > 0 {
		c.early = reader
	}
	if !header.Command.IsLocal() && addrOf(header.SourceAddr).IsValid() {
		c.client = header.SourceAddr
	}
	return c.Conn.SetReadDeadline(time.Time{})
}

// Read implements net.Conn. What came together with a PROXY header goes first.
func (c *connection) Read(p []byte) (int, error) {
	if c.early == nil {
		return c.Conn.Read(p)
	}
	n, err := c.early.Read(p[:min(len(p), c.early.Buffered())])
	if c.early.Buffered() == 0 {
		c.early = nil
	}
	return n, err
}

// RemoteAddr implements net.Conn. It is the client's address, behind a proxy too.
func (c *connection) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// addrOf returns the address of a peer of TCP or UDP, without the IPv6 form of an IPv4 address; of others the invalid one.
func addrOf(a net.Addr) netip.Addr {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
