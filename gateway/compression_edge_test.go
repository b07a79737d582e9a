package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// TestBrokenUpstream sends half a page, which must not look like a whole one.
func TestBrokenUpstream(t *testing.T) {
	f := func(t *testing.T, http2 bool, head string) {
		t.Helper()
		w := pressed(t, rawUpstream(t, func(c net.Conn) {
			_, _ = io.WriteString(c, head+lines(100_000)[:40_000])
		}))
		for _, coding := range codings {
			request, err := http.NewRequest("GET", "https://press.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", coding)
			response, err := w.client(http2, "").Do(request)
			if err != nil && isHTTP3(t) {
				continue // a reset may overtake the head of the answer
			}
			if err != nil {
				t.Fatal(err)
			}
			wire, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err == nil {
				t.Errorf("%s: the protocol shows a whole body", coding)
			}
			if len(wire) == 0 && isHTTP3(t) {
				continue // so may it the body
			}
			if got, err := io.ReadAll(decoded(t, coding, bytes.NewReader(wire))); err == nil {
				t.Errorf("%s: %d of 100,000 bytes decode as a whole", coding, len(got))
			}
		}
		await(t, "the log's word of it", func() bool { return len(w.logs.find("error", "unexpected EOF")) == len(codings) })
	}
	pair(t, func(t *testing.T, http2 bool) {
		f(t, http2, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n")
		f(t, http2, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n")
	})
}

// rawUpstream runs script for each request that it gets, and closes.
func rawUpstream(t testing.TB, script func(c net.Conn)) tenant.Frontend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					script(c)
				}
			}()
		}
	}()
	return tenant.Frontend{URL: &url.URL{Scheme: "http", Host: listener.Addr().String()}}
}

// TestClientLeavesCompressed ends the upstream's work too.
func TestClientLeavesCompressed(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		ended := make(chan struct{})
		w := pressed(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			w.Header().Set("Content-Type", "text/html")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, lines(10_000)); err != nil {
					return
				}
			}
		}))
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		request, err := http.NewRequestWithContext(ctx, "GET", "https://press.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "zstd")
		response, err := w.client(http2, "").Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.ReadFull(response.Body, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
		leave()
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			t.Fatal("the upstream works for nobody")
		}
		await(t, "the log's word of it", func() bool { return len(w.logs.find("path", "/")) == 1 })
	})
}

// TestCompressedTrailers come after the compressed body, as after any.
func TestCompressedTrailers(t *testing.T) {
	w := start(t, nil)
	w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
		ctx.SetContentType("text/plain")
		if err := ctx.Response.Header.SetTrailer("X-Sum"); err != nil {
			t.Error(err)
		}
		ctx.Response.SetBodyStream(&summed{body: body{Reader: strings.NewReader(lines(100_000))}, ctx: ctx}, -1)
	})
	pair(t, func(t *testing.T, http2 bool) {
		a := w.do(w.client(http2, ""), "GET", "https://press.test/", "", "Accept-Encoding: gzip")
		if a.Header.Get("Content-Encoding") != "gzip" || a.Trailer.Get("X-Sum") != "42" {
			t.Errorf("%v with trailers %v", a.Header, a.Trailer)
		}
	})
}

// summed sets a trailer at its end.
type summed struct {
	body
	ctx    *fasthttp.RequestCtx
	handed bool
}

func (s *summed) Ready() bool { return true }
func (s *summed) Handover()   { s.handed = true }

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if errors.Is(err, io.EOF) {
		s.ctx.Response.Header.Set("X-Sum", "42")
	}
	return n, err
}

func (s *summed) Close() error {
	if s.handed {
		s.handed = false
		return nil
	}
	return s.body.Close()
}

// TestCompressedAPI is about what the API answers: data is compressed, what only one visitor may see is not.
func TestCompressedAPI(t *testing.T) {
	w := start(t, nil)
	w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
		if who != "api" {
			t.Errorf("%s was asked", who)
		}
		ctx.SetContentType("application/json; charset=utf-8")
		ctx.Response.Header.Set("Cache-Control", "no-cache")
		if ctx.IsPost() {
			ctx.Response.Header.Set("Cache-Control", "private, no-store")
			ctx.Response.Header.Set("Set-Cookie", "accessToken=x")
		}
		ctx.SetBodyString(`{"data":"` + strings.Repeat("x", 5000) + `"}`)
	})
	pair(t, func(t *testing.T, http2 bool) {
		f := func(method, want string, headers ...string) {
			t.Helper()
			a := w.do(w.client(http2, ""), method, "https://press.test/api/x", "", append(headers, "Accept-Encoding: gzip")...)
			if got := a.Header.Get("Content-Encoding"); got != want {
				t.Errorf("%s: %q, want %q", method, got, want)
			}
		}
		f("GET", "gzip")
		f("POST", "")
		f("GET", "", "Cookie: accessToken=x", "Sec-Fetch-Site: cross-site")
	})
}

// TestCurl has curl decode what we encode, with the libraries that it has.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	version, err := exec.Command(curl, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	page := lines(300_000)
	w := pressed(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for rest := page; rest != ""; {
			n := min(3000, len(rest))
			_, _ = io.WriteString(w, rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
	}))
	_, port, err := net.SplitHostPort(w.https.String())
	if err != nil {
		t.Fatal(err)
	}
	for name, coding := range map[string]string{"libz": "gzip", "brotli": "br", "zstd": "zstd"} {
		for _, protocol := range []string{"--http1.1", "--http2"} {
			if !strings.Contains(string(version), " "+name) {
				t.Logf("curl knows no %s", coding)
				continue
			}
			got, err := exec.Command(curl, "-sSk", protocol, "--compressed", "-H", "Accept-Encoding: "+coding, "-w", "%header{content-encoding}",
				"--connect-to", "press.test:443:127.0.0.1:"+port, "https://press.test/").Output()
			if err != nil || string(got) != page+coding {
				t.Errorf("%s %s: %d bytes, %v", protocol, coding, len(got), err)
			}
		}
	}
}
