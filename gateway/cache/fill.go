package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/valyala/fasthttp"

	"metahub/gateway/compress"
	"metahub/gateway/frontend"
)

// source is a streamed answer that can be kept.
type source interface {
	frontend.Streamed
	compress.Source
}

// fill is a streamed answer on its way to a client and to its place in the store. A goroutine reads it as fast as the origin sends it, up to
// the longest that is kept, so that neither the requests that wait for it nor the upstream's connection depend on how fast the client
// takes it. When the client leaves, it ends with the upstream's connection where the frontend notices that, and nothing is kept; else it goes
// on. What is longer is read by the client alone from there on, and not kept.
type fill struct {
	source  source
	pending pending
	flight  *flight // nil if nobody can wait
	direct  bool    // the client's connection reads by itself, and so sends each piece at once

	mu       sync.Mutex
	arrived  sync.Cond
	bytes    []byte // what has come, only ever appended to
	err      error  // why no more comes, io.EOF after a complete answer
	own      bool   // the rest is the client's to read
	left     bool   // the client is gone
	reserved int64
	holders  int // of bytes: the goroutine and the client

	// Of the client.
	read    int
	sent    int64
	ended   error
	piece   *[16 << 10]byte
	closed  bool
	handing bool
	done    func(bytes int64, err error)
	trail   *fasthttp.ResponseHeader // where trailers go; nil where nobody wants them

	behind fasthttp.ResponseHeader // the source's trailers, once err is io.EOF
}

// trailed is a source that brings trailers.
type trailed interface {
	TrailTo(h *fasthttp.ResponseHeader)
}

var _ source = (*fill)(nil)

var (
	errAbandoned = errors.New("the client did not take the whole body")
	pieces       = sync.Pool{New: func() any { return new([16 << 10]byte) }}
)

// startFill puts a fill in the place of ctx's body.
func startFill(ctx *fasthttp.RequestCtx, from source, p pending, flight *flight) {
	f := &fill{source: from, pending: p, flight: flight, holders: 2}
	f.arrived.L = &f.mu
	_, f.direct = ctx.Conn().(io.ReaderFrom)
	length := ctx.Response.Header.ContentLength()
	from.Handover()
	if t, ok := from.(trailed); ok {
		t.TrailTo(&f.behind)
	}
	ctx.Response.SetBodyStream(f, max(length, -1))
	p.shelf.cache.working.Go(f.pump)
}

// pump reads the source until it ends, or is too long to be kept.
func (f *fill) pump() {
	complete := false
	defer func() {
		if v := recover(); v != nil {
			f.end(fmt.Errorf("panic in a body that is kept: %v", v))
			complete = false
		}
		f.settle(complete)
	}()
	piece := pieces.Get().(*[16 << 10]byte)
	defer pieces.Put(piece)
	for {
		n, err := f.source.Read(piece[:])
		if more := f.add(piece[:n], err); more {
			continue
		}
		complete = err == io.EOF && f.fits()
		return
	}
}

// add takes over what has been read and reports whether to read on.
func (f *fill) add(piece []byte, err error) (more bool) {
	s := f.pending.shelf
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes = append(f.bytes, piece...)
	room := s.reserve(int64(len(piece)))
	if room {
		f.reserved += int64(len(piece))
	}
	f.err, f.own = err, err == nil && !(room && f.fits())
	f.arrived.Signal()
	if err != nil || f.own && f.left {
		f.source.Close()
	}
	return err == nil && !f.own
}

func (f *fill) fits() bool { return int64(len(f.bytes)) <= f.pending.shelf.tenant.Cache.Entry }

func (f *fill) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.arrived.Signal()
	f.source.Close()
}

// settle keeps a complete answer, and lets those go on who wait for it.
func (f *fill) settle(complete bool) {
	s := f.pending.shelf
	defer f.release()
	var kept *entry
	if complete && f.pending.commit(bytes.Clone(f.bytes)) {
		kept = f.pending.entry
	} else {
		s.passes.set(f.pending.url, s.cache.since(s.cache.now()))
	}
	if f.flight != nil {
		s.land(f.flight, kept)
	}
}

