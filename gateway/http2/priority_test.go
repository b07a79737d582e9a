package http2

import (
	"testing"

	"golang.org/x/net/http2"
)

// TestPriorityUpdate has two answers wait for the window of the connection: the one that PRIORITY_UPDATE has made urgent goes first, whatever the
// request said itself, and whenever that came.
func TestPriorityUpdate(t *testing.T) {
	const size = 200_000
	f := func(what string, before, after func(c rawClient)) {
		t.Helper()
		p := serve(t, limits, echo)
		c := p.speak(1 << 20)
		before(c)
		c.get(1, "/bytes/200000", "u=2")
		c.get(3, "/bytes/200000", "u=6")
		c.take(65535)
		conn := p.open[0]
		await(t, "both to wait", func() bool {
			conn.mu.Lock()
			defer conn.mu.Unlock()
			return len(conn.queue) == 2
		})
		after(c)
		c.must(c.WriteWindowUpdate(0, 1<<20))
		if turns := c.take(2*size - 65535); len(turns) != 2 || turns[0] != 3 {
			t.Errorf("%s: the turns are %v, want 3, then 1", what, turns)
		}
	}
	nothing := func(rawClient) {}
	update := func(id uint32, value string) func(rawClient) {
		return func(c rawClient) { c.must(c.WritePriorityUpdate(id, value)) }
	}
	f("before its stream", update(3, "u=1"), nothing)
	f("once it waits", nothing, update(3, "u=1"))
	f("of the other", nothing, update(1, "u=7"))
	f("the last word", func(c rawClient) {
		update(3, "u=7")(c)
		update(5, "u=0")(c)
		update(3, "u=0")(c)
	}, nothing)
}

// TestPriorityUpdateMistakes are those that RFC 9218 §7.1 has end the connection.
func TestPriorityUpdateMistakes(t *testing.T) {
	few := limits
	few.Streams = 3
	f := func(what string, want http2.ErrCode, ids ...uint32) {
		t.Helper()
		c := serve(t, few, echo).speak(1 << 20)
		c.get(1, "/hang", "")
		for _, id := range ids {
			c.must(c.WritePriorityUpdate(id, "u=1"))
		}
		c.must(c.WritePing(false, [8]byte{}))
		for {
			frame, err := c.ReadFrame()
			c.must(err)
			switch frame := frame.(type) {
			case *http2.PingFrame:
				if want != http2.ErrCodeNo {
					t.Errorf("%s: nothing is wrong, want %v", what, want)
				}
				return
			case *http2.GoAwayFrame:
				if frame.ErrCode != want {
					t.Errorf("%s: %v, want %v", what, frame.ErrCode, want)
				}
				return
			}
		}
	}
	f("none", http2.ErrCodeNo)
	f("of two streams to come, again and again", http2.ErrCodeNo, 3, 5, 3, 5, 1, 1)
	f("of three", http2.ErrCodeProtocol, 3, 5, 7)
	f("of the connection", http2.ErrCodeProtocol, 0)
	f("of a pushed stream", http2.ErrCodeProtocol, 2)
}

// TestPriorityUpdateOfNoStream are words on streams that never were: they count no more once a later one is open.
func TestPriorityUpdateOfNoStream(t *testing.T) {
	few := limits
	few.Streams = 3
	c := serve(t, few, echo).speak(1 << 20)
	for id := uint32(1); id < 200; id += 6 {
		c.must(c.WritePriorityUpdate(id, "u=1"), c.WritePriorityUpdate(id+2, "u=1"))
		c.get(id+4, "/bytes/10", "")
		c.take(10)
	}
}
