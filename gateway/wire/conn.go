package wire

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a server connection that delivers well-formed requests and nothing else. Read belongs to one goroutine and Write to one;
// Close, CloseIdle, Abandon and Err may be called from any, at any time.
//
// One Read never goes beyond the end of a request. So fasthttp never holds bytes of the next one, which may be a WebSocket frame
// after all, or junk behind a "Connection: close" that must not matter.
type Conn struct {
	net.Conn
	limits Limits
	clock  clock

	buffer buffer
	ready  int // of the buffered bytes, those that are checked and may be delivered

	phase  phase
	head   head
	chunks chunks
	left   int64 // bytes of content, or of chunk data, that are still to come
	pace   Pace

	trailers []byte // of the request

	state   atomic.Int32
	refused atomic.Pointer[Error]
	opaque  bool // after Passthrough

	pause   time.Duration // before the next request
	resting bool
	closes  time.Time // when an idle connection that rests is closed
}

// phase is what the next byte that is not ready belongs to.
type phase uint8

const (
	inHead phase = iota
	inContent
	inChunkSize
	inChunkData
	inChunkEnd
	inTrailer
)

// The states tell Close and CloseIdle, which other goroutines call, what Read is about.
const (
	idle    int32 = iota // waiting for the first byte of a request
	active               // a request is being read, or has been refused
	served               // a request has been delivered whole
	tunnel               // after Passthrough
	closing              // Close or CloseIdle has been called
)

// Await waits for the first byte of a request: of the first one, or of the next one on a connection that rests. It reports false when
// the connection can only be closed. A server that is begun after it holds no memory for a client that says nothing.
func (c *Conn) Await() bool {
	until := c.closes
	if !c.resting {
		until = time.Now().Add(c.limits.Idle)
	}
	c.resting = false
	return c.awaitByte(until) == nil
}

// Resting reports whether the last Read ended because no request had come for Limits.Rest. The connection is still good then: who served
// it may let go of it without closing it, and serve it again after Await.
func (c *Conn) Resting() bool { return c.resting }

// Pause has the Read that waits for the next request begin with a pause of d. Like Read it belongs to one goroutine.
func (c *Conn) Pause(d time.Duration) { c.pause = d }

// NewConn guards c, a TLS or a plain connection of a server.
func NewConn(c net.Conn, limits Limits) *Conn {
	guarded := &Conn{Conn: c, limits: limits.withDefaults()}
	guarded.clock.conn = c
	return guarded
}

// NetConn returns the connection that is guarded, like the method of *tls.Conn.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Err returns why the connection was refused, or nil. It is what a fasthttp ErrorHandler, and a handler whose body stream fails, asks:
// fasthttp loses the error that Read returned in more than one place.
func (c *Conn) Err() *Error { return c.refused.Load() }

// Read delivers checked bytes of at most one request. It returns io.EOF when the connection may be closed without an answer: the
// client is gone, idle for too long, or CloseIdle was called. From the first bad byte on it returns an *Error.
func (c *Conn) Read(p []byte) (int, error) {
	if c.opaque {
		return c.readThrough(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if c.ready == 0 {
		n, err := c.advance(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	n := c.buffer.take(p, c.ready)
	c.ready -= n
	c.settle()
	return n, nil
}

// advance checks buffered bytes until some are ready. Content that is not buffered yet it reads straight into p instead, and returns
// its length.
func (c *Conn) advance(p []byte) (direct int, err error) {
	if refused := c.Err(); refused != nil {
		return 0, refused
	}
	for c.ready == 0 {
		switch c.phase {
		case inHead:
			if err := c.nextHead(); err != nil {
				return c.refuseHead(p, err)
			}
		case inContent, inChunkData:
			if c.buffer.len() == 0 {
				return c.readContent(p)
			}
			c.ready = int(min(int64(c.buffer.len()), c.left))
			c.takeContent(int64(c.ready))
		default:
			if refused := c.nextFraming(); refused != nil {
				return 0, c.refuse(refused)
			}
		}
	}
	return 0, nil
}

// nextHead waits for a request and makes its head ready. An io.EOF ends the connection without an answer.
func (c *Conn) nextHead() error {
	if c.pause > 0 {
		time.Sleep(c.pause)
		c.pause = 0
	}
	if c.buffer.len() == 0 {
		if err := c.awaitRequest(); err != nil {
			return err
		}
	}
	c.state.CompareAndSwap(served, active) // the request was buffered behind the last one
	c.head, c.trailers = head{}, nil
	var until time.Time
	for {
		complete, refused := c.head.check(c.buffer.bytes(), &c.limits)
		if refused != nil {
			return refused
		}
		if complete {
			break
		}
		if until.IsZero() {
			until = time.Now().Add(c.limits.Header)
		}
		if err := c.buffer.fill(&c.clock, until); isTimeout(err) {
			return errHeadTimeout
		} else if err != nil {
			return io.EOF
		}
	}
	c.buffer.skip(c.head.skip)
	length := c.head.next - c.head.skip
	c.beginContent()
	if refused := c.foresee(c.buffer.bytes()[length:]); refused != nil {
		return refused
	}
	c.ready = length
	return nil
}

// awaitRequest is the wait of an idle connection.
func (c *Conn) awaitRequest() error {
	c.state.CompareAndSwap(served, idle)
	now := time.Now()
	until := now.Add(c.limits.Idle)
	rests := c.limits.Rest > 0 && c.limits.Rest < c.limits.Idle
	if rests {
		until = now.Add(c.limits.Rest)
	}
	err := c.awaitByte(until)
	if rests && isTimeout(err) {
		c.resting, c.closes = true, now.Add(c.limits.Idle)
	}
	if err != nil {
		return io.EOF
	}
	return nil
}

func (c *Conn) awaitByte(until time.Time) error {
	if err := c.buffer.fill(&c.clock, until); err != nil {
		return err
	}
	if !c.state.CompareAndSwap(idle, active) {
		return io.EOF
	}
	return nil
}

// settle notes that a request has been delivered whole.
func (c *Conn) settle() {
	if c.phase == inHead && c.ready == 0 {
		c.state.CompareAndSwap(active, served)
	}
}

// refuse makes err what Read returns from now on.
func (c *Conn) refuse(err *Error) error {
	if err != errAbandoned {
		c.refused.Store(err)
	}
	return err
}

// refuseHead ends the wait for a head. fasthttp closes a connection without an answer when the first Read of its second or a later
// request fails. So that the client learns why, that Read delivers one NUL, which begins no request, and the next one the error.
func (c *Conn) refuseHead(p []byte, err error) (int, error) {
	refused, ok := err.(*Error)
	if !ok {
		return 0, err
	}
	c.refused.Store(refused)
	p[0] = 0
	return 1, nil
}

// Write writes p within the limit on slow clients.
func (c *Conn) Write(p []byte) (int, error) {
	if c.opaque {
		return c.Conn.Write(p)
	}
	return c.clock.write(p, c.limits.Write)
}

// ReadFrom implements io.ReaderFrom: what r gives is on its way before more is waited for. By way of it fasthttp sends a body of known
// length that comes slowly, of which it otherwise holds back what does not fill its buffer.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	piece := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(piece)
	return io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{r}, piece[:])
}
