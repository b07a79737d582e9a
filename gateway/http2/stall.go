package http2

import (
	"time"

	"metahub/gateway/wire"
)

// stall watches over a client that opens its window drop by drop, or not at all: for each KiB it may be waited for so long in all, as for what it
// sends itself (wire.Pace). Only time in which the window is shut counts, not that in which others are sent first.
type stall struct {
	pace  wire.Pace
	since time.Time // when the window was found shut; zero while it is open
}

func (s *stall) begin() {
	if s.since.IsZero() {
		s.since = time.Now()
	}
}

// moved notes n bytes that were sent.
func (s *stall) moved(n int) {
	var waited time.Duration
	if !s.since.IsZero() {
		waited = time.Since(s.since)
		s.since = time.Time{}
	}
	s.pace.Keep(n, waited, 1<<62)
}

// over reports whether the client has had its time.
func (s *stall) over(now time.Time, limit time.Duration) bool {
	if s.since.IsZero() {
		return false
	}
	pace := s.pace
	return !pace.Keep(0, now.Sub(s.since), limit)
}
