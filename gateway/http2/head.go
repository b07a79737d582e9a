package http2

import (
	"errors"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"metahub/gateway/message"
)

const (
	// maxBlock bounds an encoded head, and each string of it, in bytes. One that is larger is not even decoded, which ends the connection,
	// since the table would be lost.
	maxBlock = 64 << 10
	// maxTrailerBytes bounds the trailers of a request, as message.Size counts them.
	maxTrailerBytes = 8 << 10
)

// block is a head, or trailers, on the way. It belongs to the goroutine that reads.
type block struct {
	id       uint32 // 0 between blocks
	stream   *Stream
	trailers bool
	end      bool          // of the stream
	dropped  http2.ErrCode // with which the stream is reset, as the block is only decoded for the table
	drop     bool
	bytes    int
	err      error // what is wrong with its fields
	left     int   // bytes that trailers may still have
	fields   []message.Field
	foretold bool // the priority is known
}

// takeHeaders begins a block (RFC 9113 §6.2).
func (c *Conn) takeHeaders(f *http2.HeadersFrame) error {
	id := f.StreamID
	if id%2 == 0 {
		return broken(http2.ErrCodeProtocol, "a stream with an even id")
	}
	c.block = block{id: id, end: f.StreamEnded(), fields: c.block.fields[:0]}
	var err error
	if id > c.last {
		err = c.openStream(id)
	} else {
		err = c.reopen(id)
	}
	if err != nil {
		return err
	}
	if f.HasPriority() && f.Priority.StreamDep == id && !c.block.drop {
		c.block.drop, c.block.dropped = true, http2.ErrCodeProtocol
	}
	c.decoder.SetEmitEnabled(!c.block.drop)
	return c.decode(f.HeaderBlockFragment(), f.HeadersEnded())
}

// openStream makes a stream for a new id, or none where there are too many.
func (c *Conn) openStream(id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = id
	foretold, said := c.early.Open(uint64(id))
	limit := c.server.Limits.Streams
	switch {
	case c.leaving == refusing && id > c.final:
		c.block.drop, c.block.dropped = true, http2.ErrCodeRefusedStream
	case c.streams.len() >= limit, c.working >= limit: // handlers may not have noticed yet that their stream has ended
		c.block.drop, c.block.dropped = true, http2.ErrCodeRefusedStream
		return c.spend(refusals)
	default:
		s := c.server.newStream()
		s.begin(c, id)
		s.priority, c.block.foretold = foretold, said
		s.window = c.streamWindow
		c.streams.add(s)
		c.block.stream = s
	}
	return nil
}

// reopen is for a block on a stream that was opened before: trailers, or a mistake.
func (c *Conn) reopen(id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams.find(id)
	if s != nil && !s.remoteEnd {
		c.block.stream, c.block.trailers, c.block.left = s, true, maxTrailerBytes
		return nil
	}
	c.block.drop = true
	if s != nil {
		c.block.dropped = http2.ErrCodeStreamClosed
		return nil
	}
	switch c.closed.find(id) {
	case ended:
		return broken(http2.ErrCodeStreamClosed, "a head on a stream that has ended")
	case resetByYou:
		c.block.dropped = http2.ErrCodeStreamClosed
	case unknown:
		return broken(http2.ErrCodeProtocol, "a stream with an id that is too low")
	case resetByUs: // it was under way
	}
	return nil
}

func (c *Conn) takeContinuation(f *http2.ContinuationFrame) error {
	if err := c.spend(continuations); err != nil {
		return err
	}
	return c.decode(f.HeaderBlockFragment(), f.HeadersEnded())
}

// decode takes the next part of a block.
func (c *Conn) decode(part []byte, last bool) error {
	b := &c.block
	if b.bytes += len(part); b.bytes > maxBlock {
		return c.calm(allowances[headerLists].name)
	}
	_, err := c.decoder.Write(part)
	if err == nil && last {
		err = c.decoder.Close()
	}
	if errors.Is(err, hpack.ErrStringLength) {
		return c.calm(allowances[headerLists].name)
	}
	if err != nil {
		return broken(http2.ErrCodeCompression, "a head that is not in HPACK")
	}
	if !last {
		c.setPhase(insideHead)
		return nil
	}
	done := *b
	c.block = block{fields: b.fields[:0]}
	c.setPhase(betweenFrames)
	return c.takeBlock(&done)
}

