package http2

import (
	"testing"

	"golang.org/x/net/http2"
)

// TestHonestWindows has clients say in the smallest steps that are honest that there is room again: they are not taken for attackers.
func TestHonestWindows(t *testing.T) {
	// said is for how many of the bytes that a client owes it says at once that there is room again.
	f := func(what, path string, window, size, streams int, said func(owed int) int) {
		t.Helper()
		p := serve(t, limits, echo)
		c := p.speak(uint32(window))
		for i := range streams {
			c.get(uint32(2*i+1), path, "")
		}
		owed := map[uint32]int{0: window - 65535} // so the window of the connection becomes as small
		for left := size * streams; left > 0; {
			frame, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("%s: %d bytes to come: %v", what, left, err)
			}
			data, ok := frame.(*http2.DataFrame)
			if away, ended := frame.(*http2.GoAwayFrame); ended {
				t.Fatalf("%s: %d bytes to come: %v", what, left, away)
			}
			if !ok || data.Length == 0 {
				continue
			}
			left -= int(data.Length)
			for _, id := range []uint32{0, data.StreamID} {
				owed[id] += int(data.Length)
				if n := said(owed[id]); n > 0 {
					owed[id] -= n
					c.must(c.WriteWindowUpdate(id, uint32(n)))
				}
			}
		}
	}
	f("windows of 1 KiB", "/stream/150000", 1<<10, 150_000, 10, func(owed int) int { return owed / 512 * 512 })
	f("each frame of a few bytes", "/drops/5000", 65535, 20*5000, 1, func(owed int) int { return owed })
	f("each frame", "/stream/2000000", 65535, 2_000_000, 1, func(owed int) int { return owed })
}
