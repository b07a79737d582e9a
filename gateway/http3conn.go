package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"go.uber.org/zap"

	"metahub/gateway/h3"
)

// http3Conn is one HTTP/3 connection. quic-go has no time-out but that of a silent network, so those of requests are kept here.
type http3Conn struct {
	carrier
	gateway *Gateway
	quic    *quic.Conn
	control *quic.SendStream
	streams sync.WaitGroup

	mu      sync.Mutex
	idle    *time.Timer // runs while no request is under way
	open    openStreams // of requests under way
	rested  time.Time   // when that became none
	next    uint64      // the lowest id of a stream that has not come yet
	leaving leaving
}

// leaving is how far the end of a connection has been announced.
type leaving uint8

const (
	staying  leaving = iota
	warned           // GOAWAY says that there will be an end; requests on their way are served
	refusing         // GOAWAY says which is the last request
)

// quicSocket is a QUIC connection as the gateway keeps count of connections: without bytes of its own.
type quicSocket struct {
	layer *quic.Conn
	state tls.ConnectionState
}

func newQUICSocket(layer *quic.Conn) *quicSocket {
	return &quicSocket{layer: layer, state: layer.ConnectionState().TLS}
}

func (s *quicSocket) ConnectionState() tls.ConnectionState { return s.state }
func (s *quicSocket) LocalAddr() net.Addr                  { return s.layer.LocalAddr() }
func (s *quicSocket) RemoteAddr() net.Addr                 { return s.layer.RemoteAddr() }
func (s *quicSocket) Read([]byte) (int, error)             { return 0, net.ErrClosed }
func (s *quicSocket) Write([]byte) (int, error)            { return 0, net.ErrClosed }
func (s *quicSocket) SetDeadline(time.Time) error          { return nil }
func (s *quicSocket) SetReadDeadline(time.Time) error      { return nil }
func (s *quicSocket) SetWriteDeadline(time.Time) error     { return nil }

// Close ends the connection at once, with all of its streams.
func (s *quicSocket) Close() error {
	return s.layer.CloseWithError(quic.ApplicationErrorCode(h3.NoError), "")
}

// serveQUIC serves a connection until it ends.
func (g *Gateway) serveQUIC(c *connection, layer *quic.Conn) {
	socket := c.Conn.(*quicSocket)
	h := &http3Conn{carrier: carrier{peer: newTLSPeer(c, socket.state), layer: socket}, gateway: g, quic: layer, open: newOpenStreams(), rested: time.Now()}
	defer func() {
		_ = socket.Close()
		h.streams.Wait()
		if h.idle != nil {
			h.idle.Stop()
		}
		_ = c.Close()
	}()
	if err := h.openControl(); err != nil {
		g.log.Debug("connection ended", zap.Stringer("client", c.RemoteAddr()), zap.Error(err))
		return
	}
	h.mu.Lock()
	h.idle = time.AfterFunc(g.limits.Idle, h.retire)
	h.mu.Unlock()
	c.mu.Lock()
	c.quic = h
	c.mu.Unlock()
	h.streams.Go(h.acceptUni)
	h.acceptRequests()
}

// openControl opens our control stream and sends our settings (RFC 9114 §6.2.1).
func (h *http3Conn) openControl() (err error) {
	if h.control, err = h.quic.OpenUniStream(); err != nil {
		return err
	}
	_ = h.control.SetWriteDeadline(time.Now().Add(h.gateway.limits.Header))
	_, err = h.control.Write(h3.AppendSettings(nil, headerBytes))
	return err
}

func (h *http3Conn) acceptRequests() {
	for {
		stream, err := h.quic.AcceptStream(context.Background())
		if err != nil {
			h.gateway.log.Debug("connection ended", zap.Stringer("client", h.quic.RemoteAddr()), zap.Error(err))
			return
		}
		if !h.begin(stream) {
			cancel(stream, h3.RequestRejected) // another connection will serve it
			continue
		}
		h.streams.Go(func() {
			defer h.end(stream)
			h.gateway.serveHTTP3(h, stream)
		})
	}
}

