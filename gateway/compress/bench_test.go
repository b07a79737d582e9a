package compress

import (
	"bytes"
	"io"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// BenchmarkAnswer is what each answer passes: one that is no text, one that is small, one that nobody wants compressed, and those that
// are compressed.
func BenchmarkAnswer(b *testing.B) {
	f := func(name, accept, contentType string, size int) {
		b.Run(name, func(b *testing.B) {
			c, page := New(), text(size)
			ctx := exchange(b, "GET", accept, "")
			b.ReportAllocs()
			if len(page) > minSize {
				b.SetBytes(int64(size))
			}
			for b.Loop() {
				answer(ctx, contentType)
				ctx.Response.SetBody(page)
				c.Answer(ctx, all, false)
			}
			b.ReportMetric(float64(size)/float64(len(ctx.Response.Body())), "ratio")
		})
	}
	f("image", "gzip, deflate, br, zstd", "image/png", 20_000)
	f("small", "gzip, deflate, br, zstd", "text/html; charset=utf-8", 580)
	f("plain", "", "text/html; charset=utf-8", 20_000)
	for _, coding := range codings {
		f(coding+" 20 kB", coding, "text/html; charset=utf-8", 20_000)
	}
}

// BenchmarkStream is a page in ten pieces, each of which is flushed.
func BenchmarkStream(b *testing.B) {
	for _, coding := range codings {
		b.Run(coding, func(b *testing.B) {
			c, page := New(), text(20_000)
			ctx := exchange(b, "GET", coding, "")
			s := &source{end: io.EOF, neverSay: true}
			pieces := make([]string, 10)
			for i := range pieces {
				pieces[i] = string(page[i*2000 : (i+1)*2000])
			}
			rest := make([]string, 10)
			b.ReportAllocs()
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				answer(ctx, "text/html; charset=utf-8")
				copy(rest, pieces)
				s.pieces = rest
				ctx.Response.SetBodyStream(s, -1)
				c.Answer(ctx, all, false)
				if _, err := ctx.Response.BodyStream().(io.WriterTo).WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
				_ = ctx.Response.CloseBodyStream()
			}
		})
	}
}

// answer writes a header as a Next.js server does.
func answer(ctx *fasthttp.RequestCtx, contentType string) {
	h := &ctx.Response.Header
	h.Reset() // the body's memory stays, as in a busy server
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	h.SetContentType(contentType)
	for i := range header {
		h.AddBytesKV(header[i][0], header[i][1])
	}
}

var header = [...][2][]byte{
	{[]byte("Vary"), []byte("rsc, next-router-state-tree, next-router-prefetch")},
	{[]byte("x-nextjs-cache"), []byte("HIT")},
	{[]byte("X-Powered-By"), []byte("Next.js")},
	{[]byte("Cache-Control"), []byte("s-maxage=31536000")},
	{[]byte("ETag"), []byte(`"9atxq3xchu3lw"`)},
	{[]byte("Date"), []byte("Sat, 01 Aug 2026 10:00:00 GMT")},
	{[]byte("Set-Cookie"), []byte("session=0123456789abcdef; Path=/; HttpOnly")},
}

func BenchmarkChoose(b *testing.B) {
	lists := [][]byte{[]byte("gzip, deflate, br;q=0.9, zstd")}
	b.ReportAllocs()
	for b.Loop() {
		if c, _ := choose(lists, tenant.AllCodings()); c != tenant.Zstd {
			b.Fatal(c)
		}
	}
}

// BenchmarkEncoder is each library by itself, with the same page.
func BenchmarkEncoder(b *testing.B) {
	page := text(20_000)
	for c := tenant.Zstd; c <= tenant.Gzip; c++ {
		b.Run(c.String(), func(b *testing.B) {
			var out bytes.Buffer
			w := take(c)
			defer w.release()
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				w.encoder.Reset(&out)
				w.write(page)
				w.close()
			}
		})
	}
}
