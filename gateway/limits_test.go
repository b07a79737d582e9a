package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

func TestBodyLimit(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil) // 1,000 bytes
		c := w.client(http2, "")
		f := func(path string, size, status int) {
			t.Helper()
			known := w.do(c, "POST", "https://anna.test"+path, strings.Repeat("x", size))
			if known.StatusCode != status {
				t.Errorf("%s with Content-Length %d: status %d, want %d", path, size, known.StatusCode, status)
			}
			r, err := http.NewRequest("POST", "https://anna.test"+path, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))})
			if err != nil {
				t.Fatal(err)
			}
			response, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != status {
				t.Errorf("%s with %d bytes of unknown length: status %d, want %d", path, size, response.StatusCode, status)
			}
		}
		for _, path := range []string{"/x", "/api/x"} {
			f(path, 999, 200)
			f(path, 1000, 200)
			f(path, 1001, 413)
			f(path, 100000, 413)
		}
	})
}

// TestBodyIsRefusedUnread answers by Content-Length alone: not a byte of the body is awaited.
func TestBodyIsRefusedUnread(t *testing.T) {
	w := start(t, nil)
	f := func(head, wantLine string) {
		t.Helper()
		c := w.dial("anna.test")
		if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 1001\r\n"+head+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if head == "" {
			_, _ = c.Write([]byte("x"))
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, wantLine) {
			t.Errorf("with %q: %q, %v; want %q", head, line, err, wantLine)
		}
	}
	f("", "HTTP/1.1 413 ")
	f("Expect: 100-continue\r\n", "HTTP/1.1 413 ")
}

func TestExpectContinue(t *testing.T) {
	w := start(t, nil)
	c := w.dial("anna.test")
	r := bufio.NewReader(c)
	send := func(s string) {
		t.Helper()
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		send("POST /x HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\nX-Tenant: bert\r\n\r\n")
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("%q, %v; want 100", line, err)
		}
		if line, _ := r.ReadString('\n'); line != "\r\n" {
			t.Fatalf("%q behind the 100", line)
		}
		send("body")
		got := w.read(r, "POST").seen(t)
		if got.Body != "body" || got.Tenant != "anna" || got.one(t, "X-Tenant") != "anna" || got.Header["Expect"] != nil {
			t.Errorf("the frontend saw %+v", got)
		}
	}
	send("POST /x HTTP/1.1\r\nHost: bert.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	got := w.read(r, "POST")
	if id := got.Response.Header.Get("X-Request-Id"); got.StatusCode != 421 || id == "" || !strings.Contains(got.body, id) || !got.Close {
		t.Errorf("%d %q, %q; want 421 with a page that names the request, and no 100", got.StatusCode, got.Response.Header, got.body)
	}
}

// TestMalformedBody gives the fault of the body, not what a handler made of half of it.
func TestMalformedBody(t *testing.T) {
	w := start(t, nil)
	for _, path := range []string{"/x", "/api/x"} {
		c := w.dial("anna.test")
		for _, piece := range []string{"POST " + path + " HTTP/1.1\r\nHost: anna.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "zz\r\n"} {
			if _, err := io.WriteString(c, piece); err != nil {
				t.Fatal(err)
			}
		}
		got := w.read(bufio.NewReader(c), "POST")
		if got.StatusCode != 400 || !got.Close {
			t.Errorf("%s: status %d, close %v; want 400 and close", path, got.StatusCode, got.Close)
		}
	}
}

// TestTrace keeps the cookie from coming back in a body, where scripts can read it.
func TestTrace(t *testing.T) {
	w := start(t, nil)
	got := w.raw("anna.test", "TRACE / HTTP/1.1\r\nHost: anna.test\r\nCookie: accessToken=x\r\n\r\n")
	if got.StatusCode != 405 || strings.Contains(got.body, "accessToken") {
		t.Errorf("status %d, %q; want 405", got.StatusCode, got.body)
	}
}

func TestMalformedRequests(t *testing.T) {
	w := start(t, nil)
	f := func(request string, status int) {
		t.Helper()
		before := w.counts.event(RequestRefused)
		got := w.raw("anna.test", request)
		if got.StatusCode != status || !got.Close || got.Header.Get("X-Request-Id") == "" {
			t.Errorf("%.60q: status %d, close %v, %q; want %d", request, got.StatusCode, got.Close, got.Header, status)
		}
		if w.counts.event(RequestRefused) != before+1 {
			t.Errorf("%.60q was not counted as refused", request)
		}
	}
	f("GET / HTTP/1.1\r\nHost: anna.test\r\nHost: anna.test\r\n\r\n", 400)
	f("GET / HTTP/1.1\r\n\r\n", 400)
	f("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: anna.test\r\n\r\n", 405)
	f("GET / HTTP/1.1\r\nHost: anna.test\r\nX: "+strings.Repeat("x", 20000)+"\r\n\r\n", 431)
	f("GET / HTTP/1.1\r\nHost: anna.test\r\n"+strings.Repeat("X: y\r\n", 500)+"\r\n", 431)
	f("GET /"+strings.Repeat("x", 9000)+" HTTP/1.1\r\nHost: anna.test\r\n\r\n", 414)
	if got := w.raw("anna.test", "GET / HTTP/1.1\r\nHost: anna.test\r\nConnection: "+strings.Repeat("a,", 40)+"a\r\n\r\n"); got.StatusCode != 400 {
		t.Errorf("41 connection options: status %d, want 400", got.StatusCode)
	}
}

func TestSlowHeader(t *testing.T) {
	w := start(t, func(_ *tenant.Gateway, g *Gateway) { g.limits.Header = 50 * time.Millisecond })
	c := w.dial("anna.test")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: an"); err != nil {
		t.Fatal(err)
	}
	got := w.read(bufio.NewReader(c), "GET")
	if got.StatusCode != http.StatusRequestTimeout || !got.Close {
		t.Errorf("status %d, close %v; want 408 and close", got.StatusCode, got.Close)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	w := start(t, func(_ *tenant.Gateway, g *Gateway) { g.limits.Idle = 50 * time.Millisecond })
	c := w.dial("anna.test")
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes and %v from a connection that was idle, want its end", n, err)
	}
}

// TestUnreadBody answers without reading the body; what was left of it must not become a request.
func TestUnreadBody(t *testing.T) {
	w := start(t, nil)
	w.answerWith(func(ctx *fasthttp.RequestCtx, who string) { ctx.SetBodyString(string(ctx.Path())) })
	c := w.dial("anna.test")
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: anna.test\r\n\r\n"
	request := "GET /first HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 43\r\n\r\n" + smuggled
	if _, err := io.WriteString(c, request+"GET /second HTTP/1.1\r\nHost: anna.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if got := w.read(r, "GET"); got.body != "/first" {
		t.Errorf("first answer %q", got.body)
	}
	if got := w.read(r, "GET"); got.body != "/second" {
		t.Errorf("second answer %q", got.body)
	}
}
