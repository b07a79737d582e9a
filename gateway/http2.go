package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/wire"
)

const (
	maxStreams   = 128              // at once on one connection
	pingInterval = 30 * time.Second // of silence, after which the client must show that it is there
)

// streamTime is how long a stream may make no progress where a client of HTTP/1.1 has limit. net/http ends a stream at its deadline even
// if nobody is waiting for the client just then. So a deadline that is renewed after a quarter of its time must outlast what an upstream
// may be silent for.
func streamTime(limit time.Duration) time.Duration { return 4 * limit }

// newHTTP2 makes the server that decodes HTTP/2. net/http bounds a stream as a whole, so the bridge sets the deadlines of streams, and
// extends them while bytes move. There is none while an upstream takes its time to begin an answer: that is the tenant's to bound.
func (g *Gateway) newHTTP2() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Handler:           http.HandlerFunc(g.serveHTTP2),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       streamTime(progressTimeout),
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

// carrier is a connection of HTTP/2 or 3: what all of its streams share.
type carrier struct {
	peer
	layer interface {
		LocalAddr() net.Addr
		RemoteAddr() net.Addr
		ConnectionState() tls.ConnectionState
	}
}

func rememberConn(ctx context.Context, c net.Conn) context.Context {
	layer := c.(*tls.Conn)
	below := layer.NetConn().(*connection)
	return context.WithValue(ctx, connKey{}, &carrier{peer: newTLSPeer(below, layer.ConnectionState()), layer: layer})
}

// leaver notices when its client no longer waits for the answer.
type leaver interface {
	// OnLeave calls f in a goroutine of its own when the client resets the stream or is gone. stop takes that back; it reports false when
	// f has been called, and may not have returned yet.
	OnLeave(f func()) (stop func() bool)
}

// contextLeaver is a leaver by a context that ends with the stream.
type contextLeaver struct{ context.Context }

// OnLeave implements leaver.
func (c contextLeaver) OnLeave(f func()) (stop func() bool) { return context.AfterFunc(c.Context, f) }

// streamConn is one stream of HTTP/2 or 3 as fasthttp sees it: a connection with addresses and TLS, but without bytes.
type streamConn struct {
	*carrier
	leaver
	claims claims
	body   *streamBody // nil without one
}

// Err returns why the client is at fault with the body, or nil, as that of wire.Conn does.
func (c *streamConn) Err() *wire.Error {
	if c.body == nil {
		return nil
	}
	return c.body.fault.Load()
}

func (c *streamConn) self() *peer                          { return &c.peer }
func (c *streamConn) Handshake() error                     { return nil }
func (c *streamConn) ConnectionState() tls.ConnectionState { return c.layer.ConnectionState() }
func (c *streamConn) LocalAddr() net.Addr                  { return c.layer.LocalAddr() }
func (c *streamConn) RemoteAddr() net.Addr                 { return c.layer.RemoteAddr() }
func (c *streamConn) Read([]byte) (int, error)             { return 0, io.EOF }
func (c *streamConn) Write([]byte) (int, error)            { return 0, net.ErrClosed }
func (c *streamConn) Close() error                         { return nil }
func (c *streamConn) SetDeadline(time.Time) error          { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error      { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error     { return nil }

// progress extends a stream's deadline while bytes move. Setting it costs a message to the connection's goroutine, so it is not done
// for each piece.
type progress struct {
	set   func(time.Time) error
	limit time.Duration
	next  time.Time
}

func (p *progress) extend() {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	_ = p.set(now.Add(p.limit))
	p.next = now.Add(p.limit / 4)
}

// streamBody is the body of a request that came on a stream.
type streamBody struct {
	behind trailing
	countedBody
	io.Closer
	progress progress
	pace     wire.Pace
	patience time.Duration // with the client, for each KiB
	fault    atomic.Pointer[wire.Error]
}

func newStreamBody(w http.ResponseWriter, r *http.Request, patience time.Duration) *streamBody {
	set := http.NewResponseController(w).SetReadDeadline
	b := &streamBody{Closer: r.Body, progress: progress{set: set, limit: streamTime(patience)}, patience: patience}
	b.stream = r.Body
	b.limit = 1<<63 - 1 // until the tenant is known; net/http holds the client to its Content-Length
	b.behind = (*http2Trailers)(r)
	return b
}

var errSlowBody = &wire.Error{Status: fasthttp.StatusRequestTimeout, Reason: "the content of the request stopped coming"}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	b.progress.extend()
	began := time.Now()
	n, err := b.countedBody.Read(p)
	if !b.pace.Keep(n, time.Since(began), b.patience) || errors.Is(err, os.ErrDeadlineExceeded) {
		b.fault.Store(errSlowBody)
		return 0, errSlowBody
	}
	return n, err
}
