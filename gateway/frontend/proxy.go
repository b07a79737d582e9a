package frontend

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// exchange is one request to an upstream and its answer. It is used again for later requests.
type exchange struct {
	server   *Server
	ctx      *fasthttp.RequestCtx
	tenant   *tenant.Tenant
	choice   choice    // of upstreams
	upstream *upstream // the one chosen
	backend  bool      // the answer is an API's
	share    *share    // of the upstream's connections, that the connection counts for
	conn     *conn
	upload   *upload // nil if the request's body is small
	request  request
	answer   head
	started  time.Time // when the upstream was asked
	held     time.Time // until when the request may wait for an upstream that is not there; zero if it has not had to
	unsent   bool      // not a byte of the request has left

	unwatch func() bool // ends watch; false if the client has left
}

// proxy answers ctx with what one of the upstreams answers, or with an error page.
func (s *Server) proxy(ctx *fasthttp.RequestCtx, t *tenant.Tenant, among choice, backend bool) {
	x := s.scratch.Get().(*exchange)
	x.server, x.ctx, x.tenant, x.choice, x.backend = s, ctx, t, among, backend
	x.choose()
	err := x.run()
	if err != nil {
		x.fail(err)
	}
	x.release()
}

func (x *exchange) run() error {
	if err := x.request.build(x.ctx, x.tenant.Slug); err != nil {
		return err
	}
	if err := x.roundTrip(); err != nil {
		return err
	}
	return x.deliver()
}

// attempt sends the request on the connection and reads the head of the answer. After an error the connection is closed.
func (x *exchange) attempt() error {
	x.watch()
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
	left := !x.unwatch()
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

// leaver is a client's connection that notices when the client no longer waits for its answer, as on HTTP/2. On HTTP/1.1 only a write
// that fails shows it.
type leaver interface {
	OnLeave(f func()) (stop func() bool)
}

// watch closes the upstream's connection when the client leaves, so that neither the upstream nor the gateway works for nobody.
func (x *exchange) watch() {
	x.unwatch = stays
	if client, ok := x.ctx.Conn().(leaver); ok {
		c := x.conn
		x.unwatch = client.OnLeave(func() { _ = c.Close() })
	}
}

func stays() bool { return true }

// errLeft is a client that has left before the answer began.
var errLeft = errors.New("the client has left")

func (x *exchange) send() error {
	c := x.conn
	c.extended, x.unsent = time.Time{}, true
	if err := c.SetDeadline(x.started.Add(x.patience())); err != nil {
		return err
	}
	n, err := c.Write(x.request.bytes)
	x.unsent = n == 0
	if x.request.upload == nil {
		if err != nil && c.reused {
			return err
		}
		// Even when the request could not be sent whole, the upstream may have said why.
		return nil
	}
	if err != nil {
		return err
	}
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