// release gives up one hold on the bytes. As long as a client is slow to take them, they count as being on their way.
func (f *fill) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holders--; f.holders == 0 {
		f.pending.shelf.release(f.reserved)
	}
}

// OnDone implements frontend.Streamed.
func (f *fill) OnDone(done func(bytes int64, err error)) { f.done = done }

// Read implements io.Reader.
func (f *fill) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	piece, err := f.next(len(p))
	return copy(p, piece), err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo is as good as Read.
func (f *fill) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo, as the body of an upstream does.
func (f *fill) WriteTo(w io.Writer) (int64, error) {
	if by, ok := w.(io.ReaderFrom); ok && f.direct {
		return by.ReadFrom(struct{ io.Reader }{f})
	}
	start := f.sent
	for {
		piece, err := f.next(1 << 30)
		if err == io.EOF {
			return f.sent - start, nil
		}
		if err != nil {
			return f.sent - start, err
		}
		if _, err := w.Write(piece); err != nil {
			return f.sent - start, err
		}
	}
}

// next returns the next bytes for the client, at least one and at most limit. They are valid until the next call.
func (f *fill) next(limit int) ([]byte, error) {
	if f.ended != nil {
		return nil, f.ended
	}
	f.mu.Lock()
	for f.read == len(f.bytes) && f.err == nil && !f.own {
		f.arrived.Wait()
	}
	piece, err := f.bytes[f.read:], f.err
	f.mu.Unlock()
	if len(piece) == 0 && err == nil {
		return f.nextOwn(limit)
	}
	if len(piece) == 0 {
		f.finish(err)
		return nil, err
	}
	piece = piece[:min(len(piece), limit)]
	f.read += len(piece)
	f.sent += int64(len(piece))
	return piece, nil
}

// nextOwn reads what is not kept.
func (f *fill) nextOwn(limit int) ([]byte, error) {
	if f.piece == nil {
		f.piece = pieces.Get().(*[16 << 10]byte)
		f.bytes, f.read = nil, 0
		f.release()
	}
	n, err := f.source.Read(f.piece[:min(limit, len(f.piece))])
	f.sent += int64(n)
	if err != nil {
		f.finish(err)
	}
	if n > 0 {
		return f.piece[:n], nil
	}
	return nil, err
}

// finish notes why the client gets no more.
func (f *fill) finish(err error) {
	f.ended = err
	if err == io.EOF && f.trail != nil {
		frontend.PassTrailers(f.trail, &f.behind)
	}
}

// TrailTo has the trailers put into h, the header of the response that f is the body of, when the client has read all.
func (f *fill) TrailTo(h *fasthttp.ResponseHeader) { f.trail = h }

// Ready implements compress.Source.
func (f *fill) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read < len(f.bytes) || f.err != nil || f.ended != nil {
		return true
	}
	return f.own && f.source.Ready()
}

// Handover implements compress.Source.
func (f *fill) Handover() { f.handing = true }

// Close implements io.Closer. It may be called more than once.
func (f *fill) Close() error {
	if f.handing {
		f.handing = false
		return nil
	}
	if f.closed {
		return nil
	}
	f.closed = true
	f.mu.Lock()
	f.left = true
	complete := f.ended == io.EOF || f.err == io.EOF && f.read == len(f.bytes)
	if f.own && f.err == nil {
		f.source.Close()
	}
	f.mu.Unlock()
	if f.piece != nil {
		pieces.Put(f.piece)
		f.piece = nil
	} else {
		f.release()
	}
	if f.done != nil {
		f.done(f.sent, f.outcome(complete))
	}
	return nil
}

func (f *fill) outcome(complete bool) error {
	switch {
	case complete:
		return nil
	case f.ended == nil, f.ended == io.EOF:
		return errAbandoned
	}
	return f.ended
}
