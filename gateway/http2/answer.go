package http2

import (
	"io"
	"net/http"
	"sync"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"metahub/gateway/message"
)

// respond sends the answer. Unless it ends the stream, the stream has to be reset, so that the client does not take half an answer for all.
func (s *Stream) respond() error {
	response := &s.Ctx.Response
	defer response.CloseBodyStream()
	status := response.StatusCode()
	bodiless := s.Ctx.IsHead() || status == http.StatusNoContent || status == http.StatusNotModified
	head := encodeHead(response, bodiless)
	switch {
	case bodiless:
		return s.sendWhole(head, nil)
	case response.IsBodyStream():
		return s.sendStream(head, response)
	}
	return s.sendWhole(head, response.Body())
}

// start has a head sent, or trailers, unless nobody wants the answer any more. mu is held.
func (s *Stream) start(head *coder, end bool) error {
	defer head.done()
	if s.failed != nil {
		return s.failed
	}
	s.begun = true
	s.conn.appendHead(s.id, head.block.Bytes(), end)
	return nil
}

// smallAnswer is how much content is sent along with the head, whoever else waits, in bytes.
const smallAnswer = maxFrame

// sendWhole sends the head, and content that is there.
func (s *Stream) sendWhole(head *coder, body []byte) error {
	c := s.conn
	_, breaks := s.Fault.(*message.Malformed)
	c.mu.Lock()
	if err := s.start(head, len(body) == 0 && !breaks); err != nil {
		c.mu.Unlock()
		return err
	}
	if n := int32(len(body)); len(body) == 0 || len(body) <= smallAnswer && len(c.out) < maxGathered && n <= s.window && n <= c.window {
		if n > 0 {
			s.window -= n
			c.window -= n
			c.out = appendData(c.out, s.id, body, !breaks)
			c.sentWhole++
		}
		if breaks {
			c.retired(s)
			c.resetStream(s, http2.ErrCodeProtocol)
		} else {
			c.endLocal(s)
		}
		return c.unlockAndFlush()
	}
	err := s.sendQueued(body, true)
	c.mu.Unlock()
	return err
}

// sendStream sends content as it comes: each piece is on its way before the next one is waited for.
func (s *Stream) sendStream(head *coder, response *fasthttp.Response) error {
	c := s.conn
	c.mu.Lock()
	if err := s.start(head, false); err != nil {
		c.mu.Unlock()
		return err
	}
	c.kick() // however long the first piece takes; if it is there already, they go together
	c.mu.Unlock()
	stream := response.BodyStream()
	if by, ok := stream.(io.WriterTo); ok {
		if _, err := by.WriteTo((*content)(s)); err != nil {
			return err
		}
		return s.sendEnd(response)
	}
	piece := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(piece)
	for {
		n, err := stream.Read(piece[:])
		if n > 0 {
			if err := s.send(piece[:n], false); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return s.sendEnd(response)
		case err != nil:
			return err
		}
	}
}

// content is a stream that an answer's content is written to.
type content Stream

// Write implements io.Writer: it returns once p is on its way.
func (c *content) Write(p []byte) (int, error) {
	if err := (*Stream)(c).send(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pieces hold one piece of a streamed answer.
var pieces = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// sendEnd ends the stream, with trailers if there are some.
func (s *Stream) sendEnd(response *fasthttp.Response) error {
	trailers := encodeTrailers(response)
	if trailers == nil {
		return s.send(nil, true)
	}
	c := s.conn
	c.mu.Lock()
	if err := s.start(trailers, true); err != nil {
		c.mu.Unlock()
		return err
	}
	c.endLocal(s)
	return c.unlockAndFlush()
}

func (s *Stream) send(p []byte, end bool) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.sendQueued(p, end)
}