// takeField is what the decoder calls for each field.
func (c *Conn) takeField(f hpack.HeaderField) {
	b := &c.block
	if b.err != nil || b.drop {
		return
	}
	if !b.trailers {
		b.err = b.stream.Head.Add(f.Name, f.Value)
	} else if b.left -= message.Size(f.Name, f.Value); b.left < 0 {
		b.err = message.ErrTooLarge
	} else if b.err = message.CheckTrailer(f.Name, f.Value); b.err == nil {
		b.fields = append(b.fields, message.Field{Name: f.Name, Value: f.Value})
	}
	if b.err != nil {
		c.decoder.SetEmitEnabled(false) // the rest is decoded for the table only
	}
}

// takeBlock acts on a block that is there whole.
func (c *Conn) takeBlock(b *block) error {
	if b.drop {
		if b.dropped == http2.ErrCodeNo {
			return c.spend(closedStreams)
		}
		return c.dropBlock(b)
	}
	if b.err == message.ErrTooLarge {
		if err := c.spend(headerLists); err != nil {
			return err
		}
	}
	if b.trailers {
		return c.takeTrailers(b)
	}
	s := b.stream
	if b.err == nil {
		b.err = s.Head.Complete()
	}
	if fault, ok := b.err.(*message.Malformed); ok {
		if told := c.server.Refused; told != nil {
			told()
		}
		if fault.Nameless {
			return c.refuse(b.id, http2.ErrCodeProtocol)
		}
		if err := c.spend(provoked); err != nil {
			return err
		}
	}
	s.Fault = b.err
	return c.begin(s, b)
}

func (c *Conn) dropBlock(b *block) error {
	if b.dropped != http2.ErrCodeRefusedStream {
		return c.refuse(b.id, b.dropped)
	}
	c.mu.Lock()
	c.out = appendReset(c.out, b.id, b.dropped)
	c.closed.bury(b.id, resetByUs)
	c.mu.Unlock()
	return nil
}

// begin has a stream answered, when all has been read that has arrived already: its content may be among that, and other requests, which are
// then handed over together.
func (c *Conn) begin(s *Stream, b *block) error {
	end, length := b.end, s.Head.Length
	if end && length > 0 && s.Fault == nil {
		s.Fault = &message.Malformed{Reason: "there is no content, but a Content-Length"}
	}
	c.asked = append(c.asked, s)
	if !b.foretold { // which would override what the head says (RFC 9218 §7)
		s.priority = message.ParsePriority(s.Head.Priority)
	}
	if end {
		s.remoteEnd = true
		return nil
	}
	s.left = length
	c.mu.Lock()
	s.Body = newBody(s, c.source.now)
	c.mu.Unlock()
	return nil
}

// answerAsked has the streams answered that were begun. mu is held.
func (c *Conn) answerAsked() {
	n := len(c.asked)
	if n == 0 {
		return
	}
	c.busy.Add(int32(n))
	c.working += n
	c.earnByRequests(int32(n))
	for _, s := range c.asked {
		s.working = true
	}
	c.server.workers.answer(c, c.asked)
	clear(c.asked)
	c.asked = c.asked[:0]
}

// earnByRequests gives back what so many requests may honestly take.
func (c *Conn) earnByRequests(n int32) {
	c.account.earn(priorities, n)
	c.account.earn(windowUpdates, 4*n) // some clients send two for each piece that they read
	c.account.earn(closedStreams, n)
}

// takeTrailers ends a body with the fields that came behind it (RFC 9113 §8.1).
func (c *Conn) takeTrailers(b *block) error {
	switch {
	case b.err == message.ErrTooLarge:
		return c.refuse(b.id, http2.ErrCodeEnhanceYourCalm)
	case b.err != nil, !b.end, b.stream.left > 0:
		return c.refuse(b.id, http2.ErrCodeProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams.find(b.id)
	if s == nil { // its answer came first
		return nil
	}
	s.remoteEnd = true
	s.Body.trailers = append([]message.Field(nil), b.fields...)
	s.Body.end(io.EOF)
	return nil
}
