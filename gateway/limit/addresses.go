package limit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
)

// addresses are the arrivals of client addresses, by tenant: a hash table whose memory follows the number of addresses that have used
// something up, to a bound. An address is 16 bytes in one of the eight places that its hash allows. Where all are taken, the one that
// has used up least is forgotten, so that a flood of new addresses cannot wash out those that are limited. Hashes are keyed by a seed
// of the process, so that nobody can choose addresses that meet in one place.
type addresses struct {
	seed   maphash.Seed
	most   int // sets that a shard may grow to
	shards [shards]shard
}

const (
	shards  = 256
	setSize = 8
)

// shard is a part of the table with a lock of its own.
type shard struct {
	mu   sync.Mutex
	sets []set // a power of two
	_    [64]byte
}

type set [setSize]address

// address is a hash of tenant and address, and the arrival. Its zero value is a free place.
type address struct {
	key     uint64
	arrival int64
}

// newAddresses makes an empty table that will hold so many addresses, or somewhat more.
func newAddresses(capacity int) *addresses {
	a := &addresses{seed: maphash.MakeSeed(), most: 1}
	for a.most*shards*setSize < capacity {
		a.most *= 2
	}
	return a
}

// take counts a request of an address, as rate.take does.
func (a *addresses) take(tenant uint64, addr netip.Addr, r rate, now int64) (wait int64) {
	a.change(a.key(tenant, addr), now, func(e *address) { e.arrival, wait = r.take(e.arrival, now) })
	return wait
}

// change calls f with the place of a key, which is new unless it was there.
func (a *addresses) change(key uint64, now int64, f func(e *address)) {
	s := &a.shards[key>>56]
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.find(key, now, a.most))
}

// look calls f with the place of a key, if it has one.
func (a *addresses) look(key uint64, f func(e *address)) {
	s := &a.shards[key>>56]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.look(key); e != nil {
		f(e)
	}
}

// key hashes the tenant and an IPv4 address, or the first half of an IPv6 address: the second half is the client's to choose.
func (a *addresses) key(tenant uint64, addr netip.Addr) uint64 {
	var b [8 + 16]byte
	binary.LittleEndian.PutUint64(b[:], tenant)
	ip := addr.Unmap()
	whole := ip.As16()
	n := copy(b[8:], whole[:])
	if ip.Is6() {
		n = 8
	}
	return max(maphash.Bytes(a.seed, b[:8+n]), 1) // 0 marks a free place
}

// look returns the place of a key, or nil.
func (s *shard) look(key uint64) *address {
	if s.sets == nil {
		return nil
	}
	places := &s.sets[key&uint64(len(s.sets)-1)]
	for i := range places {
		if places[i].key == key {
			return &places[i]
		}
	}
	return nil
}

// find returns the place of a key, which is new unless it was there.
func (s *shard) find(key uint64, now int64, most int) *address {
	if s.sets == nil {
		s.sets = make([]set, 1)
	}
	for {
		places := &s.sets[key&uint64(len(s.sets)-1)]
		least := &places[0]
		for i := range places {
			e := &places[i]
			if e.key == key {
				return e
			}
			if e.arrival < least.arrival {
				least = e
			}
		}
		// One that has used up nothing is as good as forgotten.
		if least.arrival <= now || len(s.sets) >= most {
			*least = address{key: key}
			return least
		}
		s.grow(now)
	}
}

// grow doubles the sets. Each one is split into two, so that all places are found.
func (s *shard) grow(now int64) {
	next := make([]set, 2*len(s.sets))
	filled := make([]uint8, len(next))
	for i := range s.sets {
		for _, e := range s.sets[i] {
			if e.arrival > now {
				to := e.key & uint64(len(next)-1)
				next[to][filled[to]] = e
				filled[to]++
			}
		}
	}
	s.sets = next
}

// capacity is how many addresses there are places for now.
func (a *addresses) capacity() int {
	n := 0
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		n += len(s.sets) * setSize
		s.mu.Unlock()
	}
	return n
}
