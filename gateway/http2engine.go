package gateway

import (
	"crypto/tls"
	"errors"
	"io"

	"go.uber.org/zap"

	"metahub/gateway/http2"
	"metahub/gateway/message"
)

// newEngine makes the server of gateway/http2, which takes the place of net/http's where tenants.yaml says so.
func (g *Gateway) newEngine() *http2.Server {
	return &http2.Server{
		Handler:  g.serveStream,
		Attacked: g.punish,
		Stalled:  g.observer.Attacked,
		Refused:  func() { g.observer.Connection(RequestRefused) },
		Panicked: func(v any, stack []byte) {
			g.log.Error("panic on a stream", zap.Any("panic", v), zap.ByteString("stack", stack))
		},
		Limits: http2.Limits{
			HeaderBytes: headerBytes + 32*headerFields,
			Fields:      headerFields,
			Streams:     maxStreams,
			Idle:        g.limits.Idle,
			Rest:        g.limits.Rest,
			Header:      g.limits.Header,
			Write:       g.limits.Write,
			Ping:        min(pingInterval, g.limits.Write),
		},
		Logger: g.log,
	}
}

// serveEngine serves a connection that chose HTTP/2 until it ends.
func (g *Gateway) serveEngine(c *connection, layer *tls.Conn) {
	h := g.engine.NewConn(layer, &carrier{peer: newTLSPeer(c, layer.ConnectionState()), layer: layer})
	c.mu.Lock()
	c.http2 = h
	c.mu.Unlock()
	h.Serve()
	_ = layer.Close()
}

// serveStream answers one stream. Its part of the gateway stays with the stream.
func (g *Gateway) serveStream(s *http2.Stream) {
	conn, ok := s.User.(*streamConn)
	if !ok {
		conn = new(streamConn)
		s.User = conn
		s.Ctx.Init2(conn, logger{g.log}, true) // whose times nobody reads
	}
	*conn = streamConn{carrier: s.Conn().Carrier().(*carrier), leaver: s}
	if refused := g.receiveStream(s, conn); refused != nil {
		g.refuseStream(&s.Ctx, refused)
		return
	}
	g.handle(&s.Ctx)
}

// receiveStream fills the request, checked as strictly as the bytes of HTTP/1, because upstreams get it as such.
func (g *Gateway) receiveStream(s *http2.Stream, conn *streamConn) *refusal {
	switch {
	case errors.Is(s.Fault, message.ErrTooLarge):
		return refuseFields
	case s.Fault != nil:
		return refuseMalformed
	}
	if refused := checkHead(&s.Head); refused != nil {
		return refused
	}
	expects := conn.fill(&s.Ctx, &s.Head)
	if s.Body == nil || s.Head.Length == 0 {
		return nil
	}
	request := &s.Ctx.Request
	if length := s.Head.Length; length > 0 && length <= smallBody && s.Body.Arrived() {
		_, err := io.CopyN(request.BodyWriter(), s.Body, length)
		if err != nil {
			return refuseMalformed
		}
		request.Header.SetContentLength(int(length))
		return nil
	}
	if expects {
		s.Body.Expect()
	}
	patience := g.limits.Body
	body := &streamBody{Closer: s.Body, progress: progress{set: s.Body.SetReadDeadline, limit: pieceTime(patience)}, patience: patience}
	body.stream, body.limit = s.Body, 1<<63-1 // until the tenant is known
	body.behind = (*engineTrailers)(s.Body)
	conn.body = body
	request.SetBodyStream(body, int(s.Head.Length))
	return nil
}

// smallBody is the size in bytes up to which content that is there already is handed over whole.
const smallBody = 8 << 10

// engineTrailers are those that gateway/http2 has checked.
type engineTrailers http2.Body

func (b *engineTrailers) eachTrailer(add func(name, value string)) {
	for _, f := range (*http2.Body)(b).Trailers() {
		add(f.Name, f.Value)
	}
}
