package ring

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestSecondChance(t *testing.T) {
	r := New[int](3)
	for i, name := range []string{"a", "b", "c"} {
		r.Put(name, i)
	}
	r.Get([]byte("a"))
	r.Get([]byte("c"))
	r.Put("d", 3)
	f := func(name string, want int, there bool) {
		t.Helper()
		if got, ok := r.Get([]byte(name)); got != want || ok != there {
			t.Errorf("%s is %d, %v", name, got, ok)
		}
	}
	f("a", 0, true)
	f("b", 0, false)
	f("c", 2, true)
	f("d", 3, true)
	r.Put("d", 4)
	f("d", 4, true)
	if allocs := testing.AllocsPerRun(100, func() { r.Get([]byte("d")) }); allocs > 0 {
		t.Errorf("a Get allocates %v times", allocs)
	}
}

// TestHotNameStays, whatever else comes and goes.
func TestHotNameStays(t *testing.T) {
	const capacity = 100
	r := New[int](capacity)
	r.Put("hot", -1)
	for i := range 10 * capacity {
		r.Put(strconv.Itoa(i), i)
		if _, ok := r.Get([]byte("hot")); !ok {
			t.Fatalf("what is asked for all the time was dropped after %d others", i)
		}
	}
	if r.Len() != capacity {
		t.Errorf("%d are kept, want %d", r.Len(), capacity)
	}
}

// TestAgainstMap drives a ring against a map: whatever is there is what was put last, and no more than there is room for.
func TestAgainstMap(t *testing.T) {
	const capacity = 8
	random := rand.New(rand.NewPCG(1, 2))
	r, want := New[int](capacity), map[string]int{}
	for step := range 20000 {
		name := strconv.Itoa(random.IntN(20))
		switch random.IntN(4) {
		case 0:
			r.Remove(name)
			delete(want, name)
			if _, ok := r.Get([]byte(name)); ok {
				t.Fatalf("step %d: %s is there after it was removed", step, name)
			}
		case 1:
			r.Put(name, step)
			want[name] = step
			if got, ok := r.Get([]byte(name)); !ok || got != step {
				t.Fatalf("step %d: %s is %d, %v after it was put", step, name, got, ok)
			}
		default:
			if got, ok := r.Get([]byte(name)); ok && got != want[name] {
				t.Fatalf("step %d: %s is %d, want %d", step, name, got, want[name])
			}
		}
		if r.Len() > capacity || r.Len() != len(r.places) {
			t.Fatalf("step %d: %d seats for %d places", step, r.Len(), len(r.places))
		}
	}
}
