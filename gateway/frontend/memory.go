package frontend

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"metahub/tenant"
)

// Memory bounds the small files that a Server keeps in memory, in bytes.
type Memory struct {
	// Tenant is the most of one tenant.
	Tenant int64
	// All is the most of all tenants.
	All int64
}

func (m Memory) orDefaults() Memory {
	if m.Tenant == 0 {
		m.Tenant = 8 << 20
	}
	if m.All == 0 {
		m.All = 128 << 20
	}
	return m
}

// trust is how long a file in memory is answered without a look at the folder. A deployment shows within that time.
const trust = 500 * time.Millisecond

// memory keeps small files by tenant and address. A tenant that asks for much loses its own files first, then those who hold most lose
// theirs, so that no tenant can push out the others'. Its methods may be called at once from any number of goroutines.
type memory struct {
	limits Memory
	now    func() time.Duration // since some fixed moment; never goes back

	mu      sync.RWMutex
	tenants map[string]*shelf // by slug
	bytes   int64
}

// shelf is what is kept of one version of a tenant. A reload that changes the tenant begins a new one.
type shelf struct {
	tenant *tenant.Tenant
	files  map[string]*kept
	queue  list.List // of *kept, the next to go in front
	bytes  int64
}

type kept struct {
	address string
	asset   *asset
	bytes   int64
	place   *list.Element
	used    atomic.Bool  // since it was last spared
	checked atomic.Int64 // when it was last seen to be what the folder holds
}

func newMemory(limits Memory) *memory {
	start := time.Now()
	return &memory{limits: limits.orDefaults(), now: func() time.Duration { return time.Since(start) }, tenants: map[string]*shelf{}}
}

// lookup returns what is kept for an address, or nil; fresh says that the folder need not be looked at.
func (m *memory) lookup(t *tenant.Tenant, address []byte) (a *asset, fresh bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.tenants[t.Slug]
	if s == nil || s.tenant != t {
		return nil, false
	}
	k := s.files[string(address)]
	if k == nil {
		return nil, false
	}
	if !k.used.Load() {
		k.used.Store(true)
	}
	return k.asset, m.now()-time.Duration(k.checked.Load()) < trust
}

// keep keeps a for an address, as it was found at a moment of now.
func (m *memory) keep(t *tenant.Tenant, address string, a *asset, at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shelf(t)
	before := s.files[address]
	if before != nil && before.asset == a {
		before.checked.Store(int64(at))
		return
	}
	k := &kept{address: address, asset: a, bytes: a.cost() + int64(len(address))}
	k.checked.Store(int64(at))
	if before != nil {
		m.drop(s, before)
	}
	m.tenants[t.Slug] = s
	s.files[address], k.place = k, s.queue.PushBack(k)
	s.bytes += k.bytes
	m.bytes += k.bytes
	for s.bytes > m.limits.Tenant {
		m.evict(s)
	}
	for m.bytes > m.limits.All {
		m.evict(m.fullest())
	}
}

// shelf returns the shelf of t. One of another version of the tenant goes.
func (m *memory) shelf(t *tenant.Tenant) *shelf {
	s := m.tenants[t.Slug]
	if s != nil && s.tenant == t {
		return s
	}
	if s != nil {
		m.bytes -= s.bytes
	}
	return &shelf{tenant: t, files: map[string]*kept{}}
}

// forget drops what is kept for an address that is no more.
func (m *memory) forget(t *tenant.Tenant, address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.tenants[t.Slug]; s != nil && s.files[address] != nil {
		m.drop(s, s.files[address])
	}
}

// fullest returns the shelf with the most bytes of a few that are met at random, since a walk over all would hold everyone up.
func (m *memory) fullest() *shelf {
	const few = 8
	var most *shelf
	met := 0
	for _, s := range m.tenants {
		if most == nil || s.bytes > most.bytes {
			most = s
		}
		if met++; met == few {
			break
		}
	}
	return most
}

// evict drops the file of s that came first and was not used since it was last spared.
func (m *memory) evict(s *shelf) {
	for range s.queue.Len() {
		front := s.queue.Front()
		if !front.Value.(*kept).used.Swap(false) {
			break
		}
		s.queue.MoveToBack(front)
	}
	m.drop(s, s.queue.Front().Value.(*kept))
}

func (m *memory) drop(s *shelf, k *kept) {
	s.queue.Remove(k.place)
	delete(s.files, k.address)
	s.bytes -= k.bytes
	m.bytes -= k.bytes
	if len(s.files) == 0 && m.tenants[s.tenant.Slug] == s {
		delete(m.tenants, s.tenant.Slug)
	}
}

// cost is what an asset takes in memory, in bytes and roughly.
func (a *asset) cost() int64 {
	const overhead = 1 << 10
	cost := int64(overhead)
	for _, r := range a.representations {
		cost += int64(len(r.body))
	}
	return cost
}
