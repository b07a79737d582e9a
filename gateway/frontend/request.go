package frontend

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// smallBody is the size in bytes up to which a request body is sent in one write with its head, and can be sent again. It is awaited
// before the upstream hears of the request, so a slow client costs it nothing.
const smallBody = 8 << 10

var (
	errBadTarget = errors.New("the request target is not a path")
	errBadField  = errors.New("a request field is not a token")
)

// request is one message to an upstream, written from the parsed fields of a client's request.
type request struct {
	bytes      []byte    // the head, and the body if it is small
	upload     io.Reader // the body if it is not in bytes
	length     int64     // of upload, or -1
	body       int       // bytes of a small body
	isHead     bool
	idempotent bool // it may be sent twice (RFC 9110 §9.2.2)
	websocket  bool // it asks for an upgrade to websocket
	connection []byte
}

// build writes ctx's request for the tenant with slug, as the server of route gets it; route may be nil. An error is the client's fault.
func (r *request) build(ctx *fasthttp.RequestCtx, slug string, route *tenant.Route) error {
	h := &ctx.Request.Header
	target := h.RequestURI()
	if !isOriginForm(target) {
		return errBadTarget
	}
	method := h.Method()
	if !grammar.IsToken(method) {
		return errBadField
	}
	*r = request{bytes: r.bytes[:0], connection: r.connection[:0], isHead: h.IsHead(), idempotent: idempotent(method)}
	b, ok := appendTarget(append(append(r.bytes, method...), ' '), target, route)
	if !ok {
		return errBadTarget
	}
	b = append(b, " HTTP/1.1\r\n"...)
	b = append(append(append(b, "Host: "...), h.Host()...), "\r\n"...)
	r.bytes = b
	if err := r.appendFields(h); err != nil {
		return err
	}
	r.bytes = append(append(append(r.bytes, "X-Tenant: "...), slug...), "\r\n"...)
	if route != nil && route.Replaced && route.Prefix != "" {
		r.bytes = append(append(append(r.bytes, "X-Forwarded-Prefix: "...), route.Address...), "\r\n"...)
	}
	return r.appendBody(ctx)
}

// isOriginForm reports whether a target is a path with an optional query, or "*" (RFC 9112 §3.2). The gateway has brought an absolute
// form to this one.
func isOriginForm(target []byte) bool {
	return len(target) > 0 && (target[0] == '/' || string(target) == "*") && grammar.IsTarget(target)
}

func idempotent(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodPut, fasthttp.MethodDelete, fasthttp.MethodOptions, fasthttp.MethodTrace:
		return true
	}
	return false
}

// appendFields writes the fields that go end to end. Cookies are taken first, as they came: reading all fields rewrites them.
func (r *request) appendFields(h *fasthttp.RequestHeader) error {
	start := len(r.bytes)
	cookies := h.PeekAll("Cookie")
	if err := r.appendFieldsBut(h, cookies, nil); err != nil {
		return err
	}
	if namesFields(r.connection) {
		// Rare, so it costs a second pass only then.
		r.bytes = r.bytes[:start]
		return r.appendFieldsBut(h, cookies, bytes.Clone(r.connection))
	}
	return nil
}

// appendFieldsBut leaves out the fields that dropped, a list of Connection options, names; it collects the options it meets.
func (r *request) appendFieldsBut(h *fasthttp.RequestHeader, cookies [][]byte, dropped []byte) error {
	for _, value := range cookies {
		if !hasOption(dropped, []byte("cookie")) {
			r.appendField([]byte("Cookie"), value)
		}
	}
	upgrade := false
	for name, value := range h.All() {
		switch {
		case grammar.EqualFold(name, "connection"):
			r.connection = append(append(r.connection, value...), ',')
			continue
		case grammar.EqualFold(name, "upgrade"):
			upgrade = upgrade || grammar.EqualFold(value, "websocket")
			continue
		case grammar.EqualFold(name, "cookie") && len(cookies) > 0, writtenApart(name), grammar.IsHopByHop(name):
			continue
		case len(dropped) > 0 && hasOption(dropped, name) && !reserved(name):
			continue
		}
		if !grammar.IsToken(name) || !grammar.IsFieldValue(value) {
			return errBadField
		}
		r.appendField(name, value)
	}
	r.websocket = upgrade && h.IsGet() && h.IsHTTP11() && hasOption(r.connection, []byte("upgrade"))
	return nil
}

// writtenApart reports whether build writes the field itself. Expect is answered by the gateway's own server.
func writtenApart(name []byte) bool {
	return grammar.EqualFold(name, "host") || grammar.EqualFold(name, "x-tenant") || grammar.EqualFold(name, "content-length") || grammar.EqualFold(name, "expect")
}

func (r *request) appendField(name, value []byte) {
	b := append(append(r.bytes, name...), ": "...)
	r.bytes = append(append(b, value...), "\r\n"...)
}

// appendBody writes the framing fields, the empty line, and the body if it is small.
func (r *request) appendBody(ctx *fasthttp.RequestCtx) error {
	if r.websocket {
		r.bytes = append(r.bytes, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
		return nil
	}
	stream := ctx.RequestBodyStream()
	if stream == nil {
		body := ctx.Request.Body()
		r.body = len(body)
		r.appendLength(ctx, int64(len(body)))
		r.bytes = append(r.bytes, body...)
		return nil
	}
	switch length := int64(ctx.Request.Header.ContentLength()); {
	case length < 0:
		r.upload, r.length = stream, -1
		r.bytes = append(r.bytes, "Transfer-Encoding: chunked\r\n\r\n"...)
		return nil
	case length > smallBody:
		r.upload, r.length = stream, length
		r.appendLength(ctx, length)
		return nil
	default:
		r.body = int(length)
		r.appendLength(ctx, length)
		return r.appendSmall(stream, int(length))
	}
}

// appendLength ends the head. A method that expects a body says that there is none (RFC 9110 §8.6).
func (r *request) appendLength(ctx *fasthttp.RequestCtx, length int64) {
	h := &ctx.Request.Header
	if length > 0 || h.IsPost() || h.IsPut() || h.IsPatch() {
		r.bytes = append(strconv.AppendInt(append(r.bytes, "Content-Length: "...), length, 10), "\r\n"...)
	}
	r.bytes = append(r.bytes, "\r\n"...)
}

func (r *request) appendSmall(body io.Reader, length int) error {
	start := len(r.bytes)
	r.bytes = append(r.bytes, make([]byte, length)...)
	if _, err := io.ReadFull(body, r.bytes[start:]); err != nil {
		return bodyError{err}
	}
	return nil
}

// bodyError is a request body that did not arrive from the client.
type bodyError struct{ cause error }

// Error implements error.
func (e bodyError) Error() string { return "the request body did not arrive: " + e.cause.Error() }

// Unwrap gives the cause to errors.As.
func (e bodyError) Unwrap() error { return e.cause }
