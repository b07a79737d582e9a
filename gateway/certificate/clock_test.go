package certificate

import (
	"sync"
	"time"
)

// jumpingClock is the system's clock with jumps ahead. It implements orders.Clock.
type jumpingClock struct {
	mu      sync.Mutex
	ahead   time.Duration
	waiting []waiter
}

type waiter struct {
	at    time.Time
	woken chan time.Time
}

func newJumpingClock() *jumpingClock { return &jumpingClock{} }

// Now implements orders.Clock.
func (c *jumpingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// After implements orders.Clock.
func (c *jumpingClock) After(d time.Duration) <-chan time.Time {
	w := waiter{at: c.Now().Add(d), woken: make(chan time.Time, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	time.AfterFunc(d, c.wake)
	return w.woken
}

// advance lets time pass.
func (c *jumpingClock) advance(d time.Duration) {
	c.mu.Lock()
	c.ahead += d
	c.mu.Unlock()
	c.wake()
}

func (c *jumpingClock) wake() {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.waiting[:0]
	for _, w := range c.waiting {
		if now.Before(w.at) {
			kept = append(kept, w)
			continue
		}
		w.woken <- now
	}
	c.waiting = kept
}
