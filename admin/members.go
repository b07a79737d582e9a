package admin

import (
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
)

// members are the tenants that have a label of their own: at most limit of them, for as long as the process lives, so that no counter
// ever falls. All others are counted as one, "_other".
//
// While there are labels for all, a tenant has its own from its first request. Where tenants outnumber labels, each sixteenth of them
// that is taken doubles the price of the next in requests, so that it is the busy tenants that get there, whoever came first.
type members struct {
	limit   int
	tenants func() int                         // how many there are
	byName  atomic.Pointer[map[string]*series] // replaced, never changed
	others  series
	none    series
	seen    sketch
	joining sync.Mutex
}

func newMembers(limit int, tenants func() int) *members {
	m := &members{limit: limit, tenants: tenants, seen: newSketch()}
	m.byName.Store(&map[string]*series{})
	return m
}

// series returns the counters that slug's requests belong to; an empty slug stands for no tenant.
func (m *members) series(slug string) *series {
	if slug == "" {
		return &m.none
	}
	taken := *m.byName.Load()
	if s, ok := taken[slug]; ok {
		return s
	}
	if len(taken) >= m.limit {
		return &m.others
	}
	if m.tenants() > m.limit && m.seen.add(slug) < price(len(taken), m.limit) {
		return &m.others
	}
	return m.join(slug)
}

// label is the name under which slug is counted now.
func (m *members) label(slug string) string {
	if _, ok := (*m.byName.Load())[slug]; ok {
		return slug
	}
	return other
}

// price is how many requests a tenant must have had to take the next label.
func price(taken, limit int) uint32 {
	return 1 << min(taken*16/limit, 30)
}

func (m *members) join(slug string) *series {
	m.joining.Lock()
	defer m.joining.Unlock()
	taken := *m.byName.Load()
	if s, ok := taken[slug]; ok {
		return s
	}
	if len(taken) >= m.limit {
		return &m.others
	}
	next := maps.Clone(taken)
	s := &series{}
	next[slug] = s
	m.byName.Store(&next)
	return s
}

// each calls f for every label in use, in no order.
func (m *members) each(f func(name string, s *series)) {
	for name, s := range *m.byName.Load() {
		f(name, s)
	}
	f(other, &m.others)
	f(none, &m.none)
}

// sketch counts names in a fixed space: never too low, seldom too high (a count-min sketch of two rows).
type sketch struct {
	seed maphash.Seed
	rows [2][]atomic.Uint32
}

const sketchWidth = 1 << 14

func newSketch() sketch {
	s := sketch{seed: maphash.MakeSeed()}
	for i := range s.rows {
		s.rows[i] = make([]atomic.Uint32, sketchWidth)
	}
	return s
}

// add counts name once more and returns how often it was seen, at least.
func (s *sketch) add(name string) uint32 {
	hash := maphash.String(s.seed, name)
	lowest := uint32(math.MaxUint32)
	for i := range s.rows {
		lowest = min(lowest, s.rows[i][hash>>(32*i)%sketchWidth].Add(1))
	}
	return lowest
}
