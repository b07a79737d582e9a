package api

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	f := func(c *clock, want error) {
		t.Helper()
		select {
		case <-c.Done():
		case <-time.After(time.Minute):
			t.Fatal("it does not end")
		}
		if err := c.Err(); !errors.Is(err, want) {
			t.Errorf("it ended by %v, want %v", err, want)
		}
	}
	f(&clock{deadline: time.Now().Add(time.Millisecond)}, context.DeadlineExceeded)
	f(&clock{deadline: time.Now().Add(-time.Second)}, context.DeadlineExceeded)
	// stopped before anybody waited, and after
	early, late := &clock{deadline: time.Now().Add(time.Hour)}, &clock{deadline: time.Now().Add(time.Hour)}
	early.stop()
	f(early, context.Canceled)
	waiting := late.Done()
	if late.Err() != nil {
		t.Errorf("it has ended by %v at once", late.Err())
	}
	late.stop()
	<-waiting
	f(late, context.Canceled)
}

// TestClockFollowed is that a context made from a clock ends with it, and has no goroutine to follow it.
func TestClockFollowed(t *testing.T) {
	c := &clock{deadline: time.Now().Add(time.Hour)}
	before := runtime.NumGoroutine()
	followers := make([]context.Context, 100)
	for i := range followers {
		child, cancel := context.WithCancel(c)
		defer cancel()
		followers[i] = child
	}
	if more := runtime.NumGoroutine() - before; more >= len(followers) {
		t.Errorf("%d goroutines for %d contexts", more, len(followers))
	}
	if at, ok := followers[0].Deadline(); !ok || !at.Equal(c.deadline) {
		t.Errorf("the deadline is %v, want %v", at, c.deadline)
	}
	c.stop()
	for _, child := range followers {
		if err := child.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("one ended by %v", err)
		}
	}
}
