package http2

import (
	"bufio"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/net/http2"
)

// source is the connection as the framer reads it. Before it waits, all that arrived before has been acted on.
type source struct {
	conn *Conn
	now  time.Time // of the last arrival
	// What came first after a rest, and where it was put.
	early []byte
	first [16]byte
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	if err := s.conn.pause(); err != nil {
		return 0, err
	}
	n, err := s.conn.net.Read(p)
	for errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
		if err = s.conn.interrupted(); err != nil {
			return 0, err
		}
		n, err = s.conn.net.Read(p)
	}
	s.now = time.Now()
	s.conn.resume(s.now)
	return n, err
}

// acquire gets what reading takes while something arrives. A connection that is at rest has none of it.
func (c *Conn) acquire() {
	in, ok := c.server.readers.Get().(*bufio.Reader)
	if !ok {
		in = bufio.NewReaderSize(nil, 4<<10)
	}
	in.Reset(&c.source)
	c.in, c.framer = in, http2.NewFramer(io.Discard, in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(maxFrame)
}

// releaseReader gives it back, between two frames and outside a head, of which the next framer knows nothing.
func (c *Conn) releaseReader() {
	c.in.Reset(nil)
	c.server.readers.Put(c.in)
	c.in, c.framer = nil, nil
}
