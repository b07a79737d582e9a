package cache

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/frontend"
	"metahub/gateway/page"
	"metahub/tenant"
)

const (
	// reloadAfter is how old what is kept must be for a client's "reload" to be heard. Else visitors could send any number of requests past
	// the cache (RFC 9111 §5.2.1 leaves that to the cache).
	reloadAfter = 5 * time.Second
	// shieldEvery is how often what is kept for an outage only is renewed, and shieldFor how long it may be used.
	shieldEvery = 10 * time.Second
	shieldFor   = 24 * time.Hour
)

// visit is one request on its way through the cache. It is used again for later ones.
type visit struct {
	cache   *Cache
	ctx     *fasthttp.RequestCtx
	tenant  *tenant.Tenant
	request Request
	origin  Origin
	shelf   *shelf
	now     time.Time
	hash    uint64  // of the URL
	flight  *flight // to be landed
	reason  reason
	waited  reason // why the origin was asked by another request, which this one has waited for; empty if it has not
	demand
	head head

	key, selector, scratch []byte
}

// reason is why the origin was asked, as Cache-Status has it (RFC 9211 §2.2).
type reason string

const (
	uriMiss  reason = "fwd=uri-miss"
	varyMiss reason = "fwd=vary-miss"
	isStale  reason = "fwd=stale"
	reloads  reason = "fwd=request"
)

// Serve answers ctx from what is kept, or from the origin.
func (c *Cache) Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant, r Request, origin Origin) Outcome {
	h := &ctx.Request.Header
	switch {
	case !t.Cache.Enabled:
		origin.Serve(ctx, t)
		return Outcome{}
	case !h.IsGet() && !h.IsHead():
		origin.Serve(ctx, t)
		if unsafe(h) {
			c.invalidate(ctx, t)
		}
		return Outcome{}
	}
	v := c.begin(ctx, t, r, origin)
	defer v.end()
	return v.serve()
}

func (c *Cache) begin(ctx *fasthttp.RequestCtx, t *tenant.Tenant, r Request, origin Origin) *visit {
	v := c.visits.Get().(*visit)
	v.cache, v.ctx, v.tenant, v.request, v.origin, v.now = c, ctx, t, r, origin, c.now()
	v.demand.read(ctx)
	return v
}

// end lets those go on who wait for an answer that was not kept, also after a panic.
func (v *visit) end() {
	v.land(nil)
	clear(v.head.vary)
	c := v.cache
	*v = visit{key: v.key, selector: v.selector, scratch: v.scratch, head: head{vary: v.head.vary[:0]}}
	c.visits.Put(v)
}

func (v *visit) land(kept *entry) {
	if v.flight != nil {
		v.shelf.land(v.flight, kept)
		v.flight = nil
	}
}

func (v *visit) serve() Outcome {
	if v.request.Foreign || v.foreign {
		v.origin.Serve(v.ctx, v.tenant)
		return Outcome{}
	}
	if v.shelf = v.cache.shelf(v.tenant); v.shelf == nil {
		v.origin.Serve(v.ctx, v.tenant)
		return Outcome{}
	}
	h := &v.ctx.Request.Header
	v.key = appendKey(v.key[:0], h, v.request.Plain, h.RequestURI())
	v.hash = maphash.Bytes(v.cache.seed, v.key)
	found := v.find()
	if out, ok := v.use(found); ok {
		return out
	}
	switch {
	case v.onlyIfCached:
		page.Error(v.ctx, fasthttp.StatusGatewayTimeout, "not_cached", "This page is not kept here, and nothing else was asked for.")
		return Outcome{Result: Pass}
	case h.IsHead():
		v.origin.Serve(v.ctx, v.tenant)
		return Outcome{Result: Pass}
	}
	return v.collapse(found)
}

// collapse has one of several requests for a URL ask the origin, and the others take what it has brought. Once the answer is known not to
// be kept, all of them ask at once.
func (v *visit) collapse(found *entry) Outcome {
	if v.shelf.passes.has(v.hash, v.cache.since(v.now)) {
		return v.ask(found)
	}
	under, first := v.shelf.join(v.hash)
	switch {
	case first:
		v.flight = under
		return v.ask(found)
	case under == nil, v.shelf.passes.has(v.hash, v.cache.since(v.now)): // marked only now, by a flight before this one
		return v.ask(found)
	}
	v.waited = v.reason
	brought := under.wait(v.cache.wait)
	v.now = v.cache.now()
	if !v.fits(brought) {
		brought = v.find()
	}
	if out, ok := v.use(brought); ok {
		return out
	}
	v.waited = ""
	return v.ask(brought)
}

