package http2

import "golang.org/x/net/http2"

// leaving is how far the end of a connection has been announced (RFC 9113 §6.8).
type leaving uint8

const (
	staying  leaving = iota
	warned           // GOAWAY says that there will be an end; requests on their way are served
	refusing         // GOAWAY says which is the last request
)

const lastStream = 1<<31 - 1

// Drain ends the connection in good order. It is called twice, with time in between: first it says that there will be an end, and with final
// set which request is the last one that is answered. With that answer the connection ends.
func (c *Conn) Drain(final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead:
	case c.leaving == staying && !final:
		c.leaving = warned
		c.out = appendGoAway(c.out, lastStream, http2.ErrCodeNo, "")
		c.kick()
	case c.leaving != refusing && final:
		c.retire()
	}
}

// retire refuses what comes from now on. mu is held.
func (c *Conn) retire() {
	if c.leaving != refusing {
		c.leaving, c.final = refusing, c.last
		c.out = appendGoAway(c.out, c.last, http2.ErrCodeNo, "")
		c.kick()
	}
	c.endIfOver()
}

// isOver reports whether neither side has anything to say any more. mu is held.
func (c *Conn) isOver() bool {
	return c.streams.len() == 0 && (c.farewell || c.leaving == refusing)
}

// endIfOver has the reader look whether it has anything to wait for. mu is held.
func (c *Conn) endIfOver() {
	if c.isOver() {
		_ = c.net.SetReadDeadline(past)
	}
}
