package frontend

import (
	"io"
	"os"

	"github.com/valyala/fasthttp"

	"metahub/conditional"
	"metahub/gateway/page"
)

// answer answers with r, a representation of a: whole, in part, or only in that nothing changed. Where r is not in memory it is read from
// file, which is closed at once or when the body has been sent.
func (a *asset) answer(ctx *fasthttp.RequestCtx, r *representation, status int, file *os.File) {
	part, ok := a.head(ctx, r, status)
	resp := &ctx.Response
	switch {
	case !ok:
		resp.SkipBody = ctx.IsHead()
	case ctx.IsHead():
		resp.SkipBody = true
		resp.Header.SetContentLength(int(part.Length))
	case r.body != nil:
		resp.SetBodyRaw(r.body[part.From : part.From+part.Length])
	case part.Length <= int64(len([32 << 10]byte{})) && readWhole(resp, file, part):
	default:
		resp.SetBodyStream(&fileBody{file: file, section: io.NewSectionReader(file, part.From, part.Length)}, int(part.Length))
		return
	}
	if file != nil {
		file.Close()
	}
}

// head sets all but the body, and returns what of r that is; false for none. A page that stands in for another has no validators.
func (a *asset) head(ctx *fasthttp.RequestCtx, r *representation, status int) (conditional.Part, bool) {
	h := &ctx.Response.Header
	all := conditional.Part{Length: r.version.size}
	ctx.SetStatusCode(status)
	h.SetContentTypeBytes(a.contentType)
	h.SetCanonical(nosniffKey, nosniff)
	h.SetCanonical(cacheControlKey, a.control)
	if len(a.representations) > 1 {
		h.SetCanonical(varyKey, acceptEncoding)
	}
	if r.coding != identity {
		h.SetContentEncodingBytes(codingNames[r.coding])
	}
	if status != fasthttp.StatusOK {
		return all, true
	}
	h.SetCanonical(etagKey, r.ETag)
	h.SetCanonical(lastModifiedKey, r.Modified)
	switch r.Judge(&ctx.Request.Header) {
	case conditional.NotModified:
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return all, false
	case conditional.PreconditionFailed:
		page.Error(ctx, fasthttp.StatusPreconditionFailed, "precondition_failed", "This file is not the version that was asked for.")
		return all, false
	}
	return r.Cut(ctx, r.version.size), true
}

// Names and values as fasthttp takes them without a copy.
var (
	nosniffKey, nosniff     = []byte("X-Content-Type-Options"), []byte("nosniff")
	varyKey, acceptEncoding = []byte("Vary"), []byte("Accept-Encoding")
	cacheControlKey         = []byte("Cache-Control")
	etagKey                 = []byte("Etag")
	lastModifiedKey         = []byte("Last-Modified")
)

// readWhole sets a small body at once, which saves a stream. It fails for a file that has become shorter.
func readWhole(resp *fasthttp.Response, file *os.File, p conditional.Part) bool {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	if _, err := file.ReadAt(buffer[:p.Length], p.From); err != nil {
		return false
	}
	resp.SetBody(buffer[:p.Length])
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
