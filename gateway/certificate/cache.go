package certificate

import (
	"sync"

	"metahub/gateway/certificate/ring"
)

// cache holds a bounded number of certificates, those that are asked for. Its methods may be called at once.
type cache struct {
	mu   sync.RWMutex
	ring ring.Ring[*held]
}

func newCache(capacity int) *cache { return &cache{ring: ring.New[*held](capacity)} }

// get returns what is kept under a key, or nil. It does not allocate.
func (c *cache) get(key []byte) *held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	leaf, _ := c.ring.Get(key)
	return leaf
}

// put keeps leaf under a key, in place of what was there.
func (c *cache) put(key string, leaf *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring.Put(key, leaf)
}
