package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

func (w *world) stop(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return w.Gateway.Shutdown(ctx)
}

// TestDrainUnderLoad stops a gateway that is busy. A request that was sent on a connection must be answered; only new connections may
// be refused.
func TestDrainUnderLoad(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.patience = 2 * time.Second
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			time.Sleep(time.Millisecond) // an answer takes some time
			ctx.SetBodyString("whole answer")
		})
		var answered atomic.Int64
		var clients sync.WaitGroup
		faults := make(chan error, 1000)
		for range 16 {
			c := w.client(http2, "")
			clients.Go(func() {
				for {
					response, err := c.Post("https://anna.test/", "text/plain", strings.NewReader("x"))
					if err != nil {
						if !w.neverAccepted(err) {
							faults <- err
						}
						return
					}
					text, err := io.ReadAll(response.Body)
					response.Body.Close()
					if err != nil || string(text) != "whole answer" {
						faults <- fmt.Errorf("half an answer: %q, %v", text, err)
					}
					answered.Add(1)
				}
			})
		}
		await(t, "some load", func() bool { return answered.Load() > 500 })
		if err := w.stop(20 * time.Second); err != nil {
			t.Error(err)
		}
		clients.Wait()
		close(faults)
		for err := range faults {
			t.Error(err)
		}
		if opened, closed := w.counts.event(Opened), w.counts.event(Closed); opened != closed {
			t.Errorf("%d connections opened, %d closed", opened, closed)
		}
	})
}

// neverAccepted reports whether a request failed because its connection was refused, or was reset by the kernel when the listener was
// closed, before the gateway knew of it.
func (w *world) neverAccepted(err error) bool {
	if isUnreachedHTTP3(err) {
		return true
	}
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Source != nil && !w.hasMet(op.Source.String()))
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		entered, leave := make(chan struct{}), make(chan struct{})
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			close(entered)
			<-leave
			ctx.SetBodyString("late")
		})
		type result struct {
			response *http.Response
			text     string
			err      error
		}
		got := make(chan result, 1)
		c := w.client(http2, "")
		go func() {
			response, err := c.Get("https://anna.test/")
			if err != nil {
				got <- result{err: err}
				return
			}
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			got <- result{response, string(text), err}
		}()
		<-entered
		stopped := make(chan error, 1)
		go func() { stopped <- w.stop(20 * time.Second) }()
		await(t, "the listener's end", func() bool {
			c, err := net.Dial("tcp", w.https.String())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		select {
		case err := <-stopped:
			t.Fatalf("stopped with a request in flight: %v", err)
		default:
		}
		close(leave)
		r := <-got
		if r.err != nil || r.text != "late" {
			t.Fatalf("answer %q, %v", r.text, r.err)
		}
		if !http2 && !r.response.Close {
			t.Error("the answer does not say Connection: close")
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownClosesIdleConnections(t *testing.T) {
	w := start(t, nil)
	w.do(w.client(false, ""), "GET", "https://anna.test/", "")
	w.do(w.client(true, ""), "GET", "https://anna.test/", "")
	w.dial("anna.test") // has never sent a byte
	if err := w.stop(15 * time.Second); err != nil {
		t.Error(err)
	}
}

// TestRequestOnItsWayAtShutdown sends on an idle connection just after the shutdown has begun.
func TestRequestOnItsWayAtShutdown(t *testing.T) {
	w := start(t, nil)
	c := w.dial("anna.test")
	r := bufio.NewReader(c)
	const request = "GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n"
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	w.read(r, request).seen(t)
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop(15 * time.Second) }()
	await(t, "the shutdown to begin", w.draining.Load)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if got := w.read(r, request); got.StatusCode != 200 || !got.Close {
		t.Errorf("status %d, close %v; want 200 and close", got.StatusCode, got.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		reader, writer := io.Pipe()
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			ctx.Response.ImmediateHeaderFlush = true
			ctx.SetBodyStream(&body{Reader: reader}, -1)
		})
		response, err := w.client(http2, "").Get("https://anna.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		stopped := make(chan error, 1)
		go func() { stopped <- w.stop(300 * time.Millisecond) }()
		go func() { // events without end
			for {
				if _, err := io.WriteString(writer, "event"); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that a request was cut", err)
		}
		reader.Close()
		if _, err := io.ReadAll(response.Body); err == nil {
			t.Error("a cut answer passed for a whole one")
		}
	})
}

// TestTunnelsLastUntilTheDeadline upgrades a connection; frames must pass, and the end of the grace period must end it.
func TestTunnelsLastUntilTheDeadline(t *testing.T) {
	w := start(t, nil)
	ended := make(chan struct{})
	w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
		h := &ctx.Request.Header
		if string(h.Peek("Upgrade")) != "websocket" || string(h.Peek("Connection")) != "Upgrade" {
			t.Errorf("Upgrade %q, Connection %q", h.Peek("Upgrade"), h.Peek("Connection"))
		}
		ctx.SetStatusCode(101)
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(c net.Conn) {
			defer close(ended)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, c)
		})
	})
	c := w.dial("anna.test")
	r := bufio.NewReader(c)
	_, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: anna.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x00first")
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != 101 {
		t.Fatalf("%v, %v; want 101", response, err)
	}
	echo := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
	echo("\x81\x00first") // sent before the upgrade was agreed on
	stopped := make(chan error, 1)
	ctx, deadline := context.WithCancel(context.Background())
	defer deadline()
	go func() { stopped <- w.Gateway.Shutdown(ctx) }()
	await(t, "the shutdown to begin", w.draining.Load)
	if _, err := io.WriteString(c, "\x00\r\n\r\n\x00still here"); err != nil {
		t.Fatal(err)
	}
	echo("\x00\r\n\r\n\x00still here")
	deadline()
	if err := <-stopped; err != nil {
		t.Errorf("a WebSocket is no reason for %v", err)
	}
	<-ended
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes after the end", n)
	}
}

