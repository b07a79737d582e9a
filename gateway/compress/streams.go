package compress

import "sync"

// How many streams are compressed at once. An encoder stays with its stream until the client has taken all of it, so this bounds their
// memory: about 1 MiB each. One stream more is sent as it is.
const (
	maxStreams       = 1024
	maxTenantStreams = 128
)

// streams counts those that are compressed just now, by tenant. It may be used by any number of goroutines at once.
type streams struct {
	mu   sync.Mutex
	all  int
	open map[string]int // by slug, without zeros
}

// claim counts one more, if there is room.
func (s *streams) claim(slug string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.open[slug] >= maxTenantStreams {
		return false
	}
	s.all++
	s.open[slug]++
	return true
}

// free takes back one claim.
func (s *streams) free(slug string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.open[slug]--; s.open[slug] == 0 {
		delete(s.open, slug)
	}
}
