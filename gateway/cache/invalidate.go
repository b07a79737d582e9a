package cache

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// invalidate drops what a request with an unsafe method may have changed: its own URL, and those of the same host that the answer names
// (RFC 9111 §4.4).
func (c *Cache) invalidate(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	if status := ctx.Response.StatusCode(); status < 200 || status >= 400 {
		return
	}
	s := c.shelf(t)
	if s == nil {
		return
	}
	h := &ctx.Request.Header
	s.invalidate(appendKey(nil, h, false, h.RequestURI()))
	for name, value := range ctx.Response.Header.All() {
		if !grammar.EqualFold(name, "location") && !grammar.EqualFold(name, "content-location") {
			continue
		}
		if target, ok := sameHost(string(h.Host()), string(h.RequestURI()), string(value)); ok {
			s.invalidate(appendKey(nil, h, false, []byte(target)))
		}
	}
}

// sameHost returns the target of a URL that stands in the answer to a request, if it is one of the same host.
func sameHost(host, target, reference string) (string, bool) {
	base, err := url.Parse("https://" + host + target)
	if err != nil {
		return "", false
	}
	u, err := base.Parse(reference)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !strings.EqualFold(u.Host, host) {
		return "", false
	}
	return u.RequestURI(), true
}
