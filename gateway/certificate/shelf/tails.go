package shelf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// tails keep what follows the leaf in a chain. A hundred thousand certificates share a handful of intermediates, each of which is as
// large as a leaf, so that each chain is kept once and counted.
type tails struct {
	mu    sync.RWMutex
	ids   map[tailHash]uint32
	tails []tail // by id, from 1
}

type tailHash [sha256.Size]byte

type tail struct {
	hash  tailHash
	chain [][]byte
	users int // 0: the id is free
}

// hold returns the id of a chain, which the caller gives back once through drop. The empty chain's is 0.
func (t *tails) hold(chain [][]byte) uint32 {
	if len(chain) == 0 {
		return 0
	}
	hash := hashOf(chain)
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.ids[hash]
	if !ok {
		id = t.free()
		own := make([][]byte, len(chain))
		for i, der := range chain {
			own[i] = bytes.Clone(der)
		}
		t.ids[hash] = id
		t.tails[id-1] = tail{hash: hash, chain: own}
	}
	t.tails[id-1].users++
	return id
}

// free returns an id that nobody uses.
func (t *tails) free() uint32 {
	if len(t.ids) < len(t.tails) {
		for i := range t.tails {
			if t.tails[i].users == 0 {
				return uint32(i + 1)
			}
		}
	}
	t.tails = append(t.tails, tail{})
	return uint32(len(t.tails))
}

func (t *tails) drop(id uint32) {
	if id == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tail := &t.tails[id-1]
	if tail.users--; tail.users == 0 {
		delete(t.ids, tail.hash)
		tail.chain = nil
	}
}

// get returns the chain of an id that is held. It must not be changed.
func (t *tails) get(id uint32) [][]byte {
	if id == 0 {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.tails[id-1].chain
}

func (t *tails) size() (bytes int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, tail := range t.tails {
		for _, der := range tail.chain {
			bytes += len(der)
		}
	}
	return bytes
}

func hashOf(chain [][]byte) (hash tailHash) {
	h := sha256.New()
	for _, der := range chain {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(der))))
		h.Write(der)
	}
	h.Sum(hash[:0])
	return hash
}
