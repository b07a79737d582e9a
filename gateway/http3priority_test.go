package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/valyala/fasthttp"

	"metahub/gateway/h3"
)

// priorityUpdate is a frame of RFC 9218 §7.2.
func priorityUpdate(stream uint64, value string) []byte {
	b := quicvarint.Append(nil, 0xf0700)
	b = quicvarint.Append(b, uint64(quicvarint.Len(stream)+len(value)))
	return append(quicvarint.Append(b, stream), value...)
}

// only returns the one connection of HTTP/3.
func (w *world) only() *http3Conn {
	w.Helper()
	var h *http3Conn
	await(w, "the connection", func() bool {
		for _, c := range w.connections.list() {
			c.mu.Lock()
			h = c.quic
			c.mu.Unlock()
		}
		return h != nil
	})
	return h
}

// TestHTTP3Priorities has a client download much at once, of which one answer is urgent: it is there before the others have got far.
func TestHTTP3Priorities(t *testing.T) {
	const size, others = 1 << 20, 8
	f := func(what, header string, before, after func(control *quic.SendStream, h *http3Conn, id uint64)) {
		t.Helper()
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { ctx.SetBody(make([]byte, size)) })
		window := &quic.Config{InitialConnectionReceiveWindow: 128 << 10, MaxConnectionReceiveWindow: 128 << 10}
		conn, err := quic.DialAddr(t.Context(), w.https.String(), &tls.Config{ServerName: "anna.test", RootCAs: w.roots, NextProtos: []string{"h3"}}, window)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseWithError(0x100, "") }()
		r := &rawHTTP3{w, conn}
		control, err := conn.OpenUniStream()
		if err == nil {
			_, err = control.Write([]byte("\x00\x04\x00"))
		}
		if err != nil {
			t.Fatal(err)
		}
		h := w.only()
		var got [others]*quic.Stream
		for i := range got {
			got[i] = r.send(h3.AppendHeadersFrame(nil, block(t, get...)), true)
		}
		id := uint64(4 * others)
		before(control, h, id)
		urgent := r.send(h3.AppendHeadersFrame(nil, block(t, append(slices.Clone(get), header)...)), true)
		after(control, h, id)
		var taken atomic.Int64
		var readers sync.WaitGroup
		for _, stream := range got {
			readers.Go(func() {
				piece := make([]byte, 4<<10)
				for {
					n, err := stream.Read(piece)
					taken.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
		}
		n, err := io.Copy(io.Discard, urgent)
		if n < size || err != nil {
			t.Errorf("%s: %d bytes, %v", what, n, err)
		}
		if n := taken.Load(); n > others*size/2 {
			t.Errorf("%s: %d bytes of the others came before all of the urgent answer", what, n)
		}
		readers.Wait()
		if n := taken.Load(); n < others*size {
			t.Errorf("%s: %d bytes of the others came in all", what, n)
		}
	}
	nothing := func(*quic.SendStream, *http3Conn, uint64) {}
	update := func(control *quic.SendStream, h *http3Conn, id uint64) {
		_, _ = control.Write(priorityUpdate(id, "u=0"))
		await(t, "the priority", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.open.streams[id].told || len(h.open.early) > 0
		})
	}
	f("its own word", "priority: u=0", nothing, nothing)
	f("an update before it", "priority: u=7", update, nothing)
	f("an update behind it", "priority: u=7", nothing, update)
}

// TestHTTP3PriorityFlood has a client say priorities without end.
func TestHTTP3PriorityFlood(t *testing.T) {
	w := start(t, nil)
	r := w.dialHTTP3("anna.test")
	control, err := r.conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for _, err = control.Write([]byte("\x00\x04\x00")); err == nil; {
		_, err = control.Write(priorityUpdate(4, "u=1"))
	}
	var closed *quic.ApplicationError
	<-r.conn.Context().Done()
	if err := context.Cause(r.conn.Context()); !errors.As(err, &closed) || h3.Code(closed.ErrorCode) != h3.ExcessiveLoad {
		t.Errorf("the connection ended with %v", err)
	}
}
