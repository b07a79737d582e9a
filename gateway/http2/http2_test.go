package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"metahub/gateway/message"
)

// place is an engine on a real socket.
type place struct {
	testing.TB
	server  *Server
	address string
	conns   sync.WaitGroup
	mu      sync.Mutex
	open    []*Conn
	attacks map[string]int
}

var limits = Limits{
	HeaderBytes: 16 << 10, Fields: 100, Streams: 100,
	Idle: 30 * time.Second, Rest: time.Second, Header: 5 * time.Second, Write: 5 * time.Second, Ping: 5 * time.Second,
}

// serve runs an engine until the test ends. Then nothing of it may be left.
func serve(t testing.TB, limits Limits, handle func(*Stream)) *place {
	t.Helper()
	p := &place{TB: t, attacks: map[string]int{}}
	count := func(budget string) {
		p.mu.Lock()
		p.attacks[budget]++
		p.mu.Unlock()
	}
	p.server = &Server{Handler: handle, Limits: limits, Attacked: func(_ *Conn, budget string) { count(budget) }, Stalled: count}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.conns.Go(func() {
		for {
			layer, err := l.Accept()
			if err != nil {
				return
			}
			c := p.server.NewConn(layer, nil)
			p.mu.Lock()
			p.open = append(p.open, c)
			p.mu.Unlock()
			p.conns.Go(c.Serve)
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for _, c := range p.open {
			c.net.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
		p.server.Close()
	})
	return p
}

func (p *place) attacked(budget string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attacks[budget]
}

// client is an HTTP/2 client without TLS.
func (p *place) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", p.address)
	}}
	p.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

const url = "http://a.test"

// echo answers with what it was asked, as a handler of the gateway does.
func echo(s *Stream) {
	receive(s)
	ctx := &s.Ctx
	switch path := string(ctx.Path()); {
	case s.Fault != nil:
		ctx.SetStatusCode(map[bool]int{true: 431, false: 400}[errors.Is(s.Fault, message.ErrTooLarge)])
	case path == "/panic":
		panic("as asked")
	case path == "/body":
		if s.Body != nil {
			ctx.SetBodyStream(s.Body, -1)
		}
	case path == "/hang":
		gone := make(chan struct{})
		stop := s.OnLeave(func() { close(gone) })
		<-gone
		stop()
	case strings.HasPrefix(path, "/bytes/"):
		n, _ := strconv.Atoi(path[len("/bytes/"):])
		ctx.SetBodyString(strings.Repeat("x", n))
	case strings.HasPrefix(path, "/stream/"):
		n, _ := strconv.ParseInt(path[len("/stream/"):], 10, 64)
		ctx.SetBodyStream(io.LimitReader(endless{}, n), -1)
	case strings.HasPrefix(path, "/drops/"):
		n, _ := strconv.ParseInt(path[len("/drops/"):], 10, 64)
		ctx.SetBodyStream(drops{io.LimitReader(endless{}, 20*n)}, -1)
	default:
		ctx.SetBodyString(path)
	}
}

func receive(s *Stream) {
	s.Ctx.Init2(nowhere{}, nil, true)
	h := &s.Ctx.Request.Header
	h.SetMethod(s.Head.Method)
	h.SetRequestURI(s.Head.Path)
	h.SetHost(s.Head.Authority)
	for _, f := range s.Head.Fields {
		h.Add(f.Name, f.Value)
	}
}

type nowhere struct{ net.Conn }

func (nowhere) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (nowhere) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// drops come 20 bytes at a time.
type drops struct{ io.Reader }

func (d drops) Read(p []byte) (int, error) { return d.Reader.Read(p[:min(len(p), 20)]) }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func (p *place) get(c *http.Client, path string) string {
	p.Helper()
	response, err := c.Get(url + path)
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	return string(body)
}

func TestAnswers(t *testing.T) {
	p := serve(t, limits, echo)
	c := p.client()
	for _, n := range []int{0, 1, maxFrame - 1, maxFrame, maxFrame + 1, 65_535, 65_536, 1 << 20} {
		for _, kind := range []string{"bytes", "stream"} {
			if got := p.get(c, fmt.Sprintf("/%s/%d", kind, n)); len(got) != n {
				t.Errorf("%d bytes of a %s of %d", len(got), kind, n)
			}
		}
	}
	if got := p.get(c, "/path"); got != "/path" {
		t.Errorf("the answer is %q", got)
	}
}

