package frontend

import (
	"errors"
	"runtime"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// exchange is one request to an upstream and its answer. It is used again for later requests.
type exchange struct {
	server   *Server
	ctx      *fasthttp.RequestCtx
	tenant   *tenant.Tenant
	choice   choice        // of upstreams
	route    *tenant.Route // that led to them; nil where the tenant has none
	upstream *upstream     // the one chosen
	backend  bool          // the answer is an API's
	share    *share        // of the upstream's connections, that the connection counts for
	conn     *conn
	upload   *upload // nil if the request's body is small
	request  request
	answer   head
	started  time.Time // when the upstream was asked
	held     time.Time // until when the request may wait for an upstream that is not there; zero if it has not had to
	unsent   bool      // not a byte of the request has left
}

// proxy answers ctx with what one of the upstreams answers, or with an error page.
func (s *Server) proxy(ctx *fasthttp.RequestCtx, t *tenant.Tenant, among choice, route *tenant.Route, backend bool) {
	x := s.scratch.Get().(*exchange)
	x.server, x.ctx, x.tenant, x.choice, x.route, x.backend = s, ctx, t, among, route, backend
	x.choose()
	err := x.run()
	if err != nil {
		x.fail(err)
	}
	x.release()
}

func (x *exchange) run() error {
	if err := x.request.build(x.ctx, x.tenant.Slug, x.route); err != nil {
		return err
	}
	if err := x.roundTrip(); err != nil {
		return err
	}
	return x.deliver()
}

// attempt sends the request on the connection and reads the head of the answer. After an error the connection is closed.
func (x *exchange) attempt() error {
	x.conn.watch(x.server, x.ctx.Conn(), x.request.upload != nil)
	err := x.send()
	if err == nil {
		err = x.answer.readFinal(x.conn.reader)
	}
	if err == nil && x.answer.status == 101 && !(x.request.websocket && x.answer.websocket) {
		err = malformed("101 that was not asked for")
	}
	if err == nil {
		return nil
	}
	left := !x.conn.unwatch()
	x.conn.discard()
	var fromClient bodyError
	switch {
	case x.upload != nil && !x.upload.stop() && errors.As(x.upload.err, &fromClient):
		return fromClient
	case left:
		return errLeft
	}
	return err
}

func (x *exchange) send() error {
	c := x.conn
	c.extended, x.unsent = time.Time{}, true
	if err := c.expect(x.started, x.patience()); err != nil {
		return err
	}
	if x.request.upload == nil {
		// Who else can run gets as far as this first: requests that leave together wake an upstream that sleeps once.
		runtime.Gosched()
		n, err := c.ask(x.request.bytes)
		x.unsent = n == 0
		if err != nil && c.reused {
			return err
		}
		// Even when the request could not be sent whole, the upstream may have said why.
		return nil
	}
	n, err := c.Write(x.request.bytes)
	x.unsent = n == 0
	if err != nil {
		return err
	}
	c.armed, c.alarm = time.Time{}, time.Time{}
	if err := c.SetReadDeadline(time.Time{}); err != nil { // upload sets it when it is through
		return err
	}
	x.upload = startUpload(x.ctx, &x.request, c, x.patience())
	return nil
}

// patience is how long the upstream may take to answer.
func (x *exchange) patience() time.Duration {
	return orDefault(x.tenant.Limits.Timeout, x.server.timings.Answer)
}

// release makes the exchange ready for another request. Buffers that a rare request made large are let go.
func (x *exchange) release() {
	const keep = 64 << 10
	server, bytes, raw := x.server, x.request.bytes, x.answer.raw
	if cap(bytes) > keep {
		bytes = nil
	}
	if cap(raw) > keep {
		raw = nil
	}
	fields := x.answer.fields[:cap(x.answer.fields)]
	clear(fields) // they would keep a connection's buffer alive
	*x = exchange{
		request: request{bytes: bytes, connection: x.request.connection},
		answer:  head{raw: raw, fields: fields[:0], connection: x.answer.connection},
	}
	server.scratch.Put(x)
}

// dialError is an upstream that no connection could be made to.
type dialError struct{ cause error }

// Error implements error.
func (e dialError) Error() string { return e.cause.Error() }

// Unwrap gives the cause to errors.As.
func (e dialError) Unwrap() error { return e.cause }
