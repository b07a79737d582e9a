package wire

import (
	"sync"
	"time"
)

const (
	smallBuffer = 1 << 10  // kept in each Conn: most heads fit, and an idle connection has no other
	largeBuffer = 16 << 10 // borrowed while a head, or the trailer section, is larger
)

// buffer holds bytes that the client sent and Read has not delivered yet.
type buffer struct {
	from, to int
	large    *[largeBuffer]byte
	small    [smallBuffer]byte
}

// largeBuffers is a free list; it holds nothing that anyone depends on.
var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

func (b *buffer) len() int      { return b.to - b.from }
func (b *buffer) bytes() []byte { return b.room()[b.from:b.to] }

func (b *buffer) room() []byte {
	if b.large != nil {
		return b.large[:]
	}
	return b.small[:]
}

// take moves up to n bytes to p.
func (b *buffer) take(p []byte, n int) int {
	n = copy(p, b.room()[b.from:b.from+n])
	b.skip(n)
	return n
}

// skip drops n bytes. An empty buffer is a small one.
func (b *buffer) skip(n int) {
	b.from += n
	if b.from < b.to {
		return
	}
	b.from, b.to = 0, 0
	if b.large != nil {
		largeBuffers.Put(b.large)
		b.large = nil
	}
}

// fill waits until more bytes have come. It takes the buffer not to be full: checks give up on what does not fit the large one.
func (b *buffer) fill(c *clock, until time.Time) error {
	b.makeRoom()
	n, err := c.read(b.room()[b.to:], until)
	b.to += n
	return err
}

// makeRoom makes room behind the last byte: by moving all to the front, or to a large buffer.
func (b *buffer) makeRoom() {
	if b.to < len(b.room()) {
		return
	}
	if b.from == 0 && b.large == nil {
		b.large = largeBuffers.Get().(*[largeBuffer]byte)
		copy(b.large[:], b.small[:b.to])
		return
	}
	copy(b.room(), b.bytes())
	b.from, b.to = 0, b.len()
}
