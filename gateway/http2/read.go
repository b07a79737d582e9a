package http2

import (
	"errors"
	"io"

	"golang.org/x/net/http2"
)

// errOver ends a connection on which both sides have said all.
var errOver = errors.New("nothing more will come")

// read takes frames until the connection ends.
func (c *Conn) read() error {
	if !isSecure(c.net) {
		return broken(http2.ErrCodeInadequateSecurity, "a cipher suite that HTTP/2 does not allow")
	}
	if err := c.readPreface(); err != nil {
		return err
	}
	for first := true; ; first = false {
		if err := c.awaitFrame(); err != nil {
			return err
		}
		head, err := c.framer.ReadFrameHeader()
		if err == nil && first && (head.Type != http2.FrameSettings || head.Flags.Has(http2.FlagSettingsAck)) {
			return broken(http2.ErrCodeProtocol, "the first frame is no SETTINGS")
		}
		var frame http2.Frame
		if err == nil {
			frame, err = c.framer.ReadFrameForHeader(head)
		}
		c.setPhase(betweenFrames)
		if err != nil {
			err = c.frameFault(head, err)
		} else {
			err = c.take(frame)
		}
		if err != nil {
			return err
		}
	}
}

// readPreface reads what each client begins with (RFC 9113 §3.4).
func (c *Conn) readPreface() error {
	var preface [len(http2.ClientPreface)]byte
	c.setPhase(insideFrame)
	for n := range preface {
		b, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		if b != http2.ClientPreface[n] {
			return broken(http2.ErrCodeProtocol, "this is not HTTP/2")
		}
	}
	c.setPhase(betweenFrames)
	return nil
}

// awaitFrame waits for the first byte of a frame.
func (c *Conn) awaitFrame() error {
	for c.in.Buffered() == 0 {
		_, err := c.in.Peek(1)
		if err == errTired {
			err = c.rest()
		}
		if err != nil {
			return err
		}
	}
	c.setPhase(insideFrame)
	return nil
}

// frameFault judges what the framer could not read.
func (c *Conn) frameFault(head http2.FrameHeader, err error) error {
	if errors.Is(err, http2.ErrFrameTooLarge) {
		return broken(http2.ErrCodeFrameSize, "a frame that is too large")
	}
	if code, ok := errors.AsType[http2.ConnectionError](err); ok {
		return broken(http2.ErrCode(code), "a frame that is not well formed")
	}
	fault, ok := errors.AsType[http2.StreamError](err)
	switch {
	case !ok && errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case !ok:
		return err
	case head.Type == http2.FrameHeaders, head.Type == http2.FrameContinuation: // what it holds was not decoded
		return broken(fault.Code, "a head that is not well formed")
	}
	return c.refuse(fault.StreamID, fault.Code)
}

// take acts on a frame. Its error ends the connection.
func (c *Conn) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		return c.takeData(f)
	case *http2.HeadersFrame:
		return c.takeHeaders(f)
	case *http2.ContinuationFrame:
		return c.takeContinuation(f)
	case *http2.WindowUpdateFrame:
		return c.takeWindowUpdate(f)
	case *http2.RSTStreamFrame:
		return c.takeReset(f)
	case *http2.SettingsFrame:
		return c.takeSettings(f)
	case *http2.PingFrame:
		return c.takePing(f)
	case *http2.PriorityFrame:
		return c.takePriority(f)
	case *http2.PriorityUpdateFrame:
		return c.takePriorityUpdate(f)
	case *http2.GoAwayFrame:
		return c.takeGoAway()
	case *http2.PushPromiseFrame:
		return broken(http2.ErrCodeProtocol, "a client that pushes")
	}
	return c.spend(unknownFrames)
}

// spend charges a budget; an error says that nothing was left of it.
func (c *Conn) spend(b budget) error {
	if c.account.spend(b, c.source.now) {
		return nil
	}
	return c.calm(allowances[b].name)
}

// calm ends the connection over an attack, or what looks like one.
func (c *Conn) calm(budget string) error {
	if told := c.server.Attacked; told != nil {
		told(c, budget)
	}
	return broken(http2.ErrCodeEnhanceYourCalm, "too much of "+budget)
}

// refuse resets a stream for what came on it, for which the client is to blame.
func (c *Conn) refuse(id uint32, code http2.ErrCode) error {
	if id%2 == 0 || id > c.last {
		return broken(code, "a frame on a stream that is not open")
	}
	c.mu.Lock()
	if s := c.streams.find(id); s != nil {
		c.abort(s, errRefused, resetByUs)
	} else {
		c.closed.bury(id, resetByUs)
	}
	c.out = appendReset(c.out, id, code)
	c.mu.Unlock()
	return c.spend(provoked)
}

// abort ends a stream whose answer nobody will get. mu is held.
func (c *Conn) abort(s *Stream, why error, how grave) {
	s.fail(why)
	s.localEnd = true
	c.remove(s, how)
	for i, asked := range c.asked {
		if asked == s { // no handler has it yet
			c.asked = append(c.asked[:i], c.asked[i+1:]...)
			if s.Body != nil {
				s.Body.close()
			}
			s.recycle()
			return
		}
	}
}

func (c *Conn) takeData(f *http2.DataFrame) error {
	data, size := f.Data(), int32(f.Length)
	if err := c.spendOnData(f, len(data)); err != nil {
		return err
	}
	c.mu.Lock()
	if !c.receiveWindow.receive(size) {
		c.mu.Unlock()
		return broken(http2.ErrCodeFlowControl, "more data than the window of the connection lets through")
	}
	s := c.streams.find(f.StreamID)
	if s == nil {
		c.release(size, c.source.now)
		how := c.closed.find(f.StreamID)
		c.mu.Unlock()
		return c.strayData(f.StreamID, how)
	}
	if code := c.addData(s, f, data); code != http2.ErrCodeNo {
		c.release(size, c.source.now)
		c.mu.Unlock()
		return c.refuse(f.StreamID, code)
	}
	if pad := size - int32(len(data)); pad > 0 {
		c.release(pad, c.source.now)
	}
	c.mu.Unlock()
	return nil
}

