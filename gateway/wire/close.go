package wire

import (
	"net"
	"time"
)

// CloseIdle closes the connection if it is between two requests with nothing of the next one received, and reports whether it did. A
// Read that waits returns io.EOF at once.
func (c *Conn) CloseIdle() bool {
	if !c.state.CompareAndSwap(idle, closing) {
		return false
	}
	c.Conn.Close()
	return true
}

// Close closes the connection. Behind a request, whole or not, it takes up to a second until the client closes its side too: a TCP
// connection closed on unread bytes is reset, which can destroy the answer before it is read (RFC 9112 §9.6).
func (c *Conn) Close() error {
	if was := c.state.Swap(closing); was == active || was == served {
		c.linger()
	}
	return c.Conn.Close()
}

const lingerTime = time.Second

// linger ends our side of the connection and drops what comes until the client ends its own.
func (c *Conn) linger() {
	raw := c.Conn
	if tls, ok := raw.(interface{ NetConn() net.Conn }); ok {
		closeWrite(raw)
		raw = tls.NetConn()
	}
	if !closeWrite(raw) || raw.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	scrap := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(scrap)
	for {
		if _, err := raw.Read(scrap[:]); err != nil {
			return
		}
	}
}

func closeWrite(c net.Conn) bool {
	half, ok := c.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
