package api

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// fromOwnPage reports whether the browser says that a page of the tenant's own hosts sends the request. known is false where no
// browser says anything.
func (a *API) fromOwnPage(r *request) (own, known bool) {
	header := &r.http.Request.Header
	if origin := header.Peek(fasthttp.HeaderOrigin); len(origin) > 0 {
		return a.ownOrigin(r, origin), true
	}
	if site := header.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return string(site) == "same-origin", true
	}
	return false, false
}

// ownOrigin reports whether an Origin (RFC 6454 §7) is https, of a host of the tenant, and on the port that the request came to or
// the default one. "null" is nobody's.
func (a *API) ownOrigin(r *request, origin []byte) bool {
	authority, ok := bytes.CutPrefix(origin, []byte("https://"))
	if !ok {
		return false
	}
	host, port, err := tenant.CanonicalHost(nil, authority)
	if err != nil {
		return false
	}
	_, ours, err := tenant.CanonicalHost(nil, r.http.Host())
	if err != nil || len(port) > 0 && !bytes.Equal(port, ours) {
		return false
	}
	owner, ok := a.registry.Current().Lookup(host)
	return ok && owner.Slug == r.tenant.Slug
}
