package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"metahub/gateway/socket"
)

// maxIdle is how many unused connections are kept to one upstream.
const maxIdle = 256

// fullSocketPause is the time between two attempts to connect to a socket whose queue is full.
const fullSocketPause = 5 * time.Millisecond

// origin is what connections are shared by: tenants share them only when scheme, host and port, or the socket, are the same.
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin {
	if u.Scheme == "unix" {
		return origin{u.Scheme, u.Opaque}
	}
	return origin{u.Scheme, u.Host}
}

// upstream is one origin and its unused connections. It may be used by any number of goroutines at once.
type upstream struct {
	name     string
	network  string // "tcp" or "unix"
	address  string // "127.0.0.1:3001" or "/run/site.sock"
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
	up := &upstream{name: nameOf(u), timings: timings}
	up.network, up.address = addressOf(u)
	up.gate.room.size = maxQueued
	up.outage.room.size, up.outage.probes = maxHeld, started
	if u.Scheme == "https" {
		up.tls = base.Clone()
		up.tls.ServerName = u.Hostname()
	}
	return up
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// addressOf says where an upstream is dialed.
func addressOf(u *url.URL) (network, address string) {
	if u.Scheme == "unix" {
		return "unix", u.Opaque
	}
	return "tcp", net.JoinHostPort(u.Hostname(), portOf(u))
}

// nameOf is what logs call an upstream: "127.0.0.1:3001" or "unix:/run/site.sock".
func nameOf(u *url.URL) string {
	network, address := addressOf(u)
	if network == "unix" {
		return "unix:" + address
	}
	return address
}

// touch keeps the pool from forgetting the upstream for a while.
func (up *upstream) touch(now time.Time) {
	if seconds := now.Unix(); up.used.Load() != seconds {
		up.used.Store(seconds)
	}
}

// String names the upstream in the access log.
func (up *upstream) String() string { return up.name }

// take returns an unused connection, or nil. One that the upstream has closed is of no use, and one on which it has sent something
// would give that out as the answer to the next request.
//
// A request that will be sent by ask needs no look at the connection, since that has its own.
func (up *upstream) take(now time.Time, asks bool) *conn {
	for {
		c := up.pop()
		if c == nil {
			return nil
		}
		if now.Sub(c.since) < up.timings.Idle && (asks && c.asker != nil || c.quiet()) {
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

// put keeps c for the next request. Nothing of the last one may be left in it. A connection from before an outage leads to a server that
// listens no more: it waits for the end of its connections (Node.js says no Connection: close then), and would wait for ever. So it would for
// those that are in use all the time, if none were ever opened anew.
func (up *upstream) put(c *conn) {
	share := c.share.Swap(nil)
	c.rest()
	up.mu.Lock()
	keep := !up.retired && len(up.idle) < maxIdle && c.outages == up.outage.past.Load() && c.since.Sub(c.born) < up.timings.Age
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
	outages := up.outage.past.Load()
	c, err := up.dial(context.Background())
	switch {
	case err == nil:
		up.outage.connected()
		c.outages = outages
		c.use(up)
	case isAbsent(err):
		up.outage.refused(err, now)
	}
	return c, err
}

// probe reports whether the upstream takes connections again. The connection that shows it is kept for the first who waits.
func (up *upstream) probe() bool {
	outages := up.outage.past.Load()
	c, err := up.dial(context.Background())
	if isAbsent(err) {
		up.outage.refused(err, time.Now())
		return false
	}
	if err == nil {
		c.outages = outages
		up.put(c)
	}
	up.outage.connected() // if it failed otherwise, those who wait meet the same and say so
	return true
}

// dial opens a new connection, with TLS if the upstream is https.
func (up *upstream) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, up.timings.Dial)
	defer cancel()
	dialed, err := up.connect(ctx)
	if err != nil {
		return nil, err
	}
	dialed = socket.New(dialed)
	if up.tls == nil {
		return newConn(dialed, dialed, up.timings), nil
	}
	secure := tls.Client(dialed, up.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		dialed.Close()
		return nil, err
	}
	return newConn(secure, dialed, up.timings), nil
}

// connect opens the connection below TLS. A socket whose queue of new connections is full refuses at once, where TCP would try again: here
// that is done until ctx ends.
func (up *upstream) connect(ctx context.Context) (net.Conn, error) {
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, up.network, up.address)
		if up.network != "unix" || !errors.Is(err, syscall.EAGAIN) {
			return c, err
		}
		select {
		case <-time.After(fullSocketPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
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
