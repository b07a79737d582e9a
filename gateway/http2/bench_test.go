package http2

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// BenchmarkRequests has one client ask again and again, with so many streams at once, over a socket without TLS.
func BenchmarkRequests(b *testing.B) {
	for _, streams := range []int{1, 10, 100} {
		b.Run(map[int]string{1: "1", 10: "10", 100: "100"}[streams], func(b *testing.B) { benchmarkRequests(b, streams) })
	}
}

func benchmarkRequests(b *testing.B, streams int) {
	b.ReportAllocs()
	askMany(b, streams, b.N)
}

// TestAllStreamsAtOnce has a client open as many streams as it may, again and again, as soon as the answers are there: none may be refused.
func TestAllStreamsAtOnce(t *testing.T) { askMany(t, limits.Streams, 20*limits.Streams) }

// askMany sends requests, so many at once.
func askMany(b testing.TB, streams, total int) {
	page := bytes.Repeat([]byte{'x'}, 580)
	p := serve(b, limits, func(s *Stream) {
		receive(s)
		s.Ctx.Response.SetBodyRaw(page)
	})
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var block, out bytes.Buffer
	coder, framer := hpack.NewEncoder(&block), http2.NewFramer(&out, nil)
	out.WriteString(http2.ClientPreface)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	_ = framer.WriteWindowUpdate(0, 1<<30)
	ends := make(chan int, 1)
	go countEnds(c, ends)
	id := uint32(1)
	for done := 0; done < total; {
		n := min(streams, total-done)
		for range n {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/page"}, {"user-agent", "h2load nghttp2/1.52"}} {
				_ = coder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
			id += 2
		}
		if _, err := out.WriteTo(c); err != nil {
			b.Fatal(err)
		}
		for left := n; left > 0; {
			ended := <-ends
			if ended < 0 {
				b.Fatal("a stream was reset")
			}
			left -= ended
		}
		if done += n; done%100_000 < n { // the window of the connection
			_ = framer.WriteWindowUpdate(0, 100_000*580)
		}
	}
}

// countEnds tells how many streams have ended, as it reads on, and -1 of one that was reset.
func countEnds(r io.Reader, ends chan<- int) {
	var head [9]byte
	buffered := make([]byte, 0, 64<<10)
	for {
		n, err := r.Read(buffered[len(buffered):cap(buffered)])
		if err != nil {
			return
		}
		buffered = buffered[:len(buffered)+n]
		ended, rest := 0, buffered
		for len(rest) >= len(head) {
			size := 9 + int(rest[0])<<16 + int(rest[1])<<8 + int(rest[2])
			if len(rest) < size {
				break
			}
			if kind := http2.FrameType(rest[3]); (kind == http2.FrameData || kind == http2.FrameHeaders) && rest[4]&1 != 0 {
				ended++
			} else if kind == http2.FrameRSTStream {
				ends <- -1
				return
			}
			rest = rest[size:]
		}
		buffered = buffered[:copy(buffered, rest)]
		if ended > 0 {
			ends <- ended
		}
	}
}
