package message

import "testing"

func TestParsePriority(t *testing.T) {
	f := func(value string, want Priority) {
		t.Helper()
		if got := ParsePriority(value); got != want {
			t.Errorf("%q: %+v, want %+v", value, got, want)
		}
	}
	f("", Unsaid)
	f("u=0", Priority{Urgency: 0})
	f("u=7, i", Priority{7, true})
	f("i", Priority{3, true})
	f("i=?0, u=1", Priority{Urgency: 1})
	f("u=5;x=1,i=?1", Priority{5, true})
	f("u=8, x, ,=", Priority{Urgency: 3})
}

func TestForetold(t *testing.T) {
	var told Foretold
	say := func(id uint64, urgency uint8, want int) {
		t.Helper()
		if n := told.Say(id, Priority{Urgency: urgency}); n != want {
			t.Errorf("after %d: %d streams, want %d", id, n, want)
		}
	}
	open := func(id uint64, want Priority, said bool) {
		t.Helper()
		if p, ok := told.Open(id); p != want || ok != said {
			t.Errorf("%d opens with %+v, %v; want %+v, %v", id, p, ok, want, said)
		}
	}
	open(1, Unsaid, false)
	say(5, 1, 1)
	say(3, 2, 2)
	say(9, 0, 3)
	say(9, 7, 3) // the last word
	open(3, Priority{Urgency: 2}, true)
	open(7, Unsaid, false) // 5 never will be
	open(5, Unsaid, false)
	say(11, 6, 2)
	open(9, Priority{Urgency: 7}, true)
	open(11, Priority{Urgency: 6}, true)
	say(13, 4, 1)
}
