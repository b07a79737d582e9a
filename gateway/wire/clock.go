package wire

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// clock reads and writes a connection with deadlines of its own. Setting one costs a third of checking a head, so a deadline that is
// set already is kept where it does.
type clock struct {
	conn     net.Conn
	armed    time.Time // the read deadline in force
	writable time.Time // the write deadline in force
	halted   atomic.Bool
}

// errHalted is what a read gives after halt.
var errHalted = errors.New("reading has been halted")

// halt makes a read that waits, and every later one, fail at once. It may be called from any goroutine.
func (c *clock) halt() {
	c.halted.Store(true)
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// read waits for bytes until the given time; then isTimeout is true of its error. It returns bytes or an error, never both or neither.
func (c *clock) read(p []byte, until time.Time) (int, error) {
	for {
		// A deadline that is too early does no harm: when it comes the wait goes on.
		if c.armed.IsZero() || c.armed.After(until) {
			if err := c.conn.SetReadDeadline(until); err != nil {
				return 0, err
			}
			c.armed = until
		}
		if c.halted.Load() { // after the deadline has been set, or halt's would be lost
			return 0, errHalted
		}
		n, err := c.conn.Read(p)
		if n > 0 {
			return n, nil // an error besides the bytes comes again with the next read
		}
		if isTimeout(err) && (c.halted.Load() || time.Now().Before(until)) {
			c.armed = time.Time{}
			continue
		}
		if err != nil {
			return 0, err
		}
	}
}

// pieceBytes is how much of a long answer one write deadline covers, so that a slow client that makes progress is not cut off.
const pieceBytes = 64 << 10

// write writes p in pieces that each have at least patience, and at most twice that. Unlike a read, a TLS write cannot go on after
// its deadline, so a deadline must never be too early.
func (c *clock) write(p []byte, patience time.Duration) (written int, err error) {
	for {
		if now := time.Now(); c.writable.Sub(now) < patience {
			c.writable = now.Add(2 * patience)
			if err := c.conn.SetWriteDeadline(c.writable); err != nil {
				return written, err
			}
		}
		n, err := c.conn.Write(p[written:min(len(p), written+pieceBytes)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
