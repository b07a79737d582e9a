package frontend

import "sync"

// room is bounded space for requests that wait. A tenant may take a place while it has fewer than are free, so that one alone gets half
// of them, and however many flood it, the next one still finds a place. Its methods may be called by any number of goroutines at once.
type room struct {
	size int

	mu       sync.Mutex
	taken    int
	byTenant map[string]int
}

// enter takes a place for the tenant with slug, if it may have one. leave must follow.
func (r *room) enter(slug string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTenant[slug] >= r.size-r.taken {
		return false
	}
	if r.byTenant == nil {
		r.byTenant = map[string]int{}
	}
	r.taken++
	r.byTenant[slug]++
	return true
}

func (r *room) leave(slug string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken--
	if r.byTenant[slug]--; r.byTenant[slug] == 0 {
		delete(r.byTenant, slug)
	}
}

// waiting is how many places are taken.
func (r *room) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}
