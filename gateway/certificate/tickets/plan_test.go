package tickets

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// ring has keys from moments after noon, named by their first byte.
func ring(from ...time.Duration) (keys keyRing) {
	for i, d := range from {
		keys = append(keys, key{secret: [32]byte{byte(len(from) - i)}, from: noon.Add(d)})
	}
	return keys
}

func TestDue(t *testing.T) {
	p := plan{every: 12 * time.Hour, lead: 2 * time.Minute}
	f := func(keys keyRing, now time.Duration, due, overdue bool) {
		t.Helper()
		if got := p.due(keys, noon.Add(now)); got != due {
			t.Errorf("due = %v", got)
		}
		if got := p.overdue(keys, noon.Add(now)); got != overdue {
			t.Errorf("overdue = %v", got)
		}
	}
	// none yet
	f(nil, 0, true, true)
	// in the middle of its time
	f(ring(0), 6*time.Hour, false, false)
	// two polls before its end
	f(ring(0), 12*time.Hour-2*time.Minute-time.Second, false, false)
	f(ring(0), 12*time.Hour-2*time.Minute, true, false)
	// the next one is published
	f(ring(12*time.Hour, 0), 12*time.Hour-time.Minute, false, false)
	f(ring(12*time.Hour, 0), 12*time.Hour, false, false)
	// all gateways were off
	f(ring(0), 100*time.Hour, true, true)
	// the clock was put back
	f(ring(0), -time.Hour, false, false)
	// keys change faster than they can be published
	p.every = time.Minute
	f(ring(0), 0, true, false)
	f(ring(2*time.Minute, 0), time.Minute, false, false)
}

func TestRenew(t *testing.T) {
	p := plan{every: 12 * time.Hour, lead: 2 * time.Minute}
	f := func(keys keyRing, earliest, want time.Duration, length int) {
		t.Helper()
		got := p.renew(keys, noon.Add(earliest))
		if !got[0].from.Equal(noon.Add(want)) || len(got) != length || got[0].secret == [32]byte{} {
			t.Errorf("renew = a key from %v of %d", got[0].from, len(got))
		}
		for i, k := range got[1:] {
			if k != keys[i] {
				t.Errorf("key %d is another", i+1)
			}
		}
	}
	f(nil, 0, 0, 1)
	f(ring(0), 12*time.Hour-time.Minute, 12*time.Hour, 2)
	f(ring(0), 100*time.Hour, 100*time.Hour, 2)
	f(ring(36*time.Hour, 24*time.Hour, 12*time.Hour, 0), 0, 48*time.Hour, 4)
}

func TestInUse(t *testing.T) {
	f := func(keys keyRing, now time.Duration, want string) {
		t.Helper()
		got := ""
		for _, secret := range keys.inUse(noon.Add(now)) {
			got += string('0' + rune(secret[0]))
		}
		if got != want {
			t.Errorf("in use: %s, want %s", got, want)
		}
	}
	f(ring(0), 0, "1")
	f(ring(12*time.Hour, 0), 12*time.Hour-1, "12")
	f(ring(12*time.Hour, 0), 12*time.Hour, "21")
	f(ring(36*time.Hour, 24*time.Hour, 12*time.Hour, 0), 30*time.Hour, "3421")
	// the clock was put back
	f(ring(36*time.Hour, 24*time.Hour, 12*time.Hour, 0), -time.Hour, "1432")
}

func TestPlausible(t *testing.T) {
	p := plan{every: 12 * time.Hour, lead: 2 * time.Minute}
	f := func(keys keyRing, want int) {
		t.Helper()
		if got := p.plausible(keys, noon); len(got) != want {
			t.Errorf("%d keys, want %d", len(got), want)
		}
	}
	f(nil, 0)
	f(ring(2*time.Minute, -time.Hour), 2)
	f(ring(1000*time.Hour, -time.Hour), 1)
	f(ring(2000*time.Hour, 1000*time.Hour), 0)
}
