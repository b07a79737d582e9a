package gateway

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"

	"metahub/gateway/wire"
	"metahub/tenant"
)

// connection is an accepted socket, from accept to close. TLS and HTTP are layers above it: whoever closes the uppermost layer closes
// the connection, which then leaves the set that Shutdown waits for.
type connection struct {
	net.Conn
	set   *connections
	leave sync.Once

	mu     sync.Mutex
	guard  *wire.Conn // of HTTP/1 once the handshake is over
	since  time.Time  // when that was
	socket bool       // a WebSocket
}

// Close closes the socket and counts the connection out.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.leave.Do(func() { c.set.remove(c) })
	return err
}

// CloseWrite ends the sending half only, so that a client that is still sending gets to read our last words instead of a reset.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// serveHTTP1 returns the connection's HTTP/1 guard above layer, which is the connection itself or TLS on it.
func (c *connection) serveHTTP1(layer net.Conn, limits wire.Limits) *wire.Conn {
	guard := wire.NewConn(layer, limits)
	c.mu.Lock()
	c.guard, c.since = guard, time.Now()
	c.mu.Unlock()
	return guard
}

// hijacked says that the frontend speaks to the client directly from now on.
func (c *connection) hijacked() {
	c.mu.Lock()
	c.socket = true
	c.mu.Unlock()
	_ = c.guard.Passthrough() // it fails on a closed connection, as every read of the tunnel will
}

// refusal is why the guard refused the client's bytes, or nil.
func (c *connection) refusal() *wire.Error {
	if c.guard == nil {
		return nil
	}
	return c.guard.Err()
}

// drain closes an HTTP/1 connection on which no request has come for a while since begun, the start of a shutdown. One that serves a
// request ends with the answer.
func (c *connection) drain(begun time.Time) {
	c.mu.Lock()
	guard, since := c.guard, c.since
	if c.socket {
		guard = nil
	}
	c.mu.Unlock()
	if guard != nil && time.Since(begun) > lastRequests && time.Since(since) > lastRequests {
		guard.CloseIdle()
	}
}

// connections are all that are open, with the goroutines that serve them.
type connections struct {
	observer Observer
	mu       sync.Mutex
	open     map[*connection]struct{}
	wait     sync.WaitGroup
}

func (s *connections) add(socket net.Conn) *connection {
	c := &connection{Conn: socket, set: s}
	s.wait.Add(1)
	s.mu.Lock()
	s.open[c] = struct{}{}
	s.mu.Unlock()
	s.observer.Connection(Opened)
	return c
}

func (s *connections) remove(c *connection) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.observer.Connection(Closed)
	s.wait.Done()
}

// drain asks every connection to end as soon as nothing of a request is left on it.
func (s *connections) drain(begun time.Time) {
	for _, c := range s.list() {
		c.drain(begun)
	}
}

// cut closes the sockets below all that is going on and returns how many of them were not WebSockets. Whoever serves them notices and
// closes the layers above.
func (s *connections) cut() (busy int) {
	for _, c := range s.list() {
		c.mu.Lock()
		if !c.socket {
			busy++
		}
		c.mu.Unlock()
		_ = c.Conn.Close()
	}
	return busy
}

func (s *connections) list() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*connection, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// peer is the other end of a connection, worked out once for all its requests.
type peer struct {
	connection *connection
	addr       netip.Addr // without the IPv6 form of an IPv4 address
	text       []byte     // addr as the headers have it
	serverName []byte     // SNI as tenant.CanonicalHost returns it; nil without one
	http2      bool
}

func newPeer(c *connection) peer {
	p := peer{connection: c}
	if addr, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		p.addr = addr.AddrPort().Addr().Unmap().WithZone("")
	}
	p.text = p.addr.AppendTo(nil)
	return p
}

func newTLSPeer(c *connection, state tls.ConnectionState) peer {
	p := newPeer(c)
	p.http2 = state.NegotiatedProtocol == "h2"
	if name, _, err := tenant.CanonicalHost(nil, []byte(state.ServerName)); err == nil {
		p.serverName = name
	}
	return p
}

// peered is what the net.Conn behind every fasthttp.RequestCtx of this package can tell.
type peered interface{ self() *peer }

func (p *peer) self() *peer { return p }

// plainConn is a connection of the HTTP address as fasthttp sees it.
type plainConn struct {
	*wire.Conn
	peer
}

// secureConn is an HTTP/1 connection over TLS as fasthttp sees it; by its last two methods fasthttp knows that it is one.
type secureConn struct {
	*wire.Conn
	peer
	tls *tls.Conn
}

func (c *secureConn) Handshake() error                     { return nil }
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
