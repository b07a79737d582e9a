package http2

import (
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"metahub/gateway/message"
)

// Stream is one request and its answer. It is used for one at a time, and kept for others: nothing of it may be used once the handler has
// returned, but for its Body, which fails then.
type Stream struct {
	Ctx   fasthttp.RequestCtx
	Head  message.Head
	Fault error // why Head is no good one: message.ErrTooLarge or a *message.Malformed, to be answered as such
	Body  *Body // nil without one
	User  any   // the handler's own; it stays with the Stream from request to request

	conn *Conn
	id   uint32
	left int64 // of the declared content; -1 without one. It belongs to the goroutine that reads

	// Of conn.mu.
	priority           message.Priority
	failed             error // why nobody wants the answer any more
	begun              bool  // the head of the answer is on its way
	remoteEnd          bool  // the client has sent all
	localEnd           bool  // we have, or the stream was reset
	window             int32 // what the client takes
	pending            []byte
	pendingEnd, queued bool // pending ends the stream, waits to be sent
	heir               bool // has been given the sender's role
	working            bool // counts as one of conn.working
	stalled            stall
	leavers            []*leaver

	wake chan struct{} // there may be news
}

// The ways in which a stream fails before its time.
var (
	errReset    = errors.New("the client has reset the stream")
	errGone     = errors.New("the connection has ended")
	errStalled  = errors.New("the client takes nothing of the answer")
	errRefused  = errors.New("the request broke the protocol")
	errPanicked = errors.New("panic in a handler")
)

func (s *Server) newStream() *Stream {
	if kept, ok := s.streams.Get().(*Stream); ok {
		return kept
	}
	return &Stream{wake: make(chan struct{}, 1)}
}

// begin makes s another stream of c.
func (s *Stream) begin(c *Conn, id uint32) {
	s.conn, s.id, s.left, s.priority = c, id, -1, message.Unsaid
	s.Head.Reset(c.server.Limits.HeaderBytes, c.server.Limits.Fields)
}

// recycle keeps what s is made of for other streams.
func (s *Stream) recycle() {
	server := s.conn.server
	s.Ctx.Request.Reset()
	s.Ctx.Response.Reset()
	s.Ctx.ResetUserValues()
	hijacked := s.Ctx.Hijacked()
	select {
	case <-s.wake:
	default:
	}
	s.Fault, s.Body, s.conn, s.failed, s.pending = nil, nil, nil, nil, nil
	s.remoteEnd, s.localEnd, s.pendingEnd, s.queued, s.heir = false, false, false, false, false
	s.stalled, s.begun = stall{}, false
	s.dropLeavers()
	if !hijacked {
		server.streams.Put(s)
	}
}

// Conn returns the connection that the stream is on.
func (s *Stream) Conn() *Conn { return s.conn }

// OnLeave calls f in a goroutine of its own when the client resets the stream or is gone. stop takes that back, at any time but only once; it
// reports false when f has been called, and may not have returned yet.
func (s *Stream) OnLeave(f func()) (stop func() bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	l := s.newLeaver()
	l.f = f
	l.state.Store(leaverWaits)
	if s.failed != nil {
		l.leave()
	}
	return l.stop
}

// leaver is who wants to know when a client leaves. It is one request's until its stop is called, which may be after the stream has ended.
type leaver struct {
	f     func()
	state atomic.Uint32
	stop  func() bool // stay, made once
}

// The states of a leaver. It goes from the first to one of the others.
const (
	leaverWaits uint32 = iota
	leaverTold
	leaverStopped
	leaverDropped // the stream has ended
)

// newLeaver returns one that the stream had for an earlier request, if there is one left.
func (s *Stream) newLeaver() *leaver {
	n := len(s.leavers)
	if n < cap(s.leavers) && s.leavers[:n+1][n] != nil {
		s.leavers = s.leavers[:n+1]
		return s.leavers[n]
	}
	l := new(leaver)
	l.stop = l.stay
	s.leavers = append(s.leavers, l)
	return l
}

func (l *leaver) leave() {
	if l.state.CompareAndSwap(leaverWaits, leaverTold) {
		go l.f()
	}
}

func (l *leaver) stay() bool {
	return l.state.CompareAndSwap(leaverWaits, leaverStopped) || l.state.Load() == leaverDropped
}

// dropLeavers keeps a few for the next request: of those whose stop is yet to come, none.
func (s *Stream) dropLeavers() {
	if len(s.leavers) > 4 {
		s.leavers = nil
	}
	for i, l := range s.leavers {
		if l.state.CompareAndSwap(leaverWaits, leaverDropped) || l.state.Load() == leaverTold {
			s.leavers[i] = nil
		} else {
			l.f = nil
		}
	}
	s.leavers = s.leavers[:0]
}

// fail ends the wait of all who wait for the client. It is called with conn.mu held.
func (s *Stream) fail(err error) {
	if s.failed != nil {
		return
	}
	s.failed = err
	if s.queued {
		s.conn.unqueue(s)
	}
	for _, l := range s.leavers {
		l.leave()
	}
	if s.Body != nil {
		s.Body.end(err)
	}
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run answers the stream in a worker.
func (s *Stream) run() {
	c := s.conn
	if err := s.serve(); err != nil || s.Body != nil {
		c.mu.Lock()
		if s.Body != nil {
			s.Body.close()
		}
		c.retired(s)
		c.resetStream(s, http2.ErrCodeInternal) // unless it has ended
		c.mu.Unlock()
		c.flush()
	}
	s.recycle()
	c.leave()
}

func (s *Stream) serve() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errPanicked
			if told := s.conn.server.Panicked; told != nil {
				told(v, debug.Stack())
			}
		}
	}()
	s.conn.server.Handler(s)
	return s.respond()
}
