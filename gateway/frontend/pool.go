package frontend

import (
	"crypto/tls"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"metahub/tenant"
)

const (
	sweepEvery = 5 * time.Second
	forgetIn   = 10 * time.Minute // an upstream that no request has used
)

// pool holds the upstreams by origin, and closes connections that nobody used for a while.
type pool struct {
	timings Timings
	tls     *tls.Config
	checks  *checks
	stop    chan struct{}
	started sync.WaitGroup // goroutines: the sweep and the probes

	mu        sync.RWMutex
	upstreams map[origin]*upstream
	closed    bool
}

// newPool starts the goroutine that sweeps, and the health checks; close ends them.
func newPool(base *tls.Config, timings Timings, registry *tenant.Registry, log *zap.Logger) *pool {
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	base = base.Clone()
	base.NextProtos = nil // without ALPN an upstream speaks HTTP/1.1
	if base.ClientSessionCache == nil {
		base.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	p := &pool{timings: timings, tls: base, stop: make(chan struct{}), upstreams: map[origin]*upstream{}}
	p.checks = newChecks(p, registry, log)
	p.started.Go(p.sweep)
	return p
}

// get returns the upstream of a URL, which is used now.
func (p *pool) get(u *url.URL, now time.Time) *upstream {
	up := p.find(u)
	up.touch(now)
	return up
}

// find returns the upstream of a URL. It allocates only for an origin that is new.
func (p *pool) find(u *url.URL) *upstream {
	key := originOf(u)
	p.mu.RLock()
	up := p.upstreams[key]
	p.mu.RUnlock()
	if up == nil {
		up = p.add(key, u)
	}
	return up
}

func (p *pool) add(key origin, u *url.URL) *upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up := p.upstreams[key]; up != nil {
		return up
	}
	up := newUpstream(u, p.tls, p.timings, &p.started)
	if p.closed {
		up.retire()
	}
	up.used.Store(time.Now().Unix())
	p.upstreams[key] = up
	return up
}

func (p *pool) sweep() {
	tick := time.NewTicker(min(sweepEvery, p.timings.Idle))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.forget(now)
			for _, up := range p.all() {
				up.closeIdle(now.Add(-p.timings.Idle))
			}
		case <-p.stop:
			return
		}
	}
}

// forget drops upstreams that tenants.yaml no longer names, as far as that shows in that nobody asks for them.
func (p *pool) forget(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, up := range p.upstreams {
		if up.used.Load() < now.Add(-forgetIn).Unix() {
			delete(p.upstreams, key)
			up.retire()
		}
	}
}

func (p *pool) all() []*upstream {
	p.mu.RLock()
	defer p.mu.RUnlock()
	ups := make([]*upstream, 0, len(p.upstreams))
	for _, up := range p.upstreams {
		ups = append(ups, up)
	}
	return ups
}

func (p *pool) close() {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if already {
		return
	}
	p.checks.close()
	close(p.stop)
	for _, up := range p.all() {
		up.retire()
	}
	p.started.Wait()
}
