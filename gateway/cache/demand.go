package cache

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// demand is what a request says to a cache.
type demand struct {
	control
	anonymous bool // it shows neither a cookie nor a password
	foreign   bool // it is none that a cache may answer, or keep the answer of
}

// Names as fasthttp keeps them.
var (
	authorizationKey     = []byte("Authorization")
	cookieKey            = []byte("Cookie")
	rangeKey             = []byte("Range")
	upgradeKey           = []byte("Upgrade")
	ifMatchKey           = []byte("If-Match")
	ifUnmodifiedSinceKey = []byte("If-Unmodified-Since")
	rscKey               = []byte("Rsc")
)

// previews are the cookies by which Next.js shows an editor what is not published yet.
var previews = [][]byte{[]byte("__prerender_bypass="), []byte("__next_preview_data=")}

// read reads a GET or HEAD.
func (d *demand) read(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	*d = demand{control: newControl()}
	cookie := h.PeekCanonical(cookieKey)
	d.anonymous = len(cookie) == 0 && len(h.PeekCanonical(authorizationKey)) == 0
	const chunked = -1
	length := h.ContentLength()
	d.foreign = length > 0 || length == chunked || // an origin may read the body, which is no part of the key
		len(h.PeekCanonical(rangeKey)) > 0 || len(h.PeekCanonical(upgradeKey)) > 0 ||
		len(h.PeekCanonical(ifMatchKey)) > 0 || len(h.PeekCanonical(ifUnmodifiedSinceKey)) > 0 || // for the origin alone (RFC 9111 §4.3.2)
		len(cookie) > 0 && isPreview(cookie)
	if len(h.PeekCanonical(cacheControlKey)) > 0 {
		for _, list := range h.PeekAll("Cache-Control") {
			d.control.read(list)
		}
	}
}

func isPreview(cookie []byte) bool {
	for _, name := range previews {
		if bytes.Contains(cookie, name) {
			return true
		}
	}
	return false
}

// unsafe reports whether a method may change what is kept (RFC 9111 §4.4).
func unsafe(h *fasthttp.RequestHeader) bool {
	return !h.IsGet() && !h.IsHead() && !h.IsOptions() && !h.IsTrace()
}
