//go:build !unix

package gateway

import "net"

// readBuffer would return the size of a socket's receive buffer.
func readBuffer(*net.UDPConn) (size int, ok bool) { return 0, false }
