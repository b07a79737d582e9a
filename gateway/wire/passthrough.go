package wire

import "time"

// Passthrough ends the guard: from now on bytes go through as they are, those already buffered first, and deadlines are the caller's,
// beginning with none. Call it from the handler of a request that becomes a tunnel, before fasthttp hijacks the connection.
func (c *Conn) Passthrough() error {
	c.opaque = true
	if c.state.Swap(tunnel) == closing {
		c.state.Store(closing)
	}
	return c.Conn.SetDeadline(time.Time{})
}

func (c *Conn) readThrough(p []byte) (int, error) {
	if c.buffer.len() > 0 {
		return c.buffer.take(p, c.buffer.len()), nil
	}
	return c.Conn.Read(p)
}

// SetDeadline does nothing until Passthrough: the deadlines of a guarded connection come from its Limits.
func (c *Conn) SetDeadline(t time.Time) error {
	if !c.opaque {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline does nothing until Passthrough.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.opaque {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline does nothing until Passthrough.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !c.opaque {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
