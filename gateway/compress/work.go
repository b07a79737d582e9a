package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"metahub/tenant"
)

// The levels, which are those of each library: what lies beyond makes pages a few per cent smaller for twice the time.
const (
	zstdLevel   = zstd.SpeedFastest
	brotliLevel = 2
	gzipLevel   = 4
)

// The windows, as powers of two. Browsers refuse zstd above 8 MiB (RFC 9659 §3); pages are far smaller, and memory is per answer that is
// on its way. An encoder takes about 0.85 MiB (zstd), 1.05 MiB (br) or 0.95 MiB (gzip, whose window is 32 KiB).
const (
	zstdWindow   = 18
	brotliWindow = 18
)

// encoder is what the three libraries have in common. Flush makes all that was written readable for the client.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// work is an encoder, what it has written, and room to read. It is used for one answer at a time and kept for others.
type work struct {
	coding  tenant.Coding
	encoder encoder
	out     []byte
	err     error // of the encoder, which writes to memory and so has no reason for one
	in      [16 << 10]byte
}

var works = [...]sync.Pool{
	tenant.Zstd:   {New: func() any { return newZstd() }},
	tenant.Brotli: {New: func() any { return newBrotli() }},
	tenant.Gzip:   {New: func() any { return newGzip() }},
}

func newZstd() *work {
	// With a concurrency of one there are no goroutines: who asks for an answer pays for it.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstdLevel), zstd.WithWindowSize(1<<zstdWindow),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	return &work{coding: tenant.Zstd, encoder: e, err: err}
}

func newBrotli() *work {
	return &work{coding: tenant.Brotli, encoder: brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: brotliLevel, LGWin: brotliWindow})}
}

func newGzip() *work {
	e, err := gzip.NewWriterLevel(nil, gzipLevel)
	return &work{coding: tenant.Gzip, encoder: e, err: err}
}

// take returns an encoder at the start of an answer; release it after the last use of out.
func take(coding tenant.Coding) *work {
	w := works[coding].Get().(*work)
	if w.err == nil { // options that a library refuses would be a mistake in this file; then all stays as it is
		w.encoder.Reset((*output)(w))
	}
	w.out = w.out[:0]
	return w
}

// maxKept is how much memory for output is kept, in bytes. A large answer of the API takes more, and gives it back.
const maxKept = 256 << 10

func (w *work) release() {
	if cap(w.out) > maxKept {
		w.out = nil
	}
	if w.err == nil {
		works[w.coding].Put(w)
	}
}

func (w *work) write(p []byte) {
	if w.err == nil {
		_, w.err = w.encoder.Write(p)
	}
}

func (w *work) flush() {
	if w.err == nil {
		w.err = w.encoder.Flush()
	}
}

func (w *work) close() {
	if w.err == nil {
		w.err = w.encoder.Close()
	}
}

// output is a work as its encoder sees it.
type output work

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.out = append(o.out, p...)
	return len(p), nil
}
