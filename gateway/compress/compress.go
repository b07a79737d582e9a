// Package compress compresses answers on their way out: zstd, br or gzip, as the client prefers and the tenant allows.
//
//	c := compress.New()
//	c.Answer(ctx, t, isAPI)
//
// It works on an answer that is complete but for its bytes on the wire, whoever made it: an upstream, a folder, the API or a page of
// the gateway. A body that is in memory is compressed at once; a stream is compressed piece by piece, in the goroutine that sends it, and
// what has come leaves before the next piece is waited for.
//
// It never touches what is encoded already, partial, without content, text/event-stream, or marked no-transform, and it stores nothing.
package compress

import (
	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// minSize is the size in bytes below which compression saves no packet. A body of unknown length counts as large.
const minSize = 1 << 10

// Stored is an answer whose body is the same each time, so that it need not be compressed anew.
type Stored interface {
	// Coded returns the body in a coding: nil if nobody has kept it, and without a byte if it gets no shorter.
	Coded(tenant.Coding) []byte
	// Keep keeps the body in a coding, of which it makes a copy; without a byte if it gets no shorter.
	Keep(coding tenant.Coding, body []byte)
}

// Compressor compresses the answers of all tenants. It may be used by any number of goroutines at once.
type Compressor struct{ streams streams }

// New returns a Compressor.
func New() *Compressor { return &Compressor{streams{open: map[string]int{}}} }

// Answer compresses ctx's response, if that is right, and says in Vary that it depends on Accept-Encoding. api says that the answer is
// an API's, in which a secret may stand beside what the client has sent: see guarded.
func (c *Compressor) Answer(ctx *fasthttp.RequestCtx, t *tenant.Tenant, api bool) {
	c.AnswerStored(ctx, t, api, nil)
}

// AnswerStored is Answer for a response whose body is that of a stored answer; nil is none.
func (c *Compressor) AnswerStored(ctx *fasthttp.RequestCtx, t *tenant.Tenant, api bool, stored Stored) {
	if t.Compress.IsZero() {
		return
	}
	response := &ctx.Response
	if response.StatusCode() == fasthttp.StatusNotModified {
		matchStored(ctx)
		return
	}
	if !compressible(response.Header.ContentType()) {
		return
	}
	coding, plain := choose(ctx.Request.Header.PeekAll("Accept-Encoding"), t.Compress)
	if plain && !response.IsBodyStream() && len(response.Body()) > 0 && len(response.Body()) < minSize {
		return // most small answers are no HEAD's, and need no look at their fields
	}
	var f fields
	f.read(&response.Header)
	if !mayHaveContent(response.StatusCode()) || f.fixed || api && (f.secret || !isSafe(ctx)) {
		return
	}
	if n := size(ctx, &f); n >= 0 && n < minSize && (plain || n == 0) {
		return
	}
	f.vary(&response.Header)
	if coding == tenant.Identity || !ctx.Request.Header.IsHTTP11() || api && guarded(ctx) || unwanted(ctx) {
		return
	}
	if c.body(ctx, t, coding, stored) {
		f.encode(&response.Header, coding)
	}
}

// body replaces the response's body. It reports false where the body stays as it is.
func (c *Compressor) body(ctx *fasthttp.RequestCtx, t *tenant.Tenant, coding tenant.Coding, stored Stored) bool {
	response := &ctx.Response
	switch {
	case response.IsBodyStream():
		return c.stream(ctx, t.Slug, coding)
	case len(response.Body()) > 0 && stored != nil:
		return recall(response, coding, stored)
	case len(response.Body()) > 0:
		return whole(response, coding)
	default:
		// An answer to HEAD, whose fields are those of GET (RFC 9110 §9.3.2). How long GET's would be is not known.
		response.Header.Del(fasthttp.HeaderContentLength)
		return true
	}
}

// recall puts in the body as it was compressed for another client, or keeps it for the next one.
func recall(response *fasthttp.Response, coding tenant.Coding, stored Stored) bool {
	body := stored.Coded(coding)
	if body == nil {
		shorter := whole(response, coding)
		if shorter {
			body = response.Body()
		}
		stored.Keep(coding, body)
		return shorter
	}
	if len(body) > 0 {
		response.SetBodyRaw(body)
	}
	return len(body) > 0
}

// whole compresses a body that is in memory. One that does not get shorter stays as it is.
func whole(response *fasthttp.Response, coding tenant.Coding) bool {
	w := take(coding)
	defer w.release()
	w.write(response.Body())
	w.close()
	if w.err != nil || len(w.out) >= len(response.Body()) {
		return false
	}
	response.SwapBody(append(response.SwapBody(nil)[:0], w.out...)) // in the memory that it has
	return true
}

// mayHaveContent reports whether an answer of this status is all of a representation. 206 is a part of one, whose bytes were counted
// without a coding.
func mayHaveContent(status int) bool {
	switch status {
	case fasthttp.StatusNoContent, fasthttp.StatusResetContent, fasthttp.StatusPartialContent, fasthttp.StatusNotModified:
		return false
	}
	return status >= fasthttp.StatusOK
}

// size is the length of the body, or what Content-Length tells of the one that HEAD leaves out; -1 if it is not known.
func size(ctx *fasthttp.RequestCtx, f *fields) int {
	response := &ctx.Response
	if response.IsBodyStream() || ctx.IsHead() && len(response.Body()) == 0 {
		return f.length
	}
	return len(response.Body())
}

// isSafe reports whether a request only reads (RFC 9110 §9.2.1). The answers to others are small, and hand out tokens.
func isSafe(ctx *fasthttp.RequestCtx) bool { return ctx.IsGet() || ctx.IsHead() }

// guarded reports whether another site's page may have sent the request with its visitor's cookies. Such a page could learn a secret
// in the answer from its compressed length, by sending guesses that the answer repeats (BREACH). Browsers say where a request comes
// from, and pages cannot change what they say.
func guarded(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	return string(h.Peek("Sec-Fetch-Site")) == "cross-site" && len(h.Peek("Cookie")) > 0
}

// unwanted reports whether the client wants the answer as it was made (RFC 9111 §5.2.1.6).
func unwanted(ctx *fasthttp.RequestCtx) bool {
	return hasElement(ctx.Request.Header.Peek("Cache-Control"), "no-transform")
}
