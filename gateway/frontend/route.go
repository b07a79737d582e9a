package frontend

import (
	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// destination is what serves a request, and the route that leads to it: nil where a tenant has none.
type destination struct {
	*tenant.Frontend
	route  *tenant.Route
	health *tenant.Health
}

// frontendOf finds out by the path which of t's frontends serves ctx.
func frontendOf(ctx *fasthttp.RequestCtx, t *tenant.Tenant) destination {
	if t.Frontend.Routes == nil {
		return destination{&t.Frontend, nil, &t.Health}
	}
	r := t.Frontend.Routes.Find(ctx.Path())
	return destination{&r.To, r, &r.Health}
}

// choice is where the destination's requests may go.
func (d destination) choice() choice {
	return choice{url: d.URL, list: d.Upstreams, health: d.health}
}

// mount is the prefix at which a folder is laid; "" is the root of the site.
func (d destination) mount() string {
	if d.route == nil || !d.route.Replaced {
		return ""
	}
	return d.route.Prefix
}

// appendTarget writes the target of a request as the server of a route gets it: with another prefix, where the route says so. What follows
// the prefix stays as it came, but for slashes at its start, of which one is left: "//" would begin an authority. ok is false for a target
// that does not begin with the prefix.
func appendTarget(b, target []byte, route *tenant.Route) (_ []byte, ok bool) {
	if route == nil || !route.Replaced || target[0] != '/' {
		return append(b, target...), true
	}
	rest, ok := pastPrefix(target, route.Prefix)
	if !ok {
		return b, false
	}
	b = append(b, route.Replacement...)
	tail := withoutSlashes(rest)
	if len(tail) < len(rest) || route.Replacement == "" {
		b = append(b, '/')
	}
	return append(b, tail...), true
}

// pastPrefix returns what follows a prefix in a target, which is compared as the gateway reads a path: decoded, and with repeated slashes merged.
func pastPrefix[T string | []byte](target T, prefix string) (rest T, ok bool) {
	i := 0
	for n := range len(prefix) {
		if prefix[n] == '/' {
			rest := withoutSlashes(target[i:])
			if len(rest) == len(target[i:]) {
				return rest, false
			}
			i = len(target) - len(rest)
			continue
		}
		c, size := firstByte(target[i:])
		if size == 0 || c != prefix[n] {
			return rest, false
		}
		i += size
	}
	return target[i:], true
}

// withoutSlashes leaves out the slashes that a part of a path begins with, in either form.
func withoutSlashes[T string | []byte](path T) T {
	for {
		c, size := firstByte(path)
		if size == 0 || c != '/' {
			return path
		}
		path = path[size:]
	}
}

// firstByte returns the first byte of a path and how many bytes stand for it.
func firstByte[T string | []byte](path T) (c byte, size int) {
	switch {
	case len(path) == 0:
		return 0, 0
	case path[0] == '%' && len(path) > 2:
		high, ok1 := grammar.HexDigit(path[1])
		low, ok2 := grammar.HexDigit(path[2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	return path[0], 1
}
