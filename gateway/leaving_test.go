package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// soon is how long an upstream may be busy for a client that is gone. It is generous, and far below every timeout that would end the
// request too.
const soon = 5 * time.Second

// TestLeavingClient has a client leave while the upstream is silent, or takes nothing. The upstream must learn of it at once, not when
// its time is up.
func TestLeavingClient(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		f := func(phase, logged string) {
			t.Helper()
			begun, left := make(chan struct{}, 1), make(chan struct{}, 1)
			w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/after" {
					return
				}
				out := http.NewResponseController(rw)
				switch phase {
				case "events":
					rw.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(rw, "data: 1\n\n")
					fallthrough
				case "body":
					_ = out.Flush()
				case "first byte":
					begun <- struct{}{}
				case "upload": // a piece of it
					if _, err := io.ReadFull(r.Body, make([]byte, 100_000)); err != nil {
						t.Error(err)
					}
					begun <- struct{}{}
					c, _, err := out.Hijack() // else net/http would wait for the rest of the body
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					_, _ = io.Copy(io.Discard, c)
					left <- struct{}{}
					return
				}
				<-r.Context().Done()
				left <- struct{}{}
			})
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			r, err := http.NewRequestWithContext(ctx, "GET", "https://up.test/left", nil)
			if err != nil {
				t.Fatal(err)
			}
			if phase == "upload" {
				pieces, more := io.Pipe()
				r.Method, r.Body = "POST", pieces
				go func() { _, _ = more.Write(make([]byte, 100_000)) }()
				defer more.Close()
			}
			c := w.client(http2, "")
			go func() {
				if response, err := c.Do(r); err == nil {
					begun <- struct{}{}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}()
			<-begun
			time.Sleep(200 * time.Millisecond) // longer than the silence after which HTTP/1.1 clients are watched
			leave()
			w.awaitLeft(phase, left)
			if got := w.do(c, "GET", "https://up.test/after", ""); got.StatusCode != 200 {
				t.Errorf("%s: the request after: %d", phase, got.StatusCode)
			}
			var line map[string]any
			await(t, "the log", func() bool {
				for _, line = range w.logs.find("path", "/left") {
					return true
				}
				return false
			})
			if got := fmt.Sprint(line["status"], " ", line["error"]); got != logged && !(phase == "upload" && got == "400 <nil>") {
				t.Errorf("%s: logged %q, want %q", phase, got, logged)
			}
			if warned := w.logs.find("level", "warn"); len(warned) > 0 {
				t.Errorf("%s: the upstream was blamed: %v", phase, warned)
			}
		}
		f("first byte", "499 <nil>")
		f("body", "200 the client did not take the whole body")
		f("events", "200 the client did not take the whole body")
		f("upload", "499 <nil>") // or 400, where the end of the body is noticed first
	})
}

func (w *world) awaitLeft(what string, left <-chan struct{}) {
	w.Helper()
	select {
	case <-left:
	case <-time.After(soon):
		w.Fatalf("%s: the upstream is still busy with a request that nobody waits for", what)
	}
}

// TestWaysToLeave closes an HTTP/1.1 connection in every way there is, also with a request sent ahead, which must be served to nobody.
func TestWaysToLeave(t *testing.T) {
	left, asked := make(chan struct{}, 1), make(chan struct{}, 1)
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ahead" {
			t.Error("a request was served whose client had left")
			return
		}
		asked <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	const request = "GET / HTTP/1.1\r\nHost: up.test\r\n\r\n"
	f := func(what, sent string, leave func(c *tls.Conn)) {
		t.Helper()
		c := w.dial("up.test")
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		<-asked
		leave(c)
		w.awaitLeft(what, left)
	}
	below := func(c *tls.Conn) *net.TCPConn { return c.NetConn().(*net.TCPConn) }
	f("close_notify and FIN", request, func(c *tls.Conn) { c.Close() })
	f("FIN alone", request, func(c *tls.Conn) { below(c).Close() })
	f("RST", request, func(c *tls.Conn) { _ = below(c).SetLinger(0); below(c).Close() })
	f("the sending half", request, func(c *tls.Conn) { _ = below(c).CloseWrite() })
	f("a request sent ahead", request+"GET /ahead HTTP/1.1\r\nHost: up.test\r\n\r\n", func(c *tls.Conn) { c.Close() })
	await(t, "the end of all connections", func() bool { return w.counts.event(Closed) == 5 })
}

// TestStayingClient sends ahead while the upstream is silent: it is still there, and gets both answers.
func TestStayingClient(t *testing.T) {
	asked, release := make(chan struct{}, 2), make(chan struct{})
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		_, _ = io.WriteString(rw, r.URL.Path)
	})
	c := w.dial("up.test")
	in := bufio.NewReader(c)
	send := func(path string) {
		t.Helper()
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: up.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	send("/first")
	<-asked
	time.Sleep(150 * time.Millisecond)
	send("/ahead")
	time.Sleep(150 * time.Millisecond)
	close(release)
	for _, path := range []string{"/first", "/ahead"} {
		if got := w.read(in, "GET"); got.StatusCode != 200 || got.body != path {
			t.Errorf("%d %q, want %s", got.StatusCode, got.body, path)
		}
	}
}

// TestLeavingTunnel closes a WebSocket's connection, which its upstream must notice.
func TestLeavingTunnel(t *testing.T) {
	left := make(chan struct{}, 1)
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, buffered)
		left <- struct{}{}
	})
	f := func(what string, leave func(c *tls.Conn)) {
		t.Helper()
		c := w.dial("up.test")
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if status, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(status, " 101 ") {
			t.Fatalf("%q, %v", status, err)
		}
		leave(c)
		w.awaitLeft(what, left)
	}
	f("close", func(c *tls.Conn) { c.Close() })
	f("RST", func(c *tls.Conn) { _ = c.NetConn().(*net.TCPConn).SetLinger(0); c.NetConn().Close() })
}

// TestLeavingStuckUpload has a client leave whose upload the upstream does not take. On HTTP/1.1 only a reset gets past what it has sent.
func TestLeavingStuckUpload(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		asked, release := make(chan struct{}), make(chan struct{})
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			close(asked)
			<-release
		})
		w.large()
		defer close(release)
		upload := new(zeros)
		var leave func()
		if http2 {
			ctx, cancel := context.WithCancel(context.Background())
			leave = cancel
			r, err := http.NewRequestWithContext(ctx, "POST", "https://up.test/stuck", upload)
			if err != nil {
				t.Fatal(err)
			}
			c := w.client(http2, "")
			go func() {
				if response, err := c.Do(r); err == nil {
					response.Body.Close()
				}
			}()
		} else {
			c := w.dial("up.test")
			below := c.NetConn().(*net.TCPConn)
			leave = func() { _ = below.SetLinger(0); below.Close() }
			if _, err := io.WriteString(c, "POST /stuck HTTP/1.1\r\nHost: up.test\r\nContent-Length: 1000000000000\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(struct{ io.Writer }{c}, upload) }()
		}
		<-asked
		last, since := int64(0), time.Now()
		await(t, "the upload to be stuck", func() bool {
			if n := upload.taken.Load(); n != last {
				last, since = n, time.Now()
			}
			return last > 0 && time.Since(since) > 300*time.Millisecond
		})
		leave()
		await(t, "the log", func() bool { return len(w.logs.find("path", "/stuck")) == 1 })
		if line := w.logs.find("path", "/stuck")[0]; line["status"] != 499.0 {
			t.Errorf("status %v, want 499", line["status"])
		}
	})
}
