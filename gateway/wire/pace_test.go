package wire

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const limit = 30 * time.Second
	f := func(name string, n int, wait time.Duration, times int, want bool) {
		t.Helper()
		var p Pace
		kept := true
		for range times {
			kept = kept && p.Keep(n, wait, limit)
		}
		if kept != want {
			t.Errorf("%s: kept %v, want %v", name, kept, want)
		}
	}
	f("a byte each 5 s, for 30 s", 1, 5*time.Second, 6, true)
	f("a byte each 5 s", 1, 5*time.Second, 7, false)
	f("a byte each 20 ms", 1, 20*time.Millisecond, 10000, true)
	f("a byte each 40 ms", 1, 40*time.Millisecond, 10000, false)
	f("100 bytes each 2 s", 100, 2*time.Second, 1000, true)
	f("20 KB each second", 20<<10, time.Second, 1000, true)
	f("1 KiB each 30 s", paceBytes, limit, 1000, true)
	f("half of it", paceBytes/2, limit, 1000, false)
	f("a byte at once", 1, 0, 10000, true)
}
