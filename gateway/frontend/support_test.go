package frontend

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/wire"
	"metahub/tenant"
)

// patience is how long a test waits for what must happen. It is long, because a busy machine is no fault.
const patience = 15 * time.Second

// site is a Server behind a real fasthttp.Server, and the tenant that it serves.
type site struct {
	*Server
	tenant *tenant.Tenant
	addr   string
	http   *fasthttp.Server
}

// newSite serves a tenant on a loopback port, behind the gateway's guard, until the test ends. It fails the test if a goroutine stays
// behind.
func newSite(t testing.TB, config Config, tn *tenant.Tenant) *site {
	t.Helper()
	return serveSite(t, config, tn, func(c net.Conn) net.Conn { return wire.NewConn(c, wire.Limits{}) })
}

func serveSite(t testing.TB, config Config, tn *tenant.Tenant, guard func(net.Conn) net.Conn) *site {
	t.Helper()
	before := runtime.NumGoroutine()
	s := &site{Server: New(config), tenant: tn}
	s.http = &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Request.Header.Set("X-Request-ID", "r1")
			if strings.HasPrefix(string(ctx.Path()), "/api/") && tn.Backend != nil {
				s.ServeBackend(ctx, tn)
				return
			}
			s.Serve(ctx, tn)
			if guarded, ok := ctx.Conn().(*wire.Conn); ok && ctx.Hijacked() {
				if err := guarded.Passthrough(); err != nil {
					t.Error(err)
				}
			}
		},
		ReadBufferSize:               16 << 10,
		StreamRequestBody:            true,
		MaxRequestBodySize:           1,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		NoDefaultDate:                true,
		CloseOnShutdown:              true,
		MaxIdleWorkerDuration:        10 * time.Millisecond, // else its workers outlive the test
		Logger:                       silent{},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(guardedListener{listener, guard}) }()
	t.Cleanup(func() {
		s.Close()
		if err := s.http.Shutdown(); err != nil {
			t.Error(err)
		}
		_ = listener.Close() // of which Shutdown knows nothing if the server has not begun yet
		<-served
		eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+allowance })
	})
	return s
}

type guardedListener struct {
	net.Listener
	guard func(net.Conn) net.Conn
}

func (l guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.guard(c), nil
}

// allowance is for goroutines of the runtime and of fasthttp, which keeps a clock for as long as the process lives.
const allowance = 3

type silent struct{}

func (silent) Printf(string, ...any) {}

// proxied is a site whose frontend is the upstream at u.
func proxied(t testing.TB, u *url.URL) *site {
	t.Helper()
	return newSite(t, Config{}, upstreamTenant(u))
}

func upstreamTenant(u *url.URL) *tenant.Tenant {
	return &tenant.Tenant{
		Slug: "anastasia", Brand: "KoenigsMassage", Domains: []string{"anastasia.localhost"},
		Frontend: tenant.Frontend{URL: u},
		Limits:   tenant.Limits{Body: 1 << 30, Timeout: patience},
	}
}

// rawUpstream runs script for each connection that an upstream on a loopback port gets.
func rawUpstream(t testing.TB, script func(c *scripted)) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]struct{}{}
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = struct{}{}
			mu.Unlock()
			all.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				script(&scripted{Conn: c, reader: bufio.NewReader(c)})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

// scripted is a connection of a raw upstream.
type scripted struct {
	net.Conn
	reader *bufio.Reader
}

// request reads the raw bytes of one request: its head, and its body by Content-Length or chunks.
func (c *scripted) request() (string, error) {
	head, err := c.head()
	if err != nil {
		return head, err
	}
	lower := strings.ToLower(head)
	if strings.Contains(lower, "\r\ntransfer-encoding: chunked\r\n") {
		var body strings.Builder
		for {
			line, err := c.reader.ReadString('\n')
			body.WriteString(line)
			last := strings.HasPrefix(body.String(), "0\r\n") || strings.Contains(body.String(), "\r\n0\r\n")
			if err != nil || last && strings.HasSuffix(body.String(), "\r\n\r\n") {
				return head + body.String(), err
			}
		}
	}
	_, after, found := strings.Cut(lower, "\r\ncontent-length: ")
	if !found {
		return head, nil
	}
	n := 0
	for _, digit := range after[:strings.Index(after, "\r\n")] {
		n = n*10 + int(digit-'0')
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.reader, body)
	return head + string(body), err
}

func (c *scripted) head() (string, error) {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := c.reader.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			return head.String(), err
		}
	}
	return head.String(), nil
}

// untilClosed reads until the other side closes.
func (c *scripted) untilClosed() { _, _ = io.Copy(io.Discard, c.reader) }

// say writes s as it is.
func (c *scripted) say(s string) { _, _ = io.WriteString(c, s) }

// answering is a raw upstream that records each request and answers all of them with answer.
func answering(t testing.TB, answer string) (*url.URL, <-chan string) {
	t.Helper()
	requests := make(chan string, 100)
	return rawUpstream(t, func(c *scripted) {
		for {
			request, err := c.request()
			if err != nil {
				return
			}
			requests <- request
			c.say(answer)
		}
	}), requests
}

// browser is a raw client connection.
type browser struct {
	net.Conn
	t      testing.TB
	reader *bufio.Reader
}

func (s *site) browse(t testing.TB) *browser {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &browser{Conn: c, t: t, reader: bufio.NewReader(c)}
}

func (b *browser) send(s string) {
	b.t.Helper()
	if _, err := io.WriteString(b, s); err != nil {
		b.t.Fatal(err)
	}
}

// answer is a response as a careful client reads it.
type answer struct {
	status int
	header *fasthttp.ResponseHeader
	body   string
	err    error // of the body
}

// receive reads one response to a request of the given method.
func (b *browser) receive(method string) answer {
	b.t.Helper()
	var resp fasthttp.Response
	resp.Header.DisableNormalizing()
	if err := resp.Header.Read(b.reader); err != nil {
		b.t.Fatalf("no answer: %v", err)
	}
	if status := resp.StatusCode(); method == "HEAD" || status == 204 || status == 304 {
		return answer{resp.StatusCode(), &resp.Header, "", nil}
	}
	err := resp.ReadBody(b.reader, 0)
	return answer{resp.StatusCode(), &resp.Header, string(resp.Body()), err}
}

// get asks for one path on a connection of its own.
func (s *site) get(t testing.TB, path string, fields ...string) answer {
	t.Helper()
	return s.ask(t, "GET", path, fields...)
}

func (s *site) ask(t testing.TB, method, path string, fields ...string) answer {
	t.Helper()
	b := s.browse(t)
	defer b.Close()
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: anastasia.localhost"}, fields...)
	b.send(strings.Join(lines, "\r\n") + "\r\n\r\n")
	return b.receive(method)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			var stacks bytes.Buffer
			buffer := make([]byte, 1<<20)
			stacks.Write(buffer[:runtime.Stack(buffer, true)])
			t.Fatalf("waited in vain: %s\n%s", what, stacks.String())
		}
	}
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}
