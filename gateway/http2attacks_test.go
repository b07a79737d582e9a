package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"metahub/tenant"
)

// assault is what a hostile client does on one connection until it is cut off.
type assault struct {
	name   string
	budget string // that it uses up, as metrics name it
	deaf   bool   // reads nothing until it is cut off
	open   func(c *rawHTTP2) error
	send   func(c *rawHTTP2, i int) error // again and again, with i from 0
	end    []http2.ErrCode                // of GOAWAY, where a mistake may end the connection at once; else it is ENHANCE_YOUR_CALM
}

// stream is the i-th stream of a client.
func stream(i int) uint32 { return uint32(2*i + 1) }

// again sends frames on the stream that once has opened.
func again(name, budget string, once func(c *rawHTTP2) error, send func(c *rawHTTP2) error) assault {
	return assault{name: name, budget: budget, open: once, send: func(c *rawHTTP2, _ int) error { return send(c) }}
}

func hanging(c *rawHTTP2) error   { return c.ask(1, true, "GET", "/hang") }
func uploading(c *rawHTTP2) error { return c.ask(1, false, "POST", "/take") }
func nothing(*rawHTTP2) error     { return nil }

// madeReset has the server reset each stream, once its handler runs (CVE-2025-8671).
func madeReset(name string, fault func(c *rawHTTP2, stream uint32) error, end ...http2.ErrCode) assault {
	return assault{name: "made you reset, " + name, budget: "provoked_resets", end: end, send: func(c *rawHTTP2, i int) error {
		return errors.Join(c.ask(stream(i), true, "GET", "/hang"), fault(c, stream(i)))
	}}
}

var calm = http2.ErrCodeEnhanceYourCalm

