package gateway

import (
	"bytes"
	"sync"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/valyala/fasthttp"

	"metahub/gateway/h3"
	"metahub/gateway/message"
)

// http3Answer writes an answer to a QUIC stream.
type http3Answer struct {
	stream   *quic.Stream
	progress progress
	mu       sync.Mutex // the body of the request may be read, and so asked for, by a goroutine of the frontend
	begun    bool
	encoder  *qpack.Encoder
	fields   bytes.Buffer // what encoder has written
	each     message.Answer
	out      []byte
}

func (a *http3Answer) reset(stream *quic.Stream, limit time.Duration) {
	if a.encoder == nil {
		a.encoder = qpack.NewEncoder(&a.fields)
	}
	a.stream, a.begun, a.out = stream, false, a.out[:0]
	a.progress = progress{set: stream.SetWriteDeadline, limit: limit}
}

// proceed says 100, unless the answer is already there.
func (a *http3Answer) proceed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun {
		return
	}
	a.open(fasthttp.StatusContinue)
	a.out = h3.AppendHeadersFrame(a.out[:0], a.fields.Bytes())
	a.progress.extend()
	_, _ = a.stream.Write(a.out) // what follows fails too
	a.out = a.out[:0]
}

// open begins a block of fields.
func (a *http3Answer) open(status int) {
	a.fields.Reset()
	_ = a.encoder.Close() // begins anew; like writing to a buffer it never fails
	if status > 0 {
		_ = a.encoder.WriteField(qpack.HeaderField{Name: ":status", Value: message.StatusText(status)})
	}
}

// head makes the header wait for the first flush.
func (a *http3Answer) head(response *fasthttp.Response, bodiless bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = true
	a.open(response.StatusCode())
	a.each.Each(response, bodiless, a.field)
	a.out = h3.AppendHeadersFrame(a.out[:0], a.fields.Bytes())
}

func (a *http3Answer) field(name, value []byte) {
	_ = a.encoder.WriteField(qpack.HeaderField{Name: string(name), Value: string(value)})
}

// trailers sends the fields that the end of the body brought.
func (a *http3Answer) trailers(response *fasthttp.Response) error {
	any := false
	a.open(0)
	a.each.EachTrailer(response, func(name, value []byte) {
		any = true
		a.field(name, value)
	})
	if !any {
		return nil
	}
	a.out = h3.AppendHeadersFrame(a.out[:0], a.fields.Bytes())
	return a.flush(nil)
}

// maxPiece is how much is written under one deadline, in bytes.
const maxPiece = 32 << 10

// flush sends what waits, and a piece of the body behind it. A client that takes nothing of a piece in time fails it.
func (a *http3Answer) flush(body []byte) error {
	for {
		n := min(len(body), maxPiece)
		if n > 0 {
			a.out = h3.AppendDataFrame(a.out, n)
		}
		a.out = append(a.out, body[:n]...)
		a.progress.extend()
		_, err := a.stream.Write(a.out)
		a.out = a.out[:0]
		if body = body[n:]; err != nil || len(body) == 0 {
			return err
		}
	}
}
