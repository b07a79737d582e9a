//go:build unix

package frontend

import "syscall"

// look reads without taking. An error other than that nothing is there will meet the next read too.
func (c *conn) look() bool {
	if c.spy == nil {
		c.spy = func(fd uintptr) {
			n, _, err := syscall.Recvfrom(int(fd), c.ahead[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			c.seen = c.ahead[:max(n, 0)]
			c.ended = n <= 0 && err != syscall.EAGAIN && err != syscall.EINTR
		}
	}
	return c.socket.Control(c.spy) == nil
}
