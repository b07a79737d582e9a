package gateway

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"metahub/tenant"
)

// FuzzHTTP2Servers sends the same frames to both servers of HTTP/2. Where a client makes no mistake, both must answer alike; where one
// server finds a mistake, so must the other, though RFC 9113 often leaves open whether that ends the stream or the connection, and lets a
// server answer 400 as well.
func FuzzHTTP2Servers(f *testing.F) {
	worlds := map[string]*world{}
	for _, server := range []string{tenant.StandardHTTP2, tenant.EngineHTTP2} {
		w := start(f, func(s *tenant.Gateway, _ *Gateway) { s.HTTP2 = server })
		w.limitTenant("anna", func(l *tenant.Limits) { l.Body = 1 << 20 })
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
			n, err := int64(0), error(nil)
			if body := ctx.RequestBodyStream(); body != nil {
				n, err = io.Copy(io.Discard, body)
			} else {
				n = int64(len(ctx.Request.Body()))
			}
			if err != nil {
				ctx.SetStatusCode(fasthttp.StatusBadRequest)
			}
			fmt.Fprintf(ctx, "%s %s %d %s", ctx.Method(), ctx.RequestURI(), n, ctx.Request.Header.Peek("X-A"))
		})
		worlds[server] = w
	}
	f.Add([]byte{opGet, opGet, opPost, 0, opData, 2, 200, 1})
	f.Add([]byte{opPost, 3, opData, 0, 100, 0, opTrailers, 0, opPing})
	f.Add([]byte{opSetting, 4, 1, opGet, opWindow, 0, 200, opWindow, 255, 200})
	f.Add([]byte{opGet, opReset, 0, opGet, opPriority, 1, 0})
	f.Add([]byte{opUpdate, 1, 0, opGet, opUpdate, 1, 7, opGet})
	f.Add([]byte{opSplit, 3, opPadded, 5, opField, 3, 'x', '-', 'a', 1, 'b'})
	f.Add([]byte{opRaw, 0xfa, 0, 0, 3, 1, 2, 3, opGet})
	f.Add([]byte{opRaw, 8, 0, 0, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, program []byte) {
		got := map[string]outcome{}
		for server, w := range worlds {
			got[server] = w.play(t, program)
		}
		standard, engine := got[tenant.StandardHTTP2], got[tenant.EngineHTTP2]
		switch {
		case standard.open || engine.open:
		case standard.fault != engine.fault:
			t.Errorf("one finds a mistake and one does not:\nstandard: %v\nengine:   %v", standard, engine)
		case !standard.fault && !maps.Equal(standard.answers, engine.answers):
			t.Errorf("they answer differently:\nstandard: %v\nengine:   %v", standard, engine)
		}
	})
}

// The operations of a program; what follows each in it are its arguments. The n-th stream is that of the n-th request.
const (
	opGet      = iota // a request without content
	opPost            // n: a request with content to come, and a Content-Length of n if that is not zero
	opData            // n, length, flags: content
	opTrailers        // n: the end of a stream
	opReset           // n
	opWindow          // n, increment: of a stream, or with 255 of the connection
	opPing
	opSetting  // id, value
	opPriority // n, on which it depends
	opSplit    // n: a request whose header comes in n+1 frames
	opPadded   // n: a request with padding
	opField    // length, name, length, value: a request with a field
	opUpdate   // n, urgency: PRIORITY_UPDATE of a stream that is open, or may be later
	opRaw      // type, flags, n, length, payload
	operations
)

// outcome is what came of a program.
type outcome struct {
	answers map[uint32]string // of streams that were answered to their end, or reset
	fault   bool
	open    bool // servers may differ: in what is too much, and in mistakes on a stream that the client has reset
	how     string
}

// String implements fmt.Stringer.
func (o outcome) String() string { return fmt.Sprintf("%v %v %s", o.answers, o.fault, o.how) }

// arguments are what is left of a program.
type arguments []byte

// next returns the next byte, or 0 at the end.
func (a *arguments) next() (b byte) {
	if len(*a) > 0 {
		b, *a = (*a)[0], (*a)[1:]
	}
	return b
}

// text returns as many bytes as the next one says, up to most.
func (a *arguments) text(most int) []byte {
	n := min(int(a.next()), most, len(*a))
	text := (*a)[:n]
	*a = (*a)[n:]
	return text
}