// assaults are floods that cost a client less than they cost a server that puts up with them.
var assaults = []assault{
	{name: "rapid reset", budget: "resets or refused_streams", send: func(c *rawHTTP2, i int) error { // CVE-2023-44487
		return errors.Join(c.ask(stream(i), true, "GET", "/hang"), c.WriteRSTStream(stream(i), http2.ErrCodeCancel))
	}},
	{name: "rapid reset of uploads", budget: "resets", send: func(c *rawHTTP2, i int) error {
		return errors.Join(c.ask(stream(i), false, "POST", "/hang"), c.WriteRSTStream(stream(i), http2.ErrCodeCancel))
	}},
	madeReset("a window of zero more", func(c *rawHTTP2, s uint32) error { return c.WriteWindowUpdate(s, 0) }, calm, http2.ErrCodeProtocol),
	madeReset("a window too large", func(c *rawHTTP2, s uint32) error { return c.WriteWindowUpdate(s, 1<<31-1) }, calm, http2.ErrCodeFlowControl),
	madeReset("DATA after the end", func(c *rawHTTP2, s uint32) error { return c.WriteData(s, false, []byte("x")) }, calm, http2.ErrCodeStreamClosed),
	madeReset("HEADERS after the end", func(c *rawHTTP2, s uint32) error { return c.ask(s, true, "GET", "/hang") }, calm, http2.ErrCodeStreamClosed, http2.ErrCodeProtocol),
	madeReset("PRIORITY of a wrong size", func(c *rawHTTP2, s uint32) error { return c.WriteRawFrame(http2.FramePriority, 0, s, make([]byte, 4)) },
		calm, http2.ErrCodeFrameSize),
	madeReset("PRIORITY on itself", func(c *rawHTTP2, s uint32) error {
		return c.WritePriority(s, http2.PriorityParam{StreamDep: s})
	}, calm, http2.ErrCodeProtocol),
	{name: "made you reset, more than Content-Length", budget: "provoked_resets", send: func(c *rawHTTP2, i int) error {
		return errors.Join(c.ask(stream(i), false, "POST", "/hang", "content-length", "1"), c.WriteData(stream(i), false, []byte("xx")))
	}},
	{name: "made you reset, malformed", budget: "provoked_resets", send: func(c *rawHTTP2, i int) error {
		return c.ask(stream(i), true, "GET", "/hang", "connection", "close")
	}},
	{name: "more streams than allowed", budget: "refused_streams", send: func(c *rawHTTP2, i int) error { return c.ask(stream(i), true, "GET", "/hang") }},

	again("empty CONTINUATION", "continuation", unfinished, func(c *rawHTTP2) error { return c.WriteContinuation(1, false, nil) }), // CVE-2024-27316
	again("CONTINUATION of one byte", "continuation", unfinished, func(c *rawHTTP2) error { return c.WriteContinuation(1, false, []byte{0x82}) }),
	again("CONTINUATION of 16 KiB", "header_list", unfinished, func(c *rawHTTP2) error { return c.WriteContinuation(1, false, sixteenKiB) }),

	again("SETTINGS", "settings", nothing, func(c *rawHTTP2) error { return c.WriteSettings() }),
	again("SETTINGS that move windows", "settings", hanging, func(c *rawHTTP2) error {
		return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	}),
	again("acknowledgements of SETTINGS", "settings", nothing, func(c *rawHTTP2) error { return c.WriteSettingsAck() }),
	again("PING", "ping", nothing, func(c *rawHTTP2) error { return c.WritePing(false, [8]byte{}) }), // CVE-2019-9512
	unread(again("PING, its answers unread", "ping", nothing, func(c *rawHTTP2) error { return c.WritePing(false, [8]byte{}) })),
	unread(again("SETTINGS, their answers unread", "settings", nothing, func(c *rawHTTP2) error { return c.WriteSettings() })),
	again("answers to no PING", "ping", nothing, func(c *rawHTTP2) error { return c.WritePing(true, [8]byte{}) }),
	again("empty DATA", "empty_data", uploading, func(c *rawHTTP2) error { return c.WriteData(1, false, nil) }), // CVE-2019-9518
	again("DATA of padding", "empty_data", uploading, func(c *rawHTTP2) error { return c.WriteDataPadded(1, false, nil, []byte{0}) }),
	again("PRIORITY", "priority", nothing, func(c *rawHTTP2) error { return c.WritePriority(1, http2.PriorityParam{StreamDep: 3}) }), // CVE-2019-9513
	again("PRIORITY_UPDATE", "priority", hanging, func(c *rawHTTP2) error {
		return c.WriteRawFrame(0x10, 0, 0, append(binary.BigEndian.AppendUint32(nil, 1), "u=1"...))
	}),
	again("WINDOW_UPDATE", "window_update", nothing, func(c *rawHTTP2) error { return c.WriteWindowUpdate(0, 1) }),
	again("WINDOW_UPDATE of a stream", "window_update", hanging, func(c *rawHTTP2) error { return c.WriteWindowUpdate(1, 1) }),
	again("WINDOW_UPDATE for a byte", "window_update", thirsty, func(c *rawHTTP2) error { return c.WriteWindowUpdate(1, 1) }),
	again("RST_STREAM on a stream that is closed", "closed_stream", closed, func(c *rawHTTP2) error { return c.WriteRSTStream(1, http2.ErrCodeCancel) }),
	again("frames that nobody knows", "unknown_frame", nothing, func(c *rawHTTP2) error { return c.WriteRawFrame(0xfa, 0, 0, nil) }),

	again("DATA of one byte", "tiny_data", uploading, func(c *rawHTTP2) error { return c.WriteData(1, false, []byte("x")) }),

	{name: "HPACK bombs", budget: "header_list", open: plant, send: func(c *rawHTTP2, i int) error { // the field of 4 KB, 4,000 times in 4,000 bytes
		block := append(append([]byte(nil), c.fields(":method", "GET", ":scheme", "https", ":authority", "anna.test", ":path", "/")...), bomb...)
		return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream(i + 1), BlockFragment: block, EndStream: true, EndHeaders: true})
	}},
	{name: "cookies in crumbs", budget: "header_list", send: func(c *rawHTTP2, i int) error {
		return c.ask(stream(i), true, "GET", "/", slices.Repeat([]string{"cookie", "a"}, 4000)...)
	}},
}

var (
	sixteenKiB = append([]byte{0x00, 0x01, 'a', 0x7f, 0xff, 0xff, 0xff, 0x07}, make([]byte, 16<<10-8)...) // the start of a field of 16 MB
	bomb       = []byte(strings.Repeat("\xbe", 4000))                                                     // the newest of the dynamic table
)

func unread(a assault) assault {
	a.deaf = true
	return a
}

// unfinished opens a stream whose header does not end.
func unfinished(c *rawHTTP2) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(":method", "GET"), EndStream: true})
}

// thirsty opens a stream whose answer has no room.
func thirsty(c *rawHTTP2) error {
	return errors.Join(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}), c.ask(1, true, "GET", "/large"))
}

// closed opens a stream and resets it.
func closed(c *rawHTTP2) error {
	return errors.Join(c.ask(1, true, "GET", "/hang"), c.WriteRSTStream(1, http2.ErrCodeCancel))
}

// plant puts a field of 4,000 bytes into the server's table.
func plant(c *rawHTTP2) error { return c.ask(1, true, "GET", "/", "x-a", strings.Repeat("x", 4000)) }

