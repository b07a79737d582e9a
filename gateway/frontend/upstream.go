package frontend

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// maxIdle is how many unused connections are kept to one upstream.
const maxIdle = 256

// origin is what connections are shared by: tenants share them only when scheme, host and port are the same.
type origin struct{ scheme, host string }

// upstream is one origin and its unused connections. It may be used by any number of goroutines at once.
type upstream struct {
	address  string // "127.0.0.1:3001"
	tls      *tls.Config
	timings  Timings
	used     atomic.Int64 // Unix time in seconds of the last request
	notices  notices
	outage   outage
	standing standing
	gate     gate
	turn     atomic.Uint32 // of the lists that begin with it
	busy     atomic.Int32  // connections in use

	mu      sync.Mutex
	idle    []*conn // the last one is the one used last
	retired bool    // no connection is kept any more
}

// newUpstream makes the upstream of a URL; what it starts is counted in started.
func newUpstream(u *url.URL, base *tls.Config, timings Timings, started *sync.WaitGroup) *upstream {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	up := &upstream{address: net.JoinHostPort(u.Hostname(), port), timings: timings}
	up.gate.room.size = maxQueued
	up.outage.room.size, up.outage.probes = maxHeld, started
	if u.Scheme == "https" {
		up.tls = base.Clone()
		up.tls.ServerName = u.Hostname()
	}
	return up
}

// String names the upstream in the access log.
func (up *upstream) String() string { return up.address }

// take returns an unused connection, or nil. One that the upstream has closed is of no use, and one on which it has sent something
// would give that out as the answer to the next request.
func (up *upstream) take(now time.Time) *conn {
	for {
		c := up.pop()
		if c == nil {
			return nil
		}
		if now.Sub(c.since) < up.timings.Idle && c.quiet() {
			c.resume()
			c.use(up)
			return c
		}
		c.Close()
	}
}

func (up *upstream) pop() *conn {
	up.mu.Lock()
	defer up.mu.Unlock()
	last := len(up.idle) - 1
	if last < 0 {
		return nil
	}
	c := up.idle[last]
	up.idle[last] = nil
	up.idle = up.idle[:last]
	return c
}

// put keeps c for the next request. Nothing of the last one may be left in it.
func (up *upstream) put(c *conn) {
	share := c.share.Swap(nil)
	c.rest()
	up.mu.Lock()
	keep := !up.retired && len(up.idle) < maxIdle
	if keep {
		up.idle = append(up.idle, c)
	}
	up.mu.Unlock()
	if !keep {
		c.Close()
	}
	if share != nil {
		share.leave() // only now, so that who waits for a place finds the connection
	}
}

// open dials, unless it is known that nobody listens.
func (up *upstream) open(now time.Time) (*conn, error) {
	if err := up.outage.mayDial(now); err != nil {
		return nil, err
	}
	c, err := up.dial()
	switch {
	case err == nil:
		up.outage.connected()
		c.use(up)
	case isAbsent(err):
		up.outage.refused(err, now)
	}
	return c, err
}

// probe reports whether the upstream takes connections again. The connection that shows it is kept for the first who waits.
func (up *upstream) probe() bool {
	c, err := up.dial()
	if isAbsent(err) {
		up.outage.refused(err, time.Now())
		return false
	}
	if err == nil {
		up.put(c)
	}
	up.outage.connected() // if it failed otherwise, those who wait meet the same and say so
	return true
}

// dial opens a new connection, with TLS if the upstream is https.
func (up *upstream) dial() (*conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), up.timings.Dial)
	defer cancel()
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", up.address)
	if err != nil {
		return nil, err
	}
	if up.tls == nil {
		return newConn(socket, socket, up.timings), nil
	}
	secure := tls.Client(socket, up.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, err
	}
	return newConn(secure, socket, up.timings), nil
}

// closeIdle closes connections that were last used before then.
func (up *upstream) closeIdle(before time.Time) {
	up.gate.forget()
	up.mu.Lock()
	n := 0
	for n < len(up.idle) && up.idle[n].since.Before(before) {
		n++
	}
	old := append([]*conn(nil), up.idle[:n]...)
	up.idle = append(up.idle[:0], up.idle[n:]...)
	clear(up.idle[len(up.idle):cap(up.idle)])
	up.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// retire closes all unused connections, and those in use when their request ends. Nobody waits for the upstream any more.
func (up *upstream) retire() {
	up.outage.stop()
	up.mu.Lock()
	up.retired = true
	old := up.idle
	up.idle = nil
	up.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}
