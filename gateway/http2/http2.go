// Package http2 serves HTTP/2 (RFC 9113) on fasthttp's own type of request: one goroutine a connection reads, workers that all connections
// share run the handlers, and whoever has something to send when nobody else is sending sends all that has gathered, in one write.
//
//	s := &http2.Server{Handler: handle, Limits: http2.Limits{…}, Logger: log}
//	defer s.Close()
//	c := s.NewConn(tlsConn, carrier)
//	c.Serve()
//
// The coding of frames and of fields is golang.org/x/net's. What is here is streams, flow control, scheduling (RFC 9218), and what a client
// may cost: see budget.go. There is no push, no extended CONNECT and no HTTP/2 without TLS. The package knows nothing of tenants.
package http2

import (
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Server is what the connections of a gateway share. Its fields are set before the first NewConn; its methods may be called from any
// goroutine.
type Server struct {
	// Handler answers a stream: it makes s.Head, or s.Fault, the request of s.Ctx, and leaves the answer there. It runs in a goroutine of
	// its own; a panic costs its stream only.
	Handler func(s *Stream)
	// Attacked is told of a connection that has used up a budget, which ends it. It may be nil.
	Attacked func(c *Conn, budget string)
	// Stalled is told of a connection, or a stream, that is ended because its client is too slow, and how. It may be nil.
	Stalled func(how string)
	// Refused is told of each request that was reset because it is none. It may be nil.
	Refused func()
	// Panicked is told what a handler, or the body of its answer, panicked with. It may be nil.
	Panicked func(v any, stack []byte)
	Limits   Limits
	Logger   *zap.Logger // for debugging; it may be nil

	workers workers
	streams sync.Pool
	readers sync.Pool
}

// Limits bound what a client may send and how long it may take. All of them must be set.
type Limits struct {
	HeaderBytes int           // of a head, as SETTINGS_MAX_HEADER_LIST_SIZE counts them
	Fields      int           // of a head
	Streams     int           // at once on a connection
	Idle        time.Duration // without a stream
	Rest        time.Duration // of silence without a stream, after which a connection holds next to no memory
	Header      time.Duration // for the preface, and from the first byte of a frame or a head to its last one
	Write       time.Duration // until a client has taken 64 KiB, and for each KiB of a window that it opens
	Ping        time.Duration // of silence while a stream is open, after which the client must show that it is there
}

// The windows of what a client sends, in bytes: for a stream and for a connection, at first and once the client is known to be fast.
const (
	streamWindow, maxStreamWindow = 256 << 10, 1 << 20
	connWindow, maxConnWindow     = 512 << 10, 2 << 20
)

// Close ends the goroutines that no connection needs any more. It is called when all connections have ended.
func (s *Server) Close() { s.workers.close() }

// NewConn makes the HTTP/2 connection of c, which Serve serves. carrier is kept for the handler.
func (s *Server) NewConn(c net.Conn, carrier any) *Conn { return newConn(s, c, carrier) }

func (s *Server) log() *zap.Logger {
	if s.Logger == nil {
		return zap.NewNop()
	}
	return s.Logger
}
