package frontend

import (
	"errors"
	"io"

	"github.com/valyala/fasthttp"
)

// body is the rest of an answer, read from its connection as the client takes it. The connection goes back to its upstream at the end
// of a complete body and is closed in all other cases. A body is used once and not pooled, so that a second Close, or a Read after it,
// can never reach another request's connection.
type body struct {
	conn     *conn // nil once the body has ended
	upstream *upstream
	upload   *upload // of the request, if it still ran when the answer began
	framing  framing
	left     int64 // byLength
	chunks   chunks
	reusable bool
	among    *eventStreams // that it is one of; nil for another body
	full     bool          // the last read filled the buffer
	direct   bool          // the client's connection reads by itself, and so sends each piece at once

	read   int64
	err    error // why there is no more, io.EOF after a complete body
	closed bool
	done   func(bytes int64, err error)
	trail  *fasthttp.ResponseHeader // where trailers go; nil where nobody wants them
	handover
}

var _ Streamed = (*body)(nil)

// framing is how the end of a body shows (RFC 9112 §6.3).
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// errAbandoned is the end of a body that was closed before it was complete.
var errAbandoned = errors.New("the client did not take the whole body")

func newBody(x *exchange) *body {
	b := &body{conn: x.conn, upstream: x.upstream, upload: x.upload, left: x.answer.length, reusable: x.answer.keepAlive()}
	switch {
	case x.answer.chunked:
		b.framing = byChunks
	case x.answer.length < 0:
		b.framing, b.reusable = byClose, false
	}
	return b
}

// OnDone implements Streamed.
func (b *body) OnDone(f func(bytes int64, err error)) { b.done = f }

// Read implements io.Reader. A body that ends before it is complete gives io.ErrUnexpectedEOF, never io.EOF.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	piece, err := b.next(len(p))
	return copy(p, piece), err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo is as good as Read.
func (b *body) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo with one write for all that has arrived, without a copy. fasthttp sends each chunk of a body of
// unknown length at once, but keeps a body of known length until its buffer is full, unless the connection reads past that buffer.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	if by, ok := w.(io.ReaderFrom); ok && b.direct {
		return by.ReadFrom(struct{ io.Reader }{b})
	}
	start := b.read
	for {
		piece, err := b.next(1 << 30)
		if err == io.EOF {
			return b.read - start, nil
		}
		if err != nil {
			return b.read - start, err
		}
		if _, err := w.Write(piece); err != nil {
			return b.read - start, err
		}
	}
}

// next returns the next piece of the body, of at most limit bytes. It is valid until the next call. Every later call repeats an error.
func (b *body) next(limit int) ([]byte, error) {
	for b.err == nil {
		piece, err := b.piece(limit)
		if err != nil {
			b.end(err)
			break
		}
		if len(piece) > 0 {
			b.read += int64(len(piece))
			return piece, nil
		}
	}
	return nil, b.err
}

func (b *body) piece(limit int) ([]byte, error) {
	if b.framing == byLength && b.left == 0 {
		return nil, io.EOF
	}
	if b.long() {
		b.conn.widen()
	}
	arrived, err := b.conn.fill()
	if err != nil {
		if err == io.EOF && b.framing != byClose {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	b.full = len(arrived) >= smallRead
	used := min(len(arrived), limit)
	piece := arrived[:used]
	switch b.framing {
	case byLength:
		used = int(min(int64(used), b.left))
		piece = piece[:used]
		b.left -= int64(used)
	case byChunks:
		piece, used, err = b.chunks.next(arrived, limit)
	}
	if _, discarded := b.conn.reader.Discard(used); discarded != nil {
		return nil, discarded
	}
	return piece, err
}

// long reports whether so much has come, and is likely to come, that a larger buffer is worth its while.
func (b *body) long() bool {
	return b.full && b.conn.reader.Buffered() == 0 && (b.framing == byLength && b.left > largeRead || b.read > largeRead)
}

// end lets go of the connection.
func (b *body) end(err error) {
	complete := err == io.EOF
	if b.among != nil {
		b.among.remove(b.conn)
	}
	if complete && b.trail != nil {
		putTrailers(b.trail, b.chunks.trailers)
	}
	if !b.conn.unwatch() {
		b.reusable = false
		if !complete {
			err = errAbandoned
		}
	}
	b.err = err
	if !complete {
		b.conn.discard()
	}
	if b.upload != nil && !b.upload.stop() {
		b.reusable = false
	}
	if complete {
		b.conn.finish(b.upstream, b.reusable)
	}
	b.conn, b.upload = nil, nil
}

// Close implements io.Closer. It may be called more than once.
func (b *body) Close() error {
	if b.closed || b.handedOver() {
		return nil
	}
	b.closed = true
	if b.err == nil && b.framing == byLength && b.left == 0 {
		b.end(io.EOF) // complete, though nobody has read as far as its end
	}
	if b.err == nil {
		b.end(errAbandoned)
	}
	if b.done != nil {
		err := b.err
		if err == io.EOF {
			err = nil
		}
		b.done(b.read, err)
	}
	return nil
}
