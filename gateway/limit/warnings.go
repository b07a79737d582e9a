package limit

import (
	"sync/atomic"
	"time"
)

// warnEvery is how often a person hears of one thing.
const warnEvery = time.Minute

// Warnings count what a person is to hear of now and then. The zero value is ready; Warn may be called at once from any number of goroutines.
type Warnings struct {
	told   atomic.Int64 // when a person last was, in nanoseconds since 1970
	untold atomic.Int64 // since then
}

// Warn counts one more. Once a minute it returns how many there were since it last did, else 0.
func (w *Warnings) Warn(now time.Time) int64 {
	n, last := w.untold.Add(1), w.told.Load()
	if now.UnixNano()-last < int64(warnEvery) || !w.told.CompareAndSwap(last, now.UnixNano()) {
		return 0
	}
	w.untold.Add(-n)
	return n
}
