package gateway

import (
	"crypto/tls"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/limit"
	"metahub/gateway/page"
	"metahub/tenant"
)

var (
	refuseRate        = refuseCheaply(fasthttp.StatusTooManyRequests, "rate_limited", "This site is asked too often at the moment. Please try again in a minute.")
	refuseClientRate  = refuseCheaply(fasthttp.StatusTooManyRequests, "client_rate_limited", "You are asking this site too often. Please wait a moment.")
	refuseConcurrency = refuseCheaply(fasthttp.StatusServiceUnavailable, "too_many_at_once", "This site is busy at the moment. Please try again in a minute.")
	refuseSaturated   = refuseCheaply(fasthttp.StatusServiceUnavailable, "saturated", "There is too much to do at the moment. Please try again in a minute.")
)

// refuseCheaply makes a refusal that is to cost little: it is what an attack gets.
func refuseCheaply(status int, code, sentence string) *refusal {
	return &refusal{status: status, code: code, sentence: sentence, prepared: page.Prepare(status, code, sentence)}
}

// slotsPerProcessor is the default of gateway.concurrency. With leases of 10 ms it passes 3,200 requests a second and processor that all
// wait on upstreams, and no tenant is behind more than a few milliseconds of other tenants' work.
const slotsPerProcessor = 32

// granted is what limits have granted a request so far.
type granted struct {
	counted *limit.Tenant // until the last byte of the answer; nil where nothing was counted
	entered bool          // until the head of the answer
	refused limit.Refusal
}

// admission decides over a request whose tenant is known, and may wait for its turn.
func (x *exchange) admission() *refusal {
	t := x.gateway.limited(x.directory, x.tenant)
	if t == nil { // the tenant is gone since this request began
		return nil
	}
	if r := x.pay(t); r != nil {
		return r
	}
	if !x.gateway.limiter.Enter(t, x.slot, x.started) {
		return x.over(t, limit.Saturated())
	}
	x.entered = true
	return nil
}

// pay has the request counted, unless it was before its body was asked for.
func (x *exchange) pay(t *limit.Tenant) *refusal {
	if x.counted = x.peer.connection.takePaid(); x.counted != nil {
		return nil
	}
	if refused := x.gateway.limiter.Admit(t, x.clientAddr, x.started); refused.Reason != limit.None {
		return x.over(t, refused)
	}
	x.counted = t
	x.quicken()
	return nil
}

// prepay counts a request whose body is still to come; the connection keeps that until the request is whole.
func (x *exchange) prepay() *refusal {
	t := x.gateway.limited(x.directory, x.tenant)
	if t == nil {
		return nil
	}
	r := x.pay(t)
	x.peer.connection.keepPaid(x.counted)
	x.counted = nil
	return r
}

// over tells metrics, and now and then the log, of a refusal, and what to answer.
func (x *exchange) over(t *limit.Tenant, refused limit.Refusal) *refusal {
	x.refused = refused
	x.gateway.tellLimited(x.tenant.Slug, t, refused.Reason)
	switch refused.Reason {
	case limit.Rate:
		x.slow()
		return refuseRate
	case limit.ClientRate:
		x.slow()
		return refuseClientRate
	case limit.Concurrency:
		return refuseConcurrency
	}
	return refuseSaturated
}

func (g *Gateway) tellLimited(slug string, t *limit.Tenant, reason limit.Reason) {
	g.observer.Limited(slug, reason.String())
	if n := t.Warn(g.clock()); n > 0 {
		g.log.Warn("a tenant is over a limit, and what it is asked is refused: raise the limit in tenants.yaml, or find out who asks",
			zap.String("tenant", slug), zap.Stringer("limit", reason), zap.Int64("refused", n))
	}
}