// play runs a program on a connection of its own, and waits for all that must come of it.
func (w *world) play(t *testing.T, program arguments) outcome {
	c, err := w.tryHTTP2("anna.test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	_ = c.layer.SetDeadline(time.Now().Add(8 * time.Second))
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	awaited := map[uint32]bool{} // streams that the client has ended; false for those that it has reset, of which anything may come
	last := -1
	for range 24 {
		if len(program) == 0 {
			break
		}
		if err := c.step(&program, &last, awaited); err != nil {
			break // it was cut off
		}
	}
	marker := [8]byte{'d', 'o', 'n', 'e'}
	_ = errors.Join(c.WritePing(false, marker), c.flush())
	o := outcome{answers: map[uint32]string{}}
	taken := map[uint32]bool{}
	maps.DeleteFunc(awaited, func(id uint32, ended bool) bool {
		taken[id] = !ended
		return !ended
	})
	bodies, processed := map[uint32]string{}, false
	for !processed || len(awaited) > 0 {
		frame, err := c.ReadFrame()
		if err != nil {
			o.how += fmt.Sprintf(", awaited %v, processed %v: %v", slices.Sorted(maps.Keys(awaited)), processed, err)
			var unreadable http2.ConnectionError
			switch {
			case isTimeout(err):
				t.Errorf("nothing more comes: %v", o)
			case errors.As(err, &unreadable) && w.engine == nil:
				o.open = true // net/http may change the size of its table in the middle of a header
			case errors.As(err, &unreadable):
				t.Errorf("what the engine sends cannot be read: %v", o)
			}
			o.fault = true
			return o
		}
		id := frame.Header().StreamID
		if taken[id] {
			o.open = o.open || frame.Header().Type == http2.FrameRSTStream
			continue
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			processed = processed || frame.IsAck() && frame.Data == marker
		case *http2.GoAwayFrame:
			o.fault, o.open = true, o.open || frame.ErrCode == calm
			o.how += fmt.Sprintf(", GOAWAY %v %q", frame.ErrCode, frame.DebugData())
			return o
		case *http2.RSTStreamFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				o.fault, o.open = true, o.open || frame.ErrCode == calm
				o.how += fmt.Sprintf(", %d reset with %v", id, frame.ErrCode)
			}
			delete(awaited, id)
		case *http2.MetaHeadersFrame:
			if status := frame.PseudoValue("status"); status != "" {
				bodies[id] = status + " "
				if status[0] == '4' {
					o.fault = true
					o.how += fmt.Sprintf(", %d is answered %s", id, status)
				}
			}
			if frame.StreamEnded() {
				o.answers[id] = bodies[id]
				delete(awaited, id)
			}
		case *http2.DataFrame:
			bodies[id] += string(frame.Data())
			if frame.StreamEnded() {
				o.answers[id] = bodies[id]
				delete(awaited, id)
			}
		}
	}
	return o
}

// step sends the next operation of a program. last is the number of the last request.
func (c *rawHTTP2) step(program *arguments, last *int, awaited map[uint32]bool) error {
	request := func(end bool, method string, more ...string) http2.HeadersFrameParam {
		*last++
		id := stream(*last)
		ends(awaited, id, end)
		block := c.fields(append([]string{":method", method, ":scheme", "https", ":authority", "anna.test", ":path", fmt.Sprint("/", id)}, more...)...)
		return http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true}
	}
	existing := func() uint32 { return stream(int(program.next()) % max(*last+2, 1)) }
	switch program.next() % operations {
	case opGet:
		return c.WriteHeaders(request(true, "GET"))
	case opPost:
		if n := program.next(); n > 0 {
			return c.WriteHeaders(request(false, "POST", "content-length", fmt.Sprint(n)))
		}
		return c.WriteHeaders(request(false, "POST"))
	case opData:
		id, data, end := existing(), make([]byte, 20*int(program.next())), program.next()%2 == 1
		ends(awaited, id, end)
		return c.WriteData(id, end, data)
	case opTrailers:
		id := existing()
		ends(awaited, id, true)
		return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.fields("x-b", "c"), EndStream: true, EndHeaders: true})
	case opReset:
		id := existing()
		awaited[id] = false
		return c.WriteRSTStream(id, http2.ErrCodeCancel)
	case opWindow:
		id, n := uint32(0), program.next()
		if n != 255 {
			id = stream(int(n) % max(*last+2, 1))
		}
		return c.WriteWindowUpdate(id, uint32(program.next())<<(23*(program.next()%2)))
	case opPing:
		return c.WritePing(false, [8]byte{1})
	case opSetting:
		s := http2.Setting{ID: http2.SettingID(program.next() % 10), Val: uint32(program.next()) << (program.next() % 25)}
		if s.ID == http2.SettingInitialWindowSize {
			s.Val |= 1 << 10 // else answers would have to wait
		}
		return c.WriteSettings(s)
	case opPriority:
		id := existing()
		return c.WritePriority(id, http2.PriorityParam{StreamDep: existing()})
	case opUpdate:
		return c.WritePriorityUpdate(stream(int(program.next()%128)), fmt.Sprint("u=", program.next()%9))
	case opSplit:
		return c.split(request(true, "GET"), int(program.next()%8)+2)
	case opPadded:
		p := request(true, "GET")
		p.PadLength = program.next()
		return c.WriteHeaders(p)
	case opField:
		name := string(program.text(20))
		return c.WriteHeaders(request(true, "GET", name, string(program.text(20))))
	}
	kind, flags, id := http2.FrameType(program.next()), http2.Flags(program.next()), existing()
	if kind == 0x10 || kind == http2.FrameGoAway { // PRIORITY_UPDATE of anything, which net/http does not read; and a farewell, to which it says another
		kind = http2.FramePing
	}
	if program.next()%2 == 0 {
		id = 0
	}
	ends(awaited, id, id > 0 && (kind == http2.FrameData || kind == http2.FrameHeaders) && flags.Has(http2.FlagDataEndStream))
	return c.WriteRawFrame(kind, flags, id, program.text(40))
}

// ends notes that a stream is at its end, unless it was reset.
func ends(awaited map[uint32]bool, id uint32, end bool) {
	if _, known := awaited[id]; end && !known {
		awaited[id] = true
	}
}

// split sends a header in so many frames.
func (c *rawHTTP2) split(p http2.HeadersFrameParam, frames int) error {
	block := p.BlockFragment
	each := len(block) / frames
	p.BlockFragment, p.EndHeaders = block[:each], false
	err := c.WriteHeaders(p)
	for i := 1; i < frames; i++ {
		block = block[each:]
		if i == frames-1 {
			each = len(block)
		}
		err = errors.Join(err, c.WriteContinuation(p.StreamID, i == frames-1, block[:each]))
	}
	return err
}
