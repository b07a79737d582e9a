package compress

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

var all = &tenant.Tenant{Slug: "anna", Compress: tenant.AllCodings()}

// text is n bytes that look like a page.
func text(n int) []byte {
	words := strings.Fields("<div class=\"card\"> the massage of kings and </div> \n <a href=\"/shop/item/ 1234 price Öl gold")
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:n]
}

// decoder reads what an answer with a Content-Encoding holds.
func decoder(t testing.TB, coding string, r io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "zstd":
		// Browsers take no larger window than 8 MiB; ours asks for less.
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	case "br":
		return brotli.NewReader(r)
	case "gzip":
		d, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case "":
		return r
	}
	t.Fatalf("unknown coding %q", coding)
	return nil
}

// exchange makes the request and response of one exchange; fields are "Name: value".
func exchange(t testing.TB, method, accept, body string, answer ...string) *fasthttp.RequestCtx {
	t.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.Header.SetMethod(method)
	if accept != "" {
		ctx.Request.Header.Set("Accept-Encoding", accept)
	}
	h := &ctx.Response.Header
	h.DisableNormalizing() // as for an upstream's answer
	h.SetNoDefaultContentType(true)
	ctx.Response.SetBodyString(body)
	for _, field := range answer {
		name, value, _ := strings.Cut(field, ": ")
		h.Add(name, value)
	}
	return ctx
}

// source is a Source that a test feeds with pieces; end comes after the last of them.
type source struct {
	pieces   []string
	end      error
	closed   int
	handed   bool
	neverSay bool // that more is ready
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, s.end
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *source) Ready() bool { return !s.neverSay }
func (s *source) Handover()   { s.handed = true }

func (s *source) Close() error {
	if s.handed {
		s.handed = false
		return nil
	}
	s.closed++
	return nil
}

var errBroken = errors.New("the upstream is gone")
