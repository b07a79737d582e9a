package frontend

import (
	"errors"
	"time"
)

// errWaited is a wait that has lasted as long as it may.
var errWaited = errors.New("waited in vain")

// wait returns nil when ready is closed or sent to, errWaited when that has not happened until then, and errLeft when the client has
// left before.
func (x *exchange) wait(ready <-chan struct{}, until time.Time) error {
	left := make(chan struct{})
	defer x.server.OnLeave(x.ctx.Conn(), func() { close(left) })()
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	select {
	case <-ready:
		return nil
	case <-timeout.C:
		return errWaited
	case <-left:
		return errLeft
	}
}
