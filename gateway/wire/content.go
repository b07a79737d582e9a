package wire

import "time"

// beginContent takes from the head how its content is framed (RFC 9112 §6.3). The method plays no part: a GET may have content too.
func (c *Conn) beginContent() {
	c.pace = Pace{}
	switch {
	case c.head.chunked:
		c.phase, c.chunks = inChunkSize, chunks{}
	case c.head.length > 0:
		c.phase, c.left = inContent, c.head.length
	}
}

// foresee checks the chunk framing in b, which came together with its head, so that a request that is refused for it is refused before
// anyone hears of it. All of it is checked again when it is delivered.
func (c *Conn) foresee(b []byte) *Error {
	phase, chunks, left := c.phase, c.chunks, c.left
	defer func() { c.phase, c.chunks, c.left = phase, chunks, left }()
	for len(b) > 0 && c.phase != inHead && c.phase != inContent {
		if c.phase == inChunkData {
			n := min(int64(len(b)), c.left)
			c.takeContent(n)
			b = b[n:]
			continue
		}
		n, refused := c.checkFraming(b)
		if n == 0 {
			return refused
		}
		b = b[n:]
	}
	return nil
}

// readContent reads content straight into p, and never beyond its end.
func (c *Conn) readContent(p []byte) (int, error) {
	began := time.Now()
	n, err := c.clock.read(p[:min(int64(len(p)), c.left)], began.Add(c.limits.Body-c.pace.waited))
	if err != nil {
		return 0, c.refuse(bodyError(err))
	}
	if !c.pace.Keep(n, time.Since(began), c.limits.Body) {
		return 0, c.refuse(errBodyTimeout)
	}
	c.takeContent(int64(n))
	c.settle()
	return n, nil
}

// takeContent counts n more bytes of content as checked.
func (c *Conn) takeContent(n int64) {
	c.left -= n
	if c.left > 0 {
		return
	}
	if c.phase == inContent {
		c.phase = inHead
	} else {
		c.phase = inChunkEnd
	}
}

// nextFraming makes one piece of chunked framing ready, and waits for more bytes until it is complete.
func (c *Conn) nextFraming() *Error {
	for {
		n, refused := c.checkFraming(c.buffer.bytes())
		if refused != nil {
			return refused
		}
		if n > 0 {
			c.ready = n
			return nil
		}
		began := time.Now()
		if err := c.buffer.fill(&c.clock, began.Add(c.limits.Body-c.pace.waited)); err != nil {
			return bodyError(err)
		}
		if !c.pace.Keep(0, time.Since(began), c.limits.Body) {
			return errBodyTimeout
		}
	}
}

// checkFraming returns the length of the framing at b[0], or 0 while it is not complete, and moves on to the phase behind it.
func (c *Conn) checkFraming(b []byte) (n int, err *Error) {
	switch c.phase {
	case inChunkSize:
		n, c.left, err = c.chunks.sizeLine(b)
		if n > 0 && c.left > 0 {
			c.phase = inChunkData
		} else if n > 0 {
			c.phase = inTrailer
		}
	case inChunkEnd:
		if n, err = chunkEnd(b); n > 0 {
			c.phase = inChunkSize
		}
	case inTrailer:
		if n, err = c.chunks.trailerSection(b, &c.limits); n > 0 {
			c.phase = inHead
			c.keepTrailers(b[:n])
		}
	}
	return n, err
}

// keepTrailers keeps a section less its empty line.
func (c *Conn) keepTrailers(section []byte) {
	c.trailers = append(c.trailers[:0], section[:len(section)-len("\r\n")]...)
}

// Trailers returns the fields that came behind the content, as lines that each end in CRLF. It belongs to who reads the content, once that
// is at its end, and is valid until the next request.
func (c *Conn) Trailers() []byte { return c.trailers }

func bodyError(err error) *Error {
	switch {
	case isTimeout(err):
		return errBodyTimeout
	case err == errHalted:
		return errAbandoned
	}
	return errBodyIncomplete
}

// errAbandoned is a read after Abandon. It is no fault of the client's, so Err does not return it.
var errAbandoned = &Error{400, "the content is no longer wanted"}

// Abandon makes a Read of content that waits, and every later one, fail at once: the request has its answer, and nobody wants the rest
// of it. The connection can only be closed then. It may be called from any goroutine.
func (c *Conn) Abandon() { c.clock.halt() }
