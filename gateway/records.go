package gateway

import (
	"crypto/tls"
	"net"

	"metahub/gateway/socket"
)

// joined is TLS each of whose writes leaves as one, however many records it takes: crypto/tls writes each record to the socket by itself,
// which would send a packet, and wake the client, for every 16 KiB. Like that of a net.Conn its Write may be called by any number of
// goroutines, though what two of them write may then leave in more pieces. HTTP/2 does better without: it has many streams to send from, and a
// client that is awake.
type joined struct {
	*tls.Conn
	below socket.Batcher
}

// maxRecord is the most content of a TLS record, in bytes (RFC 8446 §5.1).
const maxRecord = 16 << 10

// join returns layer, or what is better than it where the socket below can be told that more follows.
func join(layer *tls.Conn, c *connection) net.Conn {
	if below, ok := c.Conn.(socket.Batcher); ok {
		return &joined{layer, below}
	}
	return layer
}

// Write implements net.Conn.
func (j *joined) Write(p []byte) (written int, err error) {
	if len(p) <= maxRecord {
		return j.Conn.Write(p)
	}
	j.below.Gather(true)
	for len(p)-written > maxRecord && err == nil {
		var n int
		n, err = j.Conn.Write(p[written : written+maxRecord])
		written += n
	}
	j.below.Gather(false)
	if err != nil {
		return written, err
	}
	n, err := j.Conn.Write(p[written:])
	return written + n, err
}
