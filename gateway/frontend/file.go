package frontend

import (
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/valyala/fasthttp"
)

// answer answers with file, which it closes at once or when the body has been sent: whole, in part, or only in that nothing changed.
func (f *files) answer(file *os.File, info fs.FileInfo, status int) {
	h := &f.ctx.Response.Header
	size := info.Size()
	v := validatorsOf(info)
	f.ctx.SetStatusCode(status)
	h.SetContentType(contentType(path.Ext(info.Name())))
	h.Set("X-Content-Type-Options", "nosniff")
	if status != fasthttp.StatusOK {
		f.body(file, 0, size)
		return
	}
	h.Set("ETag", v.etag)
	h.Set("Last-Modified", v.modified)
	h.Set("Accept-Ranges", "bytes")
	request := &f.ctx.Request.Header
	if v.unchanged(request) {
		f.ctx.SetStatusCode(fasthttp.StatusNotModified)
		file.Close()
		return
	}
	part := wanted(request, v, size)
	switch part.kind {
	case partial:
		f.ctx.SetStatusCode(fasthttp.StatusPartialContent)
		h.Set("Content-Range", "bytes "+decimal(part.from)+"-"+decimal(part.from+part.length-1)+"/"+decimal(size))
	case beyond:
		f.ctx.SetStatusCode(fasthttp.StatusRequestedRangeNotSatisfiable)
		h.Set("Content-Range", "bytes */"+decimal(size))
		part.length = 0
	}
	f.body(file, part.from, part.length)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// body sends length bytes of file from an offset, and sees to it that file is closed.
func (f *files) body(file *os.File, from, length int64) {
	resp := &f.ctx.Response
	switch {
	case f.ctx.IsHead():
		resp.SkipBody = true
		resp.Header.SetContentLength(int(length))
		file.Close()
	case length <= int64(len([32 << 10]byte{})) && f.readWhole(file, from, int(length)):
		file.Close()
	default:
		resp.SetBodyStream(&fileBody{file: file, section: io.NewSectionReader(file, from, length)}, int(length))
	}
}

// readWhole sets a small body at once, which saves a stream. It fails for a file that has become shorter.
func (f *files) readWhole(file *os.File, from int64, length int) bool {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	if _, err := file.ReadAt(buffer[:length], from); err != nil {
		return false
	}
	f.ctx.Response.SetBody(buffer[:length])
	return true
}

// fileBody is part of a file on its way to the client.
type fileBody struct {
	file    *os.File
	section *io.SectionReader
	read    int64
	err     error // why there is no more, io.EOF after the whole part
	closed  bool
	done    func(bytes int64, err error)
	handover
}

var _ Streamed = (*fileBody)(nil)

// OnDone implements Streamed.
func (b *fileBody) OnDone(f func(bytes int64, err error)) { b.done = f }

// Read implements io.Reader. A file that became shorter meanwhile gives io.ErrUnexpectedEOF.
func (b *fileBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.section.Read(p)
	b.read += int64(n)
	if err == io.EOF && b.read < b.section.Size() {
		err = io.ErrUnexpectedEOF
	}
	b.err = err
	return n, err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo is as good as Read.
func (b *fileBody) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo with pieces that fill a TLS record.
func (b *fileBody) WriteTo(w io.Writer) (int64, error) {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{b}, buffer[:])
}

// Close implements io.Closer. It may be called more than once.
func (b *fileBody) Close() error {
	if b.closed || b.handedOver() {
		return nil
	}
	b.closed = true
	if b.done != nil {
		b.done(b.read, b.outcome())
	}
	return b.file.Close()
}

func (b *fileBody) outcome() error {
	switch {
	case b.read == b.section.Size():
		return nil
	case b.err == nil:
		return errAbandoned
	}
	return b.err
}
