package http2

import (
	"golang.org/x/net/http2"

	"metahub/gateway/message"
)

// takePriority takes a priority of RFC 7540, which means nothing any more (RFC 9113 §5.3.2).
func (c *Conn) takePriority(f *http2.PriorityFrame) error {
	if err := c.spend(priorities); err != nil {
		return err
	}
	if f.StreamDep == f.StreamID {
		return c.refuseIdle(f.StreamID, http2.ErrCodeProtocol)
	}
	return nil
}

// refuseIdle is refuse for a frame that may come before its stream is opened.
func (c *Conn) refuseIdle(id uint32, code http2.ErrCode) error {
	if id > c.last {
		return broken(code, "a stream that depends on itself")
	}
	return c.refuse(id, code)
}

// takePriorityUpdate takes the priority of a stream that is open, or will be (RFC 9218 §7.1).
func (c *Conn) takePriorityUpdate(f *http2.PriorityUpdateFrame) error {
	if err := c.spend(priorities); err != nil {
		return err
	}
	id, p := f.PrioritizedStreamID, message.ParsePriority(f.Priority)
	if id%2 == 0 {
		return broken(http2.ErrCodeProtocol, "the priority of a stream that is not the client's")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams.find(id); s != nil {
		s.priority = p
	} else if id > c.last && c.early.Say(uint64(id), p)+c.streams.len() > c.server.Limits.Streams {
		return broken(http2.ErrCodeProtocol, "priorities of more streams than may be open")
	}
	return nil
}
