package frontend

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/gateway/compress"
	"metahub/tenant"
)

// TestReady asks a body whether more of it is there, after each step of an upstream. What is ready is then read.
func TestReady(t *testing.T) {
	type step struct {
		say   string // "" closes
		ready bool
		read  string
		err   error
	}
	f := func(head, first string, steps ...step) {
		t.Helper()
		say := make(chan string)
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err != nil {
				return
			}
			c.say("HTTP/1.1 200 OK\r\n" + head + "\r\n" + first)
			for piece := range say {
				c.say(piece)
			}
		})
		s := New(Config{})
		defer s.Close()
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		s.Serve(&ctx, upstreamTenant(upstream))
		b := ctx.Response.BodyStream().(*body)
		defer b.Close()
		read := func(want string, wantErr error) {
			t.Helper()
			got := make([]byte, max(len(want), 1))
			n, err := io.ReadFull(b, got)
			if string(got[:n]) != want || want == "" && err != wantErr {
				t.Fatalf("read %q, %v; want %q, %v", got[:n], err, want, wantErr)
			}
		}
		read("hello", nil)
		for i, step := range steps {
			if step.say == "" {
				close(say)
			} else {
				say <- step.say
			}
			if step.ready {
				eventually(t, "more is ready", b.Ready)
				read(step.read, step.err)
			}
			if b.err == nil && b.Ready() {
				t.Errorf("%q, step %d: ready, though nothing is there", head, i)
			}
		}
		if steps[len(steps)-1].say != "" {
			close(say)
		}
	}

	// The end of a chunk, and the size of the next, are bytes, but no data.
	f("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n",
		step{"5\r\n", false, "", nil},
		step{"w", true, "w", nil},
		step{"orld", true, "orld", nil},
		step{"\r\n", false, "", nil},
		step{"5;x=y\r\nthere\r\n5\r\n", true, "there", nil},
		step{"again\r\n0\r\n", true, "again", nil},
		step{"\r\n", true, "", io.EOF})
	f("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", step{"nonsense", true, "", malformed("a chunk without size")})
	f("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", step{"", true, "", io.ErrUnexpectedEOF})
	f("Content-Length: 11\r\n", "hello", step{"w", true, "w", nil}, step{"orld", true, "orld", nil})
	f("Content-Length: 10\r\n", "hello", step{"", true, "", io.ErrUnexpectedEOF})
	f("", "hello", step{"world", true, "world", nil}, step{"", true, "", io.EOF})
}

// TestHandover keeps a body open over one Close.
func TestHandover(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "large.txt"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	upstream, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+string(make([]byte, 100_000)))
	f := func(tn *tenant.Tenant) {
		t.Helper()
		s := New(Config{})
		defer s.Close()
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		ctx.Request.SetRequestURI("/large.txt")
		s.Serve(&ctx, tn)
		b := ctx.Response.BodyStream().(compress.Source)
		ended := 0
		b.(Streamed).OnDone(func(int64, error) { ended++ })
		b.Handover()
		b.Close()
		if n, err := io.Copy(io.Discard, struct{ io.Reader }{b}); n != 100_000 || err != nil || ended > 0 {
			t.Errorf("%d bytes, %v, done %d times", n, err, ended)
		}
		b.Close()
		b.Close()
		if ended != 1 {
			t.Errorf("done %d times", ended)
		}
	}
	f(upstreamTenant(upstream))
	f(&tenant.Tenant{Slug: "anastasia", Frontend: tenant.Frontend{Folder: folder}})
}
