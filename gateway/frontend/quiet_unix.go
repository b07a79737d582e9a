//go:build unix

package frontend

import "syscall"

// quiet reports whether the upstream has neither closed a resting connection nor sent anything on it, which it must not
// (RFC 9112 §9.5). It looks at the socket without waiting.
func (c *conn) quiet() bool {
	if c.socket == nil {
		return true
	}
	if c.peek == nil {
		c.peek = func(fd uintptr) {
			_, _, err := syscall.Recvfrom(int(fd), c.peeked[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			c.silent = err == syscall.EAGAIN
		}
	}
	err := c.socket.Control(c.peek)
	return err == nil && c.silent
}
