package cache

import (
	"sync"
	"time"
)

// maxWaiting is how many requests wait for one answer. One more asks the origin itself, as does one that has waited for long enough.
const maxWaiting = 1024

// flight is a request whose answer others wait for. It ends when the answer is kept, or is known not to be.
type flight struct {
	hash    uint64
	waiting int
	done    chan struct{} // nil while nobody waits
	entry   *entry        // what was kept; set before done is closed
}

// flights are those of one tenant. They go by hash: should two URLs ever meet in one, that costs a wait, as what is kept is compared.
type flights struct {
	flying sync.Mutex
	open   map[uint64]*flight
}

// join returns the flight to a URL. first says that there was none, and that whoever asks now must land it.
func (f *flights) join(hash uint64) (_ *flight, first bool) {
	f.flying.Lock()
	defer f.flying.Unlock()
	if there := f.open[hash]; there != nil {
		if there.waiting == maxWaiting {
			return nil, false
		}
		if there.waiting++; there.done == nil {
			there.done = make(chan struct{})
		}
		return there, false
	}
	fresh := &flight{hash: hash}
	f.open[hash] = fresh
	return fresh, true
}

// start is join for who would not wait: it returns nil where a flight is under way.
func (f *flights) start(hash uint64) *flight {
	f.flying.Lock()
	defer f.flying.Unlock()
	if f.open[hash] != nil {
		return nil
	}
	fresh := &flight{hash: hash}
	f.open[hash] = fresh
	return fresh
}

// land ends a flight. entry is nil if nothing was kept.
func (f *flights) land(ended *flight, entry *entry) {
	f.flying.Lock()
	defer f.flying.Unlock()
	delete(f.open, ended.hash)
	if ended.done != nil {
		ended.entry = entry
		close(ended.done)
	}
}

// wait returns what the flight has brought, or nil.
func (f *flight) wait(limit time.Duration) *entry {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-f.done:
		return f.entry
	case <-timeout.C:
		return nil
	}
}
