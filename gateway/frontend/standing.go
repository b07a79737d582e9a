package frontend

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// faultsInRow is how many faults without an answer in between take an upstream out of the lists that it is in.
	faultsInRow = 3
	// firstOut is for how long; it doubles each time, up to longestOut.
	firstOut   = 5 * time.Second
	longestOut = 2 * time.Minute
	// returnIn is the time over which an upstream that was out gets its full share again.
	returnIn = 10 * time.Second
)

// standing is what an upstream's last exchanges say of it. It only matters where there are others to choose. Its methods may be called by
// any number of goroutines at once; of faults at the same moment one more or less may be counted.
type standing struct {
	faults atomic.Int32
	times  atomic.Int32 // that it was out since it last had its full share
	out    atomic.Int64 // Unix time in nanoseconds until which it is; 0 if it has its full share
}

// fault counts an exchange that the upstream spoiled.
func (s *standing) fault(now time.Time) {
	if s.isOut(now) || s.faults.Add(1) < faultsInRow && s.out.Load() == 0 {
		return
	}
	s.faults.Store(0)
	span := min(firstOut<<min(s.times.Add(1)-1, 10), longestOut)
	s.out.Store(now.Add(span).UnixNano())
}

// answered counts an exchange that went well.
func (s *standing) answered(now time.Time) {
	if s.faults.Load() != 0 {
		s.faults.Store(0)
	}
	if out := s.out.Load(); out != 0 && now.UnixNano()-out > int64(returnIn) {
		s.out.Store(0)
		s.times.Store(0)
	}
}

// takeOut has the upstream out until bringBack.
func (s *standing) takeOut() { s.out.Store(math.MaxInt64) }

// bringBack lets the upstream return from now on.
func (s *standing) bringBack(now time.Time) { s.out.Store(now.UnixNano()) }

func (s *standing) isOut(now time.Time) bool { return s.out.Load() > now.UnixNano() }

// accepts reports whether the upstream should get a request: not while it is out, and only some while it returns.
func (s *standing) accepts(now time.Time) bool {
	out := s.out.Load()
	if out == 0 {
		return true
	}
	back := now.UnixNano() - out
	return back >= 0 && back+int64(returnIn)/20 > rand.Int64N(int64(returnIn))
}
