package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/h3"
	"metahub/gateway/message"
)

// http3Request turns a QUIC stream into a fasthttp request and its answer back, as bridge does for HTTP/2. It is used for one stream at a
// time, and kept for others.
type http3Request struct {
	ctx    fasthttp.RequestCtx
	conn   streamConn
	head   message.Head
	block  []byte
	in     *bufio.Reader
	answer http3Answer
	bodied bool // a body was attached
}

func newHTTP3Request() *http3Request {
	return &http3Request{in: bufio.NewReaderSize(nil, 512)}
}

// serveHTTP3 answers one stream. A panic in here costs the stream only.
func (g *Gateway) serveHTTP3(h *http3Conn, stream *quic.Stream) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("panic on a stream", zap.Any("panic", v), zap.Stack("stack"))
			cancel(stream, h3.InternalError)
		}
	}()
	s := g.requests.Get().(*http3Request)
	_ = stream.SetReadDeadline(time.Now().Add(g.limits.Header))
	s.in.Reset(stream)
	s.answer.reset(stream, pieceTime(g.limits.Write))
	s.conn = streamConn{carrier: &h.carrier, leaver: contextLeaver{stream.Context()}}
	s.ctx.Init2(&s.conn, logger{g.log}, true)
	refused, err := s.receive(stream, g.limits.Body)
	switch {
	case err != nil:
		h.failStream(stream, err)
	case refused != nil:
		g.refuseStream(&s.ctx, refused)
	default:
		h.prioritise(stream, s.head.Priority)
		g.handle(&s.ctx)
	}
	if err == nil {
		s.finish(g, stream)
	}
	s.ctx.Request.Reset()
	s.ctx.Response.Reset()
	if !s.bodied && !s.ctx.Hijacked() { // a body has the reader, and whoever reads it may be late to notice its end
		s.in.Reset(nil)
		g.requests.Put(s)
	}
}

// failStream ends a stream on which no request came, and with it the connection where RFC 9114 says so.
func (h *http3Conn) failStream(stream *quic.Stream, err error) {
	var breach *h3.Error
	switch {
	case !errors.As(err, &breach):
		breach = &h3.Error{Code: h3.RequestIncomplete, Reason: "the request did not arrive"}
		h.gateway.observer.Connection(RequestRefused)
	case breach.Connection:
		h.fail(breach)
		return
	default:
		h.gateway.observer.Connection(RequestRefused)
	}
	cancel(stream, breach.Code)
}

// receive fills the request, checked as strictly as the bytes of HTTP/1, because upstreams get it as such. An error says that there is
// nobody to answer.
func (s *http3Request) receive(stream *quic.Stream, patience time.Duration) (*refusal, error) {
	var err error
	if s.block, err = h3.ReadHead(s.in, headerBytes, s.block[:0]); err == nil {
		err = h3.ParseHead(&s.head, s.block, headerBytes+32*headerFields, headerFields)
	}
	var breach *h3.Error
	switch {
	case err == h3.ErrTooLarge:
		return refuseFields, nil
	case errors.As(err, &breach) && breach.Code == h3.MessageError:
		return refuseMalformed, nil
	case err != nil:
		return nil, err
	}
	if refused := checkHead(&s.head); refused != nil {
		return refused, nil
	}
	return nil, s.receiveBody(stream, patience, s.conn.fill(&s.ctx, &s.head))
}

// receiveBody attaches the body, if there is one. Whether one follows shows only by what comes next, and that is awaited where a method
// has none as a rule.
func (s *http3Request) receiveBody(stream *quic.Stream, patience time.Duration, expects bool) error {
	if s.head.Length == 0 {
		return nil
	}
	b := &http3Body{answer: &s.answer, expects: expects}
	b.content.Reset(s.in, s.head.Length)
	h := &s.ctx.Request.Header
	if s.head.Length < 0 && !h.IsPost() && !h.IsPut() && !h.IsPatch() {
		if more, err := b.content.More(); err != nil || !more {
			return err
		}
	}
	body := &streamBody{Closer: bodyCloser{stream}, progress: progress{set: stream.SetReadDeadline, limit: pieceTime(patience)}, patience: patience}
	body.stream, body.limit = b, 1<<63-1 // until the tenant is known
	s.conn.body = body
	s.ctx.Request.SetBodyStream(body, int(s.head.Length))
	body.behind = b
	s.bodied = true
	return nil
}

// pieceTime is the time of a piece of a body that leaves it limit: it is renewed once a quarter is gone.
func pieceTime(limit time.Duration) time.Duration { return limit * 4 / 3 }

// bodyCloser ends a body that nobody reads any further.
type bodyCloser struct{ stream *quic.Stream }

// Close implements io.Closer.
func (c bodyCloser) Close() error {
	c.stream.CancelRead(quic.StreamErrorCode(h3.NoError))
	return nil
}

// http3Body is the content of a request, which a client that expects it is first told to send.
type http3Body struct {
	content h3.Body
	answer  *http3Answer
	expects bool
}

// Read implements io.Reader.
func (b *http3Body) Read(p []byte) (int, error) {
	if b.expects {
		b.expects = false
		b.answer.proceed()
	}
	return b.content.Read(p)
}

// finish sends the answer and ends the stream: whole, or so that the client does not take half an answer for all of it.
func (s *http3Request) finish(g *Gateway, stream *quic.Stream) {
	err := s.send(g)
	if err == nil {
		stream.CancelRead(quic.StreamErrorCode(h3.NoError)) // if the body was not read to its end
		err = stream.Close()
	}
	if err != nil {
		cancel(stream, h3.InternalError)
	}
}

var errPanic = errors.New("panic in the body of an answer")

func (s *http3Request) send(g *Gateway) (err error) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error(errPanic.Error(), zap.Any("panic", v), zap.Stack("stack"))
			err = errPanic
		}
	}()
	response := &s.ctx.Response
	defer response.CloseBodyStream()
	status := response.StatusCode()
	bodiless := s.ctx.IsHead() || status == http.StatusNoContent || status == http.StatusNotModified
	s.answer.head(response, bodiless)
	switch {
	case bodiless:
		return s.answer.flush(nil)
	case response.IsBodyStream():
		return s.sendStream(response)
	}
	return s.answer.flush(response.Body())
}

// sendStream sends a body as it comes: each piece is on its way before the next one is waited for.
func (s *http3Request) sendStream(response *fasthttp.Response) error {
	if err := s.answer.flush(nil); err != nil { // the header, however long the first piece takes
		return err
	}
	piece := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(piece)
	for {
		n, err := response.BodyStream().Read(piece[:])
		if n > 0 {
			if err := s.answer.flush(piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return s.answer.trailers(response)
		case err != nil:
			return err
		}
	}
}
