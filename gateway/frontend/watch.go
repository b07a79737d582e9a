package frontend

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// silence is how long an exchange lasts, and up to twice that, before its HTTP/1.1 client is watched. Most are over by then, and pay nothing
// for it.
const silence = 50 * time.Millisecond

// errLeft is a client that has left before the answer began.
var errLeft = errors.New("the client has left")

// leaver is a client's connection that notices by itself when the client no longer waits for its answer, as on HTTP/2 and 3.
type leaver interface {
	OnLeave(f func()) (stop func() bool)
}

// OnLeave calls f in a goroutine of its own when the client of a fasthttp connection leaves: on HTTP/1.1 on Linux only. stop takes that back,
// once, and before the request has ended if the client has not left; it reports false when f has been called, and may not have returned yet.
func (s *Server) OnLeave(client net.Conn, f func()) (stop func() bool) {
	if client, ok := client.(leaver); ok {
		return client.OnLeave(f)
	}
	return s.lookout.watch(client, f)
}

func stays() bool { return true }

// watch closes the connection when the client leaves, so that neither the upstream nor the gateway works for nobody. On HTTP/1.1 that
// costs system calls, so Read begins it after a silence; while a body is sent there may be none, and it begins at once.
func (c *conn) watch(s *Server, client net.Conn, uploads bool) {
	c.server, c.client = s, client
	if _, ok := client.(leaver); ok || uploads || !lookoutWorks {
		c.watchNow()
	}
}

func (c *conn) watchNow() {
	c.stop = c.server.OnLeave(c.client, func() { _ = c.Close() })
	c.client = nil
}

// unwatch ends the watch, if there is one. It reports false when the client has left and the connection is closed, or about to be.
func (c *conn) unwatch() (stayed bool) {
	stop := c.stop
	c.server, c.client, c.stop = nil, nil, nil
	return stop == nil || stop()
}

// socketBelow returns the socket below all layers of a client's connection, or nil.
func socketBelow(client net.Conn) syscall.RawConn {
	for client != nil {
		if socket, ok := client.(syscall.Conn); ok {
			raw, err := socket.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		}
		layer, ok := client.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		client = layer.NetConn()
	}
	return nil
}
