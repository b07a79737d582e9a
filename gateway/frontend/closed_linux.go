package frontend

import (
	"encoding/binary"
	"syscall"
)

// isClosed reports whether the other side of a TCP connection has closed it. What it sent before, such as the end of TLS, may still be
// unread, so a look at the next byte would not tell; the state of the connection does.
func isClosed(socket syscall.RawConn) bool {
	const established = 1 // TCP_ESTABLISHED
	closed := false
	err := socket.Control(func(fd uintptr) {
		info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		if err != nil {
			return // no TCP
		}
		var first [4]byte // of struct tcp_info, which begins with the state
		binary.NativeEndian.PutUint32(first[:], uint32(info))
		closed = first[0] != established
	})
	return err != nil || closed
}
