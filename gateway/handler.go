package gateway

import (
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/cache"
	"metahub/gateway/limit"
	"metahub/tenant"
)

// exchange is one request on its way through the gateway, with what has been found out about it so far.
type exchange struct {
	ctx       *fasthttp.RequestCtx
	gateway   *Gateway
	started   time.Time
	peer      *peer
	directory *tenant.Directory // in force for the whole request, even if another is published meanwhile
	claims    claims
	malformed *refusal // of the header fields
	tenant    *tenant.Tenant
	host      []byte // as tenant.CanonicalHost returns it
	port      []byte // as the client wrote it; empty for the default
	api       bool   // the path is /api or below it
	shared    bool   // the host is one of the API hosts
	preflight bool   // a CORS preflight that the gateway allows
	body      *countedBody
	client    []byte // the address that the request comes from
	id        []byte
	line      line
	cached    cache.Outcome
	granted

	clientAddr netip.Addr // client, for limits

	buffers // memory that is kept from request to request
}

type buffers struct {
	hostBytes, portBytes, idBytes, scratch, method, path []byte
	fields                                               [1]zap.Field
	slot                                                 *limit.Slot
}

// handle is the way of every request to a tenant, whatever protocol brought it.
func (g *Gateway) handle(ctx *fasthttp.RequestCtx) {
	x := g.begin(ctx)
	defer g.finish(x)
	defer g.rescue(x)
	if r := g.serve(x); r != nil {
		x.refuse(r)
	}
}

// serve answers, or returns why it did not.
func (g *Gateway) serve(x *exchange) *refusal {
	if r := g.admit(x); r != nil {
		if r == refuseNotAPI && x.answerChallenge() { // an API host has a certificate too
			return nil
		}
		return r
	}
	if r := x.admission(); r != nil {
		return r
	}
	x.stampHeaders()
	x.countBody()
	switch {
	case x.answerChallenge(), x.answerOptions(), x.redirectToCanonical():
		return nil
	case x.api && x.tenant.HasBackend(x.ctx.Path()):
		x.serveCached((*backends)(g), false)
	case x.api:
		x.line.upstream = &embedded
		g.api(x.ctx)
	case x.tenant.Frontend.HasUpstream(x.ctx.Path()):
		x.serveCached(g.frontends, true)
	default:
		g.frontends.Serve(x.ctx, x.tenant)
	}
	x.compress()
	return x.bodyFault()
}

// admit decides, by the head alone, whether the request goes on. Each step relies on the one before it.
func (g *Gateway) admit(x *exchange) *refusal {
	if x.malformed != nil {
		return x.malformed
	}
	if x.ctx.IsTrace() {
		return refuseTrace
	}
	if r := x.readTarget(); r != nil {
		return r
	}
	if r := x.identify(); r != nil {
		return r
	}
	if x.shared && !x.api {
		return refuseNotAPI
	}
	return x.checkLength()
}

// expect answers "Expect: 100-continue": a request that will be refused anyway is refused before its body is sent.
func (g *Gateway) expect(ctx *fasthttp.RequestCtx) int {
	x := g.begin(ctx)
	r := g.admit(x)
	if r == nil {
		r = x.prepay()
	}
	if r == nil {
		g.release(x)
		return fasthttp.StatusContinue
	}
	x.refuse(r)
	g.finish(x)
	return r.status
}

func (g *Gateway) begin(ctx *fasthttp.RequestCtx) *exchange {
	x := g.exchanges.Get().(*exchange)
	x.ctx, x.gateway, x.started = ctx, g, g.clock()
	x.peer = ctx.Conn().(peered).self()
	x.directory = g.registry.Current()
	x.malformed = x.cleanHeaders()
	x.identifyClient()
	return x
}

// rescue turns a panic into a 500 page, so that it costs its own request only.
func (g *Gateway) rescue(x *exchange) {
	if v := recover(); v != nil {
		g.log.Error("panic in a handler", zap.ByteString("request_id", x.id), zap.Any("panic", v), zap.Stack("stack"))
		x.refuse(refusePanic)
	}
}

// finish completes the answer and has it logged once its last byte is gone.
func (g *Gateway) finish(x *exchange) {
	x.leave()
	h := &x.ctx.Response.Header
	x.writeCORS()
	h.SetNoDefaultContentType(true)
	h.SetCanonical(headerRequestID, x.id)
	if x.peer.secure && len(g.altSvc) > 0 {
		x.announceHTTP3()
	}
	if g.draining.Load() {
		h.SetConnectionClose()
	}
	if x.ctx.Hijacked() {
		x.peer.connection.hijacked()
	}
	x.expectTrailers()
	x.report(x.ctx.Response.StatusCode())
}

// release makes the exchange ready for another request.
func (g *Gateway) release(x *exchange) {
	*x = exchange{buffers: x.buffers}
	g.exchanges.Put(x)
}
