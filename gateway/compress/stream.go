package compress

import (
	"errors"
	"io"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// Source is a streamed body that can be compressed. A body of another type stays as it is.
type Source interface {
	io.ReadCloser
	// Ready reports whether a Read would return at once, be it with an error. While it is false, all that has been read must be on its
	// way to the client.
	Ready() bool
	// Handover makes the next Close do nothing: fasthttp closes a body when another takes its place.
	Handover()
}

// stream puts a compressed body in place of the response's. It reports false if that one cannot be, or too many are on their way.
func (c *Compressor) stream(ctx *fasthttp.RequestCtx, slug string, coding tenant.Coding) bool {
	source, ok := ctx.Response.BodyStream().(Source)
	if !ok || !c.streams.claim(slug) {
		return false
	}
	b := &body{source: source, work: take(coding), streams: &c.streams, slug: slug}
	source.Handover()
	ctx.Response.SetBodyStream(b, -1)
	return true
}

// body is a source, compressed as it is read. It implements frontend.Streamed.
type body struct {
	source  Source
	work    *work // nil once it is closed
	streams *streams
	slug    string

	rest []byte // of work.out, for Read
	sent int64
	err  error // why there is no more, io.EOF after a complete body
	done func(bytes int64, err error)
}

// errAbandoned is the end of a body that was closed before it was complete.
var errAbandoned = errors.New("the client did not take the whole body")

// OnDone registers f, which Close calls once with the number of compressed bytes and with why the body ended. See frontend.Streamed.
func (b *body) OnDone(f func(bytes int64, err error)) { b.done = f }

// TrailTo lets the trailers of the source through, if it has any: as that of a frontend does.
func (b *body) TrailTo(h *fasthttp.ResponseHeader) {
	if source, ok := b.source.(interface {
		TrailTo(*fasthttp.ResponseHeader)
	}); ok {
		source.TrailTo(h)
	}
}

// Read implements io.Reader. When the source ends with an error, so does the body: it has no proper end that would make half a page
// look whole.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.rest) == 0 {
		var err error
		if b.rest, err = b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	b.sent += int64(n)
	return n, nil
}

// SupportsBodyWriteTo tells fasthttp that WriteTo is as good as Read.
func (b *body) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo with one write for all that could be compressed without waiting.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	start := b.sent
	for {
		piece, err := b.next()
		if err == io.EOF {
			return b.sent - start, nil
		}
		if err != nil {
			return b.sent - start, err
		}
		n, err := w.Write(piece)
		b.sent += int64(n)
		if err != nil {
			b.err = errAbandoned
			return b.sent - start, err
		}
	}
}

// maxPiece is how much is compressed, in bytes, before it is sent even though more is there.
const maxPiece = 16 << 10

// next returns the next compressed bytes, at least one. They are valid until the next call.
func (b *body) next() ([]byte, error) {
	if b.work == nil {
		return nil, errAbandoned
	}
	w := b.work
	w.out = w.out[:0]
	for b.err == nil && len(w.out) < maxPiece {
		b.read()
		if b.err != nil || b.source.Ready() {
			continue
		}
		w.flush()
		if b.err = w.err; len(w.out) > 0 {
			break
		}
	}
	if len(w.out) > 0 {
		return w.out, nil
	}
	return nil, b.err
}

// read compresses what one Read of the source gives. What came before an error is still sent.
func (b *body) read() {
	w := b.work
	n, err := b.source.Read(w.in[:])
	w.write(w.in[:n])
	switch err {
	case nil:
	case io.EOF:
		w.close()
	default:
		w.flush()
	}
	if b.err = err; w.err != nil {
		b.err = w.err
	}
}

// Close implements io.Closer. It may be called more than once.
func (b *body) Close() error {
	if b.work == nil {
		return nil
	}
	complete := b.err == io.EOF && len(b.rest) == 0
	err := b.source.Close()
	b.work.release()
	b.work, b.rest = nil, nil
	b.streams.free(b.slug)
	if b.done != nil {
		b.done(b.sent, b.outcome(complete))
	}
	return err
}

func (b *body) outcome(complete bool) error {
	switch {
	case complete:
		return nil
	case b.err == nil, b.err == io.EOF:
		return errAbandoned
	}
	return b.err
}
