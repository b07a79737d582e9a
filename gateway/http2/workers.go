package http2

import (
	"sync"
	"time"
)

// task is what a worker does: answer a stream, or without one send what a connection has to send.
type task struct {
	conn   *Conn
	stream *Stream
}

func (t task) do() {
	if t.stream != nil {
		t.stream.run()
		return
	}
	t.conn.sendGathered(nil)
	t.conn.leave()
}

// workers are goroutines that run tasks, in the order in which they came. One that is free is used before a new one is made, so that its stack
// is large enough already, and the one that became free last, which is the likeliest in the caches.
//
// For any number of tasks one worker is woken, which wakes the next one before it begins its own: if its task waits, the others go on; and if
// not, as with answers from memory, it takes the next task itself, and most of the others sleep on. The zero value is ready.
type workers struct {
	mu     sync.Mutex
	tasks  tasks
	waking bool // a worker is on its way to the tasks
	idle   []*worker
	spare  int // the fewest that were idle since the last trim
	timer  *time.Timer
	closed bool
	wait   sync.WaitGroup
}

type worker struct{ wake chan struct{} }

// idleWorkers is how often those that were not needed since are ended.
const idleWorkers = time.Second

// answer has streams of c answered by other goroutines, soon.
func (w *workers) answer(c *Conn, streams []*Stream) {
	w.mu.Lock()
	for _, s := range streams {
		w.tasks.add(task{c, s})
	}
	w.unlockAndWake()
}

// send has what c has to send sent by another goroutine.
func (w *workers) send(c *Conn) {
	w.mu.Lock()
	w.tasks.add(task{conn: c})
	w.unlockAndWake()
}

// unlockAndWake lets go of mu and sends a worker to the tasks, unless one is on its way already, or there are none.
func (w *workers) unlockAndWake() {
	if w.waking || w.tasks.empty() {
		w.mu.Unlock()
		return
	}
	w.waking = true
	if n := len(w.idle) - 1; n >= 0 {
		free := w.idle[n]
		w.idle[n] = nil
		w.idle = w.idle[:n]
		w.spare = min(w.spare, n)
		w.mu.Unlock()
		free.wake <- struct{}{}
		return
	}
	w.wait.Add(1)
	w.mu.Unlock()
	go w.work()
}

func (w *workers) work() {
	defer w.wait.Done()
	me := &worker{wake: make(chan struct{}, 1)}
	w.mu.Lock()
	w.waking = false
	for {
		for !w.tasks.empty() {
			t := w.tasks.take()
			w.unlockAndWake()
			t.do()
			w.mu.Lock()
		}
		if !w.rest(me) {
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if _, ok := <-me.wake; !ok {
			return
		}
		w.mu.Lock()
		w.waking = false
	}
}

// rest has a worker wait among the idle ones. mu is held.
func (w *workers) rest(me *worker) bool {
	if w.closed {
		return false
	}
	w.idle = append(w.idle, me)
	if w.timer == nil {
		w.timer = time.AfterFunc(idleWorkers, w.trim)
	}
	return true
}

// trim ends those that have been idle since it was called last.
func (w *workers) trim() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, unused := range w.idle[:w.spare] {
		close(unused.wake)
	}
	n := copy(w.idle, w.idle[w.spare:])
	clear(w.idle[n:])
	w.idle, w.spare = w.idle[:n], n
	if n == 0 || w.closed {
		w.timer = nil
		return
	}
	w.timer.Reset(idleWorkers)
}

// close ends those that are idle, and waits for the others.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	for _, free := range w.idle {
		close(free.wake)
	}
	w.idle, w.spare = nil, 0
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.wait.Wait()
}

// tasks are a queue.
type tasks struct {
	list []task
	next int
}

func (q *tasks) empty() bool { return q.next == len(q.list) }

func (q *tasks) add(t task) {
	if len(q.list) == cap(q.list) && q.next >= len(q.list)/2 { // rather than to let it grow
		n := copy(q.list, q.list[q.next:])
		clear(q.list[n:])
		q.list, q.next = q.list[:n], 0
	}
	q.list = append(q.list, t)
}

func (q *tasks) take() task {
	t := q.list[q.next]
	q.list[q.next] = task{}
	if q.next++; q.next == len(q.list) {
		q.list, q.next = q.list[:0], 0
	}
	return t
}
