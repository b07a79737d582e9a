//go:build unix

package mongod

import (
	"net/netip"
	"syscall"
)

// reserve holds a port of loopback without listening, so that connections to it are refused and no one else gets it, until release is called.
func reserve(address string) (release func()) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return func() {}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return func() {}
	}
	syscall.CloseOnExec(fd)
	// While connections of before are in TIME_WAIT the port is free only to those who say so.
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	_ = syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	return func() { _ = syscall.Close(fd) }
}
