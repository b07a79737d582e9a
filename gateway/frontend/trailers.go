package frontend

import (
	"bytes"
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// trailed is a request's body, or the connection that it comes on, which knows what came behind the content: lines that each end in CRLF,
// checked, once the content is at its end.
type trailed interface{ Trailers() []byte }

// trailersBehind returns what came behind a body that is at its end.
func trailersBehind(body io.Reader, client net.Conn) []byte {
	if t, ok := body.(trailed); ok {
		return t.Trailers()
	}
	if t, ok := client.(trailed); ok {
		return t.Trailers()
	}
	return nil
}

// mayTrail reports whether a field of an answer may come behind its content: what a cache goes by is too late there as well (RFC 9110
// §6.5.1).
func mayTrail(name []byte) bool {
	switch len(name) {
	case 3:
		return !grammar.EqualFold(name, "age")
	case 4:
		return !grammar.EqualFold(name, "date") && !grammar.EqualFold(name, "vary") && grammar.MayTrail(name)
	case 7:
		return !grammar.EqualFold(name, "expires") && grammar.MayTrail(name)
	case 11:
		return !grammar.EqualFold(name, "retry-after") && grammar.MayTrail(name)
	case 13:
		return !grammar.EqualFold(name, "cache-control") && grammar.MayTrail(name)
	}
	return grammar.MayTrail(name)
}

// announceTrailers passes on which trailers the upstream will send, but those that may not be any, or that are in the head already.
func (x *exchange) announceTrailers() {
	h := &x.ctx.Response.Header
	for _, f := range x.answer.fields {
		if !grammar.EqualFold(f.name, "trailer") {
			continue
		}
		for name := range bytes.SplitSeq(f.value, comma) {
			if name = grammar.Trim(name); grammar.IsToken(name) && mayTrail(name) && len(h.PeekBytes(name)) == 0 {
				_ = h.AddTrailerBytes(name) // fasthttp refuses no name that mayTrail does not
			}
		}
	}
}

// TrailTo has the trailers of the answer put into h, the header of the response that b is the body of, when b has been read to its end. What
// is no field, or may not be a trailer, is left out.
func (b *body) TrailTo(h *fasthttp.ResponseHeader) { b.trail = h }

// putTrailers takes lines that each end in CRLF. The head has been sent: where it had a field of the same name, that is no trailer.
func putTrailers(h *fasthttp.ResponseHeader, lines []byte) {
	for f := range trailerFields(lines) {
		if !isAnnounced(h, f.name) {
			h.DelBytes(f.name)
			_ = h.AddTrailerBytes(f.name)
		}
		h.AddBytesKV(f.name, f.value)
	}
}

// PassTrailers adds the trailers of one head to another, whose answer they belong to, as TrailTo would have done.
func PassTrailers(to, from *fasthttp.ResponseHeader) {
	for name := range from.Trailers() {
		if !isAnnounced(to, name) {
			to.DelBytes(name)
			_ = to.AddTrailerBytes(name)
		}
		for _, value := range from.PeekAll(string(name)) {
			to.AddBytesKV(name, value)
		}
	}
}

func trailerFields(lines []byte) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for line := range bytes.SplitSeq(lines, lineEnd) {
			name, value, ok := bytes.Cut(line, []byte(":"))
			if ok && grammar.IsToken(name) && mayTrail(name) && !yield(field{name, grammar.Trim(value)}) {
				return
			}
		}
	}
}

func isAnnounced(h *fasthttp.ResponseHeader, name []byte) bool {
	for _, known := range h.PeekTrailerKeys() {
		if bytes.EqualFold(known, name) {
			return true
		}
	}
	return false
}
