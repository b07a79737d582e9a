package cache

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"metahub/tenant"
)

// shelf is what is kept of one version of a tenant: a reload that changes the tenant begins a new one. W-TinyLFU decides what goes when it
// is full, so that URLs that are asked for once do not push out those that many ask for. It may be used by any number of goroutines at once.
type shelf struct {
	cache  *Cache
	tenant *tenant.Tenant
	store  *otter.Cache[uint64, *entry]
	bytes  atomic.Int64
	filled atomic.Int64 // bytes of bodies that are on their way
	behind atomic.Int64 // requests in the background
	passes passes
	flights

	mu     sync.Mutex // of writes, so that none comes after what voids it
	closed bool       // nothing is kept any more
	voids  [maxVoids]voiding
	seq    atomic.Uint64 // of the last one, from 1
}

// voiding is something that makes answers void: a changed URL, or a purge.
type voiding struct {
	place uint64 // see place
	purge *Selection
}

// maxVoids is how many are remembered. An answer that was asked for before more of them is not kept.
const maxVoids = 64

func newShelf(c *Cache, t *tenant.Tenant) *shelf {
	s := &shelf{cache: c, tenant: t, flights: flights{open: map[uint64]*flight{}}}
	s.store = otter.Must(&otter.Options[uint64, *entry]{
		MaximumWeight:    uint64(t.Cache.Size),
		Weigher:          func(_ uint64, e *entry) uint32 { return uint32(e.cost()) },
		OnAtomicDeletion: func(d otter.DeletionEvent[uint64, *entry]) { s.count(-d.Value.cost()) },
	})
	return s
}

func (s *shelf) count(n int64) {
	s.bytes.Add(n)
	s.cache.bytes.Add(n)
}

// get returns what is kept under a hash for a URL, or nil.
func (s *shelf) get(hash uint64, key []byte) *entry {
	e, ok := s.store.GetIfPresent(hash)
	if !ok || !bytes.Equal(e.key, key) {
		return nil
	}
	return e
}

// pending is an answer on its way to its place.
type pending struct {
	shelf *shelf
	url   uint64 // hash of the URL
	seq   uint64 // of what was void when the origin was asked
	entry *entry
	rule  *entry // to go with it; nil where there is one, or none is needed
}

// commit keeps the answer with its body, unless it has become void meanwhile.
func (p *pending) commit(body []byte) (kept bool) {
	s := p.shelf
	p.entry.body = body
	s.mu.Lock()
	kept = !s.closed && !s.isVoid(p)
	if kept {
		if p.rule != nil {
			s.put(p.rule)
		}
		s.put(p.entry)
	}
	s.mu.Unlock()
	if kept {
		s.passes.clear(p.url)
		s.cache.trim()
	}
	return kept
}

func (s *shelf) put(e *entry) {
	s.count(e.cost())
	s.store.Set(e.hash, e)
	s.store.CleanUp() // else more than the most is kept until somebody has time
}

func (s *shelf) isVoid(p *pending) bool {
	last := s.seq.Load()
	switch {
	case last == p.seq:
		return false
	case last-p.seq > maxVoids:
		return true
	}
	place := s.cache.place(p.entry.key)
	for n := p.seq + 1; n <= last; n++ {
		v := &s.voids[n%maxVoids]
		if v.purge == nil && v.place == place || v.purge != nil && v.purge.selects(p.entry.key) {
			return true
		}
	}
	return false
}

// void notes that answers asked for before now are not to be kept.
func (s *shelf) void(v voiding) {
	n := s.seq.Load() + 1
	s.voids[n%maxVoids] = v
	s.seq.Store(n)
}

// invalidate drops all that is kept of a URL, whose key is changed by it. Variants are not found again, as a new list of names has another id.
func (s *shelf) invalidate(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.void(voiding{place: s.cache.place(key)})
	for _, kind := range kinds {
		key[0] = kind
		s.store.Invalidate(maphash.Bytes(s.cache.seed, key))
	}
}

// drop removes an entry, unless another has taken its place.
func (s *shelf) drop(e *entry) {
	s.store.ComputeIfPresent(e.hash, func(now *entry) (*entry, otter.ComputeOp) {
		if now != e {
			return nil, otter.CancelOp
		}
		return nil, otter.InvalidateOp
	})
}

// replace puts an entry in the place of one that it was made of.
func (s *shelf) replace(before, after *entry) {
	s.count(after.cost())
	replaced := false
	s.store.ComputeIfPresent(before.hash, func(now *entry) (*entry, otter.ComputeOp) {
		if replaced = now == before; !replaced {
			return nil, otter.CancelOp
		}
		return after, otter.WriteOp
	})
	if !replaced {
		s.count(-after.cost())
		return
	}
	s.store.CleanUp()
	s.cache.trim()
}

// purge drops what a selection names and returns how many answers that were.
func (s *shelf) purge(selection *Selection) (answers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.void(voiding{purge: selection})
	var hashes []uint64
	for hash, e := range s.store.All() {
		if selection.selects(e.key) {
			hashes = append(hashes, hash)
		}
	}
	for _, hash := range hashes {
		if e, dropped := s.store.Invalidate(hash); dropped && e.isAnswer() {
			answers++
		}
	}
	return answers
}

// close drops everything, for good.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.store.InvalidateAll()
}

// shrink drops what is least likely to be used again, until n bytes are free. It reports false if there is nothing.
func (s *shelf) shrink(n int64) bool {
	var hashes []uint64
	for e := range s.store.Coldest() {
		if n <= 0 {
			break
		}
		n -= int64(e.Weight)
		hashes = append(hashes, e.Key)
	}
	for _, hash := range hashes {
		s.store.Invalidate(hash)
	}
	return len(hashes) > 0
}

// passes remembers URLs whose answers are not to be kept, so that requests for them do not wait for each other. It is small and forgets:
// one that is not remembered costs a request's wait.
type passes [128]atomic.Uint64

// passFor is how long a URL is remembered.
const passFor = 2 * time.Minute

const passBits = 24 // of the time in seconds; the rest are of the hash

func (p *passes) slot(hash uint64) *atomic.Uint64 { return &p[hash%uint64(len(p))] }

func (p *passes) set(hash uint64, at time.Duration) {
	p.slot(hash).Store(hash>>passBits<<passBits | uint64(at/time.Second)&(1<<passBits-1))
}

// has reports whether a URL is remembered. A request that has come a moment before the mark may ask for it too.
func (p *passes) has(hash uint64, at time.Duration) bool {
	const early = uint64(passFor / time.Second)
	known := p.slot(hash).Load()
	age := (uint64(at/time.Second) - known + early) & (1<<passBits - 1)
	return known != 0 && known>>passBits == hash>>passBits && age < early+uint64(passFor/time.Second)
}

func (p *passes) clear(hash uint64) {
	if known := p.slot(hash).Load(); known>>passBits == hash>>passBits {
		p.slot(hash).CompareAndSwap(known, 0)
	}
}

// reserve counts bytes of an answer that is on its way, if there is room: a quarter of what the tenant, and of what all of them, may keep.
func (s *shelf) reserve(n int64) bool {
	c := s.cache
	ours, all := s.filled.Add(n), c.filled.Add(n)
	if ours <= s.tenant.Cache.Size/4 && all <= c.most.Load()/4 {
		return true
	}
	s.release(n)
	return false
}

// release takes back what was reserved.
func (s *shelf) release(n int64) {
	s.filled.Add(-n)
	s.cache.filled.Add(-n)
}
