// Package ring keeps a bounded number of values by name, those that are asked for.
//
//	r := ring.New[*tls.Certificate](1000)
//	r.Put("ensotek.de", certificate)
//	certificate, ok := r.Get([]byte("ensotek.de"))
//
// A full one makes room by second chance: a hand goes round, and what was not asked for since its last visit goes. Unlike a
// least-recently-used list a Get moves nothing, so that any number of them share a read lock.
package ring

import "sync/atomic"

// Ring holds values. Get may be called at once; for Put and Remove its owner locks everybody else out.
type Ring[V any] struct {
	capacity int
	places   map[string]*place[V]
	seats    []*place[V]
	hand     int
}

type place[V any] struct {
	name  string
	at    int // which seat
	value V
	used  atomic.Bool
}

// New makes a Ring for at most capacity values, at least one.
func New[V any](capacity int) Ring[V] {
	return Ring[V]{capacity: max(capacity, 1), places: map[string]*place[V]{}}
}

// Len returns how many values there are.
func (r *Ring[V]) Len() int { return len(r.seats) }

// Get returns the value of a name. It does not allocate.
func (r *Ring[V]) Get(name []byte) (value V, ok bool) {
	p := r.places[string(name)]
	if p == nil {
		return value, false
	}
	if !p.used.Load() { // a store at each read would pass the cache line from core to core
		p.used.Store(true)
	}
	return p.value, true
}

// Put keeps a value under a name, in place of what was there, and takes another's seat where all are taken.
func (r *Ring[V]) Put(name string, value V) {
	if p, ok := r.places[name]; ok {
		p.value = value
		return
	}
	p := &place[V]{name: name, value: value, at: len(r.seats)}
	r.places[name] = p
	if len(r.seats) < r.capacity {
		r.seats = append(r.seats, p)
		return
	}
	p.at = r.leastUsed()
	delete(r.places, r.seats[p.at].name)
	r.seats[p.at] = p
}

// leastUsed moves the hand to the first seat that was not used since it last came by; at worst it goes round once.
func (r *Ring[V]) leastUsed() int {
	for {
		i := r.hand % len(r.seats)
		r.hand = (i + 1) % len(r.seats)
		if !r.seats[i].used.Swap(false) {
			return i
		}
	}
}

// Remove gives a name's seat up; the last one moves into it.
func (r *Ring[V]) Remove(name string) {
	p, ok := r.places[name]
	if !ok {
		return
	}
	delete(r.places, name)
	end := len(r.seats) - 1
	last := r.seats[end]
	r.seats[p.at], last.at = last, p.at
	r.seats[end] = nil
	r.seats = r.seats[:end]
}
