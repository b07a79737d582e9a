package orders

import "time"

// Clock lets tests move time. A Clock may be used from any number of goroutines at once.
type Clock interface {
	Now() time.Time
	// After is time.After.
	After(d time.Duration) <-chan time.Time
}

// System is the real clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time                         { return time.Now() }
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }

// moment is a point in time in 8 bytes rather than 24: microseconds since 1970, and 0 for none.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.UnixMicro())
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}

func (m moment) add(d time.Duration) moment       { return m + moment(d/time.Microsecond) }
func (m moment) sub(earlier moment) time.Duration { return time.Duration(m-earlier) * time.Microsecond }
