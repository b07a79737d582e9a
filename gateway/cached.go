package gateway

import (
	"github.com/valyala/fasthttp"

	"metahub/gateway/cache"
	"metahub/tenant"
)

// backends is the Gateway's Frontends as the cache asks them for what is below /api.
type backends Gateway

// Serve implements cache.Origin.
func (b *backends) Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	b.frontends.ServeBackend(ctx, t)
}

// serveCached answers from the cache, or from one of the tenant's own servers. shielded says that an old page is better than none.
func (x *exchange) serveCached(origin cache.Origin, shielded bool) {
	plain := string(x.proto()) == "http"
	x.cached = x.gateway.cache.Serve(x.ctx, x.tenant, cache.Request{Plain: plain, Foreign: x.claims.rewrites, Shielded: shielded}, origin)
	if x.cached.FromStore() {
		x.line.upstream = &stored
	}
}

// compress compresses the answer. One that the cache has is not compressed anew each time.
func (x *exchange) compress() {
	if x.cached.FromStore() {
		x.gateway.compressor.AnswerStored(x.ctx, x.tenant, x.api, &x.cached)
		return
	}
	x.gateway.compressor.Answer(x.ctx, x.tenant, x.api)
}
