package gateway

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"metahub/gateway/http2"
	"metahub/gateway/limit"
	"metahub/gateway/wire"
	"metahub/tenant"
)

// connection is an accepted socket, from accept to close. TLS and HTTP are layers above it: whoever closes the uppermost layer closes
// the connection, which then leaves the set that Shutdown waits for.
type connection struct {
	net.Conn
	set    *connections
	leave  sync.Once
	client net.Addr      // as a PROXY header says; nil without one
	early  *bufio.Reader // what came behind that header

	mu     sync.Mutex
	guard  *wire.Conn    // of HTTP/1 once the handshake is over
	since  time.Time     // when that was
	socket bool          // a WebSocket
	owner  *limit.Tenant // of the TLS name; nil until that is known
	closed bool
	quic   *http3Conn  // of HTTP/3
	http2  *http2.Conn // of gateway/http2
	// These are only touched by the goroutine that serves HTTP/1, so that requests without an expectation take no lock for it.
	expecting bool
	paid      *limit.Tenant // has counted the request whose body was asked for ("Expect: 100-continue")

	refusals refusals // for a rate, more than requests that went on
}

// Close closes the socket and counts the connection out.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.leave.Do(func() {
		c.disown()
		c.set.remove(c)
	})
	return err
}

// belongTo counts the connection for t, until it is closed; false means that t has too many.
func (c *connection) belongTo(t *limit.Tenant) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.owner != nil {
		return true
	}
	if !t.Connect() {
		return false
	}
	c.owner = t
	return true
}

func (c *connection) disown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.owner != nil {
		c.owner.Disconnect()
	}
	if c.paid != nil {
		c.paid.Done()
		c.paid = nil
	}
}

// keepPaid notes that t has counted the request that is arriving; takePaid hands that on.
func (c *connection) keepPaid(t *limit.Tenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && t != nil {
		t.Done()
		return
	}
	c.paid, c.expecting = t, t != nil
}

func (c *connection) takePaid() *limit.Tenant {
	if !c.expecting {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.paid
	c.paid, c.expecting = nil, false
	return t
}

// CloseWrite ends the sending half only, so that a client that is still sending gets to read our last words instead of a reset.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// SyscallConn implements syscall.Conn, so that a frontend can see whether the client is still there.
func (c *connection) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := c.Conn.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return nil, errors.ErrUnsupported
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

// drain ends a connection that net/http does not have: one of HTTP/1 on which no request has come for a while since begun, the start of a
// shutdown, one of HTTP/2 or 3 as those do it. One that serves a request ends with the answer, and a WebSocket after its grace.
func (c *connection) drain(begun time.Time, grace time.Duration) {
	c.mu.Lock()
	guard, since, quic, http2, socket := c.guard, c.since, c.quic, c.http2, c.socket
	c.mu.Unlock()
	if socket {
		if time.Since(begun) > grace {
			_ = c.Conn.Close() // whoever serves it notices
		}
		return
	}
	if quic != nil {
		quic.drain(begun)
	}
	if http2 != nil {
		http2.Drain(time.Since(begun) > lastRequests)
	}
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
func (s *connections) drain(begun time.Time, grace time.Duration) {
	for _, c := range s.list() {
		c.drain(begun, grace)
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
	http3      bool
	secure     bool // TLS
}

func newPeer(c *connection) peer {
	p := peer{connection: c, addr: addrOf(c.RemoteAddr())}
	p.text = p.addr.AppendTo(nil)
	return p
}

func newTLSPeer(c *connection, state tls.ConnectionState) peer {
	p := newPeer(c)
	p.secure, p.http2, p.http3 = true, state.NegotiatedProtocol == "h2", state.NegotiatedProtocol == nextHTTP3
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

// Close implements net.Conn. fasthttp closes what it gets no more requests from, and a connection that rests is only let go of.
func (c *plainConn) Close() error { return closeUnlessResting(c.Conn) }

// secureConn is an HTTP/1 connection over TLS as fasthttp sees it; by its last two methods fasthttp knows that it is one.
type secureConn struct {
	*wire.Conn
	peer
	tls *tls.Conn
}

// Close is that of plainConn.
func (c *secureConn) Close() error { return closeUnlessResting(c.Conn) }

func (c *secureConn) Handshake() error                     { return nil }
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

func closeUnlessResting(guard *wire.Conn) error {
	if guard.Resting() {
		return nil
	}
	return guard.Close()
}
