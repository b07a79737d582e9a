package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

const (
	maxStreams   = 128              // at once on one connection
	pingInterval = 30 * time.Second // of silence, after which the client must show that it is there
	// streamTimeout is how long a stream may make no progress. net/http ends a stream at its deadline even if nobody is waiting for the
	// client just then. So a deadline that is renewed after a quarter of its time must outlast what an upstream may be silent for.
	streamTimeout = 4 * progressTimeout
)

// newHTTP2 makes the server that decodes HTTP/2. net/http bounds a stream as a whole, so the bridge sets the deadlines of streams, and
// extends them while bytes move. There is none while an upstream takes its time to begin an answer: that is the tenant's to bound.
func (g *Gateway) newHTTP2() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Handler:           http.HandlerFunc(g.serveHTTP2),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       streamTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingInterval,
			PingTimeout:          progressTimeout,
			WriteByteTimeout:     progressTimeout,
		},
		ConnContext: rememberConn,
		ErrorLog:    g.standardLog(),
	}
	// net/http sets its decoder up when it begins to serve. It has to be there before the first connection, to be wrapped.
	nowhere := newHandover(nil)
	_ = nowhere.Close()
	_ = server.Serve(nowhere) // which returns at once, since nowhere is closed
	if decode, ok := server.TLSNextProto["h2"]; ok {
		server.TLSNextProto["h2"] = func(s *http.Server, c *tls.Conn, h http.Handler) { decode(s, c, schemes{h}) }
	}
	return server
}

// schemes keeps which :scheme a request has, where it is not https, in its URL. The decoder of net/http gives only https requests the
// state of the connection's TLS, but the handler that is wrapped here would give it to all.
type schemes struct{ http.Handler }

// ServeHTTP implements http.Handler.
func (s schemes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil {
		r.URL.Scheme = "http" // no third one gets this far
	}
	s.Handler.ServeHTTP(w, r)
}

// BaseContext is how the decoder asks the handler that is wrapped for the connection's context.
func (s schemes) BaseContext() context.Context {
	return s.Handler.(interface{ BaseContext() context.Context }).BaseContext()
}

// standardLog takes what net/http has to say of clients, which is for debugging.
func (g *Gateway) standardLog() *log.Logger {
	standard, err := zap.NewStdLogAt(g.log, zap.DebugLevel)
	if err != nil { // only for a level that zap does not know
		return log.New(io.Discard, "", 0)
	}
	return standard
}

type connKey struct{}

// http2Conn is what all streams of a connection share.
type http2Conn struct {
	peer
	tls *tls.Conn
}

func rememberConn(ctx context.Context, c net.Conn) context.Context {
	layer := c.(*tls.Conn)
	below := layer.NetConn().(*connection)
	return context.WithValue(ctx, connKey{}, &http2Conn{peer: newTLSPeer(below, layer.ConnectionState()), tls: layer})
}

// streamConn is one HTTP/2 stream as fasthttp sees it: a connection with addresses and TLS, but without bytes.
type streamConn struct {
	*http2Conn
	ctx    context.Context // ends with the stream
	claims claims
}

// OnLeave calls f in a goroutine of its own when the client resets the stream or is gone. stop takes that back; it reports false when
// f has been called, and may not have returned yet.
func (c *streamConn) OnLeave(f func()) (stop func() bool) { return context.AfterFunc(c.ctx, f) }

func (c *streamConn) self() *peer                          { return &c.peer }
func (c *streamConn) Handshake() error                     { return nil }
func (c *streamConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
func (c *streamConn) LocalAddr() net.Addr                  { return c.tls.LocalAddr() }
func (c *streamConn) RemoteAddr() net.Addr                 { return c.tls.RemoteAddr() }
func (c *streamConn) Read([]byte) (int, error)             { return 0, io.EOF }
func (c *streamConn) Write([]byte) (int, error)            { return 0, net.ErrClosed }
func (c *streamConn) Close() error                         { return nil }
func (c *streamConn) SetDeadline(time.Time) error          { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error      { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error     { return nil }

// progress extends a stream's deadline while bytes move. Setting it costs a message to the connection's goroutine, so it is not done
// for each piece.
type progress struct {
	set  func(time.Time) error
	next time.Time
}

func (p *progress) extend() {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	_ = p.set(now.Add(streamTimeout))
	p.next = now.Add(streamTimeout / 4)
}

// streamBody is the body of an HTTP/2 request.
type streamBody struct {
	countedBody
	io.Closer
	progress progress
}

func newStreamBody(w http.ResponseWriter, r *http.Request) *streamBody {
	b := &streamBody{Closer: r.Body, progress: progress{set: http.NewResponseController(w).SetReadDeadline}}
	b.stream = r.Body
	b.limit = 1<<63 - 1 // until the tenant is known; net/http holds the client to its Content-Length
	return b
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	b.progress.extend()
	return b.countedBody.Read(p)
}
