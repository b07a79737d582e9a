package http2

import (
	"runtime"
	"time"

	"golang.org/x/net/http2"
)

const (
	// maxGathered is how many bytes may wait to be sent before who has more must wait too.
	maxGathered = 64 << 10
	// maxBatch is how much content is put into one write.
	maxBatch = 64 << 10
	// shortRest is what may go along beyond that, rather than take a write for itself: the end of what would fill the batch without the heads
	// of its frames.
	shortRest = 512
	// maxData is how much content is put into a frame: with its head it fills a record of TLS.
	maxData = maxFrame - 9
)

// appendHead has a head sent. mu is held.
func (c *Conn) appendHead(id uint32, block []byte, end bool) {
	if !c.tableless {
		c.tableless = true
		block = append([]byte{emptyTable}, block...)
	}
	c.out = appendHead(c.out, id, block, end)
}

// unlockAndFlush lets go of mu and sends what has gathered, unless somebody else is about to.
func (c *Conn) unlockAndFlush() error {
	if c.sending || c.dead {
		c.mu.Unlock()
		return nil
	}
	c.sending = true
	c.mu.Unlock()
	if c.busy.Load() > 2 { // besides the reader and this stream: let those answer too that can
		runtime.Gosched()
	}
	c.sendGathered(nil)
	return nil
}

// flush sends what has gathered.
func (c *Conn) flush() {
	c.mu.Lock()
	if len(c.out) == 0 {
		c.mu.Unlock()
		return
	}
	_ = c.unlockAndFlush()
}

// kick has another goroutine send what has gathered, for who must not wait for the client. mu is held.
func (c *Conn) kick() {
	if c.sending || c.dead {
		return
	}
	if len(c.out) == 0 {
		c.passOn(nil)
		return
	}
	c.sending = true
	c.busy.Add(1)
	c.server.workers.send(c)
}

// passOn gives the role of the sender, which nobody has, to a stream that waits with something that may be sent. It reports whether
// there is one. mu is held.
func (c *Conn) passOn(but *Stream) bool {
	if c.dead {
		return false
	}
	s := c.next()
	if s == nil || s == but {
		return false
	}
	c.sending, s.heir = true, true
	s.signal()
	return true
}

// sendQueued has p sent, when it is its turn and as the windows allow, and returns once it is on its way. mu is held, but not while it waits.
func (s *Stream) sendQueued(p []byte, end bool) error {
	c := s.conn
	s.pending, s.pendingEnd = p, end
	if s.failed == nil {
		s.queued = true
		c.queue = append(c.queue, s)
	}
	for s.queued || s.heir {
		switch {
		case s.heir, !c.sending && !c.dead && c.maySend(s):
			s.heir, c.sending = false, true
			c.mu.Unlock()
			c.sendGathered(s)
			c.mu.Lock()
			continue
		case s.failed != nil:
			c.unqueue(s)
			continue
		}
		if !c.maySend(s) {
			s.stalled.begin()
		}
		if !c.sending && len(c.out) > 0 {
			c.kick() // the head, say
		}
		c.mu.Unlock()
		<-s.wake
		c.mu.Lock()
	}
	s.pending = nil
	if s.localEnd && end && s.failed == nil {
		return nil
	}
	return s.failed
}

// sendGathered is the sender at work: it sends until there is nothing left that may be sent, or until what its own stream waits with, if
// there is one, is on its way and another stream can go on. mu is not held.
func (c *Conn) sendGathered(own *Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		c.gather(own)
		if len(c.out) == 0 || c.dead {
			c.sending = false
			c.sent.Broadcast()
			return
		}
		batch := c.out
		c.out, c.spare = c.spare[:0], nil
		c.writing = time.Now()
		c.sentBytes += int64(len(batch))
		c.mu.Unlock()
		err := c.write(batch)
		c.mu.Lock()
		c.writing = time.Time{}
		c.spare = batch[:0]
		if err != nil {
			c.die()
		}
		c.sent.Broadcast()
		if own != nil && !own.queued && len(c.out) == 0 {
			c.sending = false
			if c.passOn(nil) {
				return
			}
			c.sending = true
		}
	}
}

