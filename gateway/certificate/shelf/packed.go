package shelf

// packedTable finds entries by name. It is a hash table with linear probing whose slots hold no pointers, so that the garbage collector
// has nothing to visit. Its owner locks it: for writing while a method changes it, for reading as long as an entry is looked at.
type packedTable struct {
	slots []slot // their number is a power of two
	used  int
	arena arena
}

// slot is where an entry is; the zero slot is free.
type slot struct {
	ref
	hash uint32
}

func (p *packedTable) get(hash uint32, name []byte) (entry, bool) {
	i, ok := p.find(hash, name)
	if !ok {
		return nil, false
	}
	return p.arena.at(p.slots[i].ref), true
}

// find returns the slot of a name, or the free one where it belongs.
func (p *packedTable) find(hash uint32, name []byte) (int, bool) {
	if len(p.slots) == 0 {
		return 0, false
	}
	mask := len(p.slots) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		s := &p.slots[i]
		if s.chunk == 0 {
			return i, false
		}
		if s.hash == hash && string(p.arena.at(s.ref).name()) == string(name) {
			return i, true
		}
	}
}

// put writes an entry, in place of the one of that name.
func (p *packedTable) put(hash uint32, c *content, version uint64) {
	e, r := p.arena.reserve(c.sizeOf())
	c.write(e, hash, version)
	if (p.used+1)*4 > len(p.slots)*3 {
		p.grow()
	}
	i, ok := p.find(hash, c.name)
	if ok {
		p.arena.release(p.slots[i].ref)
	} else {
		p.used++
	}
	p.slots[i] = slot{r, hash}
	p.compact()
}

func (p *packedTable) grow() {
	old := p.slots
	p.slots = make([]slot, max(8, 2*len(old)))
	mask := len(p.slots) - 1
	for _, s := range old {
		if s.chunk == 0 {
			continue
		}
		i := int(s.hash) & mask
		for p.slots[i].chunk != 0 {
			i = (i + 1) & mask
		}
		p.slots[i] = s
	}
}

// remove drops a name.
func (p *packedTable) remove(hash uint32, name []byte) {
	i, ok := p.find(hash, name)
	if !ok {
		return
	}
	p.arena.release(p.slots[i].ref)
	p.used--
	p.close(i)
	p.compact()
}

// close frees a slot and moves up those behind it that would no longer be found (Knuth, volume 3, 6.4, algorithm R).
func (p *packedTable) close(hole int) {
	mask := len(p.slots) - 1
	for i := (hole + 1) & mask; p.slots[i].chunk != 0; i = (i + 1) & mask {
		home := int(p.slots[i].hash) & mask
		if (i-home)&mask >= (i-hole)&mask { // its home is not after the hole
			p.slots[hole] = p.slots[i]
			hole = i
		}
	}
	p.slots[hole] = slot{}
}

// compact moves what lives in a sparse chunk to the end of the arena and gives the chunk back. It never moves more than half a chunk
// for each half that has died, so that handshakes wait for microseconds.
func (p *packedTable) compact() {
	for number := p.arena.sparse(); number != 0; number = p.arena.sparse() {
		p.evacuate(number)
	}
}

func (p *packedTable) evacuate(number uint32) {
	c := p.arena.chunks[number]
	for offset := 0; offset < c.used; {
		old := entryAt(c.memory[offset:])
		here := ref{number, uint32(offset)}
		offset += len(old)
		if i, ok := p.find(old.hash(), old.name()); ok && p.slots[i].ref == here {
			e, r := p.arena.reserve(len(old))
			copy(e, old)
			p.slots[i].ref = r
		}
	}
	clear(c.memory[:c.used]) // no key stays behind
	p.arena.discard(number)
}
