package http2

import (
	"testing"
	"time"
)

// A stop that comes once its stream is another request's is no stop of that one's.
func TestLateStop(t *testing.T) {
	s := &Stream{conn: new(Conn)}
	stop := s.OnLeave(func() { t.Error("a request that was answered is told that its client has left") })
	s.dropLeavers()
	told := make(chan struct{})
	stopNext := s.OnLeave(func() { close(told) })
	if !stop() {
		t.Error("the client of a request that was answered has left")
	}
	s.conn.mu.Lock()
	s.fail(errReset)
	s.conn.mu.Unlock()
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Fatal("the next request is not told")
	}
	if stopNext() {
		t.Error("the next request's client has not left")
	}
}

func TestLeaversAreKept(t *testing.T) {
	s := &Stream{conn: new(Conn)}
	f := func() {}
	allocs := testing.AllocsPerRun(100, func() {
		stop := s.OnLeave(f)
		stop()
		s.dropLeavers()
	})
	if allocs > 0 {
		t.Errorf("a request that watches its client allocates %v times", allocs)
	}
}
