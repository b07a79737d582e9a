package gateway

import (
	"errors"
	"io"
	"sync/atomic"

	"metahub/gateway/wire"
)

// checkLength refuses a body that says itself that it is too long, before any of it is read.
func (x *exchange) checkLength() *refusal {
	if x.tenant != nil && int64(x.ctx.Request.Header.ContentLength()) > x.tenant.Limits.Body {
		return refuseTooLarge
	}
	return nil
}

// countBody watches over a body that does not say how long it is.
func (x *exchange) countBody() {
	r := &x.ctx.Request
	if r.Header.ContentLength() != chunked {
		return
	}
	switch stream := r.BodyStream().(type) {
	case nil:
	case *streamBody:
		x.body = &stream.countedBody
		x.body.limit = x.tenant.Limits.Body
	default:
		x.body = &countedBody{stream: stream, limit: x.tenant.Limits.Body}
		r.SetBodyStream(x.body, chunked)
	}
}

// chunked is fasthttp's length of a body that ends when it ends.
const chunked = -1

// bodyFault says what is wrong with a body that was found out while a handler read it. What the handler made of half a body does not
// matter then.
func (x *exchange) bodyFault() *refusal {
	if x.body != nil && x.body.exceeded.Load() {
		return refuseTooLarge
	}
	if guard, ok := x.ctx.Conn().(interface{ Err() *wire.Error }); ok && guard.Err() != nil {
		return wireRefusal(guard.Err(), nil)
	}
	return nil
}

// bodyBytes is the length of the request's body as far as it is known.
func (x *exchange) bodyBytes() int64 {
	if x.body != nil {
		return x.body.read.Load()
	}
	return max(int64(x.ctx.Request.Header.ContentLength()), 0)
}

var errBodyTooLarge = errors.New("the request body is larger than this site accepts")

// countedBody is a body that fails beyond its limit, in bytes. It may be read by a goroutine of the frontend.
type countedBody struct {
	stream   io.Reader
	limit    int64
	read     atomic.Int64
	exceeded atomic.Bool
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	if b.exceeded.Load() {
		return 0, errBodyTooLarge
	}
	n, err := b.stream.Read(p)
	if b.read.Add(int64(n)) > b.limit {
		b.exceeded.Store(true)
		return 0, errBodyTooLarge
	}
	return n, err
}
