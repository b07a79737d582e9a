package http2

import (
	"io"
	"os"
	"sync"
	"time"

	"metahub/gateway/message"
)

// Body is the content of a request, read as it comes. Read may be called by one goroutine at a time, Close by any. After its stream has
// ended it fails.
type Body struct {
	stream *Stream
	conn   *Conn
	id     uint32

	// Of conn.mu.
	pieces   [][]byte // what has come, the first of them read up to start
	start    int
	window   window
	err      error // what Read returns behind the pieces
	asks     bool  // the client waits to be told to send
	closed   bool
	deadline time.Time
	trailers []message.Field

	wake chan struct{}
}

func newBody(s *Stream, now time.Time) *Body {
	return &Body{
		stream: s, conn: s.conn, id: s.id, wake: make(chan struct{}, 1),
		window: window{size: streamWindow, most: maxStreamWindow, left: streamWindow, since: now},
	}
}

// Expect has the client told to go on (100) by the first Read, unless the answer has begun by then.
func (b *Body) Expect() { b.asks = true }

// Trailers returns the fields that came behind the content, checked, once Read has returned io.EOF.
func (b *Body) Trailers() []message.Field {
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	return b.trailers
}

// Arrived reports whether all of the content is there already, with nothing behind it.
func (b *Body) Arrived() bool {
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	return b.err == io.EOF && len(b.trailers) == 0
}

// SetReadDeadline has a Read that waits at t, and every later one, fail with os.ErrDeadlineExceeded. It is looked at now and then only, as
// fits limits of seconds.
func (b *Body) SetReadDeadline(t time.Time) error {
	b.conn.mu.Lock()
	b.deadline = t
	b.conn.mu.Unlock()
	return nil
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c := b.conn
	c.mu.Lock()
	for !b.closed && len(b.pieces) == 0 && b.err == nil {
		if b.asks {
			b.proceed()
		}
		c.mu.Unlock()
		<-b.wake
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if b.closed {
		return 0, errGone
	}
	n := b.take(p)
	if n == 0 {
		return 0, b.err
	}
	b.release(int32(n))
	return n, nil
}

// proceed says 100, unless the answer is on its way.
func (b *Body) proceed() {
	b.asks = false
	if b.stream.begun || b.stream.localEnd {
		return
	}
	b.conn.appendHead(b.id, proceed, false)
	b.conn.kick()
}

// take copies what has come.
func (b *Body) take(p []byte) (n int) {
	for n < len(p) && len(b.pieces) > 0 {
		first := b.pieces[0]
		copied := copy(p[n:], first[b.start:])
		n += copied
		if b.start += copied; b.start == len(first) {
			b.start = 0
			dropPiece(first)
			b.pieces[0] = nil
			b.pieces = b.pieces[1:]
		}
	}
	return n
}

// release lets the client send as much as was read.
func (b *Body) release(n int32) {
	c := b.conn
	now := time.Now()
	if b.err == nil && !b.closed { // there is more to come
		if more := b.window.release(n, now, c.trip); more > 0 {
			c.out = appendWindowUpdate(c.out, b.id, more)
		}
	}
	c.release(n, now)
	c.kick()
}

// add takes data that has come, within the window. It copies it.
func (b *Body) add(data []byte) {
	for len(data) > 0 {
		if n := len(b.pieces); n > 0 {
			last := b.pieces[n-1]
			if room := cap(last) - len(last); room > 0 {
				copied := min(room, len(data))
				b.pieces[n-1] = append(last, data[:copied]...)
				data = data[copied:]
				continue
			}
		}
		b.pieces = append(b.pieces, newPiece(len(data)))
	}
	b.signal()
}

// end says what comes behind what has come: io.EOF at the end of the content.
func (b *Body) end(err error) {
	if b.err == nil {
		b.err = err
		b.signal()
	}
}

// close drops what nobody reads any more.
func (b *Body) close() {
	if b.closed {
		return
	}
	b.closed = true
	dropped := -b.start
	for _, p := range b.pieces {
		dropped += len(p)
		dropPiece(p)
	}
	b.pieces, b.stream = nil, nil
	b.conn.release(int32(dropped), time.Now())
	b.signal()
}

// Close implements io.Closer: a Read that waits returns at once, and what still comes is dropped.
func (b *Body) Close() error {
	b.conn.mu.Lock()
	b.close()
	b.conn.kick()
	b.conn.mu.Unlock()
	return nil
}

// expire is called now and then.
func (b *Body) expire(now time.Time) {
	if !b.deadline.IsZero() && now.After(b.deadline) {
		b.end(os.ErrDeadlineExceeded)
	}
}

func (b *Body) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

var _ io.ReadCloser = (*Body)(nil)

// Pieces of content come in two sizes, so that a short one takes little memory.
var (
	smallPieces = sync.Pool{New: func() any { return new([1 << 10]byte) }}
	largePieces = sync.Pool{New: func() any { return new([maxFrame]byte) }}
)

func newPiece(n int) []byte {
	if n <= 1<<10 {
		return smallPieces.Get().(*[1 << 10]byte)[:0]
	}
	return largePieces.Get().(*[maxFrame]byte)[:0]
}

func dropPiece(p []byte) {
	if cap(p) == 1<<10 {
		smallPieces.Put((*[1 << 10]byte)(p[:1<<10]))
	} else {
		largePieces.Put((*[maxFrame]byte)(p[:maxFrame]))
	}
}
