package shelf

import (
	"bytes"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"metahub/gateway/certificate/ring"
)

// shard holds the domains of one part of the hash's range under one lock, which is held for microseconds: nothing is read or parsed
// under it.
type shard struct {
	mu       sync.RWMutex
	packed   packedTable
	parsed   ring.Ring[ready]
	tails    *tails // shared by all shards; its lock is only taken inside mu or alone
	versions uint64 // one for each content that an entry ever had
	unread   int    // entries that are a name only

	hits, cold, loaded, expired atomic.Uint64
}

// ready is a certificate that was parsed. It goes with its entry.
type ready struct {
	certificate *tls.Certificate
	notAfter    int64
}

// state is what a lookup meets.
type state int

const (
	absent state = iota
	expected
	expired
	packed
	parsed
)

// found is a lookup's result: a certificate where it is parsed, material where it is packed.
type found struct {
	state       state
	certificate *tls.Certificate
	material    material
}

// find looks a key up at a time in seconds since 1970. It allocates for what is packed only.
func (sh *shard) find(hash uint32, key []byte, now int64) found {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if p, ok := sh.parsed.Get(key); ok {
		if now > p.notAfter {
			sh.expired.Add(1)
			return found{state: expired}
		}
		sh.hits.Add(1)
		return found{state: parsed, certificate: p.certificate}
	}
	e, ok := sh.packed.get(hash, key)
	switch {
	case !ok:
		return found{state: absent}
	case e.kind() == unread:
		return found{state: expected}
	case now > e.notAfter():
		sh.expired.Add(1)
		return found{state: expired}
	}
	sh.cold.Add(1)
	return found{state: packed, material: materialOf(e, sh.tails.get(e.tail()))}
}

// keepParsed keeps a certificate, unless what it was parsed from has been replaced meanwhile.
func (sh *shard) keepParsed(hash uint32, key []byte, m material, certificate *tls.Certificate) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.packed.get(hash, key); ok && e.version() == m.version {
		sh.parsed.Put(string(key), ready{certificate, m.notAfter})
	}
}

// expect notes a name. One that is unread already gets a new version, so that a read that began before counts no more.
func (sh *shard) expect(hash uint32, key []byte) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.versions++
	e, ok := sh.packed.get(hash, key)
	if !ok {
		sh.packed.put(hash, &content{name: key}, sh.versions)
		sh.unread++
		return
	}
	if e.kind() == unread {
		e.setVersion(sh.versions)
		e.postpone(0)
	}
}

// put keeps a content, whose tail is held for it.
func (sh *shard) put(hash uint32, c content) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.replace(hash, &c)
}

func (sh *shard) replace(hash uint32, c *content) {
	sh.letGo(hash, c.name)
	sh.versions++
	sh.packed.put(hash, c, sh.versions)
}

// letGo counts off what is kept under a key and is about to be replaced or removed.
func (sh *shard) letGo(hash uint32, key []byte) {
	e, ok := sh.packed.get(hash, key)
	if !ok {
		return
	}
	if e.kind() == unread {
		sh.unread--
	}
	sh.tails.drop(e.tail())
	sh.parsed.Remove(string(key))
}

// drop forgets a key under the lock.
func (sh *shard) drop(hash uint32, key []byte) {
	sh.letGo(hash, key)
	sh.packed.remove(hash, key)
}

// postpone puts off the reading of a name.
func (sh *shard) postpone(hash uint32, key []byte, until int64) {
	if e, ok := sh.packed.get(hash, key); ok {
		e.postpone(until)
	}
}

// due returns the version of a name that is to be read now.
func (sh *shard) due(hash uint32, key []byte, now int64) (version uint64, ok bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, ok := sh.packed.get(hash, key)
	if !ok || e.kind() != unread {
		return 0, false
	}
	wait := e.notBefore() - now
	tooEarly := wait > 0 && wait <= int64(retryAfter/time.Second) // longer: the clock was put back
	return e.version(), !tooEarly
}

// settle ends the reading of a name under the lock, unless the name was announced again, put or removed meanwhile.
func (sh *shard) settle(hash uint32, key []byte, version uint64, end func()) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.packed.get(hash, key); !ok || e.version() != version {
		return false
	}
	end()
	return true
}

func (sh *shard) info(hash uint32, key []byte) (Info, bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, ok := sh.packed.get(hash, key)
	if !ok || e.kind() == unread {
		return Info{}, false
	}
	return e.info(), true
}

// leaf copies a certificate's DER.
func (sh *shard) leaf(hash uint32, key []byte) ([]byte, state) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, ok := sh.packed.get(hash, key)
	switch {
	case !ok:
		return nil, absent
	case e.kind() == unread:
		return nil, expected
	}
	return bytes.Clone(e.leaf()), packed
}

func (sh *shard) addTo(sum *Stats) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	sum.Expected += sh.unread
	sum.Packed += sh.packed.used - sh.unread
	sum.Parsed += sh.parsed.Len()
	sum.Bytes += sh.packed.arena.size()
	sum.Hits += sh.hits.Load()
	sum.Cold += sh.cold.Load()
	sum.Loaded += sh.loaded.Load()
	sum.Expired += sh.expired.Load()
}
