package gateway

import (
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"metahub/gateway/frontend"
)

// line is what the access log says of a request besides what the exchange knows. It is written when the last byte of the answer has
// gone, and fasthttp's memory of the request cannot be relied on then: method and path are copied into the exchange's buffers.
type line struct {
	status   int
	in, out  int64 // bytes of the bodies
	took     time.Duration
	protocol string
	upstream fmt.Stringer
	err      error // why the answer was cut short
}

// responder names who answered a request when it was no frontend.
type responder string

// String implements fmt.Stringer.
func (r *responder) String() string { return string(*r) }

var (
	itself   responder = "gateway"
	embedded responder = "api"
	stored   responder = "cache"
)

// report has the request logged and counted: now, or once a streamed answer has ended. The exchange is released after that.
func (x *exchange) report(status int) {
	ctx := x.ctx
	x.line.status = status
	x.line.in = x.bodyBytes()
	x.line.protocol = x.protocol()
	x.method = append(x.method[:0], ctx.Method()...)
	x.path = append(x.path[:0], ctx.URI().PathOriginal()...)
	x.line.upstream = x.upstream()
	if body, ok := ctx.Response.BodyStream().(frontend.Streamed); ok {
		body.OnDone(x.done)
		return
	}
	x.done(x.answerBytes(), nil)
}

func (x *exchange) upstream() fmt.Stringer {
	if by, ok := x.ctx.UserValue(frontend.UpstreamKey).(fmt.Stringer); ok {
		return by
	}
	if x.line.upstream != nil {
		return x.line.upstream
	}
	return &itself
}

func (x *exchange) protocol() string {
	switch {
	case x.peer.http2:
		return "HTTP/2.0"
	case x.peer.http3:
		return "HTTP/3.0"
	}
	if x.ctx.Request.Header.IsHTTP11() {
		return "HTTP/1.1"
	}
	return "HTTP/1.0"
}

func (x *exchange) answerBytes() int64 {
	r := &x.ctx.Response
	switch {
	case x.ctx.IsHead():
		return 0
	case r.IsBodyStream():
		return max(int64(r.Header.ContentLength()), 0)
	}
	return int64(len(r.Body()))
}

// done has the line written; err says why an answer was cut short.
func (x *exchange) done(bytes int64, err error) {
	g := x.gateway
	x.depart()
	x.line.out, x.line.took, x.line.err = bytes, time.Since(x.started), err
	g.observer.Request(Sample{
		Tenant:   x.slug(),
		Protocol: x.line.protocol,
		Status:   x.line.status,
		Duration: x.line.took,
		BytesIn:  x.line.in,
		BytesOut: bytes,
		Cache:    x.cached.Result.String(),
	})
	if core := g.access.Core(); core.Enabled(zap.InfoLevel) { // not by Check, which would read the clock once more
		x.fields[0] = zap.Inline(x)
		_ = core.Write(zapcore.Entry{Level: zap.InfoLevel, Time: x.started.Add(x.line.took), LoggerName: g.access.Name(), Message: "request"}, x.fields[:])
	}
	g.release(x)
}

func (x *exchange) slug() string {
	if x.tenant == nil {
		return ""
	}
	return x.tenant.Slug
}

// MarshalLogObject implements zapcore.ObjectMarshaler. Unlike a field for each of them it allocates nothing; a core must encode it at
// once, as those of zap do, and not keep it.
func (x *exchange) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("tenant", x.slug())
	e.AddByteString("host", x.host)
	e.AddByteString("method", x.method)
	e.AddByteString("path", x.path)
	e.AddInt("status", x.line.status)
	e.AddInt64("bytes", x.line.out)
	e.AddDuration("duration", x.line.took)
	e.AddString("upstream", x.line.upstream.String())
	e.AddByteString("request_id", x.id)
	e.AddString("protocol", x.line.protocol)
	e.AddByteString("client", x.client)
	if result := x.cached.Result.String(); result != "" {
		e.AddString("cache", result)
	}
	if x.line.err != nil {
		e.AddString("error", x.line.err.Error())
	}
	return nil
}
