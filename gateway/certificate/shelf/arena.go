package shelf

// chunkSize is how much memory an arena takes at a time. It bounds how long a shard is locked for one evacuation, and what a shard with
// few certificates wastes.
const chunkSize = 256 << 10

// chunk is a stretch of memory that entries are written into, one after the other.
type chunk struct {
	memory []byte
	used   int
	dead   int    // bytes of entries that were released
	free   func() // gives the memory back; nil where the garbage collector does
}

// chunkMaker makes an empty chunk of chunkSize.
type chunkMaker func() *chunk

// heapChunk is for systems without mmap, and for when it fails.
func heapChunk() *chunk { return &chunk{memory: make([]byte, chunkSize)} }

// ref says where an entry lies. The zero ref is nowhere.
type ref struct{ chunk, offset uint32 }

// arena holds entries in chunks. It knows no names: packed says which entries live.
type arena struct {
	newChunk chunkMaker
	chunks   []*chunk // by ref.chunk; the first is never used, so that a zero ref is nowhere; nil where one was given back
	current  uint32
}

// reserve returns the place of a new entry.
func (a *arena) reserve(size int) (entry, ref) {
	if a.current == 0 || a.chunks[a.current].used+size > chunkSize {
		a.current = a.open()
	}
	c := a.chunks[a.current]
	r := ref{a.current, uint32(c.used)}
	c.used += size
	return c.memory[r.offset:c.used:c.used], r
}

// open adds a chunk and returns its number.
func (a *arena) open() uint32 {
	if a.chunks == nil {
		a.chunks = make([]*chunk, 1, 8)
	}
	for i, c := range a.chunks[1:] {
		if c == nil {
			a.chunks[i+1] = a.newChunk()
			return uint32(i + 1)
		}
	}
	a.chunks = append(a.chunks, a.newChunk())
	return uint32(len(a.chunks) - 1)
}

func (a *arena) at(r ref) entry { return entryAt(a.chunks[r.chunk].memory[r.offset:]) }

// release marks an entry as dead. Its key does not stay behind.
func (a *arena) release(r ref) {
	e := a.at(r)
	clear(e.key())
	a.chunks[r.chunk].dead += len(e)
}

// sparse returns a chunk that is more dead than alive, or 0. The one that is being filled is left alone until it is full.
func (a *arena) sparse() uint32 {
	for i, c := range a.chunks {
		if c != nil && uint32(i) != a.current && c.dead*2 > c.used {
			return uint32(i)
		}
	}
	return 0
}

// discard gives a chunk back, whose entries live elsewhere now.
func (a *arena) discard(number uint32) {
	if c := a.chunks[number]; c.free != nil {
		c.free()
	}
	a.chunks[number] = nil
}

// size is how much memory has been touched.
func (a *arena) size() (bytes int) {
	for _, c := range a.chunks {
		if c != nil {
			bytes += c.used
		}
	}
	return bytes
}
