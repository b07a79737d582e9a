package gateway

import (
	"net"
	"strings"

	"github.com/valyala/fasthttp"
)

// redirect answers on the HTTP address: a known host is sent to HTTPS, with path and query as they are, except for a CA's challenge.
func (g *Gateway) redirect(ctx *fasthttp.RequestCtx) {
	x := g.begin(ctx)
	defer g.finish(x)
	defer g.rescue(x)
	if r := g.serveRedirect(x); r != nil {
		x.refuse(r)
	}
}

func (g *Gateway) serveRedirect(x *exchange) *refusal {
	if x.malformed != nil {
		return x.malformed
	}
	if r := x.readTarget(); r != nil {
		return r
	}
	if r := x.readHost(); r != nil {
		return r
	}
	t, shared := x.owner(x.host)
	if t == nil && !shared {
		return refuseUnknownHost
	}
	x.tenant = t
	if !x.answerChallenge() {
		x.redirectTo(x.host, g.httpsPort())
	}
	return nil
}

// httpsPort is the port that tenants.yaml gives for HTTPS, or the real one where it says 0.
func (g *Gateway) httpsPort() []byte {
	_, port, _ := net.SplitHostPort(g.registry.Current().Gateway().HTTPS)
	if port == "0" {
		_, port, _ = net.SplitHostPort(g.https.String())
	}
	return []byte(port)
}

// redirectToCanonical sends the tenant's other names to its first where it wants that, and reports whether it did. The API stays under
// all names: scripts of pages that are open already call it, a preflight must not be redirected (Fetch §4.8), and a redirect would
// make its requests cross-origin. So do WebSockets, whose clients follow no redirect.
func (x *exchange) redirectToCanonical() bool {
	if !x.tenant.RedirectToCanonical || x.api || x.claims.webSocket {
		return false
	}
	canonical := x.tenant.Domains[0]
	if strings.HasPrefix(canonical, "*.") || canonical == string(x.host) {
		return false
	}
	x.redirectTo([]byte(canonical), x.port)
	return true
}

// redirectTo answers 308, which keeps method and body.
func (x *exchange) redirectTo(host, port []byte) {
	location := append(x.scratch[:0], "https://"...)
	location = append(location, host...)
	if !isDefaultPort(port) {
		location = append(append(location, ':'), port...)
	}
	if target := x.ctx.Request.Header.RequestURI(); !x.isAsterisk(target) {
		location = append(location, target...)
	}
	x.scratch = location
	x.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, location)
	x.ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
}
