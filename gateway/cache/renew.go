package cache

import (
	"context"
	"io"
	"net"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/tenant"
)

// maxBehind is how many requests are in the background at once, and maxTenantBehind how many of one tenant. What is stale stays so for a
// while longer beyond that.
const (
	maxBehind       = 128
	maxTenantBehind = 16
)

// renew asks the origin again for what is answered with just now, in the background, unless somebody does so already.
func (v *visit) renew(e *entry) {
	flight := v.shelf.start(v.hash)
	if flight == nil {
		return
	}
	if !v.shelf.goBehind() {
		v.shelf.land(flight, nil)
		return
	}
	c, ctx := v.cache, new(fasthttp.RequestCtx)
	ctx.Init2(&background{ctx: c.ctx}, nil, true)
	v.ctx.Request.CopyTo(&ctx.Request)
	h := &ctx.Request.Header
	h.SetMethod(fasthttp.MethodGet)
	h.DelBytes(ifNoneMatchKey)
	h.DelBytes(ifModifiedSinceKey)
	ctx.SetUserValue(tenant.ContextKey, v.tenant)
	w := &visit{
		cache: c, ctx: ctx, tenant: v.tenant, request: v.request, origin: v.origin, shelf: v.shelf, hash: v.hash, flight: flight,
		reason: isStale, demand: demand{control: newControl(), anonymous: v.anonymous}, key: append([]byte(nil), v.key...),
	}
	c.working.Go(func() { w.askBehind(e) })
}

// askBehind is ask for nobody.
func (v *visit) askBehind(e *entry) {
	defer v.shelf.comeBack()
	defer v.land(nil)
	defer func() {
		if p := recover(); p != nil {
			v.cache.log.Error("panic in a request of the cache", zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	v.ask(e)
	if body, ok := v.ctx.Response.BodyStream().(*fill); ok {
		_, _ = io.Copy(io.Discard, body) // what is read by others, and kept, has an end of its own
	}
	_ = v.ctx.Response.CloseBodyStream()
}

func (s *shelf) goBehind() bool {
	ours, all := s.behind.Add(1), s.cache.behind.Add(1)
	if ours > maxTenantBehind || all > maxBehind {
		s.comeBack()
		return false
	}
	return true
}

func (s *shelf) comeBack() {
	s.behind.Add(-1)
	s.cache.behind.Add(-1)
}

// background is the client of a request that nobody has sent. It leaves when the cache is closed.
type background struct {
	net.Conn
	ctx context.Context
}

// RemoteAddr implements net.Conn.
func (b *background) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// LocalAddr implements net.Conn.
func (b *background) LocalAddr() net.Addr { return b.RemoteAddr() }

// OnLeave has f called when nobody wants the answer any more; see the package frontend.
func (b *background) OnLeave(f func()) (stop func() bool) { return context.AfterFunc(b.ctx, f) }
