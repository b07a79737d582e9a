package http2

import "time"

// window is what a client may still send, to a stream or to the connection as a whole (RFC 9113 §5.2). It grows for a client that would be
// faster if it were larger, up to a bound.
type window struct {
	size, most int32     // in bytes
	left       int32     // of it, what may still come
	owed       int32     // taken by a reader, and not yet announced
	since      time.Time // of the last announcement
}

// receive takes n bytes that have come; false means that the client was not allowed to send them.
func (w *window) receive(n int32) bool {
	w.left -= n
	return w.left >= 0
}

// release gives back n bytes that were read or dropped, and returns what is now to be announced, or 0: half a window at once. A window of
// which half was used up within two round trips is the bottleneck, and is doubled.
func (w *window) release(n int32, now time.Time, trip time.Duration) (increment int32) {
	if w.owed += n; w.owed < w.size/2 {
		return 0
	}
	increment = w.owed
	if w.size < w.most && now.Sub(w.since) < 2*trip {
		grown := min(2*w.size, w.most)
		increment += grown - w.size
		w.size = grown
	}
	w.owed, w.since = 0, now
	w.left += increment
	return increment
}
