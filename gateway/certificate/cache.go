package certificate

import (
	"sync"
	"sync/atomic"
)

// cache holds a bounded number of certificates. A full one makes room by second chance: a hand goes round, and what was not asked for
// since its last visit goes. Unlike a least-recently-used list a read moves nothing, so that handshakes share a read lock.
type cache struct {
	mu       sync.RWMutex
	capacity int
	places   map[string]*place
	ring     []*place
	hand     int
}

// place is one certificate's seat in the ring.
type place struct {
	key  string
	leaf *held
	used atomic.Bool
}

func newCache(capacity int) *cache {
	return &cache{capacity: capacity, places: map[string]*place{}}
}

// get returns what is kept under a key, or nil. It does not allocate.
func (c *cache) get(key []byte) *held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.places[string(key)]
	if !ok {
		return nil
	}
	if !p.used.Load() { // a store at each read would pass the cache line from core to core
		p.used.Store(true)
	}
	return p.leaf
}

// put keeps leaf under a key, in place of what was there.
func (c *cache) put(key string, leaf *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.places[key]; ok {
		p.leaf = leaf
		return
	}
	p := &place{key: key, leaf: leaf}
	c.places[key] = p
	if len(c.ring) < c.capacity {
		c.ring = append(c.ring, p)
		return
	}
	i := c.leastUsed()
	delete(c.places, c.ring[i].key)
	c.ring[i] = p
}

// leastUsed moves the hand to the first place that was not used since it last came by; at worst it goes round once.
func (c *cache) leastUsed() int {
	for {
		i := c.hand
		c.hand = (c.hand + 1) % len(c.ring)
		if !c.ring[i].used.Swap(false) {
			return i
		}
	}
}
