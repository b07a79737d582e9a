package frontend

import (
	"errors"
	"io"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// deliver passes the answer on: whole, if its body is in the read buffer already, else as a stream.
func (x *exchange) deliver() error {
	if x.answer.status == 101 {
		return x.openTunnel()
	}
	resp := &x.ctx.Response
	x.copyFields()
	if x.answer.bodiless(x.request.isHead) {
		resp.SkipBody = true
		x.finish()
		return nil
	}
	if x.takeWhole() {
		x.finish()
		return nil
	}
	return x.stream()
}

// copyFields copies status and fields into the response, as they are but for those that are the connection's or the gateway's own, and a
// Location that leads to the upstream.
func (x *exchange) copyFields() {
	h := &x.ctx.Response.Header
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	h.SetStatusCode(x.answer.status)
	encodings := 0
	for _, f := range x.answer.fields {
		if grammar.IsHopByHop(f.name) || x.answer.named && hasOption(x.answer.connection, f.name) || x.ours(f.name) {
			continue
		}
		if grammar.EqualFold(f.name, "content-encoding") {
			// fasthttp keeps one value only; a list says the same (RFC 9110 §5.3).
			if encodings++; encodings > 1 {
				list := append(append([]byte(nil), h.ContentEncoding()...), ", "...)
				h.SetContentEncodingBytes(append(list, f.value...))
				continue
			}
		}
		if grammar.EqualFold(f.name, "location") {
			f.value = x.upstream.withoutOrigin(f.value)
		}
		h.AddBytesKV(f.name, f.value)
	}
}

// ours reports whether the gateway writes a field itself: the request's id, and for an API what origins are allowed.
func (x *exchange) ours(name []byte) bool {
	return grammar.EqualFold(name, "x-request-id") || x.backend && grammar.HasPrefixFold(name, "access-control-allow-")
}

// takeWhole sets the response's body if all of it has arrived, so that the connection is free at once and the client gets one write.
func (x *exchange) takeWhole() bool {
	r, resp := x.conn.reader, &x.ctx.Response
	buffered, _ := r.Peek(r.Buffered())
	switch {
	case x.answer.length >= 0 && x.answer.length <= int64(len(buffered)):
		resp.SetBody(buffered[:x.answer.length])
		_, err := r.Discard(int(x.answer.length))
		return err == nil
	case x.answer.chunked:
		return x.takeWholeChunked(buffered)
	}
	return false
}

func (x *exchange) takeWholeChunked(buffered []byte) bool {
	piece := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(piece)
	body, ok := chunks{}.whole(piece[:0], buffered)
	if !ok {
		return false
	}
	x.ctx.Response.SetBody(body)
	_, err := x.conn.reader.Discard(len(buffered))
	return err == nil
}

// finish ends an exchange whose answer is complete. A request body that is still on its way is no longer wanted by anyone.
func (x *exchange) finish() {
	reusable := x.conn.unwatch() && x.answer.keepAlive()
	if x.upload != nil && !x.upload.stop() {
		x.ctx.SetConnectionClose()
		reusable = false
	}
	x.conn.finish(x.upstream, reusable)
}

// stream hands the response a body that is read from the upstream as the client takes it.
func (x *exchange) stream() error {
	b := newBody(x)
	if x.answer.events() {
		x.conn.linger()
		b.among = &x.server.events
		b.among.add(b.conn)
	}
	if b.framing == byChunks {
		x.announceTrailers()
	}
	if x.upload != nil && x.answer.status >= fasthttp.StatusBadRequest && !x.upload.stop() {
		// The upstream has refused the request's body, so the rest of it is not sent.
		x.ctx.SetConnectionClose()
		b.reusable = false
	}
	if b.framing != byLength && string(x.ctx.Request.Header.Protocol()) == "HTTP/1.0" {
		return x.deliverToHTTP10(b)
	}
	_, b.direct = x.ctx.Conn().(io.ReaderFrom)
	x.ctx.Response.ImmediateHeaderFlush = true // the body may take its time
	x.ctx.Response.SetBodyStream(b, int(x.answer.length))
	return nil
}

// maxHTTP10Body bounds what is kept in memory for a client that cannot read a body of unknown length.
const maxHTTP10Body = 8 << 20

func (x *exchange) deliverToHTTP10(b *body) error {
	defer b.Close()
	whole, err := io.ReadAll(io.LimitReader(b, maxHTTP10Body+1))
	if err != nil {
		return err
	}
	if len(whole) > maxHTTP10Body {
		return errTooLongForHTTP10
	}
	x.ctx.Response.SetBodyRaw(whole)
	return nil
}

var errTooLongForHTTP10 = errors.New("an answer of unknown length is too long for an HTTP/1.0 client")
