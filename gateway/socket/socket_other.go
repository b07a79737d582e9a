//go:build !linux || !(amd64 || arm64)

package socket

import "net"

func quicken(c net.Conn) net.Conn { return c }