// write sends a batch in pieces of which each has its time.
func (c *Conn) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxGathered)
		if _, err := c.net.Write(b[:n]); err != nil {
			return err
		}
		if b = b[n:]; len(b) > 0 {
			c.mu.Lock()
			c.writing = time.Now()
			c.mu.Unlock()
		}
	}
	return nil
}

// gather puts content of those that wait into the batch, in the order of their priorities. mu is held.
func (c *Conn) gather(own *Stream) {
	for {
		s := c.next()
		if s == nil || len(c.out) >= maxBatch && (len(s.pending) > shortRest || len(c.out) > maxBatch+shortRest) {
			return
		}
		n := min(len(s.pending), maxData, int(max(c.window, 0)), int(max(s.window, 0)))
		last := n == len(s.pending)
		if last || n == maxData {
			c.sentWhole++
		}
		c.out = appendData(c.out, s.id, s.pending[:n], last && s.pendingEnd)
		s.pending = s.pending[n:]
		s.window -= int32(n)
		c.window -= int32(n)
		s.stalled.moved(n)
		c.alternate = !s.priority.Incremental
		if !last {
			if s.priority.Incremental { // to the end of the line
				c.unqueue(s)
				s.queued = true
				c.queue = append(c.queue, s)
			}
			continue
		}
		c.unqueue(s)
		if s.pendingEnd {
			c.endLocal(s)
		}
		if s != own {
			s.signal()
		}
	}
}

func (c *Conn) maySend(s *Stream) bool {
	return s.queued && (len(s.pending) == 0 || s.window > 0 && c.window > 0)
}

// next is the stream whose turn it is, or nil (RFC 9218 §10). Among those of the highest urgency that are not incremental the oldest comes
// first, the others take turns; where there are both, they take turns too.
func (c *Conn) next() *Stream {
	var whole, part *Stream
	for _, s := range c.queue {
		if !c.maySend(s) {
			continue
		}
		if best := first(whole, part); best != nil && s.priority.Urgency > best.priority.Urgency {
			continue
		} else if best != nil && s.priority.Urgency < best.priority.Urgency {
			whole, part = nil, nil
		}
		switch {
		case s.priority.Incremental && part == nil:
			part = s
		case !s.priority.Incremental && (whole == nil || s.id < whole.id):
			whole = s
		}
	}
	if whole != nil && part != nil && c.alternate {
		return part
	}
	return first(whole, part)
}

func first(a, b *Stream) *Stream {
	if a != nil {
		return a
	}
	return b
}

func (c *Conn) unqueue(s *Stream) {
	s.queued = false
	for i, q := range c.queue {
		if q == s {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			return
		}
	}
}

// endLocal notes that all of the answer is on its way. mu is held.
func (c *Conn) endLocal(s *Stream) {
	if s.localEnd {
		return
	}
	s.localEnd = true
	c.retired(s)
	switch {
	case s.remoteEnd:
		c.remove(s, ended)
	default: // what still comes of the request, nobody wants (RFC 9113 §8.1)
		c.out = appendReset(c.out, s.id, http2.ErrCodeNo)
		c.remove(s, resetByUs)
	}
}

// retired notes that the handler of a stream has returned, and that its answer is on its way or will never be. mu is held.
func (c *Conn) retired(s *Stream) {
	if s.working {
		s.working = false
		c.working--
	}
}

// resetStream ends a stream before its time. mu is held.
func (c *Conn) resetStream(s *Stream, code http2.ErrCode) {
	if s.localEnd {
		return
	}
	s.localEnd = true
	if c.streams.find(s.id) == s {
		c.out = appendReset(c.out, s.id, code)
		c.remove(s, resetByUs)
	}
}
