package api

import (
	"context"
	"sync"
	"time"
)

// clock is a context that ends at its deadline, or when it is stopped. It has a timer from when somebody first waits for that: a request
// that asks no database waits for nothing, and a timer with what hangs on it took 8 % of its time. Any goroutine may use it.
type clock struct {
	deadline time.Time
	once     sync.Once
	timed    context.Context // from once on
	cancel   context.CancelFunc
}

func (c *clock) context() context.Context {
	c.once.Do(func() { c.timed, c.cancel = context.WithDeadline(context.Background(), c.deadline) })
	return c.timed
}

// Deadline implements context.Context.
func (c *clock) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *clock) Done() <-chan struct{} { return c.context().Done() }

// Err implements context.Context.
func (c *clock) Err() error { return c.context().Err() }

// Value implements context.Context. By it contexts that are made from this one find the timer's, and need no goroutine to follow it.
func (c *clock) Value(key any) any { return c.context().Value(key) }

func (c *clock) stop() {
	c.once.Do(func() { c.timed, c.cancel = stopped, func() {} })
	c.cancel()
}

// stopped is a context that has ended.
var stopped = func() context.Context {
	ended, end := context.WithCancel(context.Background())
	end()
	return ended
}()
