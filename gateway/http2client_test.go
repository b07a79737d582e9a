package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawHTTP2 is an HTTP/2 connection that sends whatever a test wants. One goroutine may write to it and another read. What is written
// leaves with the next flush.
type rawHTTP2 struct {
	*http2.Framer
	out     *bufio.Writer
	layer   *tls.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
	cut     atomic.Bool // await has read a GOAWAY
}

// dialHTTP2 opens a connection and sends the preface with settings.
func (w *world) dialHTTP2(serverName string, settings ...http2.Setting) *rawHTTP2 {
	w.Helper()
	c, err := w.tryHTTP2(serverName, settings...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.close)
	return c
}

// tryHTTP2 is dialHTTP2 for goroutines; the caller closes.
func (w *world) tryHTTP2(serverName string, settings ...http2.Setting) (*rawHTTP2, error) {
	socket, err := net.Dial("tcp", w.https.String())
	if err != nil {
		return nil, err
	}
	return w.beginHTTP2(socket, serverName, settings...)
}

// beginHTTP2 completes the handshake on socket, which it closes if that fails, and sends the preface with settings.
func (w *world) beginHTTP2(socket net.Conn, serverName string, settings ...http2.Setting) (*rawHTTP2, error) {
	layer := tls.Client(socket, &tls.Config{ServerName: serverName, RootCAs: w.roots, NextProtos: []string{"h2"}})
	_ = layer.SetDeadline(time.Now().Add(atMost))
	if err := layer.Handshake(); err != nil {
		_ = socket.Close()
		return nil, err
	}
	c := &rawHTTP2{out: bufio.NewWriterSize(layer, 32<<10), layer: layer}
	c.Framer = http2.NewFramer(c.out, layer)
	c.AllowIllegalWrites = true
	c.encoder = hpack.NewEncoder(&c.block)
	_, err := io.WriteString(c.out, http2.ClientPreface)
	if err := errors.Join(err, c.WriteSettings(settings...), c.flush()); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *rawHTTP2) flush() error { return c.out.Flush() }
func (c *rawHTTP2) close()       { _ = c.layer.NetConn().Close() }

// fields codes a header block from names and values; what it returns is good until the next call.
func (c *rawHTTP2) fields(pairs ...string) []byte {
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}) // to memory
	}
	return c.block.Bytes()
}

// ask sends the header of a request to anna; what follows it is up to the caller unless end is set.
func (c *rawHTTP2) ask(stream uint32, end bool, method, path string, more ...string) error {
	block := c.fields(append([]string{":method", method, ":scheme", "https", ":authority", "anna.test", ":path", path}, more...)...)
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: end, EndHeaders: true})
}

// ending is how a connection ended.
type ending struct {
	code  http2.ErrCode // of the last GOAWAY
	said  bool          // there was one
	debug string
	err   error
}

// String implements fmt.Stringer.
func (e ending) String() string {
	if !e.said {
		return fmt.Sprintf("no GOAWAY, %v", e.err)
	}
	return fmt.Sprintf("GOAWAY %v %q, %v", e.code, e.debug, e.err)
}

// await reads until the connection ends, and has each take the frames but GOAWAY, which are good until it returns.
func (c *rawHTTP2) await(each func(http2.Frame)) (e ending) {
	for {
		frame, err := c.ReadFrame()
		var broken http2.StreamError
		if errors.As(err, &broken) {
			continue
		}
		if err != nil {
			e.err = err
			return e
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			e.code, e.said, e.debug = away.ErrCode, true, string(away.DebugData())
			c.cut.Store(true)
		} else if each != nil {
			each(frame)
		}
	}
}

// awaitEnd reads to the end of a stream's answer.
func (c *rawHTTP2) awaitEnd(stream uint32) error {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return err
		}
		if h := frame.Header(); h.StreamID == stream && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) && h.Flags.Has(http2.FlagDataEndStream) {
			return nil
		}
	}
}
