package orders

import (
	"cmp"
	"slices"
)

// slot says which of an entry's places a heap keeps.
type slot uint8

const (
	slotSchedule slot = iota
	slotAsk
	slotLane
	slotCount
)

// heap orders entries by a key, the smallest first. An entry is in one heap of a slot at most and knows its place there, so that it can
// be moved and removed. The zero value of items is an empty heap.
type heap struct {
	slot  slot
	items []heapItem
}

// heapItem has the key beside the pointer: to compare two is to read two words that lie together.
type heapItem struct {
	key   int64
	entry *entry
}

func (h *heap) len() int { return len(h.items) }

// put adds an entry, or moves it when it is there.
func (h *heap) put(e *entry, key int64) {
	item := heapItem{key, e}
	at, ok := h.find(e)
	if !ok {
		h.items = append(h.items, item)
		h.up(len(h.items)-1, item)
		return
	}
	if key < h.items[at].key {
		h.up(at, item)
	} else {
		h.down(at, item)
	}
}

// remove takes an entry out; one that is not there is no error.
func (h *heap) remove(e *entry) {
	at, ok := h.find(e)
	if !ok {
		return
	}
	e.places[h.slot] = 0
	end := len(h.items) - 1
	last := h.items[end]
	h.items[end] = heapItem{}
	h.items = h.items[:end]
	if at == end {
		return
	}
	if at > 0 && last.key < h.items[(at-1)/2].key {
		h.up(at, last)
	} else {
		h.down(at, last)
	}
}

// first returns the entry with the smallest key, nil when there is none.
func (h *heap) first() (e *entry, key int64) {
	if len(h.items) == 0 {
		return nil, 0
	}
	return h.items[0].entry, h.items[0].key
}

// key returns the key of an entry that may not be there.
func (h *heap) key(e *entry) (key int64, ok bool) {
	at, ok := h.find(e)
	if !ok {
		return 0, false
	}
	return h.items[at].key, true
}

// find returns where an entry is. Places count from 1, so that 0 is none.
func (h *heap) find(e *entry) (at int, ok bool) {
	place := e.places[h.slot]
	return int(place) - 1, place > 0
}

func (h *heap) set(at int, item heapItem) {
	h.items[at] = item
	item.entry.places[h.slot] = int32(at) + 1
}

func (h *heap) up(at int, item heapItem) {
	for at > 0 {
		parent := (at - 1) / 2
		if h.items[parent].key <= item.key {
			break
		}
		h.set(at, h.items[parent])
		at = parent
	}
	h.set(at, item)
}

func (h *heap) down(at int, item heapItem) {
	for {
		child := 2*at + 1
		if child >= len(h.items) {
			break
		}
		if right := child + 1; right < len(h.items) && h.items[right].key < h.items[child].key {
			child = right
		}
		if item.key <= h.items[child].key {
			break
		}
		h.set(at, h.items[child])
		at = child
	}
	h.set(at, item)
}

// sorted returns a copy of all, the smallest key first.
func (h *heap) sorted() []heapItem {
	items := slices.Clone(h.items)
	slices.SortFunc(items, func(a, b heapItem) int { return cmp.Compare(a.key, b.key) })
	return items
}

// rank returns an entry's place from 1 by key.
func (h *heap) rank(e *entry) int {
	key, ok := h.key(e)
	if !ok {
		return 0
	}
	rank := 1
	for i := range h.items {
		if h.items[i].key < key {
			rank++
		}
	}
	return rank
}
