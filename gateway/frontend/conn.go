package frontend

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"metahub/gateway/socket"
)

// conn is one connection to an upstream. One exchange has it at a time; only deadlines and Close may be called besides.
type conn struct {
	net.Conn
	socket  syscall.RawConn // below TLS; nil if there is none
	asker   socket.Asker    // nil if there is none, as above TLS
	timings Timings
	outages uint32 // of its upstream, that had begun before it was opened

	reader   *bufio.Reader // nil while the connection rests
	received int64         // bytes in this exchange
	reused   bool          // it has served an exchange before
	born     time.Time
	since    time.Time // when it came to rest
	extended time.Time // when the read deadline was moved last
	until    time.Time // when the read that waits shall fail, while the client is still to be watched
	armed    time.Time // the write deadline that expect has set; zero once another is in force
	alarm    time.Time // the read deadline, likewise

	// Of the watch over the client that the exchange is for.
	server *Server
	client net.Conn // still to be watched; nil before and after
	stop   func() bool

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

const (
	smallRead = 16 << 10
	// largeRead is the most that one read takes of a large body, in bytes: as HTTP/2 it leaves in four frames that fill a record of TLS each.
	largeRead = 4 * (16<<10 - 9)
)

// readers are shared by all connections, so that one at rest holds no buffer; largeReaders by those that a large body comes on.
var (
	readers      = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, smallRead) }}
	largeReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, largeRead) }}
)

func newConn(c, below net.Conn, timings Timings) *conn {
	fresh := &conn{Conn: c, timings: timings, born: time.Now()}
	fresh.asker, _ = c.(socket.Asker)
	if s, ok := below.(syscall.Conn); ok {
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
	if c.reader.Size() == smallRead {
		readers.Put(c.reader)
	} else {
		largeReaders.Put(c.reader)
	}
	c.reader = nil
}

// widen has a body read in larger pieces from now on. It is called when all that was read has been taken, and does nothing above TLS, which
// gives no more than a record at once.
func (c *conn) widen() {
	if c.asker == nil || c.reader.Size() == largeRead {
		return
	}
	c.detach()
	c.reader = largeReaders.Get().(*bufio.Reader)
	c.reader.Reset(c)
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

// expect gives an answer the time that it may take, and up to an eighth or a second more: a deadline that will do is kept, because
// moving one costs more than reading the clock. While the client is still to be watched, a read has until the first silence only.
func (c *conn) expect(from time.Time, patience time.Duration) error {
	c.until = from.Add(patience)
	late := min(patience/8, time.Second)
	if !holds(c.armed, c.until, late) {
		c.armed = c.until.Add(late)
		if err := c.SetWriteDeadline(c.armed); err != nil {
			return err
		}
	}
	first := c.until
	if c.client != nil && silence < patience {
		first, late = from.Add(silence), silence
	}
	if holds(c.alarm, first, late) {
		return nil
	}
	c.alarm = first.Add(late)
	return c.SetReadDeadline(c.alarm)
}

// holds reports whether a deadline in force will do for one that may be somewhat late.
func holds(inForce, wanted time.Time, late time.Duration) bool {
	over := inForce.Sub(wanted)
	return 0 <= over && over <= late
}

// ask sends a request that is whole. On a connection that rested it also waits for the answer, if it can.
func (c *conn) ask(request []byte) (int, error) {
	if c.asker == nil || !c.reused {
		return c.Write(request)
	}
	n, err := c.asker.Ask(request)
	if n == 0 && err != nil {
		if err = c.goOn(err); err == nil { // on a busy machine the first silence can be over before a byte has left
			n, err = c.asker.Ask(request)
		}
	}
	return n, err
}

// Read counts what arrives, so that it is known whether an answer has begun. After a first silence it goes on, with the client watched.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 && err != nil {
		if err = c.goOn(err); err == nil {
			n, err = c.Conn.Read(p)
		}
	}
	c.received += int64(n)
	return n, err
}

// goOn returns nil where err is the end of the first silence alone: from then on the client is watched, and the answer has the rest of its
// time.
func (c *conn) goOn(err error) error {
	if c.client == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.watchNow()
	c.alarm = time.Time{}
	return c.SetReadDeadline(c.until)
}

// fill waits for bytes of a body, each time for as long as a body may make no progress.
func (c *conn) fill() ([]byte, error) {
	if c.reader.Buffered() == 0 {
		// Moving a deadline costs more than reading the clock, so it moves at most once a second.
		if now := time.Now(); c.client != nil {
			c.until = now.Add(c.timings.Body)
		} else if now.Sub(c.extended) > time.Second {
			c.extended, c.alarm = now, time.Time{}
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
