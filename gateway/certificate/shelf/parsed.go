package shelf

import (
	"crypto/tls"
	"sync/atomic"
)

// parsedCache holds a bounded number of certificates that are ready to serve. A full one makes room by second chance: a hand goes round,
// and what was not asked for since its last visit goes. Unlike a least-recently-used list a read moves nothing, so that handshakes share
// a read lock, which is their shard's.
type parsedCache struct {
	capacity int
	places   map[string]*place
	ring     []*place
	hand     int
}

// place is one certificate's seat in the ring.
type place struct {
	key         string
	at          int // where in the ring
	certificate *tls.Certificate
	notAfter    int64
	used        atomic.Bool
}

func newParsed(capacity int) parsedCache {
	return parsedCache{capacity: capacity, places: map[string]*place{}}
}

// get returns a certificate's place, or nil. It does not allocate.
func (c *parsedCache) get(key []byte) *place {
	p := c.places[string(key)]
	if p != nil && !p.used.Load() { // a store at each read would pass the cache line from core to core
		p.used.Store(true)
	}
	return p
}

// put keeps a certificate under a key, in place of what was there.
func (c *parsedCache) put(key string, certificate *tls.Certificate, notAfter int64) {
	c.remove(key)
	p := &place{key: key, certificate: certificate, notAfter: notAfter}
	c.places[key] = p
	if len(c.ring) < c.capacity {
		p.at = len(c.ring)
		c.ring = append(c.ring, p)
		return
	}
	p.at = c.leastUsed()
	delete(c.places, c.ring[p.at].key)
	c.ring[p.at] = p
}

// leastUsed moves the hand to the first place that was not used since it last came by; at worst it goes round once.
func (c *parsedCache) leastUsed() int {
	for {
		i := c.hand % len(c.ring)
		c.hand = (i + 1) % len(c.ring)
		if !c.ring[i].used.Swap(false) {
			return i
		}
	}
}

// remove gives a seat up; the last one moves into it.
func (c *parsedCache) remove(key string) {
	p, ok := c.places[key]
	if !ok {
		return
	}
	delete(c.places, key)
	end := len(c.ring) - 1
	last := c.ring[end]
	c.ring[p.at], last.at = last, p.at
	c.ring[end] = nil
	c.ring = c.ring[:end]
}
