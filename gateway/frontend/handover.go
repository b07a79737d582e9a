package frontend

import (
	"crypto/tls"

	"metahub/gateway/compress"
)

// handover lets a body outlive its place in a response; see compress.Source.
type handover struct{ pending bool }

// Handover makes the next Close do nothing.
func (h *handover) Handover() { h.pending = true }

// handedOver reports whether a Close is the one to pass over.
func (h *handover) handedOver() bool {
	pending := h.pending
	h.pending = false
	return pending
}

var (
	_ compress.Source = (*body)(nil)
	_ compress.Source = (*fileBody)(nil)
)

// Ready implements compress.Source: a file waits for nobody.
func (b *fileBody) Ready() bool { return true }

// Ready implements compress.Source. It looks at what has arrived, without waiting and without taking anything.
func (b *body) Ready() bool {
	if b.err != nil || b.framing == byLength && b.left == 0 {
		return true
	}
	buffered, err := b.conn.reader.Peek(b.conn.reader.Buffered())
	if err != nil {
		return true
	}
	if b.framing != byChunks {
		return len(buffered) > 0 || b.conn.glance() && (b.conn.ended || len(b.conn.seen) > 0)
	}
	// Bytes alone are not enough: they may be no more than the end of the last chunk.
	chunks := b.chunks
	chunks.trailers = nil // a copy that shares no memory
	return chunks.advance(buffered) || b.conn.glance() && (b.conn.ended || chunks.advance(b.conn.seen))
}

// advance moves over src and reports whether there is data in it, or the end of the body, or something wrong.
func (c *chunks) advance(src []byte) bool {
	for len(src) > 0 {
		data, used, err := c.next(src, len(src))
		if len(data) > 0 || err != nil {
			return true
		}
		src = src[used:]
	}
	return false
}

// glance looks at the first bytes that have arrived at the socket, into seen; ended says that a read would give an error or the end.
// It reports false if that cannot be told: below TLS the bytes are records.
func (c *conn) glance() bool {
	if _, encrypted := c.Conn.(*tls.Conn); encrypted || c.socket == nil {
		return false
	}
	return c.look()
}