// TestTunnelsAreClosedAfterTheirGrace, so that one open page does not hold up a restart until the deadline.
func TestTunnelsAreClosedAfterTheirGrace(t *testing.T) {
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, buffered)
	})
	w.grace = 200 * time.Millisecond
	c := w.dial("up.test")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != 101 {
		t.Fatalf("%v, %v; want 101", response, err)
	}
	begun := time.Now()
	if err := w.stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < w.grace || took > 10*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	if n, err := r.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes after the end", n)
	}
}

func TestStartIsAtomic(t *testing.T) {
	withFreePorts(t, func(t testing.TB) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		https := free.Addr().String()
		free.Close()
		s := settings()
		s.HTTPS, s.HTTP = https, taken.Addr().String()
		w := start(t, nil)
		g := New(Config{Registry: tenant.NewRegistry(tenant.NewDirectory(s, nil)), Certificates: newAuthority(t), Frontends: w})
		err = g.Start()
		if err == nil || !strings.Contains(err.Error(), "gateway.http") || !strings.Contains(err.Error(), s.HTTP) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("error %v, want one that names gateway.http and %s", err, s.HTTP)
		}
		again, err := net.Listen("tcp", https)
		if err != nil {
			t.Fatalf("the HTTPS address was left open: %v", err)
		}
		again.Close()
		if err := g.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// flaky is a listener out of file descriptors for a while.
type flaky struct {
	net.Listener
	left atomic.Int64
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsDoNotEndTheLoop(t *testing.T) {
	w := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: l}
	f.left.Store(3)
	var accepting sync.WaitGroup
	accepting.Go(func() { w.accept(f, w.servePlain) })
	defer accepting.Wait()
	defer f.Close()
	w.http = l.Addr()
	if got := w.plain("GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n"); got.StatusCode != 308 {
		t.Errorf("status %d, want 308", got.StatusCode)
	}
	if lines := w.logs.find("msg", "cannot accept"); len(lines) != 3 {
		t.Errorf("logged %v, want three warnings", lines)
	}
}
