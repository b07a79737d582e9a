package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawClient speaks in frames.
type rawClient struct {
	*http2.Framer
	testing.TB
}

// speak opens a connection whose streams have windows of so many bytes each, and that of the connection 64 KiB.
func (p *place) speak(window uint32) rawClient {
	p.Helper()
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := rawClient{http2.NewFramer(c, c), p}
	r.AllowIllegalWrites = true
	_, err = io.WriteString(c, http2.ClientPreface)
	r.must(err, r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	return r
}

func (r rawClient) must(errs ...error) {
	r.Helper()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

func (r rawClient) get(id uint32, path, priority string) {
	r.Helper()
	var block bytes.Buffer
	coder := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a.test"},
		{Name: ":path", Value: path}, {Name: "priority", Value: priority}} {
		r.must(coder.WriteField(f))
	}
	r.must(r.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
}

// take reads n bytes of content, and returns the streams that they came on, each as often as it had a turn.
func (r rawClient) take(n int) (turns []uint32) {
	r.Helper()
	for n > 0 {
		frame, err := r.ReadFrame()
		r.must(err)
		if data, ok := frame.(*http2.DataFrame); ok && data.Length > 0 {
			n -= int(data.Length)
			if len(turns) == 0 || turns[len(turns)-1] != data.StreamID {
				turns = append(turns, data.StreamID)
			}
		}
	}
	return turns
}
