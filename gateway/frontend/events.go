package frontend

import "sync"

// eventStreams are the upstream connections of all answers that are streams of events. Most last for as long as somebody looks at the
// page.
type eventStreams struct {
	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

// add counts a connection in. Where the streams have ended already it ends with them.
func (s *eventStreams) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return
	}
	if s.open == nil {
		s.open = map[*conn]struct{}{}
	}
	s.open[c] = struct{}{}
}

// remove forgets a connection, before anybody else gets it.
func (s *eventStreams) remove(c *conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

// EndEvents cuts off all streams of events, and those that begin from now on. Clients take none of them for complete, and browsers ask
// for them again, from whoever takes over.
func (s *Server) EndEvents() {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.closed = true
	for c := range s.events.open {
		_ = c.Close()
	}
}