func (c *Conn) spendOnData(f *http2.DataFrame, n int) error {
	switch {
	case f.StreamEnded():
		return nil
	case n == 0:
		return c.spend(emptyData)
	case n < tinyBytes:
		return c.spend(tinyData)
	}
	return nil
}

// strayData judges data on a stream that is not open.
func (c *Conn) strayData(id uint32, how grave) error {
	switch {
	case id%2 == 0 || id > c.last:
		return broken(http2.ErrCodeProtocol, "data on a stream that is not open")
	case how == ended:
		return broken(http2.ErrCodeStreamClosed, "data on a stream that has ended")
	case how == resetByYou:
		return c.refuse(id, http2.ErrCodeStreamClosed)
	}
	return c.spend(closedStreams)
}

// addData gives data to the body of a request, or says what is wrong with it. mu is held.
func (c *Conn) addData(s *Stream, f *http2.DataFrame, data []byte) http2.ErrCode {
	switch n := int64(len(data)); {
	case s.remoteEnd:
		return http2.ErrCodeStreamClosed
	case !s.Body.window.receive(int32(f.Length)):
		return http2.ErrCodeFlowControl
	case s.left >= 0 && n > s.left, f.StreamEnded() && s.left >= 0 && n < s.left: // RFC 9113 §8.1.1
		return http2.ErrCodeProtocol
	case s.left >= 0:
		s.left -= n
	}
	if s.Body.closed {
		c.release(int32(len(data)), c.source.now)
	} else {
		s.Body.add(data)
	}
	if pad := int32(f.Length) - int32(len(data)); pad > 0 {
		s.Body.window.left += pad
	}
	if f.StreamEnded() {
		s.remoteEnd = true
		s.Body.end(io.EOF)
	}
	return http2.ErrCodeNo
}

func (c *Conn) takeWindowUpdate(f *http2.WindowUpdateFrame) error {
	if err := c.spendOnUpdate(); err != nil {
		return err
	}
	if f.StreamID == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if int64(c.window)+int64(f.Increment) > 1<<31-1 {
			return broken(http2.ErrCodeFlowControl, "a window that is too large")
		}
		c.window += int32(f.Increment)
		c.wakeQueue()
		return nil
	}
	if f.StreamID%2 == 0 || f.StreamID > c.last {
		return broken(http2.ErrCodeProtocol, "a window of a stream that is not open")
	}
	c.mu.Lock()
	s := c.streams.find(f.StreamID)
	if s == nil {
		c.mu.Unlock()
		return nil // it may have been under way
	}
	if int64(s.window)+int64(f.Increment) > 1<<31-1 {
		c.mu.Unlock()
		return c.refuse(f.StreamID, http2.ErrCodeFlowControl)
	}
	s.window += int32(f.Increment)
	c.wakeQueue()
	c.mu.Unlock()
	return nil
}

// wakeQueue lets a stream that waits go on, unless somebody is at it. mu is held.
func (c *Conn) wakeQueue() {
	if !c.sending {
		c.passOn(nil)
	}
}

func (c *Conn) takeReset(f *http2.RSTStreamFrame) error {
	if f.StreamID%2 == 0 || f.StreamID > c.last {
		return broken(http2.ErrCodeProtocol, "the end of a stream that is not open")
	}
	c.mu.Lock()
	s := c.streams.find(f.StreamID)
	if s == nil {
		c.closed.bury(f.StreamID, resetByYou)
		c.mu.Unlock()
		return c.spend(closedStreams)
	}
	c.abort(s, errReset, resetByYou)
	c.mu.Unlock()
	return c.spend(resets)
}

func (c *Conn) takeSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		c.mu.Lock()
		if c.trip == 0 {
			c.trip = c.source.now.Sub(c.greeted)
		}
		c.mu.Unlock()
		return c.spend(settings)
	}
	if err := c.spend(settings); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := f.ForeachSetting(c.set); err != nil {
		if code, ok := errors.AsType[http2.ConnectionError](err); ok {
			return broken(http2.ErrCode(code), "a setting out of range")
		}
		return err
	}
	c.out = appendSettingsAck(c.out)
	c.wakeQueue()
	return nil
}

// set takes a setting (RFC 9113 §6.5.2). What it says of frames' sizes and of tables is more than we use; mu is held.
func (c *Conn) set(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		return err
	}
	if s.ID != http2.SettingInitialWindowSize {
		return nil
	}
	change := int64(s.Val) - int64(c.streamWindow)
	c.streamWindow = int32(s.Val)
	for stream := range c.streams.all {
		if int64(stream.window)+change > 1<<31-1 {
			return broken(http2.ErrCodeFlowControl, "a window that is too large")
		}
		stream.window += int32(change)
	}
	return nil
}

func (c *Conn) takePing(f *http2.PingFrame) error {
	if f.IsAck() {
		return c.spend(pings)
	}
	c.mu.Lock()
	c.out = appendPing(c.out, true, f.Data)
	c.mu.Unlock()
	return c.spend(pings)
}

func (c *Conn) takeGoAway() error {
	if err := c.spend(unknownFrames); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.farewell = true
	if c.streams.len() == 0 {
		return errOver
	}
	return nil
}
