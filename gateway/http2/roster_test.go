package http2

import (
	"math/rand/v2"
	"testing"
)

// TestRoster has streams come and go, most of them soon, a few late, and compares what is there with a map.
func TestRoster(t *testing.T) {
	var r roster
	there := map[uint32]*Stream{}
	leave := func(s *Stream) {
		t.Helper()
		if had := r.remove(s); had != (there[s.id] == s) {
			t.Fatalf("stream %d was there: %v", s.id, had)
		}
		delete(there, s.id)
	}
	most := 0
	for id := uint32(1); id < 4_000; id += 2 {
		r.add(&Stream{id: id})
		there[id] = r.find(id)
		if there[id] == nil || there[id].id != id {
			t.Fatalf("stream %d is not found", id)
		}
		most = max(most, len(there))
		for id, s := range there {
			if len(there) > 100 || id%64 != 1 && rand.IntN(3) == 0 {
				leave(s)
				leave(s) // which is gone
			}
		}
		if r.len() != len(there) {
			t.Fatalf("%d streams, want %d", r.len(), len(there))
		}
		last, n := uint32(0), 0
		for s := range r.all {
			if s != there[s.id] || s.id <= last {
				t.Fatalf("stream %d comes behind %d", s.id, last)
			}
			last, n = s.id, n+1
		}
		if n != len(there) {
			t.Fatalf("%d streams of %d", n, len(there))
		}
		for _, gone := range []uint32{0, id - 1, id + 1, rand.Uint32N(id)} {
			if there[gone] == nil && r.find(gone) != nil {
				t.Fatalf("stream %d is found", gone)
			}
		}
	}
	if cap(r.list) > 8*most {
		t.Errorf("room for %d streams, of which there were %d at once", cap(r.list), most)
	}
	for s := range r.all { // while it goes on
		r.remove(s)
	}
	if r.len() != 0 || len(r.list) != 0 {
		t.Errorf("%d streams are left", r.len())
	}
}
