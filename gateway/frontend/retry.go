package frontend

import (
	"errors"
	"os"
	"time"

	"metahub/gateway/socket"
)

// maxSends is how often one request is sent at most: over a connection that its upstream had just closed, to an upstream that stops in
// the moment in which it is asked, and to the one that has started since, or to another.
const maxSends = 3

// roundTrip gets the head of an answer. While no upstream is there it waits, and a request that was lost on the way is sent again where
// nobody can tell the difference: to another upstream first.
func (x *exchange) roundTrip() error {
	fresh := false
	for sends := 1; ; sends++ {
		if err := x.connect(fresh); err != nil {
			return err
		}
		err := x.attempt()
		if err == socket.ErrNotSilent {
			sends--
			continue // nothing was sent, and the next one in the pool may do
		}
		x.judge(err)
		if err == nil || !x.mayRetry(err, sends) {
			return err
		}
		if fresh = x.conn.reused; !fresh {
			x.choose()
		}
	}
}

// judge counts for the upstream's standing how an attempt ended. The end of a connection that was used before says nothing.
func (x *exchange) judge(err error) {
	if err == nil {
		x.upstream.standing.answered(x.started)
		return
	}
	var fromClient bodyError
	switch {
	case err == errLeft, errors.As(err, &fromClient), x.conn.reused && x.conn.received == 0 && !errors.Is(err, os.ErrDeadlineExceeded):
	default:
		x.upstream.standing.fault(time.Now())
	}
}

// connect gets an unused connection, unless a fresh one is asked for, or opens one: to the upstream that was chosen, or else to another.
// If none can be reached it waits for those that are not there.
func (x *exchange) connect(fresh bool) error {
	for {
		if err := x.enter(); err != nil {
			return err
		}
		x.started = time.Now() // only now: a client may have been slow to send a small body, and the request may have waited
		x.upstream.touch(x.started)
		err := x.reach(fresh)
		if err == nil {
			return nil
		}
		x.upstream.standing.fault(x.started)
		fresh = false
		switch {
		case !x.choice.exhausted():
			x.choose()
		case !isAbsent(err):
			return dialError{err}
		default:
			if err := x.hold(err); err != nil {
				return err
			}
			if x.choice.url == nil {
				x.choose()
			}
		}
	}
}

// reach gets a connection to the upstream, and counts it as one of the tenant's. After an error it is none.
func (x *exchange) reach(fresh bool) (err error) {
	x.conn = nil
	if !fresh {
		x.conn = x.upstream.take(x.started, x.request.upload == nil)
	}
	if x.conn == nil {
		x.conn, err = x.upstream.open(x.started)
	}
	if err != nil {
		x.share.leave()
		return err
	}
	x.conn.share.Store(x.share)
	return nil
}

// mayRetry reports whether a request that was sent that often and came to nothing may be sent again. It may if not a byte of it has
// left; or if it may arrive twice (RFC 9110 §9.2.2), can be sent twice, and not a byte of an answer has come. Of the latter only a
// connection that was used before is no news. A new one that ends so is an upstream that stops, for which the tenant wants to wait or has
// others; or one that the request itself has brought down.
func (x *exchange) mayRetry(err error, sends int) bool {
	if sends >= maxSends || x.conn.received > 0 || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errLeft) {
		return false
	}
	switch {
	case x.unsent:
		return true
	case !x.request.idempotent || x.request.upload != nil:
		return false
	case x.conn.reused:
		return true
	}
	return (x.tenant.Limits.Hold > 0 || !x.choice.exhausted()) && x.request.body == 0 && !isTLS(err)
}