// writeLimits adds to a refusal for how long, and which quota was used up.
func (x *exchange) writeLimits() {
	r, h := &x.refused, &x.ctx.Response.Header
	if r.Reason == limit.None {
		return
	}
	x.scratch = r.AppendRetryAfter(x.scratch[:0])
	h.SetCanonical([]byte("Retry-After"), x.scratch)
	if !r.HasPolicy() {
		return
	}
	// These names are no canonical ones of fasthttp, but are the same in any case (RFC 9110 §5.1).
	x.scratch = r.AppendPolicy(x.scratch[:0])
	h.SetCanonical([]byte("RateLimit-Policy"), x.scratch)
	x.scratch = r.AppendLimit(x.scratch[:0])
	h.SetCanonical([]byte("RateLimit"), x.scratch)
}

// leave gives back the slot: the head of the answer is there.
func (x *exchange) leave() {
	if x.entered {
		x.entered = false
		x.gateway.limiter.Leave(x.slot)
	}
}

// depart ends what was counted: the last byte of the answer is gone.
func (x *exchange) depart() {
	if x.counted != nil {
		x.counted.Done()
		x.counted = nil
	}
}

// admissions is the gateway's limiter. It follows the Directory: whoever first meets a new one has the limiter updated.
type admissions struct {
	limiter  *limit.Limiter
	most     int // connections of a tenant that says nothing
	followed atomic.Pointer[tenant.Directory]
	updating sync.Mutex
}

// limited returns t's counts, or nil for a tenant that is there no more.
func (g *Gateway) limited(d *tenant.Directory, t *tenant.Tenant) *limit.Tenant {
	if g.followed.Load() != d {
		g.follow()
	}
	return g.limiter.Tenant(t.Slug)
}

func (g *Gateway) follow() {
	if g.followed.Load() == g.registry.Current() { // the request's own is an older one
		return
	}
	g.updating.Lock()
	defer g.updating.Unlock()
	d := g.registry.Current()
	if g.followed.Load() == d {
		return
	}
	settings := make(map[string]limit.Settings, len(d.Tenants()))
	for _, t := range d.Tenants() {
		settings[t.Slug] = g.settings(&t.Limits)
	}
	g.limiter.Update(concurrency(d.Gateway()), settings)
	g.cache.Follow(d)
	g.followed.Store(d)
}

func (g *Gateway) settings(l *tenant.Limits) limit.Settings {
	s := limit.Settings{
		Rate: l.Rate, Burst: l.Burst, ClientRate: l.ClientRate, ClientBurst: l.ClientBurst,
		Concurrency: l.Concurrency, Connections: l.Connections, Weight: l.Weight,
	}
	if s.Connections == 0 {
		s.Connections = g.most
	}
	return s
}

func concurrency(g *tenant.Gateway) int {
	if g.Concurrency > 0 {
		return g.Concurrency
	}
	return slotsPerProcessor * runtime.GOMAXPROCS(0)
}

var errConnections = errors.New("the tenant has too many connections")

// limitConnection counts a connection for the tenant that the TLS name belongs to, before the costly part of the handshake. It
// implements tls.Config.GetConfigForClient. A CA that validates a host is nobody's visitor.
func (g *Gateway) limitConnection(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c, ok := hello.Conn.(*connection)
	if !ok || slices.Equal(hello.SupportedProtos, []string{acmeTLS}) || g.countConnection(c, hello.ServerName) {
		return nil, nil
	}
	return nil, errConnections
}

// countConnection counts c for the tenant that a TLS name belongs to, until it is closed; false means that this one has too many. An API
// host is every tenant's.
func (g *Gateway) countConnection(c *connection, serverName string) bool {
	d := g.registry.Current()
	name, _, err := tenant.CanonicalHost(nil, []byte(serverName))
	if err != nil || d.IsAPIHost(name) {
		return true
	}
	owner, ok := d.Lookup(name)
	if !ok {
		owner = d.Unknown()
	}
	if owner == nil {
		return true
	}
	t := g.limited(d, owner)
	if t == nil || c.belongTo(t) {
		return true
	}
	g.tellLimited(owner.Slug, t, limit.Connections)
	return false
}
