package http2

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTasks is that the queue gives back what went into it, in its order, and holds not much more than was in it at once.
func TestTasks(t *testing.T) {
	var q tasks
	conns := make([]*Conn, 10_000)
	added, taken, most := 0, 0, 0
	for taken < len(conns) {
		if added < len(conns) && (q.empty() || rand.IntN(2) == 0) {
			conns[added] = new(Conn)
			q.add(task{conn: conns[added]})
			added++
			most = max(most, added-taken)
			continue
		}
		if got := q.take(); got.conn != conns[taken] {
			t.Fatalf("task %d is another one", taken)
		}
		taken++
		if q.empty() != (taken == added) {
			t.Fatalf("empty: %v, with %d tasks in it", q.empty(), added-taken)
		}
	}
	if cap(q.list) > 4*most+8 {
		t.Errorf("room for %d tasks, of which there were %d at once", cap(q.list), most)
	}
}

// TestWorkersThatWait has many streams answered at once by handlers that wait for all the others, so that each needs a worker of its own, and
// then as many that do not wait.
func TestWorkersThatWait(t *testing.T) {
	const n = 200
	arrived, release := make(chan struct{}, n), make(chan struct{})
	server := &Server{Handler: func(*Stream) {
		arrived <- struct{}{}
		<-release
	}}
	c := newConn(server, nowhere{}, nil)
	ask := func() {
		for range n {
			s := server.newStream()
			s.begin(c, 1)
			s.failed = errGone // so that nothing is sent
			c.asked = append(c.asked, s)
		}
		c.mu.Lock()
		c.answerAsked()
		c.mu.Unlock()
		for range n {
			select {
			case <-arrived:
			case <-time.After(time.Minute):
				t.Fatal("a stream waits for a worker")
			}
		}
	}
	ask()
	close(release)
	ask()
	server.Close()
	if left := c.busy.Load(); left != 1 {
		t.Errorf("%d streams were not answered", left-1)
	}
}
