package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/socket"
	"metahub/gateway/wire"
)

// listen opens an address of tenants.yaml; key is where it stands there.
func listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, explainListen(key, address, err)
	}
	return l, nil
}

// explainListen says what to do about an address that cannot be listened on.
func explainListen(key, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: address %q is in use by another program; stop that program, or choose another address", key, address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission to listen on %q; choose a port above 1023, or give the program CAP_NET_BIND_SERVICE", key, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine has no address %q; choose one that it has, or \":port\" for all of them", key, address)
	}
	return fmt.Errorf("%s: cannot listen on %q: %w", key, address, err)
}

// accept serves each connection of l in its own goroutine until l is closed, or its deadline has passed, which closes it. No other
// error ends it: out of file descriptors, say, it waits for some to be closed.
func (g *Gateway) accept(l net.Listener, serve func(*connection)) {
	pause := time.Duration(0)
	for {
		accepted, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			_ = l.Close()
			return
		}
		if err != nil {
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			g.log.Warn("cannot accept a connection, trying again", zap.Stringer("address", l.Addr()), zap.Duration("pause", pause), zap.Error(err))
			time.Sleep(pause)
			continue
		}
		pause = 0
		c := g.connections.add(socket.New(accepted))
		g.arriving.Add(1)
		g.connections.wait.Go(func() {
			defer g.drop(c)
			serve(c)
		})
	}
}

// drop closes a connection on which the program itself panicked below any request.
func (g *Gateway) drop(c *connection) {
	if v := recover(); v != nil {
		g.log.Error("panic on a connection", zap.Any("panic", v), zap.Stack("stack"))
		_ = c.Close()
	}
}

func (g *Gateway) servePlain(c *connection) {
	g.arriving.Done()
	if !g.introduce(c) || !g.awaitTurn(c) {
		return
	}
	guard := c.serveHTTP1(c, g.limits)
	g.serveHTTP1(c, g.plain, &plainConn{Conn: guard, peer: newPeer(c)}, guard)
}

// serveSecure completes the handshake; then ALPN says who decodes.
func (g *Gateway) serveSecure(c *connection) {
	layer, done, err := g.arrive(c)
	if err != nil {
		g.observer.Connection(HandshakeFailed)
		g.log.Debug("handshake failed", zap.Stringer("client", c.RemoteAddr()), zap.Error(err))
		_ = c.Close()
		return
	}
	if done {
		return
	}
	guard := c.serveHTTP1(join(layer, c), g.limits)
	g.rest(c, g.secure, &secureConn{Conn: guard, peer: newTLSPeer(c, layer.ConnectionState()), tls: layer}, guard)
}

// serveHTTP1 serves requests of layer, of which guard is a part, until it ends. While none comes, server does not hold it: its buffers
// are larger than all else that there is of a connection.
func (g *Gateway) serveHTTP1(c *connection, server *fasthttp.Server, layer net.Conn, guard *wire.Conn) {
	if !guard.Await() {
		_ = layer.Close()
		return
	}
	if err := server.ServeConn(layer); err != nil {
		g.log.Debug("connection ended", zap.Stringer("client", c.RemoteAddr()), zap.Error(err))
	}
	if guard.Resting() {
		g.rest(c, server, layer, guard)
	}
}

// rest goes on with serveHTTP1 in another goroutine, for the sake of its stack: that of a handshake or a handler is four times as large as
// what it takes to wait.
func (g *Gateway) rest(c *connection, server *fasthttp.Server, layer net.Conn, guard *wire.Conn) {
	g.connections.wait.Go(func() {
		defer g.drop(c)
		g.serveHTTP1(c, server, layer, guard)
	})
}

// arrive completes the handshake. A connection that chose HTTP/2 is handed over, and that of a CA that validates a host has nothing more
// to say; both are done, as is one that a proxy did not introduce, or whose turn does not come.
func (g *Gateway) arrive(c *connection) (layer *tls.Conn, done bool, err error) {
	defer g.arriving.Done()
	if !g.introduce(c) || !g.awaitTurn(c) {
		return nil, true, nil
	}
	layer, err = g.handshake(c)
	if err != nil {
		return layer, false, err
	}
	switch layer.ConnectionState().NegotiatedProtocol {
	case "h2":
		if g.engine != nil {
			g.connections.wait.Go(func() { // for the sake of its stack, as rest
				defer g.drop(c)
				g.serveEngine(c, layer)
			})
			return layer, true, nil
		}
		if !g.streams.hand(layer) {
			_ = layer.Close()
		}
		return layer, true, nil
	case acmeTLS:
		_ = layer.Close()
		return layer, true, nil
	}
	return layer, false, nil
}

func (g *Gateway) handshake(c *connection) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	layer := tls.Server(c, g.tls)
	err := layer.HandshakeContext(ctx)
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && looksLikeHTTP(record.RecordHeader) {
		_, _ = c.Write([]byte("HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nThis port speaks HTTPS: write https:// in front of the address.\n"))
	}
	return layer, err
}

func looksLikeHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// handover is the listener of the HTTP/2 server: it accepts connections whose handshake chose h2.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand gives c to the server; it reports false once the server takes no more.
func (h *handover) hand(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return h.addr }
