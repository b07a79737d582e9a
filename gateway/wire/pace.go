package wire

import "time"

// paceBytes is how much content a client must send for each limit that it lets others wait for it.
const paceBytes = 1 << 10

// Pace watches over a client that sends content drop by drop: each byte is progress, but together they must not take for ever. Only time
// in which the client is waited for counts. The zero value is the begin of content; it is used by one goroutine at a time.
type Pace struct {
	waited time.Duration
	moved  int
}

// Keep notes that n bytes were waited for, and reports whether the client keeps the pace: for each KiB it may be waited for limit in all.
func (p *Pace) Keep(n int, wait, limit time.Duration) bool {
	if p.waited += wait; p.waited > limit {
		return false
	}
	if p.moved += n; p.moved >= paceBytes {
		*p = Pace{}
	}
	return true
}