// begin counts a request in, unless GOAWAY has refused it.
func (h *http3Conn) begin(stream *quic.Stream) bool {
	id := uint64(stream.StreamID())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving == refusing && id >= h.next {
		return false
	}
	h.next = max(h.next, id+4)
	h.open.add(id, stream)
	h.idle.Stop()
	return true
}

// end counts a request out.
func (h *http3Conn) end(stream *quic.Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open.remove(uint64(stream.StreamID())); h.open.none() {
		h.rested = time.Now()
		h.idle.Reset(h.gateway.limits.Idle)
	}
}

// drain is called again and again from begun on. The first GOAWAY leaves requests that are on their way their time, the second one says
// which was the last. Once the last answer has had time to arrive, the connection is closed: QUIC would drop what is still in flight.
func (h *http3Conn) drain(begun time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.leaving == staying:
		h.leaving = warned
		h.sayGoodbye(h3.LastStream)
	case h.leaving == warned && time.Since(begun) > lastRequests:
		h.leaving = refusing
		h.sayGoodbye(h.next)
	case h.leaving == refusing && h.open.none() && time.Since(h.rested) > lastRequests:
		h.close()
	}
}

// retire is called when no request has been under way for a while: first it says so, then it closes the connection.
func (h *http3Conn) retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.open.none():
	case h.leaving == refusing:
		h.close()
	default:
		h.leaving = refusing
		h.sayGoodbye(h.next)
		h.idle.Reset(lastRequests)
	}
}

// close ends the connection without waiting for that, since mu is held.
func (h *http3Conn) close() { go func() { _ = h.carrier.layer.(*quicSocket).Close() }() }

// sayGoodbye sends GOAWAY (RFC 9114 §5.2). It is called with mu held, so it must not wait for a client that takes nothing.
func (h *http3Conn) sayGoodbye(id uint64) {
	_ = h.control.SetWriteDeadline(time.Now().Add(drainInterval))
	_, _ = h.control.Write(h3.AppendGoAway(nil, id))
}

// acceptUni reads what a client says beside its requests.
func (h *http3Conn) acceptUni() {
	seen := map[uint64]bool{}
	for {
		stream, err := h.quic.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		_ = stream.SetReadDeadline(time.Now().Add(h.gateway.limits.Header))
		reader := bufio.NewReaderSize(stream, 64)
		kind, err := quicvarint.Read(reader)
		switch {
		case err != nil:
			stream.CancelRead(quic.StreamErrorCode(h3.RequestIncomplete))
		case kind > h3.StreamDecoder:
			stream.CancelRead(quic.StreamErrorCode(h3.StreamCreationError)) // unknown, and so without meaning (RFC 9114 §9)
		case kind == h3.StreamPush || seen[kind]:
			h.fail(&h3.Error{Code: h3.StreamCreationError, Reason: "a stream that there may be none of, or one"})
		case kind == h3.StreamControl:
			_ = stream.SetReadDeadline(time.Time{})
			h.streams.Go(func() { h.readControl(reader) })
		}
		// The streams of QPACK say nothing, since there is no dynamic table: they are held open, and not read.
		seen[kind] = true
	}
}

func (h *http3Conn) readControl(r *bufio.Reader) {
	var breach *h3.Error
	if errors.As(h3.ReadControl(r, h.updatePriority), &breach) {
		h.fail(breach)
	}
}

// fail ends the connection over a breach of the protocol.
func (h *http3Conn) fail(breach *h3.Error) {
	h.gateway.observer.Connection(RequestRefused)
	_ = h.quic.CloseWithError(quic.ApplicationErrorCode(breach.Code), breach.Reason)
}

// cancel ends both directions of a stream at once.
func cancel(stream *quic.Stream, code h3.Code) {
	stream.CancelRead(quic.StreamErrorCode(code))
	stream.CancelWrite(quic.StreamErrorCode(code))
}
