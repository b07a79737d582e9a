package http2

import (
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// watch is who sees to it that a client makes progress. It looks at the connection now and then, so that nothing has to be set and taken
// back for each frame.
type watch struct {
	timer *time.Timer
	tick  time.Duration
	idle  time.Time // since when there is no stream, if there is none
	asked time.Time // when PING was sent; zero once something came
	// resting says that the reader holds no buffers, or is to let go of them.
	resting bool

	// What the reader is about, and since when (unix nanoseconds).
	phase atomic.Int32
	since atomic.Int64
	heard atomic.Int64
}

// phase is what the reader waits for.
type phase = int32

const (
	betweenFrames phase = iota
	insideFrame
	insideHead // between the frames of a head
)

func (c *Conn) startWatch() {
	l := &c.server.Limits
	w := &c.watch
	w.tick = min(time.Second, min(l.Idle, l.Header, l.Write, l.Ping)/4)
	now := time.Now()
	w.idle = now
	w.heard.Store(now.UnixNano())
	w.since.Store(now.UnixNano())
	w.timer = time.AfterFunc(w.tick, c.look)
}

func (c *Conn) stopWatch() {
	c.mu.Lock()
	t := c.watch.timer
	c.watch.timer = nil
	c.mu.Unlock()
	t.Stop()
}

// setPhase notes what the reader goes on to. A head counts from its first frame on.
func (c *Conn) setPhase(p phase) {
	w := &c.watch
	if c.block.id != 0 && p != insideHead {
		return
	}
	if was := w.phase.Load(); was == p {
		return
	}
	w.phase.Store(p)
	w.since.Store(c.source.now.UnixNano())
}

// rested notes that there is no stream. mu is held.
func (c *Conn) rested() {
	c.watch.idle = time.Now()
	c.endIfOver()
}

// pause is called before the reader waits.
func (c *Conn) pause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answerAsked()
	switch {
	case c.dead:
		return errGone
	case c.isOver():
		return errOver
	}
	for len(c.out) > maxGathered && c.sending && !c.dead { // a client that does not read gets nothing to answer it with
		c.sent.Wait()
	}
	if len(c.out) > 0 && !c.sending && c.busy.Load() == 1 { // nobody else needs this goroutine
		c.sending = true
		c.mu.Unlock()
		c.sendGathered(nil)
		c.mu.Lock()
	}
	c.kick()
	return nil
}

// resume is called when something has come, or nothing will.
func (c *Conn) resume(now time.Time) { c.watch.heard.Store(now.UnixNano()) }

// look is called every tick.
func (c *Conn) look() {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, l := &c.watch, &c.server.Limits
	if w.timer == nil {
		return
	}
	defer func() {
		next := w.tick
		if w.resting {
			next = max(next, l.Idle/4)
		}
		w.timer.Reset(next)
	}()
	phase, since := w.phase.Load(), time.Unix(0, w.since.Load())
	switch {
	case c.dead:
		return
	case !c.writing.IsZero() && now.Sub(c.writing) > l.Write:
		c.cut(slowReader)
		return
	case phase != betweenFrames && now.Sub(since) > l.Header:
		c.cut(slowHead)
		return
	}
	c.lookAtStreams(now)
	c.lookAtSilence(now)
}

// cut ends a connection that is too slow. mu is held.
func (c *Conn) cut(why string) {
	if told := c.server.Stalled; told != nil {
		told(why)
	}
	c.die()
}

func (c *Conn) lookAtStreams(now time.Time) {
	for s := range c.streams.all {
		if s.Body != nil {
			s.Body.expire(now)
		}
		if !s.queued || c.maySend(s) {
			s.stalled.since = time.Time{} // it waits for others, if for anything
		} else if s.stalled.begin(); s.stalled.over(now, c.server.Limits.Write) {
			if told := c.server.Stalled; told != nil {
				told(slowWindow)
			}
			c.stop(s)
		}
	}
}

// stop ends a stream whose client takes nothing of the answer. mu is held.
func (c *Conn) stop(s *Stream) {
	s.fail(errStalled)
	c.resetStream(s, http2.ErrCodeEnhanceYourCalm)
	c.kick()
}

// lookAtSilence ends connections on which nothing goes on, and those of clients that are gone without a word.
func (c *Conn) lookAtSilence(now time.Time) {
	w, l := &c.watch, &c.server.Limits
	heard := time.Unix(0, w.heard.Load())
	if c.streams.len() == 0 {
		if now.Sub(w.idle) > l.Idle && now.Sub(heard) > l.Idle {
			c.retire()
		} else if now.Sub(heard) > l.Rest {
			c.tire()
		}
		return
	}
	switch quiet := now.Sub(heard); {
	case quiet < l.Ping:
		w.asked = time.Time{}
	case w.asked.IsZero():
		w.asked = now
		c.out = appendPing(c.out, false, [8]byte{})
		c.kick()
	case now.Sub(w.asked) > l.Write:
		c.die()
	}
}
