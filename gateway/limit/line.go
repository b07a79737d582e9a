package limit

// line is a tenant's place in the queue. Its zero value has nobody waiting.
type line struct {
	waiting list
	count   int
	turn    uint64 // grows with every turn taken
	index   int    // in turns
}

// wholeTurn is what a turn costs a tenant of weight 1; the largest weight divides it with little rest.
const wholeTurn = 1 << 20

// turns are the tenants with waiting requests, a heap by their turn (container/heap).
type turns []*Tenant

// Len implements sort.Interface.
func (h turns) Len() int { return len(h) }

// Less implements sort.Interface.
func (h turns) Less(i, j int) bool { return h[i].turn < h[j].turn }

// Swap implements sort.Interface.
func (h turns) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *turns) Push(x any) {
	t := x.(*Tenant)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *turns) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}

// list is a queue of slots that any of them can leave.
type list struct{ first, last *link }

// link is a slot's place in a list. Its zero value is in none.
type link struct {
	in         *list
	prev, next *link
	slot       *Slot
}

func (l *list) append(k *link, s *Slot) {
	*k = link{in: l, prev: l.last, slot: s}
	if l.last == nil {
		l.first = k
	} else {
		l.last.next = k
	}
	l.last = k
}

// leave takes a slot out of the list that it is in.
func (k *link) leave() {
	if k.prev == nil {
		k.in.first = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		k.in.last = k.prev
	} else {
		k.next.prev = k.prev
	}
	*k = link{}
}