// find returns what is kept for the request, or nil. It may be too old.
func (v *visit) find() *entry {
	v.reason = uriMiss
	e := v.shelf.get(v.hash, v.key)
	if e != nil && !e.isAnswer() {
		v.reason = varyMiss
		e = v.variant(e)
	}
	if e == nil || !e.shared && !v.anonymous {
		return nil
	}
	v.reason = isStale
	return e
}

func (v *visit) variant(rule *entry) *entry {
	var ok bool
	if v.selector, ok = appendSelector(v.selector[:0], rule, &v.ctx.Request.Header); !ok {
		return nil
	}
	e := v.shelf.get(maphash.Bytes(v.cache.seed, v.selector), v.key)
	if e == nil || !bytes.Equal(e.selector, v.selector) {
		return nil
	}
	return e
}

// fits reports whether what another request has brought answers this one too.
func (v *visit) fits(e *entry) bool {
	return e != nil && e.selector == nil && bytes.Equal(e.key, v.key) && (e.shared || v.anonymous)
}

// use answers with e if its time is not over, or if it may be used until a newer one is there.
func (v *visit) use(e *entry) (Outcome, bool) {
	if e == nil || e.onlyWhileOut {
		return Outcome{}, false
	}
	age := e.age(v.now)
	if v.wantsNewer(e, age) {
		v.reason = reloads
		return Outcome{}, false
	}
	switch {
	case age < e.lifetime:
		e.answer(v.ctx, v.now)
		v.tell(e, "hit", "")
		return Outcome{Hit, v.shelf, e}, true
	case age < e.lifetime+e.revalidate:
		v.renew(e)
		e.answer(v.ctx, v.now)
		v.tell(e, "hit", "; detail=revalidating")
		return Outcome{Stale, v.shelf, e}, true
	}
	return Outcome{}, false
}

// wantsNewer reports whether the client asks for something newer (RFC 9111 §5.2.1), and is heard.
func (v *visit) wantsNewer(e *entry, age time.Duration) bool {
	wants := v.noCache || v.maxAge != unsaid && age > span(v.maxAge)
	return wants && !v.onlyIfCached && v.now.Sub(e.seen) >= reloadAfter
}

// ask gets the answer of the origin. found is what is kept, and too old; nil for none.
func (v *visit) ask(found *entry) Outcome {
	validates := found != nil && !found.onlyWhileOut && found.validates()
	var own conditions
	if validates {
		own = v.replaceConditions(found)
	}
	seq, asked := v.shelf.seq.Load(), v.now
	v.origin.Serve(v.ctx, v.tenant)
	if validates {
		v.restoreConditions(own)
	}
	v.now = v.cache.now()
	took := v.now.Sub(asked)
	status, out := v.ctx.Response.StatusCode(), frontend.Out(v.ctx)
	switch {
	case validates && status == fasthttp.StatusNotModified:
		return v.revalidated(found, seq, took)
	case out, isFailure(status):
		return v.failed(found, status, out)
	}
	return v.take(found, seq, took)
}

// failed answers with what is kept where the origin, or whoever runs it, allows that.
func (v *visit) failed(found *entry, status int, out bool) Outcome {
	if found == nil || found.never {
		return Outcome{Result: Pass}
	}
	switch age := found.age(v.now); {
	case age < found.lifetime+found.onError:
		v.ctx.Response.Reset()
		found.answer(v.ctx, v.now)
		v.tellFailed(found, status, out)
		return Outcome{Stale, v.shelf, found}
	case out && v.shields() && found.status == fasthttp.StatusOK && age < shieldFor:
		v.ctx.Response.Reset()
		found.answer(v.ctx, v.now)
		v.tell(found, "fwd=stale", "; detail=shield")
		return Outcome{Shield, v.shelf, found}
	}
	return Outcome{Result: Pass}
}

