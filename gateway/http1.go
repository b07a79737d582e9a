package gateway

import (
	"fmt"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/wire"
)

// newHTTP1 makes the server that decodes HTTP/1 on a connection guarded by wire.Conn, which has checked every byte and keeps the
// deadlines, so none is set here.
func (g *Gateway) newHTTP1(handler fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:         handler,
		ErrorHandler:    g.refuseBytes,
		Logger:          logger{g.log},
		Concurrency:     1 << 20, // file descriptors end first
		ReadBufferSize:  wire.MaxHeaderBytes,
		WriteBufferSize: 4 << 10,
		// Bodies are streamed, so this is only how much of one is awaited before the handler runs: no more than shows that there is one.
		// The tenant's own limit is in limits.go.
		StreamRequestBody:            true,
		MaxRequestBodySize:           1,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true, // a header may hold a token
		LazyRequestTime:              true, // nobody asks for it: the exchange has its own
	}
}

// refuseBytes answers what never became a request.
func (g *Gateway) refuseBytes(ctx *fasthttp.RequestCtx, err error) {
	x := g.begin(ctx)
	defer g.finish(x)
	defer g.rescue(x)
	g.observer.Connection(RequestRefused)
	x.refuse(wireRefusal(x.peer.connection.refusal(), err))
}

// wireRefusal says what to answer where the bytes of a request were refused; err is what fasthttp made of that.
func wireRefusal(refused *wire.Error, err error) *refusal {
	if refused == nil {
		refused, _ = wire.AsError(err)
	}
	if refused == nil {
		return refuseMalformed
	}
	return &refusal{status: refused.Status, code: "bad_request", sentence: "The request was refused: " + refused.Reason + "."}
}

// logger passes on what fasthttp says of single connections.
type logger struct{ log *zap.Logger }

// Printf implements fasthttp.Logger.
func (l logger) Printf(format string, args ...any) {
	if l.log.Core().Enabled(zap.DebugLevel) {
		l.log.Debug(fmt.Sprintf(format, args...))
	}
}
