package frontend

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is one connection to an upstream. One exchange has it at a time; only deadlines and Close may be called besides.
type conn struct {
	net.Conn
	socket  syscall.RawConn // below TLS; nil if there is none
	timings Timings

	reader   *bufio.Reader // nil while the connection rests
	received int64         // bytes in this exchange
	reused   bool          // it has served an exchange before
	since    time.Time     // when it came to rest
	extended time.Time     // when the read deadline was moved last

	usedBy atomic.Pointer[upstream] // which counts it as busy; nil while it rests

	share atomic.Pointer[share] // that it takes a place of; nil while it rests, and once it waits for events only

	// Of quiet, kept so that it allocates once only.
	peek   func(fd uintptr)
	peeked [1]byte
	silent bool

	// Of glance, likewise.
	spy   func(fd uintptr)
	ahead [64]byte
	seen  []byte // at the front of ahead
	ended bool
}

// readers are shared by all connections, so that one at rest holds no buffer.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

func newConn(c, socket net.Conn, timings Timings) *conn {
	fresh := &conn{Conn: c, timings: timings}
	if s, ok := socket.(syscall.Conn); ok {
		fresh.socket, _ = s.SyscallConn()
	}
	fresh.attach()
	return fresh
}

func (c *conn) attach() {
	c.reader = readers.Get().(*bufio.Reader)
	c.reader.Reset(c)
}

func (c *conn) detach() {
	if c.reader == nil {
		return
	}
	c.reader.Reset(nil)
	readers.Put(c.reader)
	c.reader = nil
}

// resume readies a connection that rested for an exchange.
func (c *conn) resume() {
	c.attach()
	c.received, c.reused = 0, true
}

// use counts the connection as one of up that is in use, until it rests or is closed.
func (c *conn) use(up *upstream) {
	c.usedBy.Store(up)
	up.busy.Add(1)
}

func (c *conn) unuse() {
	c.linger()
	if up := c.usedBy.Swap(nil); up != nil {
		up.busy.Add(-1)
	}
}

// linger gives the place at the gate to another, although the connection stays in use: events and WebSockets are open for as long as
// somebody looks at the page, and cost the upstream little.
func (c *conn) linger() {
	if s := c.share.Swap(nil); s != nil {
		s.leave()
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.unuse()
	return c.Conn.Close()
}

// rest lets go of everything that an exchange needs.
func (c *conn) rest() {
	c.unuse()
	c.detach()
	c.since = time.Now()
}

// finish ends an exchange whose answer has been read to its end. Bytes after that end belong to no answer.
func (c *conn) finish(up *upstream, reusable bool) {
	if reusable && c.reader.Buffered() == 0 {
		up.put(c)
		return
	}
	c.detach()
	c.Close()
}

// discard closes the connection in the middle of an exchange. The reader is not shared again: someone may still hold its bytes.
func (c *conn) discard() {
	c.reader = nil
	c.Close()
}

// Read counts what arrives, so that it is known whether an answer has begun.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received += int64(n)
	return n, err
}

// fill waits for bytes of a body, each time for as long as a body may make no progress.
func (c *conn) fill() ([]byte, error) {
	if c.reader.Buffered() == 0 {
		// Moving a deadline costs more than reading the clock, so it moves at most once a second.
		if now := time.Now(); now.Sub(c.extended) > time.Second {
			c.extended = now
			if err := c.SetReadDeadline(now.Add(c.timings.Body)); err != nil {
				return nil, err
			}
		}
		if _, err := c.reader.Peek(1); err != nil {
			return nil, err
		}
	}
	return c.reader.Peek(c.reader.Buffered())
}
