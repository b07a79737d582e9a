package http2

import (
	"errors"
	"os"
	"time"
)

// errTired has the reader let go of its buffers: nothing has come for a while.
var errTired = errors.New("the connection rests")

// tire has a connection rest on which nothing goes on: what remains of it is next to nothing beside its TLS. mu is held.
func (c *Conn) tire() {
	w := &c.watch
	if w.resting || c.busy.Load() > 1 || c.sending || len(c.out) > 0 || w.phase.Load() != betweenFrames {
		return
	}
	w.resting = true
	c.spare, c.queue, c.streams = nil, nil, roster{}
	_ = c.net.SetReadDeadline(past)
}

var past = time.Unix(1, 0)

// interrupted says why a read was made to end, which only endIfOver and tire do. It is nil if the connection was to rest, but something had
// just come by then.
func (c *Conn) interrupted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.isOver() || !c.watch.resting:
		return errOver
	case c.watch.phase.Load() == betweenFrames:
		return errTired
	}
	return c.rouse()
}

// rouse ends a rest. mu is held.
func (c *Conn) rouse() error {
	c.watch.resting = false
	c.watch.timer.Reset(c.watch.tick)
	return c.net.SetReadDeadline(time.Time{})
}

// rest waits for the next byte without a buffer.
func (c *Conn) rest() error {
	c.releaseReader()
	defer c.acquire()
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		c.mu.Lock()
		if c.isOver() {
			err = errOver
		} else {
			err = c.net.SetReadDeadline(time.Time{}) // with mu held, lest that of endIfOver be lost
		}
		c.mu.Unlock()
		if err == nil {
			n, err = c.net.Read(c.source.first[:])
		}
	}
	now := time.Now()
	c.source.now = now
	c.source.early = c.source.first[:n]
	c.watch.heard.Store(now.UnixNano())
	c.mu.Lock()
	if !c.isOver() {
		_ = c.rouse() // where it fails the next read does
	}
	c.mu.Unlock()
	if n > 0 {
		err = nil // it comes again
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errOver
	}
	return err
}
