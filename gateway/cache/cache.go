// Package cache is an HTTP cache that all visitors of a tenant share (RFC 9111), between the gateway and a tenant's own servers. It also
// keeps the last good answers for when those servers are out.
//
//	c := cache.New(cache.Config{Registry: registry, Logger: log})
//	c.Follow(directory) // at the start and after each reload
//	outcome := c.Serve(ctx, t, request, origin)
//	…
//	n := c.Purge("ensotek", selection)
//	c.Close()
//
// What is kept is what an origin marks for it: nothing is guessed from dates, names or types. Each tenant has a store of its own, bounded in
// bytes; when all of them together are full, those that hold most lose theirs. A body is kept as the origin sent it. It keeps no partial
// answers, and answers no ranges.
package cache

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/tenant"
)

// Config is what New needs.
type Config struct {
	Registry *tenant.Registry
	Logger   *zap.Logger      // nil means no log
	Now      func() time.Time // nil means time.Now
	Wait     time.Duration    // how long a request waits for another one's answer; 0 means 5 s
}

// Origin answers what the cache cannot.
type Origin interface {
	Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant)
}

// Request is what the gateway knows of a request beside its bytes.
type Request struct {
	Plain    bool // it came over http, to a proxy in front of the gateway
	Foreign  bool // it has fields by which some origins answer another request than the one in its first line
	Shielded bool // the last good answer may stand in while the origin is out
}

// Cache keeps the answers of all tenants. It may be used by any number of goroutines at once.
type Cache struct {
	registry *tenant.Registry
	log      *zap.Logger
	now      func() time.Time
	wait     time.Duration
	base     time.Time // of since
	seed     maphash.Seed
	ids      atomic.Uint64 // of lists of names
	most     atomic.Int64  // bytes of all tenants
	bytes    atomic.Int64
	filled   atomic.Int64 // bytes on their way
	behind   atomic.Int64 // requests in the background
	visits   sync.Pool    // of *visit
	trimming sync.Mutex

	mu      sync.RWMutex
	shelves map[string]*shelf // by slug

	ctx     context.Context // of what runs in the background
	cancel  context.CancelFunc
	working sync.WaitGroup
}

// defaultMost is how many bytes are kept of all tenants where nothing is said.
const defaultMost = 256 << 20

// New makes a Cache that knows no tenant yet; Close it after the last request.
func New(config Config) *Cache {
	c := &Cache{registry: config.Registry, log: config.Logger, now: config.Now, seed: maphash.MakeSeed(), shelves: map[string]*shelf{}}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.wait = config.Wait; c.wait == 0 {
		c.wait = 5 * time.Second
	}
	c.base = c.now()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.visits.New = func() any { return new(visit) }
	c.most.Store(defaultMost)
	return c
}

// Close ends what runs in the background and waits for it.
func (c *Cache) Close() {
	c.cancel()
	c.working.Wait()
}

// since is the time from New to now.
func (c *Cache) since(now time.Time) time.Duration { return now.Sub(c.base) }

// Follow makes d's tenants those that there are. Of one that is gone or has changed nothing is kept.
func (c *Cache) Follow(d *tenant.Directory) {
	most := d.Gateway().Cache
	if most == 0 {
		most = defaultMost
	}
	c.most.Store(most)
	var gone []*shelf
	c.mu.Lock()
	for slug, s := range c.shelves {
		if t, ok := d.Tenant([]byte(slug)); !ok || t != s.tenant {
			gone = append(gone, s)
			delete(c.shelves, slug)
		}
	}
	c.mu.Unlock()
	for _, s := range gone {
		s.close()
	}
	c.trim()
}

// shelf returns what is kept of t, or nil for one that is not served any more.
func (c *Cache) shelf(t *tenant.Tenant) *shelf {
	c.mu.RLock()
	s := c.shelves[t.Slug]
	c.mu.RUnlock()
	if s != nil && s.tenant == t {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.registry.Current().Tenant([]byte(t.Slug)); !ok || now != t {
		return nil
	}
	if s = c.shelves[t.Slug]; s == nil || s.tenant != t {
		if s != nil {
			s.close()
		}
		s = newShelf(c, t)
		c.shelves[t.Slug] = s
	}
	return s
}

// trim makes room where all tenants together have too much: who has most gives. It frees a little more than it must, as it looks at every
// tenant each time.
func (c *Cache) trim() {
	if c.bytes.Load() <= c.most.Load() || !c.trimming.TryLock() {
		return
	}
	defer c.trimming.Unlock()
	for c.bytes.Load() > c.most.Load() {
		if s := c.fullest(); s == nil || !s.shrink(max(1, c.most.Load()/64)) {
			return
		}
	}
}

func (c *Cache) fullest() (most *shelf) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, s := range c.shelves {
		if n := s.bytes.Load(); n > 0 && (most == nil || n > most.bytes.Load()) {
			most = s
		}
	}
	return most
}

// Bytes returns how many bytes are kept of each tenant, by slug.
func (c *Cache) Bytes() map[string]int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept := make(map[string]int64, len(c.shelves))
	for slug, s := range c.shelves {
		if n := s.bytes.Load(); n > 0 {
			kept[slug] = n
		}
	}
	return kept
}

// OnTheWay returns how many bytes of answers that may be kept have come and not reached their client or their place.
func (c *Cache) OnTheWay() int64 { return c.filled.Load() }
