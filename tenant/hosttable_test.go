package tenant

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

func TestHostTable(t *testing.T) {
	h := newHostTable(0)
	names := map[string]*Tenant{}
	for i := range 5000 {
		name := fmt.Sprintf("host-%d.example", i)
		if i%100 == 0 { // longer than a slot, or as long
			name += strings.Repeat("x", maxInlineHost-len(name)+i/100%3)
		}
		names[name] = &Tenant{Slug: name}
		if !h.add(name, names[name]) {
			t.Fatalf("%q is said to be there already", name)
		}
	}
	for name, want := range names {
		if got, ok := h.get([]byte(name)); !ok || got != want {
			t.Errorf("%q: %v, %v", name, got, ok)
		}
		for _, other := range []string{name + "x", name[1:], strings.ToUpper(name), name[:len(name)-1] + "\x00"} {
			if _, ok := h.get([]byte(other)); ok != (names[other] != nil) {
				t.Errorf("%q: found %v", other, ok)
			}
		}
		if h.add(name, &Tenant{}) {
			t.Errorf("%q was added twice", name)
		}
	}
	if _, ok := h.get(nil); ok {
		t.Error("the empty name was found")
	}
}

func TestHostSlotIsACacheLine(t *testing.T) {
	if size := unsafe.Sizeof(hostSlot{}); size != 64 {
		t.Errorf("a slot has %d bytes, want 64", size)
	}
}
