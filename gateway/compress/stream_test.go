package compress

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

var _ fasthttp.BodyWriterTo = (*body)(nil)

// streamed answers with s as its body, and returns what stands in its place.
func streamed(t testing.TB, c *Compressor, accept string, s *source) (*fasthttp.RequestCtx, io.Reader) {
	t.Helper()
	ctx := exchange(t, "GET", accept, "", "Content-Type: text/html")
	ctx.Response.SetBodyStream(s, -1)
	c.Answer(ctx, all, false)
	return ctx, ctx.Response.BodyStream()
}

// codings are those that the tests go through.
var codings = []string{"zstd", "br", "gzip"}

// TestStream takes bodies apart in both ways in which the servers do.
func TestStream(t *testing.T) {
	f := func(coding string, quiet, byRead bool) {
		t.Helper()
		page := text(500_000)
		c := New()
		s := &source{end: io.EOF, neverSay: quiet}
		for rest := string(page); rest != ""; {
			n := min(7000, len(rest))
			s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
		}
		ctx, stream := streamed(t, c, coding, s)
		b, ok := stream.(*body)
		if !ok || s.closed > 0 {
			t.Fatalf("the body is a %T, the source closed %d times", stream, s.closed)
		}
		var sent int64
		var ended error
		b.OnDone(func(n int64, err error) { sent, ended = n, err })
		var wire bytes.Buffer
		var err error
		if byRead {
			_, err = io.Copy(&wire, struct{ io.Reader }{b})
		} else {
			_, err = b.WriteTo(&wire)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(decoder(t, coding, bytes.NewReader(wire.Bytes())))
		if err != nil || !bytes.Equal(got, page) {
			t.Fatalf("%s: %d bytes came back as %d, %v", coding, len(page), len(got), err)
		}
		if wire.Len()*2 > len(page) {
			t.Errorf("%s: %d bytes became %d", coding, len(page), wire.Len())
		}
		_ = ctx.Response.CloseBodyStream()
		_ = b.Close()
		if sent != int64(wire.Len()) || ended != nil || s.closed != 1 || c.streams.all != 0 || len(c.streams.open) != 0 {
			t.Errorf("%s: done with %d of %d bytes, %v; closed %d times; %d streams", coding, sent, wire.Len(), ended, s.closed, c.streams.all)
		}
		if n, err := b.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("read %d, %v after the end", n, err)
		}
	}
	for _, coding := range codings {
		f(coding, false, false)
		f(coding, false, true)
		f(coding, true, false)
		f(coding, true, true)
	}
}

// TestPiecesCanBeReadAtOnce decodes each piece before the next one is there: a decoder that needed more would get the end of its input.
func TestPiecesCanBeReadAtOnce(t *testing.T) {
	f := func(coding string) {
		t.Helper()
		feed, fed := io.Pipe()
		s := &source{neverSay: true}
		c := New()
		ctx := exchange(t, "GET", coding, "", "Content-Type: text/html")
		ctx.Response.SetBodyStream(&piped{source: s, Reader: feed}, -1)
		c.Answer(ctx, all, false)
		wire, wired := io.Pipe()
		go func() {
			_, err := io.Copy(wired, struct{ io.Reader }{ctx.Response.BodyStream()})
			wired.CloseWithError(err)
		}()
		var d io.Reader
		for _, piece := range []string{"<html>", "one", "two", strings.Repeat("three ", 1000), "x"} {
			go func() { _, _ = fed.Write([]byte(piece)) }()
			if d == nil {
				d = decoder(t, coding, wire) // which reads the first bytes
			}
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(d, got); err != nil || string(got) != piece {
				t.Fatalf("%s: got %q, %v; want %q", coding, got, err, piece)
			}
		}
		fed.Close()
		if rest, err := io.ReadAll(d); err != nil || len(rest) > 0 {
			t.Fatalf("%s: %q, %v at the end", coding, rest, err)
		}
	}
	for _, coding := range codings {
		f(coding)
	}
}

