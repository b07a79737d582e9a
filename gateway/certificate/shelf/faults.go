package shelf

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// sayAgain is how often a disk that cannot be read is spoken of: once for all its domains.
const sayAgain = time.Minute

// faults remembers what has been said, so that no handshake says it again.
type faults struct {
	mu     sync.Mutex
	torn   map[string]struct{}
	unread time.Time // when a disk was last spoken of
}

// first reports whether a domain has not been said to be torn yet, and notes that it is now.
func (f *faults) first(domain string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, said := f.torn[domain]; said {
		return false
	}
	f.torn[domain] = struct{}{}
	return true
}

func (f *faults) forget(domain string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.torn, domain)
}

// speak reports whether it is time again to speak of the disk.
func (f *faults) speak(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.unread); age >= 0 && age < sayAgain { // below 0: the clock was put back
		return false
	}
	f.unread = now
	return true
}

func (s *Shelf) sayTorn(domain string, err error) {
	if !s.faults.first(domain) {
		return
	}
	s.logger.Warn("a stored certificate is damaged and counts as absent", zap.String("domain", domain), zap.Error(err))
	if s.torn == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("panic while a damaged certificate was reported", zap.String("domain", domain), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	s.torn(domain)
}

func (s *Shelf) sayUnread(domain string, err error, now time.Time) {
	if s.faults.speak(now) {
		s.logger.Error("stored certificates cannot be read, look after the disk", zap.String("domain", domain), zap.Error(err))
	}
}
