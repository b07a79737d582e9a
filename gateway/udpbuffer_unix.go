//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// readBuffer returns the size of a socket's receive buffer in bytes.
func readBuffer(socket *net.UDPConn) (size int, ok bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	failed := raw.Control(func(fd uintptr) {
		size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
	})
	return size, failed == nil && err == nil
}
