package http2

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"metahub/gateway/message"
)

// Conn is one connection. What Serve's goroutine alone uses stands first; the rest is of mu.
type Conn struct {
	server  *Server
	net     net.Conn
	carrier any

	source  source
	in      *bufio.Reader
	framer  *http2.Framer
	decoder *hpack.Decoder
	block   block
	account account
	early   message.Foretold // priorities
	updates int64            // WINDOW_UPDATE frames that were free
	asked   []*Stream        // whose head is there, and that no handler has yet

	busy  atomic.Int32 // the reader, and tasks of workers
	ended chan struct{}

	mu      sync.Mutex
	streams roster
	working int // handlers that have not answered yet, be their streams open or not
	closed  graves
	last    uint32 // the highest id that the client has used

	out, spare []byte // frames that wait to be sent, memory for the next ones
	queue      []*Stream
	alternate  bool
	sending    bool       // somebody has the role of the sender
	sent       *sync.Cond // of mu: a batch is gone, or the role is free
	writing    time.Time  // when the write under way began; zero without one
	sentBytes  int64
	sentWhole  int64 // DATA frames: see spendOnUpdate
	tableless  bool  // the client knows that nothing goes into its table
	dead       bool  // nothing can be sent any more

	window        int32 // what the client takes of all streams together
	streamWindow  int32 // SETTINGS_INITIAL_WINDOW_SIZE
	receiveWindow window
	trip          time.Duration // a round trip, once it is known
	greeted       time.Time     // when our SETTINGS went out

	leaving  leaving
	final    uint32 // the last stream that will be answered, once leaving is refusing
	farewell bool   // the client has said GOAWAY
	watch    watch
}

func newConn(s *Server, layer net.Conn, carrier any) *Conn {
	c := &Conn{server: s, net: layer, carrier: carrier, ended: make(chan struct{})}
	c.sent = sync.NewCond(&c.mu)
	c.source.conn = c
	c.window, c.streamWindow = 65535, 65535 // RFC 9113 §6.9.2
	now := time.Now()
	c.receiveWindow = window{size: connWindow, most: maxConnWindow, left: connWindow, since: now}
	c.source.now = now
	c.account.open(now)
	c.decoder = hpack.NewDecoder(4096, c.takeField)
	c.decoder.SetMaxStringLength(maxBlock)
	c.busy.Store(1)
	return c
}

// Carrier returns what NewConn was given.
func (c *Conn) Carrier() any { return c.carrier }

// Serve answers requests until the connection ends. It returns when all that was begun for it has ended.
func (c *Conn) Serve() {
	c.mu.Lock()
	c.greet()
	c.startWatch()
	c.mu.Unlock()
	c.acquire()
	err := c.read()
	c.finish(err)
	c.releaseReader()
	c.leave()
	<-c.ended
	c.stopWatch()
}

// greet sends our settings (RFC 9113 §3.4).
func (c *Conn) greet() {
	l := &c.server.Limits
	c.out = appendSettings(c.out,
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(l.Streams)},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(l.HeaderBytes)},
		http2.Setting{ID: settingNoPriorities, Val: 1},
	)
	c.out = appendWindowUpdate(c.out, 0, connWindow-65535)
	c.greeted = time.Now()
}

// settingNoPriorities says that the priorities of RFC 7540 mean nothing here (RFC 9218 §2.1).
const settingNoPriorities = http2.SettingID(0x9)

// leave ends a task, or the reader.
func (c *Conn) leave() {
	if c.busy.Add(-1) == 0 {
		close(c.ended)
	}
}

// die closes the connection at once. mu is held.
func (c *Conn) die() {
	if c.dead {
		return
	}
	c.dead = true
	c.out = nil
	go func() { _ = c.net.Close() }() // which may want to say goodbye first
	for s := range c.streams.all {
		s.fail(errGone)
	}
	c.sent.Broadcast()
}

// finish ends the connection, for which err is the reason: a breach of the protocol the client is told.
func (c *Conn) finish(err error) {
	breach, said := errors.AsType[*breach](err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.asked {
		s.localEnd = true
		c.remove(s, resetByUs)
		s.recycle()
	}
	c.asked = nil
	for s := range c.streams.all {
		s.fail(errGone)
		s.localEnd = true
		c.streams.remove(s)
	}
	if err != errOver && !said {
		if !errors.Is(err, io.EOF) {
			c.server.log().Debug("connection ended", zap.Stringer("client", c.net.RemoteAddr()), zap.Error(err))
		}
		c.die()
		return
	}
	if said {
		c.server.log().Debug("connection refused", zap.Stringer("client", c.net.RemoteAddr()), zap.Error(err))
		c.out = appendGoAway(c.out, c.last, breach.code, breach.reason)
	}
	for c.sending && !c.dead { // the watch sees to it that this ends
		c.sent.Wait()
	}
	if c.dead {
		return
	}
	c.sending = true
	c.mu.Unlock()
	c.sendGathered(nil)
	linger(c.net)
	c.mu.Lock()
	c.die()
}

const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10 // a flood goes on anyway
)

// linger ends our side of the connection and drops what comes until the client ends its own: closed on unread bytes, TCP would reset the
// connection, which can destroy what was sent before it is read.
func linger(c net.Conn) {
	raw := c
	if layer, ok := raw.(interface{ NetConn() net.Conn }); ok {
		closeWrite(raw)
		raw = layer.NetConn()
	}
	if !closeWrite(raw) || raw.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	scrap := largePieces.Get().(*[maxFrame]byte)
	defer largePieces.Put(scrap)
	for left := lingerBytes; left > 0; {
		n, err := raw.Read(scrap[:])
		if err != nil {
			return
		}
		left -= n
	}
}

func closeWrite(c net.Conn) bool {
	half, ok := c.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// remove takes a stream off those that are open. mu is held.
func (c *Conn) remove(s *Stream, how grave) {
	if !c.streams.remove(s) {
		return
	}
	c.closed.bury(s.id, how)
	if c.streams.len() == 0 {
		c.rested()
	}
}

// release gives back room that a client had taken up, of all streams together. mu is held.
func (c *Conn) release(n int32, now time.Time) {
	if more := c.receiveWindow.release(n, now, c.trip); more > 0 {
		c.out = appendWindowUpdate(c.out, 0, more)
	}
}

// breach is what ends a connection: the client has broken the protocol.
type breach struct {
	code   http2.ErrCode
	reason string
}

// Error implements error.
func (b *breach) Error() string { return b.reason }

func broken(code http2.ErrCode, reason string) error { return &breach{code, reason} }

// grave is how a stream has ended.
type grave uint8

const (
	unknown    grave = iota // long ago, or it never was
	ended                   // both sides have said all
	resetByUs               // what still comes was under way
	resetByYou              // nothing should come any more
)

// graves are the streams that have ended last.
type graves struct {
	ids  [128]uint32
	how  [128]grave
	next uint8
}

func (g *graves) bury(id uint32, how grave) {
	g.ids[g.next], g.how[g.next] = id, how
	g.next = (g.next + 1) % uint8(len(g.ids))
}

// find tells how a stream has ended, by what was noted last.
func (g *graves) find(id uint32) grave {
	for i := range g.ids {
		at := (int(g.next) - 1 - i + len(g.ids)) % len(g.ids)
		if g.ids[at] == id {
			return g.how[at]
		}
	}
	return unknown
}
