//go:build unix

package frontend

import "syscall"

// quiet reports whether the upstream has neither closed a resting connection nor sent anything on it, which it must not
// (RFC 9112 §9.5). It looks at the socket without waiting.
func (c *conn) quiet() bool {
	if c.socket == nil {
		return true
	}
	quiet := false
	err := c.socket.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
	})
	return err == nil && quiet
}