func TestBodies(t *testing.T) {
	p := serve(t, limits, echo)
	c := p.client()
	for _, n := range []int64{0, 1, 1000, 100_000, 3 << 20} {
		response, err := c.Post(url+"/body", "", io.LimitReader(endless{}, n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || got != n {
			t.Errorf("%d of %d bytes came back: %v", got, n, err)
		}
	}
}

// TestPanic costs its own stream only.
func TestPanic(t *testing.T) {
	p := serve(t, limits, echo)
	var panics atomic.Int32
	p.server.Panicked = func(any, []byte) { panics.Add(1) }
	c := p.client()
	if response, err := c.Get(url + "/panic"); err == nil {
		response.Body.Close()
		t.Errorf("a panic was answered with %d", response.StatusCode)
	}
	if got := p.get(c, "/next"); got != "/next" || panics.Load() != 1 {
		t.Errorf("%q after %d panics", got, panics.Load())
	}
	if len(p.open) != 1 {
		t.Errorf("%d connections, want the same one", len(p.open))
	}
}

// TestCalm has a client use up a budget: it is told why it has to go, and metrics are told once.
func TestCalm(t *testing.T) {
	p := serve(t, limits, echo)
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	framer := http2.NewFramer(c, c)
	_, err = io.WriteString(c, http2.ClientPreface)
	err = errors.Join(err, framer.WriteSettings())
	for range allowances[pings].burst + 1 {
		err = errors.Join(err, framer.WritePing(false, [8]byte{}))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeEnhanceYourCalm || p.attacked("ping") != 1 {
				t.Errorf("%v, and metrics were told %d times", away, p.attacked("ping"))
			}
			return
		}
	}
}

// TestRest has a connection let go of its buffers, and go on with others.
func TestRest(t *testing.T) {
	quick := limits
	quick.Rest, quick.Header = time.Millisecond, 100*time.Millisecond // and with it the watch
	p := serve(t, quick, echo)
	c := p.client()
	for range 3 {
		if got := p.get(c, "/path"); got != "/path" {
			t.Errorf("the answer is %q", got)
		}
		conn := p.open[0]
		await(t, "rest", func() bool {
			conn.mu.Lock()
			defer conn.mu.Unlock()
			return conn.watch.resting
		})
	}
	if len(p.open) != 1 {
		t.Errorf("%d connections, want the same one", len(p.open))
	}
	p.open[0].Drain(true)
	<-p.open[0].ended
}

func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestSoak has clients come and go in the middle of all that there is; what they read to the end must be whole. In the end nothing may be
// left of them.
func TestSoak(t *testing.T) {
	before := runtime.NumGoroutine()
	p := serve(t, limits, echo)
	until := time.Now().Add(2 * time.Second)
	var clients sync.WaitGroup
	var whole, cut atomic.Int64
	for range 4 {
		c := p.client()
		for range 12 {
			clients.Go(func() {
				for time.Now().Before(until) {
					if p.visit(c) {
						whole.Add(1)
					} else {
						cut.Add(1)
					}
				}
			})
		}
	}
	clients.Wait()
	if whole.Load() == 0 || cut.Load() == 0 {
		t.Errorf("%d whole answers, %d cut short: both were to happen", whole.Load(), cut.Load())
	}
	p.mu.Lock()
	open := append([]*Conn(nil), p.open...)
	p.mu.Unlock()
	for _, c := range open {
		c.net.Close()
		<-c.ended
		if c.streams.len() != 0 || len(c.queue) != 0 || c.busy.Load() != 0 {
			t.Errorf("left behind: %d streams, %d waiting, %d busy", c.streams.len(), len(c.queue), c.busy.Load())
		}
	}
	p.server.Close()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+4 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+4 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// visit asks for something, and leaves in the middle of it now and then. It reports whether all came.
func (p *place) visit(c *http.Client) bool {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	size := rand.Int64N(1 << (3 + rand.IntN(17)))
	method, path, body := "GET", fmt.Sprintf("/bytes/%d", size), io.Reader(nil)
	switch rand.IntN(4) {
	case 0:
		path = fmt.Sprintf("/stream/%d", size)
	case 1:
		method, path, body = "POST", "/body", io.LimitReader(endless{}, size)
	case 2:
		path, size = "/hang", -1
	}
	if size < 0 || rand.IntN(3) == 0 {
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, leave)
	}
	r, err := http.NewRequestWithContext(ctx, method, url+path, body)
	if err != nil {
		p.Error(err)
		return false
	}
	response, err := c.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return false
	}
	if n != size {
		p.Errorf("%d of %d bytes of %s passed for all", n, size, path)
	}
	return true
}