type piped struct {
	*source
	io.Reader
}

func (p *piped) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// TestBrokenStream must not end as a whole one does.
func TestBrokenStream(t *testing.T) {
	f := func(coding string) {
		t.Helper()
		s := &source{pieces: []string{string(text(50_000))}, end: errBroken}
		_, stream := streamed(t, New(), coding, s)
		var ended error
		b := stream.(*body)
		b.OnDone(func(_ int64, err error) { ended = err })
		var wire bytes.Buffer
		if _, err := b.WriteTo(&wire); !errors.Is(err, errBroken) {
			t.Fatalf("%s: the body ends with %v", coding, err)
		}
		got, err := io.ReadAll(decoder(t, coding, bytes.NewReader(wire.Bytes())))
		if err == nil {
			t.Errorf("%s: half a page decodes as a whole one", coding)
		}
		if len(got) != 50_000 {
			t.Errorf("%s: of what had come, %d bytes arrived", coding, len(got))
		}
		b.Close()
		if !errors.Is(ended, errBroken) {
			t.Errorf("%s: the log is told %v", coding, ended)
		}
	}
	for _, coding := range codings {
		f(coding)
	}
}

// TestAbandonedStream is a client that leaves.
func TestAbandonedStream(t *testing.T) {
	c := New()
	s := &source{pieces: []string{string(text(500_000))}, end: io.EOF}
	_, stream := streamed(t, c, "gzip", s)
	var ended error
	b := stream.(*body)
	b.OnDone(func(_ int64, err error) { ended = err })
	if _, err := b.WriteTo(gone{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	b.Close()
	if !errors.Is(ended, errAbandoned) || s.closed != 1 || c.streams.all != 0 {
		t.Errorf("done with %v, the source closed %d times, %d streams", ended, s.closed, c.streams.all)
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestStreamsAreBounded sends what is too much as it is, and another tenant's all the same.
func TestStreamsAreBounded(t *testing.T) {
	c := New()
	var open []*fasthttp.RequestCtx
	ask := func(slug string) bool {
		ctx := exchange(t, "GET", "br", "", "Content-Type: text/html")
		ctx.Response.SetBodyStream(&source{end: io.EOF}, -1)
		c.Answer(ctx, &tenant.Tenant{Slug: slug, Compress: tenant.AllCodings()}, false)
		open = append(open, ctx)
		return len(ctx.Response.Header.ContentEncoding()) > 0
	}
	for i := range maxTenantStreams {
		if !ask("anna") {
			t.Fatalf("stream %d is not compressed", i)
		}
	}
	if ask("anna") {
		t.Error("a tenant has more than its share")
	}
	if _, ok := open[len(open)-1].Response.BodyStream().(*source); !ok || string(open[len(open)-1].Response.Header.Peek("Vary")) != "Accept-Encoding" {
		t.Error("the one too many is not sent as it is")
	}
	if !ask("bert") {
		t.Error("another tenant has to suffer")
	}
	for _, ctx := range open {
		_ = ctx.Response.CloseBodyStream()
	}
	if !ask("anna") {
		t.Error("room is not given back")
	}
	_ = open[len(open)-1].Response.CloseBodyStream()
	if c.streams.all != 0 || len(c.streams.open) != 0 {
		t.Error("streams are counted that have ended")
	}
}

// TestUnknownStream stays as it is: nobody knows whether it may be held back.
func TestUnknownStream(t *testing.T) {
	ctx := exchange(t, "GET", "gzip", "", "Content-Type: text/html")
	ctx.Response.SetBodyStream(bytes.NewReader(text(5000)), 5000)
	New().Answer(ctx, all, false)
	if h := &ctx.Response.Header; len(h.ContentEncoding()) > 0 || h.ContentLength() != 5000 {
		t.Error(h.String())
	}
}
