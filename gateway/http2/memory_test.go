package http2

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"
)

// TestIdleMemory is what a connection takes that has been used, and rests: stacks among it, what its TLS takes apart.
func TestIdleMemory(t *testing.T) {
	const connections, most = 300, 20 << 10
	quick := limits
	quick.Rest, quick.Header = time.Millisecond, time.Second // and with it the watch
	p := serve(t, quick, echo)
	var ask bytes.Buffer
	ask.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&ask, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: []byte("\x82\x87\x84\x41\x06a.test")})
	heap, stacks := inUse()
	for range connections {
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(ask.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "rest", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.open {
			c.mu.Lock()
			rests := c.watch.resting && c.last == 1
			c.mu.Unlock()
			if !rests {
				return false
			}
		}
		return len(p.open) == connections
	})
	heapAfter, stacksAfter := inUse()
	each := (heapAfter - heap + stacksAfter - stacks) / connections
	t.Logf("%d bytes a connection, with the client's end of it", each)
	if each > most {
		t.Errorf("a connection at rest takes %d bytes, want at most %d", each, most)
	}
}

// inUse is the memory in use, on the heap and by stacks, once what is not has been collected.
func inUse() (heap, stacks int64) {
	runtime.GC()
	runtime.GC() // pools give up what they hold at the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// TestStreamMemory is what a stream takes whose handler is at work, beyond the request and the stack of its handler.
func TestStreamMemory(t *testing.T) {
	const connections, most = 20, 4 << 10
	release, busy := make(chan struct{}), make(chan struct{}, connections*100)
	p := serve(t, limits, func(s *Stream) {
		receive(s)
		busy <- struct{}{}
		<-release
	})
	defer close(release)
	open := func(ids int) {
		var ask bytes.Buffer
		ask.WriteString(http2.ClientPreface)
		framer := http2.NewFramer(&ask, nil)
		_ = framer.WriteSettings()
		for i := range ids {
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, BlockFragment: []byte("\x82\x87\x84\x41\x06a.test")})
		}
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write(ask.Bytes()); err != nil {
			t.Fatal(err)
		}
		for range ids {
			<-busy
		}
	}
	before, _ := inUse()
	for range connections {
		open(1)
	}
	one, _ := inUse()
	for range connections {
		open(limits.Streams)
	}
	many, _ := inUse()
	kept := make([]*fasthttp.RequestCtx, connections*(limits.Streams-1))
	empty, _ := inUse()
	for i := range kept {
		kept[i] = new(fasthttp.RequestCtx)
		kept[i].Init2(nowhere{}, nil, true)
		kept[i].Request.Header.SetMethod("GET")
		kept[i].Request.SetRequestURI("https://a.test/")
		kept[i].Request.Header.SetHost("a.test")
	}
	full, _ := inUse()
	runtime.KeepAlive(kept)
	request := (full - empty) / int64(len(kept))
	each := ((many-one)-(one-before))/int64(len(kept)) - request // what a connection takes has gone out of it
	t.Logf("%d bytes a stream, beside %d of its request", each, request)
	if each > most {
		t.Errorf("a stream takes %d bytes beyond its request, want at most %d", each, most)
	}
}
