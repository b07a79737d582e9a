package gateway

import (
	"net/http"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// trailing is who knows what came behind a body.
type trailing interface {
	eachTrailer(add func(name, value string))
}

// Trailers returns the fields that came behind the body, as lines that each end in CRLF. They are there once Read has returned io.EOF. What
// may not stand there is left out.
func (b *streamBody) Trailers() (lines []byte) {
	b.behind.eachTrailer(func(name, value string) {
		if grammar.IsToken(name) && grammar.IsFieldValue([]byte(value)) && grammar.MayTrail([]byte(name)) {
			lines = append(append(append(append(lines, name...), ": "...), value...), "\r\n"...)
		}
	})
	return lines
}

// http2Trailers are those that net/http has read: the ones that the request had announced (RFC 9110 §6.6.2).
type http2Trailers http.Request

func (r *http2Trailers) eachTrailer(add func(name, value string)) {
	for name, values := range r.Trailer {
		for _, value := range values {
			add(name, value)
		}
	}
}

func (b *http3Body) eachTrailer(add func(name, value string)) {
	for _, f := range b.content.Trailers {
		add(f.Name, f.Value)
	}
}

// trailed is the body of an answer that may bring trailers. TrailTo has it leave them in h, the header of the answer that it is the body of.
type trailed interface {
	TrailTo(h *fasthttp.ResponseHeader)
}

// expectTrailers lets the fields behind the body of the answer through, whether it goes out as it came or compressed.
func (x *exchange) expectTrailers() {
	if body, ok := x.ctx.Response.BodyStream().(trailed); ok {
		body.TrailTo(&x.ctx.Response.Header)
	}
}