// hall is where the requests of attackers end up: those to /hang stay, whether or not their client does, until they are let go.
type hall struct {
	mu      sync.Mutex
	gone    chan struct{}
	running map[string]int // by the address of the connection, as the last ones of one may come when the next is there
	peak    int            // the most of one connection
}

func (h *hall) serve(ctx *fasthttp.RequestCtx, _ string) {
	switch string(ctx.Path()) {
	case "/hang":
		<-h.enter(ctx.RemoteAddr().String())
		h.leave(ctx.RemoteAddr().String())
	case "/take":
		_, _ = io.Copy(io.Discard, ctx.RequestBodyStream())
	case "/large":
		ctx.SetBodyString(strings.Repeat("page", 1<<20))
		return
	}
	ctx.SetBodyString("page")
}

func (h *hall) enter(connection string) (gone chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[connection]++
	h.peak = max(h.peak, h.running[connection])
	return h.gone
}

func (h *hall) leave(connection string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[connection]--; h.running[connection] == 0 {
		delete(h.running, connection)
	}
}

// empty reports whether nobody is there.
func (h *hall) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.running) == 0
}

// takePeak tells the most of one connection since it was asked last.
func (h *hall) takePeak() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	peak := h.peak
	h.peak = 0
	return peak
}

// clear lets all go.
func (h *hall) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone != nil {
		close(h.gone)
	}
	h.gone = make(chan struct{})
}

// most is how many frames an assault sends before it is taken for a success.
const most = 1_000_000

// run attacks anna on a connection of its own until it is cut off.
func (a assault) run(w *world) (e ending) {
	c, err := w.tryHTTP2("anna.test")
	if err != nil {
		return ending{err: err}
	}
	defer c.close()
	ended := make(chan ending, 1)
	read := func() { ended <- c.await(nil) }
	if !a.deaf {
		go read()
	}
	if a.open != nil {
		err = a.open(c)
	}
	for i := 0; err == nil && !c.cut.Load(); i++ {
		if i == most {
			return ending{err: fmt.Errorf("not cut off after %d times", most)}
		}
		if err = a.send(c, i); err == nil && i%100 == 99 {
			err = c.flush()
		}
	}
	if a.deaf {
		go read()
	}
	return <-ended
}

// wanted reports whether a connection ended as it should. One that did not read may miss why.
func (a assault) wanted(e ending) bool {
	if a.deaf {
		return !isTimeout(e.err)
	}
	return e.said && (e.code == calm || slices.Contains(a.end, e.code))
}

// TestHTTP2Assaults attacks anna in every way, again and again, while bert is visited: each connection is cut off, the handlers that it
// keeps busy stay few, and bert's visitors notice nothing. What is asserted of the last is loose, as all share the machine.
func TestHTTP2Assaults(t *testing.T) { t.Run("http2 engine", assail) }

func assail(t *testing.T) {
	w := start(t, impatient(3*time.Second))
	w.limitTenant("anna", func(l *tenant.Limits) { l.Body = 1 << 30 })
	hall := &hall{running: map[string]int{}}
	hall.clear()
	w.answerWith(hall.serve)
	alone := w.visit(true)
	t.Logf("nobody attacks: bert %v", alone)
	for _, a := range assaults {
		t.Run(a.name, func(t *testing.T) {
			before := w.counts.attacked()
			done, rounds := make(chan struct{}), 0
			go func() {
				defer close(done)
				for began := time.Now(); rounds == 0 || time.Since(began) < 300*time.Millisecond; rounds++ {
					e := a.run(w)
					hall.clear()
					for !hall.empty() { // some have only just come
						time.Sleep(time.Millisecond)
						hall.clear()
					}
					if !a.wanted(e) {
						t.Errorf("it ended with %v", e)
						return
					}
				}
			}()
			seen := w.visitUntil(true, "https://bert.test/", done)
			counted, expected := w.counts.attacked(), 0
			for budget, n := range before {
				counted[budget] -= n
			}
			maps.DeleteFunc(counted, func(_ string, n int) bool { return n == 0 })
			for _, budget := range strings.Split(a.budget, " or ") {
				expected += counted[budget]
			}
			peak := hall.takePeak()
			t.Logf("bert %v; cut off %d times, at most %d handlers; counted %v", seen, rounds, peak, counted)
			if a.end == nil && expected != rounds {
				t.Errorf("counted %v, want %s %d times", counted, a.budget, rounds)
			}
			if seen.failed > 0 || seen.p99() > 20*alone.p99()+3*time.Second {
				t.Errorf("bert was visited at %v, %d times in vain; alone %v", seen, seen.failed, alone)
			}
			if peak > maxStreams {
				t.Errorf("%d handlers ran at once for a connection of %d streams", peak, maxStreams)
			}
		})
	}
}
