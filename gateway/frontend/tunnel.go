package frontend

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/grammar"
)

// openTunnel relays the upstream's 101 and makes the two connections one, until either side ends. Frames pass untouched.
func (x *exchange) openTunnel() error {
	if !x.conn.unwatch() {
		x.conn.discard()
		return errLeft
	}
	x.conn.linger()
	t := &tunnel{server: x.server, upstream: x.conn, greeting: x.greeting()}
	if err := x.conn.SetDeadline(time.Time{}); err != nil {
		x.conn.discard()
		return err
	}
	x.ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols) // for the access log
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(t.run)
	return nil
}

// greeting is the head of the 101 answer. Apart from the upgrade itself only end-to-end fields pass.
func (x *exchange) greeting() []byte {
	b := []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	for _, f := range x.answer.fields {
		if grammar.IsHopByHop(f.name) || x.answer.named && hasOption(x.answer.connection, f.name) || grammar.EqualFold(f.name, "content-length") {
			continue
		}
		b = append(append(append(append(b, f.name...), ": "...), f.value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// tunnel is a client's connection and an upstream's that have become one.
type tunnel struct {
	server   *Server
	upstream *conn
	client   net.Conn
	greeting []byte
	cut      sync.Once
}

// run is the handler of the hijacked connection, which fasthttp closes when it returns.
func (t *tunnel) run(client net.Conn) {
	t.client = client
	defer t.rescue()
	defer t.end()
	if !t.server.tunnels.add(t) {
		return
	}
	defer t.server.tunnels.remove(t)
	if _, err := client.Write(t.greeting); err != nil {
		return
	}
	var down sync.WaitGroup
	down.Go(func() {
		defer t.rescue()
		t.pass(bare(client), t.upstream.reader)
	})
	t.pass(t.upstream.Conn, client)
	down.Wait()
}

// pass copies one direction. A clean end of it is passed on, so that the other direction can finish; a failure ends both.
func (t *tunnel) pass(to net.Conn, from io.Reader) {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	// Only Read and Write, so that no copy falls back to a buffer of its own.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buffer[:])
	if err == nil && halfClose(to) && to.SetReadDeadline(time.Now().Add(t.server.timings.Body)) == nil {
		return
	}
	t.end()
}

// halfClose ends the sending half of c, which may lie below layers that cannot.
func halfClose(c net.Conn) bool {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() == nil
	}
	if layer, ok := c.(interface{ NetConn() net.Conn }); ok {
		return halfClose(layer.NetConn())
	}
	return false
}

// end closes both connections, which ends both directions.
func (t *tunnel) end() {
	t.cut.Do(func() {
		_ = t.upstream.Close()
		_ = bare(t.client).Close()
	})
}

func (t *tunnel) rescue() {
	if v := recover(); v != nil {
		t.server.log.Error("panic in a websocket", zap.Any("panic", v), zap.Stack("stack"))
		t.end()
	}
}

// bare returns the connection below the one that fasthttp gives to a hijacker, whose Close does nothing.
func bare(c net.Conn) net.Conn {
	if wrapped, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
		return wrapped.UnsafeConn()
	}
	return c
}

// tunnels are all that are open.
type tunnels struct {
	mu     sync.Mutex
	open   map[*tunnel]struct{}
	closed bool
	wait   sync.WaitGroup
}

// add counts t in, unless tunnels are closed.
func (s *tunnels) add(t *tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = map[*tunnel]struct{}{}
	}
	s.open[t] = struct{}{}
	s.wait.Add(1)
	return true
}

func (s *tunnels) remove(t *tunnel) {
	s.mu.Lock()
	delete(s.open, t)
	s.mu.Unlock()
	s.wait.Done()
}

// close ends all tunnels and waits for them.
func (s *tunnels) close() {
	s.mu.Lock()
	s.closed = true
	for t := range s.open {
		t.end()
	}
	s.mu.Unlock()
	s.wait.Wait()
}