// shields reports whether the last good answer would do for this request.
func (v *visit) shields() bool {
	return v.request.Shielded && v.tenant.Cache.Shield && v.anonymous && v.ctx.IsGet()
}

// take passes the origin's answer on, and keeps it if that is right.
func (v *visit) take(found *entry, seq uint64, took time.Duration) Outcome {
	a, response := &v.head, &v.ctx.Response
	a.read(response)
	terms := a.terms(v.now)
	open := a.open() && keptStatus(a.status) && !v.noStore
	fresh := open && terms.lifetime+terms.revalidate > 0 && (v.anonymous || terms.shared)
	terms.onlyWhileOut = !fresh
	switch {
	case fresh:
	case !open || a.status != fasthttp.StatusOK || terms.never || !v.shields():
		v.forget(found)
		return v.pass()
	case found != nil && found.onlyWhileOut && v.now.Sub(found.seen) < shieldEvery:
		return v.pass()
	}
	p, ok := v.prepare(terms, seq, took)
	if !ok {
		return v.pass()
	}
	if !fresh {
		out := v.pass()
		v.keep(p)
		return out
	}
	if !v.keep(p) {
		return v.pass()
	}
	v.say(string(v.reason), "; stored")
	return Outcome{Result: Miss}
}

// pass lets those go on at once who wait for the answer, and those who ask next.
func (v *visit) pass() Outcome {
	if v.ctx.Response.StatusCode() != fasthttp.StatusNotModified { // which says nothing about the page
		v.shelf.passes.set(v.hash, v.cache.since(v.now))
	}
	v.land(nil)
	return Outcome{Result: Pass}
}

// forget drops what is kept where the origin answers the same request now in a way that is not to be kept.
func (v *visit) forget(found *entry) {
	if found != nil && v.anonymous && !v.noStore && keptStatus(v.head.status) {
		v.shelf.drop(found)
	}
}

// prepare makes an entry of the answer's header. ok is false where it depends on more of the request than can be told.
func (v *visit) prepare(terms terms, seq uint64, took time.Duration) (p pending, ok bool) {
	a, h := &v.head, &v.ctx.Request.Header
	names, ok := a.variedNames()
	if !ok || slices.Contains(names, "cookie") && len(h.PeekCanonical(cookieKey)) > 0 {
		return pending{}, false
	}
	if len(a.coding) > 0 && !acceptedCodings(h.PeekAll(acceptEncoding)).accepts(a.coding) {
		return pending{}, false
	}
	if length := v.ctx.Response.Header.ContentLength(); int64(length) > v.tenant.Cache.Entry {
		return pending{}, false
	}
	e := a.keep(&v.ctx.Response, terms, v.now, took)
	e.hash, e.key = v.hash, bytes.Clone(v.key)
	p = pending{shelf: v.shelf, url: v.hash, seq: seq, entry: e}
	rule := v.shelf.get(v.hash, v.key)
	if rule != nil && rule.isAnswer() {
		rule = nil
	}
	if rule == nil && len(names) == 0 {
		return p, true
	}
	if rule == nil || !containsAll(rule.names, names) {
		if rule, ok = v.newRule(rule, names); !ok {
			return pending{}, false
		}
		p.rule = rule
	}
	if e.selector, ok = appendSelector(nil, rule, h); !ok {
		return pending{}, false
	}
	e.hash = maphash.Bytes(v.cache.seed, e.selector)
	return p, true
}

// newRule lists the names of a rule, which may be nil, and more.
func (v *visit) newRule(before *entry, names []string) (_ *entry, ok bool) {
	if before != nil {
		names = append(names, before.names...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return &entry{hash: v.hash, key: bytes.Clone(v.key), names: names, id: v.cache.ids.Add(1)}, len(names) <= maxNames
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// keep keeps the answer, now or when its last byte has come. It reports false if it cannot be kept.
func (v *visit) keep(p pending) bool {
	response := &v.ctx.Response
	if !response.IsBodyStream() {
		body := response.Body()
		if int64(len(body)) > v.tenant.Cache.Entry || !p.commit(bytes.Clone(body)) {
			return false
		}
		v.land(p.entry)
		return true
	}
	from, ok := response.BodyStream().(source)
	if !ok {
		return false
	}
	startFill(v.ctx, from, p, v.flight)
	v.flight = nil
	return true
}
