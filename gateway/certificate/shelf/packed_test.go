package shelf

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

// TestPacked drives a table against a map; many hashes collide.
func TestPacked(t *testing.T) {
	f := func(name string, newChunk chunkMaker) {
		t.Run(name, func(t *testing.T) {
			play(t, newChunk, rand.New(rand.NewPCG(1, 2)), 8000)
		})
	}
	f("mmap", newChunk)
	f("heap", heapChunk)
}

// play puts and removes entries of all sizes, checks after each step what is looked at, and at the end everything.
func play(t *testing.T, newChunk chunkMaker, random *rand.Rand, steps int) {
	p := packedTable{arena: arena{newChunk: newChunk}}
	want := map[string][]byte{}
	live := 0
	hash := func(name string) uint32 { return uint32(len(name)) + uint32(name[0])%16 }
	for step := range steps {
		name := fmt.Sprintf("%d.example.de", random.IntN(300))
		if old, ok := want[name]; ok {
			live -= len(old)
		}
		if random.IntN(4) == 0 {
			delete(want, name)
			p.remove(hash(name), []byte(name))
		} else {
			leaf := bytes.Repeat([]byte{byte(step)}, random.IntN(3000))
			want[name] = leaf
			live += len(leaf)
			p.put(hash(name), &content{name: []byte(name), kind: p256, key: []byte("key"), leaf: leaf, issuer: "i"}, uint64(step))
		}
		e, ok := p.get(hash(name), []byte(name))
		if leaf, there := want[name]; ok != there || ok && !bytes.Equal(e.leaf(), leaf) {
			t.Fatalf("step %d: %q is not what was put", step, name)
		}
	}
	if p.used != len(want) {
		t.Errorf("%d entries, want %d", p.used, len(want))
	}
	for name, leaf := range want {
		e, ok := p.get(hash(name), []byte(name))
		if !ok || !bytes.Equal(e.leaf(), leaf) || string(e.key()) != "key" || string(e.name()) != name {
			t.Errorf("%q is not what was put", name)
		}
	}
	if size := p.arena.size(); size > 2*live+3*chunkSize+len(want)*2*headerSize {
		t.Errorf("%d bytes for %d that live", size, live)
	}
}

// TestLargest fits an entry as large as there can be into a chunk.
func TestLargest(t *testing.T) {
	p := packedTable{arena: arena{newChunk: newChunk}}
	for i := range 5 {
		name := bytes.Repeat([]byte{'a' + byte(i)}, maxName)
		c := content{name: name, kind: pkcs8, key: make([]byte, maxText/2), leaf: bytes.Repeat(name, maxText/2/maxName)}
		hash := uint32(maphash.Bytes(maphash.MakeSeed(), name))
		c.key = c.key[:1<<15]
		p.put(hash, &c, 1)
		if e, ok := p.get(hash, name); !ok || !bytes.Equal(e.leaf(), c.leaf) || len(e.key()) != len(c.key) {
			t.Errorf("entry %d is not what was put", i)
		}
	}
}

// TestReleasedKeys finds no key of an entry that was replaced or moved.
func TestReleasedKeys(t *testing.T) {
	memory := heapChunk()
	p := packedTable{arena: arena{newChunk: func() *chunk { return memory }}}
	for _, key := range []string{"the first key", "the second key"} {
		p.put(1, &content{name: []byte("ensotek.de"), kind: pkcs8, key: []byte(key)}, 1)
	}
	if bytes.Contains(memory.memory, []byte("the first key")) || !bytes.Contains(memory.memory, []byte("the second key")) {
		t.Error("the first key stays behind")
	}
	p.remove(1, []byte("ensotek.de"))
	if bytes.Contains(memory.memory, []byte("the second key")) {
		t.Error("the second key stays behind")
	}
}

func FuzzPacked(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		play(t, heapChunk, rand.New(rand.NewPCG(seed, 0)), int(steps)%2000)
	})
}
