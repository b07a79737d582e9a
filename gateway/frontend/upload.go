package frontend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// upload sends a request body to an upstream while the answer is awaited, so that an answer that comes early is not missed. It reads
// from the client only as much as the upstream takes.
type upload struct {
	to     *conn
	from   io.Reader
	client net.Conn
	length int64         // -1 for the chunked coding
	answer time.Duration // what the upstream has for its answer once the body is sent
	done   chan struct{} // closed when both ends are at rest
	err    error         // nil once the whole body is sent; valid when done is closed
	ending atomic.Bool   // the end of the body is on its way, or sent
	halted atomic.Bool
}

// startUpload begins to send r's body to c. stop must be called before ctx is given back.
func startUpload(ctx *fasthttp.RequestCtx, r *request, c *conn, answer time.Duration) *upload {
	u := &upload{to: c, from: r.upload, client: ctx.Conn(), length: r.length, answer: answer, done: make(chan struct{})}
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.done)
	u.err = u.copy()
	deadline := time.Now()
	var fromClient bodyError
	switch {
	case u.err == nil:
		deadline = deadline.Add(u.answer)
	case !errors.As(u.err, &fromClient):
		// The upstream may have answered before it stopped taking the body.
		deadline = deadline.Add(min(time.Second, u.answer))
	}
	_ = u.to.SetReadDeadline(deadline)
}

// buffers hold one piece of a body with room for its chunk size and the CRLF after it.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

const (
	roomBefore = len("7fff\r\n")
	roomAfter  = len("\r\n")
)

func (u *upload) copy() (err error) {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	defer func() {
		if v := recover(); v != nil {
			err = bodyError{fmt.Errorf("panic: %v", v)}
		}
	}()
	for left := u.length; left != 0; {
		n, readErr := u.from.Read(buffer[roomBefore : len(buffer)-roomAfter])
		if u.length >= 0 {
			n = int(min(int64(n), left)) // the length is what the upstream has been told
			left -= int64(n)
			u.ending.Store(left == 0)
		}
		if n > 0 {
			if err := u.send(buffer[:], n); err != nil {
				return err
			}
		}
		switch {
		case left == 0:
			return nil
		case readErr == io.EOF && u.length < 0:
			return u.sendLast()
		case readErr == io.EOF:
			return bodyError{io.ErrUnexpectedEOF}
		case readErr != nil:
			return bodyError{readErr}
		}
	}
	return nil
}

// send writes the n bytes that lie behind roomBefore.
func (u *upload) send(buffer []byte, n int) error {
	piece := buffer[roomBefore : roomBefore+n]
	if u.length < 0 {
		size := strconv.AppendInt(make([]byte, 0, roomBefore), int64(n), 16)
		size = append(size, "\r\n"...)
		start := roomBefore - len(size)
		copy(buffer[start:], size)
		piece = append(buffer[start:roomBefore+n], "\r\n"...)
	}
	if err := u.to.SetWriteDeadline(time.Now().Add(u.to.timings.Body)); err != nil {
		return err
	}
	if u.halted.Load() { // else the deadline that stop set would be lost
		return errHalted
	}
	_, err := u.to.Write(piece)
	return err
}

var errHalted = errors.New("the upload was stopped")

func (u *upload) sendLast() error {
	u.ending.Store(true)
	last := lastChunk
	if lines := trailersBehind(u.from, u.client); len(lines) > 0 {
		last = append(append([]byte("0\r\n"), lines...), lineEnd...)
	}
	_, err := u.to.Write(last)
	return err
}

// stop ends the upload if it still runs, waits for it, and reports whether the whole body was sent. Otherwise neither the client's
// nor the upstream's connection can serve another request.
func (u *upload) stop() bool {
	if u.ending.Load() {
		// The answer may well be quicker than the word that the last write is done.
		select {
		case <-u.done:
		case <-time.After(time.Second):
		}
	}
	select {
	case <-u.done:
	default:
		u.halted.Store(true)
		_ = u.to.SetWriteDeadline(past)
		abandon(u.from, u.client)
		<-u.done
	}
	return u.err == nil
}

var past = time.Unix(1, 0)

// abandon makes a Read of a request body that waits for the client return: on HTTP/2 by closing the stream's body, on HTTP/1.1
// by a word to the guarded connection, or on a bare one by a deadline.
func abandon(body io.Reader, client net.Conn) {
	if closer, ok := body.(io.Closer); ok {
		_ = closer.Close()
		return
	}
	if guarded, ok := client.(interface{ Abandon() }); ok {
		guarded.Abandon()
		return
	}
	_ = client.SetReadDeadline(past)
}
