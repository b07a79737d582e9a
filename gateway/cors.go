package gateway

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	corsMaxAge  = "7200" // seconds; the most that Chromium keeps
	corsExposed = "X-Request-ID, Retry-After"
)

// answerOptions answers preflights of the API, which never reach it, and "OPTIONS *". It reports whether it did.
func (x *exchange) answerOptions() bool {
	if !x.ctx.IsOptions() {
		return false
	}
	h := &x.ctx.Request.Header
	if x.isAsterisk(h.RequestURI()) {
		x.ctx.Response.Header.Set(fasthttp.HeaderAllow, corsMethods)
		x.ctx.SetStatusCode(fasthttp.StatusNoContent)
		return true
	}
	if !x.api || len(h.Peek(fasthttp.HeaderOrigin)) == 0 || len(h.Peek(fasthttp.HeaderAccessControlRequestMethod)) == 0 {
		return false
	}
	if !x.isOwnOrigin() {
		x.refuse(refuseForeignOrigin)
		return true
	}
	x.preflight = true
	x.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return true
}

// writeCORS lets pages of the tenant's own domains, and nobody else's, read what the API answers. Whatever a backend said of origins
// is removed.
func (x *exchange) writeCORS() {
	if !x.api {
		return
	}
	h := &x.ctx.Response.Header
	dropCORS(h)
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	if x.tenant == nil || !x.isOwnOrigin() {
		return
	}
	request := &x.ctx.Request.Header
	h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, request.Peek(fasthttp.HeaderOrigin))
	h.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
	if !x.preflight {
		h.Set(fasthttp.HeaderAccessControlExposeHeaders, corsExposed)
		return
	}
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderAccessControlRequestHeaders)
	h.Set(fasthttp.HeaderAccessControlAllowMethods, corsMethods)
	h.Set(fasthttp.HeaderAccessControlMaxAge, corsMaxAge)
	if names := request.Peek(fasthttp.HeaderAccessControlRequestHeaders); len(names) > 0 {
		h.SetBytesV(fasthttp.HeaderAccessControlAllowHeaders, names) // "*" would not stand for all of them where cookies are sent
	}
}

// isOwnOrigin reports whether the request's Origin is a page of its tenant: https, a host of the tenant, and either the port that the
// request came to or the default one.
func (x *exchange) isOwnOrigin() bool {
	origin := x.ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return false
	}
	var buffer [256]byte
	scheme, host, port, ok := splitOrigin(buffer[:0], origin)
	if !ok || string(scheme) != "https" {
		return false
	}
	t, _ := x.directory.Lookup(host)
	return t == x.tenant && (isDefaultPort(port) || bytes.Equal(port, x.port))
}

func isDefaultPort(port []byte) bool { return len(port) == 0 || string(port) == "443" }

// dropCORS removes every Access-Control field of a response.
func dropCORS(h *fasthttp.ResponseHeader) {
	var names [][]byte
	for name := range h.All() {
		if hasNamePrefix(name, "access-control-") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		h.DelBytes(name)
	}
}
