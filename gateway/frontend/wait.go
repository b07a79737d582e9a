package frontend

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// lookEvery is how often a waiting request looks whether its HTTP/1.1 client is still there. HTTP/2 tells by itself.
const lookEvery = 250 * time.Millisecond

// errWaited is a wait that has lasted as long as it may.
var errWaited = errors.New("waited in vain")

// wait returns nil when ready is closed or sent to, errWaited when that has not happened until then, and errLeft when the client has
// left before.
func (x *exchange) wait(ready <-chan struct{}, until time.Time) error {
	left := make(chan struct{})
	if client, ok := x.ctx.Conn().(leaver); ok {
		defer client.OnLeave(func() { close(left) })()
	}
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ready:
			return nil
		case <-timeout.C:
			return errWaited
		case <-left:
			return errLeft
		case <-look.C:
			if hasLeft(x.ctx.Conn()) {
				x.ctx.SetConnectionClose()
				return errLeft
			}
		}
	}
}

// hasLeft reports whether a client has closed its connection, as far as the socket below all layers tells.
func hasLeft(client net.Conn) bool {
	for client != nil {
		if socket, ok := client.(syscall.Conn); ok {
			raw, err := socket.SyscallConn()
			return err == nil && isClosed(raw)
		}
		layer, ok := client.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		client = layer.NetConn()
	}
	return false
}
