package tenant

import "hash/maphash"

const (
	// maxInlineHost is the length of a name that fits into a slot, which is as long as a cache line.
	maxInlineHost = 51
	// spareSlots is how many slots there are for each four names. Full tables have long chains.
	spareSlots = 5
)

// hostTable maps host names to tenants. A lookup of a name that few have asked for lately costs what the memory takes to deliver it, so
// name and tenant stand together in one cache line; a Go map would need three. It is filled once and then only read.
type hostTable struct {
	seed  maphash.Seed // secret, so that nobody can choose names that collide
	slots []hostSlot   // their number is a power of two; empty ones have a length of 0
	used  int
	long  map[string]*Tenant // names that fit no slot
}

type hostSlot struct {
	tenant *Tenant
	hash   uint32
	length uint8
	name   [maxInlineHost]byte
}

func newHostTable(n int) *hostTable {
	size := 8
	for size < n*spareSlots/4+1 {
		size *= 2
	}
	return &hostTable{seed: maphash.MakeSeed(), slots: make([]hostSlot, size), long: map[string]*Tenant{}}
}

// add puts in a name that is not there yet, and reports whether it was so.
func (h *hostTable) add(name string, t *Tenant) bool {
	if _, taken := h.get([]byte(name)); taken {
		return false
	}
	if len(name) > maxInlineHost {
		h.long[name] = t
		return true
	}
	if (h.used+1)*spareSlots > len(h.slots)*4 {
		h.grow()
	}
	h.used++
	h.place(name, t)
	return true
}

// place takes the first empty slot of the name's chain.
func (h *hostTable) place(name string, t *Tenant) {
	hash := maphash.String(h.seed, name)
	for i := hash; ; i++ {
		slot := &h.slots[i&uint64(len(h.slots)-1)]
		if slot.length > 0 {
			continue
		}
		slot.tenant, slot.hash, slot.length = t, uint32(hash>>32), uint8(len(name))
		copy(slot.name[:], name)
		return
	}
}

func (h *hostTable) grow() {
	old := h.slots
	h.slots = make([]hostSlot, 2*len(old))
	for i := range old {
		if slot := &old[i]; slot.length > 0 {
			h.place(string(slot.name[:slot.length]), slot.tenant)
		}
	}
}

// get returns the tenant of a name. It allocates nothing.
func (h *hostTable) get(name []byte) (*Tenant, bool) {
	if len(name) > maxInlineHost {
		t, ok := h.long[string(name)]
		return t, ok
	}
	hash := maphash.Bytes(h.seed, name)
	for i := hash; ; i++ {
		slot := &h.slots[i&uint64(len(h.slots)-1)]
		if slot.length == 0 {
			return nil, false
		}
		if slot.hash == uint32(hash>>32) && string(slot.name[:slot.length]) == string(name) {
			return slot.tenant, true
		}
	}
}
