package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// FuzzBytes has a client send anything behind the preface. What comes back must be well-formed frames, and nothing may be left.
func FuzzBytes(f *testing.F) {
	var seed bytes.Buffer
	framer := http2.NewFramer(&seed, nil)
	_ = framer.WriteSettings()
	f.Add(bytes.Clone(seed.Bytes()))
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("\x82\x86\x84\x41\x01a"), EndHeaders: true})
	_ = framer.WriteData(1, true, []byte("hello"))
	_ = framer.WritePing(false, [8]byte{})
	_ = framer.WriteWindowUpdate(1, 5)
	_ = framer.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(bytes.Clone(seed.Bytes()))
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("\x82\x86")})
	_ = framer.WriteContinuation(3, true, []byte("\x84\x41\x01a"))
	_ = framer.WriteGoAway(0, 0, nil)
	f.Add(bytes.Clone(seed.Bytes()))
	f.Fuzz(func(t *testing.T, sent []byte) {
		u := engage(t)
		_, _ = u.client.Write(append([]byte(http2.ClientPreface), sent...))
		u.end()
	})
}

// FuzzClient has a client send frames that are well formed one by one, in any order, and holds what comes back to what the client has allowed.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 5, 0, 9})
	f.Add([]byte{0, 1, 0, 3, 0, 200, 3, 1, 1, 4, 0, 0, 6, 2, 7})
	f.Add([]byte{7, 0, 1, 0, 0, 9, 5, 0, 1, 5, 0, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		u := engage(t)
		if _, err := io.WriteString(u.client, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		u.play(script)
		u.end()
	})
}

// usage is what a client has allowed and got. Its first part is the writer's.
type usage struct {
	*testing.T
	client net.Conn
	server *Server
	conn   *Conn
	framer *http2.Framer
	block  bytes.Buffer
	coder  *hpack.Encoder
	served chan struct{}
	// allowed is how many bytes of content the window of the connection has had room for so far.
	allowed atomic.Int64
	read    chan struct{}
}

func engage(t *testing.T) *usage {
	ours, theirs := net.Pipe()
	u := &usage{T: t, client: ours, served: make(chan struct{}), read: make(chan struct{})}
	u.server = &Server{Limits: limits, Handler: echo}
	u.server.Limits.HeaderBytes = 1 << 10
	u.conn = u.server.NewConn(theirs, nil)
	u.allowed.Store(65535)
	_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
	u.framer = http2.NewFramer(ours, ours)
	u.framer.AllowIllegalWrites = true
	u.coder = hpack.NewEncoder(&u.block)
	go func() {
		defer close(u.served)
		u.conn.Serve()
	}()
	go func() {
		defer close(u.read)
		u.judge()
	}()
	return u
}

// end has the client leave, and waits for all that was begun for it.
func (u *usage) end() {
	_ = u.client.SetWriteDeadline(time.Now().Add(5 * time.Millisecond)) // time for some answers
	time.Sleep(time.Millisecond)
	u.client.Close()
	<-u.served
	<-u.read
	u.server.Close()
	if u.conn.busy.Load() != 0 || u.conn.streams.len() != 0 {
		u.Errorf("left behind: %d busy, %d streams", u.conn.busy.Load(), u.conn.streams.len())
	}
}

// play sends what a script says.
func (u *usage) play(script []byte) {
	next := func() (b byte) {
		if len(script) > 0 {
			b, script = script[0], script[1:]
		}
		return b
	}
	stream := func() uint32 { return uint32(next()%8)*2 + 1 }
	for err := u.framer.WriteSettings(); err == nil && len(script) > 0; {
		switch next() % 10 {
		case 0:
			err = u.ask(stream(), next())
		case 1:
			err = u.framer.WriteData(stream(), next()%2 == 0, make([]byte, int(next())*8))
		case 2:
			err = u.framer.WriteDataPadded(stream(), next()%2 == 0, make([]byte, next()), make([]byte, next()))
		case 3:
			err = u.framer.WriteWindowUpdate(stream(), uint32(next())<<(next()%24))
		case 4:
			more := uint32(next()) << (next() % 24)
			u.allowed.Add(int64(more))
			err = u.framer.WriteWindowUpdate(0, more)
		case 5:
			err = u.framer.WriteRSTStream(stream(), http2.ErrCode(next()))
		case 6:
			err = u.framer.WriteSettings(http2.Setting{ID: http2.SettingID(next() % 10), Val: uint32(next()) << (next() % 25)})
		case 7:
			err = u.framer.WritePing(next()%2 == 0, [8]byte{next()})
		case 8:
			err = u.framer.WritePriorityUpdate(stream(), "u="+string(rune('0'+next()%9))+", i")
		case 9:
			err = u.framer.WriteRawFrame(http2.FrameType(next()), http2.Flags(next()), stream()-1, make([]byte, next()))
		}
	}
}

// ask opens a stream, or sends trailers on it.
func (u *usage) ask(stream uint32, how byte) error {
	u.block.Reset()
	write := func(name, value string) { _ = u.coder.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	path := [...]string{"/", "/body", "/hang", "/bytes/100000", "/stream/100000", "/panic", "/body", "/bytes/10"}[how%8]
	if how&64 == 0 {
		write(":method", map[bool]string{true: "POST", false: "GET"}[how&8 == 0])
		write(":scheme", "http")
		write(":path", path)
		write(":authority", "a.test")
	}
	if how&128 != 0 {
		write("content-length", "8")
	}
	return u.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: u.block.Bytes(), EndHeaders: true, EndStream: how&16 == 0})
}

// judge reads what comes back: each stream has a head, content, and one end; none of it is longer than a frame may be.
func (u *usage) judge() {
	framer := http2.NewFramer(nil, u.client)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	content := int64(0)
	begun, over := map[uint32]bool{}, map[uint32]bool{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			if errors.Is(err, http2.ErrFrameTooLarge) || errors.As(err, new(http2.ConnectionError)) || errors.As(err, new(http2.StreamError)) {
				u.Errorf("what came back is malformed: %v", err)
			}
			return
		}
		id := frame.Header().StreamID
		if over[id] && frame.Header().Type != http2.FrameWindowUpdate && frame.Header().Type != http2.FrameRSTStream {
			u.Errorf("%v behind the end of its stream", frame)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "100" {
				if status == "" && !begun[id] || status != "" && begun[id] {
					u.Errorf("a head of status %q, begun: %v", status, begun[id])
				}
				begun[id] = true
			}
			over[id] = f.StreamEnded()
		case *http2.DataFrame:
			if content += int64(f.Length); !begun[id] || content > u.allowed.Load() {
				u.Errorf("content that may not come, begun: %v; %d bytes of %d", begun[id], content, u.allowed.Load())
			}
			over[id] = f.StreamEnded()
		case *http2.RSTStreamFrame:
			over[id] = true
		}
	}
}
